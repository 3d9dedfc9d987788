"""Is what the suite does on a GPU right, and how fast is it? What no test can show without one.

    make trial TRIAL=gpu
    python -m tests.trials.gpu --only kernels ctc losses --budget 600
    python -m tests.trials.gpu --rehearse               # on a CPU, at tiny sizes

Kernels beside the CPU's, losses of `mini` beside a CPU's, sensors, precisions, training steps beside PyTorch's, a run
that is killed, memory, a run without enough of it: checks in order of worth, each in a process of its own and under its
own limit. A check that fails or hangs leaves the others alone, and what the budget does not reach is left out. OUT gets
results.jsonl, a line a check as soon as it is known; log.txt, what they printed; gpu.md, a page for docs/gpu.md; and
the runs. Results of an earlier call for the same OUT are kept, so a long session can be had in parts. Exit status 0 if
all checks that ran are ok, 1 if not. All of it may take 25 minutes on one GPU, a rehearsal 4 on two cores. Send
OUT/results.jsonl, gpu.md and log.txt: docs/gpu.md says where the figures stand and what is not known yet.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from functools import partial
from pathlib import Path

import platforms
from tests.trials import common
from tests.trials.on_gpu import machine, page
from tests.trials.on_gpu.catalogue import FAMILIES, catalogue, chosen
from tests.trials.on_gpu.session import Session
from tests.trials.on_gpu.setting import Setting

BUDGET_S = 1500.0
NOT_ALL_OK = 1


def trial(options: argparse.Namespace) -> int:
    environment = environment_of(rehearse=options.rehearse)
    there = machine.look(environment)
    if not there.gpus and not options.rehearse:
        raise ValueError(there.without_gpu())
    out = (options.out or Path("results") / ("gpu-rehearsal" if options.rehearse else "gpu")).absolute()
    platform = platform_of(options, there, out)
    checks = chosen(catalogue(Setting(out=out, platform=platform, rehearse=options.rehearse)), options.only)
    header = {
        "rehearsal": options.rehearse,
        "machine": asdict(there),
        "platform": platforms.load(platform).to_dict(),
        "begun": date.today().isoformat(),
        "command": [sys.executable, "-m", "tests.trials.gpu", *options.given],
    }
    session = Session(out, header=header, environment=environment, page=partial(page.render, out=out))
    good = session.do(checks, budget_s=options.budget)
    print(f"the results are in {out / 'results.jsonl'}, a page of them in {out / 'gpu.md'}")
    return 0 if good else NOT_ALL_OK


def environment_of(*, rehearse: bool) -> dict[str, str]:
    """Return what the checks' processes have in their environment beside this one's."""
    own = {"PYTHONPATH": str(machine.ROOT), "PYTHONUNBUFFERED": "1"}
    # What the driver compiles at first use is more than its cache holds by itself; it would compile it again.
    cache = {"CUDA_CACHE_MAXSIZE": os.environ.get("CUDA_CACHE_MAXSIZE", str(4 * machine.GIB))}
    return own | cache | ({"CUDA_VISIBLE_DEVICES": ""} if rehearse else {})


def platform_of(options: argparse.Namespace, there: machine.Machine, out: Path) -> str:
    """Return the platform that was asked for, or else one that is written for this machine.

    Raises ValueError for one whose GPUs are not here: logical CPUs would stand in for them.
    """
    if not options.platform:
        out.mkdir(parents=True, exist_ok=True)
        machine.write_platform(there, out / "gpu.toml")
        return str(out / "gpu.toml")
    hardware, gpus = platforms.load(options.platform).hardware, len(there.gpus)
    if not options.rehearse and not (hardware.machines == 1 and 1 <= hardware.gpus <= gpus):
        raise ValueError(
            f"--platform {options.platform} has {hardware.machines} machines with {hardware.gpus} GPUs; expected one "
            f"machine with 1 to {gpus}: here is {there.described()}"
        )
    return options.platform if options.platform in platforms.names() else str(Path(options.platform).resolve())


def main(argv: Sequence[str] | None = None) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # and end the check on the way out
    parser = common.parser_of("gpu", __doc__)
    add = parser.add_argument
    add("--only", nargs="+", default=[], metavar="CHECK", help=f"of {', '.join(FAMILIES)}; or one, as kernels-tf32")
    add("--budget", type=float, default=BUDGET_S, metavar="S", help="seconds for all checks; default: %(default)g")
    add("--platform", metavar="NAME", help="a platform or its file; default: one GPU, written for this machine")
    add("--out", type=Path, metavar="DIR", help="for results and runs; default: results/gpu, or gpu-rehearsal")
    add("--rehearse", action="store_true", help="use the CPU at tiny sizes; what needs a GPU is left out")
    parser.set_defaults(given=list(sys.argv[1:] if argv is None else argv))
    return common.run("gpu", parser, trial, argv)


if __name__ == "__main__":
    sys.exit(main())
