"""The final table of a run (the paper's table 4): python -m benchmark.final results/RUN

Evaluates the checkpoint of the epoch with the lowest word error rate and the last one, on every dev and test subset
of the run's features, at beam width 512; prints word error rates beside the published ones, and writes
results/RUN/final.csv and final-sentences.txt. RUN is the run's folder or journal, or one checkpoint of it.

Several decoders and widths are compared in one go; the forward pass is done once for all of them:

    python -m benchmark.final results/RUN --checkpoints best --subsets dev --decoder greedy dictionary \\
        --beam-width 1 2 16 64 256 512
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import platforms
from benchmark.record import journal
from benchmark.run import decoding
from benchmark.run.accuracy import ErrorRates
from benchmark.run.decoding import DecodingPool
from benchmark.tables import Table, show
from benchmark.workloads import Workload
from features import manifest
from features.corpus import role
from features.manifest import replace_text
from features.progress import progress
from models import decoders
from models.decoders import Decoder

if TYPE_CHECKING:
    from benchmark.run.evaluation import Evaluated, Transcriber

PUBLISHED = Path(__file__).parent / "judge" / "published_final.csv"  # the paper's table 4
BAD_INPUT, INTERRUPTED = 2, 130
WHICH = ("best", "last")
BEAM_WIDTH = 512


class FinalError(ValueError):
    """A run that cannot be evaluated; the message says what was found and the way out."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run's folder tells: everything needed to build its model again. `asked` is one checkpoint by number."""

    folder: Path
    record: journal.RunRecord
    workload: Workload
    precision: str
    batch: int  # a replica's
    features: Path | None
    asked: int | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """One checkpoint, subset and decoder. `decoding_s` is wall time on all workers, without the forward pass."""

    checkpoint: str
    step: int
    epoch: int
    subset: str
    decoder: str
    utterances: int
    audio_s: float
    forward_s: float
    decoding_s: float
    rates: ErrorRates

    def fields(self) -> dict[str, object]:
        """For a CSV file."""
        flat = {name: value for name, value in asdict(self).items() if name != "rates"}
        return {name: round(v, 6) if isinstance(v, float) else v for name, v in {**flat, **asdict(self.rates)}.items()}


def load_run(path: Path) -> Run:
    """Read a run from its folder, its journal or one of its checkpoints.

    Raises:
        FinalError: there is no run there.
    """
    asked = None
    if path.name.startswith("ckpt-"):
        number = path.name.removeprefix("ckpt-").split(".")[0]
        if not number.isdigit():
            raise FinalError(f"{path}: expected a checkpoint's name such as ckpt-1000")
        asked, folder = int(number), path.parent.parent
    else:
        folder = path.with_name(path.name.removesuffix(".csv"))
    facts_path = folder / "run.json"
    try:
        facts = json.loads(facts_path.read_bytes())
        if facts["schema"] != journal.SCHEMA:
            raise ValueError(f"schema is {str(facts['schema'])[:80]}, not {journal.SCHEMA}")
        platform = platforms.Platform.from_dict(facts["platform"])
        features = facts["features"].get("folder")
        made = {
            "workload": Workload.from_dict(facts["workload"]),
            "precision": platform.training.precision,
            "batch": platform.input.batch // facts["devices"]["replicas"],
            "features": features and Path(features),
        }
    except (FileNotFoundError, NotADirectoryError):
        raise FinalError(
            f"{path}: no run is there (no {facts_path}); expected results/RUN, its journal results/RUN.csv, "
            f"or a checkpoint results/RUN/checkpoints/ckpt-N"
        ) from None
    except OSError as error:
        raise FinalError(f"{facts_path}: cannot be read ({error.strerror})") from None
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else str(error)[:200]
        raise FinalError(f"{facts_path}: cannot be used ({why}); expected what a run of this version wrote") from None
    return Run(folder=folder, record=journal.read(folder.with_name(folder.name + ".csv")), asked=asked, **made)


def chosen_checkpoints(run: Run, there: Sequence[int], which: Sequence[str]) -> dict[str, int]:
    """Name -> batches trained: what was asked for by number, else the best and the last epoch's.

    Raises:
        FinalError: there are no checkpoints, or not that of an evaluated epoch.
    """
    from benchmark.run.checkpoints import best_evaluation

    if run.asked is not None:
        return {f"batch {run.asked}": run.asked}
    if not there:
        raise FinalError(f"{run.folder / 'checkpoints'}: no checkpoints; expected those of a run")
    found: dict[str, int] = {}
    if "best" in which:
        best = best_evaluation(run.record, there)
        if best is None:
            raise FinalError(f"{run.folder}: no checkpoint of an evaluated epoch is left; ask for --checkpoints last")
        found["best"] = best.step
    if "last" in which:
        found["last"] = max(there)
    if len(set(found.values())) < len(found):
        return {"best and last": max(there)}
    return found


