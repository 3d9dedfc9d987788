"""Recordings and what is said in them.

roles.py     what a subset is for, by its name
layout.py    a tree in LibriSpeech's layout -> Utterance(id, audio path, sentence)
audio.py     recordings, read as 16 kHz mono
anyformat.py audio of any format, by libsndfile or ffmpeg
listing.py   the utterances of a corpus of any size
text.py      the alphabet of 30: sentence <-> labels
download.py  LibriSpeech by HTTP
prepared.py  what made a corpus, where features.prepare did
noise.py     deliberately wrong transcripts and noisy audio
"""
