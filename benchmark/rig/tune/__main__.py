"""Find a platform's batch, readers and buffer by trying, and write them into its file.

    python -m benchmark.rig tune --platform mine --workload librispeech --limit 512
    python -m benchmark.rig tune --platform cpu -o mine.toml --dry-run

First the largest batch that fits: each try is a process of its own, with the worst batch first. Then up to four batches
train on the real lengths in turns, until the intervals of their ratios are under 2%; the smallest within 3% of the
fastest is taken, as throughput is not time to accuracy. With reference runs at several batches (the suite's own, and
--reference) the time to accuracy itself decides. Then readers and buffer, until within 2% of batches from memory.
Ctrl-C stops it, and the same command goes on.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import platforms
from benchmark import cli
from benchmark.record.command import by_make
from benchmark.rig.estimate.asked import job_of
from benchmark.rig.tune.advice import Advice, advised
from benchmark.rig.tune.kept import Kept
from benchmark.rig.tune.race import CERTAIN, Raced, race, smallest_within
from benchmark.rig.tune.search import Search, Tried, described, search
from benchmark.rig.tune.tries import FOLDER, TuneError, attempt, contestant, unit_of, with_batch
from benchmark.rig.tune.written import tuned_text, write_curve
from benchmark.run.prepare.asked import add_job
from benchmark.run.prepare.job import Job
from benchmark.tables import Table, interval, number, show
from features.jobs.files import write_whole
from platforms import machine

PROG = "python -m benchmark.rig tune"
SUITES_OWN = ("cpu", "rented-8xh100", "rented-a100", "sys1", "sys10", "sys2")
LIMIT = 4096
CANDIDATES = 4
ALONE_S = 20.0  # of a turn whose process starts anew
NEAR = 0.02  # of batches from memory


def main(argv: Sequence[str] | None = None) -> int:
    """Tune and write; return the exit status."""
    options = cli.parse(_parser(), argv)
    return cli.command(PROG, lambda: _tune(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROG, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    words = "the largest batch that is tried; default: %(default)s"
    add("--limit", type=cli.whole_from_1, default=LIMIT, metavar="N", help=words)
    add("-o", "--out", type=Path, metavar="FILE", help="the file to write; default: the platform's own")
    add("--dry-run", action="store_true", help="write no platform file")
    words = "also time the batch with other settings, as precision=mixed_bfloat16 or accumulation=2; never written"
    add("--also", nargs="+", type=_setting, default=[], metavar="KEY=VALUE", help=words)
    add("--fresh", action="store_true", help="begin anew, whatever an earlier call found")
    words = "reference runs at several batches, by which time to accuracy decides"
    add("--reference", nargs="+", default=[], metavar="FILE", help=words)
    add_job(parser)
    return parser


def _setting(text: str) -> tuple[str, Any]:
    """Return a setting and its value. Raises argparse.ArgumentTypeError."""
    name, _, value = text.partition("=")
    if name == "precision" and value in platforms.PRECISIONS:
        return name, value
    if name == "accumulation" and value.isdigit() and int(value) > 1:
        return name, int(value)
    known = f"precision={'|'.join(platforms.PRECISIONS)} or accumulation=K, from 2"
    raise argparse.ArgumentTypeError(f"{text[:60]!r}; expected {known}")


def _tune(options: argparse.Namespace) -> None:
    job = job_of(options)
    path = _target(options, job)
    folder = job.results / FOLDER / f"{job.platform.name}-{job.workload.label}-{job.workload.recipe}"
    kept = Kept(folder, about=about(job, options.limit), fresh=options.fresh)
    if len(kept):
        cli.say(f"going on with {len(kept)} findings in {kept.path}; --fresh begins anew")
    found = largest(job, options.limit, kept)
    candidates = candidates_of(found, job)
    raced = speeds(job, candidates, kept)
    taken = int(smallest_within(raced, by=int))
    advice = advised(job, raced, cli_references(options))
    batch = advice.batch or taken
    settings = {"batch": batch, **feeding(with_batch(job, batch=batch), kept)}
    others = [beside(with_batch(job, batch=batch), name, value, kept) for name, value in options.also]
    rows = curve(found, raced)
    files = write_curve(folder, rows)
    show([_table(rows), *_words(found, raced, taken, advice, settings, job), *others])
    print(f"\nCurve: {', '.join(map(str, files))}")
    if options.dry_run:
        print(f"Not written (--dry-run): {settings}")
        return
    old = _own_file(options.platform).read_text(encoding="utf-8")
    why = f"tuned {date.today().isoformat()} for {job.workload.label}, {job.workload.recipe}"
    shown = path.stem if path.parent.resolve() == platforms.FOLDER.resolve() else _as_path(path)
    bench = f"make bench PLATFORM={shown}" if by_make() else f"python -m benchmark --platform {shown}"
    write_whole(path, tuned_text(old, settings, why=why, name=path.stem, command=bench))
    print(f"Written: {path}\nNext: {bench}, with three seeds; a batch is part of a training: compare error curves too")


def _as_path(path: Path) -> str:
    """Return a path as --platform takes it for one: a bare file name begins with ./"""
    return str(path) if path.is_absolute() or path.parent != Path() else f"./{path}"


def _target(options: argparse.Namespace, job: Job) -> Path:
    """Return the file to write. Raises TuneError if that is one of the suite's own, or its folder is not there."""
    path = options.out or _own_file(options.platform)
    if path.suffix != ".toml":
        raise TuneError(f"{path}: expected a file that ends in .toml")
    if not options.out and not options.dry_run and job.platform.name in SUITES_OWN:
        raise TuneError(f"{path} is one of the suite's own: give a file with -o mine.toml, or look with --dry-run")
    if not options.dry_run and not os.access(path.parent, os.W_OK):
        found = "cannot be written to" if path.parent.is_dir() else "is not there"
        raise TuneError(f"{path}: its folder {found}; make it, or choose another -o")
    if not options.dry_run:
        _check_file(path, options, job)
    return path


