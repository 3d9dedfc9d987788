"""run.json: how a run was made: code, platform, workload, plan, data, devices, versions. Written and read here.

    facts = Facts.of(created=..., platform=platform, workload=workload, plan=plan, ...)
    write_facts(folder, facts)                  # once, before the first row of the journal; never overwritten

    facts = read_facts(folder)                  # None where there is no run.json
    facts.platform.price, facts.workload.targets, facts.plan.window, facts.host.logical_cores

Each part is read back as the object that was written. Keys that this version does not know stay in `content`; a key
that an older version did not write has its default. A value that could not be found out is None; `unavailable` has
the reason for each sensor.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from benchmark.record.columns import decoder_read
from benchmark.record.command import CommandLine
from benchmark.record.phases import Plan
from benchmark.record.system import System
from platforms import LARGEST, Platform
from platforms.plugins import PlugIn

if TYPE_CHECKING:
    from benchmark.workloads import Workload

NAME = "run.json"
SCHEMA = 4
READABLE = (2, 3, SCHEMA)
"""Schema 4 holds the settings of a model in a table of their own; before, they stood among the workload's. Schema 3
has a field for the workload's variant; until schema 2 it was part of the name ("mini+specaugment")."""

CUDA_NAMES = {"CUDA": "cuda", "CUDA driver": "cuda_driver", "cuDNN": "cudnn"}
Part = TypeVar("Part")


class FactsError(ValueError):
    """A run.json that cannot be used; the message names the file and part, what was found and what to do."""


@dataclass(frozen=True, kw_only=True)
class Code:
    """The version of this suite; the commit is None for an installed package."""

    version: str | None = None
    git_commit: str | None = None
    git_dirty: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Lost:
    """Utterances that were left out, and their hours as far as known."""

    utterances: int
    hours: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SubsetUse:
    """How much of a subset is used, what was left out by kind of reason, and how many of its words are unknown.

    `words` and `unknown_words` are None for a training subset, whose words are the known ones. `shared` counts its
    recordings and speakers that are in training too, and recordings that are repeated, of an evaluated one.
    """

    utterances: int
    hours: float
    left_out: Mapping[str, Lost] = field(default_factory=dict)
    words: int | None = None
    unknown_words: int | None = None
    shared: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lost = [number for each in self.left_out.values() for number in (each.utterances, each.hours)]
        numbers = [self.utterances, self.hours, *lost, self.words or 0, self.unknown_words or 0, *self.shared.values()]
        if not all(isinstance(n, int | float) and not isinstance(n, bool) and 0 <= n <= LARGEST for n in numbers):
            raise ValueError(f"a subset has {str(self)[:120]}; expected counts and hours")

    @property
    def lost(self) -> int:
        """How many utterances were left out."""
        return sum(each.utterances for each in self.left_out.values())


@dataclass(frozen=True, kw_only=True)
class Features:
    """The features of a run: their folder, their manifest's digest and settings, and what was left out.

    `subsets` says so for each subset; `validation` is the subset that is evaluated, or "dev" for all dev subsets.
    `trained` has the utterances and hours of the part that is trained on; None is all of them. `normaliser` made the
    transcripts, where features.prepare did.
    """

    folder: str | None = None
    manifest_sha256: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    left_out: int | None = None  # utterances
    notes: Mapping[str, int] = field(default_factory=dict)
    subsets: Mapping[str, SubsetUse] = field(default_factory=dict)
    validation: str | None = None
    trained: Mapping[str, float] | None = None
    normaliser: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.folder, str | None):
            raise ValueError(f"folder is {self.folder!r}; expected a path")

    @property
    def evaluated(self) -> dict[str, SubsetUse]:
        """The subsets that are evaluated after every epoch; empty if the run does not say."""
        if self.validation in self.subsets:
            return {self.validation: self.subsets[self.validation]}
        return {name: use for name, use in self.subsets.items() if name.lower().startswith("dev")}

    @property
    def lost_share(self) -> float:
        """The share of the evaluated set's utterances that was left out, 0 to 1."""
        lost = sum(use.lost for use in self.evaluated.values())
        return lost / (lost + sum(use.utterances for use in self.evaluated.values())) if lost else 0.0

    @property
    def unknown_share(self) -> float:
        """The share of the evaluated set's words that are not among the training words, 0 to 1."""
        words = sum(use.words or 0 for use in self.evaluated.values())
        return sum(use.unknown_words or 0 for use in self.evaluated.values()) / words if words else 0.0


