"""Checkpoints of a run: weights, moving averages and optimiser, named by the number of batches trained.

    folder = Checkpoints(Path("results/run/checkpoints"))
    folder.save(500, model, optimizer)              # ckpt-500.index, ckpt-500.data-...
    folder.restore(500, model, optimizer)           # or the model alone
    folder.prune(kept(folder.steps(), progress, batches_per_epoch))
    restore_newest(folder, progress, plan, restore=..., warn=...)       # where a resumed run goes on

A checkpoint is whole or absent: its files are written in another folder, forced to the disk and then moved. The index
is moved last, and without it there is no checkpoint. Three kinds are kept: the last three, that of the epoch with the
lowest word error rate, and those of epochs that are still being evaluated.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from benchmark.record.folder import journal_of
from benchmark.record.phases import Plan
from benchmark.run.prepare.devices import tf
from benchmark.run.state.progress import Progress, next_evaluation

KEPT_LAST = 3
BESIDE = "unfinished"  # the subfolder in which checkpoints are written


class CheckpointError(ValueError):
    """A checkpoint that is missing, broken or of another model; the message names it and says what was expected."""


class Checkpoints:
    """The folder of one run's checkpoints."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, step: int) -> Path:
        """Return the prefix of a checkpoint's files, to which TensorFlow adds endings."""
        return self.folder / f"ckpt-{step}"

    def steps(self) -> list[int]:
        """Return the batches trained of every whole checkpoint, in ascending order."""
        found = (re.fullmatch(r"ckpt-(\d+)\.index", path.name) for path in self.folder.glob("ckpt-*.index"))
        return sorted(int(match[1]) for match in found if match)

    def save(self, step: int, model: tf.keras.Model, optimizer: tf.keras.optimizers.Optimizer) -> None:
        """Write a checkpoint. Raises OSError if it cannot, as on a full disk; other checkpoints stay as they are."""
        beside = self.folder / BESIDE
        shutil.rmtree(beside, ignore_errors=True)  # left by a killed run
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
        """Load a checkpoint. Raises CheckpointError if it is missing, broken or of another model."""
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
        """Delete all checkpoints but these; the index of each is deleted first."""
        for step in set(self.steps()) - set(steps):
            for file in sorted(self.folder.glob(f"ckpt-{step}.*"), reverse=True):
                file.unlink()
        for data in self.folder.glob("ckpt-*.data-*"):  # left when a kill interrupted a save or a deletion
            if not data.with_suffix(".index").is_file():
                data.unlink()


def _to_disk(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk now."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def kept(steps: Collection[int], progress: Progress, batches_per_epoch: int) -> set[int]:
    """Return which of the existing checkpoints, by batches trained, are to be kept."""
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
    """Restore the newest checkpoint that can be read; return its number of batches, 0 if there is none.

    Checkpoints past the first evaluation that is due and not there are skipped: it was lost and must be redone.

    Raises:
        CheckpointError: a checkpoint has more batches than the run's journal.
    """
    steps, furthest = checkpoints.steps(), max(row.step for row in progress.earlier)
    if steps and steps[-1] > furthest:
        raise CheckpointError(
            f"{checkpoints.path(steps[-1])}: after {steps[-1]} batches, but the run's journal "
            f"({journal_of(checkpoints.folder.parent)}) knows of {furthest} only; expected both from one run: if "
            f"you copied or restored one of them, do the same with the other"
        )
    for step in reversed(steps):
        if step > next_evaluation(progress, plan):
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
    """Return all variables by path, which TensorFlow can save; moving averages and accumulators are among them."""
    found = {variable.path: variable.value for variable in owner.variables}
    if len(found) != len(owner.variables):
        raise RuntimeError(f"{owner.name}: two variables of one path, of which a checkpoint would keep one")
    return found
