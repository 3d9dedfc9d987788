"""Are the CTC kernels on the GPU those of TensorFlow on the CPU: losses, gradients, nothing past an utterance's end?

Memory is filled with large numbers before each kernel, as cuDNN leaves what was there in a gradient past an utterance's
end. Every batch has an utterance that is empty, one whose labels just fit, and labels that repeat.
"""

from __future__ import annotations

from typing import Any

from tests.trials.on_gpu.findings import Findings
from tests.trials.on_gpu.setting import NO_GPU, Setting
from tests.trials.on_gpu.start import relative_error

CLASSES = 30
CASES = {
    "180 labels": (180, 2.0),
    "255 labels, cuDNN's most": (255, 2.0),
    "256 labels": (256, 2.0),
    "300 labels": (300, 2.0),
    "steep logits": (180, 12.0),
    "certain blanks": (180, None),
}
"""Case -> labels of the longest utterance of 830 frames, and the logits' spread; None is a blank that is certain."""

LOSS, GRADIENT = 1e-4, 1e-2
"""The largest relative errors. On a CPU ours differ by 5e-7 and 4e-3 from TensorFlow's, the latter mostly its own."""

PAPER, TINY = (24, 830), (4, 83)  # utterances, frames
TIMED = (24, 150)


def check(setting: Setting, findings: Findings) -> None:
    from benchmark.run.prepare import devices
    from models.ctc import loss as ctc

    devices.single_device("float32")
    batch, frames = setting.sized(PAPER, tiny=TINY)
    kernels = setting.sized(("cudnn", "xla"), tiny=("xla",))
    if setting.rehearse:
        findings.left_out("cudnn", NO_GPU)
    for case, (labels, spread) in CASES.items():
        given = _drawn(batch, frames, labels * frames // PAPER[1], spread)
        with devices.tf.device("CPU:0"):
            expected = ctc.loss_and_gradient(*given, kernel="cpu")
        kernels = tuple(each for each in kernels if _judge(findings, f"{each}, {case}", given, expected, each))
    _repeats(findings, given, kernels)
    shape = ctc.Shape(batch=batch, frames=frames, labels=180 * frames // PAPER[1])
    choice = ctc.kernel_for(shape)
    findings.told("chosen", f"{choice.kernel}: {choice.why}")
    for count in setting.sized(TIMED, tiny=TINY[:1]):
        timed = ctc.Shape(batch=count, frames=frames, labels=shape.labels)
        ms = {kernel: 1000 * ctc._seconds(kernel, timed) for kernel in kernels}
        found = ", ".join(f"{kernel} {each:.2f}" for kernel, each in ms.items())
        findings.told(f"ms of losses and gradients, {count} x {frames} frames", found, figures={"ms": ms})


def _judge(findings: Findings, label: str, given: tuple, expected: tuple, kernel: str) -> bool:
    """Judge a kernel's losses and gradients; return whether it gave any."""
    import numpy as np

    from benchmark.run.prepare.devices import tf
    from models.ctc import loss as ctc
    from models.kernels import reason

    wanted = f"relative errors under {LOSS:g} and {GRADIENT:g}, past the ends 0"
    labels, lengths, logits, frames = given
    ctc._dirty_memory(tf.transpose(logits, [1, 0, 2]))
    try:
        losses, gradient = ctc.loss_and_gradient(labels, lengths, logits, frames, kernel=kernel)
    except tf.errors.OpError as error:
        findings.judged(label, f"failed: {reason(error)}", expected=wanted, right=False)
        return False
    inside = np.arange(logits.shape[1])[None, :] < frames.numpy()[:, None]
    figures = {
        "loss": relative_error(losses, expected[0]),
        "gradient": relative_error(gradient.numpy()[inside], expected[1].numpy()[inside]),
        "outside": float(np.max(np.abs(gradient.numpy()[~inside]), initial=0.0)),
    }
    findings.judged(
        label,
        f"loss {figures['loss']:.1e}, gradient {figures['gradient']:.1e}, past the ends {figures['outside']:g}",
        expected=wanted,
        right=figures["loss"] < LOSS and figures["gradient"] < GRADIENT and figures["outside"] == 0.0,
        figures=figures,
    )
    return True


def _repeats(findings: Findings, given: tuple, kernels: tuple[str, ...]) -> None:
    """Say whether kernels give the same bits again; ours has to."""
    import numpy as np

    from models.ctc import loss as ctc

    for kernel in kernels:
        one, again = (ctc.loss_and_gradient(*given, kernel=kernel) for _ in range(2))
        same = all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
        if kernel == "xla":
            findings.judged(
                "xla again", "the same bits" if same else "other bits", expected="the same bits", right=same
            )
        else:
            findings.told(f"{kernel} again", "the same bits" if same else "other bits")


def _drawn(batch: int, frames: int, most: int, spread: float | None) -> tuple[Any, ...]:
    """Return labels, lengths, logits and frames: the first the longest, the second just fits, the last is empty."""
    import numpy as np

    from benchmark.run.prepare.devices import tf

    rng = np.random.default_rng(most)
    labels = rng.integers(0, CLASSES - 1, (batch, most))
    labels[:, 1::7] = labels[:, ::7][:, : labels[:, 1::7].shape[1]]  # repeats
    lengths = rng.integers(max(1, most // 2), most + 1, batch)
    lengths[0], lengths[-1] = most, 0
    needed = [n + int((row[1:n] == row[: max(0, n - 1)]).sum()) for row, n in zip(labels, lengths, strict=True)]
    long = np.array([rng.integers(least, frames + 1) for least in needed])
    long[0], long[1], long[-1] = frames, needed[1], 0
    logits = np.zeros((batch, frames, CLASSES), np.float32)
    if spread is None:
        logits[..., CLASSES - 1] = 30.0
    else:
        logits += spread * rng.standard_normal(logits.shape).astype(np.float32)
    return (
        tf.constant(labels, tf.int32),
        tf.constant(lengths, tf.int32),
        tf.constant(logits),
        tf.constant(long, tf.int32),
    )
