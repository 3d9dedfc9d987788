"""Run the benchmark: python -m benchmark --platform NAME --workload NAME.

Prepares corpus and features where they are missing, trains until the workload's targets are reached or its limits,
writes results/RUN.csv (the journal) and results/RUN/ (run.json, utilisation.csv, sentences.txt, checkpoints), and
prints the time-to-accuracy table of the run. A run that was killed or interrupted goes on where it stood when the
same command is given again.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import platforms
from benchmark import workloads
from benchmark.record.phases import EVALUATIONS
from benchmark.run import decoding
from benchmark.run.decoding import KILLED_WORKER, PUBLISHED_MODELS, language_model
from benchmark.run.session import INTERRUPTED, Job, run
from benchmark.workloads import Workload
from models.decoders import NAMES as DECODERS
from platforms import Platform

BAD_INPUT = 2
UNPOOLED_OPTIONS = ("augment", "padding")  # the journal has a column for what else trains differently
WORKLOAD_OPTIONS = (
    "recipe",
    "decoder",
    "beam_width",
    "evaluation",
    "augment",
    "padding",
    "sentences",
    "max_epochs",
    "max_minutes",
)


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0 done, 2 bad input, 3 diverged, 130 or 143 interrupted."""
    given = sys.argv[1:] if argv is None else argv
    options = _parser().parse_args(given)
    try:
        return run(_job(options, given))
    except BrokenProcessPool:
        _say(f"benchmark: {KILLED_WORKER}")
        return BAD_INPUT
    except (ValueError, OSError) as error:
        _say(f"benchmark: {error}")
        return BAD_INPUT
    except KeyboardInterrupt as error:
        _say("\nbenchmark: interrupted")
        return getattr(error, "status", INTERRUPTED)  # 143 after SIGTERM


def _job(options: argparse.Namespace, given: Sequence[str] = ()) -> Job:
    """The command line with its defaults filled in. Raises ValueError for what does not fit together."""
    platform = platforms.load(options.platform).with_input(
        batch=options.batch, readers=options.readers, buffer=options.buffer
    )
    if options.precision:
        platform = replace(platform, training=replace(platform.training, precision=options.precision))
    workload = workloads.load(options.workload or _default_workload(platform, options))
    changes = {name: getattr(options, name) for name in WORKLOAD_OPTIONS if getattr(options, name) is not None}
    workload = _changed(workload, changes)
    for mark in ("synthetic", "deterministic"):
        if getattr(options, mark):
            workload = replace(workload, name=f"{workload.name}+{mark}")
    if options.recipe == "authors":
        workload = replace(workload, normalisation="frame-l2")  # theirs in most runs
    _check(options, workload)
    started = datetime.now().strftime("%Y%m%d-%H%M%S")
    name = _checked_name(options.name or f"{platform.name}-{workload.name}-seed{options.seed}-{started}")
    return Job(
        platform=platform,
        workload=workload,
        corpus=options.corpus,
        data=options.data,
        results=options.results,
        name=name,
        seed=options.seed,
        monitor_hz=options.monitor_hz,
        language_model=options.language_model and language_model(options.language_model, options.data),
        decode_jobs=decoding.cores() if options.decode_jobs is None else options.decode_jobs,
        skip_bad=options.skip_bad,
        synthetic=options.synthetic,
        deterministic=options.deterministic,
        resume=not options.name and not options.fresh,
        command=shlex.join(["python", "-m", "benchmark", *(word for word in given if word != "--fresh")]),
    )


def _check(options: argparse.Namespace, workload: Workload) -> None:
    """What would be refused later, after hours of preparation."""
    if not 0 <= options.seed < 2**32:
        raise ValueError(f"seed is {options.seed}; expected 0 to {2**32 - 1}")
    if not 0 <= options.monitor_hz <= 100:
        raise ValueError(f"monitor-hz is {options.monitor_hz}; expected 0 (off) to 100 samples a second")
    if options.decode_jobs is not None and options.decode_jobs < 1:
        raise ValueError(f"decode-jobs is {options.decode_jobs}; expected at least 1")
    if options.language_model and workload.decoder != "language-model":
        raise ValueError(f"a language model, but the decoder is {workload.decoder}; add --decoder language-model")
    if workload.decoder == "language-model":
        language_model(options.language_model, options.data)


