"""The front ends as graphs of TensorFlow's own operations, for models that leave the suite with their front end.

    features, frames = mfcc_graph(samples, lengths)             # [B, S], [B] -> float32 [B, T + edge, F], int32 [B]
    features = normalised(features, frames, "utterance")        # float32, zeros beyond an utterance's frames
    features = windowed_graph(features, frames, 1000)           # Whisper's: a segment, silence beyond the utterance

They equal what mfcc.py and log_mel.py compute up to rounding. What shards store has 16 bits, and so has this: a value
that lies between two of them may go to the other one. S is of the longest of a batch; what lies beyond an utterance's
own samples changes nothing. A batch is of any size, and its transforms need 4 KiB (Whisper: 2 KiB) for each frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.corpus.audio import STEP_SAMPLES
from features.frames import log_mel, mfcc
from features.jobs.process import import_tensorflow

if TYPE_CHECKING:
    import tensorflow as tf


def mfcc_graph(samples: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return mfcc.features of a batch, float32 [B, S] and int [B] -> float32 [B, T, 93] and int32 [B]."""
    tf = import_tensorflow()
    samples, lengths = _silent_beyond(samples, lengths)
    frames = _frames(lengths)
    most = _frames(tf.shape(samples)[1])
    padded = tf.pad(samples, [[0, 0], [0, mfcc.FRAME_SAMPLES]])
    padded = padded[:, : tf.maximum(0, most - 1) * STEP_SAMPLES + mfcc.FRAME_SAMPLES]
    framed = tf.signal.frame(tf.cast(padded, tf.float64), mfcc.FRAME_SAMPLES, STEP_SAMPLES)[:, :most]
    spectrum = tf.abs(tf.cast(tf.signal.rfft(framed * mfcc.window()), tf.complex64))
    log_mel_ = tf.math.log(tf.matmul(spectrum, tf.constant(mfcc.mel_weights())) + mfcc.LOG_FLOOR)
    features = tf.concat([tf.matmul(log_mel_, tf.constant(mfcc.dct())), log_mel_], 2)
    return _as_stored(features), frames


def log_mel_graph(samples: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return log_mel.open_ended of a batch, float32 [B, S] and int [B] -> float32 [B, T + 2, 80] and int32 [B]."""
    tf = import_tensorflow()
    samples, lengths = _silent_beyond(samples, lengths)
    frames, most = _frames(lengths), _frames(tf.shape(samples)[1]) + log_mel.EDGE_FRAMES
    half = log_mel.FFT_SIZE // 2
    padded = tf.pad(samples, [[0, 0], [0, most * STEP_SAMPLES - tf.shape(samples)[1]]])
    mirrored = tf.pad(padded, [[0, 0], [half, half]], "REFLECT")
    framed = tf.signal.frame(mirrored, log_mel.FFT_SIZE, STEP_SAMPLES)[:, :most]
    spectrum = tf.signal.rfft(framed * log_mel.window())
    power = tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))
    mel = tf.maximum(tf.matmul(power, tf.constant(log_mel.weights())), log_mel.LOG_FLOOR)
    log = tf.math.log(mel) * (1 / tf.math.log(10.0))
    lowest = tf.reduce_max(log, [1, 2], keepdims=True) - log_mel.RANGE  # what is silent is not the highest
    return _as_stored((tf.maximum(log, lowest) + 4.0) / 4.0), frames


def windowed_graph(features: tf.Tensor, frames: tf.Tensor, segment: int) -> tf.Tensor:
    """Return log_mel.windowed of a batch: [B, T + 2, 80] and int [B] -> float32 [B, segment, 80].

    The frames of an utterance and the two after them are kept; the rest of the segment is silent.
    """
    tf = import_tensorflow()
    width = tf.shape(features)[1]
    rows = tf.cast(features, tf.float16)[:, :segment]
    rows = tf.pad(rows, [[0, 0], [0, tf.maximum(0, segment - width)], [0, 0]])
    reached = tf.minimum(tf.cast(frames, tf.int32) + log_mel.EDGE_FRAMES, width)
    kept = tf.sequence_mask(reached, segment)[:, :, None]
    highest = tf.reduce_max(tf.where(kept, rows, rows.dtype.min), [1, 2], keepdims=True)
    floor = tf.maximum(highest - tf.cast(log_mel.RANGE / 4, rows.dtype), tf.cast(log_mel.SILENCE, rows.dtype))
    return tf.ensure_shape(tf.cast(tf.where(kept, rows, floor), tf.float32), [None, segment, log_mel.MELS])


def normalised(features: tf.Tensor, frames: tf.Tensor, normalisation: str) -> tf.Tensor:
    """Return what features.reading.batches.normalise makes of each utterance of a batch, float32 [B, T, F].

    Except for "none", frames beyond an utterance's own are zeros, as in a batch that is padded.

    Raises:
        ValueError: there is no such normalisation.
    """
    tf = import_tensorflow()
    if normalisation == "none":
        return features
    valid = tf.sequence_mask(frames, tf.shape(features)[1], features.dtype)[:, :, None]
    if normalisation == "frame-l2":
        return valid * tf.math.l2_normalize(features, axis=2)
    if normalisation != "utterance":
        raise ValueError(f"normalisation is {normalisation!r}; expected none, frame-l2 or utterance")
    count = tf.maximum(tf.cast(frames, features.dtype), 1)[:, None, None]
    centred = features - tf.reduce_sum(features * valid, 1, keepdims=True) / count
    variance = tf.reduce_sum(tf.square(centred) * valid, 1, keepdims=True) / count
    return valid * centred * tf.math.rsqrt(variance + 1e-6)


def _silent_beyond(samples: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    tf = import_tensorflow()
    lengths = tf.minimum(tf.cast(lengths, tf.int32), tf.shape(samples)[1])
    return tf.where(tf.sequence_mask(lengths, tf.shape(samples)[1]), samples, 0.0), lengths


def _frames(samples: tf.Tensor) -> tf.Tensor:
    return -(-samples // STEP_SAMPLES)


def _as_stored(features: tf.Tensor) -> tf.Tensor:
    tf = import_tensorflow()
    return tf.cast(tf.cast(features, tf.float16), tf.float32)
