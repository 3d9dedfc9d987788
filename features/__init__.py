"""Audio in, 93-dimensional frames out: corpora, feature extraction, shards, and batches read from them.

    text.py        the 30 characters: sentence <-> labels
    corpus.py      a tree in LibriSpeech layout -> Utterance(id, audio path, sentence)
    listing.py     the utterances of a corpus, however many
    download.py    LibriSpeech by HTTP
    synthesis.py   the embedded corpus, whose sentences come from grammar.py and whose voices from espeak.py
    extract.py     waveform -> float32 [T, 93]
    log_mel.py     waveform -> Whisper's features, float32 [T, 80]
    extraction.py  a whole corpus: planned, written on all cores, merged
    records.py     the schema of a shard, once: written and parsed here
    tfrecord.py    the file format of a shard
    manifest.py    what a folder of shards holds
    account.py     how much of a corpus that is, and what was left out, in sentences
    subsets.py     parts of the training set: nested, and the same on every machine
    noise.py       wrong transcripts and noisy audio, on purpose
    recordings.py  features made while training asks for them, without shards
    batches.py     batches for training and evaluation, masked by augment.py if asked
    files.py       whole writes, digests, locks
    process.py     TensorFlow without its chatter, memory that is kept
    workers.py     worker processes
    cluster.py     the workers of a Dask cluster
    parts.py       shares of a job for many machines
    progress.py    progress bars
    streams.py     standard output and error that no viewer who leaves can break
    __main__.py    python -m features CORPUS OUT

This package imports nothing else of the project.
"""
