"""The final table of a run (the paper's table 4): python -m benchmark.final results/RUN

Evaluates two checkpoints, that of the epoch with the lowest word error rate and the last one, on every dev and test
subset of the run's features, at beam width 512. Prints word error rates next to the published ones, substitutions,
deletions, insertions, sentence error rates and the commonest word errors, and writes each evaluation into files of its
own in results/RUN/final. RUN is the run's folder, its journal, or one of its checkpoints. What was decoded before, from
the same checkpoint on the same features by the same decoder, is read and not decoded again.

One call can compare several decoders and beam widths; each forward pass is done once for all of them:

    python -m benchmark.final results/RUN --checkpoints best --subsets dev --decoder greedy dictionary \\
        --beam-width 1 2 16 64 256 512

Two runs that were evaluated are compared utterance by utterance; nothing is decoded for it:

    python -m benchmark.final results/RUN --against results/OTHER

That prints the difference of their error rates with 95% intervals, by redrawn utterances and redrawn speakers, NIST's
matched-pairs test, wins and losses, and the utterances and words that changed most: of the best checkpoints (of the
last ones with --checkpoints last), by the run's own decoder or the one asked for.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import cli
from benchmark.judge.published import final_error_rates
from benchmark.metrics import FIGURES, METRICS, Metric
from benchmark.record import read_run
from benchmark.record.command import by_make
from benchmark.record.confusions import HEADER
from benchmark.record.finals import read_finals
from benchmark.record.folder import journal_of
from benchmark.run.prepare.language_models import PUBLISHED_MODELS
from benchmark.run.prepare.trained import BEAM_WIDTH, WHICH, FinalError, Trained, load_trained, run_at
from benchmark.tables import Table, cell, show
from features.corpus.roles import role
from features.jobs.streams import one_line
from features.reading.subsets import SELECTIONS
from models.ctc import decoders
from models.ctc.decoders import Decoder
from platforms.machine import usable_cores

if TYPE_CHECKING:
    from benchmark.judge.against import Side
    from benchmark.run.evaluate.final import Result, Wanted

LISTED = 6  # runs that are named where none was given
COMMONEST = 5  # word errors of each kind that are printed
WHAT = ("checkpoint", "subset", "decoder")  # what a line of a table is about


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 done, 2 bad input, 130 interrupted."""
    options = cli.parse(_parser(), argv)
    return cli.command("benchmark.final", lambda: _do(options))


def _do(options: argparse.Namespace) -> None:
    if options.run is None:
        raise FinalError(_choices(Path("results")))
    (_against if options.against else _final)(options)


def _choices(results: Path) -> str:
    """Return what the command says that was given no run: which there are, the newest first."""
    there = [folder.parent for folder in results.glob("*/checkpoints") if any(folder.glob("ckpt-*.index"))]
    names = [folder.name for folder in sorted(there, key=lambda folder: folder.stat().st_mtime, reverse=True)]
    if not names:
        return f"no run given, and none with checkpoints in {results}; {cli.maker()} makes them"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    listed = f"{results} has {', '.join(names[:LISTED])}{more}"
    asked = f"make final RUNS={results / names[0]}" if by_make() else f"python -m benchmark.final {results / names[0]}"
    return f"no run given; {listed}, the newest first: {asked}"


def _against(options: argparse.Namespace) -> None:
    from benchmark.judge.against import Wish, contrast, paired_finals
    from benchmark.judge.against_summary import against_parts

    which = "last" if options.checkpoints == ["last"] else "best"
    wish = Wish(
        subsets=tuple(options.subsets),
        decoders=tuple(options.decoder),
        beam_widths=tuple(options.beam_width or ()),
        features=options.features.name if options.features else "",
    )
    pairs = paired_finals(_side(options.run, which), _side(options.against, which), wish)
    show(against_parts([contrast(pair) for pair in pairs]))


