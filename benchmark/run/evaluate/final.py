"""The final evaluation of a run (the paper's table 4): its checkpoints on every dev and test subset.

    run = load_trained(Path("results/RUN"))     # benchmark.run.prepare.trained
    wanted = Wanted(subsets=("dev",), decoders=("greedy",))
    with data_of(run, wanted) as data:
        results = evaluate(run, wanted, data)
    write(run, results)                         # files in results/RUN/final: benchmark.record.finals

Evaluates two checkpoints: that of the epoch with the lowest word error rate, and the last one. Several decoders and
beam widths are compared in one call: each forward pass is done once for all of them. What was decoded before is read
from its files, and not decoded again; nothing is overwritten but what is asked for `again`.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import platforms
from benchmark.metrics import COUNTS, Edits, Errors
from benchmark.record import finals
from benchmark.record.confusions import Confusions
from benchmark.record.finals import Final, FinalsError, read_finals
from benchmark.record.sentences import describe
from benchmark.run.evaluate import accuracy, decoding
from benchmark.run.evaluate.decoding import DecodingPool
from benchmark.run.prepare.language_models import language_model
from benchmark.run.prepare.trained import (
    BEAM_WIDTH,
    WHICH,
    FinalError,
    Trained,
    check_start,
    chosen_checkpoints,
    words_of_run,
)
from features.corpus.audio import FRAME_STEP_S
from features.corpus.layout import role
from features.jobs.files import write_whole
from features.jobs.progress import progress
from models.ctc.decoders import SPOKEN, Decoder

if TYPE_CHECKING:
    from benchmark.run.evaluate.evaluation import Evaluated, Transcriber
    from benchmark.run.prepare.data import Data
    from benchmark.run.prepare.task import Task
    from models.learner import Learner
from models.table import MODELS

Utterance = tuple[str, str]  # id and reference
Logits = list[tuple[Utterance, np.ndarray]]  # each utterance with its outputs: logits [T', C] or tokens [L]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A request: what is to be evaluated, and how. Raises FinalError if `decode_jobs` is under 1.

    `checkpoints` are of WHICH. `subsets` are names or roles (dev, test); empty means all of both roles. Empty or None
    `decoders`, `features` and `batch` mean the run's own. `language_model`, which some decoders need,
    is a file, or the name of a LibriSpeech model in `data`. With `train_sample` so many training utterances are
    evaluated too, the first in the order of `train_seed`, by utterances or whole speakers (`train_select`): they lie in
    every part of the training set that is as large. What was decoded before is decoded `again` only where it is wanted.
    """

    checkpoints: tuple[str, ...] = WHICH
    subsets: tuple[str, ...] = ()
    decoders: tuple[str, ...] = ()
    beam_widths: tuple[int, ...] = (BEAM_WIDTH,)
    language_model: str | None = None
    data: Path = Path("data")
    lm_weight: float = Decoder().lm_weight
    word_bonus: float = Decoder().word_bonus
    features: Path | None = None
    batch: int | None = None
    decode_jobs: int = 1
    train_sample: int = 0
    train_seed: int = 0
    train_select: str = "utterances"
    again: bool = False

    def __post_init__(self) -> None:
        if self.decode_jobs < 1:
            raise FinalError(f"decode-jobs is {self.decode_jobs}; expected at least 1")

    @property
    def sample(self) -> str:
        """Which training utterances are evaluated: "500-seed3"; "" if none are."""
        kind = "-speakers" * (self.train_select == "speakers")
        return f"{self.train_sample}-seed{self.train_seed}{kind}" if self.train_sample else ""


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result for one checkpoint, subset and decoder. `decoding_s` is wall time, without the forward pass.

    `features` is the digest of what was evaluated, as a journal has that of what was trained on; `sample` says which
    training utterances these are, and `batch` how many were in one forward pass. `edits` has the id and the edits of
    each utterance, `texts` its reference and hypothesis as they are compared, and `examples` some of them for people.
    `found` is the file that has the result already; None if it is new.
    """

    checkpoint: str
    step: int
    epoch: int
    subset: str
    decoder: str
    utterances: int
    audio_s: float
    forward_s: float
    decoding_s: float
    errors: Errors
    features: str = ""
    sample: str = ""
    batch: int | None = None
    edits: tuple[tuple[str, Edits], ...] = field(default=(), repr=False)
    texts: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    examples: str = field(default="", repr=False)
    found: Path | None = field(default=None, repr=False)

    def fields(self) -> dict[str, object]:
        """Return the row of its file, by column."""
        last = ("features", "sample", "batch")
        own = [f.name for f in fields(self) if f.name not in (*last, "errors", "edits", "texts", "examples", "found")]
        row = {name: getattr(self, name) for name in own} | asdict(self.errors)
        row |= {name: getattr(self, name) for name in last}
        return {name: round(v, 6) if isinstance(v, float) else v for name, v in row.items()}

    def confusions(self) -> Confusions:
        """Return the commonest word errors of all its utterances."""
        return Confusions.of(pair for _, edited in self.edits for pair in edited.word_pairs)


def chosen_subsets(there: Sequence[str], asked: Sequence[str]) -> list[str]:
    """Return the dev and test subsets, or those asked for by name or role; dev before test. Raises FinalError."""
    usable = sorted({name for name in there if role(name) in ("dev", "test")}, key=lambda name: (role(name), name))
    chosen = [name for name in usable if not asked or name in asked or role(name) in asked]
    missing = [name for name in asked if name not in usable and name not in map(role, usable)]
    if missing or not chosen:
        raise FinalError(f"no subset {', '.join(missing) or 'to evaluate'}; there are {', '.join(usable) or 'none'}")
    return chosen


@contextmanager
def data_of(run: Trained, wanted: Wanted) -> Iterator[Data]:
    """Open the features to evaluate on, or the recordings of a run that streamed them, with the sample of training
    utterances that is wanted.

    Raises:
        FinalError: neither run nor command names a folder.
        ManifestError, CorpusError, ValueError: what is there cannot be used, or has fewer utterances.
    """
    from benchmark.run.prepare import data

    folder = wanted.features or run.features
    if not folder:
        raise FinalError(f"{run.folder / 'run.json'}: names no features; give their folder with --features")
    found = data.load(folder, run.workload, jobs=wanted.decode_jobs)
    if wanted.train_sample:
        chosen = found.sample(wanted.train_sample, seed=wanted.train_seed, by=wanted.train_select)
        found = replace(found, chosen=chosen)
    with found.opened():
        yield found


def evaluate(run: Trained, wanted: Wanted, data: Data) -> list[Result]:
    """Evaluate on what `data_of` gave, but read what was decoded before; one result a checkpoint, subset and decoder.

    Raises:
        FinalError, FinalsError, ValueError: what is wanted is not there, does not fit the run, or cannot be read.
        concurrent.futures.process.BrokenProcessPool: a decoding worker was killed.
    """
    from benchmark.run.evaluate.evaluation import Transcriber
    from benchmark.run.prepare import devices
    from benchmark.run.prepare.task import Task
    from benchmark.run.state.checkpoints import Checkpoints

    subsets = chosen_subsets(data.manifest.subsets, wanted.subsets)
    checkpoints = Checkpoints(run.folder / "checkpoints")
    steps = chosen_checkpoints(run, checkpoints.steps(), wanted.checkpoints)
    task = Task(
        workload=run.workload,
        platform=platforms.load("cpu").changed(batch=wanted.batch or run.batch),
        data=data,
        devices=devices.single_device(run.precision),
    )
    check_start(run, task.learner.about)
    decoders = list(_decoders(run, wanted, _words(run, data), task.learner))
    there = [] if wanted.again else [each for each in read_finals(run.folder) if not each.old]
    transcriber: Transcriber | None = None
    logits: Logits = []
    results = []
    for name, step in steps.items():
        restored = False
        for subset in [*subsets, *["train"] * bool(wanted.train_sample)]:
            asked = Result(
                checkpoint=name,
                step=step,
                epoch=max((row.epoch for row in run.record.standing if row.step <= step), default=0),
                subset=subset,
                decoder="",
                utterances=0,
                audio_s=round(_seconds(task, subset), 2),
                forward_s=0.0,
                decoding_s=0.0,
                errors=Errors(),
                features=data.manifest.digest[:12],
                sample=wanted.sample if subset == "train" else "",
                batch=wanted.batch or run.batch,
            )
            each_asked = [replace(asked, decoder=decoder.label) for decoder in decoders]
            known = [_found(there, each) for each in each_asked]
            if not all(known):
                transcriber = transcriber or Transcriber(task.new_model(), task)
                if not restored:
                    checkpoints.restore(step, transcriber.model)
                    restored = True
                started = time.monotonic()
                logits = forward(transcriber, subset)
                asked = replace(asked, forward_s=time.monotonic() - started)
            for decoder, result in zip(decoders, known, strict=True):
                results.append(result or _decoded(asked, logits, decoder, wanted.decode_jobs))
    return results


def _words(run: Trained, data: Data) -> tuple[str, ...]:
    """Return the words of the run's dictionary, whatever is evaluated: they are those that the model was trained on."""
    if data.folder == run.features:
        return data.manifest.words
    try:
        return words_of_run(run)
    except FinalError:
        if data.manifest.words:
            return data.manifest.words
        raise


