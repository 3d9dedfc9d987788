"""Run the benchmark: python -m benchmark --platform NAME --workload NAME.

Prepares the corpus and the features if they are missing. Trains until the workload's targets or its limits are
reached. Writes results/RUN.csv (the journal) and results/RUN/ (run.json, utilisation.csv, sentences.txt,
checkpoints), and prints the run's time-to-accuracy table. To resume a run that was killed or interrupted, give the
same command again.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark import cli, workloads
from benchmark.judge.judgement import judge
from benchmark.judge.summary import brief_parts, report_parts
from benchmark.record import Run, UsageError, read_run
from benchmark.record.command import CommandLine, by_make
from benchmark.run.prepare.asked import add_job, job_fields, platform_of, workload_of
from benchmark.run.prepare.hosts import LIMIT_S, Hosts, resolve
from benchmark.run.prepare.job import Job, Say, start_of, usual_name
from benchmark.tables import show
from features.jobs import progress
from platforms import Platform, plugins

LIST = ""  # --workload without a name


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 done, 2 bad input, 3 diverged, 130 or 143 interrupted."""
    given = sys.argv[1:] if argv is None else argv
    options = cli.parse(_parser(), given)
    if options.workload == LIST:
        print(_listed())
        for name in plugins.names("speech_tta.workloads"):
            print(f"  {name:<20} brought by a plug-in")
        return 0
    return cli.command("benchmark", lambda: _run(options, given))


def _run(options: argparse.Namespace, given: Sequence[str]) -> int:
    from concurrent.futures.process import BrokenProcessPool

    if options.quiet:
        progress.hide()
    from benchmark.run.evaluate.decoding import KILLED_WORKER
    from benchmark.run.session import run  # here: --help waits for no audio library

    try:
        finished = run(_job(options, given), say=_warn if options.quiet else cli.say)
    except BrokenProcessPool:
        raise ValueError(KILLED_WORKER) from None
    if finished.status <= 128 and not finished.follower:  # after a signal, exit at once: somebody is waiting
        _show(read_run(finished.journal), options.results, say=_hush if options.quiet else cli.say)
    return finished.status


def _warn(sentence: str) -> None:
    """Print a sentence if it is a warning: what --quiet leaves."""
    if sentence.startswith(("WARNING", "EMULATED")):
        cli.say(sentence)


def _hush(sentence: str) -> None:
    """Print nothing."""


def _job(options: argparse.Namespace, given: Sequence[str] = ()) -> Job:
    """Turn the command line into a job, with defaults filled in. Raises ValueError if options contradict each other."""
    platform = platform_of(options)
    workload = workload_of(
        options,
        platform,
        usual="" if options.workload or options.corpus else _default_workload(platform, options),
        synthetic=options.synthetic,
        deterministic=options.deterministic,
    )
    workload = workload.aiming_at(options.target, alone=options.no_targets)
    start = start_of(options.start, workload) if options.start else None
    workload = workload.marked(start.mark) if start else workload
    fields = job_fields(options, platform, workload)
    return Job(
        **fields,
        start=start,
        name=usual_name(platform, fields["workload"], options.seed) if options.name is None else options.name,
        monitor_hz=options.monitor_hz,
        synthetic=options.synthetic,
        deterministic=options.deterministic,
        resume=not options.name and not options.fresh,
        fresh=options.fresh,
        hosts=_hosts(platform, options),
        wait_for_hosts_s=options.wait_for_hosts,
        tensorboard=options.tensorboard,
        quiet=options.quiet,
        command=CommandLine.given(given).changed(drop=("fresh", "quiet")),
    )


def _hosts(platform: Platform, options: argparse.Namespace) -> Hosts | None:
    """Return the machines of the run; None if it is one. Raises HostsError if they are not known."""
    machines = platform.hardware.machines
    return resolve(machines=machines, given=options.hosts, rank=options.rank, environ=os.environ)


def _default_workload(platform: Platform, options: argparse.Namespace) -> str:
    """Return `librispeech` if its features and the GPUs are there, else `mini`."""
    if platform.hardware.gpus and (options.data / "features" / "librispeech" / "manifest.json").is_file():
        from benchmark.run.prepare import devices

        if devices.gpus_present() >= platform.hardware.gpus:
            return "librispeech"
    return "mini"


# --- the end of a run ------------------------------------------------------------------------------------------------


def _show(finished: Run, results: Path, *, say: Say) -> None:
    """Show a run's table, its report, how busy the machine was, where it is, and what all runs there say together.

    The end is what `benchmark.tta` begins with; the reader of it may leave, so the page is written before.
    """
    if finished.record.evaluations:
        runs, problem = _all_runs(results, finished)
        page = _report(results, finished, runs)
        show(report_parts(judge([finished]), brief=True))
        say(page)
    say(_utilisation(finished))
    judging = f"python -m benchmark.tta {results}/*.csv"
    if by_make():
        judging = "make tta" if results == Path("results") else f"make tta RUNS={shlex.quote(f'{results}/*.csv')}"
    say(f"the run is in {finished.source} and {finished.folder}; compare runs with: {judging}")
    if finished.record.evaluations:
        print()
        show([*_answer(runs, finished), *([f"Without the other runs: {problem}"] if problem else [])])


