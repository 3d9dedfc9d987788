"""Workloads: what is learnt. It is the same for every platform that is compared.

    workload = load("mini")
    workload.targets["cer"]                 # levels in percent, hardest last

`mini` learns the embedded corpus, so it needs no download and no recordings; `speech` learns any corpus folder;
`librispeech` is the paper's workload at the paper's size. A workload does not set batch, readers or buffer: the
platform does.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from models.ctc.decoders import NAMES as DECODERS
from models.table import MODELS, RECIPES
from platforms.enters import Circumstance, Column, End, Harmless, Mark, declared, setting

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
        if unknown := set(self.targets) - {"wer", "cer"}:
            raise ValueError(f"targets for {', '.join(sorted(unknown))}; expected wer and cer")
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


_WHISPER: dict[str, Any] = {
    "model": "whisper",
    "recipe": "fine-tune",
    "normalisation": "none",
    "padding": "fixed",
    "max_frames": 1000,
    "max_steps": 3000,
    "max_epochs": 6,
}
_SMALL: dict[str, Any] = {"filters": 192, "units": 192, "norm_momentum": 0.98, "decoder": "dictionary"}

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            name="mini",
            description="the embedded corpus (2,500 sentences spoken by espeak-ng), the paper's topology at a size "
            "that two CPU cores train in minutes",
            corpus="embedded",
            targets={"cer": (45.0, 35.0, 30.0), "wer": (75.0, 65.0, 55.0)},
            max_epochs=20,
            max_minutes=8,
            **_SMALL,
        ),
        Workload(
            name="speech",
            description="any corpus folder in LibriSpeech layout (CORPUS=...), at the size of mini",
            corpus="folder",
            targets={"cer": (30.0, 25.0, 20.0), "wer": (60.0, 50.0, 40.0)},
            max_epochs=40,
            max_minutes=60,
            **_SMALL,
        ),
        Workload(
            name="librispeech",
            description="LibriSpeech's 960 hours at the paper's size: 25.6 million parameters, padded to 16.7 s",
            corpus="librispeech",
            targets={"cer": (10.0, 8.0, 7.0), "wer": (22.0, 20.2, 19.2)},
            max_epochs=100,
            max_minutes=7 * 24 * 60,
            normalisation="frame-l2",
            padding="fixed",
            decoder="dictionary",
            validation="dev-clean",
        ),
        Workload(
            name="whisper",
            description="Whisper, fine-tuned from published weights on any corpus folder (CORPUS=...), 10-s segments",
            corpus="folder",
            targets={"wer": (10.0, 5.0, 3.0), "cer": (5.0, 3.0, 2.0)},
            max_minutes=240,
            **_WHISPER,
        ),
        Workload(
            name="whisper-librispeech",
            description="Whisper fine-tuned on LibriSpeech in segments of 10 s",
            corpus="librispeech",
            targets={"wer": (8.0, 7.0, 6.0), "cer": (4.0, 3.0, 2.5)},
            max_minutes=7 * 24 * 60,
            validation="dev-clean",
            **_WHISPER,
        ),
    )
}


def load(name: str) -> Workload:
    """Return a workload by name. Raises ValueError, which lists the known names."""
    if name in WORKLOADS:
        return WORKLOADS[name]
    close = difflib.get_close_matches(name, WORKLOADS, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"no workload {name!r}; there are {', '.join(WORKLOADS)}{hint}")