def _decoded(asked: Result, logits: Logits, decoder: Decoder, jobs: int) -> Result:
    """Decode what is asked for, and return it with its figures and sentences."""
    evaluated, decoding_s = _decode(logits, decoder, jobs, f"{asked.checkpoint}, {asked.subset}")
    heading = f"{asked.checkpoint} epoch {asked.epoch} batch {asked.step} {asked.subset} {decoder.label}"
    return replace(
        asked,
        decoder=decoder.label,
        utterances=len(evaluated.sentences),
        decoding_s=decoding_s,
        errors=evaluated.errors,
        edits=tuple(zip((s.id for s in evaluated.sentences), evaluated.edits, strict=True)),
        texts=tuple((accuracy.tidy(s.reference), accuracy.tidy(s.hypothesis)) for s in evaluated.sentences),
        examples=f"{heading} WER {evaluated.errors.wer:.2f}%\n{describe(evaluated.examples())}",
    )


def _found(there: Sequence[Final], asked: Result) -> Result | None:
    """Return what is asked for from the files of an earlier call; None if none has it. Raises FinalsError.

    What they call another checkpoint, as the last one that is now the best one too, is a result without a file.
    """
    as_row = Final(path=Path(), row={name: str(value) for name, value in asked.fields().items()})
    same = sorted((each for each in there if each.key == as_row.key), key=lambda f: f.checkpoint != asked.checkpoint)
    return _read_back(same[0], asked) if same else None


