"""The trainer on tones: one and two replicas, in this process."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from transitions import AFTER

import platforms
from benchmark import workloads
from benchmark.record.clocks import Clock
from benchmark.record.columns import Identity
from benchmark.record.journal import Journal, read
from benchmark.record.phases import EVALUATED, Phase, Plan
from benchmark.run.evaluate.decoding import DecodingPool
from benchmark.run.loop import Loop
from benchmark.run.prepare.data import Data
from benchmark.run.state.progress import Progress
from benchmark.run.watch.view import PlainView
from benchmark.workloads import EVALUATIONS
from features.shards import manifest
from models.ctc.decoders import Decoder
from models.table import with_recipe

TINY = replace(
    workloads.load("mini").with_model(filters=8, units=16, layers=1, dropout=0.1), buckets=1
)  # 16 fill a vector
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


class Told:
    """A listener that remembers."""

    def __init__(self):
        self.all_heard = []

    def heard(self, heard):
        self.all_heard.append(heard)

    def decoded(self, done, total):
        pass

    def warn(self, sentence):
        raise AssertionError(sentence)


def new_trainer(
    tf, features, folder, *, replicas=1, batch=4, seed=1, workload=TINY, pool=None, precision="float32",
    synthetic=False, start=None, accumulation=1,
):  # fmt: skip
    from benchmark.run.prepare.devices import Devices
    from benchmark.run.prepare.task import Task
    from benchmark.run.train.trainer import Trainer

    names = [f"CPU:{n}" for n in range(replicas)]
    strategy = tf.distribute.MirroredStrategy(
        names, cross_device_ops=tf.distribute.ReductionToOneDevice(reduce_to_device=names[0])
    )
    platform = platforms.load("cpu").changed(batch=batch, accumulation=accumulation)
    task = Task(
        workload=workload,
        platform=replace(platform, training=replace(platform.training, precision=precision)),
        data=Data(folder=features, manifest=manifest.load(features), seconds=0.0),
        devices=Devices(
            strategy=strategy,
            replicas=replicas,
            names=("CPU",) * replicas,
            emulated=replicas > 1,
            reduction="first-gpu",
        ),
        seed=seed,
        synthetic=synthetic,
        start=start,
    )
    pool = pool or DecodingPool(Decoder(name="greedy"), jobs=1)
    return Trainer(task, folder=folder, pool=pool, listener=Told())


@pytest.fixture
def make(tf, tone_features, tmp_path):
    def trainer(*, replicas=1, seed=1, **options):
        folder = tmp_path / f"{replicas}-{seed}"
        return new_trainer(tf, tone_features, folder, replicas=replicas, seed=seed, **options)

    return trainer


def run(trainer, path, *, max_epochs=2, evaluation="resident", evaluate_every=0, checkpoint_every=5):
    """Train to the end; returns the record."""
    plan = Plan(
        batches_per_epoch=trainer.batches_per_epoch,
        max_epochs=max_epochs,
        max_seconds=1e9,
        targets={},
        generate_every=4,
        checkpoint_every=checkpoint_every,
        evaluation=evaluation,
        evaluate_every=evaluate_every,
    )
    journal = Journal.create(path, replace(IDENTITY, evaluation=evaluation))
    try:
        Loop(journal, plan, trainer, Clock(), PlainView(plan)).run_phases()
    finally:
        journal.close()
    return read(path)


def losses(record):
    return [row.loss for row in record.rows if row.phase is Phase.TRAIN]


def first_epoch(record):
    return [row.loss for row in record.rows if row.phase is Phase.TRAIN and row.epoch == 1]


class SlowPool(DecodingPool):
    """Greedy decoding that takes a moment an utterance, as a beam does."""

    def __init__(self):
        super().__init__(Decoder(name="greedy"), jobs=1)
        self.executor = ThreadPoolExecutor(1)

    def submit(self, logits, frames):
        return self.executor.submit(lambda: (time.sleep(0.05), self._greedy(logits, frames))[1])


def watched_run(trainer, path, **options):
    """Train to the end; returns the record, and all datasets that were read, those on devices included."""
    from tensorflow.python.data.ops.iterator_ops import OwnedIterator

    from benchmark.run.train import input as inputs

    read, begin, onto = [], OwnedIterator._create_iterator, inputs._onto_devices
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OwnedIterator, "_create_iterator", lambda self, data: (read.append(data), begin(self, data))[1])
        patch.setattr(inputs, "_onto_devices", lambda data, devices: (read.append(data), onto(data, devices))[1])
        return run(trainer, path, **options), read


@pytest.fixture(scope="module")
def modes(tf, tone_features, tmp_path_factory):
    """Mode of evaluation -> the trainer, the record of three epochs, evaluated within too, and the datasets read.

    All are of TINY and of one seed. Evaluations within are where checkpoints are: rows are cut as without. Read only.
    """
    found = {}
    for mode in EVALUATIONS:
        folder = tmp_path_factory.mktemp(mode)
        trainer = new_trainer(tf, tone_features, folder, pool=SlowPool() if mode == "overlap" else None)
        options = {"max_epochs": 3, "evaluation": mode, "evaluate_every": 5}
        found[mode] = trainer, *watched_run(trainer, folder / "r.csv", **options)
    return found


@pytest.fixture(scope="module")
def on_replicas(tf, tone_features, tmp_path_factory, modes):
    """Number of replicas -> the trainer, the record and the datasets read; on two they are of two epochs. Read only."""
    folder = tmp_path_factory.mktemp("two")
    two = new_trainer(tf, tone_features, folder, replicas=2)
    return {1: modes["resident"], 2: (two, *watched_run(two, folder / "r.csv", max_epochs=2))}


def test_epochs_train_every_utterance_once_and_evaluate_all(modes, tone_features):
    trainer, record, _ = modes["resident"]
    for epoch in (1, 2, 3):
        rows = [row for row in record.rows if row.phase is Phase.TRAIN and row.epoch == epoch]
        assert sum(row.utterances for row in rows) == 21
        assert sum(row.audio_s for row in rows) == pytest.approx(
            manifest.load(tone_features).seconds("train"), abs=0.05
        )
    assert [row.utterances for row in record.evaluations] == [7, 7, 7]
    heard = trainer.listener.all_heard
    generated = [one.examples for one in heard if one.phase == "generate"]
    assert generated and all(len(examples) == 3 and all(e.reference for e in examples) for examples in generated)
    evaluated = [one for one in heard if one.phase == "evaluate"]
    assert [(one.epoch, round(one.wer, 6)) for one in evaluated] == [(row.epoch, row.wer) for row in record.evaluations]


@pytest.mark.parametrize(
    "precision",
    [p if p == "float32" else pytest.param(p, marks=pytest.mark.slow) for p in platforms.PRECISIONS],
)
def test_every_precision_learns(make, tmp_path, tf, precision):
    from benchmark.run.prepare import devices

    trainer = make(workload=TINY.with_model(dropout=0.0), precision=precision)
    devices._set_precision(precision)
    try:
        record = run(trainer, tmp_path / "r.csv", max_epochs=6, checkpoint_every=99)
    finally:
        devices._set_precision("float32")
    scaled = isinstance(trainer.models.optimizer, tf.keras.mixed_precision.LossScaleOptimizer)
    assert scaled == (precision == "mixed_float16")
    first, last = (
        sum(row.loss * row.utterances for row in record.rows if row.phase is Phase.TRAIN and row.epoch == epoch)
        for epoch in (1, 6)
    )
    assert last < 0.95 * first


def test_a_train_row_says_what_arithmetic_it_took_and_how_long_it_waited_for_input(modes, tone_features):
    rows = [row for row in modes["resident"][1].rows if row.phase is Phase.TRAIN and row.epoch == 1]
    assert all(0 < row.input_s < row.seconds for row in rows)
    lengths = manifest.load(tone_features).lengths("train")
    # T' frames, each 2 (2 x 11 x 93 x 8 + 3 x 4 x 16 (8 + 16) + 3 x 16 x 30) operations
    frames = sum((length - 11) // 2 + 1 for length in lengths)
    assert sum(row.tflop for row in rows) == pytest.approx(frames * 2 * (16368 + 4608 + 1440) / 1e12, abs=1e-5)


def test_buckets_cost_one_trace_of_the_training_step_and_at_most_one_each_of_the_loops(make, tmp_path):
    from models.deepspeech import lstm

    loops = (lstm._xla_forward, lstm._xla_backward_loop)  # 8 units fill no vector, so XLA compiles for each shape
    before = [loop.experimental_get_tracing_count() for loop in loops]
    trainer = make(workload=replace(TINY.with_model(units=8), buckets=3))
    run(trainer, tmp_path / "r.csv", max_epochs=2)
    assert len(trainer.source.layout.boundaries) == 3
    assert trainer.models.step.segment.experimental_get_tracing_count() == 1
    for loop, count in zip(loops, before, strict=True):
        assert loop.experimental_get_tracing_count() - count <= 3


def test_batches_from_memory_are_as_many_as_read_ones_and_nothing_is_read(make, tmp_path, monkeypatch):
    trainer = make(synthetic=True)
    read_once = trainer.source.read
    epochs = []
    monkeypatch.setattr(trainer.source, "read", lambda epoch: (epochs.append(epoch), read_once(epoch))[1])
    record = run(trainer, tmp_path / "r.csv", max_epochs=2)
    assert [row.epoch for row in record.evaluations] == [1, 2]
    assert len(epochs) == 1


@pytest.mark.parametrize(
    ("replicas", "synthetic"), [(1, False), (2, False), pytest.param(2, True, marks=pytest.mark.slow)]
)
def test_no_dataset_is_tuned_by_tf_data_those_of_devices_included(make, tmp_path, on_replicas, replicas, synthetic):
    """Giving up a tuned iterator waits for a sleeping thread, and the clock goes on."""
    if synthetic:
        _, read = watched_run(make(replicas=replicas, synthetic=True), tmp_path / "r.csv", max_epochs=2)
    else:
        _, _, read = on_replicas[replicas]
    opened = 1 if replicas == 1 else 1 + replicas  # what is read, and on each device what is ahead
    assert len(read) >= opened + 2  # and evaluations
    assert {data.options().autotune.enabled for data in read} == {False}


@pytest.mark.parametrize(
    ("augment", "opened"), [("none", [(1, 0)]), pytest.param("specaugment", [(1, 0), (2, 0)], marks=pytest.mark.slow)]
)
def test_batches_are_opened_once_for_all_epochs_and_with_masks_once_for_each(
    make, tmp_path, monkeypatch, augment, opened
):
    trainer, found = make(workload=replace(TINY, augment=augment)), []
    begin = trainer.source.epochs
    monkeypatch.setattr(
        trainer.source, "epochs", lambda first, skip: (found.append((first, skip)), begin(first, skip=skip))[1]
    )
    run(trainer, tmp_path / "r.csv", max_epochs=2)
    assert found == opened
    trainer.host.segment(epoch=1, skip=1, step=1, count=1)  # as one that goes on from a checkpoint
    assert found == [*opened, (1, 1)]


def test_the_same_seed_gives_the_same_losses_and_another_seed_others(make, tmp_path, modes):
    one = first_epoch(modes["resident"][1])
    again, other = (losses(run(make(seed=seed), tmp_path / f"{seed}.csv", max_epochs=1)) for seed in (1, 2))
    np.testing.assert_allclose(one, again, rtol=1e-6)
    assert not np.allclose(one, other, rtol=1e-3)


def test_two_replicas_train_the_same_utterances_and_stay_equal(on_replicas):
    trainer, record, _ = on_replicas[2]
    for epoch in (1, 2):
        rows = [row for row in record.rows if row.phase is Phase.TRAIN and row.epoch == epoch]
        assert sum(row.utterances for row in rows) == 21
    for variable in trainer.models.model.trainable_variables:
        first, second = trainer.task.devices.strategy.experimental_local_results(variable.value)
        np.testing.assert_array_equal(first, second)


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [1, 2])
def test_on_devices_that_are_not_the_host_and_with_a_gpus_ctc_losses_are_those_of_a_cpu(
    on_replicas, make, tmp_path, tf, replicas
):
    """Logical CPUs stand for the GPUs: batches, sums, seeds and the loop are then on another device than the host."""
    first = on_replicas[replicas][1]
    trainer = make(replicas=replicas)
    names = [f"CPU:{n}" for n in range(1, 1 + replicas)]
    to_first = tf.distribute.ReductionToOneDevice(reduce_to_device=names[0])
    strategy = tf.distribute.MirroredStrategy(names, cross_device_ops=to_first)
    devices = replace(trainer.task.devices, strategy=strategy, names=("GPU",) * replicas, emulated=False)
    task = replace(trainer.task, devices=devices)
    task.learner.ctc_kernel = "xla"
    trainer = type(trainer)(task, folder=tmp_path / "gpu", pool=trainer.host.pool, listener=Told())
    second = run(trainer, tmp_path / "gpu.csv", max_epochs=2)
    assert all("CPU:1" in str(each.device) for each in (trainer.models.step._sums, trainer.models.step._spoilt))
    np.testing.assert_allclose(losses(second), losses(first)[: len(losses(second))], rtol=1e-4)
    assert [row.epoch for row in second.evaluations] == [1, 2]


def test_a_step_sends_two_messages_its_gradients_and_all_the_rest(make, tf, monkeypatch):
    from tensorflow.python.distribute.cross_device_ops import CrossDeviceOps

    sent, reduce = [], CrossDeviceOps.batch_reduce
    monkeypatch.setattr(
        CrossDeviceOps, "batch_reduce", lambda self, *given, **more: (sent.append(1), reduce(self, *given, **more))[1]
    )
    monkeypatch.setattr(CrossDeviceOps, "reduce", lambda *_, **__: pytest.fail("a message of its own"))
    trainer = make(replicas=2, workload=TINY.with_model(layers=3))
    plan = Plan(batches_per_epoch=trainer.batches_per_epoch, max_epochs=1, max_seconds=1, targets={}, segment=1)
    trainer.perform(Phase.CREATE, Progress(), plan)
    trainer.perform(Phase.TRAIN, Progress(), plan)  # traces one step
    assert len(sent) == 2


def test_one_step_is_the_same_on_one_and_on_two_replicas_without_batch_statistics(make, monkeypatch, tf):
    """The gradient of a batch is the mean over its utterances, wherever they are computed."""
    from models.deepspeech import network as deepspeech

    call = deepspeech.BatchNorm.call

    def by_moving_averages(self, x, valid, **_):  # training or not, these stay where they are
        self.moved.values = (tf.identity(self.moving_mean), tf.identity(self.moving_variance))
        return call(self, x, valid, training=False)

    for name in ("call", "with_dropout"):
        monkeypatch.setattr(deepspeech.BatchNorm, name, by_moving_averages)
    weights = []
    for replicas in (1, 2):
        trainer = make(replicas=replicas, workload=TINY.with_model(dropout=0.0))
        plan = Plan(batches_per_epoch=trainer.batches_per_epoch, max_epochs=1, max_seconds=1, targets={}, segment=1)
        trainer.perform(Phase.CREATE, Progress(), plan)
        trainer.perform(Phase.TRAIN, Progress(), plan)
        weights.append([variable.numpy() for variable in trainer.models.model.trainable_variables])
    for one, two in zip(*weights, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-6)


@pytest.fixture(scope="module")
def whole(tf, tone_features, tmp_path_factory, on_replicas):
    """Number of replicas, precision -> the trainer and the record of two epochs without pieces. Read only."""

    @cache
    def trained(replicas, precision):
        if (replicas, precision) == (2, "float32"):
            return on_replicas[2][:2]
        folder = tmp_path_factory.mktemp("whole")
        trainer = new_trainer(tf, tone_features, folder, replicas=replicas, precision=precision)
        return trainer, run(trainer, folder / "r.csv", max_epochs=2)

    return trained


@pytest.mark.parametrize(
    ("replicas", "accumulation", "precision"),
    [
        (1, 2, "float32"),
        pytest.param(2, 2, "float32", marks=pytest.mark.slow),
        pytest.param(1, 4, "float32", marks=pytest.mark.slow),
        pytest.param(1, 2, "mixed_float16", marks=pytest.mark.slow),
    ],
)
def test_replicas_that_accumulate_train_as_so_many_times_the_replicas(
    make, whole, tmp_path, replicas, accumulation, precision
):
    """In losses, weights, the optimiser's sums and moving averages; the last batch, of 21 by fours, is filled up."""
    from benchmark.run.prepare import devices

    devices._set_precision(precision)
    try:
        pieces = make(replicas=replicas, accumulation=accumulation, precision=precision)
        one = run(pieces, tmp_path / "r.csv", max_epochs=2)
        uncut, other = whole(replicas * accumulation, precision)
    finally:
        devices._set_precision("float32")
    near = {"rtol": 1e-4, "atol": 1e-5} if precision == "float32" else {"rtol": 0.02, "atol": 2e-3}
    np.testing.assert_allclose(losses(one), losses(other), rtol=near["rtol"])
    assert [row.utterances for row in one.rows] == [row.utterances for row in other.rows]
    for mine, theirs in zip(
        pieces.models.model.variables + pieces.models.optimizer.variables,
        uncut.models.model.variables + uncut.models.optimizer.variables,
        strict=True,
    ):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), err_msg=mine.path, **near)


