"""The table of front ends, by name: what turns a waveform into the frames that a model takes.

    kind = FRONT_ENDS["mfcc13-logmel80"]
    kind.size                               # features of a frame, F
    stored = kind.stored(samples)           # float32 [S] -> float32 [T + kind.edge_frames, F], as a shard stores them

A further front end is its module and a line in FRONT_ENDS; a manifest records its name. TensorFlow is loaded when a
batch is padded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from features.frames import NAMES, graph, log_mel, mfcc
from features.frames import USUAL as USUAL

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True, kw_only=True)
class FrontEnd:
    """One way to make frames, T = ceil(samples / 160) of an utterance.

    `stored` gives what a shard stores: the frames, and `edge_frames` after them. `padded` pads what is stored to the
    frames of a batch, where that is done with something else than zeros. An utterance is left out at extraction if it
    has fewer than `least_frames`, or if its labels are more than (T - least_frames) // frames_a_label + 1; with
    `frames_a_label` 0 labels need no frames of their own. A model that asks for more leaves out more when it trains.
    Features from `spectrum_from` on are mel bands, which SpecAugment hides. `graph` and `windowed_graph` are `stored`
    and `padded` of a batch in TensorFlow's operations (graph.py), and `about` says what they compute.
    """

    size: int
    stored: Callable[[np.ndarray], np.ndarray]
    graph: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]] | None = None
    windowed_graph: Callable[[tf.Tensor, tf.Tensor, int], tf.Tensor] | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    edge_frames: int = 0
    padded: Callable[[tf.Tensor, int], tf.Tensor] | None = None
    least_frames: int = 11
    frames_a_label: int = 0
    spectrum_from: int = 0

    def labels_at_most(self, frames: int | np.ndarray) -> int | np.ndarray | None:
        """Return how many labels `frames` frames have room for; None for any number."""
        return (frames - self.least_frames) // self.frames_a_label + 1 if self.frames_a_label else None


FRONT_ENDS = {
    "mfcc13-logmel80": FrontEnd(  # of the paper
        size=mfcc.FEATURES,
        stored=mfcc.features,
        frames_a_label=2,
        spectrum_from=mfcc.MFCCS,
        about=mfcc.ABOUT,
        graph=graph.mfcc_graph,
    ),
    "logmel80-normalised": FrontEnd(  # of Radford et al. 2022
        size=log_mel.MELS,
        stored=log_mel.open_ended,
        edge_frames=log_mel.EDGE_FRAMES,
        padded=log_mel.windowed,
        about=log_mel.ABOUT,
        graph=graph.log_mel_graph,
        windowed_graph=graph.windowed_graph,
    ),
}

if tuple(FRONT_ENDS) != NAMES:
    raise TypeError(f"front ends {tuple(FRONT_ENDS)}; features/frames/__init__.py names {NAMES}")

UNNAMED = {93: "mfcc13-logmel80", 80: "logmel80-normalised"}
"""Maps a number of features to the front end, for manifests of schema 3 or 4, which do not name it."""