def _check_file(path: Path, options: argparse.Namespace, job: Job) -> None:
    """Check that the file can be written and read in the end, and is of no other machine.

    Raises:
        TuneError, WriteError: it cannot, or is.
    """
    from benchmark.rig.detect import NAME  # loads NumPy

    if options.out and path.exists():
        try:
            there = platforms.load(_as_path(path)).hardware
        except platforms.PlatformError:
            there = None
        if there != job.platform.hardware:
            raise TuneError(f"{path} is there already, and describes another machine; choose another -o")
    if not NAME.fullmatch(path.stem):
        raise TuneError(f"{path}: a platform is called as its file is; expected letters, digits, - and _ before .toml")
    now = job.platform.input
    settings = {"batch": now.batch, "readers": now.readers, "buffer": now.buffer}
    tuned_text(_own_file(options.platform).read_text(encoding="utf-8"), settings, why="", name=path.stem)


def _own_file(platform: str) -> Path:
    named = not platform.endswith(".toml") and os.sep not in platform
    return platforms.FOLDER / f"{platform}.toml" if named else Path(platform)


def about(job: Job, limit: int) -> dict[str, Any]:
    """Return what the findings of a tuning are about: nothing of them is taken over by another."""
    return {
        "platform": job.platform.to_dict(), "workload": job.workload.to_dict(), "cpu": machine.cpu_name(),
        "cores": len(machine.affinity()), "gpus": [each.name for each in machine.cuda_devices()],
        "corpus": str(job.corpus), "data": str(job.data), "limit": limit,
    }  # fmt: skip


def cli_references(options: argparse.Namespace) -> list[str]:
    return [file for path in options.reference for file in cli.journals_in(path)]


def largest(job: Job, limit: int, kept: Kept) -> Search:
    """Find the largest batch that fits, with what is known already."""

    def tried(batch: int) -> Tried:
        if (known := kept.find("try", batch)) is not None:
            return Tried(**known)
        cli.say(f"batch {batch}: trying")
        found = attempt(with_batch(job, batch=batch))
        kept.keep("try", batch, asdict(found))
        return found

    return search(tried, unit=unit_of(job.platform), start=job.platform.input.batch, most=limit, say=cli.say)