def _side(path: Path, which: str) -> Side:
    """Find a run to compare from its folder, its journal or one of its checkpoints. Raises FinalError, JournalError."""
    from benchmark.judge.against import Side

    folder, asked = run_at(path)
    run = read_run(journal_of(folder))
    return Side(
        name=str(folder),
        run=run.identity,
        finals=read_finals(folder),
        which=which if asked is None else f"batch {asked}",
    )


def _final(options: argparse.Namespace) -> None:
    from concurrent.futures.process import BrokenProcessPool

    from benchmark.run.evaluate import decoding
    from benchmark.run.evaluate.final import data_of, evaluate, write  # here: --help waits for no audio library
    from features.shards import account

    try:
        run, wanted = load_trained(options.run), _wanted(options)
        with data_of(run, wanted) as data:
            results = evaluate(run, wanted, data)
    except BrokenProcessPool:
        raise ValueError(decoding.KILLED_WORKER) from None
    except ArithmeticError as error:  # weights that diverged after they were saved
        raise ValueError(str(error)) from None
    try:
        places = write(run, results, features=wanted.features)
    finally:  # even if the disk is full: the results may have taken an hour
        show(tables(run, results))
    for subset in (subset for subset in data.manifest.subsets if role(subset) != "train"):
        for warning in account.warnings(data.manifest, subset):
            print(f"WARNING: {one_line(warning)}")
    if found := [result.found for result in results if result.found]:
        shown = found[0] if len(found) == 1 else f"{found[0]} and {len(found) - 1} more"
        cli.say(f"decoded before, and read: {shown}; --again decodes anew and replaces them")
    if places:
        cli.say(f"written: {', '.join(map(str, places))}, each with .utterances.csv and .sentences.txt beside it")


def _wanted(options: argparse.Namespace) -> Wanted:
    from benchmark.run.evaluate.final import Wanted

    return Wanted(
        checkpoints=tuple(options.checkpoints),
        subsets=tuple(options.subsets),
        decoders=tuple(options.decoder),
        beam_widths=tuple(options.beam_width or [BEAM_WIDTH]),
        language_model=options.language_model,
        data=options.data,
        lm_weight=options.lm_weight,
        word_bonus=options.word_bonus,
        features=options.features,
        batch=options.batch,
        decode_jobs=options.decode_jobs,
        train_sample=options.train_sample,
        train_seed=options.train_seed,
        train_select=options.train_select,
        again=options.again,
    )


def tables(run: Trained, results: Sequence[Result]) -> list[str | Table]:
    """Return tables of the word error rates by subset, with published rows, and of all figures."""
    subsets = list(dict.fromkeys(result.subset for result in results))
    header, published = final_error_rates()
    rows: dict[str, Any] = {}
    for result in results:
        label = f"{result.checkpoint} (epoch {result.epoch}), {result.decoder}"
        rows.setdefault(label, {})[result.subset] = result.errors
    comparable = [name for name in header if name in subsets]
    columns = subsets + [name for name in header if name not in subsets and comparable]
    parts: list[str | Table] = []
    for metric, title in (
        ("wer", "WER: edits of the subset / words of the subset, percent"),
        ("wer_mean", "WER as the paper has it: mean over utterances, percent"),
    ):
        body = [
            (label, *(f"{getattr(found[name], metric):.2f}" if name in found else "" for name in columns))
            for label, found in rows.items()
        ]
        if comparable and metric == "wer_mean":
            body += [
                (f"{system} (published)", *(cells.get(name, "") for name in columns)) for system, cells in published
            ]
        parts.append(Table(f"{run.folder.name}, {run.workload.name}. {title}", ("checkpoint", *columns), tuple(body)))
    if not comparable:
        theirs = tuple((system, *(cells[name] for name in header)) for system, cells in published)
        parts.append(Table("Published, on LibriSpeech (not this corpus): WER, percent", ("system", *header), theirs))
    return [*parts, _rates(results), _counts(results), *_confusions(results)]


