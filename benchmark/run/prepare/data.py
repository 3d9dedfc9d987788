"""Find or make the corpus and the features of a workload. No clock of the run counts this preparation.

data = prepare(workload, folder=Path("data"), corpus=None)
data.manifest.utterances("train"), data.seconds

data/corpora/embedded-2500/             the embedded corpus
data/LibriSpeech/                       LibriSpeech, if it was downloaded (python -m features.download)
data/features/NAME-dtype/               shards and manifest.json
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmark.workloads import Workload
from features.corpus import noise, text
from features.corpus.audio import FRAME_STEP_S
from features.corpus.roles import role
from features.frames.kinds import UNNAMED, USUAL
from features.jobs.files import locked
from features.jobs.streams import one_line
from features.reading import subsets
from features.reading.batches import Buckets
from features.reading.recordings import Recordings, scan
from features.shards import account, manifest
from features.shards.extraction import extract_corpus, scan_corpus
from features.shards.manifest import Manifest
from features.synthesis import corpus as synthesis
from models.learner import Config

Encode = Callable[[str], list[int]]
LIBRISPEECH_SUBSETS = ("train-clean-100", "train-clean-360", "train-other-500", "dev-clean")


@dataclass(frozen=True, kw_only=True)
class Data:
    """Features that are ready to train on, and the seconds that it took to prepare them.

    `folder` holds the shards; or it is that of the corpus, if `recordings` are streamed. `chosen` says which utterances
    are trained on, bool [utterances] in the order of the shards; None is all of them. `unfit` counts those that are not
    because they are too short for the model, or for their labels. `labels` stand in the place of those of the records,
    if noise was asked for or the model takes others.
    """

    folder: Path
    manifest: Manifest
    seconds: float
    recordings: Recordings | None = None
    chosen: np.ndarray | None = None
    unfit: int = 0
    labels: Sequence[Sequence[int] | None] | None = None

    def part(self, workload: Workload, encode: Encode | None = None) -> Data:
        """Return the data with the part and the transcripts that the workload asks for.

        `encode` makes labels of sentences, where the model takes others than those of the records.

        Raises:
            ValueError: there are not so many utterances, or a sentence has no labels.
        """
        labels, chosen, seed, unfit = None, None, workload.subset_seed, 0
        fitting = self.fitting(workload.model, encode)
        if workload.segment_s:
            lengths = np.asarray(self.manifest.lengths("train"))
            chosen = lengths <= workload.segment_frames
            if not chosen.any():
                raise ValueError(no_segment(self, workload.segment_s))
        if not fitting.all():
            chosen, unfit = fitting if chosen is None else chosen & fitting, int((~fitting).sum())
            if not chosen.any():
                raise ValueError(f"{self.folder}: no utterance is long enough for the model and its labels")
        if workload.samples:
            chosen = self.sample(workload.samples, seed=seed, by=workload.select, among=chosen)
        if workload.label_noise or encode:
            said = self.said()
            noisy = noise.noisy_sentences(said, share=workload.label_noise, seed=seed)
            labels = [(encode or text.encode)(sentence) for sentence in noisy]
        return replace(self, chosen=chosen, unfit=unfit, labels=labels)

    def fitting(self, model: Config, encode: Encode | None = None) -> np.ndarray:
        """Return which training utterances a model can be trained on, bool [utterances].

        A shard holds what its front end has room for. Sentences are read where the model has less.
        """
        lengths = np.asarray(self.manifest.lengths("train"))
        room, kind = model.output_frames(lengths), self.manifest.settings.kind
        fitting = lengths >= model.least_frames
        if kind.frames_a_label and (room < kind.labels_at_most(lengths)).any():
            labels = [len((encode or text.encode)(sentence)) for _, sentence in self.said()]
            fitting &= np.array(labels) <= room
        return fitting

    def sample(
        self, utterances: int, *, seed: int, by: str = "utterances", among: np.ndarray | None = None
    ) -> np.ndarray:
        """Return which training utterances are in a part of so many, bool [utterances], `among` these or all.

        Raises:
            ValueError: there are not so many.
        """
        among = np.ones(self.manifest.utterances("train"), bool) if among is None else among
        if not 0 < utterances <= (there := int(among.sum())):
            few = f"{self.folder} has {there:,} to train on: ask for fewer"
            raise ValueError(f"{utterances:,} utterances asked for; {few}")
        names = np.array([name for name, _ in self.said()])
        chosen = np.zeros(len(names), bool)
        chosen[among] = subsets.chosen_of(names[among].tolist(), utterances=utterances, seed=seed, by=by)
        return chosen

    def said(self) -> list[tuple[str, str]]:
        """Return (id, sentence) of all training utterances, in the order of the shards."""
        if self.recordings is not None:
            return [(each.id, each.sentence) for each in self.recordings.of("train")]
        return subsets.said(self.folder, self.manifest)

    def damage(self) -> list[str]:
        """Return a sentence for every shard that is not what was written; reads them all."""
        return [] if self.recordings is not None else manifest.damaged(self.folder, self.manifest)

    def opened(self) -> AbstractContextManager:
        """Return what ends the processes that make features, where there are any, when it is left."""
        return self.recordings if self.recordings is not None else nullcontext()

    @property
    def lengths(self) -> Sequence[int]:
        """The frames of every utterance that is trained on."""
        lengths = self.manifest.lengths("train")
        return lengths if self.chosen is None else np.asarray(lengths)[self.chosen].tolist()

    @property
    def _of_all(self) -> list[int]:
        return [frames for subset in self.manifest.subsets for frames in self.manifest.lengths(subset)]

    def validation(self, workload: Workload) -> str:
        """Return the subset to evaluate every epoch, or "dev" for all dev subsets."""
        return workload.validation if workload.validation in self.manifest.subsets else "dev"

    def layout(self, workload: Workload, batch: int) -> Buckets:
        """Return how the training set is put into global batches of `batch` utterances; without one, all there is."""
        if not any(role(subset) == "train" for subset in self.manifest.subsets):
            return Buckets.bucketed(self._of_all, batch=batch, buckets=workload.buckets, step=workload.model.frame_step)
        lengths = self.lengths
        if workload.segment_s:
            return Buckets.fixed(workload.segment_frames, batch=batch)
        if workload.padding == "fixed":
            return Buckets.fixed(max(workload.max_frames, *lengths), batch=batch)
        return Buckets.bucketed(lengths, batch=batch, buckets=workload.buckets, step=workload.model.frame_step)


def no_segment(data: Data, seconds: float) -> str:
    """Say that no utterance is so short: "corpus: no training utterance is at most 1 s long, ..."."""
    shortest = min(data.manifest.lengths("train")) * FRAME_STEP_S
    return (
        f"{data.folder}: no training utterance is at most {seconds:g} s long, the shortest is {shortest:.2f} s; "
        f"expected some: give --segment {math.ceil(10 * shortest) / 10:g} or more"
    )


def librispeech_features(folder: Path) -> Path:
    """Return the folder of LibriSpeech's features."""
    return folder / "features" / "librispeech"


