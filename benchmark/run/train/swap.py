"""The models of a run: the training model and, if evaluation swaps, the evaluation model that takes its place.

    models = Models(task)
    models.step.segment(...)                    # trains models.model with models.optimizer
    models.transcriber.transcribe("dev", pool)  # with the model that is in memory
    models.swap(checkpoints, step)              # to the evaluation model, or back

The paper evaluates by swapping. The outgoing model frees the memory of its variables and of its optimiser; its compiled
functions stay. The incoming model is loaded from the checkpoint that was just saved.

Where the optimiser keeps an average of the weights, that is what is evaluated, and what a checkpoint has as the model:
the weights under training are then the optimiser's, and take their places again when it is restored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from benchmark.run.evaluate.evaluation import Transcriber
from benchmark.run.prepare.devices import tf
from benchmark.run.prepare.task import Task
from benchmark.run.state.checkpoints import Checkpoints
from benchmark.run.train.step import TrainStep


class Models:
    """The training model with its step and optimiser, and the evaluation model after the first swap."""

    def __init__(self, task: Task) -> None:
        tf.keras.utils.set_random_seed(task.seed)
        self.task = task
        self.step = TrainStep(
            task.learner,
            devices=task.devices,
            precision=task.platform.training.precision,
            seed=task.seed,
            accumulation=task.platform.input.accumulation,
            batch=task.layout.batch,
            batches=task.batches,
        )
        self._training = self.transcriber = Transcriber(self.step.model, task, within=self.step.averaged)
        self._evaluation: Transcriber | None = None

    @property
    def model(self) -> tf.keras.Model:
        """The training model."""
        return self.step.model

    @property
    def optimizer(self) -> tf.keras.optimizers.Optimizer:
        return self.step.optimizer

    def save(self, checkpoints: Checkpoints, step: int) -> None:
        """Write a checkpoint of the training model and its optimiser. Raises OSError if it cannot."""
        with self.step.averaged():
            checkpoints.save(step, self.model, self.optimizer)

    def restore(self, checkpoints: Checkpoints, step: int) -> None:
        """Load a checkpoint into the training model and its optimiser. Raises CheckpointError if it cannot be used."""
        checkpoints.restore(step, self.model, self.optimizer)
        self.step.exchange()

    def swap(self, checkpoints: Checkpoints, step: int) -> None:
        """Replace the training model by the evaluation model, or the other way round. Raises CheckpointError."""
        trained = self.model.variables + self.optimizer.variables
        if self.transcriber is self._training:
            self._release(trained)
            if self._evaluation is None:
                self._evaluation = Transcriber(self.task.new_model(), self.task)
            else:
                self._reserve(self._evaluation.model.variables)
            checkpoints.restore(step, self._evaluation.model)
            self.transcriber = self._evaluation
        else:
            self._release(self.transcriber.model.variables)
            self._reserve(trained)
            self.restore(checkpoints, step)
            self.transcriber = self._training

    def _release(self, variables: Iterable[tf.keras.Variable]) -> None:
        """Free the memory of variables. They stay, empty until `_reserve`, as compiled functions refer to them."""
        for part in self._parts(variables):
            with tf.device(part.device):
                nothing = tf.zeros([0], part.dtype)
                tf.raw_ops.AssignVariableOp(resource=part.handle, value=nothing, validate_shape=False)

    def _reserve(self, variables: Iterable[tf.keras.Variable]) -> None:
        """Allocate the memory of variables again; they are zero until a checkpoint is restored."""
        for part in self._parts(variables):
            with tf.device(part.device):
                zeros = tf.zeros(part.shape, part.dtype)
                tf.raw_ops.AssignVariableOp(resource=part.handle, value=zeros, validate_shape=False)

    def _parts(self, variables: Iterable[tf.keras.Variable]) -> Iterator[tf.Variable]:
        """Yield every replica's copy of the variables."""
        for variable in variables:
            yield from self.task.devices.strategy.experimental_local_results(variable.value)
