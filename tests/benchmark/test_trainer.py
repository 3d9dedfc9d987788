"""The trainer on tones: one and two replicas, in this process."""

from dataclasses import replace

import numpy as np
import pytest

import platforms
from benchmark import workloads
from benchmark.data import Data
from benchmark.journal import Identity, Journal
from benchmark.phases import Phase, Plan, next_phase
from features import manifest
from models import decoders

TINY = replace(workloads.load("mini"), filters=8, units=8, layers=1, buckets=1, dropout=0.1)
IDENTITY = Identity(
    run="r",
    platform="cpu",
    workload="mini",
    recipe="paper",
    seed=1,
    replicas=1,
    devices="CPU",
    emulated=False,
    batch=4,
    precision="float32",
    features="f",
    decoder="greedy",
    evaluation="resident",
    code="c",
)


class FakeClock:
    def __init__(self):
        self.now_s = 0.0

    def span(self, seconds=1.0):
        from benchmark.clock import Span

        self.now_s += seconds
        return Span(self.now_s - seconds, seconds)


@pytest.fixture
def make(tf, tone_features, tmp_path):
    from benchmark.devices import Devices
    from benchmark.trainer import Trainer

    def trainer(*, replicas=1, batch=4, seed=1, workload=TINY, **options):
        names = [f"CPU:{n}" for n in range(replicas)]
        strategy = tf.distribute.MirroredStrategy(
            names, cross_device_ops=tf.distribute.ReductionToOneDevice(reduce_to_device=names[0])
        )
        devices = Devices(
            strategy=strategy,
            replicas=replicas,
            names=("CPU",) * replicas,
            emulated=replicas > 1,
            reduction="first-gpu",
        )
        data = Data(folder=tone_features, manifest=manifest.load(tone_features), seconds=0.0)
        return Trainer(
            workload=workload,
            platform=platforms.load("cpu").with_input(batch=batch),
            data=data,
            devices=devices,
            seed=seed,
            folder=tmp_path / f"{replicas}-{seed}",
            decode=decoders.greedy,
            **options,
        )

    return trainer


def run(trainer, path, *, max_epochs=2):
    """Train to the end on a clock that counts a second a phase; returns the record."""
    plan = Plan(
        batches_per_epoch=trainer.batches_per_epoch,
        max_epochs=max_epochs,
        max_seconds=1e9,
        targets={},
        generate_every=4,
        checkpoint_every=5,
    )
    journal, clock = Journal.create(path, IDENTITY), FakeClock()
    while (phase := next_phase(journal.record, plan)) is not Phase.DONE:
        journal.append(phase, clock.span(), trainer.perform(phase, journal.record, plan))
    journal.close()
    return journal.record


def losses(record):
    return [row.loss for row in record.rows if row.phase is Phase.TRAIN]


def test_two_epochs_train_every_utterance_once_an_epoch_and_evaluate_all(make, tone_features, tmp_path):
    shown = []
    record = run(make(show=lambda phase, sentences: shown.append((phase, sentences))), tmp_path / "r.csv")
    for epoch in (1, 2):
        rows = [row for row in record.rows if row.phase is Phase.TRAIN and row.epoch == epoch]
        assert sum(row.utterances for row in rows) == 21
        assert sum(row.audio_s for row in rows) == pytest.approx(
            manifest.load(tone_features).seconds("train"), abs=0.05
        )
    assert [row.utterances for row in record.evaluations] == [7, 7]
    generated = [sentences for phase, sentences in shown if phase == "generate"]
    assert generated and all(len(sentences) == 3 and all(s.target for s in sentences) for sentences in generated)


def test_training_lowers_the_loss(make, tmp_path):
    record = run(make(workload=replace(TINY, dropout=0.0)), tmp_path / "r.csv", max_epochs=6)
    first, last = (
        sum(row.loss * row.utterances for row in record.rows if row.phase is Phase.TRAIN and row.epoch == epoch)
        for epoch in (1, 6)
    )
    assert last < 0.95 * first


def test_the_same_seed_gives_the_same_losses_and_another_seed_others(make, tmp_path):
    one, again, other = (
        losses(run(make(seed=seed), tmp_path / f"{name}.csv", max_epochs=1))
        for name, seed in (("one", 1), ("again", 1), ("other", 2))
    )
    np.testing.assert_allclose(one, again, rtol=1e-6)
    assert not np.allclose(one, other, rtol=1e-3)


