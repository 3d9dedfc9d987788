"""How runs were made, beyond their journals: machine, software, data, other load; what differs becomes a warning.

    machine_of(run)                     # {"processor": "AMD EPYC 9654", "usable cores": "2", ...}, {} if not known
    machine_name(run)                   # in one line, as `--by machine` shows it
    for sentence in of_group(group): ...    # what to doubt about runs that are pooled
    for sentence in between(groups): ...    # what else differs between rigs that stand side by side

All of it comes from run.json and end.json next to the journals. A run without them says nothing, and is said to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TypeVar

import platforms
from benchmark.record import Facts, FactsError, Run
from benchmark.record.energy import WHOLE
from benchmark.record.facts import Features
from benchmark.record.journal import read_identity
from benchmark.record.system import System
from benchmark.tables import Table
from platforms.enters import circumstances

LARGE_LOST_SHARE = 0.05
LARGE_OTHER_LOAD = 0.10
Part = TypeVar("Part")
NOT_KNOWN = "not known"
THEN = ", then "  # between the values of attempts that differ
SOFTWARE = ("tensorflow", "keras", "CUDA", "CUDA driver", "cuDNN", "CUDA build", "cuDNN build")
"""CUDA and cuDNN are those that were loaded; a build's are those that TensorFlow was made for."""
OF_SYSTEM = circumstances(System)
"""What of a machine by MLPerf's keys is compared beside `host`."""
KNOBS = circumstances(platforms.Input, platforms.Training)
"""The platform's knobs that `--by` can keep apart; batch and precision have columns."""

RIG_COLUMNS = {
    "batch": "batch",
    "precision": "precision",
    "replicas": "replicas",
    "evaluation": "evaluation",
    "code": "code",
}
"""The columns of a journal that belong to a rig, and in which rigs that are compared may differ: said, not refused."""


def _said(facts: Facts, read: Callable[[Facts], Part]) -> Part | None:
    """Return a part of a run.json; None if it cannot be used."""
    try:
        return read(facts)
    except FactsError:
        return None


def part_of(run: Run, read: Callable[[Facts], Part]) -> Part | None:
    """Return a part of a run's run.json; None if there is none, or it cannot be used."""
    try:
        return _said(run.facts, read) if run.facts else None
    except FactsError:
        return None


def machine_of(run: Run) -> dict[str, str]:
    """Return what identifies the machine and its software, by name; {} if run.json does not say.

    A run that went on elsewhere has the values of all its attempts, in their order: "EPYC, then Xeon".
    """
    return _of_attempts_together(run, _machine)


def _machine(facts: Facts) -> dict[str, str]:
    host, versions = _said(facts, lambda of: of.host), facts.versions
    if host is None:
        return {}
    found: dict[str, object] = {
        "processor": host.cpu,
        "logical cores": host.logical_cores,
        "usable cores": host.usable_cores,
        "CPU quota": host.cpu_quota,
        "intra-op threads": host.intra_op_threads,
        "inter-op threads": host.inter_op_threads,
        "GPUs": None if host.gpus is None else _counted(host.gpus),
        "NVIDIA driver": host.nvidia_driver,
        "Python": host.python,
        "system": host.system,
    }
    system = _said(facts, lambda of: of.system)
    found |= {name.replace("_", " "): getattr(system, name, None) for name in OF_SYSTEM}
    found |= {name: versions.get(name) for name in SOFTWARE} if versions else {}
    found |= {f"{part} kernel": kernel for part, kernel in facts.kernels.items()}
    return {name: str(value) for name, value in found.items() if value is not None}


def _of_attempts_together(run: Run, read: Callable[[Facts], Mapping[str, str]]) -> dict[str, str]:
    """Return what the attempts at a run say, by name; where they differ, all values in the order of the attempts."""
    return {name: THEN.join(values) for name, values in _values_of_attempts(run, read).items()}


def _values_of_attempts(run: Run, read: Callable[[Facts], Mapping[str, str]]) -> dict[str, dict[str, int]]:
    """Return the values that the attempts at a run have, by name: each with the first attempt that has it."""
    try:
        said = {number: read(facts) for number, facts in run.attempts.items()}
    except FactsError:
        return {}
    found: dict[str, dict[str, int]] = {}
    for number, values in said.items():
        for name, value in values.items():
            found.setdefault(name, {}).setdefault(value, number)
    return found


