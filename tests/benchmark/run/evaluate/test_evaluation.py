"""The same weights give the same transcripts and the same four figures, however they are evaluated."""

from dataclasses import replace

import numpy as np
import pytest

import platforms
from benchmark import workloads
from benchmark.run.evaluate.accuracy import errors_of
from benchmark.run.evaluate.decoding import DecodingPool
from benchmark.run.prepare.data import Data
from features.reading.batches import Buckets, EpochOrder, read_batches
from features.shards import manifest
from models.ctc.decoders import Decoder

TINY = replace(workloads.load("mini").with_model(filters=8, units=12, layers=2), buckets=1)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = (*LETTERS, *(a + b for a in LETTERS for b in LETTERS))  # nearly anything can be said


@pytest.fixture(scope="module")
def pool():
    with DecodingPool(Decoder(name="dictionary", words=WORDS, beam_width=16), jobs=2) as pool:
        yield pool


@pytest.fixture(scope="module")
def weights(tf):
    """Loud enough, moving averages included, that transcripts are long and differ."""

    rng = np.random.default_rng(5)
    model = TINY.learner().build()
    scale = {"convolution/kernel": 0.05, "output/kernel": 6.0, "output/bias": 0.0, "recurrent": 1.0, "kernel": 0.7}
    found = {}
    for variable in model.variables:
        spread = next((spread for part, spread in scale.items() if part in variable.path), 0.1)
        middle = 1.0 if "variance" in variable.path or "gamma" in variable.path else 0.0
        found[variable.path] = middle + rng.normal(0, spread, variable.shape)
    return found


@pytest.fixture(scope="module")
def transcriber(tf, tone_features, weights):
    from benchmark.run.evaluate.evaluation import Transcriber
    from benchmark.run.prepare.devices import Devices
    from benchmark.run.prepare.task import Task

    def make(*, replicas=1, batch=4, workload=TINY):
        strategy = tf.distribute.MirroredStrategy(
            [f"CPU:{n}" for n in range(replicas)],
            cross_device_ops=tf.distribute.ReductionToOneDevice(reduce_to_device="CPU:0"),
        )
        task = Task(
            workload=workload,
            platform=platforms.load("cpu").changed(batch=batch),
            data=Data(folder=tone_features, manifest=manifest.load(tone_features), seconds=0.0),
            devices=Devices(
                strategy=strategy, replicas=replicas, names=("CPU",) * replicas, emulated=False, reduction="first-gpu"
            ),
        )
        model = task.new_model()
        for variable in model.variables:
            if variable.path in weights and variable.shape == weights[variable.path].shape:
                variable.assign(weights[variable.path])
        return Transcriber(model, task)

    return make


@pytest.fixture(scope="module")
def one_by_one(transcriber, pool):
    """The reference: evaluation batch 1, no padding to speak of."""
    evaluated = transcriber(batch=1).transcribe("train", pool).result()
    outputs = [sentence.hypothesis for sentence in evaluated.sentences]
    assert len(set(outputs)) > 5 and sum(map(len, outputs)) > 100, "transcripts too dull to prove anything"
    return evaluated


@pytest.mark.parametrize(
    ("replicas", "batch"),
    [(1, 7), (2, 64), *(pytest.param(*sizes, marks=pytest.mark.slow) for sizes in ((1, 64), (2, 2), (4, 4), (4, 64)))],
)
def test_neither_batch_nor_replicas_change_a_transcript_or_a_digit(transcriber, pool, one_by_one, replicas, batch):
    found = transcriber(replicas=replicas, batch=batch).transcribe("train", pool).result()
    assert found == one_by_one


def test_padding_buckets_and_order_change_nothing_and_every_utterance_counts_once(
    transcriber, pool, one_by_one, tone_features
):
    made = transcriber(batch=4)
    lengths = made.task.data.manifest.lengths("train")
    longest = max(lengths)
    layouts = [
        Buckets(4, (longest + 37,)),
        Buckets(4, (longest + 400,)),
        Buckets.bucketed(lengths, batch=4, buckets=5),
        Buckets.bucketed(lengths, batch=4, buckets=2),
    ]
    for layout in layouts:
        assert made.transcribe_batches(made.read("train", layout), pool).result() == one_by_one, layout
    shuffled = read_batches(
        made.task.data.folder,
        made.task.data.manifest,
        "train",
        layouts[0],
        readers=2,
        buffer=2,
        order=EpochOrder(seed=3, epoch=7),
    )
    first = next(iter(shuffled))["id"].numpy().tolist()
    assert first != sorted(first)
    found = made.transcribe_batches(shuffled, pool).result()
    assert found == one_by_one
    assert len({sentence.id for sentence in found.sentences}) == len(found.sentences) == len(lengths) == 21


