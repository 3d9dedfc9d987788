"""python -m features.synthesis OUT: write the embedded corpus."""

import sys

from features.synthesis.corpus import main

if __name__ == "__main__":
    sys.exit(main())