def _read_back(final: Final, asked: Result) -> Result:
    rows = final.utterances()
    try:
        texts = tuple((row["reference"], row["hypothesis"]) for row in rows)
        counted = tuple(accuracy.edits(*pair) for pair in texts)
        if len(rows) != int(final.row["utterances"]) or not rows:
            raise ValueError
        sentences = final.path.with_name(final.path.name.removesuffix(".csv") + finals.SENTENCES)
        return replace(
            asked,
            utterances=len(rows),
            forward_s=float(final.row["forward_s"]),
            decoding_s=float(final.row["decoding_s"]),
            errors=Errors.of(counted),
            edits=tuple(zip((row["utterance"] for row in rows), counted, strict=True)),
            texts=texts,
            examples=sentences.read_text(encoding="utf-8") if sentences.exists() else "",
            found=final.path if final.checkpoint == asked.checkpoint else None,
        )
    except (ValueError, KeyError, AttributeError, TypeError):
        raise FinalsError(
            f"{final.path}: not all utterances and their sentences are beside it; expected {final.row['utterances']}: "
            f"move it away, or decode it anew with --again"
        ) from None


def _seconds(task: Task, subset: str) -> float:
    manifest_of = task.data.manifest
    return sum(task.data.lengths) * FRAME_STEP_S if subset == "train" else manifest_of.seconds(subset)


