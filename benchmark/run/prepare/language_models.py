"""Find a language model by its path, or by the name of one that is published with LibriSpeech."""

from __future__ import annotations

from pathlib import Path

from features.corpus.download import LANGUAGE_MODELS

PUBLISHED_MODELS = tuple(model.name for model in LANGUAGE_MODELS)


def language_model(name_or_path: str | None, data: Path) -> Path:
    """Return the file of a language model, given by its path or by the name of a published LibriSpeech model.

    Raises:
        ValueError: there is no such file, or no name was given; the message says how to get one.
    """
    if not name_or_path:
        raise ValueError(
            f"no language model; give --language-model an ARPA or KenLM binary file, or one of "
            f"{', '.join(PUBLISHED_MODELS)}"
        )
    if name_or_path in PUBLISHED_MODELS:
        path = data / "language-models" / f"{name_or_path}.arpa"
        way_out = f"download it with: python -m features.download {path.parent} --language-models {name_or_path}"
    else:
        path = Path(name_or_path)
        way_out = f"give an ARPA or KenLM binary file with --language-model, or one of {', '.join(PUBLISHED_MODELS)}"
    if not path.is_file():
        raise ValueError(f"language model {name_or_path}: {path} is no such file; {way_out}")
    return path