@dataclass(frozen=True, kw_only=True)
class DecoderFacts:
    """How evaluations were decoded."""

    label: str | None = None
    language_model: str | None = None
    language_model_sha256: str | None = None
    lm_weight: float | None = None
    word_bonus: float | None = None


@dataclass(frozen=True, kw_only=True)
class DevicesUsed:
    """The devices that trained: one name per replica, and how gradients were actually combined.

    `sensors` are the GPUs that trained by the prefix of their columns in utilisation.csv ("gpu3"); None if that could
    not be found out. `partitioned` says that MIG shares one of them with others. Of several `machines`, `sensors` are
    the chief's, `hosts` their addresses, and `gathered_s` the seconds that the chief waited for them.
    """

    names: tuple[str, ...] = ()
    replicas: int = 1
    emulated: bool = False
    reduction: str | None = None
    sensors: tuple[str, ...] | None = None
    partitioned: bool = False
    machines: int = 1
    hosts: tuple[str, ...] = ()
    gathered_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Host:
    """The machine and its operating system.

    Of its `logical_cores` the run may use `usable_cores` (affinity), and of their time `cpu_quota` cores' (control
    groups; None: all). TensorFlow has `intra_op_threads` and `inter_op_threads`, 0 being its own choice. `gpus` are
    the names of all the machine's GPUs that could be seen, used or not.
    """

    cpu: str | None = None
    logical_cores: int | None = None
    usable_cores: int | None = None
    cpu_quota: float | None = None
    intra_op_threads: int | None = None
    inter_op_threads: int | None = None
    gpus: tuple[str, ...] | None = None
    python: str | None = None
    system: str | None = None
    nvidia_driver: str | None = None

    @property
    def cores(self) -> float | None:
        """The number of logical cores; None if it is missing or not a positive number."""
        known = isinstance(self.logical_cores, int | float) and 0 < self.logical_cores <= LARGEST
        return float(self.logical_cores) if known else None


@dataclass(frozen=True, kw_only=True)
class Cuda:
    """Versions of CUDA and cuDNN: those that a process has loaded, or those that TensorFlow was built for.

    `cuda_driver` is the newest CUDA that the driver can run. None is not loaded, or not known.
    """

    cuda: str | None = None
    cuda_driver: str | None = None
    cudnn: str | None = None


