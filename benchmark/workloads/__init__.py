"""Workloads: what is learnt. It is the same for every platform that is compared.

    workload = load("mini")                 # or load("./mine.toml")
    workload.targets["cer"]                 # levels in percent, hardest last

Each is a TOML file whose keys are the fields of `Workload`, and whose head says what it takes and what came of it.
`mini` learns the embedded corpus, so it needs no download and no recordings; `speech` learns any corpus folder;
`librispeech` is the paper's workload at the paper's size. A workload does not set batch, readers or buffer: the
platform does.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

from benchmark.metrics import TARGETS
from models.ctc.decoders import NAMES as DECODERS
from models.table import MODELS, RECIPES
from platforms.enters import Circumstance, Column, End, Harmless, Mark, declared, setting

FOLDER = Path(__file__).parent
LARGEST_BYTES = 2**14  # of a file; a parser's time and depth may grow with the square of it
CORPORA = ("embedded", "folder", "librispeech")
NORMALISATIONS = ("none", "frame-l2", "utterance")
PADDINGS = ("fixed", "bucket")
AUGMENTATIONS = ("none", "specaugment")
SELECTIONS = ("utterances", "speakers")
MIN_SEGMENT_S = 0.2
EVALUATIONS = ("resident", "swap", "overlap")  # explained in benchmark.record.phases


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A training task: corpus, model size, recipe, decoder, targets and limits. Raises ValueError for unknown values.

    `targets` maps a metric to levels in percent. The run ends when the median error over `window` epochs has reached
    every level, or after `max_epochs` or `max_minutes`. `padding` is "fixed" (all utterances padded to `max_frames`, as
    in the paper) or "bucket" (padded to at most `buckets` lengths). `sentences` is the size of the embedded corpus.
    `validation` is the subset evaluated every epoch; a corpus without it is evaluated on all its dev subsets. With
    `evaluate_every` it is also evaluated within epochs, every so many batches: 0 is never. `samples` is how many
    utterances are trained on, 0 for all: a nested part, in the order of `subset_seed`, by utterances or whole speakers
    (`select`). A run also ends after `max_steps` batches, or once `patience` epochs brought no lower character error
    rate; 0 of either is no such end. A share `label_noise` of the words that are trained on is wrong on purpose. With
    `audio_noise_db` the audio that is trained on has noise in it, at that ratio of signal to noise. With `segment_s`
    utterances longer than so many seconds are not trained on, and all others are padded to that length.
    `weights` are those that a `model` begins with which others have trained: a path, or "random".
    `variant` names what differs from the named workload ("specaugment", "synthetic"); such runs are not pooled with
    others.
    """

    name: str = setting(Column("workload"))
    variant: str = setting(Column("variant"), "")
    description: str = setting(Harmless("words"))
    corpus: str = setting(Column("features"))
    targets: dict[str, tuple[float, ...]] = setting(Harmless("each level is judged by itself"))
    max_epochs: int = setting(End("{}-epochs"))
    max_minutes: float = setting(Harmless("a run that it ends is a censored time"))
    window: int = setting(Harmless("the judge asks with its own"), 3)
    model: str = setting(Column("workload"), "deepspeech")
    weights: str = setting(Mark(""), "")  # by their digest
    recipe: str = setting(Column("recipe"), "paper")
    filters: int = setting(Mark("{}-filters"), 600)
    units: int = setting(Mark("{}-units"), 800)
    layers: int = setting(Mark("{}-layers"), 5)
    dropout: float = setting(Mark("dropout-{:g}"), 0.05)
    norm_momentum: float = setting(Mark("momentum-{:g}"), 0.99)
    normalisation: str = setting(Mark("normalisation-{}"), "utterance")
    augment: str = setting(Mark("{}"), "none")
    padding: str = setting(Mark("{}"), "bucket")
    buckets: int = setting(Mark("{}-buckets"), 10)
    max_frames: int = setting(Mark("{}-frames"), 1670)
    decoder: str = setting(Column("decoder"), "greedy")
    beam_width: int = setting(Column("decoder"), 256)
    sentences: int = setting(Column("features"), 2500)
    validation: str = setting(Mark("on-{}"), "dev")
    evaluation: str = setting(Column("evaluation"), "resident")
    evaluate_every: int = setting(Column("evaluation"), 0)
    samples: int = setting(Mark("{}-samples"), 0)
    subset_seed: int = setting(Circumstance(), 0)
    select: str = setting(Mark("by-{}", only_with="samples"), "utterances")
    max_steps: int = setting(Mark("{}-steps"), 0)
    patience: int = setting(Mark("patience-{}"), 0)
    label_noise: float = setting(Mark("noise-{:g}"), 0.0)
    audio_noise_db: float | None = setting(Mark("snr-{:g}dB"), None)
    segment_s: float = setting(Mark("segments-{:g}s"), 0.0)

    def __post_init__(self) -> None:
        choices = (
            ("corpus", CORPORA),
            ("model", tuple(MODELS)),
            ("recipe", tuple(RECIPES)),
            ("normalisation", NORMALISATIONS),
            ("padding", PADDINGS),
            ("augment", AUGMENTATIONS),
            ("decoder", DECODERS),
            ("evaluation", EVALUATIONS),
            ("select", SELECTIONS),
        )
        for name, known in choices:
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}; expected {' or '.join(known)}")
        kind = MODELS[self.model]
        if self.recipe not in kind.recipes or self.decoder not in kind.decoders:
            raise ValueError(
                f"model {self.model} with recipe {self.recipe} and decoder {self.decoder}; expected a recipe of "
                f"{', '.join(kind.recipes)} and a decoder of {', '.join(kind.decoders)}"
            )
        settled = (("padding", "fixed"), ("normalisation", "none"), ("augment", "none"))
        for name, only in settled if kind.windowed else ():
            if getattr(self, name) != only:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; expected {only!r}, as {self.model} takes segments"
                )
        if unknown := set(self.targets) - set(TARGETS):
            raise ValueError(f"targets for {', '.join(sorted(unknown))}; expected {' or '.join(TARGETS)}")
        for name in ("max_epochs", "max_minutes", "window", "buckets", "beam_width", "sentences"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected more than 0")
        if not 0 <= self.label_noise <= 1:
            raise ValueError(f"label_noise is {self.label_noise}; expected a share of words, 0 to 1")
        if self.segment_s and not MIN_SEGMENT_S <= self.segment_s <= 3600:
            raise ValueError(f"segment_s is {self.segment_s}; expected {MIN_SEGMENT_S} to 3600 seconds, or 0 for none")
        for name in ("evaluate_every", "samples", "max_steps", "patience"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; expected a count, or 0 for none")

    @property
    def segment_frames(self) -> int:
        """The length in frames of 10 ms that utterances are padded to; 0 if they are not cut into segments."""
        return round(self.segment_s * 100)

    @property
    def evaluation_label(self) -> str:
        """How and how often it is evaluated, in a few words: "resident", "swap every 50 batches"."""
        return self.evaluation + (f" every {self.evaluate_every} batches" if self.evaluate_every else "")

    @property
    def label(self) -> str:
        """Name and variant in one word: "mini+specaugment"."""
        return "+".join(filter(None, (self.name, self.variant)))

    def marked(self, *marks: str) -> Workload:
        """Return a copy with more marks in its variant."""
        return replace(self, variant="+".join(filter(None, (self.variant, *marks))))

    def changed(self, changes: Mapping[str, Any]) -> Workload:
        """Return a copy with other settings; those that make another training of it stand in its variant."""
        changed = replace(self, **changes)
        marks = []
        for name, enters in declared(Workload).items():
            value = getattr(changed, name)
            if not isinstance(enters, Mark) or not enters.words or value == getattr(self, name):
                continue
            unknown_end = isinstance(enters, End) and not RECIPES[changed.recipe].optimiser.knows_the_end
            if unknown_end or (enters.only_with and not getattr(changed, enters.only_with)):
                continue
            marks.append(enters.words.format(value))
        return changed.marked(*marks)

    def to_dict(self) -> dict[str, object]:
        """Return the fields as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Workload:
        """Make a workload from what `to_dict` gave, also after JSON. Raises KeyError, TypeError or ValueError."""
        targets = {metric: tuple(levels) for metric, levels in dict(fields["targets"]).items()}
        return cls(**{**fields, "targets": targets})


def names() -> list[str]:
    """Return the workloads that come with the suite."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name_or_path: str | os.PathLike[str]) -> Workload:
    """Read a workload by its name, or by a path: whatever ends in .toml or has a path separator in it.

    A workload of one's own has a mark of its settings in its variant, so that two files of one name never pool.

    Raises:
        ValueError: there is no such workload, or the file is none; the message names file, key and way out.
    """
    path = _path_of(name_or_path)
    try:
        workload = _made(_read(path))
        if workload.name != path.stem:
            raise ValueError(f"name is {workload.name!r}; expected {path.stem!r}, as the file is called {path.name}")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
    return workload if path.parent == FOLDER else workload.marked(f"file-{_digest(workload)}")


def _path_of(name_or_path: str | os.PathLike[str]) -> Path:
    text = os.fspath(name_or_path)
    if isinstance(name_or_path, os.PathLike) or text.endswith(".toml") or {"/", os.sep} & set(text):
        return Path(text)
    if text in names():
        return FOLDER / f"{text}.toml"
    close = difflib.get_close_matches(text, names(), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"no workload {text!r:.80}; there are {', '.join(names())}, or a path, ./mine.toml{hint}")


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{error.strerror}; expected a file, or one of {', '.join(names())}") from None
    if len(content) > LARGEST_BYTES:
        raise ValueError(f"it has more than {LARGEST_BYTES} bytes; expected a workload file, as mini.toml")
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not TOML: {error}; expected lines of key = value, as in mini.toml") from None


def _made(keys: Mapping[str, Any]) -> Workload:
    """Make a workload of a parsed file."""
    known = {each.name: each for each in fields(Workload) if each.name != "variant"}
    for name, value in keys.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"expected keys among {', '.join(known)}"
            raise ValueError(f"unknown key {name} = {value!r:.80}; {hint}")
        if name != "targets" and not _is_of(value, str(known[name].type)):
            raise ValueError(f"{name} is {value!r:.80}; expected {_WORDS[str(known[name].type).split()[0]]}")
    missing = [name for name, each in known.items() if each.default is MISSING and name not in keys]
    if missing:
        raise ValueError(f"{missing[0]} is missing; expected it, as in mini.toml")
    return Workload(**{**keys, "targets": _targets(keys["targets"])})


_WORDS = {"str": "text", "int": "a whole number", "float": "a number"}


def _is_of(value: object, kind: str) -> bool:
    kinds = {"str": (str,), "int": (int,), "float": (int, float)}[kind.split()[0]]
    return isinstance(value, kinds) and not isinstance(value, bool)


def _targets(table: Any) -> dict[str, tuple[float, ...]]:
    lists = list(table.values()) if isinstance(table, dict) else [None]
    if not all(
        isinstance(each, list) and all(_is_of(level, "float") and level > 0 for level in each) for each in lists
    ):
        raise ValueError(f"targets is {table!r:.80}; expected a table of percents, as wer = [75.0, 65.0]")
    return {metric: tuple(map(float, levels)) for metric, levels in table.items()}


def _digest(workload: Workload) -> str:
    """Return a short word for the settings that change what is learnt, or when it ends."""
    told = declared(Workload)
    values = {name: value for name, value in workload.to_dict().items() if not isinstance(told[name], Harmless)}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:6]