def machine_name(run: Run) -> str:
    """Return the machine in one line; "not known" without a run.json."""
    machine = machine_of(run)
    if not machine:
        return NOT_KNOWN
    cores = machine.get("usable cores", machine.get("logical cores"))
    quota = f" (quota {machine['CPU quota']})" if "CPU quota" in machine else ""
    parts = [
        machine.get("processor", "processor not known"),
        f"{cores} cores{quota}" if cores else "",
        machine.get("GPUs", ""),
        f"driver {machine['NVIDIA driver']}" if "NVIDIA driver" in machine else "",
        *(f"{name} {machine[name]}" for name in ("tensorflow", "CUDA", "cuDNN") if name in machine),
    ]
    return ", ".join(part for part in parts if part and part != "none")


def value_of(run: Run, field: str) -> str:
    """Return what `--by` keeps runs apart by: a column of the journal, the machine, or a knob of its platform."""
    if field == "machine":
        return machine_name(run)
    if field in KNOBS:
        return knobs_of(run).get(field, NOT_KNOWN)
    return getattr(run.identity, field)


def knobs_of(run: Run) -> dict[str, str]:
    """Return what run.json says of the circumstances that a run was asked for: of its platform and its workload.

    A platform's file may have been edited between two runs of its name, or between two attempts at one.
    """
    return _of_attempts_together(run, _knobs)


def _knobs(facts: Facts) -> dict[str, str]:
    platform, of_workload = _said(facts, lambda of: of.platform), facts.content.get("workload")
    parts = [platform.input, platform.training, platform.hardware, platform.price] if platform else []
    found = {name: getattr(part, name) for part in parts if part for name in circumstances(type(part))}
    if isinstance(of_workload, Mapping) and of_workload.get("samples"):  # else nothing of it counts: it is not made
        workload = _said(facts, lambda of: of.workload)
        found |= {name: getattr(workload, name) for name in circumstances(type(workload))} if workload else {}
    return {name: str(value) for name, value in found.items() if value is not None}


def _counted(names: Sequence[str]) -> str:
    return " + ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names)) or "none"


# --- runs that are pooled --------------------------------------------------------------------------------------------


def of_group(runs: Sequence[Run]) -> Iterator[str]:
    """Yield what to doubt about the pooled runs of one platform, a sentence each."""
    yield from _of_attempts(runs)
    yield from _of_machines(runs)
    yield from _of_knobs(runs)
    yield from _of_data(runs)
    yield from _of_load(runs)
    yield from _of_power(runs)


def of_learning(runs: Sequence[Run]) -> Iterator[str]:
    """Yield what to doubt about what was learnt, whatever machine it was learnt on, a sentence each."""
    yield from _of_data(runs)


def _of_attempts(runs: Sequence[Run]) -> Iterator[str]:
    """Name runs that went on on another machine, or with other knobs, than they began with."""
    for run in runs:
        both = _values_of_attempts(run, lambda facts: {**_machine(facts), **_knobs(facts)})
        if changed := {name: values for name, values in both.items() if len(values) > 1}:
            what = "; ".join(
                f"{name} is {' and '.join(f'{value} from attempt {number}' for value, number in values.items())}"
                for name, values in changed.items()
            )
            yield (
                f"{run.source} went on with another machine, software or setting than it began with: {what}: its times "
                f"are of no one machine; leave it out of comparisons of time"
            )


def _of_machines(runs: Sequence[Run]) -> Iterator[str]:
    machines = {run.source: machine_of(run) for run in runs}
    known = {source: machine for source, machine in machines.items() if machine}
    if 0 < len(known) < len(runs):
        silent = [source for source, machine in machines.items() if not machine]
        yield (
            f"{some(silent)}: no run.json says on which machine; expected the run's folder next to its journal: that "
            f"these runs are of one machine is not known"
        )
    differing = _differing(known)
    if differing:
        yield (
            f"runs of different machines or software are pooled: {_worded(differing)}: their times are of no one "
            f"machine; keep them apart with --by machine, or leave some out"
        )


def _of_knobs(runs: Sequence[Run]) -> Iterator[str]:
    if differing := _differing({run.source: knobs_of(run) for run in runs}):
        splits = [name for name in differing if name in KNOBS]
        apart = f"keep them apart with --by {splits[0]}, or leave some out" if splits else "leave some out"
        yield (
            f"runs with other settings of one platform are pooled: {_worded(differing)}: a difference in time, cost or "
            f"error may be of that; {apart}"
        )