def _changed(workload: Workload, changes: dict[str, object]) -> Workload:
    """The workload with other settings; what would train differently shows in its name, so that runs do not pool."""
    marks = [
        str(changes[name]) for name in UNPOOLED_OPTIONS if name in changes and changes[name] != getattr(workload, name)
    ]
    return replace(workload, **changes, name="+".join([workload.name, *marks]))


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
        raise ValueError(f"name {name!r} cannot name files; expected letters, digits, dots, dashes and underscores")
    return name


def _default_workload(platform: Platform, options: argparse.Namespace) -> str:
    """`speech` for a corpus of the user's, `librispeech` where its features and the GPUs are there, else `mini`."""
    if options.corpus:
        return "speech"
    if platform.hardware.gpus and (options.data / "features" / "librispeech" / "manifest.json").is_file():
        from benchmark.run import devices

        if devices.gpus_present() >= platform.hardware.gpus:
            return "librispeech"
    return "mini"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="workloads:\n" + "\n".join(f"  {w.name:<12} {w.description}" for w in workloads.WORKLOADS.values()),
    )
    add = parser.add_argument
    add(
        "--platform",
        default="cpu",
        metavar="NAME",
        help=f"{', '.join(platforms.names())}, or the path of a platform file; default: %(default)s",
    )
    add(
        "--workload",
        choices=list(workloads.WORKLOADS),
        help="default: speech where --corpus is given, librispeech where its features and the platform's GPUs are "
        "there, else mini",
    )
    add("--corpus", type=Path, metavar="DIR", help="a corpus in LibriSpeech layout, with train* and dev* subsets")
    add("--seed", type=int, default=1, help="of weights, order and dropout; default: %(default)s")
    add("--name", help="of the run; default: platform, workload, seed and time")
    add(
        "--fresh", action="store_true", help="a new run, though one of the same command was interrupted and could go on"
    )
    add("--results", type=Path, default=Path("results"), metavar="DIR", help="default: %(default)s")
    add(
        "--data",
        type=Path,
        default=Path("data"),
        metavar="DIR",
        help="where corpora and features are kept; default: %(default)s",
    )
    group = parser.add_argument_group("the platform's table, changed for this run")
    group.add_argument("--batch", type=int, metavar="N", help="global batch, utterances")
    group.add_argument("--readers", type=int, metavar="N", help="parallel readers")
    group.add_argument("--buffer", type=int, metavar="N", help="batches made ahead")
    group.add_argument("--precision", choices=platforms.PRECISIONS)
    group = parser.add_argument_group("the workload, changed for this run")
    group.add_argument("--recipe", choices=workloads.RECIPES)
    group.add_argument("--decoder", choices=DECODERS)
    group.add_argument("--beam-width", type=int, metavar="N")
    group.add_argument(
        "--language-model",
        metavar="FILE",
        help=f"ARPA or KenLM binary file, or {', '.join(PUBLISHED_MODELS)} of LibriSpeech",
    )
    group.add_argument(
        "--evaluation",
        choices=EVALUATIONS,
        help="resident: the model that trains is evaluated (default); swap: as in the paper, an evaluation model "
        "takes its place; overlap: decoding goes on while training does",
    )
    group.add_argument("--augment", choices=workloads.AUGMENTATIONS)
    group.add_argument("--padding", choices=workloads.PADDINGS)
    group.add_argument("--sentences", type=int, metavar="N", help="size of the embedded corpus")
    group.add_argument("--max-epochs", type=int, metavar="N")
    group.add_argument("--max-minutes", type=float, metavar="M")
    add(
        "--synthetic",
        action="store_true",
        help="train on a few batches kept in memory: the speed that reading data can at best leave untouched; what is "
        "learnt is worthless, and such a run is never pooled with others",
    )
    add(
        "--deterministic",
        action="store_true",
        help="only operations that give the same digits every time, on a GPU too, where they cost speed; never pooled "
        "with other runs. On a CPU runs repeat their digits without it",
    )
    add("--decode-jobs", type=int, metavar="N", help="decoding worker processes; default: one a core")
    add("--skip-bad", action="store_true", help="leave out utterances with broken audio or transcript")
    add(
        "--monitor-hz",
        type=float,
        default=10,
        metavar="HZ",
        help="utilisation samples a second, 0 for none; default: %(default)s",
    )
    return parser


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
