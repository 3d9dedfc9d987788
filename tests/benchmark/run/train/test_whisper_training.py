"""Whisper through the trainer, the phases and the command line, with a tiny model on tones."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import command, in_process
from whispers import folder_of

import platforms
from benchmark import workloads
from benchmark.__main__ import main
from benchmark.metrics import METRICS
from benchmark.record import journal
from benchmark.record.clocks import Clock
from benchmark.record.finals import read_finals
from benchmark.record.journal import Journal
from benchmark.record.phases import EVALUATED, Phase, Plan
from benchmark.run.evaluate.decoding import DecodingPool
from benchmark.run.loop import Loop
from benchmark.run.prepare.trained import FinalError, Trained, check_start
from benchmark.run.watch.view import PlainView
from features.shards import manifest
from models.ctc.decoders import Decoder
from tests.benchmark.run.train.test_trainer import IDENTITY, Told


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    pytest.importorskip("safetensors")
    pytest.importorskip("tiktoken")
    return folder_of(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def features(tone_corpus, tmp_path_factory):
    from features.shards.extraction import extract_corpus

    out = tmp_path_factory.mktemp("features80")
    extract_corpus(
        tone_corpus,
        out,
        settings=manifest.Settings(front_end="logmel80-normalised", max_frames=200, shard_utterances=8),
        jobs=1,
    )
    return out


@pytest.fixture(scope="module")
def new_trainer(tf, features, weights, tmp_path_factory):
    from benchmark.run.prepare.data import Data
    from benchmark.run.prepare.devices import Devices
    from benchmark.run.prepare.task import Task
    from benchmark.run.train.trainer import Trainer

    def new_trainer(*, replicas=1, accumulation=1):
        names = [f"CPU:{n}" for n in range(replicas)]
        workload = replace(
            workloads.load("whisper").with_model(weights=str(weights)),
            max_frames=200,
            max_epochs=2,
            max_steps=0,
            targets={},
        )
        task = Task(
            workload=workload,
            platform=platforms.load("cpu").changed(batch=4, accumulation=accumulation),
            data=Data(folder=features, manifest=manifest.load(features), seconds=0.0),
            devices=Devices(
                strategy=tf.distribute.MirroredStrategy(
                    names, cross_device_ops=tf.distribute.ReductionToOneDevice(reduce_to_device=names[0])
                ),
                replicas=replicas,
                names=("CPU",) * replicas,
                emulated=replicas > 1,
                reduction="first-gpu",
            ),
            seed=1,
        )
        task = replace(task, data=task.data.part(workload, task.learner.encode))
        pool = DecodingPool(Decoder(own=task.learner.decode), jobs=1)
        return Trainer(task, folder=tmp_path_factory.mktemp("trained") / "r", pool=pool, listener=Told())

    return new_trainer


def run(trainer, *, evaluation="resident"):
    """Train two epochs; returns the record."""
    plan = Plan(
        batches_per_epoch=trainer.batches_per_epoch, max_epochs=2, max_seconds=1e9, targets={}, generate_every=4,
        checkpoint_every=5, evaluation=evaluation,
    )  # fmt: skip
    path = trainer.checkpoints.folder.parent.with_suffix(".csv")
    written = Journal.create(path, replace(IDENTITY, evaluation=evaluation))
    try:
        Loop(written, plan, trainer, Clock(), PlainView(plan)).run_phases()
    finally:
        written.close()
    return journal.read(path)


def values(models):
    return [variable.numpy() for variable in models.model.variables + models.optimizer.variables]


def begin_with(trainer, models, begun):
    """Have a trainer take these models, whose functions are traced, with the values that they began with."""

    def make():
        trainer.host.pool.start()
        for variable, value in zip(models.model.variables + models.optimizer.variables, begun, strict=True):
            variable.assign(value)
        trainer.host.models = models

    trainer.host.make = make


@pytest.fixture(scope="module")
def modes(tf, new_trainer):
    """Mode of evaluation -> the trainer, its record and the weights that it left, on one replica. Read only.

    All train the same models, each from their beginning: what is compiled for one serves the next. Swapping is last,
    as it leaves no training model.
    """
    from benchmark.run.train.swap import Models

    models, begun, found = None, None, {}
    for mode in ("resident", "overlap", "swap"):
        trainer = new_trainer()
        models = models or Models(trainer.task)
        begun = begun or values(models)
        begin_with(trainer, models, begun)
        record = run(trainer, evaluation=mode)
        found[mode] = trainer, record, [variable.numpy() for variable in models.model.variables]
    return found


@pytest.fixture(scope="module")
def whole(modes):
    """A trainer, its record and the weights that it left, on one replica and evaluated in place. Read only."""
    return modes["resident"]


def losses(record):
    return [row.loss for row in record.rows if row.phase is Phase.TRAIN]


def rates(record):
    return [tuple(getattr(row, name) for name in METRICS) for row in record.evaluations]


def test_every_utterance_is_trained_on_once_an_epoch_and_evaluated_and_work_is_counted(whole, features):
    trainer, record, _ = whole
    for epoch in (1, 2):
        rows = [row for row in record.rows if row.phase is Phase.TRAIN and row.epoch == epoch]
        assert sum(row.utterances for row in rows) == 21
        assert sum(row.audio_s for row in rows) == pytest.approx(manifest.load(features).seconds("train"), abs=0.05)
        assert all(row.tflop > 0 for row in rows)
    assert [row.utterances for row in record.evaluations] == [7, 7]
    heard = trainer.listener.all_heard
    assert any(one.phase == "generate" and len(one.examples) == 3 for one in heard)
    first, last = (
        sum(row.loss * row.utterances for row in record.rows if row.phase is Phase.TRAIN and row.epoch == epoch)
        for epoch in (1, 2)
    )
    assert last < first


def losses_of_segments(trainer, record):
    """Train the segments of a record's rows, and nothing in between; returns their losses."""
    trainer.host.make()
    found, before = [], 0
    for row in record.rows:
        if row.phase is Phase.TRAIN:
            skip = before % trainer.batches_per_epoch
            totals = trainer.host.segment(epoch=row.epoch, skip=skip, step=before, count=row.step - before)
            found.append(float(totals.loss) / float(totals.utterances))
            before = row.step
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("replicas", "accumulation"), [(1, 2), (2, 2), (2, 1)])
def test_a_batch_means_the_same_in_pieces_and_on_several_replicas(new_trainer, whole, replicas, accumulation):
    """Layer norms see one utterance each: nothing but rounding tells the trainings apart."""
    _, uncut, weights = whole
    other = new_trainer(replicas=replicas, accumulation=accumulation)
    found = losses(run(other)) if accumulation == 1 else losses_of_segments(other, uncut)
    np.testing.assert_allclose(found, losses(uncut), rtol=1e-5)
    for mine, theirs in zip(weights, other.models.model.variables, strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), atol=2e-6, err_msg=theirs.path)


