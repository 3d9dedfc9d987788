"""Recordings and what is said in them.

layout.py    a tree in LibriSpeech's layout -> Utterance(id, audio path, sentence)
audio.py     recordings, read as 16 kHz mono
listing.py   the utterances of a corpus, however many
text.py      the 30 characters: sentence <-> labels
download.py  LibriSpeech by HTTP
noise.py     wrong transcripts and noisy audio, on purpose
"""
