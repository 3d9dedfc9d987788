"""Every graph that a GPU would run, walked through node by node without one; see gpu_graphs.py.

Allowed are: no node on a GPU without a kernel there; and of copies to the host, which wait for all work that was queued
before, those that are named here with their reason.
"""

import numpy as np
import pytest
from gpu_graphs import GPUS, walk

from models.kernels import Choice

BATCH, FRAMES, LABELS = 4, 40, 5

SCALED = "mixed_float16"
"""Loss scaling asks whether all gradients are finite, and each replica whether its scale should grow."""


@pytest.fixture
def on_gpus(tf, monkeypatch):
    """Models are made as on a CPU; then the kernels of a GPU are forced, and graphs are traced."""
    from models.ctc import loss as ctc
    from models.deepspeech import lstm

    def force(loss="xla", recurrent="cudnn"):
        monkeypatch.setattr(
            lstm, "kernel_for", lambda *_, peepholes, **__: Choice("xla" if peepholes else recurrent, "forced")
        )
        monkeypatch.setattr(ctc, "default_kernel", lambda: loss)

    return force


def machine(tf, replicas):
    from benchmark.run.prepare.devices import Devices

    strategy = tf.distribute.MirroredStrategy(
        GPUS[:replicas], cross_device_ops=tf.distribute.ReductionToOneDevice(reduce_to_device=GPUS[0])
    )
    return Devices(
        strategy=strategy, replicas=replicas, names=("GPU",) * replicas, emulated=False, reduction="first-gpu"
    )


def deepspeech(recipe):
    from models.deepspeech.learner import Config, DeepSpeechLearner

    return DeepSpeechLearner(Config(recipe=recipe, filters=8, units=8, layers=2))


def whisper():
    from models.whisper.learner import Config, WhisperLearner

    config = Config(weights="random", width=16, heads=2, encoder_layers=1, decoder_layers=1)
    return WhisperLearner(config, None, seconds=FRAMES / 100)


def traced_step(tf, on_gpus, learner, *, replicas=1, precision="float32", accumulation=1, **forced):
    """A step with its segment, traced on batches of its model."""
    from benchmark.run.prepare import devices
    from benchmark.run.train.input import distributed
    from benchmark.run.train.step import TrainStep

    devices._set_precision(precision)
    try:
        given = machine(tf, replicas)
        step = TrainStep(learner, devices=given, precision=precision, seed=1, accumulation=accumulation, batches=9)
        features = 93 if learner.encode is None else 80
        batch = {
            "features": np.zeros([BATCH, FRAMES, features], np.float32),
            "frames": np.full([BATCH], FRAMES, np.int32),
            "labels": np.zeros([BATCH, LABELS], np.int32),
            "label_lengths": np.full([BATCH], LABELS, np.int32),
        }
        batches = distributed(tf.data.Dataset.from_tensors(batch).repeat(), given, learner)
        on_gpus(**forced)
        return step, step.segment.get_concrete_function(batches, tf.constant(0), tf.constant(2))
    finally:
        devices._set_precision("float32")


VARIANTS = {
    "paper": (lambda: deepspeech("paper"), {}),
    "authors": (lambda: deepspeech("authors"), {}),
    "two replicas": (lambda: deepspeech("paper"), {"replicas": 2}),
    "in pieces": (lambda: deepspeech("paper"), {"accumulation": 2}),
    "two replicas in pieces, authors": (lambda: deepspeech("authors"), {"replicas": 2, "accumulation": 2}),
    "XLA's LSTM": (lambda: deepspeech("paper"), {"recurrent": "xla"}),
    "mixed_bfloat16": (lambda: deepspeech("paper"), {"precision": "mixed_bfloat16"}),
    "mixed_float16": (lambda: deepspeech("paper"), {"precision": "mixed_float16", "replicas": 2}),
    "modern": (lambda: deepspeech("modern"), {}),
    "modern, two replicas in pieces": (lambda: deepspeech("modern"), {"replicas": 2, "accumulation": 2}),
    "modern in mixed_float16": (lambda: deepspeech("modern"), {"precision": "mixed_float16"}),
    "Whisper": (whisper, {}),
    "Whisper, two replicas": (whisper, {"replicas": 2}),
    "Whisper in mixed_float16": (whisper, {"precision": "mixed_float16"}),
}
FAST = ("paper", "modern", "Whisper")
"""One of each model, of one replica but for one; the others take as long again and again."""


@pytest.fixture
def found_in(tf, on_gpus, walks):
    """What a walk through a variant's step finds; each is traced once."""

    def found_in(variant):
        if variant not in walks:
            learner, options = VARIANTS[variant]
            walks[variant] = walk(traced_step(tf, on_gpus, learner(), **options)[1])
        return walks[variant]

    return found_in


