"""How fast each part of the suite is, against what a user would pick instead, measured in turn in one run.

The table has, for each part, ours, the baseline, how many times as fast ours is (the median of the rounds, the lowest,
the highest), and the share of what the hardware would allow. Ratios hold on a noisy machine; absolute times only
where nothing else runs.

parts, with what they take on two cores:
  step        a training step against stock Keras and PyTorch, paper and mini size          4 min
  ctc         the CTC loss and its gradient, by every kernel; only by name                  1 min
  input       utterances read and batched a second, against the authors' layout             30 s
  extraction  FLAC to shard, against a plain librosa pipeline, on one core and on all       1 min
  decoding    a dictionary's beam search, against pyctcdecode, on one core and on all       1 min
  start       from nothing to the first trained batch, against Keras and PyTorch            3 min
  judge       the judge on a journal of 10,000 rows                                         10 s
  overhead    what monitor and journal cost a run                                           2 min
  padding     padded frames, buckets against fixed; only with --features DIR                1 s
  tta         time to accuracy of mini, end to end, against plain PyTorch; only by name     6 min a seed
  scaling     batch, length, emulated replicas, corpus of 1, 10, 100 hours; only by name    30 min, 8 GB
Without a part's name: all but ctc, tta, padding (unless --features is given) and scaling.

  --breakdown  where a step's time goes, on any platform, in place of parts                 2 min

A peer that is not installed is named with the way to get it; the suite is measured all the same.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from importlib import import_module
from pathlib import Path

import platforms
from benchmark import cli, workloads
from benchmark.speed import results
from benchmark.speed.results import Result
from benchmark.speed.sizes import SIZES, Setting
from benchmark.tables import Table, show

PARTS = {
    "step": "step",
    "ctc": "ctc",
    "input": "reading",
    "extraction": "extraction",
    "decoding": "decoding",
    "start": "start",
    "judge": "judge",
    "overhead": "overhead",
    "padding": "padding",
    "tta": "tta",
    "scaling": "scaling",
}
"""Maps a part to a module of this package; each has `measure(setting)`, an iterable of Results."""

BY_NAME_ONLY = ("ctc", "tta", "scaling")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 done, 2 bad input or a crashed contender, 130 interrupted."""
    options = cli.parse(_parser(), argv)
    return cli.command("benchmark.speed", lambda: _measure(options, argv))


def _measure(options: argparse.Namespace, argv: list[str] | None) -> None:
    found: list[Result] = []
    load = os.getloadavg()[0]  # caused by others: ours has not begun
    try:
        setting, chosen = _setting(options), _chosen(options)
        if options.json:
            options.json.touch()  # what cannot be written is found now
        for name in chosen:
            module = import_module(f"benchmark.speed.{'breakdown' if name == 'breakdown' else PARTS[name]}")
            for result in module.measure(setting):
                found.append(result)  # one by one: what was measured before an error is shown
    finally:
        _finish(found, options.json, argv, load=load)


def _finish(found: list[Result], json_path: Path | None, argv: list[str] | None, *, load: float) -> None:
    """Show what was measured before the end, whatever ended it."""
    if found:
        show([*_tables(found), f"On {results.describe_machine()}.", *_warnings(load)])
        if json_path:
            command = ["python", "-m", "benchmark.speed", *(sys.argv[1:] if argv is None else argv)]
            json_path.write_text(results.to_json(found, command, load_at_start=load) + "\n", encoding="utf-8")


def _warnings(load: float) -> list[str]:
    if load < results.BUSY_LOAD:
        return []
    text = (
        f"Warning: other processes kept {load:.1f} cores busy when this began: ratios of two that take turns still "
        f"hold, shares of the limit and the rows of several cores do not; PyTorch's threads, which spin, suffer most; "
        f"measure again when the machine is idle."
    )
    return [text]


def _tables(found: list[Result]) -> list[str | Table]:
    if found[0].part.startswith("breakdown"):
        from benchmark.speed.breakdown import table

        return table(found)
    return results.parts(found, title="Speed, ours against the baseline; a ratio above 1: ours is ahead")


