"""The optimisers that recipes name; make them under a distribution strategy.

    optimizer = build(AdaDelta(), precision="float32")                 # Keras's formulas, updated in one pass
    optimizer = build(AdamW(), precision="float32", batches=3000)
    optimizer = build(AveragedAdamW(), precision="float32", batch=16)
    averages(optimizer)                                                # [(weights, their average), ...]

AdaDelta (Zeiler 2012) is the paper's, with learning rate 1.0, rho .95, epsilon 1e-8 and no clipping. AdamW is for
fine-tuning: its rate rises over the first batches and falls to 0 at the last; biases and gains do not decay. The
averaged AdamW knows no last batch: its rate stays, and what is evaluated is a running average of the weights.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.run.prepare.devices import tf
from models.optimisers import AdamW, AveragedAdamW, Optimiser

NOT_DECAYING = ["bias", "gamma", "beta"]


def build(
    settings: Optimiser, *, precision: str, batch: int = 1, batches: int | None = None
) -> tf.keras.optimizers.Optimizer:
    """Make an optimiser; in mixed_float16 it scales the loss, so that small gradients do not vanish.

    `batch` is the global one, in utterances; `batches` is how many a training has, which AdamW must know.
    """
    if isinstance(settings, AveragedAdamW):
        optimizer = FusedAveragedAdamW(
            learning_rate=RiseAndStay(settings.learning_rate, warm_up=-(-settings.warm_up // batch)),
            weight_decay=settings.weight_decay, beta_1=settings.beta_1, beta_2=settings.beta_2,
            epsilon=settings.epsilon, clip=settings.clip, averaging=settings.averaging, name="averaged_adamw",
        )  # fmt: skip
        optimizer.exclude_from_weight_decay(var_names=NOT_DECAYING)
    elif isinstance(settings, AdamW):
        optimizer = FusedAdamW(
            learning_rate=RiseAndFall(settings.peak, warm_up=settings.warm_up, batches=batches),
            weight_decay=settings.weight_decay, beta_1=settings.beta_1, beta_2=settings.beta_2,
            epsilon=settings.epsilon, name="adamw",
        )  # fmt: skip
        optimizer.exclude_from_weight_decay(var_names=NOT_DECAYING)
    else:
        optimizer = FusedAdadelta(
            learning_rate=settings.learning_rate, rho=settings.rho, epsilon=settings.epsilon, name="adadelta"
        )
    if precision == "mixed_float16":
        return tf.keras.mixed_precision.LossScaleOptimizer(optimizer, name="loss_scale")
    return optimizer


def averages(optimizer: tf.keras.optimizers.Optimizer) -> list[tuple[tf.keras.Variable, tf.keras.Variable]]:
    """Return the weights that an optimiser trains, each with the average that it keeps of it; [] if it keeps none."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return inner.averages if isinstance(inner, FusedAveragedAdamW) else []


class RiseAndStay(tf.keras.optimizers.schedules.LearningRateSchedule):
    """A rate that rises in a straight line over the first `warm_up` batches, and stays."""

    def __init__(self, peak: float, *, warm_up: int) -> None:
        self.peak, self.warm_up = peak, max(1, warm_up)

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        return self.peak * tf.minimum((tf.cast(step, tf.float32) + 1.0) / self.warm_up, 1.0)


class RiseAndFall(tf.keras.optimizers.schedules.LearningRateSchedule):
    """A rate that rises in a straight line to its peak, over a share of all batches, and falls in one to 0."""

    def __init__(self, peak: float, *, warm_up: float, batches: int | None) -> None:
        if not batches:
            raise ValueError("no number of batches; expected that of the whole training, over which the rate falls")
        self.peak, self.batches = peak, batches
        self.rising = max(1, round(warm_up * batches))

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        done = tf.cast(step, tf.float32) + 1.0  # so that the first batch learns something
        up, down = done / self.rising, (self.batches + 1 - done) / max(1, self.batches + 1 - self.rising)
        return self.peak * tf.clip_by_value(tf.minimum(up, down), 0.0, 1.0)


class FusedAdamW(tf.keras.optimizers.AdamW):
    """AdamW with Keras's formula and variables, updated by one TensorFlow kernel that reads memory only once."""

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        number = self._get_variable_index(variable)
        done = tf.cast(self.iterations + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[number].value.handle,
            v=self._velocities[number].value.handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, variable.dtype), done),
            beta2_power=tf.pow(tf.cast(self.beta_2, variable.dtype), done),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, variable.dtype),
        )


class FusedAveragedAdamW(FusedAdamW):
    """AdamW with gradients clipped by their norm, and a running average of every weight.

    The norm is that of the gradients' sum over replicas. After batch t the average is moved towards the weight by
    (averaging + 1) / (t + averaging) of their distance: at batch 1 it is the weight.
    """

    def __init__(self, *, clip: float, averaging: int, **settings) -> None:
        super().__init__(**settings)
        self.clip, self.averaging = clip, averaging

    def build(self, variables: Sequence[tf.keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self._averages = self.add_optimizer_variables(variables, "average")
        for variable, average in self.averages:
            average.assign(variable)

    @property
    def averages(self) -> list[tuple[tf.keras.Variable, tf.keras.Variable]]:
        return list(zip(self._trainable_variables, self._averages, strict=True))

    def _all_reduce_sum_gradients(self, grads_and_vars):
        """Sum gradients over replicas, as Keras does, and clip the sums: every replica has the same ones."""
        summed = super()._all_reduce_sum_gradients(grads_and_vars)
        clipped, _ = tf.clip_by_global_norm([gradient for gradient, _ in summed], self.clip)
        return [(gradient, variable) for gradient, (_, variable) in zip(clipped, summed, strict=True)]

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        super().update_step(gradient, variable, learning_rate)
        average = self._averages[self._get_variable_index(variable)].value
        done = tf.cast(self.iterations + 1, variable.dtype)
        average.assign_add((self.averaging + 1.0) / (done + self.averaging) * (variable - average))


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
