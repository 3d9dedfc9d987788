"""The optimisers that recipes name; make them under a distribution strategy.

    optimizer = build(AdaDelta(), precision="float32")      # Keras's formula, updated in one pass

AdaDelta (Zeiler 2012) is the paper's, with learning rate 1.0, rho .95, epsilon 1e-8 and no clipping.
"""

from __future__ import annotations

from benchmark.run.devices import tf
from models.recipes import AdaDelta


def build(settings: AdaDelta, *, precision: str) -> tf.keras.optimizers.Optimizer:
    """Make an optimiser; in mixed_float16 it scales the loss, so that small gradients do not vanish."""
    optimizer = FusedAdadelta(
        learning_rate=settings.learning_rate, rho=settings.rho, epsilon=settings.epsilon, name="adadelta"
    )
    if precision == "mixed_float16":
        return tf.keras.mixed_precision.LossScaleOptimizer(optimizer, name="loss_scale")
    return optimizer


class FusedAdadelta(tf.keras.optimizers.Adadelta):
    """AdaDelta with Keras's formula and variables, updated by one TensorFlow kernel that reads memory only once."""

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        number = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdadelta(
            var=variable.handle,
            accum=self._accumulated_grads[number].value.handle,
            accum_update=self._accumulated_delta_vars[number].value.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            rho=self.rho,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, variable.dtype),
        )
