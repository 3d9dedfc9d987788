"""Which checkpoints stay, and what is said of those that cannot be used."""

import numpy as np
import pytest

from benchmark.record.columns import Row
from benchmark.record.phases import Phase
from benchmark.run.state.progress import Progress

COMMON = {
    "run": "r", "platform": "cpu", "workload": "mini", "recipe": "paper", "seed": 1, "replicas": 1, "devices": "CPU",
    "emulated": False, "batch": 16, "precision": "float32", "features": "f", "decoder": "greedy",
    "evaluation": "resident", "code": "c", "started_s": 0.0, "seconds": 1.0,
}  # fmt: skip


def evaluated(*errors: float) -> Progress:
    """Epochs of 100 batches with these word error rates."""
    return Progress.of(
        tuple(
            Row(**COMMON, phase=Phase.EVALUATE, epoch=n, step=100 * n, wer=wer, cer=1.0)
            for n, wer in enumerate(errors, start=1)
        )
    )


@pytest.mark.parametrize(
    ("steps", "errors", "expected"),
    [
        ([100, 200, 300, 400, 500], (9, 5, 7, 8, 6), {200, 300, 400, 500}),  # the best, and the last three
        ([100, 200, 300, 400, 500], (5, 5, 7, 8, 6), {100, 300, 400, 500}),  # the first of equals
        ([100, 200, 250, 300, 350, 400, 410, 420], (9, 5), {200, 300, 400, 410, 420}),  # 300, 400 not evaluated yet
        ([50], (), {50}),
        ([], (), set()),
    ],
)
def test_the_last_three_the_best_and_those_being_evaluated_are_kept(tf, steps, errors, expected):
    from benchmark.run.state.checkpoints import kept

    assert kept(steps, evaluated(*errors), batches_per_epoch=100) == expected


@pytest.fixture
def model(tf):
    from models.deepspeech import network as deepspeech

    return lambda units: deepspeech.build(deepspeech.Config(filters=4, units=units, layers=1))


def test_weights_alone_come_back_and_what_does_not_fit_is_named(model, tf, tmp_path):
    from benchmark.run.state.checkpoints import CheckpointError, Checkpoints

    folder, saved = Checkpoints(tmp_path), model(4)
    optimizer = tf.keras.optimizers.Adadelta(name="adadelta")
    optimizer.build(saved.trainable_variables)
    folder.save(7, saved, optimizer)
    assert folder.steps() == [7]
    other = model(4)
    folder.restore(7, other)
    for a, b in zip(saved.variables, other.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(CheckpointError, match=r"ckpt-8: no such checkpoint; there are those after batches: 7"):
        folder.restore(8, other)
    with pytest.raises(CheckpointError, match=r"ckpt-7: .*expected a checkpoint of this run's model"):
        folder.restore(7, model(5))
    index = tmp_path / "ckpt-7.index"
    index.write_bytes(index.read_bytes()[:40])
    with pytest.raises(CheckpointError, match=r"ckpt-7: .*expected a checkpoint of this run's model"):
        folder.restore(7, other)


def test_pruning_deletes_all_files_of_a_checkpoint_and_nothing_else(tf, tmp_path):
    from benchmark.run.state.checkpoints import Checkpoints

    for step in (5, 50):
        for ending in ("index", "data-00000-of-00001"):
            (tmp_path / f"ckpt-{step}.{ending}").write_text("")
    (tmp_path / "notes.txt").write_text("")
    Checkpoints(tmp_path).prune({50})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ckpt-50.data-00000-of-00001", "ckpt-50.index", "notes.txt"
    ]  # fmt: skip


def test_a_disk_too_small_ends_in_a_sentence_and_leaves_the_checkpoints_that_are_there(model, tf, tmp_path):
    import resource
    import signal

    from benchmark.run.state.checkpoints import Checkpoints

    folder, saved = Checkpoints(tmp_path), model(4)
    optimizer = tf.keras.optimizers.Adadelta(name="adadelta")
    optimizer.build(saved.trainable_variables)
    folder.save(7, saved, optimizer)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"ckpt-8: cannot be written \(.*File too large"):
            folder.save(8, saved, optimizer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    folder.restore(7, model(4))
