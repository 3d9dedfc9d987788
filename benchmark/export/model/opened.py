"""A run's model from one of its checkpoints, in float32 whatever it was trained in, and what exports are held against.

opened = open_model(load_trained(path), checkpoint="best")
opened.expected()                           # of made-up features: what the suite itself makes of them
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from benchmark.export.runs import ExportError
from benchmark.record import Row
from benchmark.run.prepare.devices import tf
from benchmark.run.prepare.trained import Trained, check_start, chosen_checkpoints
from benchmark.run.state.checkpoints import Checkpoints
from features.frames.kinds import FRONT_ENDS, FrontEnd
from models.learner import Learner
from models.portable import Portable
from models.table import portable_of

if TYPE_CHECKING:
    import keras

SEED = 33
CHECK_FRAMES = (120, 75)
"""Frames of the utterances that an export is tried with: of one the end is padding."""
CLOSE = 1e-4
"""How far an export's logits may be from the suite's, as a share of the largest: float32 sums in another order."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A model with the weights of `step`, which `checkpoint` names, and what its kind becomes outside of the suite.

    `held` is what exports are held against: features [B, T, F], their frames [B], and what the suite makes of them. It
    is computed when it is first asked for: a format that cannot hold the model asks for nothing.
    """

    run: Trained
    learner: Learner
    model: keras.Model
    parts: Portable
    checkpoint: str
    step: int

    @property
    def front_end(self) -> FrontEnd:
        return FRONT_ENDS[self.run.workload.model.front_end]

    @property
    def segment(self) -> int:
        """Frames that the model was trained on at most; of a model of segments, exactly."""
        return self.run.workload.segment_frames or self.run.workload.max_frames

    @cached_property
    def held(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return _held(self.run, self.learner, self.model)

    @cached_property
    def evaluation(self) -> Row | None:
        """The evaluation of this checkpoint; None if it was not evaluated."""
        return next((row for row in self.run.record.evaluations if row.step == self.step), None)

    @property
    def label(self) -> str:
        """Say which checkpoint it is: "best checkpoint, batch 900, epoch 3, WER 12.34"."""
        row = self.evaluation
        told = f", epoch {row.epoch}, WER {row.wer:.2f}" if row and row.wer is not None else ", not evaluated"
        named = "" if self.checkpoint.startswith("batch") else f"{self.checkpoint} checkpoint, "
        return f"{named}batch {self.step}{told}"

    def compared(self, found: np.ndarray, lengths: np.ndarray, of: str) -> dict[str, object]:
        """Return how logits that were read back [B, T', C] differ from the suite's, over valid frames.

        Raises:
            ExportError: they differ by more than CLOSE, or are of other lengths.
        """
        _, frames, expected = self.held
        counts = self.learner.output_counts(frames)
        if list(lengths) != list(counts):
            raise ExportError(f"{self.run.folder}: {of} gives {list(lengths)} logits of {list(frames)} frames; "
                              f"expected {list(counts)}; nothing was written: report it")  # fmt: skip
        pairs = [(found[n, :count], expected[n, :count]) for n, count in enumerate(counts)]
        largest = max(float(np.abs(ours).max()) for _, ours in pairs)
        off = max(float(np.abs(theirs - ours).max()) for theirs, ours in pairs)
        if not off <= CLOSE * max(largest, 1):
            raise ExportError(
                f"{self.run.folder}: {of} gives logits that are off by {off:.2g}, of {largest:.3g}; expected those of "
                f"the suite within {CLOSE:g} of the largest; nothing was written: report it"
            )
        return {
            "checked": f"read back, its logits are the suite's within {off:.1e} (the largest is {largest:.3g})",
            "largest_difference": off,
            "largest_logit": largest,
        }


def open_model(run: Trained, *, checkpoint: str) -> Opened:
    """Restore a model. Raises FinalError or CheckpointError if the run has no such checkpoint, or other weights."""
    _on_the_cpu()
    tf.keras.mixed_precision.set_global_policy("float32")
    learner = run.workload.learner()
    check_start(run, learner.about)
    checkpoints = Checkpoints(run.folder / "checkpoints")
    ((name, step),) = chosen_checkpoints(run, checkpoints.steps(), (checkpoint,)).items()
    model = learner.build()
    checkpoints.restore(step, model)
    return Opened(
        run=run,
        learner=learner,
        model=model,
        parts=portable_of(run.workload.model),
        checkpoint=name,
        step=step,
    )


def _on_the_cpu() -> None:
    """Leave GPUs alone, if TensorFlow has not begun with them: an export is the same wherever it is made."""
    tf.config.experimental.enable_tensor_float_32_execution(False)
    with contextlib.suppress(RuntimeError):
        tf.config.set_visible_devices([], "GPU")


def _held(run: Trained, learner: Learner, model: keras.Model) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return made-up features, their frames, and what the suite makes of them, by the kernels that it trains with."""
    kind = FRONT_ENDS[run.workload.model.front_end]
    whole = run.workload.segment_frames or run.workload.max_frames
    frames = np.minimum((whole, whole) if kind.padded else CHECK_FRAMES, whole).astype(np.int32)  # a segment is whole
    width = int(frames.max())
    shape = (len(frames), width, kind.size)
    features = np.random.default_rng(SEED).standard_normal(shape).astype(np.float16).astype(np.float32)
    outputs = tf.function(lambda *given: learner.outputs(model, *given))
    return features, frames, outputs(tf.constant(features), tf.constant(frames)).numpy()
