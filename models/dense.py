"""A dense layer as one product of matrices: keras.layers.Dense, whose weights it has, without its way to the product.

    layer = Dense(384, name="query")
    layer(states)                                           # [..., width] -> [..., 384]

Keras's own asks what ranks it has and works shapes out anew in each version; in 3.15 that is 25 copies between GPU and
host for each token that Whisper decodes. Here the rows before the last axis are those of one matrix.
"""

from __future__ import annotations

import keras
import tensorflow as tf


class Dense(keras.layers.Dense):
    """A keras.layers.Dense of tensors with 2 or more axes, without LoRA and quantisation."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        width = inputs.shape[-1]
        flat = inputs if inputs.shape.rank == 2 else tf.reshape(inputs, [-1, width])
        x = tf.matmul(flat, tf.convert_to_tensor(self.kernel))
        if self.bias is not None:
            x = tf.nn.bias_add(x, tf.convert_to_tensor(self.bias))
        if self.activation is not None:
            x = self.activation(x)
        if inputs.shape.rank == 2:
            return x
        return tf.reshape(x, tf.concat([tf.shape(inputs)[:-1], [self.units]], 0))