def test_a_loss_that_is_no_number_ends_the_run_and_names_the_batch(make):
    from benchmark.run.train.trainer import Diverged

    trainer = make()
    plan = Plan(batches_per_epoch=trainer.batches_per_epoch, max_epochs=1, max_seconds=1, targets={}, segment=2)
    trainer.perform(Phase.CREATE, Progress(), plan)
    kernel = trainer.models.model.output_layer.kernel
    kernel.assign(kernel * float("nan"))
    with pytest.raises(Diverged, match=r"became nan at batch 1 \(epoch 1\)"):
        trainer.perform(Phase.TRAIN, Progress(), plan)


def figures(record):
    rows = record.finely.evaluations
    return [(row.step, row.epoch, row.wer, row.cer, row.wer_mean, row.cer_paper) for row in rows]


def test_every_mode_of_evaluation_gives_the_same_losses_and_error_rates_to_the_last_digit(modes):
    resident = modes["resident"][1]
    assert len(resident.evaluations) == 3 and len(figures(resident)) > 3
    assert len({rates[2:] for rates in figures(resident)}) >= 3, "error rates too dull to tell models apart"
    for _, record, _ in modes.values():
        assert figures(record) == figures(resident)
        assert losses(record) == losses(resident)


def test_swapping_is_written_down_and_leaves_only_the_model_in_use(modes):
    phases = [row.phase for row in modes["swap"][1].rows]
    for number, phase in enumerate(phases):
        if phase in EVALUATED:
            assert phases[number - 2 : number] == [Phase.CHECKPOINT, Phase.SWAP]
    evaluations = sum(phase in EVALUATED for phase in phases)
    assert phases.count(Phase.SWAP) == 2 * evaluations - 1  # none back after the last
    trainer = modes["swap"][0]
    assert trainer.models.transcriber.model is not trainer.models.model
    for variable in trainer.models.model.variables + trainer.models.optimizer.variables:
        for part in trainer.task.devices.strategy.experimental_local_results(variable.value):
            assert part.numpy().size == 0


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [1, 2])
def test_swapping_there_and_back_brings_back_every_variable_and_compiles_nothing_anew(make, tmp_path, replicas):
    trainer = make(replicas=replicas)
    record = run(trainer, tmp_path / "r.csv", max_epochs=1)
    plan = Plan(batches_per_epoch=trainer.batches_per_epoch, max_epochs=9, max_seconds=1e9, targets={}, segment=1)
    progress = Progress.of(record.rows)
    variables = trainer.models.model.variables + trainer.models.optimizer.variables
    saved = [variable.numpy() for variable in variables]
    traced = []
    for _ in range(3):
        trainer.swap(progress, plan)
        evaluated = trainer.evaluate(progress, plan)
        assert evaluated.wer == record.evaluations[-1].wer and evaluated.cer == record.evaluations[-1].cer
        trainer.swap(progress, plan)
        for variable, value in zip(variables, saved, strict=True):
            np.testing.assert_array_equal(variable.numpy(), value, err_msg=variable.path)
        functions = (trainer.models.step.segment, trainer.models._evaluation._forward)
        traced.append([function.experimental_get_tracing_count() for function in functions])
    assert traced[0] == traced[1] == traced[2]


