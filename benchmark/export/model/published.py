"""A run's model as its authors publish it: of a Whisper, the folder of Hugging Face that transformers loads."""

from __future__ import annotations

from pathlib import Path

from benchmark.export.model.opened import Opened


def write(opened: Opened, folder: Path) -> dict[str, object]:
    """Write the folder and read it back as the suite would begin with it.

    Raises:
        PortableError: nobody has published such a model.
        WeightsError, TokensError: what was written is not the model.
    """
    return opened.parts.publish(opened.learner, opened.model, folder)