@pytest.mark.parametrize("evaluation", ["swap", "overlap"])
def test_every_mode_of_evaluation_has_the_same_figures(modes, whole, evaluation):
    resident, other = whole[1], modes[evaluation][1]
    assert losses(other) == losses(resident) and rates(other) == rates(resident)
    swaps = [row.phase for row in other.rows].count(Phase.SWAP)
    assert swaps == (3 if evaluation == "swap" else 0) and sum(row.phase in EVALUATED for row in other.rows) == 2


@pytest.mark.slow
def test_the_command_fine_tunes_goes_on_and_evaluates(tmp_path, tone_corpus, weights):
    arguments = ["--workload", "whisper", "--corpus", tone_corpus, "--weights", weights, "--segment", 2, "--batch", 4]
    usual = [*arguments, "--max-epochs", 2, "--no-targets", "--seed", 3]
    done = command(tmp_path, "benchmark", *usual, "--name", "w")
    assert done.returncode == 0, done.stderr
    record = journal.read(tmp_path / "results" / "w.csv")
    facts = json.loads((tmp_path / "results" / "w" / "run.json").read_text())
    digest, tokens = (facts["first_weights"][name] for name in ("weights_sha256", "tokens_sha256"))
    assert (
        record.identity.variant == f"2-epochs+segments-2s+weights-{digest[:8]}+tokens-{tokens[:8]}"
        and record.identity.recipe == "fine-tune"
    )
    assert [row.utterances for row in record.evaluations] == [7, 7] and facts["workload"]["max_frames"] == 200
    streamed = command(tmp_path, "benchmark", *usual, "--name", "s", "--stream")
    assert streamed.returncode == 0, streamed.stderr
    assert losses(journal.read(tmp_path / "results" / "s.csv")) == losses(record)
    done = command(tmp_path, "benchmark.final", "results/w", "--checkpoints", "last", "--train-sample", 4)
    assert done.returncode == 0, done.stderr
    (dev, _) = (each.row for each in read_finals(tmp_path / "results" / "w"))
    assert float(dev["wer"]) == record.evaluations[-1].wer and float(dev["cer"]) == record.evaluations[-1].cer
    asked = ("results/w", tone_corpus / "dev-tones", "--checkpoint", "last", "--format", "json")
    heard = command(tmp_path, "benchmark.transcribe", *asked)
    assert heard.returncode == 0, heard.stderr
    texts = {Path(each["name"]).stem: each["text"] for each in json.loads(heard.stdout)["recordings"]}
    (last,) = [each for each in read_finals(tmp_path / "results" / "w") if each.row["subset"] == "dev-tones"]
    assert texts == {row["utterance"]: row["hypothesis"] for row in last.utterances()}


def test_a_final_evaluation_with_other_tokens_than_the_run_began_with_is_refused(tmp_path):
    first = {"weights": "w", "weights_sha256": "a" * 64, "tokens_sha256": "b" * 64}
    run = Trained(folder=tmp_path, record=None, workload=None, precision="float32", batch=1, features=None,
                  first_weights=first)  # fmt: skip
    check_start(run, first)
    check_start(run, {})
    with pytest.raises(FinalError, match="tokens_sha256 of w is cccccccc; expected bbbbbbbb, with which the run began"):
        check_start(run, first | {"tokens_sha256": "c" * 64})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workload", "whisper"], "give its folder with CORPUS=folder"),
        (["--workload", "whisper", "--weights", "absent"], "--weights absent: no such file or folder"),
        (["--workload", "whisper", "--weights", "random", "--decoder", "dictionary"], "a decoder of greedy"),
        (["--workload", "mini", "--recipe", "fine-tune"], "expected a recipe of paper, authors"),
        (["--workload", "whisper", "--weights", "random", "--padding", "bucket"], "expected 'fixed', as whisper takes"),
        (["--workload", "whisper", "--weights", "random", "--augment", "specaugment"], "augment is 'specaugment'"),
        (
            ["--workload", "mini", "--weights", "random"],
            "--weights, but model deepspeech has no such setting; leave it out",
        ),
    ],
)
def test_what_does_not_fit_gets_one_line(tmp_path, arguments, said):
    if arguments == ["--workload", "whisper"]:
        arguments = [*arguments, "--weights", "random"]
    done = in_process(tmp_path, main, *arguments)
    lines = [line for line in done.stderr.splitlines() if line.startswith("benchmark:")]
    assert done.returncode == 2 and len(lines) == 1 and said in lines[0], done.stderr
