"""Workloads: what is learnt. It is the same for every platform that is compared.

    workload = load("mini")                 # or load("./mine.toml")
    workload.targets["cer"]                 # levels in percent, hardest last

Each is a TOML file whose keys are the fields of `Workload`, with the model's own in a table [model]; its head says what
it takes and what came of it.
`mini` learns the embedded corpus, so it needs no download and no recordings; `speech` learns any corpus folder;
`librispeech` is the paper's workload at the paper's size. A workload does not set batch, readers or buffer: the
platform does.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from benchmark.evaluations import EVALUATIONS
from benchmark.metrics import TARGETS
from models.ctc.decoders import NAMES as DECODERS
from models.learner import Config, Learner
from models.table import MODELS, USUAL, config_of, learner_of, with_recipe
from platforms import plugins
from platforms.enters import Circumstance, Column, End, Harmless, Mark, Option, declared, options, setting

FOLDER = Path(__file__).parent
LARGEST_BYTES = 2**14  # of a file; a parser's time and depth may grow with the square of it
CORPORA = ("embedded", "folder", "librispeech")
NORMALISATIONS = ("none", "frame-l2", "utterance")
PADDINGS = ("fixed", "bucket")
AUGMENTATIONS = ("none", "specaugment")
SELECTIONS = ("utterances", "speakers")
MIN_SEGMENT_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A training task: corpus, model, decoder, targets and limits. Raises ValueError for unknown values.

    `model` has the settings of the model, which are its own (models/NAME/config.py). `targets` maps a metric to levels
    in percent. The run ends when the median error over `window` epochs has reached every level, or after `max_epochs`
    or `max_minutes`. `padding` is "fixed" (all utterances padded to `max_frames`, as in the paper) or "bucket" (padded
    to at most `buckets` lengths). `sentences` is the size of the embedded corpus. `validation` is the subset evaluated
    every epoch; a corpus without it is evaluated on all its dev subsets. With `evaluate_every` it is also evaluated
    within epochs, every so many batches: 0 is never. `samples` is how many utterances are trained on, 0 for all: a
    nested part, in the order of `subset_seed`, by utterances or whole speakers (`select`). A run also ends after
    `max_steps` batches, or once `patience` epochs brought no lower character error rate; 0 of either is no such end. A
    share `label_noise` of the words that are trained on is wrong on purpose. With `audio_noise_db` the audio that is
    trained on has noise in it, at that ratio of signal to noise. With `segment_s` utterances longer than so many
    seconds are not trained on, and all others are padded to that length. `variant` names what differs from the named
    workload ("specaugment", "synthetic"); such runs are not pooled with others.
    """

    name: str = setting(Column("workload"))
    variant: str = setting(Column("variant"), "")
    description: str = setting(Harmless("words"))
    corpus: str = setting(Column("features"))
    targets: dict[str, tuple[float, ...]] = setting(Harmless("each level is judged by itself"))
    max_epochs: int = setting(
        End("{}-epochs"), option=Option(flag="--max-epochs", metavar="N", help="end after N epochs at the latest")
    )
    max_minutes: float = setting(
        Harmless("a run that it ends is a censored time"),
        option=Option(flag="--max-minutes", metavar="M", help="end after M minutes at the latest"),
    )
    window: int = setting(Harmless("the judge asks with its own"), 3)
    model: Config = setting(Column("workload"), config_of({}))
    normalisation: str = setting(Mark("normalisation-{}"), "utterance")
    augment: str = setting(
        Mark("{}"),
        "none",
        option=Option(
            flag="--augment",
            choices=AUGMENTATIONS,
            help="change each utterance anew in every epoch: specaugment masks bands and times",
        ),
    )
    padding: str = setting(
        Mark("{}"),
        "bucket",
        option=Option(
            flag="--padding",
            choices=PADDINGS,
            help="pad utterances to the longest of their bucket, or all alike as the paper does",
        ),
    )
    buckets: int = setting(Mark("{}-buckets"), 10)
    max_frames: int = setting(Mark("{}-frames"), 1670)
    decoder: str = setting(
        Column("decoder"),
        "greedy",
        option=Option(flag="--decoder", choices=DECODERS, help="how evaluations make sentences of the model's outputs"),
    )
    beam_width: int = setting(
        Column("decoder"),
        256,
        option=Option(flag="--beam-width", metavar="N", help="sentences that a beam search keeps; greedy has none"),
    )
    sentences: int = setting(
        Column("features"),
        2500,
        option=Option(flag="--sentences", metavar="N", help="sentences in the embedded corpus"),
    )
    validation: str = setting(Mark("on-{}"), "dev")
    evaluation: str = setting(
        Column("evaluation"),
        "resident",
        option=Option(
            flag="--evaluation",
            choices=EVALUATIONS,
            help="resident: evaluate the training model where it is (default); swap: as in the paper, load an "
            "evaluation model in its place; overlap: decode in the background while training continues",
        ),
    )
    evaluate_every: int = setting(
        Column("evaluation"),
        0,
        option=Option(
            flag="--evaluate-every",
            metavar="N",
            help="evaluate within epochs too, every N batches; time to accuracy still counts whole epochs, unless "
            "benchmark.tta is asked for --every-evaluation",
        ),
    )
    samples: int = setting(
        Mark("{}-samples"),
        0,
        option=Option(flag="--samples", metavar="N", help="train on N utterances (subsets are nested)"),
    )
    subset_seed: int = setting(
        Circumstance(),
        0,
        option=Option(
            flag="--subset-seed", metavar="N", help="seed of the order that --samples takes them in; default: 0"
        ),
    )
    select: str = setting(
        Mark("by-{}", only_with="samples"),
        "utterances",
        option=Option(flag="--select", choices=SELECTIONS, help="take single utterances (default) or speakers"),
    )
    max_steps: int = setting(
        Mark("{}-steps"),
        0,
        option=Option(flag="--max-steps", metavar="N", help="end after N batches, with an evaluation"),
    )
    patience: int = setting(
        Mark("patience-{}"),
        0,
        option=Option(flag="--patience", metavar="N", help="end after N epochs without a lower CER"),
    )
    label_noise: float = setting(
        Mark("noise-{:g}"),
        0.0,
        option=Option(flag="--label-noise", metavar="P", help="replace a share P of the training words by wrong ones"),
    )
    audio_noise_db: float | None = setting(
        Mark("snr-{:g}dB"),
        None,
        option=Option(
            flag="--audio-noise",
            metavar="DB",
            help="mix speech-shaped noise into the training audio, at DB decibels of signal to noise",
        ),
    )
    segment_s: float = setting(
        Mark("segments-{:g}s"),
        0.0,
        option=Option(
            flag="--segment",
            metavar="S",
            help="train on utterances of at most S seconds, all padded to S; longer ones are left out and counted",
        ),
    )

    def __post_init__(self) -> None:
        choices = (
            ("corpus", CORPORA),
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
        kind = MODELS[self.model.name]
        if self.decoder not in kind.decoders:
            raise ValueError(
                f"model {self.model.name} with decoder {self.decoder}; expected a decoder of {', '.join(kind.decoders)}"
            )
        settled = (("padding", "fixed"), ("normalisation", "none"), ("augment", "none"))
        for name, only in settled if kind.windowed else ():
            if getattr(self, name) != only:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; expected {only!r}, as {self.model.name} takes segments"
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
    def recipe(self) -> str:
        """The model's recipe."""
        return self.model.recipe

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

    def learner(self) -> Learner:
        """Make the learner of its model, which loads TensorFlow. Raises ValueError for weights that cannot be used."""
        return learner_of(self.model, frames=self.segment_frames or self.max_frames)

    def marked(self, *marks: str) -> Workload:
        """Return a copy with more marks in its variant."""
        return replace(self, variant="+".join(filter(None, (self.variant, *marks))))

    def aiming_at(self, more: Collection[tuple[str, float]], *, alone: bool = False) -> Workload:
        """Return a copy that ends at more levels, or at these alone; each is a metric and percent."""
        levels = {} if alone else {metric: set(percents) for metric, percents in self.targets.items()}
        for metric, percent in more:
            levels.setdefault(metric, set()).add(percent)
        return replace(self, targets={name: tuple(sorted(found, reverse=True)) for name, found in levels.items()})

    def with_model(self, **settings: Any) -> Workload:
        """Return a copy whose model has other settings: `with_model(units=8, layers=2)`."""
        return replace(self, model=replace(self.model, **settings))

    def changed(self, changes: Mapping[str, Any]) -> Workload:
        """Return a copy with other settings, also of its model; what makes another training of it marks its variant.

        Raises:
            ValueError: a value is out of range, or the model has no such setting; the message names the option.
        """
        own = {name: value for name, value in changes.items() if name in declared(Workload)}
        of_model = {name: value for name, value in changes.items() if name not in own}
        if unknown := set(of_model) - set(declared(type(self.model))):
            flags = {name: option.flag for kind in MODELS.values() for name, option in options(kind.config).items()}
            found = ", ".join(flags.get(name, name) for name in sorted(unknown))
            raise ValueError(f"{found}, but model {self.model.name} has no such setting; leave it out")
        usual = with_recipe(self.model, of_model.pop("recipe", self.recipe))
        changed = replace(self, model=replace(usual, **of_model), **own)
        marks = _marks(self, changed, knows_the_end=changed.model.rules.optimiser.knows_the_end)
        return changed.marked(*marks, *_marks(usual, changed.model))

    def to_dict(self, *, paths: bool = True) -> dict[str, object]:
        """Return the fields as plain values, for JSON; the model's as a table with its name.

        Without `paths` those of files are left out, which differ from one machine to another.
        """
        told = declared(type(self.model))
        model = {name: value for name, value in asdict(self.model).items() if paths or told[name] != Mark("")}
        return {**asdict(self), "model": {"name": self.model.name, **model}}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Workload:
        """Make a workload from what `to_dict` gave, also after JSON. Raises KeyError, TypeError or ValueError.

        Keys that it does not know are passed over. Where `model` is a name, as before schema 4 of run.json, the model's
        settings stand among the workload's, with those of other models.
        """
        targets = {metric: tuple(levels) for metric, levels in dict(fields["targets"]).items()}
        found = fields.get("model", USUAL)
        name, settings = (found.get("name"), found) if isinstance(found, Mapping) else (found, fields)
        config = config_of({"name": name})
        known = {each: settings[each] for each in declared(type(config)) if each in settings}
        own = {each: fields[each] for each in declared(cls) if each in fields}
        return cls(**{**own, "targets": targets, "model": replace(config, **known)})


def _marks(before: Any, after: Any, *, knows_the_end: bool = False) -> list[str]:
    """Return the marks of the settings in which two records differ."""
    marks = []
    for name, enters in declared(type(after)).items():
        value = getattr(after, name)
        if not isinstance(enters, Mark) or not enters.words or value == getattr(before, name):
            continue
        if isinstance(enters, End) and not knows_the_end:
            continue
        if enters.only_with and not getattr(after, enters.only_with):
            continue
        marks.append(enters.words.format(value))
    return marks


def names() -> list[str]:
    """Return the workloads that come with the suite."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name_or_path: str | os.PathLike[str]) -> Workload:
    """Read a workload by its name, or by a path: whatever ends in .toml or has a path separator in it.

    A workload of one's own has a mark of its settings in its variant, so that two files of one name never pool. What
    plug-ins bring leaves marks of theirs: see `platforms.plugins`.

    Raises:
        ValueError: there is no such workload, or the file is none; the message names file, key and way out.
    """
    path, brought = _path_of(name_or_path)
    try:
        workload = _made(_read(path))
        if workload.name != path.stem:
            raise ValueError(f"name is {workload.name!r}; expected {path.stem!r}, as the file is called {path.name}")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None
    return workload if brought or path.parent == FOLDER else workload.marked(f"file-{_digest(workload)}")


def _path_of(name_or_path: str | os.PathLike[str]) -> tuple[Path, bool]:
    """Return the file of a workload, and whether a plug-in brings it."""
    text = os.fspath(name_or_path)
    if isinstance(name_or_path, os.PathLike) or text.endswith(".toml") or {"/", os.sep} & set(text):
        return Path(text), False
    if text in names():
        return FOLDER / f"{text}.toml", False
    with suppress(KeyError):
        return Path(plugins.bring("speech_tta.workloads", text, own=dict.fromkeys(names()))), True
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
    model = keys.get("model", {})
    if not isinstance(model, dict):
        raise ValueError(f'model is {model!r:.80}; expected a table [model] with name = "..." and its settings')
    config = config_of({"name": model.get("name", USUAL)})  # its name, before its keys are looked at
    _check({name: value for name, value in model.items() if name != "name"}, type(config), "[model] ")
    _check(keys, Workload, "", known_elsewhere=declared(type(config)))
    needed = [each.name for each in fields(Workload) if each.default is MISSING and each.name not in keys]
    if needed:
        raise ValueError(f"{needed[0]} is missing; expected it, as in mini.toml")
    return Workload(**{**keys, "targets": _targets(keys["targets"]), "model": config_of(model)})


def _check(keys: Mapping[str, Any], record: type, table: str, known_elsewhere: Collection[str] = ()) -> None:
    """Raise ValueError for a key that the record does not have, or a value of another kind."""
    known = {each.name: each for each in fields(record) if each.name != "variant"}
    for name, value in keys.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"expected keys among {', '.join(known)}"
            hint = "it belongs into the table [model]" if name in known_elsewhere else hint
            raise ValueError(f"unknown key {table}{name} = {value!r:.80}; {hint}")
        kind = str(known[name].type).split()[0]
        if kind in _WORDS and not _is_of(value, kind):
            raise ValueError(f"{table}{name} is {value!r:.80}; expected {_WORDS[kind]}")


_WORDS = {"str": "text", "int": "a whole number", "float": "a number"}


def _is_of(value: object, kind: str) -> bool:
    kinds = {"str": (str,), "int": (int,), "float": (int, float)}[kind]
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
    import hashlib

    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:6]