def _chosen(options: argparse.Namespace) -> list[str]:
    if options.breakdown:
        if options.parts:
            raise ValueError(f"--breakdown and {options.parts[0]}; expected one or the other")
        return ["breakdown"]
    if options.parts:
        return list(dict.fromkeys(options.parts))
    return [name for name in PARTS if name not in BY_NAME_ONLY and (name != "padding" or options.features)]


def _setting(options: argparse.Namespace) -> Setting:
    """Make the setting of the options. Raises ValueError for what no part could use."""
    if options.workload:
        workloads.load(options.workload)
    platforms.load(options.platform)
    usual = Setting()
    sizes = tuple(SIZES[name] for name in options.size or ())
    tiny = SIZES["tiny"] in sizes
    return Setting(
        sizes=sizes or usual.sizes,
        asked_for_size=bool(sizes),
        rounds=options.rounds or (2 if tiny else usual.rounds),
        precisions=tuple(options.precision or usual.precisions),
        batches=tuple(options.batch or ()),
        features=options.features and options.features.resolve(),
        hours=tuple(options.hours or usual.hours),
        folder=options.folder and options.folder.resolve(),
        platform=options.platform,
        workload=options.workload,
        seeds=tuple(dict.fromkeys(options.seeds or usual.seeds)),
        recipe=options.recipe,
        level=options.level or usual.level,
        epochs=options.epochs,
        corpus=options.corpus and options.corpus.resolve(),
        data=options.data.resolve(),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.speed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "parts",
        nargs="*",
        choices=(*PARTS, []),
        metavar="PART",
        help="what is measured, of the parts named above; default: all",
    )
    add("--size", nargs="+", choices=list(SIZES), help="model sizes, tiny for a rehearsal; default: paper and mini")
    add("--rounds", type=_count, metavar="N", help="rounds per contender; default: 5, with tiny 2")
    add("--json", type=Path, metavar="FILE", help="write every measured value, the machine and the command")
    group = parser.add_argument_group("step")
    group.add_argument(
        "--precision", nargs="+", choices=platforms.PRECISIONS, help="arithmetic of the step; default: float32"
    )
    group.add_argument(
        "--batch",
        nargs="+",
        type=_count,
        metavar="N",
        help="utterances a step; default: paper 8, mini 16; GPUs: 24 to 512",
    )
    group = parser.add_argument_group("breakdown")
    group.add_argument("--breakdown", action="store_true", help="show where a step's time goes")
    group.add_argument(
        "--platform", default="cpu", metavar="NAME", help="take its replicas, batch, readers, buffer and precision"
    )
    group.add_argument(
        "--workload", metavar="NAME", help="workload whose model is measured without --size; default: mini"
    )
    group = parser.add_argument_group("tta")
    group.add_argument("--seeds", nargs="+", type=_count, metavar="N", help="a training each; default: 1")
    group.add_argument(
        "--recipe", metavar="NAME", help="train ours by this recipe too, as modern; PyTorch's stays as it is"
    )
    group.add_argument("--level", type=_percent, metavar="CER", help="character error rate to reach; default: 30")
    group.add_argument("--epochs", type=_count, metavar="N", help="end at the latest after so many; default: mini's")
    group.add_argument("--corpus", type=Path, metavar="DIR", help="a corpus in LibriSpeech layout; default: mini's")
    group.add_argument(
        "--data", type=Path, default=Path("data"), metavar="DIR", help="where features are kept; default: %(default)s"
    )
    group = parser.add_argument_group("padding, scaling")
    group.add_argument("--features", type=Path, metavar="DIR", help="features folder whose padding is counted")
    group.add_argument(
        "--hours", nargs="+", type=_hours, metavar="H", help="hours of speech to extract; default: 1 10 100"
    )
    group.add_argument(
        "--folder", type=Path, metavar="DIR", help="folder for made-up corpora; default: a temporary one"
    )
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text!r}; expected a whole number, at least 1")
    return int(text)


def _percent(text: str) -> float:
    try:
        level = float(text)
    except ValueError:
        level = 0.0
    if not 0 < level <= 100:
        raise argparse.ArgumentTypeError(f"{text!r}; expected percent, above 0, at most 100")
    return level


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r}; expected hours, above 0")
    return hours


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # and end what was started on the way out
    sys.exit(main())