def _decoders(run: Trained, wanted: Wanted, words: tuple[str, ...], learner: Learner) -> Iterator[Decoder]:
    names = wanted.decoders or (run.workload.decoder,)
    if wanted.language_model and not set(names) & set(SPOKEN):
        raise FinalError(f"--language-model, but the decoder is {', '.join(names)}; add --decoder language-model")
    kind, model = MODELS[run.workload.model.name], None
    if unknown := set(names) - set(kind.decoders):
        of = f"model {run.workload.model.name} is decoded by {', '.join(kind.decoders)}"
        raise FinalError(f"decoder {', '.join(sorted(unknown))}, but {of}; ask for one of these")
    if set(names) & set(SPOKEN):
        model = language_model(wanted.language_model, wanted.data)
    for name in names:
        for width in wanted.beam_widths if name != "greedy" else [1]:
            decoder = Decoder(name=name, beam_width=width, words=words, language_model=model, own=learner.decode)
            decoder = replace(decoder, lm_weight=wanted.lm_weight, word_bonus=wanted.word_bonus)
            if decoder.spoken:
                decoding.load_quietly(decoder)  # a file that is no language model is found now, not by the workers
            yield decoder


def forward(transcriber: Transcriber, subset: str) -> Logits:
    """Compute the logits of every utterance of a subset."""
    data = transcriber.task.data
    total = len(data.lengths) if subset == "train" else data.manifest.utterances(subset)
    found: Logits = []
    with progress(f"forward pass of {subset}", total=total, unit="utterances") as advance:
        for utterances, logits, frames in transcriber.logits(transcriber.batches(subset)):
            found += [
                (utterance, matrix[:count]) for utterance, matrix, count in zip(utterances, logits, frames, strict=True)
            ]
            advance(len(utterances))
    return found


def _decode(logits: Logits, decoder: Decoder, jobs: int, label: str) -> tuple[Evaluated, float]:
    """Decode; return sentences with error rates, and the seconds that it took without starting the workers."""
    from benchmark.run.evaluate.evaluation import Evaluated, Transcription

    with (
        DecodingPool(decoder, jobs=jobs) as pool,
        progress(f"{label}: {decoder.label}", total=len(logits), unit="utterances") as advance,
    ):
        pool.warm_up()
        started = time.monotonic()
        transcription = Transcription()
        for utterance, matrix in logits:
            transcription.add([utterance], pool.submit(matrix[None], np.array([len(matrix)])))
        sentences = transcription.sentences(advance)
        seconds = time.monotonic() - started
    return Evaluated.of(sentences), seconds


def write(run: Trained, results: Sequence[Result], *, features: Path | None = None) -> tuple[Path, ...]:
    """Write the results that are new into files of their own in the run's folder; return those with the figures.

    `features` is the folder that was evaluated, which gives files their names if it is not the run's own. Each file of
    figures is written last: where it is, the others are whole. Raises OSError.
    """
    folder, own = run.folder / finals.FOLDER, run.record.identity
    places = []
    for each in results:
        if each.found:
            continue
        folder.mkdir(exist_ok=True)
        name = finals.name_of(
            each.fields(),
            own_features=own is None or each.features in ("", own.features),
            own_batch=each.batch in (None, run.batch),
            features_name=(features or run.features or Path()).name,
        )
        write_whole(folder / f"{name}{finals.UTTERANCES}", utterances_to_csv([each]))
        write_whole(folder / f"{name}{finals.SENTENCES}", each.examples)
        write_whole(folder / f"{name}.csv", to_csv([each]))
        places.append(folder / f"{name}.csv")
    return tuple(places)


def utterances_to_csv(results: Sequence[Result]) -> str:
    """Return the text of a file of utterances: edits and units of each, for statistics over them, and its sentences."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("checkpoint", "subset", "decoder", "utterance", *COUNTS, "reference", "hypothesis"))
    for each in results:
        for (name, counted), texts in zip_longest(each.edits, each.texts, fillvalue=("", "")):
            counts = (getattr(counted, count) for count in COUNTS)
            writer.writerow((each.checkpoint, each.subset, each.decoder, name, *counts, *texts))
    return text.getvalue()


def to_csv(results: Sequence[Result]) -> str:
    """Return the text of a file of figures; `results` has at least one."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(results[0].fields()), lineterminator="\n")
    writer.writeheader()
    writer.writerows(result.fields() for result in results)
    return text.getvalue()
