"""The options of a run, for every command that makes one or makes one ready, and the job that they ask for.

_, of_workload = add_job(parser)
platform = platform_of(options)
job = Job(name="probe", **job_fields(options, platform, workload_of(options, platform)))
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import platforms
from benchmark import workloads
from benchmark.run.prepare.job import changed_workload, language_model_of
from benchmark.run.prepare.language_models import PUBLISHED_MODELS
from benchmark.workloads import Workload
from models.table import MODELS
from platforms import Platform, enters, plugins
from platforms.machine import usable_cores

KNOBS = (platforms.Input, platforms.Training)
CONFIGS = tuple(kind.config for kind in MODELS.values())
Group = argparse._ArgumentGroup


def add_job(parser: argparse.ArgumentParser, **of_workload: Any) -> tuple[Group, Group]:
    """Add the options; return the groups of those that change the platform, and the workload.

    `of_workload` is what --workload has beside or in place of what argparse is told here.
    """
    add = parser.add_argument
    named = f"{', '.join(platforms.names())}, or the path of a platform file; default: %(default)s"
    add("--platform", default="cpu", metavar="NAME", help=named)
    named = (
        f"{', '.join(workloads.names())}, or the path of a workload file; default: speech if --corpus is given, else "
    )
    add("--workload", **{"metavar": "NAME", "help": f"{named}mini"} | of_workload)
    add("--corpus", type=Path, metavar="DIR", help="a corpus in LibriSpeech layout, with train* and dev* subsets")
    kept = "where corpora and features are kept; default: %(default)s"
    add("--data", type=Path, default=Path("data"), metavar="DIR", help=kept)
    add("--results", type=Path, default=Path("results"), metavar="DIR", help="folder of the runs; default: %(default)s")
    drawn = "seed of weights, utterance order and dropout; default: %(default)s"
    add("--seed", type=int, default=1, metavar="N", help=drawn)
    add("--decode-jobs", type=int, metavar="N", help="decoding worker processes; default: one per core")
    add("--skip-bad", action="store_true", help="leave out utterances whose audio or transcript is broken")
    platform = parser.add_argument_group("change the platform's settings for this run")
    enters.add_options(platform, *KNOBS)
    workload = parser.add_argument_group("change the workload for this run")
    enters.add_options(workload, *CONFIGS, Workload)
    model = f"ARPA or KenLM binary file, or a LibriSpeech model: {', '.join(PUBLISHED_MODELS)}"
    workload.add_argument("--language-model", metavar="FILE", help=model)
    return platform, workload


def platform_of(options: argparse.Namespace) -> Platform:
    """Return the platform that is asked for. Raises ValueError if there is none, or an option is out of range."""
    return platforms.load(options.platform).changed(**_given(options, *KNOBS))


def workload_of(options: argparse.Namespace, platform: Platform, *, usual: str = "mini", **how: bool) -> Workload:
    """Return the workload that is asked for, `usual` if none is. Raises ValueError as `changed_workload` does."""
    named = options.workload or ("speech" if options.corpus else usual)
    changes = _given(options, Workload, *CONFIGS)
    return changed_workload(workloads.load(named), changes, corpus=options.corpus, feeding=platform.input, **how)


def job_fields(options: argparse.Namespace, platform: Platform, workload: Workload) -> dict[str, Any]:
    """Return what a `Job` has of these options. Raises ValueError if the language model is missing."""
    brought = dict.fromkeys(each.mark for each in plugins.used("workloads", "models", "recipes"))
    return {
        "platform": platform,
        "workload": workload.marked(*brought),
        "corpus": options.corpus,
        "data": options.data,
        "results": options.results,
        "seed": options.seed,
        "language_model": language_model_of(workload, options.language_model, options.data),
        "decode_jobs": usable_cores() if options.decode_jobs is None else options.decode_jobs,
        "skip_bad": options.skip_bad,
    }


def _given(options: argparse.Namespace, *records: type) -> dict[str, Any]:
    """Return what was given of the settings of some records, by setting."""
    names = {name for record in records for name in enters.options(record)}
    return {name: getattr(options, name) for name in sorted(names) if getattr(options, name) is not None}
