"""The optimisers that recipes name, as records; benchmark/run/train/optimisers.py makes them.

    AdaDelta(learning_rate=1.0), AdamW(peak=1e-5, warm_up=0.1)

This module imports nothing but the standard library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class AdaDelta:
    """The optimiser of Zeiler (2012), without clipping; the defaults are the paper's."""

    knows_the_end: ClassVar[bool] = False  # whether the rate depends on how long training is meant to be

    learning_rate: float = 1.0
    rho: float = 0.95
    epsilon: float = 1e-8


@dataclass(frozen=True, kw_only=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), of matrices only.

    The rate rises in a straight line over a share `warm_up` of all batches, and falls in one to 0 at the last.
    """

    knows_the_end: ClassVar[bool] = True

    peak: float = 1e-5
    warm_up: float = 0.1
    weight_decay: float = 0.01
    beta_1: float = 0.9
    beta_2: float = 0.98
    epsilon: float = 1e-6