def chosen_subsets(there: Sequence[str], asked: Sequence[str]) -> list[str]:
    """The dev and test subsets there are, or those of them asked for by name or role; dev before test."""
    usable = sorted({name for name in there if role(name) in ("dev", "test")}, key=lambda name: (role(name), name))
    chosen = [name for name in usable if not asked or name in asked or role(name) in asked]
    missing = [name for name in asked if name not in usable and name not in map(role, usable)]
    if missing or not chosen:
        raise FinalError(f"no subset {', '.join(missing) or 'to evaluate'}; there are {', '.join(usable) or 'none'}")
    return chosen


def evaluate(run: Run, options: argparse.Namespace) -> tuple[list[Result], str]:
    """All figures asked for, and the worst, median and best utterances in words."""
    from benchmark.run import devices
    from benchmark.run.checkpoints import Checkpoints
    from benchmark.run.data import Data
    from benchmark.run.evaluation import Transcriber
    from benchmark.run.step import model_config
    from models import deepspeech

    features = options.features or run.features
    if features is None:
        raise FinalError(f"{run.folder / 'run.json'}: names no features; give their folder with --features")
    found = manifest.load(features)
    subsets = chosen_subsets(found.subsets, options.subsets)
    chosen = list(_decoders(run, options, found.words))
    for decoder in chosen:
        if decoder.name == "language-model":
            decoding.load_quietly(decoder)  # a file that is none is found now, not by the workers
    checkpoints = Checkpoints(run.folder / "checkpoints")
    steps = chosen_checkpoints(run, checkpoints.steps(), options.checkpoints)
    machine = devices.one(run.precision)
    with machine.strategy.scope():
        model = deepspeech.build(model_config(run.workload))
    transcriber = Transcriber(
        model,
        workload=run.workload,
        platform=platforms.load("cpu").with_input(batch=options.batch or run.batch),
        data=Data(folder=features, manifest=found, seconds=0.0),
        devices=machine,
    )
    results, examples = [], []
    for name, step in steps.items():
        checkpoints.restore(step, model)
        epoch = max((row.epoch for row in run.record.standing if row.step <= step), default=0)
        for subset in subsets:
            started = time.monotonic()
            logits = forward(transcriber, subset)
            forward_s = time.monotonic() - started
            for decoder in chosen:
                evaluated, decoding_s = _decode(logits, decoder, options.decode_jobs, f"{name}, {subset}")
                result = Result(
                    checkpoint=name,
                    step=step,
                    epoch=epoch,
                    subset=subset,
                    decoder=decoder.label,
                    utterances=len(evaluated.sentences),
                    audio_s=round(found.seconds(subset), 2),
                    forward_s=forward_s,
                    decoding_s=decoding_s,
                    rates=evaluated.rates,
                )
                results.append(result)
                heading = f"{name} epoch {epoch} batch {step} {subset} {decoder.label}"
                examples.append(f"{heading} WER {result.rates.wer:.2f}%\n{evaluated.describe_examples()}")
    return results, "".join(examples)


Logits = list[tuple[tuple[str, str], np.ndarray]]  # (identity, target), float32 [T', 30]


def _decoders(run: Run, options: argparse.Namespace, words: tuple[str, ...]) -> Iterator[Decoder]:
    names = options.decoder or [run.workload.decoder]
    if options.language_model and "language-model" not in names:
        raise FinalError(f"a language model, but the decoder is {', '.join(names)}; add --decoder language-model")
    if options.decode_jobs < 1:
        raise FinalError(f"decode-jobs is {options.decode_jobs}; expected at least 1")
    model = None
    if "language-model" in names:
        model = decoding.language_model(options.language_model, options.data)
    for name in names:
        for width in options.beam_width if name != "greedy" else [1]:
            decoder = Decoder(name=name, beam_width=width, words=words, language_model=model)
            yield replace(decoder, lm_weight=options.lm_weight, word_bonus=options.word_bonus)


def forward(transcriber: Transcriber, subset: str) -> Logits:
    """The logits of every utterance of a subset."""
    total = transcriber.data.manifest.utterances(subset)
    found: Logits = []
    with progress(f"forward pass of {subset}", total=total, unit="utterances") as advance:
        for said, logits, frames in transcriber.logits(transcriber.batches(subset)):
            found += [(pair, matrix[:count]) for pair, matrix, count in zip(said, logits, frames, strict=True)]
            advance(len(said))
    return found


