"""Audio in, frames out: corpora, feature extraction, shards, and batches read from them.

    corpus/        recordings and what is said in them, in LibriSpeech's layout; LibriSpeech by HTTP
    synthesis/     the embedded corpus, spoken by the suite
    frames/        waveform -> frames: 93 features, or Whisper's 80
    shards/        a whole corpus as TFRecord shards and a manifest
    reading/       batches for training and evaluation, from shards or straight from the audio
    jobs/          what long work needs, whatever it is: whole writes, workers, parts, progress
    __main__.py    python -m features CORPUS OUT
    download.py    python -m features.download DEST

This package imports nothing else of the project but `platforms.machine`, which counts the cores.
"""

from features.jobs.missing import explain as _explain_missing

_explain_missing()
