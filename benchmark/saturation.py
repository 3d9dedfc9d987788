"""How much data is enough? Train on growing parts of a corpus, and say what more of it would bring.

    python -m benchmark.saturation --workload mini --protocol target --seeds 3 -o studies/mini
    python -m benchmark.saturation --corpus DIR --sizes 50 100 200 400 800 -o studies/mine
    python -m benchmark.saturation --show -o studies/mini            # what is there, without training

Every point is an ordinary run in the folder of the study: a part of the training set (a larger one holds the smaller),
a seed, and one fixed evaluation set for all. Points that are there are skipped and interrupted ones go on, so that the
same command finishes a study that was stopped. Several machines share one with --part 1/4 to --part 4/4 into one
folder.

Protocols: steps (the Whisper-Tiny study's: at most 3,000 batches of 8; more data then means fewer passes), epochs (so
many passes), target (until dev improves no longer, with the same patience in batches: the learning curve proper,
default).

An arm is a variant of the plain study, in the same folder: wrong transcripts (--label-noise), noisy audio
(--audio-noise), SpecAugment in place of data (--augment), another run's weights to begin with (--from), another corpus
to learn from (--train-on), whole speakers (--select), segments (--segment). The answer then says what each of its
points is worth in utterances and hours of the plain runs: how small a clean set does the work of a large noisy one.

With --against the same study on other rigs is read too: which part of the data would have put them in the same order.

The answer has the learning curve with its interval and its rivals, what it predicted of sizes it had not seen, three
rules for when more data is not worth it, what a doubling gains and costs, and the gap between training and test.
"""

from __future__ import annotations

import argparse
import math
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import platforms
from benchmark import cli, workloads
from benchmark.metrics import USUAL
from benchmark.study.curves import StudyError
from benchmark.study.finals import DECODER
from benchmark.study.grid import PROTOCOLS, Grid, Stopping, StudyPoint, usual_sizes
from benchmark.study.judgement import study_parts
from benchmark.study.kind import Kind, check, declare, model_of, sizeless, subsets_of
from benchmark.study.making import make, missing, time_left
from benchmark.study.proxy import proxy_parts
from benchmark.study.results import Observation, check_points, observations, without_times
from benchmark.tables import count, money, show
from benchmark.workloads import Workload
from features.reading.subsets import SELECTIONS
from models.table import MODELS
from platforms import enters

if TYPE_CHECKING:
    from benchmark.run.prepare.data import Data

