"""Audio in, 93-dimensional records out.

    text.py       the 30 characters: sentence <-> labels
    corpus.py     a LibriSpeech-layout tree -> Utterance(id, audio path, sentence)
    download.py   LibriSpeech by HTTP
    synthesis.py  the embedded corpus: sentences spoken by espeak-ng
    extract.py    waveform -> float32 [T, 93]
    records.py    TFRecord shards, their manifest, and batches read from them
    __main__.py   python -m features CORPUS OUT

This package imports nothing else of the project.
"""