@dataclass(frozen=True, eq=False)
class Facts:
    """The content of a run.json. A part is parsed when it is first asked for; FactsError is raised if it is invalid."""

    content: Mapping[str, Any]
    path: Path | None = None

    @classmethod
    def of(
        cls,
        *,
        created: datetime,
        code: Code,
        platform: Platform,
        workload: Workload,
        plan: Plan,
        seed: int,
        command: CommandLine,
        features: Features,
        decoder: DecoderFacts,
        preparation_s: float,
        devices: DevicesUsed,
        kernels: Mapping[str, str],
        kernels_because: Mapping[str, str],
        first_weights: Mapping[str, str],
        host: Host,
        system: System,
        versions: Mapping[str, str | None],
        loaded: Cuda,
        built_for: Cuda,
        unavailable: Mapping[str, str],
        plugins: Sequence[PlugIn] = (),
    ) -> Facts:
        """Make the facts of a run that is about to begin."""
        parts = {name: value for name, value in locals().items() if name != "cls"}
        content: dict[str, Any] = {"schema": SCHEMA}
        for name, value in parts.items():
            content[name] = _plain(value)
        return cls(json.loads(json.dumps(content)))

    # --- parts ---------------------------------------------------------------------------------------------------

    @property
    def created(self) -> datetime:
        """The time at which the run began, to the second, with its time zone."""
        found = self.content.get("created")
        try:
            created = datetime.fromisoformat(found)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            created = None
        if created is None or created.tzinfo is None:
            raise self._error(f'created is {found!r}; expected a time with its zone, such as "2026-01-31T12:00+00:00"')
        return created

    @cached_property
    def platform(self) -> Platform:
        return self._made("platform", lambda value: Platform.from_dict(value))

    @cached_property
    def workload(self) -> Workload:
        label = str(_mapping(self.content.get("decoder")).get("label") or "")
        return self._made("workload", lambda value: _workload(value, label))

    @cached_property
    def plan(self) -> Plan:
        return self._made("plan", _plan)

    @property
    def whole_plan(self) -> Plan | None:
        """The plan, if it says all that a plan of this version says; else None, as of a log or of an older version."""
        stated = self.content.get("plan")
        if not isinstance(stated, Mapping) or not {f.name for f in fields(Plan)} <= stated.keys():
            return None
        try:
            return self.plan
        except FactsError:
            return None

    @property
    def log(self) -> Mapping[str, Any] | None:
        """What is said of another program's log that the run was made of; None for a run of this suite."""
        found = self.content.get("log")
        return found if isinstance(found, Mapping) else None

    @cached_property
    def targets(self) -> Mapping[str, tuple[float, ...]]:
        """The levels in percent that the run aimed at, by metric; empty if the plan, or another's log, has none."""
        if self.log is not None and "plan" not in self.content:
            return {}
        return self._made("plan", lambda value: _targets(value["targets"]))

    @cached_property
    def features(self) -> Features:
        return self._made("features", _features)

    @cached_property
    def decoder(self) -> DecoderFacts:
        return self._made("decoder", _decoder)

    @cached_property
    def devices(self) -> DevicesUsed:
        return self._made("devices", _devices)

    @cached_property
    def command(self) -> CommandLine:
        """The command that began the run."""
        return self._made("command", _command)

    @cached_property
    def code(self) -> Code:
        return self._made("code", lambda value: _known(Code, value))

    @cached_property
    def host(self) -> Host:
        return self._made("host", _host)

    @cached_property
    def system(self) -> System:
        """The machine by MLPerf's keys; all are None in a run of a version that did not write them."""
        return self._made("system", lambda value: _known(System, value)) if "system" in self.content else System()

    @property
    def versions(self) -> dict[str, str]:
        """The versions of packages by name, and of CUDA and cuDNN: "cuDNN" is what was loaded, "cuDNN build" what
        TensorFlow was built for, which is all that older versions wrote. Those that are not known are left out.
        """
        content = self.content
        named = dict(_mapping(content.get("versions")))
        built_for = {**_mapping(content), **_mapping(content.get("built_for"))}
        for words, key in CUDA_NAMES.items():
            named |= {words: _mapping(content.get("loaded")).get(key), f"{words} build": built_for.get(key)}
        return {str(name): str(version) for name, version in named.items() if version}

    @cached_property
    def plugins(self) -> tuple[PlugIn, ...]:
        """What plug-ins brought to the run."""
        return (
            self._made("plugins", lambda value: tuple(_known(PlugIn, each) for each in value))
            if "plugins" in self.content
            else ()
        )

    @property
    def kernels(self) -> dict[str, str]:
        """The kernels that computed parts of the model, by part; empty if they are not known."""
        return {str(name): str(kernel) for name, kernel in _mapping(self.content.get("kernels")).items()}

    @property
    def first_weights(self) -> dict[str, str]:
        """What training began with, as the model's learner says it; {} where weights were drawn."""
        return {str(name): str(value) for name, value in _mapping(self.content.get("first_weights")).items()}

    @property
    def unavailable(self) -> dict[str, str]:
        """The reasons why sensors could not be read, by sensor."""
        return {str(name): str(why) for name, why in _mapping(self.content.get("unavailable")).items()}

    def _made(self, name: str, make: Any) -> Any:
        try:
            return make(self.content[name])
        except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else str(error)[:200]
            raise self._error(
                f"its {name} cannot be used ({what}); expected what a run of this version wrote"
            ) from None

    def _error(self, what: str) -> FactsError:
        return FactsError(f"{self.path or NAME}: {what}: mend it, or move it away")


def write_facts(folder: Path, facts: Facts, *, attempt: int = 1) -> None:
    """Write run.json for the first attempt, run-attempt-2.json for the second, and so on.

    A run-attempt file that is already there is from a process that ended before its first row; it is replaced.

    Raises:
        FileExistsError: there is a run.json, which is never overwritten.
    """
    with (folder / name_of(attempt)).open("x" if attempt == 1 else "w", encoding="utf-8") as file:
        json.dump(facts.content, file, indent=1)