def test_a_swap_keeps_the_precision(make):
    from benchmark.run.prepare import devices

    devices._set_precision("mixed_bfloat16")
    try:
        trainer = make(precision="mixed_bfloat16")
        plan = Plan(batches_per_epoch=trainer.batches_per_epoch, max_epochs=9, max_seconds=1e9, targets={})
        for phase in (Phase.CREATE, Phase.CHECKPOINT, Phase.SWAP):
            trainer.perform(phase, Progress(), plan)
        assert trainer.models.transcriber.model is not trainer.models.model
        assert trainer.models.transcriber.model.convolution.compute_dtype == "bfloat16"
    finally:
        devices._set_precision("float32")


def test_gradients_that_one_replica_spoils_are_spoilt_on_all(tf):
    from benchmark.run.train.step import spoilt_together

    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

    @tf.function
    def on_all(spoil):
        def on_one():
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            bad = tf.where((replica == 1) & spoil, float("inf"), 1.0)
            return spoilt_together([tf.stack([1.0, bad]), tf.constant([2.0])])

        return strategy.run(on_one)

    for spoil in (False, True):
        for gradient in on_all(tf.constant(spoil)):
            for part in strategy.experimental_local_results(gradient):
                assert bool(np.isnan(part.numpy()).all()) is spoil


