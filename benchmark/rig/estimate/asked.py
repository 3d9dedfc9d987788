"""The options of a run, for commands that build one without making it; they mean what those of `benchmark` mean.

add_job(parser)
job = job_of(parser.parse_args(argv))
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import platforms
from benchmark import workloads
from benchmark.run.prepare.job import Job, changed_workload, language_model_of
from benchmark.workloads import Workload
from models.table import MODELS
from platforms import enters, plugins
from platforms.machine import usable_cores

KNOBS = (platforms.Input, platforms.Training)
CONFIGS = tuple(kind.config for kind in MODELS.values())


def add_job(parser: argparse.ArgumentParser) -> None:
    """Add the options of a run to a parser."""
    add = parser.add_argument
    add("--platform", default="cpu", metavar="NAME", help="a platform, or its file; default: %(default)s")
    words = f"{', '.join(workloads.names())}, or a file; default: speech if --corpus is given, else mini"
    add("--workload", metavar="NAME", help=words)
    add("--corpus", type=Path, metavar="DIR", help="a corpus in LibriSpeech layout, with train* and dev* subsets")
    words = "where corpora and features are kept; default: %(default)s"
    add("--data", type=Path, default=Path("data"), metavar="DIR", help=words)
    add("--results", type=Path, default=Path("results"), metavar="DIR", help="folder of the runs; default: %(default)s")
    add("--seed", type=int, default=1, help="seed of weights and order of utterances; default: %(default)s")
    add("--decode-jobs", type=int, metavar="N", help="decoding worker processes; default: one per core")
    add("--skip-bad", action="store_true", help="leave out utterances whose audio or transcript is broken")
    add("--language-model", metavar="FILE", help="ARPA or KenLM binary file for the decoder, as of a run")
    enters.add_options(parser.add_argument_group("the platform's settings"), *KNOBS)
    enters.add_options(parser.add_argument_group("the workload's settings"), *CONFIGS, Workload)


def job_of(options: argparse.Namespace) -> Job:
    """Return the job that the options ask for. Raises ValueError if they contradict each other."""
    platform = platforms.load(options.platform).changed(**_given(options, *KNOBS))
    if platform.hardware.machines > 1:
        raise ValueError(f"{platform.name} is of {platform.hardware.machines} machines; expected one, which is probed")
    workload = changed_workload(
        workloads.load(options.workload or ("speech" if options.corpus else "mini")),
        _given(options, Workload, *CONFIGS),
        corpus=options.corpus,
        feeding=platform.input,
    )
    workload = workload.marked(*dict.fromkeys(each.mark for each in plugins.used("workloads", "models", "recipes")))
    return Job(
        platform=platform,
        workload=workload,
        corpus=options.corpus,
        data=options.data,
        results=options.results,
        name="probe",
        seed=options.seed,
        language_model=language_model_of(workload, options.language_model, options.data),
        decode_jobs=usable_cores() if options.decode_jobs is None else options.decode_jobs,
        skip_bad=options.skip_bad,
    )


def words_of(options: argparse.Namespace) -> list[str]:
    """Return the options of a run that were given, as one would type them at `benchmark`."""
    parser = argparse.ArgumentParser()
    add_job(parser)
    usual = vars(parser.parse_args([]))
    flags = {name: each.flag for kind in (*KNOBS, Workload, *CONFIGS) for name, each in enters.options(kind).items()}
    words = []
    for name, value in usual.items():
        found = getattr(options, name)
        if found != value:
            words += [flags.get(name, f"--{name.replace('_', '-')}"), *([] if found is True else [str(found)])]
    return words


def _given(options: argparse.Namespace, *records: type) -> dict[str, Any]:
    names = {name for record in records for name in enters.options(record)}
    return {name: getattr(options, name) for name in sorted(names) if getattr(options, name) is not None}
