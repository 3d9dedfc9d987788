"""What `python -m features.prepare` says of a corpus that it made.

normaliser_of(Path("corpora/mine"))         # "english-1+numbers-words"; "" for a corpus that it did not make
"""

from __future__ import annotations

import json
import re
from pathlib import Path

NAME = "prepared.json"
LABEL = re.compile(r"[a-z][\w+.-]{0,99}", re.ASCII)


def normaliser_of(corpus: Path) -> str:
    """Return the label of the normaliser that made the corpus's transcripts; "" if nothing says so."""
    try:
        label = json.loads((corpus / NAME).read_text(encoding="utf-8")).get("normaliser")
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""
    return label if isinstance(label, str) and LABEL.fullmatch(label) else ""
