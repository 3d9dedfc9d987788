"""Audio in, 93-dimensional records out.

    text.py       the 30 characters: sentence <-> labels
    corpus.py     a LibriSpeech-layout tree -> Utterance(id, audio path, sentence)
    download.py   LibriSpeech by HTTP
    synthesis.py  the embedded corpus, whose sentences come from grammar.py and whose voices from espeak.py
    extract.py    waveform -> float32 [T, 93]
    records.py    the TFRecord schema, once; shards are written and parsed here
    manifest.py   what a folder of shards holds
    batches.py    batches for training and evaluation, masked by augment.py if asked
    progress.py   progress bars; quiet.py imports TensorFlow without its chatter
    __main__.py   python -m features CORPUS OUT

This package imports nothing else of the project.
"""