@pytest.fixture(scope="module")
def walks():
    return {}


@pytest.mark.parametrize(
    "variant", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in VARIANTS]
)
def test_a_step_has_kernels_for_all_it_does_and_copies_nothing_to_the_host(found_in, variant):
    found, options = found_in(variant), VARIANTS[variant][1]
    assert found.nodes > 500
    assert not found.without_kernel
    allowed = 1 + options.get("replicas", 1) if options.get("precision") == SCALED else 0
    assert len(found.copies_in("while body")) <= allowed, found.copies
    assert not found.copies_in("while cond"), found.copies


def test_machines_that_agree_where_to_stop_copy_one_number_a_batch(tf, on_gpus, monkeypatch):
    """It is that of the batch before: the step under way is not waited for."""
    from benchmark.run.train.step import TrainStep

    monkeypatch.setattr(TrainStep, "_agreed", True)
    _, function = traced_step(tf, on_gpus, deepspeech("paper"))
    found = walk(function)
    assert len(found.copies) == 1 and list(found.copies.values()) == ["Greater"]


@pytest.mark.parametrize("recipe", ["paper", "authors"])
def test_a_forward_pass_has_kernels_for_all_it_does_and_copies_nothing_until_its_end(tf, on_gpus, recipe):
    learner = deepspeech(recipe)
    found = walk(forward(tf, on_gpus, learner, machine(tf, 2), 93))
    assert found.nodes > 100 and not found.without_kernel and not found.copies


def test_whispers_decoding_copies_once_a_token(tf, on_gpus):
    """Whether all utterances have ended."""
    found = walk(forward(tf, on_gpus, whisper(), machine(tf, 1), 80))
    assert not found.without_kernel
    assert len(found.copies) == 1 and next(iter(found.copies.values())) == "While cond"


def forward(tf, on_gpus, learner, given, features):
    """The function of an evaluation's forward pass, as `benchmark.run.evaluate.evaluation` has it."""
    with given.strategy.scope():
        model = learner.build()
    on_gpus()

    @tf.function
    def of_replicas(features, frames):
        return given.strategy.run(lambda x, n: learner.outputs(model, x, n), args=(features, frames))

    parts = given.strategy.experimental_distribute_values_from_function
    return of_replicas.get_concrete_function(
        parts(lambda _: tf.zeros([BATCH, FRAMES, features])), parts(lambda _: tf.constant([FRAMES] * BATCH))
    )


def test_the_walk_finds_what_it_looks_for(tf):
    """A copy of whole numbers of 32 bits, one for the condition of a branch, and a node that only a CPU can run."""

    @tf.function
    def bad(x):
        with tf.device(GPUS[0]):
            on_device = x * 2.0
            lengths = tf.cast(on_device, tf.int32) + 1
            if on_device[0] > 0:
                on_device += 1.0
            return on_device, lengths, tf.timestamp()

    found = walk(bad.get_concrete_function(tf.ones([3])))
    assert sorted(found.copies.values()) == ["AddV2", "StatelessIf"]
    assert found.without_kernel == {"Timestamp": 1}


DTYPES = ("float32", "float16", "bfloat16")


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_lstms_loops_lower_for_a_gpu_in_every_precision(tf, dtype):
    from models.deepspeech import lstm

    xw, recurrent, peephole = tf.zeros([7, 2, 16], dtype), tf.zeros([4, 16], dtype), tf.zeros([3, 4], dtype)
    cells = tf.zeros([8, 2, 4], dtype)
    for loop, given in (
        (lstm._xla_forward, (xw, recurrent, peephole)),
        (lstm._xla_backward_loop, (xw[:, :, :4], xw, cells, tf.transpose(recurrent), peephole)),
    ):
        assert "while" in lowered(loop, *given)


def test_the_ctc_lowers_for_a_gpu_and_keeps_its_products_in_float32(tf):
    from models.ctc.forward_backward import loss_and_gradient

    labels, lengths = tf.zeros([2, 3], tf.int64), tf.constant([3, 1], tf.int64)
    text = lowered(loss_and_gradient, labels, lengths, lengths + 5, tf.zeros([2, 11, 30]))
    products = [line for line in text.splitlines() if " dot(" in line]
    assert len(products) == 2 and all("operand_precision={highest,highest}" in line for line in products)


def lowered(function, *given):
    """What XLA would compile for a GPU."""
    return function.experimental_get_compiler_ir(*given)(stage="hlo", platform_name="GPU")


def test_every_function_that_xla_compiles_is_lowered_by_a_test(found_in):
    names = {name.removeprefix("__inference_").rpartition("_")[0] for name in found_in("authors").compiled}
    assert names == {"_xla_forward", "_xla_backward_loop", "loss_and_gradient"}