def _all_runs(results: Path, finished: Run) -> tuple[list[Run], str]:
    """Return the runs in `results`; this one alone if another cannot be used, and why."""
    try:
        return [read_run(path) for path in sorted(results.glob("*.csv"))], ""
    except (ValueError, OSError) as error:
        return [finished], str(error)


def _answer(runs: Sequence[Run], finished: Run) -> list[str]:
    """Return the answer of all runs of this one's workload, in the words with which `benchmark.tta` begins."""
    name = finished.identity.workload
    try:
        return brief_parts(judge([run for run in runs if run.identity.workload == name]))
    except (ValueError, OSError):  # runs that may not be judged together: benchmark.tta says why
        return brief_parts(judge([finished]))


def _report(results: Path, finished: Run, runs: Sequence[Run]) -> str:
    """Write a report of all runs in `results`, or of this one if another cannot be used; return a line about it."""
    from benchmark.report import write_report

    place = results / "report.html"
    problem: Exception | None = None
    for each in (runs, [finished]):
        try:
            write_report(each, place)
            words = f"{len(each)} runs" if len(each) > 1 else "the run"
            return f"report of {words}, to open in a browser: {place}"
        except (ValueError, OSError) as error:
            problem = error
    return f"no report: {problem}"


def _utilisation(finished: Run) -> str:
    """Return one line on how busy the machine was."""
    try:
        usage = finished.usage()
    except (UsageError, OSError) as error:
        return f"utilisation: {error}"
    if usage is None:
        return "utilisation: not sampled"
    summary = usage.summary()
    if not summary.samples or summary.process_cpu_percent_mean is None or summary.process_memory_mib_max is None:
        return "utilisation: no samples"
    gpus = ", ".join(
        f"GPU {n} {gpu.util_percent_mean:.0f}%{gpu.partly}"
        for n, gpu in enumerate(summary.gpus)
        if gpu.util_percent_mean is not None
    )
    return (
        f"utilisation: {summary.process_cpu_percent_mean / 100:.1f} cores, "
        f"{summary.process_memory_mib_max / 1024:.1f} GiB of memory at most" + (f", {gpus}" if gpus else "")
    )


# --- options ---------------------------------------------------------------------------------------------------------


def _listed() -> str:
    """Return the workloads that come with the suite, a line each."""
    there = [workloads.load(name) for name in workloads.names()]
    return "\n".join(f"  {each.name:<20} {each.description}" for each in there)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"workloads:\n{_listed()}",
    )
    _, of_workload = add_job(
        parser,
        nargs="?",
        const=LIST,
        help=f"{', '.join(workloads.names())}, or the path of a workload file; without a name it lists them; default: "
        "speech if --corpus is given, librispeech if its features and the platform's GPUs are there, else mini",
    )
    add = parser.add_argument
    add("--name", help="name of the run; default: platform, workload, seed and time")
    add("--fresh", action="store_true", help="begin a new run, even if an interrupted run of this command is there")
    words = "write the run's curves into a folder there while it goes on; DIR: %(const)s"
    add("--tensorboard", type=Path, nargs="?", const=Path("tensorboard"), metavar="DIR", help=words)
    group = parser.add_argument_group(
        "several machines: the same command on each, for a platform with [hardware] machines; Slurm and TF_CONFIG are "
        "understood without these options (docs/machines.md)"
    )
    group.add_argument("--hosts", metavar="A:2222,B:2222", help="all of them, the chief first, with a free port each")
    group.add_argument("--rank", type=int, metavar="N", help="which of them this machine is, from 0")
    group.add_argument(
        "--wait-for-hosts",
        type=float,
        default=LIMIT_S,
        metavar="S",
        help="how long to wait for the others; default: %(default)g seconds",
    )
    of_workload.add_argument(
        "--from",
        dest="start",
        type=Path,
        metavar="RUN",
        help="begin with the weights of another run: its best checkpoint, or results/RUN/checkpoints/ckpt-N",
    )
    cli.add_targets(of_workload)
    of_workload.add_argument("--no-targets", action="store_true", help="do not end at the workload's error rates")
    add(
        "--synthetic",
        action="store_true",
        help="train on a few batches kept in memory: shows the speed of training if reading data cost nothing. The "
        "trained model is worthless, and such a run is never pooled with others",
    )
    add(
        "--deterministic",
        action="store_true",
        help="use only operations that give bit-identical results every time, on a GPU too, where they are slower. "
        "Such a run is never pooled with others. On a CPU, results repeat without this option",
    )
    add(
        "--quiet",
        "-q",
        action="store_true",
        help="while it trains, say nothing but errors; the table comes all the same",
    )
    add(
        "--monitor-hz",
        type=float,
        default=10,
        metavar="HZ",
        help="utilisation samples per second, 0 for none; default: %(default)s",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
