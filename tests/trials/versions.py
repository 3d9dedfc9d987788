"""Is a training step of one version of the code faster than another's?

    git worktree add ../before HEAD~3
    python -m tests.trials.versions ../before . --rounds 24
    python -m tests.trials.versions ../before . --size paper --batch 8 --frames 1670 --rounds 5

Takes checkouts of the suite, the first of which is the baseline. One process of each makes the model and waits; then
all are asked for a few batches of one shape, in a random order, round after round. A minute in which the machine is
slow is slow for all, so that ratios within a round hold where seconds do not. Prints each one's fastest and median step
and the median ratio to the baseline's, with its quartiles. All run in this Python, which must have what each needs.
They take some minutes; the figures stand in docs/speed.md.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmark.speed.sizes import SIZES
from features.jobs.progress import progress

CHILD = """
import sys
from benchmark.speed import networks
ask = networks.ours(size=sys.argv[1], batch=int(sys.argv[2]), frames=int(sys.argv[3]), precision="float32")
print("ready", flush=True)
for line in sys.stdin:
    print(ask(line)["seconds"], flush=True)
"""


@contextmanager
def version(checkout: Path, size: str, batch: int, frames: int) -> Iterator[subprocess.Popen[str]]:
    """Start a process that times a few batches for each line it is given."""
    if not (checkout / "benchmark" / "speed" / "networks.py").is_file():
        raise SystemExit(f"{checkout}: no checkout of this suite; expected one with benchmark/speed/networks.py")
    environ = {**os.environ, "PYTHONPATH": str(checkout), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", CHILD, size, str(batch), str(frames)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=checkout, env=environ, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            _answer(process, checkout, expected="ready")
            yield process
        finally:
            process.kill()


def _answer(process: subprocess.Popen[str], checkout: Path, expected: str = "") -> str:
    for line in process.stdout or ():
        if not expected or line.strip() == expected:
            return line
    raise SystemExit(f"{checkout}: the process ended with {process.wait()}; what it said stands above")


def measured(checkouts: Sequence[Path], *, size: str, batch: int, frames: int, rounds: int) -> list[list[float]]:
    """Return the seconds of a step of each checkout, round by round."""
    seconds: list[list[float]] = [[] for _ in checkouts]
    with ExitStack() as stack:
        processes = [stack.enter_context(version(each, size, batch, frames)) for each in checkouts]
        with progress("versions", total=rounds, unit="rounds") as advance:
            for _ in range(rounds):
                for n in random.sample(range(len(checkouts)), len(checkouts)):
                    print("go", file=processes[n].stdin, flush=True)
                    seconds[n].append(float(_answer(processes[n], checkouts[n])))
                advance(1)
    return seconds


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.trials.versions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkouts", nargs="+", type=Path, metavar="FOLDER", help="two checkouts or more")
    parser.add_argument("--size", choices=sorted(SIZES), default="mini", help="of the model; default: mini")
    parser.add_argument("--batch", type=int, default=16, metavar="N", help="utterances of a batch; default: 16")
    parser.add_argument(
        "--frames", type=int, default=224, metavar="N", help="of an utterance; default: 224, as mini has on average"
    )
    parser.add_argument("--rounds", type=int, default=24, metavar="N", help="default: 24")
    options = parser.parse_args(argv)
    checkouts = [each.resolve() for each in options.checkouts]
    if len(checkouts) < 2:
        parser.error("one checkout; expected two or more to compare")
    shape = {"size": options.size, "batch": options.batch, "frames": options.frames}
    seconds = measured(checkouts, **shape, rounds=options.rounds)
    print(f"{options.size}, {options.batch} x {options.frames} frames, {options.rounds} rounds")
    for checkout, mine in zip(checkouts, seconds, strict=True):
        ratios = [own / base for own, base in zip(mine, seconds[0], strict=True)]
        lower, middle, upper = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        print(
            f"{checkout.name:24} fastest {min(mine) * 1e3:7.1f} ms, median {statistics.median(mine) * 1e3:7.1f} ms; "
            f"of the first {middle:.3f} ({lower:.3f} to {upper:.3f})"
        )


if __name__ == "__main__":
    main()