def test_two_replicas_train_the_same_utterances_and_stay_equal(make, tmp_path):
    trainer = make(replicas=2)
    record = run(trainer, tmp_path / "r.csv", max_epochs=1)
    assert sum(row.utterances for row in record.rows if row.phase is Phase.TRAIN) == 21
    for variable in trainer.model.trainable_variables:
        first, second = trainer.strategy.experimental_local_results(variable.value)
        np.testing.assert_array_equal(first, second)


def test_one_step_is_the_same_on_one_and_on_two_replicas_without_batch_statistics(make, monkeypatch, tf):
    """The gradient of a batch is the mean over its utterances, wherever they are computed."""
    from models import deepspeech

    monkeypatch.setattr(
        deepspeech.BatchNorm,
        "_moments",
        lambda self, x, valid: (self.moving_mean * 0.0, self.moving_variance * 0.0 + 1.0),
    )
    weights = []
    for replicas in (1, 2):
        trainer = make(replicas=replicas, workload=replace(TINY, dropout=0.0))
        plan = Plan(batches_per_epoch=trainer.batches_per_epoch, max_epochs=1, max_seconds=1, targets={}, segment=1)
        from benchmark.journal import RunRecord

        trainer.perform(Phase.CREATE, RunRecord(), plan)
        trainer.perform(Phase.TRAIN, RunRecord(), plan)
        weights.append([variable.numpy() for variable in trainer.model.trainable_variables])
    for one, two in zip(*weights, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-6)


def test_transcripts_do_not_depend_on_batch_or_replicas(make, tf):
    from benchmark.journal import RunRecord

    found = []
    for replicas, batch in ((1, 1), (1, 4), (2, 4), (4, 4), (1, 7)):
        trainer = make(replicas=replicas, batch=batch)
        trainer.perform(Phase.CREATE, RunRecord(), None)
        found.append(trainer._transcribe(trainer._evaluation_batches("dev"), decode=decoders.greedy))
    assert len(found[0]) == 7
    assert all(sentences == found[0] for sentences in found)


def test_a_loss_that_is_no_number_ends_the_run_and_says_between_which_batches(make):
    from benchmark.journal import RunRecord
    from benchmark.trainer import Diverged

    trainer = make()
    plan = Plan(batches_per_epoch=trainer.batches_per_epoch, max_epochs=1, max_seconds=1, targets={}, segment=2)
    trainer.perform(Phase.CREATE, RunRecord(), plan)
    kernel = trainer.model.output_layer.kernel
    kernel.assign(kernel * float("nan"))
    with pytest.raises(Diverged, match=r"between batches 1 and 2 \(epoch 1\)"):
        trainer.perform(Phase.TRAIN, RunRecord(), plan)


def test_a_checkpoint_brings_back_weights_moving_averages_and_optimiser(make, tf, tmp_path):
    trainer = make()
    run(trainer, tmp_path / "r.csv", max_epochs=1)
    variables = trainer.model.variables + trainer.optimizer.variables
    saved = [variable.numpy() for variable in variables]
    assert len(trainer.model.non_trainable_variables) == 2 * 2  # mean and variance after convolution and LSTM
    for variable in variables:
        variable.assign(tf.zeros_like(variable))
    latest = trainer._checkpoints.latest_checkpoint
    assert latest.endswith(f"ckpt-{trainer.batches_per_epoch}")
    trainer._checkpoints.checkpoint.restore(latest).assert_consumed()
    for variable, value in zip(variables, saved, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value, err_msg=variable.path)


@pytest.mark.parametrize("recipe", ["paper", "authors"])
def test_both_recipes_and_both_paddings_train(make, tmp_path, recipe):
    workload = replace(TINY, recipe=recipe, padding="fixed", max_frames=200, augment="specaugment")
    record = run(make(workload=workload), tmp_path / "r.csv", max_epochs=1)
    assert np.isfinite(losses(record)).all() and record.evaluated_epoch == 1


def test_mixed_float16_trains_with_loss_scaling(make, tmp_path, tf):
    from benchmark import devices

    trainer = make()
    training = replace(trainer.platform.training, precision="mixed_float16")
    trainer.platform = replace(trainer.platform, training=training)
    devices._set_precision("mixed_float16")
    try:
        record = run(trainer, tmp_path / "r.csv", max_epochs=1)
    finally:
        devices._set_precision("float32")
    assert isinstance(trainer.optimizer, tf.keras.mixed_precision.LossScaleOptimizer)
    assert np.isfinite(losses(record)).all() and record.evaluated_epoch == 1