def test_what_was_evaluated_before_a_run_diverged_still_counts(make, tmp_path, monkeypatch):
    from benchmark.run.train.trainer import Diverged

    trainer = make(pool=SlowPool())
    train = trainer.train

    def diverge(progress, plan):
        if progress.step >= plan.batches_per_epoch:
            raise Diverged("the loss became nan")
        return train(progress, plan)

    trainer._perform[Phase.TRAIN] = diverge
    with pytest.raises(Diverged):
        run(trainer, tmp_path / "r.csv", max_epochs=2, evaluation="overlap")
    assert read(tmp_path / "r.csv").evaluated_epoch == 1


def test_an_overlapping_evaluation_is_of_its_epochs_weights_and_ends_when_its_figures_are_known(modes):
    record = modes["overlap"][1]
    trained = [row for row in record.rows if row.phase is Phase.TRAIN]
    for row in record.evaluations:
        assert row.step == row.epoch * modes["overlap"][0].batches_per_epoch
        assert row.seconds > 7 * 0.05  # seven utterances, decoded one after another
        if row.epoch < 3:  # the next epoch began to train meanwhile
            assert any(row.started_s < other.started_s < row.ended_s for other in trained)
    assert record.evaluated_epoch == 3


@pytest.mark.parametrize("mode", EVALUATIONS)
def test_rows_follow_each_other_as_the_table_of_phases_allows(modes, mode):
    phases = [None, *(row.phase for row in modes[mode][1].rows), Phase.DONE]
    assert all(after in AFTER[before] for before, after in zip(phases, phases[1:], strict=False))


