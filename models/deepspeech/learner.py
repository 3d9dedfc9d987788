"""The acoustic model as the trainer takes it: CTC over characters, each utterance with the same weight."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from models.ctc import loss as ctc
from models.deepspeech import lstm, network
from models.deepspeech.config import Config
from models.kernels import Choice
from models.learner import Part


def units(part: Part) -> tf.Tensor:
    """Return the weight of every utterance, [B]: 1, or 0 for empty places."""
    return tf.cast(part["frames"] > 0, tf.float32)


def learner(config: Config, *, frames: int) -> DeepSpeechLearner:  # noqa: ARG001 - it takes any length
    """Make the learner; it takes utterances of any length."""
    return DeepSpeechLearner(config)


class DeepSpeechLearner:
    """See `models.learner.Learner`."""

    encode = None
    decode = None
    about: dict[str, str] = {}

    def __init__(self, config: Config) -> None:
        self.config = config
        self.ctc_kernel: str | None = None
        self.optimiser, self.shuffle_files_only = config.rules.optimiser, config.rules.shuffle_files_only

    def build(self) -> network.DeepSpeech:
        return network.build(self.config)

    def losses(self, model: network.DeepSpeech, part: Part, seed: tf.Tensor) -> tf.Tensor:
        frames = network.output_frames(part["frames"], self.config)
        logits = model(part["features"], part["frames"], training=True, seed=seed)
        return ctc.ctc_loss(part["labels"], part["label_lengths"], logits, frames, kernel=self.ctc_kernel)

    def label_step(self, frames: tf.Tensor) -> tf.Tensor:
        """Return an eighth of the outputs: CTC's kernel for GPUs is compiled for each length of labels."""
        return tf.maximum(1, frames // (8 * self.config.stride))

    def moving(self, model: network.DeepSpeech) -> list[tf.Variable]:
        return [variable.value for norm in model.batch_norms for variable in (norm.moving_mean, norm.moving_variance)]

    def moved(self, model: network.DeepSpeech) -> list[tf.Tensor]:
        return [value for norm in model.batch_norms for value in norm.moved.values]

    def units(self, part: Part) -> tf.Tensor:
        return units(part)

    def tflop(self, part: Part) -> tf.Tensor:
        outputs = tf.cast(network.output_frames(part["frames"], self.config), tf.float32)
        return tf.reduce_sum(outputs) * (network.flops(self.config) / 1e12)

    def outputs(self, model: network.DeepSpeech, features: tf.Tensor, frames: tf.Tensor) -> tf.Tensor:
        return model(features, frames, training=False)

    def output_counts(self, frames: np.ndarray) -> np.ndarray:
        return self.config.output_frames(frames)

    def choose_kernels(self, *, dtype: str, batch: int, frames: int) -> dict[str, Choice]:
        recurrent = lstm.kernel_for(self.config.units, peepholes=self.config.rules.peepholes, dtype=dtype)
        outputs = max(1, network.output_frames(frames, self.config))
        labels = max(1, min(outputs // 3, ctc.CUDNN_LABELS))  # of fast speech
        chosen = ctc.kernel_for(ctc.Shape(batch=batch, frames=outputs, labels=labels))
        self.ctc_kernel = chosen.kernel
        return {"lstm": recurrent, "ctc": chosen}

    def compare_kernels(self, *, dtype: str) -> dict[str, str]:
        each = {"lstm": lstm.compare(dtype), "ctc": ctc.compare()}
        return {f"{work}, {kernel}": why for work, found in each.items() for kernel, why in found.items()}