def candidates_of(found: Search, job: Job) -> list[int]:
    """Return up to four batches to time, all of which ran: the largest, and about a half, a quarter, an eighth of it.

    The platform's own is among them if it fits.
    """
    fitting = sorted(each.batch for each in found.tries if each.fits)
    unit = unit_of(job.platform)
    wanted = [found.largest // part // unit * unit for part in (1, 2, 4, 8)]
    chosen = [min(fitting, key=lambda batch: abs(batch - each)) for each in wanted if each >= unit]
    own = [job.platform.input.batch] if job.platform.input.batch in fitting else []
    return sorted(dict.fromkeys([found.largest, *own, *chosen]))[-CANDIDATES:]


def speeds(job: Job, candidates: Sequence[int], kept: Kept) -> Raced:
    """Time batches in turns, all processes at once."""
    key = ",".join(map(str, candidates))
    if (known := kept.find("race", key)) is not None:
        return Raced({name: tuple(values) for name, values in known.items()})
    cli.say(f"timing batches {key.replace(',', ', ')} in turns")
    raced = _race({str(batch): with_batch(job, batch=batch) for batch in candidates})
    kept.keep("race", key, raced.speeds)
    return raced


def _race(jobs: dict[str, Job], **more: Any) -> Raced:
    """Race jobs: all processes at once on CPUs, where waiting costs nothing; on GPUs, which hold one, in turn."""
    platform = next(iter(jobs.values())).platform
    if 0 < platform.hardware.gpus <= len(machine.cuda_devices()):
        return race({name: partial(_alone, each) for name, each in jobs.items()}, say=cli.say, **more)
    with ExitStack() as stack:
        turns = {name: stack.enter_context(contestant(each)) for name, each in jobs.items()}
        return race(turns, say=cli.say, **more)


def _alone(job: Job) -> float:
    with contestant(job, turn_s=ALONE_S) as turn:
        return turn()


def feeding(job: Job, kept: Kept) -> dict[str, int]:
    """Return the fewest readers, and then the smallest buffer, that come within 2% of batches from memory."""
    own = job.platform.input
    readers = _enough(job, "readers", sorted({1, 2, 4, 8, 16, own.readers}), machine.usable_cores(), kept)
    buffer = _enough(with_batch(job, readers=readers), "buffer", sorted({2, 4, 8, 16, own.buffer}), 64, kept)
    return {"readers": readers, "buffer": buffer}


def _enough(job: Job, knob: str, values: Sequence[int], most: int, kept: Kept) -> int:
    """Return the smallest value of a knob that is enough, or the fastest that was tried."""
    ratios: dict[int, float] = {}
    for value in [each for each in values if each <= most] or [values[0]]:
        job_of_value = with_batch(job, **{knob: value})
        feed = job_of_value.platform.input
        key = f"{feed.batch},{feed.readers},{feed.buffer}"
        known = kept.find("feed", key)
        if known is None:
            cli.say(f"{feed.readers} readers, a buffer of {feed.buffer}: timing against batches from memory")
            raced = _race({"fed": job_of_value, "memory": replace(job_of_value, synthetic=True)}, most=6)
            known = raced.ratio("fed", "memory").value
            kept.keep("feed", key, known)
        ratios[value] = known
        if known >= 1 - NEAR:
            return value
    return max(ratios, key=lambda value: ratios[value])


def beside(job: Job, name: str, value: Any, kept: Kept) -> str:
    """Return how fast a batch trains with another setting, and what else that changes, in a sentence.

    A batch in K pieces is K times as large, which is what pieces are for.
    """
    larger = value if name == "accumulation" else 1
    batch = job.platform.input.batch * larger
    other = with_batch(job, batch=batch, **{name: value})
    key = f"{name}={value},{batch}"
    if (known := kept.find("also", key)) is None:
        cli.say(f"{name} {value}, batch {batch}: trying and timing")
        tried = attempt(other)
        known = {"tried": described(tried)}
        if tried.fits:
            ratio = _race({"own": job, "other": other}, most=6).ratio("other", "own")
            known |= asdict(ratio)
        kept.keep("also", key, known)
    if "value" not in known:
        return f"With {name} {value}: {known['tried']}."
    if name == "precision":
        changes = "other arithmetic, so a training of its own, which is never pooled with this one"
    elif job.workload.model.rules.by_pieces:
        changes = f"a batch of {batch} whose normalisation sees the pieces: a variant, never pooled with this one"
    else:
        changes = f"a batch of {batch}, the same training as without pieces"
    within = interval(known["low"], known["high"])
    return f"With {name} {value} it trains {number(known['value'])} times as fast ({within}); it changes {changes}."


def curve(found: Search, raced: Raced) -> list[dict[str, Any]]:
    """Return a row for every batch that was tried."""
    rows = []
    for each in found.tries:
        row: dict[str, Any] = {**asdict(each), "fits": each.fits}
        if str(each.batch) in raced.speeds:
            ratio = raced.ratio(str(each.batch))
            row |= {"speed": raced.mean(str(each.batch)), "ratio": ratio.value, "low": ratio.low, "high": ratio.high}
        rows.append(row)
    return rows


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    cells = [
        (
            str(row["batch"]),
            "yes" if row["fits"] else "no",
            "NA" if row["memory_bytes"] is None else f"{row['memory_bytes'] / 2**30:.2f}",
            number(row.get("speed")),
            number(row.get("ratio")),
            interval(row.get("low"), row.get("high")),
        )
        for row in sorted(rows, key=lambda row: row["batch"])
    ]
    header = ("batch", "fits", "GiB", "audio s/s", "of the fastest", "95% interval")
    return Table("Batches that were tried", header, tuple(cells))


def _words(found: Search, raced: Raced, taken: int, advice: Advice, settings: dict[str, int], job: Job) -> list[str]:
    capped = ", where --limit ends the search" if found.capped else ""
    words = [f"The largest batch that fits is {found.largest}{capped}; it ran, as did all that are timed."]
    ratio = raced.ratio(str(taken)).value
    words.append(
        f"Batch {taken} is the smallest within 3% of the fastest ({ratio:.1%} of batch {raced.fastest}): throughput is "
        f"not time to accuracy, and a larger batch takes as many or more epochs."
    )
    if raced.open > CERTAIN:
        words.append(
            f"WARNING: after {len(raced.speeds[str(taken)])} rounds the widest interval of a ratio is "
            f"{raced.open:.1%}; {CERTAIN:.0%} was wanted: the machine was not quiet; --fresh tries again."
        )
    words.append(advice.words)
    old = job.platform.input
    changed = [f"{name} {getattr(old, name)} -> {value}" for name, value in settings.items()]
    failed = [described(each) for each in found.tries if not each.fits]
    return [*words, f"Settings: {', '.join(changed)}.", *failed]


if __name__ == "__main__":
    sys.exit(main())