def test_the_last_three_checkpoints_and_the_best_epochs_are_kept(modes):
    trainer, record, _ = modes["resident"]
    best = min(record.evaluations, key=lambda row: row.wer)
    saved = [row.step for row in record.rows if row.phase is Phase.CHECKPOINT]
    assert trainer.checkpoints.steps() == sorted({*saved[-3:], best.step})


def test_a_checkpoint_brings_back_weights_moving_averages_and_optimiser(make, tf, modes):
    trainer, record, _ = modes["resident"]
    saved = values(trainer)
    assert len(trainer.models.model.non_trainable_variables) == 2 * 2  # mean and variance after convolution and LSTM
    assert trainer.checkpoints.steps()[-1] == record.rows[-1].step == 3 * trainer.batches_per_epoch
    other = make()
    other.host.make()
    for variable in other.models.model.variables + other.models.optimizer.variables:
        variable.assign(tf.zeros_like(variable))
    trainer.checkpoints.restore(record.rows[-1].step, other.models.model, other.models.optimizer)
    for variable, value in zip(other.models.model.variables + other.models.optimizer.variables, saved, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value, err_msg=variable.path)


@pytest.fixture(scope="module")
def modern():
    return replace(TINY, model=with_recipe(TINY.model, "modern")).with_model(layers=1)


