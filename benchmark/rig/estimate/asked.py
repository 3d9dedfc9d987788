"""The options of a run as the job of a probe, and as one would type them.

add_job(parser)                                     # of benchmark.run.prepare.asked
job = job_of(parser.parse_args(argv))
"""

from __future__ import annotations

import argparse

from benchmark.run.prepare.asked import CONFIGS, KNOBS, add_job, job_fields, platform_of, workload_of
from benchmark.run.prepare.job import Job
from benchmark.workloads import Workload
from platforms import enters


def job_of(options: argparse.Namespace) -> Job:
    """Return the job that the options ask for. Raises ValueError if they contradict each other."""
    platform = platform_of(options)
    if platform.hardware.machines > 1:
        raise ValueError(f"{platform.name} is of {platform.hardware.machines} machines; expected one, which is probed")
    return Job(name="probe", **job_fields(options, platform, workload_of(options, platform)))


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