def _decode(logits: Logits, decoder: Decoder, jobs: int, label: str) -> tuple[Evaluated, float]:
    """Sentences and error rates, and the seconds of decoding; starting the workers is not in them."""
    from benchmark.run.evaluation import Evaluated, Transcription

    with (
        DecodingPool(decoder, jobs=jobs) as pool,
        progress(f"{label}: {decoder.label}", total=len(logits), unit="utterances") as advance,
    ):
        pool.warm_up()
        started = time.monotonic()
        transcription = Transcription()
        for said, matrix in logits:
            transcription.add([said], pool.submit(matrix[None], np.array([len(matrix)])))
        sentences = transcription.sentences(advance)
        seconds = time.monotonic() - started
    return Evaluated.of(sentences), seconds


def tables(run: Run, results: Sequence[Result]) -> list[str | Table]:
    """Word error rates by subset with the published rows, and all figures."""
    subsets = list(dict.fromkeys(result.subset for result in results))
    header, published = published_rows()
    rows = {}
    for result in results:
        label = f"{result.checkpoint} (epoch {result.epoch}), {result.decoder}"
        rows.setdefault(label, {})[result.subset] = result.rates
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
        body = tuple((system, *(cells[name] for name in header)) for system, cells in published)
        parts.append(Table("Published, on LibriSpeech (not this corpus): WER, percent", ("system", *header), body))
    parts.append(_figures(results))
    return parts


def _figures(results: Sequence[Result]) -> Table:
    header = ("checkpoint", "subset", "decoder", "WER", "CER", "WER mean", "CER paper", "utterances", "decoding s")
    body = tuple(
        (
            r.checkpoint,
            r.subset,
            r.decoder,
            *(f"{rate:.2f}" for rate in asdict(r.rates).values()),
            str(r.utterances),
            f"{r.decoding_s:.2f}",
        )
        for r in results
    )
    return Table("All figures, percent", header, body)


def published_rows() -> tuple[list[str], list[tuple[str, dict[str, str]]]]:
    """The paper's table 4: its subsets, and system -> word error rate of each in percent, as printed there."""
    with PUBLISHED.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    subsets = [name for name in rows[0] if name != "system"]
    return subsets, [(row["system"], {name: row[name] for name in subsets}) for row in rows]


def to_csv(results: Sequence[Result]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(results[0].fields()), lineterminator="\n")
    writer.writeheader()
    writer.writerows(result.fields() for result in results)
    return text.getvalue()


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 0 done, 2 bad input, 130 interrupted."""
    options = _parser().parse_args(argv)
    try:
        run = load_run(options.run)
        results, examples = evaluate(run, options)
        try:
            replace_text(run.folder / "final.csv", to_csv(results))
            replace_text(run.folder / "final-sentences.txt", examples)
        finally:  # on a full disk too: an hour's work
            show(tables(run, results))
        if left_out := manifest.load(options.features or run.features).dropped:
            print(f"{len(left_out):,} utterances of the whole corpus were left out of its features (manifest.json)")
        print(f"written: {run.folder / 'final.csv'}, {run.folder / 'final-sentences.txt'}", file=sys.stderr)
        return 0
    except BrokenProcessPool:
        print(f"benchmark.final: {decoding.KILLED_WORKER}", file=sys.stderr)
        return BAD_INPUT
    except (ValueError, OSError) as error:
        print(f"benchmark.final: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("\nbenchmark.final: interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    usual = Decoder()
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.final", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="results/RUN, results/RUN.csv or results/RUN/checkpoints/ckpt-N")
    add("--checkpoints", nargs="+", choices=WHICH, default=list(WHICH), help="default: best last")
    add("--subsets", nargs="+", default=[], metavar="NAME", help="or roles, dev and test; default: all dev and test")
    add("--decoder", nargs="+", choices=decoders.NAMES, default=[], help="default: the run's")
    add("--beam-width", nargs="+", type=int, default=[BEAM_WIDTH], metavar="N", help="default: 512")
    published = ", ".join(decoding.PUBLISHED_MODELS)
    add("--language-model", metavar="FILE", help=f"ARPA or KenLM binary file, or {published} of LibriSpeech")
    add("--data", type=Path, default=Path("data"), metavar="DIR", help="where downloads are; default: %(default)s")
    add("--lm-weight", type=float, default=usual.lm_weight, metavar="A", help="its weight; default: %(default)s")
    add("--word-bonus", type=float, default=usual.word_bonus, metavar="B", help="added a word; default: %(default)s")
    add("--features", type=Path, metavar="DIR", help="features to evaluate on; default: those the run learnt from")
    add("--batch", type=int, metavar="N", help="utterances of one forward pass; default: the run's, a replica")
    add("--decode-jobs", type=int, default=decoding.cores(), metavar="N", help="worker processes; default: all cores")
    return parser


if __name__ == "__main__":
    sys.exit(main())
