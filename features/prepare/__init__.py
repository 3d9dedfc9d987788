"""Speech as people have it, made a corpus in the suite's layout.

python -m features.prepare SOURCE OUT

spoken.py       one recording and what is said in it, before anything is decoded
sources.py      which form a source has, and what it says
tables.py       CSV and TSV files with a path and a text in each row: Common Voice, LJSpeech, a spreadsheet
manifests.py    NeMo's and SpeechBrain's JSON
kaldi.py        wav.scp, text, utt2spk and segments
arrow.py        a folder of Hugging Face datasets, or Parquet files
beside.py       audio with a .txt file beside each
normaliser.py   sentences as the suite's alphabet has them, by a name and a version
splits.py       train, dev and test, by speakers
writing.py      audio that is decoded once, checked, and written as FLAC
corpus.py       all of it: from a source to a folder in LibriSpeech layout
"""
