"""python -m features.download DEST: download LibriSpeech; see features/corpus/download.py."""

import sys

from features.corpus.download import main

if __name__ == "__main__":
    sys.exit(main())
