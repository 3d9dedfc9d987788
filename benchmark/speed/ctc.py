"""Part `ctc`: the CTC loss and its gradient, by each kernel of models.ctc, TensorFlow's dense one and PyTorch's.

Seconds a batch of the size's outputs and labels. Ours is the kernel that a run would have here. Every answer has the
mean loss, so that a fast kernel that is wrong is noticed; tests/models/ctc/test_loss.py tests how exact they
are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmark.speed.contest import Arena, ContestError, Running, contender, play
from benchmark.speed.results import Result
from benchmark.speed.sizes import SIZES, Setting, Size
from platforms.machine import usable_cores

Ask = Callable[[str], dict]
CLASSES = 30
STEPS = 4
TITLES = {
    "llvm": "ours by LLVM",
    "xla": "ours by XLA",
    "cpu": "TensorFlow's CTCLoss for CPUs",
    "cudnn": "cuDNN's",
    "dense": "tf.nn.ctc_loss",
    "torch": "PyTorch's",
}


def measure(setting: Setting) -> Iterator[Result]:
    """Measure every size at every batch."""
    for size in setting.sizes:
        for batch in setting.batches or (size.batch,):
            yield from compare(size.of(batch=batch), rounds=setting.rounds)


def compare(size: Size, *, rounds: int) -> list[Result]:
    """Measure the kernel that a run would have against every other that works here."""
    label = f"ctc, {size.name}, {size.batch} x {size.outputs}"
    options: dict[str, Any] = {"size": size.name, "batch": size.batch}
    with Arena() as arena:
        running: dict[str, Running] = {"ours": arena.enter(contender("ctc", "chosen", **options))}
        failed: dict[str, str] = {}
        for name in TITLES:
            try:
                running[name] = arena.enter(contender("ctc", name, **options))
            except ContestError as error:
                failed[name] = str(error)
        played = play({name: one.ask for name, one in running.items()}, rounds=rounds, label=label)
    chosen = played.answers["ours"][0]
    return [
        Result(
            part=f"{label}: {title}",
            unit="s/batch",
            ours=played.median("ours"),
            baseline=played.median(name) if name in running else None,
            ratios=played.ratios(name, "ours") if name in running else (),
            note=failed.get(name) or f"ours is {TITLES[chosen['kernel']]} ({chosen['because']})",
            measured={each: played.answers[each] for each in ("ours", name) if each in running},
        )
        for name, title in TITLES.items()
        if name != chosen["kernel"]
    ]


def chosen(*, size: str, batch: int) -> Ask:
    """Time the kernel that a run chooses."""
    from features.jobs.process import import_tensorflow

    _grow(import_tensorflow())
    from models.ctc import loss as ctc

    shape = SIZES[size].of(batch=batch)
    choice = ctc.kernel_for(ctc.Shape(batch=batch, frames=shape.outputs, labels=shape.labels))
    return kernel(size=size, batch=batch, name=choice.kernel, because=choice.why)


def kernel(*, size: str, batch: int, name: str, **facts: Any) -> Ask:
    """Time one kernel of models.ctc.loss."""
    from features.jobs.process import import_tensorflow

    tf = import_tensorflow()
    _grow(tf)
    from models.ctc import loss as ctc

    shape = SIZES[size].of(batch=batch)
    labels, lengths, frames = (tf.constant(value, tf.int64) for value in _whole(shape))
    run = tf.function(lambda logits: ctc.loss_and_gradient(labels, lengths, logits, frames, kernel=name))
    return _asking(lambda logits: run(logits)[0], tf.constant(_logits(shape)), kernel=name, **facts)


def dense(*, size: str, batch: int) -> Ask:
    """Time tf.nn.ctc_loss on dense labels, what one finds first."""
    from features.jobs.process import import_tensorflow

    tf = import_tensorflow()
    _grow(tf)
    labels, lengths, frames = (tf.constant(value, tf.int32) for value in _whole(SIZES[size].of(batch=batch)))

    @tf.function
    def run(logits: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(logits)
            losses = tf.nn.ctc_loss(labels, logits, lengths, frames, logits_time_major=False, blank_index=CLASSES - 1)
        with tf.control_dependencies([tape.gradient(losses, logits)]):
            return tf.identity(losses)

    return _asking(run, tf.constant(_logits(SIZES[size].of(batch=batch))))


def torch(*, size: str, batch: int) -> Ask:
    """Time torch.nn.functional.ctc_loss on all cores, or on the first GPU."""
    import torch

    torch.set_num_threads(usable_cores())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    shape = SIZES[size].of(batch=batch)
    labels, lengths, frames = (torch.from_numpy(value).long().to(device) for value in _whole(shape))
    given = torch.from_numpy(_logits(shape)).to(device).requires_grad_()

    def run(logits: Any) -> Any:
        chances = logits.transpose(0, 1).log_softmax(-1)
        losses = torch.nn.functional.ctc_loss(chances, labels, frames, lengths, blank=CLASSES - 1, reduction="none")
        torch.autograd.grad(losses.sum(), logits)[0][0, 0, 0].item()  # waits for a GPU
        return losses.detach().cpu()

    return _asking(run, given)


def _asking(run: Callable[[Any], Any], logits: Any, **facts: Any) -> Ask:
    """Compute once to be warm; then answer with the seconds of a batch and the mean loss."""
    np.asarray(run(logits))

    def ask(_: str) -> dict:
        began_s = time.monotonic()
        losses = [np.asarray(run(logits)) for _ in range(STEPS)][-1]
        seconds = (time.monotonic() - began_s) / STEPS
        return {"seconds": seconds, "loss": float(losses.mean()), **facts}

    return ask


def _logits(shape: Size) -> np.ndarray:
    drawn = np.random.default_rng(1).standard_normal((shape.batch, shape.outputs, CLASSES), dtype=np.float32)
    return 2 * drawn


def _whole(shape: Size) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels, how many there are, and frames."""
    numbers = shape.numbers()
    return numbers["labels"], numbers["label_lengths"], np.full(shape.batch, shape.outputs, np.int32)


def _grow(tf: Any) -> None:
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


CONTENDERS = {
    "chosen": chosen,
    **{name: partial(kernel, name=name) for name in ("llvm", "xla", "cpu", "cudnn")},
    "dense": dense,
    "torch": torch,
}
