"""Checkpoints of a run: weights, moving averages and optimiser under the number of batches trained.

    folder = Checkpoints(Path("results/run/checkpoints"))
    folder.save(500, model, optimizer)              # ckpt-500.index, ckpt-500.data-...
    folder.restore(500, model, optimizer)           # or the model alone
    folder.prune(kept(folder.steps(), progress, batches_per_epoch))
    restore_newest(folder, progress, plan, restore=..., warn=...)       # where a resumed run goes on

A checkpoint is whole or absent: its files are written beside, forced to the disk and renamed, the index, without
which there is none, last. The last three are kept, that of the epoch with the lowest word error rate, and those of
epochs that are still being evaluated.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from benchmark.record.folder import journal_of
from benchmark.record.phases import Plan
from benchmark.run.devices import tf
from benchmark.run.progress import Progress

KEPT_LAST = 3
BESIDE = "unfinished"  # the folder in which checkpoints are written


class CheckpointError(ValueError):
    """A checkpoint that is missing or does not fit the model; the message names it and says what was expected."""


class Checkpoints:
    """One run's folder of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, step: int) -> Path:
        """What TensorFlow calls its prefix; the files have endings."""
        return self.folder / f"ckpt-{step}"

    def steps(self) -> list[int]:
        """Batches trained, of every checkpoint that is whole, in order."""
        found = (re.fullmatch(r"ckpt-(\d+)\.index", path.name) for path in self.folder.glob("ckpt-*.index"))
        return sorted(int(match[1]) for match in found if match)

    def save(self, step: int, model: tf.keras.Model, optimizer: tf.keras.optimizers.Optimizer) -> None:
        """Raises OSError where it cannot be written, a full disk for one; those there are stay as they are."""
        beside = self.folder / BESIDE
        shutil.rmtree(beside, ignore_errors=True)  # what a killed run left
        beside.mkdir(parents=True)
        try:
            _checkpoint(model, optimizer).write(str(beside / self.path(step).name))
        except tf.errors.OpError as error:
            shutil.rmtree(beside, ignore_errors=True)
            reason = error.message.rpartition("; ")[2].partition(" [Op:")[0].splitlines()[0][:200]  # without paths
            raise OSError(f"{self.path(step)}: cannot be written ({reason})") from None
        for file in sorted(beside.iterdir()):  # ckpt-5.data-00000-of-00001 comes before ckpt-5.index
            _to_disk(file)
            file.replace(self.folder / file.name)
        _to_disk(self.folder)
        beside.rmdir()

    def restore(self, step: int, model: tf.keras.Model, optimizer: tf.keras.optimizers.Optimizer | None = None) -> None:
        """Raises CheckpointError where it is missing, broken, or of another model."""
        path = self.path(step)
        if step not in self.steps():
            there = ", ".join(map(str, self.steps())) or "none"
            raise CheckpointError(f"{path}: no such checkpoint; there are those after batches: {there}")
        try:
            status = _checkpoint(model, optimizer).read(str(path))
            status.assert_existing_objects_matched()
            if optimizer is None:
                status.expect_partial()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise CheckpointError(
                f"{path}: {str(error).splitlines()[0][:200]}; expected a checkpoint of this run's model"
            ) from None

    def prune(self, steps: Collection[int]) -> None:
        """Delete all but these, the index first."""
        for step in set(self.steps()) - set(steps):
            for file in sorted(self.folder.glob(f"ckpt-{step}.*"), reverse=True):
                file.unlink()
        for data in self.folder.glob("ckpt-*.data-*"):  # of one that was being deleted or renamed when all ended
            if not data.with_suffix(".index").is_file():
                data.unlink()


def _to_disk(path: Path) -> None:
    """Have the system write a file, or a folder's names, to the disk now."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def kept(steps: Collection[int], progress: Progress, batches_per_epoch: int) -> set[int]:
    """Choose which of the checkpoints that are there to keep."""
    last = set(sorted(steps)[-KEPT_LAST:])
    being_evaluated = {
        step for step in steps if step % batches_per_epoch == 0 and step // batches_per_epoch > progress.evaluated_epoch
    }
    best = {progress.best_evaluation.step} if progress.best_evaluation else set()
    return (last | being_evaluated | best) & set(steps)


def restore_newest(
    checkpoints: Checkpoints,
    progress: Progress,
    plan: Plan,
    *,
    restore: Callable[[int], None],
    warn: Callable[[str], None],
) -> int:
    """Restore the newest checkpoint that can be read; returns the batches trained in it, 0 if there is none.

    Checkpoints past the first epoch without an evaluation are skipped: that evaluation was lost and must be redone.

    Raises:
        CheckpointError: one is of more batches than the run's journal knows.
    """
    steps, furthest = checkpoints.steps(), max(row.step for row in progress.earlier)
    if steps and steps[-1] > furthest:
        raise CheckpointError(
            f"{checkpoints.path(steps[-1])}: after {steps[-1]} batches, but the run's journal "
            f"({journal_of(checkpoints.folder.parent)}) knows of {furthest} only; expected the two of one run: if "
            f"either was copied or restored, do so with both"
        )
    for step in reversed(steps):
        if step > (progress.evaluated_epoch + 1) * plan.batches_per_epoch:
            continue
        try:
            restore(step)
            return step
        except CheckpointError as error:
            warn(f"{error}; trying an older one")
    return 0


def _checkpoint(model: tf.keras.Model, optimizer: tf.keras.optimizers.Optimizer | None) -> tf.train.Checkpoint:
    parts = {"model": _by_path(model)} | ({"optimizer": _by_path(optimizer)} if optimizer is not None else {})
    return tf.train.Checkpoint(**parts)


def _by_path(owner: tf.keras.Model | tf.keras.optimizers.Optimizer) -> dict[str, tf.Variable]:
    """All variables, moving averages and the optimiser's accumulators too, under names that TensorFlow can save."""
    found = {variable.path: variable.value for variable in owner.variables}
    assert len(found) == len(owner.variables), "two variables of one path"
    return found
