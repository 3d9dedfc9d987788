"""The optimisers that recipes name, as records; benchmark/run/train/optimisers.py makes them.

    AdaDelta(learning_rate=1.0), AdamW(peak=1e-5, warm_up=0.1), AveragedAdamW(learning_rate=3e-3)

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


@dataclass(frozen=True, kw_only=True)
class AveragedAdamW:
    """AdamW at a constant rate; what is evaluated and saved is a running average of the weights. Neither knows an end.

    The rate rises in a straight line over the first `warm_up` utterances, and stays. A gradient whose norm, over all
    weights, is above `clip` is shortened to it. After batch t the average moves towards the weights by
    (eta + 1) / (t + eta) of the way, eta being `averaging`: polynomial-decay averaging (Shamir and Zhang 2013, section
    4), over about the last tenth of all batches so far. It does what a falling rate does, at any time.
    """

    knows_the_end: ClassVar[bool] = False

    learning_rate: float = 3e-3
    warm_up: int = 1600
    weight_decay: float = 0.01
    beta_1: float = 0.9
    beta_2: float = 0.98
    epsilon: float = 1e-6
    clip: float = 1.0
    averaging: int = 8


Optimiser = AdaDelta | AdamW | AveragedAdamW