def test_the_recipe_authors_depends_on_the_batch_it_is_evaluated_in(transcriber):
    """It normalises by the statistics of the batch, as their code did: their WER was 33% at 1 and 14% at 24."""
    authors = TINY.with_model(recipe="authors")
    logits = {}
    for batch in (1, 7):
        made = transcriber(batch=batch, workload=authors)
        logits[batch] = {
            identity: matrix[:count]
            for said, matrices, frames in made.logits(made.batches("dev"))
            for (identity, _), matrix, count in zip(said, matrices, frames, strict=True)
        }
    assert logits[1].keys() == logits[7].keys() and len(logits[1]) == 7
    assert all(np.abs(logits[1][name] - logits[7][name]).max() > 1e-3 for name in logits[1])


def test_the_figures_are_those_of_all_sentences(one_by_one):
    references, hypotheses = zip(*((s.reference, s.hypothesis) for s in one_by_one.sentences), strict=True)
    assert one_by_one.errors == errors_of(references, hypotheses)


def test_examples_are_the_worst_the_median_and_the_best(tf):
    from benchmark.run.evaluate.evaluation import Evaluated, Sentence

    # 9 utterances of 8 words; number n has n wrong: worst 8 7 6, median 5 4 3, best 0 1 2
    right = ["a", "b", "c", "d", "e", "f", "g", "h"]
    outputs = {n: " ".join(["x"] * n + right[n:]) for n in (4, 0, 8, 2, 6, 1, 3, 5, 7)}
    sentences = [Sentence(id=f"u{n}", reference=" ".join(right), hypothesis=output) for n, output in outputs.items()]
    evaluated = Evaluated.of(sentences)
    shown = [(example.rank, example.id) for example in evaluated.examples()]
    assert shown == [
        *(("worst", name) for name in ("u8", "u7", "u6")),
        *(("median", name) for name in ("u5", "u4", "u3")),
        *(("best", name) for name in ("u0", "u1", "u2")),
    ]
    heard = evaluated.heard("evaluate", 3, 900)
    assert (heard.epoch, heard.step, heard.wer) == (3, 900, 50.0)  # 36 of 72 words
    assert heard.examples == evaluated.examples()
    assert heard.examples[0].counts.startswith("8 of 8 words wrong")
    # "a" is wrong in 8 of 9, "b" in 7, ...: of all utterances, and not only of those that are shown
    assert heard.confusions.substitutions == tuple((word, "x", 8 - n) for n, word in enumerate(right))
    assert evaluated.heard("generate", 3, 900).confusions is None


@pytest.mark.parametrize("count", [1, 2])
def test_there_are_examples_of_a_single_utterance_too(tf, count):
    from benchmark.run.evaluate.evaluation import Evaluated, Sentence

    evaluated = Evaluated.of(Sentence(id=str(n), reference="a", hypothesis="a") for n in range(count))
    assert [example.rank for example in evaluated.examples()] == [
        *["worst"] * count,
        *["median"] * count,
        *["best"] * count,
    ]


def test_a_model_of_another_stride_is_evaluated_by_its_own_output_frames(tf, transcriber):
    """The paper's stride would say (T - 11) // 2 + 1 frames, and cut or read past what this model gives."""
    from benchmark.run.evaluate.evaluation import Transcriber

    task = transcriber(batch=4).task
    learner = TINY.with_model(stride=3).learner()
    task.__dict__["learner"] = learner
    made = Transcriber(learner.build(), task)
    for utterances, logits, frames in made.logits(made.batches("dev")):
        expected = {(length - 11) // 3 + 1 for length in task.data.manifest.lengths("dev")}
        assert len(utterances) == len(frames) and set(frames.tolist()) <= expected
        assert max(frames) <= logits.shape[1]


def test_output_that_is_no_number_is_a_divergence_and_names_the_utterance(tf, transcriber, pool, monkeypatch):
    from benchmark.run.evaluate.evaluation import Diverged

    broken = transcriber()
    real = broken._logits
    monkeypatch.setattr(broken, "_logits", lambda batch: real(batch) * np.nan)
    with pytest.raises(Diverged, match=r"the model's output for utterance 3-1-000\d is not finite"):
        broken.transcribe("dev", pool)