CHECKPOINT_BYTES = 12  # a parameter: weights and two moments, float32
PAGE = "study.html"
STEPS_BATCH = 8  # the Whisper-Tiny study's
KEPT = 5  # checkpoints of a run
EMBEDDED = "embedded"  # the suite's own corpus, as --train-on names it


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 done, 2 bad input, 130 interrupted, 1 a point failed."""
    options = cli.parse(_parser(), argv)
    return cli.command("benchmark.saturation", lambda: _study(options))


def _study(options: argparse.Namespace) -> int:
    for folder in [*[options.out] * options.show, *options.against]:
        if not folder.is_dir():
            raise StudyError(
                f"{folder}: no such folder; expected that of a study, which python -m benchmark.saturation -o "
                f"{folder} makes"
            )
    if options.dry_run and not options.show:
        return _plan(options)
    status = 0 if options.show else _make(options)
    found = _read(options.out)
    if options.format == "table":
        parts = study_parts(
            found, metric=options.metric, published=options.published, speech_price=options.speech_price
        )
        others = [_read(folder) for folder in options.against]
        show([*parts, *(proxy_parts([found, *others], metric=options.metric) if others else [])])
    else:
        cli.print_rows("benchmark.saturation", [each.row() for each in found], options.format, [])
    if found:
        from benchmark.study.page import write_page

        write_page(found, options.out / PAGE, metric=options.metric, published=options.published)
        cli.say(f"the study as a page, to open in a browser: {options.out / PAGE}")
    if options.figures:
        from benchmark.study.figures import draw

        for path in draw(found, options.figures, metric=options.metric):
            cli.say(f"benchmark.saturation: {path}")
    return status


# --- making points ---------------------------------------------------------------------------------------------------


def _make(options: argparse.Namespace) -> int:
    """Make the points that are missing, one run after the other; return 1 if one failed."""
    shared, (grid, kind) = _shared(options), _grid(options, data_of=_prepared)
    mine, found = grid.part(*options.part), observations(options.out)
    check_points(found, grid.label, kind)
    options.out.mkdir(parents=True, exist_ok=True)
    declare(options.out, grid.label, kind)
    todo = missing(mine, options.out)
    cli.say(_before(grid, mine, todo, found, options))
    return int(make(todo, shared=shared, out=options.out, say=cli.say) > 0)


def _plan(options: argparse.Namespace) -> int:
    """Say what would be made, and by which commands; write nothing."""
    shared, (grid, kind) = _shared(options), _grid(options, data_of=_looked_at)
    mine, found = grid.part(*options.part), observations(options.out)
    check_points(found, grid.label, kind)
    check(options.out, grid.label, kind)
    todo = missing(mine, options.out)
    cli.say(_before(grid, mine, todo, found, options))
    for point in todo:
        cli.say("  python -m benchmark " + " ".join(point.training(shared, options.out)))
    return 0


def _read(folder: Path) -> list[Observation]:
    """Read a study, and say which points are left out because their final evaluation is another one."""
    return observations(folder, say=lambda text: cli.say(f"benchmark.saturation: warning: {text}"))


def _before(
    grid: Grid, mine: Sequence[StudyPoint], todo: Sequence[StudyPoint], found: Sequence[Observation], options
) -> str:
    """Say what is about to be made: runs, passes, time and money as far as they are known, disk."""
    steps = sum(point.most_steps for point in todo)
    sizes = ", ".join(f"{size:,}" for size in grid.sizes)
    there = next(folder for folder in (options.out, *options.out.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free / 2**30
    workload = workloads.load(options.workload or ("speech" if options.corpus else "mini"))
    needed = len(todo) * KEPT * CHECKPOINT_BYTES * workload.model.parameters / 2**30
    costs = [each.cost for each in without_times(found) if each.cost is not None and each.protocol == grid.protocol]
    cost = f", for about {money(fmean(costs) * len(todo), found[0].currency)}" if costs and todo else ""
    return (
        f"study of {grid.available:,} utterances, protocol {grid.protocol}: {count(len(grid.sizes), 'size')} ({sizes}) "
        f"x {count(len(grid.seeds), 'seed')}; {count(len(mine), 'point')} here, {len(todo)} of them to make: "
        f"at most {steps:,} batches of {grid.batch}{time_left(todo, found)}{cost}. Up to {KEPT} checkpoints each take "
        f"at most {needed:,.1f} GiB; {free:,.0f} GiB are free"
    )


def _grid(options: argparse.Namespace, *, data_of: Callable[[Workload, Path, Path | None], Data]) -> tuple[Grid, Kind]:
    """Find the data, to know how much there is, and return the grid, and what its points have in common.

    Raises:
        StudyError: a size is impossible, or no utterance is short enough.
    """
    from benchmark.run.prepare.data import no_segment
    from features.corpus.audio import FRAME_STEP_S

    data = tested = data_of(*_data(options))
    if options.train_on:
        data = data_of(*_data(options, train_on=options.train_on))
    lengths = data.manifest.lengths("train")
    available = sum(not options.segment or frames * FRAME_STEP_S <= options.segment for frames in lengths)
    if not available:
        raise StudyError(no_segment(data, options.segment))
    sizes = tuple(sorted(set(options.sizes))) or usual_sizes(available)
    if sizes[-1] > available:
        raise StudyError(
            f"a size of {sizes[-1]:,}, and the corpus has {available:,} utterances to train on: leave it out"
        )
    grid = Grid(
        protocol=options.protocol,
        sizes=sizes,
        seeds=tuple(range(1, options.seeds + 1)),
        available=available,
        batch=_batch(options),
        stopping=Stopping(max_steps=options.max_steps, max_epochs=options.max_epochs, patience=options.patience),
        arm=_arm(options),
        select=options.select,
        tested_on=str(tested.folder) if options.train_on else "",
    )
    return grid, _kind(options, grid, data, tested)


def _kind(options: argparse.Namespace, grid: Grid, data: Data, tested: Data) -> Kind:
    """Return what the points of the study have in common, by the command of the first one.

    Raises:
        ValueError: an option has no sense for the workload.
    """
    from benchmark.run.prepare.job import changed_workload, start_of
    from benchmark.run.prepare.provenance import short_code

    records = (platforms.Input, platforms.Training, *(kind.config for kind in MODELS.values()), Workload)
    words = grid.points[0].training(_shared(options), options.out)
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    parser.add_argument("--workload")
    parser.add_argument("--corpus", type=Path)
    enters.add_options(parser, *records)
    given = {name: value for name, value in vars(parser.parse_known_args(words)[0]).items() if value is not None}
    workload, corpus = workloads.load(given.pop("workload")), given.pop("corpus", None)
    knobs = {name: given.pop(name) for name in [*given] if name in enters.options(platforms.Input)}
    platform = platforms.load(options.platform).changed(**knobs)
    workload = changed_workload(workload, given | {"targets": {}}, corpus=corpus, feeding=platform.input)
    if options.start:
        workload = workload.marked(start_of(options.start, workload).mark)
    return Kind(
        workload=workload.name,
        model=model_of(workload),
        recipe=workload.recipe,
        variant=sizeless(workload.variant),
        features=data.manifest.digest[:12],
        tested=tested.manifest.digest[:12],
        test=subsets_of({name: tested.manifest.utterances(name) for name in tested.manifest.subsets}),
        batch=grid.batch,
        precision=platform.training.precision,
        decoder=workload.decoder,
        code=short_code(),
        minutes=round(workload.max_minutes, 6),
        **grid.limits,
    )


def _data(options: argparse.Namespace, *, train_on: str | None = None) -> tuple[Workload, Path, Path | None]:
    """Return the workload, the folder of data and the corpus that runs train on; or that an arm does, if named."""
    corpus = options.corpus if train_on is None else None if train_on == EMBEDDED else Path(train_on)
    usual = "speech" if corpus else "mini"
    workload = workloads.load(usual if train_on else options.workload or usual)
    noisy = options.audio_noise if train_on or not options.train_on else None
    return replace(workload, audio_noise_db=noisy), options.data, corpus


def _prepared(workload: Workload, folder: Path, corpus: Path | None) -> Data:
    from benchmark.run.prepare import data

    return data.prepare(workload, folder=folder, corpus=corpus, say=cli.say)


def _looked_at(workload: Workload, folder: Path, corpus: Path | None) -> Data:
    from benchmark.run.prepare import data

    return data.look(workload, folder=folder, corpus=corpus)


def _shared(options: argparse.Namespace) -> list[str]:
    """Return the arguments that all runs of the study have."""
    given = {
        "--data": options.data,
        "--platform": options.platform,
        "--workload": options.workload or ("speech" if options.corpus else "mini"),
        "--corpus": options.corpus,
        "--weights": options.weights,
        "--batch": options.batch or (STEPS_BATCH if options.protocol == "steps" else None),
        "--label-noise": options.label_noise,
        "--audio-noise": options.audio_noise,
        "--segment": options.segment,
        "--augment": options.augment,
        "--from": options.start,
        "--decoder": DECODER,
        "--max-minutes": options.max_minutes,
    }
    if options.train_on:
        embedded = options.train_on == EMBEDDED
        given |= {"--workload": "mini"} if embedded else {"--workload": "speech"}
        given |= {"--corpus": None if embedded else options.train_on}
    shown = {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in given.items() if value}
    if options.audio_noise == 0:
        shown["--audio-noise"] = "0"
    return [word for pair in shown.items() for word in pair]


def _batch(options: argparse.Namespace) -> int:
    """Return the global batch: the one asked for, the Whisper-Tiny study's in its protocol, else the platform's."""
    usual = STEPS_BATCH if options.protocol == "steps" else platforms.load(options.platform).input.batch
    return options.batch or usual


def _arm(options: argparse.Namespace) -> str:
    """Return what is other than in plain runs, for the names of points: "noise-0.1+specaugment"."""
    marks = [
        "speakers" if options.select == "speakers" else "",
        f"on-{Path(options.train_on).name}" if options.train_on else "",
        f"noise-{options.label_noise:g}" if options.label_noise else "",
        f"snr-{options.audio_noise:g}dB" if options.audio_noise is not None else "",
        f"segments-{options.segment:g}s" if options.segment else "",
        options.augment or "",
        f"from-{options.start.name.removesuffix('.csv')}" if options.start else "",
    ]
    return "+".join(filter(None, marks))


# --- options ---------------------------------------------------------------------------------------------------------


def _part(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"{text[:40]!r}; expected a part such as 2/4")
    return int(match[1]), int(match[2])


def _size(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text[:40]!r}; expected a number of utterances, at least 1")
    return int(text)


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not 0 <= amount <= platforms.LARGEST:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}; expected an amount of money, from 0 on")
    return amount


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.saturation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    usual, add = Stopping(), parser.add_argument
    add("-o", "--out", type=Path, default=Path("studies/mini"), metavar="DIR", help="the study; default: %(default)s")
    add("--workload", metavar="NAME", help="what is learnt; default: mini, or speech with --corpus")
    add("--corpus", type=Path, metavar="DIR", help="a corpus in LibriSpeech layout")
    add("--data", type=Path, default=Path("data"), metavar="DIR", help="corpora and features; default: %(default)s")
    add("--platform", default="cpu", metavar="NAME", help="the rig that trains, or its file; default: %(default)s")
    add("--weights", metavar="PATH", help="what Whisper begins with, as in python -m benchmark")
    add("--batch", type=_size, metavar="N", help="global batch; default: the platform's, 8 in `steps`")
    add("--protocol", choices=PROTOCOLS, default="target", help="when runs end; default: %(default)s")
    sizes_help = "utterances to train on; default: 5,000 to 50,000, or eight sizes by factors up to all there is"
    add("--sizes", type=_size, nargs="+", default=[], metavar="N", help=sizes_help)
    add("--seeds", type=_size, default=3, metavar="N", help="runs of each size; default: %(default)s")
    add(
        "--max-steps",
        type=_size,
        default=usual.max_steps,
        metavar="N",
        help="with --protocol steps: most batches of a run; default: %(default)s",
    )
    add(
        "--max-epochs",
        type=_size,
        default=usual.max_epochs,
        metavar="N",
        help="with --protocol epochs: passes of a run; default: %(default)s",
    )
    patience_help = "with --protocol target: in passes over the largest size; default: %(default)s"
    add("--patience", type=_size, default=usual.patience, metavar="N", help=patience_help)
    add("--max-minutes", type=float, default=7 * 24 * 60, metavar="M", help="time limit of each run; default: a week")
    add(
        "--label-noise",
        type=float,
        metavar="P",
        help="an arm: a share P of the training words is replaced by wrong ones",
    )
    noise_help = "an arm: noise in the training audio, at DB decibels of signal to noise"
    add("--audio-noise", type=float, metavar="DB", help=noise_help)
    add("--augment", choices=("specaugment",), help="an arm: SpecAugment in place of data")
    add("--from", dest="start", type=Path, metavar="RUN", help="an arm: begin with the weights of another run")
    train_on_help = f"an arm: learn from another corpus, a folder or {EMBEDDED!r}, and be tested on this one"
    add("--train-on", metavar="DIR", help=train_on_help)
    add("--select", choices=SELECTIONS, default="utterances", help="an arm, speakers: parts consist of whole speakers")
    add("--segment", type=float, metavar="S", help="an arm: only utterances of at most S seconds, all padded to S")
    add("--part", type=_part, default=(1, 1), metavar="I/N", help="make only every N-th point, from the I-th on")
    add("--dry-run", action="store_true", help="say what would be made, write nothing, and stop")
    add("--show", action="store_true", help="judge the points that are there, and train nothing")
    add("--metric", choices=USUAL, default="wer", help="the error of the curve; default: %(default)s")
    add(
        "--speech-price", type=_amount, metavar="P", help="what an hour of transcribed speech costs, as the rig's price"
    )
    against_help = "studies of other rigs: which is the smallest size that keeps the rigs' order?"
    add("--against", type=Path, nargs="+", default=[], metavar="DIR", help=against_help)
    add("--published", action="store_true", help="add what the Whisper-Tiny study printed")
    add("--figures", type=Path, metavar="DIR", help="draw figures as PNG and SVG (pip install '.[figures]')")
    cli.add_format(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