def _rates(results: Sequence[Result]) -> Table:
    header = (*WHAT, *(metric.label for metric in METRICS.values()), "decoding s")
    body = tuple((*_what(r), *_cells(r, METRICS, ".2f"), f"{r.decoding_s:.2f}") for r in results)
    return Table("All figures, percent", header, body)


def _counts(results: Sequence[Result]) -> Table:
    counts = {name: figure for name, figure in FIGURES.items() if name not in METRICS}
    header = (*WHAT, "utterances", "words", *(figure.label for figure in counts.values()))
    body = tuple((*_what(r), str(r.utterances), str(_words(r)), *_cells(r, counts, "d")) for r in results)
    return Table("Word errors by kind, of all words of the references", header, body)


def _words(result: Result) -> int:
    return sum(edited.words for _, edited in result.edits)


def _what(result: Result) -> tuple[str, ...]:
    return result.checkpoint, result.subset, result.decoder


def _cells(result: Result, figures: Mapping[str, Metric], style: str) -> Iterator[str]:
    return (cell(getattr(result.errors, name), style) for name in figures)


def _confusions(results: Sequence[Result]) -> Iterator[Table]:
    """Yield the commonest word errors on each subset, of the first checkpoint with the first decoder."""
    first = results[0]
    for result in results:
        if (result.checkpoint, result.decoder) == (first.checkpoint, first.decoder):
            rows = result.confusions().rows(most=COMMONEST)
            if rows:
                yield Table(f"Commonest word errors: {', '.join(_what(result))}", HEADER, rows)


def _parser() -> argparse.ArgumentParser:
    usual = Decoder()
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.final", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "run",
        type=Path,
        nargs="?",
        metavar="RUN",
        help="results/RUN, results/RUN.csv or results/RUN/checkpoints/ckpt-N",
    )
    add("--checkpoints", nargs="+", choices=WHICH, default=list(WHICH), help="which to evaluate; default: best last")
    add("--subsets", nargs="+", default=[], metavar="NAME", help="subsets or roles (dev, test); default: all of both")
    add(
        "--decoder",
        nargs="+",
        choices=decoders.NAMES,
        default=[],
        help="how sentences are made; default: the run's decoder",
    )
    add("--beam-width", nargs="+", type=int, metavar="N", help="sentences that a beam search keeps; default: 512")
    add("--against", type=Path, metavar="OTHER", help="compare with another run; both were evaluated before")
    published = ", ".join(PUBLISHED_MODELS)
    add("--language-model", metavar="FILE", help=f"ARPA or KenLM binary file, or a LibriSpeech model: {published}")
    add("--data", type=Path, default=Path("data"), metavar="DIR", help="where downloads are; default: %(default)s")
    add(
        "--lm-weight",
        type=float,
        default=usual.lm_weight,
        metavar="A",
        help="weight of the language model; default: %(default)s",
    )
    add(
        "--word-bonus",
        type=float,
        default=usual.word_bonus,
        metavar="B",
        help="score added for every word; default: %(default)s",
    )
    add("--features", type=Path, metavar="DIR", help="features, or a corpus; default: the run's")
    add("--batch", type=int, metavar="N", help="utterances in one forward pass; default: the run's batch per replica")
    add("--decode-jobs", type=int, default=usable_cores(), metavar="N", help="decoding workers; default: one per core")
    add("--train-sample", type=int, default=0, metavar="N", help="evaluate N training utterances too; default: none")
    add("--train-seed", type=int, default=0, metavar="N", help="which ones: as --subset-seed; default: 0")
    add("--train-select", choices=SELECTIONS, default="utterances", help="take single utterances (default) or speakers")
    add("--again", action="store_true", help="decode anew what was decoded before, and replace its files")
    return parser


if __name__ == "__main__":
    sys.exit(main())
