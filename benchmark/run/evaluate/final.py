"""The final evaluation of a run (the paper's table 4): its checkpoints on every dev and test subset.

    run = load_trained(Path("results/RUN"))     # benchmark.run.prepare.trained
    wanted = Wanted(subsets=("dev",), decoders=("greedy",))
    with data_of(run, wanted) as data:
        results, examples = evaluate(run, wanted, data)
    write(run, results, examples)               # final.csv, final-utterances.csv, final-sentences.txt beside the run

Evaluates two checkpoints: that of the epoch with the lowest word error rate, and the last one. Several decoders and
beam widths are compared in one call: each forward pass is done once for all of them.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import platforms
from benchmark.metrics import COUNTS, Edits, Errors
from benchmark.record.confusions import Confusions
from benchmark.record.sentences import describe
from benchmark.run.evaluate import decoding
from benchmark.run.evaluate.decoding import DecodingPool
from benchmark.run.prepare.language_models import language_model
from benchmark.run.prepare.trained import BEAM_WIDTH, WHICH, FinalError, Trained, check_start, chosen_checkpoints
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

NAME, NAME_OF_UTTERANCES, NAME_OF_SENTENCES = "final.csv", "final-utterances.csv", "final-sentences.txt"

Utterance = tuple[str, str]  # id and reference
Logits = list[tuple[Utterance, np.ndarray]]  # each utterance with its outputs: logits [T', C] or tokens [L]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A request: what is to be evaluated, and how. Raises FinalError if `decode_jobs` is under 1.

    `checkpoints` are of WHICH. `subsets` are names or roles (dev, test); empty means all of both roles. Empty or None
    `decoders`, `features` and `batch` mean the run's own. `language_model`, which some decoders need,
    is a file, or the name of a LibriSpeech model in `data`. With `train_sample` so many training utterances are
    evaluated too, the first in the order of `train_seed`, by utterances or whole speakers (`train_select`): they lie in
    every part of the training set that is as large.
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

    def __post_init__(self) -> None:
        if self.decode_jobs < 1:
            raise FinalError(f"decode-jobs is {self.decode_jobs}; expected at least 1")


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result for one checkpoint, subset and decoder. `decoding_s` is wall time, without the forward pass.

    `features` is the digest of what was evaluated, as a journal has that of what was trained on.
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
    edits: tuple[tuple[str, Edits], ...] = field(default=(), repr=False)  # of each utterance, by id

    def fields(self) -> dict[str, object]:
        """Return a row of final.csv, by column."""
        own = [f.name for f in fields(self) if f.name not in ("errors", "features", "edits")]
        row = {name: getattr(self, name) for name in own} | asdict(self.errors) | {"features": self.features}
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


def evaluate(run: Trained, wanted: Wanted, data: Data) -> tuple[list[Result], str]:
    """Evaluate on what `data_of` gave; return the results, and the worst, median and best utterances as text.

    Raises:
        FinalError, ValueError: what is wanted is not there, or does not fit the run.
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
    decoders = list(_decoders(run, wanted, data.manifest.words, task.learner))
    transcriber = Transcriber(task.new_model(), task)
    results, examples = [], []
    for name, step in steps.items():
        checkpoints.restore(step, transcriber.model)
        epoch = max((row.epoch for row in run.record.standing if row.step <= step), default=0)
        for subset in [*subsets, *["train"] * bool(wanted.train_sample)]:
            started = time.monotonic()
            logits = forward(transcriber, subset)
            forward_s = time.monotonic() - started
            for decoder in decoders:
                evaluated, decoding_s = _decode(logits, decoder, wanted.decode_jobs, f"{name}, {subset}")
                result = Result(
                    checkpoint=name,
                    step=step,
                    epoch=epoch,
                    subset=subset,
                    decoder=decoder.label,
                    utterances=len(evaluated.sentences),
                    audio_s=round(_seconds(task, subset), 2),
                    forward_s=forward_s,
                    decoding_s=decoding_s,
                    errors=evaluated.errors,
                    features=data.manifest.digest[:12],
                    edits=tuple(zip((s.id for s in evaluated.sentences), evaluated.edits, strict=True)),
                )
                results.append(result)
                heading = f"{name} epoch {epoch} batch {step} {subset} {decoder.label}"
                examples.append(f"{heading} WER {result.errors.wer:.2f}%\n{describe(evaluated.examples())}")
    return results, "".join(examples)


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


def write(run: Trained, results: Sequence[Result], examples: str) -> tuple[Path, ...]:
    """Write results, what each utterance took, and sentences into the run's folder; return paths. Raises OSError."""
    texts = {NAME: to_csv(results), NAME_OF_UTTERANCES: utterances_to_csv(results), NAME_OF_SENTENCES: examples}
    for name, text in texts.items():
        write_whole(run.folder / name, text)
    return tuple(run.folder / name for name in texts)


def utterances_to_csv(results: Sequence[Result]) -> str:
    """Return the text of final-utterances.csv: edits and units of every utterance, for statistics over them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("checkpoint", "subset", "decoder", "utterance", *COUNTS))
    for each in results:
        for name, counted in each.edits:
            writer.writerow((each.checkpoint, each.subset, each.decoder, name, *(getattr(counted, c) for c in COUNTS)))
    return text.getvalue()


def to_csv(results: Sequence[Result]) -> str:
    """Return the text of final.csv; `results` has at least one."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(results[0].fields()), lineterminator="\n")
    writer.writeheader()
    writer.writerows(result.fields() for result in results)
    return text.getvalue()
