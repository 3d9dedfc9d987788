"""Whisper's recipe of fine-tuning, without TensorFlow; its sizes come with its weights (models/whisper/network.py)."""

from __future__ import annotations

from dataclasses import dataclass

from models.optimisers import AdamW


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to train the model. `normalisation` is what the recipe does to features (features.reading.batches)."""

    optimiser: AdamW = AdamW()
    normalisation: str | None = "none"


RECIPES = {"fine-tune": Recipe()}
"""`fine-tune` goes on with the weights of a model that is trained already."""