def _worded(differing: Mapping[str, Mapping[str, str]]) -> str:
    return "; ".join(
        f"{name} is {' and '.join(f'{value} in {source}' for value, source in values.items())}"
        for name, values in differing.items()
    )


def _differing(machines: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Return the fields in which machines differ: their values, each with the first run that has it."""
    names = dict.fromkeys(name for machine in machines.values() for name in machine)
    found = {}
    for name in names:
        values: dict[str, str] = {}
        for source, machine in machines.items():
            if name in machine:  # an older run.json does not know all of them
                values.setdefault(machine[name], source)
        if len(values) > 1:
            found[name] = values
    return found


def _of_data(runs: Sequence[Run]) -> Iterator[str]:
    said: dict[str, list[str]] = {}
    for run in runs:
        features = features_of(run)
        if features and features.lost_share >= LARGE_LOST_SHARE:
            kinds = dict.fromkeys(kind for use in features.evaluated.values() for kind in use.left_out)
            used = sum(use.utterances for use in features.evaluated.values())
            text = (
                f"{features.lost_share:.0%} of the utterances of {' and '.join(features.evaluated)} are left out "
                f"({', '.join(kinds)}): error rates are of the other {used:,}, and not to be compared with those of "
                f"the whole set"
            )
            said.setdefault(text, []).append(run.source)
        for subset, use in (features.evaluated if features else {}).items():
            words_of = {
                "recordings": f"of its {use.utterances:,} recordings are in training too",
                "speakers": "of its speakers are in training too",
                "repeated": "of its recordings are there more than once",
            }
            if what := [f"{use.shared[name]:,} {words}" for name, words in words_of.items() if use.shared.get(name)]:
                text = f"{subset} is not apart: {'; '.join(what)}: error rates are not those of speech that is new"
                said.setdefault(text, []).append(run.source)
        if features and features.unknown_share and run.identity.decoder.startswith("dictionary"):
            words = sum(use.words or 0 for use in features.evaluated.values())
            floor = 100 * features.unknown_share
            targets = [level for level in _targets(run) if level < floor]
            if targets:
                text = (
                    f"{floor:.1f}% of the {words:,} words of {' and '.join(features.evaluated)} are not among the "
                    f"training words, to which the dictionary's decoder is held: WER "
                    f"{', '.join(f'{level:g}' for level in targets)} cannot be reached; name higher levels, or train "
                    f"on more text"
                )
                said.setdefault(text, []).append(run.source)
    yield from said


def _targets(run: Run) -> tuple[float, ...]:
    found = part_of(run, lambda facts: facts.targets)
    return tuple(found.get("wer", ())) if found else ()


def features_of(run: Run) -> Features | None:
    """Return what run.json says about the data; None if it says nothing."""
    return part_of(run, lambda facts: facts.features)


def _of_load(runs: Sequence[Run]) -> Iterator[str]:
    loads = {run.source: run.end.other_load for run in runs if run.end and run.end.other_load is not None}
    busy = {source: load for source, load in loads.items() if load >= LARGE_OTHER_LOAD}
    if busy:
        worst = max(busy, key=lambda source: busy[source])
        yield (
            f"{len(busy)} of {len(runs)} {'run' if len(runs) == 1 else 'runs'} shared the machine: other processes "
            f"took {busy[worst]:.0%} of its CPUs' time during {worst}; run again on an idle machine"
        )


def _of_power(runs: Sequence[Run]) -> Iterator[str]:
    """Name runs of which a part has no power, as a GPU was lost or the sampler ended; by what their ends wrote down."""
    for run in runs:
        power = run.gpu_power(at_once=True)
        if power.share is not None and 0 < power.share < WHOLE:
            what = "its mean power is that of this part"
            if power.watts is None:
                what = "its energy is not known; look at its utilisation.csv, and run again on a sound machine"
            yield f"{run.source}: {power.note}; {what}"


# --- what to do next -------------------------------------------------------------------------------------------------


def next_command(runs: Sequence[Run]) -> str:
    """Return the command that makes one more run like these, with the lowest seed that none has yet.

    It is the command that made the last of them, as its user typed it. Journals in the same folders count too.
    """
    seed = next(number for number in count(1) if number not in _seeds_there(runs))
    command = part_of(runs[-1], lambda facts: facts.command)
    if command is None:
        return f"the same command with another seed (SEED={seed}, or --seed {seed})"
    return str(command.changed(drop=("name", "fresh"), seed=seed))


def _seeds_there(runs: Sequence[Run]) -> set[int]:
    """Return the seeds of these runs, and of runs of the same platform and workload in the same folders."""
    named = {(run.identity.platform, run.identity.workload_label) for run in runs}
    seeds = {run.identity.seed for run in runs}
    for folder in {Path(run.source).parent for run in runs if run.source}:
        for path in folder.glob("*.csv"):
            identity = read_identity(path)
            if identity and (identity.platform, identity.workload_label) in named:
                seeds.add(identity.seed)
    return seeds


# --- rigs side by side -----------------------------------------------------------------------------------------------


def between(groups: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    """Yield what else differs between the rigs of one workload, by their labels: batch, precision, software, data."""
    named = {label: runs for label, runs in groups.items() if runs}
    if len(named) < 2:
        return
    columns = {
        words: {
            label: ", ".join(sorted({str(getattr(run.identity, name)) for run in runs}))
            for label, runs in named.items()
        }
        for name, words in RIG_COLUMNS.items()
    }
    software = {
        name: {
            label: ", ".join(sorted({machine_of(run).get(name, "") for run in runs})) for label, runs in named.items()
        }
        for name in ("NVIDIA driver", *SOFTWARE, *_kernels(named.values()))
    }
    knobs = {
        name: {label: ", ".join(sorted({knobs_of(run).get(name, "") for run in runs})) for label, runs in named.items()}
        for name in KNOBS
    }
    for name, values in {**columns, **knobs, **software}.items():
        known = {label: value for label, value in values.items() if value}
        if len(set(known.values())) > 1:
            what = "; ".join(
                f"{value}: {some([label for label, other in known.items() if other == value])}"
                for value in dict.fromkeys(known.values())
            )
            yield f"the rigs differ in {name} too ({what}): a difference in time may be of that, not of the hardware"


def _kernels(groups: Iterable[Sequence[Run]]) -> list[str]:
    """Return the names of the kernels that some runs say, as `machine_of` has them."""
    found = {name for runs in groups for run in runs for name in machine_of(run) if name.endswith(" kernel")}
    return sorted(found)


# --- what was learnt from --------------------------------------------------------------------------------------------


def data_table(workload: str, runs: Sequence[Run]) -> Table | None:
    """Return a table of the utterances and hours of each subset, used and left out; None if no run.json says so."""
    seen: dict[tuple[str, str], Features] = {}
    for run in runs:
        if (features := features_of(run)) and features.subsets:
            seen.setdefault((run.identity.features, _part_trained(features)), features)
    rows = []
    for (digest, part), features in seen.items():
        for subset, use in features.subsets.items():
            if part and is_trained(subset):
                continue
            why = ", ".join(
                f"{lost.utterances:,} {kind}" + (f" ({lost.hours:.2f} h)" if lost.hours else "")
                for kind, lost in use.left_out.items()
            )
            unknown = f"{use.unknown_words / use.words:.1%}" if use.words and use.unknown_words is not None else ""
            name = subset if len(seen) == 1 else f"{subset} ({digest})"
            rows.append((name, f"{use.utterances:,}", f"{use.hours:.2f}", f"{use.lost:,}", why, unknown))
        if part:
            trained = features.trained or {}
            name = part if len(seen) == 1 else f"{part} ({digest})"
            rows.append((name, f"{trained['utterances']:,}", f"{trained['hours']:.2f}", "", "", ""))
    header = ("subset", "utterances", "hours", "left out", "because", "words not in training")
    return Table(f"{workload}: the data", header, tuple(rows)) if rows else None


def _part_trained(features: Features) -> str:
    """Name the part of the training subsets that is trained on: "50 of 106 of train-a"; "" if it is all of them."""
    whole = {subset: use.utterances for subset, use in features.subsets.items() if is_trained(subset)}
    if not features.trained or features.trained["utterances"] == sum(whole.values()):
        return ""
    return f"{features.trained['utterances']:,} of {sum(whole.values()):,} of {' and '.join(whole)}"


def is_trained(subset: str) -> bool:
    """Tell whether a subset is one to train on, by its name."""
    return subset.lower().startswith("train")


def some(sources: Sequence[str]) -> str:
    return ", ".join(sources) if len(sources) <= 3 else f"{', '.join(sources[:2])} and {len(sources) - 2} more"