def name_of(attempt: int) -> str:
    """Return the name of the file that says how an attempt was made, counted from 1."""
    return NAME if attempt == 1 else f"run-attempt-{attempt}.json"


def read_facts(folder: Path, *, attempt: int = 1) -> Facts | None:
    """Read the run.json of a run's folder, or the file of a later attempt; None if there is none.

    Raises:
        FactsError: it cannot be read, is not a JSON object, holds a NaN or infinite number, or has another schema.
    """
    path = folder / name_of(attempt)
    try:
        content = json.loads(path.read_bytes(), parse_constant=_finite, parse_float=_finite)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FactsError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise FactsError(
            f"{path}: not JSON ({str(error)[:200]}); expected what the run wrote: mend it, or move it away"
        ) from None
    if not isinstance(content, dict):
        raise FactsError(f"{path}: not a JSON object; expected what the run wrote: mend it, or move it away")
    schema = content.get("schema")
    if schema not in READABLE or isinstance(schema, bool | float):
        raise FactsError(
            f"{path}: schema is {str(schema)[:80]!r}; expected {SCHEMA}: read it with the version that wrote it, or "
            f"move it away"
        )
    return Facts(content, path)


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is not finite")
    return number


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _plain(value: Any) -> Any:
    if hasattr(value, "to_dict"):  # a platform, a workload
        return value.to_dict()
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _known(kind: type[Part], value: Mapping[str, Any]) -> Part:
    """Make a part from its keys; unknown keys, from a later version, are ignored, and missing keys get the default."""
    if not isinstance(value, Mapping):
        raise ValueError(f"found {str(value)[:40]!r}; expected an object")
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: found for name, found in dict(value).items() if name in names})


def _workload(value: Mapping[str, Any], label: str) -> Workload:
    """Make the workload of a run whose decoder has a label: of an old one its decoder's name is another today."""
    from benchmark.workloads import Workload  # here, not above: it takes the settings of all models

    if "variant" not in value:
        name, _, variant = value["name"].partition("+")
        value = {**value, "name": name, "variant": variant}
    if value.get("decoder") == "language-model" and not label.startswith("lm-"):
        value = {**value, "decoder": decoder_read("language-model")}
    return Workload.from_dict(value)


def _decoder(value: Mapping[str, Any]) -> DecoderFacts:
    decoder = _known(DecoderFacts, value)
    return replace(decoder, label=decoder_read(decoder.label)) if isinstance(decoder.label, str) else decoder


def _plan(value: Mapping[str, Any]) -> Plan:
    return _known(Plan, {**value, "targets": _targets(value["targets"])})


def _targets(value: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    targets = {metric: tuple(float(level) for level in levels) for metric, levels in value.items()}
    if wrong := [level for levels in targets.values() for level in levels if not 0 <= level < math.inf]:
        raise ValueError(f"{wrong[0]} is no error rate in percent")
    return targets


def _command(value: Mapping[str, Any]) -> CommandLine:
    return CommandLine(tuple(map(str, value["arguments"])), make=bool(value.get("make")))


def _features(value: Mapping[str, Any]) -> Features:
    features = _known(Features, value)
    subsets: Mapping[str, Any] = dict(features.subsets)
    return replace(features, subsets={str(name): _subset(each) for name, each in subsets.items()})


def _subset(value: Mapping[str, Any]) -> SubsetUse:
    lost = {str(kind): _known(Lost, each) for kind, each in dict(value.get("left_out", {})).items()}
    return _known(SubsetUse, {**value, "left_out": lost})


def _host(value: Mapping[str, Any]) -> Host:
    host = _known(Host, value)
    return replace(host, gpus=None if host.gpus is None else tuple(map(str, host.gpus)))


def _devices(value: Mapping[str, Any]) -> DevicesUsed:
    sensors = value.get("sensors")
    tuples = {"names": tuple(value.get("names", ())), "sensors": None if sensors is None else tuple(map(str, sensors))}
    devices = _known(DevicesUsed, {**value, **tuples})
    if type(devices.replicas) is not int or devices.replicas < 1:
        raise ValueError(f"replicas is {devices.replicas!r}; expected a whole number from 1")
    return devices
