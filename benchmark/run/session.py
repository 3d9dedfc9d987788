"""A run from its preparation to its end: what `python -m benchmark` does, without the command line.

    finished = run(Job(platform=..., workload=..., name="r1", ...), say=print)
    finished.status, finished.journal

On several machines each gives the same job. The chief's does all this, and `benchmark.run.machines.follow` what is left
to the others.

A run that was killed or interrupted goes on when the same job is given again: its journal says where it stood, its last
good checkpoint is loaded, and a new attempt begins. The run's folder then has a run-attempt-2.json too.
"""

from __future__ import annotations

import time

from benchmark.record.folder import locked
from benchmark.run.attempt import attempt
from benchmark.run.company import Company, agreed, follow
from benchmark.run.machines.channel import Chief, check_port
from benchmark.run.prepare.hosts import described
from benchmark.run.prepare.job import INTERRUPTED, Finished, Job, Say
from benchmark.run.prepared import emulation_warning, prepare
from benchmark.run.state.resume import interrupted, refuse_what_is_over
from benchmark.run.trouble import explained
from benchmark.run.watch.neighbours import Neighbours
from features.jobs.files import check_name
from features.jobs.streams import one_line


def run(job: Job, *, say: Say) -> Finished:
    """Prepare and train; `say` is called with each sentence for the user.

    Raises:
        ValueError, OSError: the job cannot be done or finished; the message says why.
        KeyboardInterrupt: a signal arrived before training began.
    """
    for folder in (job.data, job.results):
        check_name(folder)
    if job.hosts is None:
        return _run(job, None, say)
    check_port(job.hosts)
    if not job.hosts.is_chief:
        return follow(job, say)
    began = time.monotonic()
    with Chief(job.hosts, limit_s=job.wait_for_hosts_s, waiting=say) as chief:
        gathered_s = time.monotonic() - began
        say(f"{job.hosts.count} hosts are here after {gathered_s:.1f} s: {described(job.hosts.addresses)}")
        try:
            finished = _run(job, Company(chief=chief, gathered_s=gathered_s), say)
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            chief.end(INTERRUPTED if stopped else 2, "interrupted" if stopped else str(error))
            raise
        chief.end(finished.status)
        return finished


def _run(job: Job, company: Company | None, say: Say) -> Finished:
    refuse_what_is_over(job.folder, fresh=job.fresh)
    neighbours = Neighbours()
    say(f"platform {job.platform.name}, workload {job.workload.label}, seed {job.seed}")
    prepared = prepare(job, company.chief if company else None, say)
    if company:
        prepared = agreed(prepared, company, say)
    if prepared.devices.emulated:
        say(emulation_warning(job.platform, prepared.devices.describe()))
    if warning := neighbours.warning():
        say(f"WARNING: {one_line(warning)}")
    if job.resume and (name := interrupted(job.results, prepared.identity)):
        prepared = prepared.renamed(name)
        job = prepared.job
    job.folder.mkdir(parents=True, exist_ok=True)
    with locked(job.folder) as before, explained(job, prepared.data):
        refuse_what_is_over(job.folder)
        status = attempt(prepared, before, company, say)
    return Finished(status=status, journal=job.journal, folder=job.folder)
