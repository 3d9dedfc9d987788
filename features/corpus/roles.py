"""What a subset is for, by its name: training, validation or testing."""

from __future__ import annotations

ROLES = ("train", "dev", "test")


def role(subset: str) -> str:
    """Return what a subset is for, by its name: "train", "dev" or "test"."""
    return next(role for role in ROLES if subset.lower().startswith(role))