def values(trainer):
    return [v.numpy() for v in trainer.models.model.variables + trainer.models.optimizer.variables]


@pytest.fixture(scope="module")
def modern_run(modern, tf, tone_features, tmp_path_factory):
    """The trainer and the record of two epochs of modern, evaluated in place. Read only."""
    folder = tmp_path_factory.mktemp("modern")
    trainer = new_trainer(tf, tone_features, folder, workload=modern)
    return trainer, run(trainer, folder / "r.csv", max_epochs=2)


def test_what_modern_evaluates_and_saves_are_averages_and_training_goes_on_from_the_weights(modern_run):
    """A checkpoint's model alone gives the evaluated sentences; with its optimiser it brings back what was trained."""
    from benchmark.run.evaluate.evaluation import Transcriber

    trainer, record = modern_run
    ended, sentences = values(trainer), trainer.listener.all_heard[-1].examples
    plan = Plan(batches_per_epoch=trainer.batches_per_epoch, max_epochs=9, max_seconds=1e9, targets={})
    trainer.evaluate(Progress.of(record.rows), plan)
    for before, after in zip(ended, values(trainer), strict=True):
        np.testing.assert_array_equal(before, after)  # evaluating changes no digit

    alone = Transcriber(trainer.task.new_model(), trainer.task)
    trainer.checkpoints.restore(2 * trainer.batches_per_epoch, alone.model)
    evaluated = alone.transcribe("dev", trainer.host.pool).result()
    assert evaluated.heard("evaluate", 1, 1).examples == sentences
    training = [v.numpy() for v in trainer.models.model.trainable_variables]
    saved = [v.numpy() for v in alone.model.trainable_variables]
    assert any((one != other).any() for one, other in zip(training, saved, strict=True)), "nothing was averaged"

    again = type(trainer)(
        trainer.task, folder=trainer.checkpoints.folder.parent, pool=trainer.host.pool, listener=Told()
    )
    again.perform(Phase.CREATE, Progress.of(record.rows, attempt=2), plan)
    for before, after in zip(ended, values(again), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.fixture(scope="module")
def undropped(modern, tf, tone_features, tmp_path_factory):
    """Replicas, pieces -> what an epoch of modern leaves in all variables, without dropout."""
    workload = modern.with_model(dropout=0.0)

    @cache
    def trained(replicas, accumulation):
        folder = tmp_path_factory.mktemp("undropped")
        trainer = new_trainer(
            tf, tone_features, folder, replicas=replicas, accumulation=accumulation, workload=workload
        )
        run(trainer, folder / "r.csv", max_epochs=1)
        return values(trainer)

    return trained


@pytest.mark.slow
@pytest.mark.parametrize(("replicas", "accumulation"), [(2, 1), (1, 2)])
def test_modern_trains_alike_on_replicas_and_in_pieces(undropped, replicas, accumulation):
    """Gradients are clipped by the norm of their sum. Without dropout, which is drawn for each replica and piece."""
    for mine, theirs in zip(undropped(1, 1), undropped(replicas, accumulation), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-3, atol=2e-5)


@pytest.mark.slow
def test_modern_swapped_gives_the_same_losses_and_error_rates(modern, modern_run, make, tmp_path):
    swapped, resident = run(make(workload=modern), tmp_path / "r.csv", evaluation="swap"), modern_run[1]
    assert figures(swapped) == figures(resident) and losses(swapped) == losses(resident)


def test_a_run_can_begin_with_the_weights_of_another_and_a_new_optimiser(make, modes):
    first, record, _ = modes["resident"]
    other = make(seed=2, start=(first.checkpoints.folder, record.rows[-1].step))
    plan = Plan(batches_per_epoch=other.batches_per_epoch, max_epochs=9, max_seconds=1e9, targets={})
    assert other.create(Progress(), plan).step == 0
    for mine, theirs in zip(other.models.model.variables, first.models.model.variables, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy(), err_msg=mine.path)
    assert int(other.models.optimizer.iterations.numpy()) == 0


def test_a_part_of_the_training_set_is_all_that_is_trained_on(make, tone_features, tmp_path):
    workload = replace(TINY, samples=9, subset_seed=3, label_noise=0.5)
    trainer = make(workload=workload)
    trainer.task = replace(trainer.task, data=trainer.task.data.part(workload))
    trainer.host.source = type(trainer.source)(trainer.task)
    record = run(trainer, tmp_path / "r.csv", max_epochs=2)
    assert trainer.batches_per_epoch == 3  # 9 utterances in batches of 4
    for epoch in (1, 2):
        rows = [row for row in record.rows if row.phase is Phase.TRAIN and row.epoch == epoch]
        assert sum(row.utterances for row in rows) == 9


@pytest.mark.parametrize("recipe", ["paper", pytest.param("authors", marks=pytest.mark.slow), "modern"])
def test_all_recipes_and_both_paddings_train(make, tmp_path, recipe):
    workload = replace(TINY.with_model(recipe=recipe), padding="fixed", max_frames=200, augment="specaugment")
    record = run(make(workload=workload), tmp_path / "r.csv", max_epochs=1)
    assert np.isfinite(losses(record)).all() and record.evaluated_epoch == 1


# --- the time that a machine takes by itself, where several wait for one another --------------------------------------


@pytest.fixture
def step_of(tf, tone_features, tmp_path, monkeypatch):
    """What makes a trainer's step and its batches; `machines` is told to the step, though there is one."""
    from benchmark.run.prepare import devices
    from benchmark.run.train.step import TrainStep

    def make(*, machines=2, deterministic=False, **options):
        monkeypatch.setattr(TrainStep, "_agreed", machines > 1)
        monkeypatch.setattr(devices, "deterministic", deterministic)
        trainer = new_trainer(tf, tone_features, tmp_path, **options)
        trainer.host.make()
        return trainer.models.step, trainer.source.epochs(1)

    return make


def timestamps(function) -> int:
    """Nodes of a function, and of those that it calls, that read the time of day."""
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
    return len({node.name for node in nodes if node.op == "Timestamp"})


@pytest.mark.parametrize(
    "options", [{}, *(pytest.param({each: 2}, marks=pytest.mark.slow) for each in ("replicas", "accumulation"))]
)
def test_several_machines_measure_it_and_it_is_less_than_the_segment_took(tf, step_of, options):
    step, batches = step_of(**options)
    began_s = time.monotonic()
    totals = step.segment(batches, tf.constant(0), tf.constant(2))
    took_s = time.monotonic() - began_s
    assert 0 < float(totals.own_s) < took_s - float(totals.input_s)
    assert int(totals.batches) == 2


@pytest.mark.parametrize("waits_before", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_what_comes_before_the_gradients_is_part_of_it_and_what_comes_after_is_not(
    tf, step_of, monkeypatch, waits_before
):
    """Half a second is waited in each batch, before or after: after them a machine waits for the others."""
    from benchmark.run.train.step import TrainStep

    def half_a_second(value):
        time.sleep(0.5)
        return value

    def waited(values):
        first, *rest = values
        return [tf.ensure_shape(tf.numpy_function(half_a_second, [first], first.dtype), first.shape), *rest]

    def slow_gradients(self, *arguments, gradients=TrainStep.gradients):
        losses, found = gradients(self, *arguments)
        return losses, waited(found)

    def slow_apply(self, gradients, apply=TrainStep.apply):
        apply(self, waited(gradients))

    name, slow = ("gradients", slow_gradients) if waits_before else ("apply", slow_apply)
    monkeypatch.setattr(TrainStep, name, slow)
    step, batches = step_of()
    step.segment(batches, tf.constant(0), tf.constant(1))  # compiles
    began_s = time.monotonic()
    totals = step.segment(batches, tf.constant(1), tf.constant(2))
    assert time.monotonic() - began_s > 1.0  # two batches
    assert (float(totals.own_s) > 1.0) is waits_before


@pytest.mark.slow
def test_one_machine_reads_the_time_twice_a_batch_as_before_and_several_once_more(tf, step_of):
    for machines, expected in ((1, 2), (2, 3)):
        step, batches = step_of(machines=machines)
        function = step.segment.get_concrete_function(batches, tf.constant(0), tf.constant(2))
        assert timestamps(function) == expected
        assert (function.structured_outputs.own_s is None) is (machines == 1)


def test_a_deterministic_run_reads_no_time_of_day(tf, step_of):
    step, batches = step_of(deterministic=True)
    function = step.segment.get_concrete_function(batches, tf.constant(0), tf.constant(2))
    assert timestamps(function) == 0 and function.structured_outputs.own_s is None


def test_on_gpus_it_is_not_measured(tf, step_of):
    step, _ = step_of()
    step.devices = replace(step.devices, names=("GPU",))
    assert not step._timed
