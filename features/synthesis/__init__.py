"""The embedded corpus: English sentences in 22 voices, spoken by the suite.

corpus.py    sentences and voices -> FLAC in LibriSpeech's layout
grammar.py   the sentences
espeak.py    the voices
__main__.py  python -m features.synthesis OUT
"""

SENTENCES = 2500