def prepare(
    workload: Workload,
    *,
    folder: Path,
    corpus: Path | None = None,
    skip_bad: bool = False,
    streaming: int = 0,
    say: Callable[[str], None] = print,
) -> Data:
    """Find or make the workload's features; or, for `streaming` by so many processes, look at its recordings.

    Raises:
        ValueError: the corpus is missing or bad; the message says what to do.
    """
    started = time.monotonic()
    root, features = _places(workload, folder, corpus)
    settings = _settings(workload)
    folder.mkdir(parents=True, exist_ok=True)
    waiting = f"another process is preparing data in {folder}; waiting for it"
    with locked(folder / ".lock", waiting=lambda: say(waiting)):  # other processes wait, then find all ready
        if workload.corpus == "embedded" and corpus is None:
            say(f"preparing: {workload.sentences:,} sentences, spoken, in {root}")
            synthesis.synthesise(root, sentences=workload.sentences)
        if streaming:
            say(f"preparing: looking at the recordings in {root}, whose features will be made while training")
            found, recordings = scan(root, settings=settings, skip_bad=skip_bad, roles=("train", "dev"), jobs=streaming)
            features = root
        elif root.is_dir() or corpus is not None:  # LibriSpeech's features may be there without its audio
            say(f"preparing: features of {root} in {features}")
            extract_corpus(root, features, settings=settings, skip_bad=skip_bad, roles=("train", "dev"))
    if not streaming:
        recordings, found = None, manifest.load(features)
        manifest.check_sizes(features, found)
        _check_front_end(found, features, workload)
    if workload.corpus == "librispeech" and corpus is None:
        _check_librispeech(found, features, settings)
    for needed in ("train", "dev"):
        found.select(needed)
        if not found.utterances(needed):
            raise ValueError(f"{root}: no usable utterances in the {needed} subsets; expected at least one")
    data = Data(folder=features, manifest=found, seconds=time.monotonic() - started, recordings=recordings)
    for line in account.describe(found):
        say(one_line(line))
    for warning in account.warnings(found, data.validation(workload)):
        say(f"WARNING: {one_line(warning)}")
    return data


