"""The checks in order of worth: what is not yet known about a GPU and would spoil most comes first.

checks = chosen(catalogue(setting), ["kernels", "ctc"])     # kernels-float32, kernels-tf32 and so on, ctc
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from platforms import PRECISIONS
from tests.trials.on_gpu.session import Check
from tests.trials.on_gpu.setting import NO_GPU, Setting

FAMILIES = {
    "start": "Does TensorFlow compute on the GPU at all, and with which libraries?",
    "kernels": "Are the LSTM's kernels those of XLA on the CPU in float32: outputs, all gradients?",
    "ctc": "Are the CTC kernels those of TensorFlow on the CPU: losses, gradients, nothing past an utterance's end?",
    "losses": "Are the losses of `mini` those of a run on a CPU with the same seed?",
    "sensors": "Do the sensors of the GPU that trained say what can be?",
    "precisions": "Does `mini` learn in other precisions as in float32?",
    "steps": "How fast is a training step of the paper's model, 1670 frames, beside Keras's and PyTorch's?",
    "resume": "Does a run that was killed by SIGKILL go on, and end in the figures of one that was not?",
    "memory": "How much memory do the modes of evaluation need, and does it grow over epochs?",
    "oom": "Does a run without enough memory end with a sentence that says what to do?",
    "ctcspeed": "How fast is the CTC loss, 830 frames and 180 labels, beside PyTorch's?",
    "tests": "Do the tests of kernels pass that need a GPU?",
}
"""The first word of a check's name -> what it asks."""

BATCHES = (60, 24, 150)  # a GPU's, of the paper's three rigs; the middle one first
OTHER_PRECISIONS = ("tf32", "mixed_bfloat16", "mixed_float16")
REHEARSED_STEPS = (("4", "float32"),)


def catalogue(setting: Setting) -> list[Check]:
    """All checks; what a rehearsal cannot do says why it is left out."""
    ctc = ("4",) if setting.rehearse else ("24", "150")
    steps = REHEARSED_STEPS if setting.rehearse else [(str(b), precision) for b in BATCHES for precision in PRECISIONS]
    others = OTHER_PRECISIONS[1:2] if setting.rehearse else OTHER_PRECISIONS  # a CPU takes long for those of 16 bits
    middle = steps[: len(PRECISIONS)]

    def check(family: str, call: str, limit_s: float, *arguments: str, needs_gpu: bool = False) -> Check:
        command = (sys.executable, "-u", "-m", "tests.trials.on_gpu", call, setting.to_json(), *arguments)
        why = NO_GPU if needs_gpu and setting.rehearse else ""
        name = "-".join((family, *arguments))
        return Check(name=name, asks=FAMILIES[family], limit_s=limit_s, command=command, left_out=why)

    return [
        check("start", "start.check", 180),
        *(check("kernels", "kernels.check", 120, precision) for precision in PRECISIONS),
        check("ctc", "ctc.check", 120),
        check("losses", "training.losses", 300),
        check("sensors", "training.sensors", 60),
        *(check("steps", "speed.of_step", 120, *step) for step in middle[:2]),
        *(check("precisions", "training.precision", 120, precision) for precision in others),
        *(check("steps", "speed.of_step", 120, *step) for step in middle[2:]),
        check("resume", "training.resume", 150),
        check("memory", "memory.modes", 150),
        check("oom", "memory.out_of_memory", 120, needs_gpu=True),
        check("tests", "suite.check", 150, needs_gpu=True),
        *(check("ctcspeed", "speed.of_ctc", 120, batch) for batch in ctc),
        *(check("steps", "speed.of_step", 150, *step) for step in steps[len(PRECISIONS) :]),
    ]


def chosen(checks: Sequence[Check], only: Sequence[str]) -> list[Check]:
    """Return the checks whose name, or its first word, is among `only`; all if that is empty.

    Raises ValueError for a name that no check has.
    """
    for name in only:
        if not any(_is(check, name) for check in checks):
            raise ValueError(f"no check {name!r}; there are {', '.join(FAMILIES)}, and {checks[1].name} and so on")
    return [check for check in checks if not only or any(_is(check, name) for name in only)]


def _is(check: Check, name: str) -> bool:
    return name in (check.name, check.name.partition("-")[0])
