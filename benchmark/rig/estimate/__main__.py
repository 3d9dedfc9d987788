"""Say what a run would take, before it is made: seconds an epoch, time to accuracy, cost, disk, memory.

    python -m benchmark.rig estimate --workload mini --recipe modern
    python -m benchmark.rig estimate --platform mine --workload librispeech --minutes 5 --reference results/*.csv

A child process builds the run's own model, step, input and evaluation, and times short pieces of every bucket of
batches in turns with stretches of a real epoch. Epochs to the targets come from runs that train the same: the suite's
own reference, and --reference. The answer is written into results/estimates/; when the run then really happens,
benchmark.tta sets it beside its estimate. Features that are missing are made first; LibriSpeech's must be there.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from benchmark import cli
from benchmark.judge.estimates import product
from benchmark.judge.question import level_name
from benchmark.judge.terms import PriceError, Terms
from benchmark.record.command import by_make
from benchmark.record.foretold import FOLDER, Foretold, ToLevel, write_foretold
from benchmark.rig.estimate import epochs, page
from benchmark.rig.estimate.asked import job_of, words_of
from benchmark.rig.estimate.child import DONE, child, now_s, scratch
from benchmark.rig.estimate.costs import Costs
from benchmark.rig.estimate.measured import Measured
from benchmark.run.prepare.asked import add_job
from benchmark.run.prepare.job import Job
from benchmark.tables import show

PROG = "python -m benchmark.rig estimate"
LONG = ("librispeech", "whisper-librispeech")
SHORT_MINUTES, LONG_MINUTES = 0.75, 5.0
SILENT_S = 1800.0  # without a word from the child, it hangs: preparing a corpus may take long


class EstimateError(ValueError):
    """An estimate that cannot be made; the message says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Make an estimate and show it; return the exit status."""
    options = cli.parse(_parser(), argv)
    return cli.command(PROG, lambda: _estimate(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROG, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words = f"how long to time; default: {SHORT_MINUTES:g}, of a large corpus {LONG_MINUTES:g}"
    parser.add_argument("--minutes", type=_minutes, metavar="M", help=words)
    words = "journals of runs, or files of reference runs, that say how many epochs a level takes, beside the suite's"
    parser.add_argument("--reference", nargs="+", default=[], metavar="FILE", help=words)
    cli.add_targets(parser)
    parser.add_argument(
        "--format", choices=("table", "json"), default="table", help="tables for people, or JSON; default: table"
    )
    add_job(parser)
    cli.add_terms(parser)
    return parser


def _minutes(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found <= 120:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}; expected minutes, above 0 and at most 120")
    return found


def _estimate(options: argparse.Namespace) -> int | None:
    terms = cli.terms_of(options)
    job = job_of(options)
    references = epochs.read_references([file for path in options.reference for file in cli.journals_in(path)])
    check_features(job)
    seconds = 60 * (options.minutes or (LONG_MINUTES if job.workload.name in LONG else SHORT_MINUTES))
    measured = measure(job, seconds)
    costs = _costs(job, measured.about["identity"], terms)
    targets = [(metric, level) for metric, levels in job.workload.targets.items() for level in levels]
    foretold, epoch, missing = foretell(measured, references, targets + options.target, window=job.workload.window)
    path = write_foretold(job.results / FOLDER, foretold)
    if options.format == "json":
        print(json.dumps(asdict(foretold), indent=1))
        return None
    show(list(page.parts(foretold, measured, epoch, job=job, costs=costs, missing=missing)))
    print(f"\nWritten: {path}\n{page.next_step(_bench(options))}")
    return None


def _costs(job: Job, identity: Mapping[str, Any], terms: Terms) -> Costs | str:
    """Return the price of the rig, or why there is none."""
    if identity["emulated"]:
        return "emulated: these times are not the rig's"
    try:
        return Costs.of(job.platform, identity, terms)
    except PriceError as error:
        return str(error)


def check_features(job: Job) -> None:
    """Raise EstimateError if features are missing that take hours to make."""
    from benchmark.run.prepare.data import librispeech_features  # here: it loads NumPy

    if job.workload.corpus == "librispeech" and job.corpus is None and not job.platform.input.stream:
        folder = librispeech_features(job.data)
        if not (folder / "manifest.json").is_file():
            raise EstimateError(
                f"{folder}: LibriSpeech's features are not there, and making them takes hours; expected them: python "
                f"-m features {job.data / 'LibriSpeech'} {folder}, or estimate --stream, which needs none"
            )


def measure(job: Job, seconds: float) -> Measured:
    """Have a child process measure, and say meanwhile what it does.

    Raises:
        EstimateError: it did not get to its end.
    """
    given = (f"{seconds:g}", f"{now_s()!r}")
    with scratch(job.results / FOLDER) as place, child("benchmark.rig.estimate.probe", job, place, *given) as probe:
        found = None
        for message in probe.messages(limit_s=SILENT_S):
            if "said" in message:
                cli.say(message["said"])
            elif "round" in message:
                _progress(message)
            else:
                found = message["measured"]
    if found is None or probe.ending is None or probe.ending.kind != DONE:
        why = f"the probe {probe.ending}"
        way = "a smaller batch needs less memory: --batch N" if probe.ending and probe.ending.kind != DONE else ""
        raise EstimateError(f"{why}; {way}")
    return Measured.from_dict(found)


def _progress(message: dict[str, Any]) -> None:
    if message["round"] in (1, 2, 5) or message["round"] % 10 == 0:
        cli.say(f"estimate: round {message['round']}, {message['left_s']:.0f} s to go")


def foretell(
    measured: Measured, references: Sequence[Any], targets: Sequence[tuple[str, float]], *, window: int
) -> tuple[Foretold, Any, dict[str, str]]:
    """Return the estimate, its epoch, and why there is none for some levels."""
    about = measured.about
    sides = epochs.reference_for(epochs.convergence_to_be(about), references)
    levels: list[ToLevel] = []
    missing: dict[str, str] = {}
    errors: tuple[float, ...] = ()
    for metric, percent in targets:
        name = level_name(metric, percent)
        if isinstance(sides, str):
            missing["Epochs to a level"] = sides
            continue
        found = epochs.to_level(sides, metric, percent, window=window, samples=about["samples"])
        if isinstance(found, str):
            missing[name] = found
            continue
        epoch = measured.epoch(found.errors)
        whole = product([found.mean, epoch.mean], plus=measured.startup_s)
        minutes = page.rounded(*(None if v is None else v / 60 for v in (whole.value, whole.low, whole.high)))
        levels.append(ToLevel(metric=metric, percent=percent, epochs=found.value, minutes=minutes, runs=found.runs))
        errors = max(errors, found.errors, key=len)
    epoch = measured.epoch(errors[1:])  # the first one is no usual one
    seconds = product([epoch.mean])
    foretold = Foretold(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        about=about["about"],
        epoch_s=page.rounded(seconds.value, seconds.low, seconds.high),
        startup_s=round(measured.startup_s, 3),
        levels=tuple(levels),
        window=window,
        measured=measured.to_dict(),
    )
    return foretold, epoch, missing


def _bench(options: argparse.Namespace) -> list[str]:
    """Return the command that makes the run."""
    words = words_of(options)
    for metric, level in options.target:
        words += ["--target", f"{metric}={level:g}"]
    if not by_make():
        return ["python", "-m", "benchmark", *words]
    variables = {"--platform": "PLATFORM", "--workload": "WORKLOAD", "--corpus": "CORPUS", "--recipe": "RECIPE"}
    made, rest = [], []
    while words:
        word, *words = words
        if word in variables:
            made.append(f"{variables[word]}={shlex.quote(words.pop(0))}")
        else:
            rest.append(word)
    return ["make", "bench", *made, *([f"ARGS={shlex.quote(shlex.join(rest))}"] if rest else [])]


if __name__ == "__main__":
    sys.exit(main())