def look(workload: Workload, *, folder: Path, corpus: Path | None = None) -> Data:
    """Return the data that `prepare` would make ready, and write nothing: by the features, or the headers of audio.

    Raises:
        ValueError: the corpus is missing or bad; the message says what to do.
    """
    root, features = _places(workload, folder, corpus)
    if (features / manifest.NAME).is_file():
        found = manifest.load(features)
        _check_front_end(found, features, workload)
    elif workload.corpus == "embedded" and corpus is None and not root.is_dir():
        raise ValueError(
            f"{root}: the embedded corpus is not there yet, and looking makes nothing; make it first: python -m "
            f"features.synthesis {root} --sentences {workload.sentences}"
        )
    else:
        found, _ = scan_corpus(root, settings=_settings(workload), roles=("train", "dev"))
    return Data(folder=features, manifest=found, seconds=0.0)


def load(folder: Path, workload: Workload, *, jobs: int) -> Data:
    """Return the features in a folder; or, if it holds none, the recordings of a corpus, streamed by `jobs` processes.

    Raises:
        ManifestError, CorpusError: it is neither; the message says what is wrong.
    """
    if (folder / manifest.NAME).is_file() or not any(folder.glob("*/")):
        stored = manifest.load(folder)
        _check_front_end(stored, folder, workload)
        return Data(folder=folder, manifest=stored, seconds=0.0)
    found, recordings = scan(folder, settings=_settings(workload), jobs=jobs)
    return Data(folder=folder, manifest=found, seconds=0.0, recordings=recordings)


def _settings(workload: Workload) -> manifest.Settings:
    front_end = workload.model.front_end
    return manifest.Settings(max_frames=workload.max_frames, snr_db=workload.audio_noise_db, front_end=front_end)


def _check_front_end(found: Manifest, features: Path, workload: Workload) -> None:
    made, taken = found.settings.front_end, workload.model.front_end
    if made != taken:
        raise ValueError(
            f"{features}: features of front end {made}, and model {workload.model.name} takes {taken}; extract them "
            f"with python -m features CORPUS OUT --front-end {taken}"
        )


def _check_librispeech(found: Manifest, features: Path, settings: manifest.Settings) -> None:
    missing = [subset for subset in LIBRISPEECH_SUBSETS if subset not in found.subsets]
    if missing:
        raise ValueError(
            f"{features}: features of {', '.join(missing)} are missing; download and unpack all of "
            f"LibriSpeech (python -m features.download), or learn a part of it as WORKLOAD=speech"
        )
    if found.settings.max_frames != settings.max_frames:
        raise ValueError(
            f"{features}: made with max_frames {found.settings.max_frames}, expected "
            f"{settings.max_frames}; delete the folder and extract again"
        )


def _places(workload: Workload, folder: Path, corpus: Path | None) -> tuple[Path, Path]:
    """Return the folders of the corpus and of its features. Raises ValueError if there is no corpus."""
    root, features = _usual_places(workload, folder, corpus)
    settings = _settings(workload)
    if settings.front_end != USUAL:
        size = settings.kind.size
        kind = size if UNNAMED.get(size) == settings.front_end else settings.front_end
        features = features.with_name(f"{features.name}-{kind}x{workload.max_frames}")
    if workload.audio_noise_db is not None:
        features = features.with_name(f"{features.name}-snr{workload.audio_noise_db:g}dB")
    return root, features


def _usual_places(workload: Workload, folder: Path, corpus: Path | None) -> tuple[Path, Path]:
    """Return the folders of the corpus and of its features of the usual front end, without noise."""
    if corpus is not None:
        label = hashlib.sha256(str(corpus.resolve()).encode()).hexdigest()[:8]
        return corpus, folder / "features" / f"{corpus.resolve().name}-{label}"
    if workload.corpus == "embedded":
        name = f"embedded-{workload.sentences}"
        return folder / "corpora" / name, folder / "features" / name
    if workload.corpus == "folder":
        raise ValueError(
            f"workload {workload.name!r} learns your own corpus: give its folder with CORPUS=folder (--corpus), "
            f"in LibriSpeech layout"
        )
    root = folder / "LibriSpeech"
    if not root.is_dir() and not librispeech_features(folder).is_dir():
        raise ValueError(
            f"{root}: not there; download LibriSpeech with: python -m features.download {root}, "
            f"or give its folder with CORPUS=folder (--corpus)"
        )
    return root, librispeech_features(folder)
