"""A model card: what a run is, in the words of its own records, with the front matter that Hugging Face reads.

    print(card(load("results/RUN.csv"), Ask()))

Nothing is in it that the run's folder does not say; what it does not say is said to be missing, or left out. The
licence is left to the owner. `model-index` is Hugging Face's older schema, which takes figures of any data;
`.eval_results/` wants the name of a registered benchmark, which a run does not know: its lines stand in the card, to be
completed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from benchmark.export.runs import Ask, ExportError
from benchmark.judge import Question, judge
from benchmark.judge.paired import FEWEST_SPEAKERS, Counts, bootstrap, interval, speakers_of
from benchmark.metrics import METRICS, USUAL
from benchmark.record import Facts, FactsError, Row, Run
from benchmark.record import arrays as np
from benchmark.record.finals import read_finals

Known = TypeVar("Known")
UNITS = {"wer": ("word_edits", "words"), "cer": ("character_edits", "characters")}
"""The columns of a final evaluation's utterances that an error rate follows from."""
HUB = {"librispeech": "openslr/librispeech_asr"}
"""Data sets of Hugging Face that are a workload's corpus."""


@dataclass(frozen=True, kw_only=True)
class Rated:
    """Error rates on one set: percent by metric, and their 95% intervals where edits of utterances are known."""

    subset: str
    checkpoint: str
    decoder: str
    utterances: int | None
    percent: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    drawn: str = ""


def card(run: Run, ask: Ask) -> str:
    """Return the README.md of a run's model.

    Raises:
        ExportError: the run was never evaluated, or its folder is not there.
    """
    if run.facts is None:
        raise ExportError(f"{run.source}: no run.json in its folder; a card says what is written there: copy both")
    if run.facts.log is not None:
        raise ExportError(
            f"{run.source}: made of another program's log; expected a run of this suite, which has a model"
        )
    if not run.record.evaluations:
        raise ExportError(f"{run.source}: never evaluated; expected a run with an error rate: train longer")
    rates = [*_finals(run), _validation(run)]
    parts = [
        _front_matter(run, rates), _opening(run), _data(run.facts), _model(run), _error_rates(rates),
        _times(run, ask), _machine(run), _use(run), _eval_results(run, rates),
    ]  # fmt: skip
    return "\n".join(parts)


# --- error rates -----------------------------------------------------------------------------------------------------


def _validation(run: Run) -> Rated:
    row = min(run.record.evaluations, key=lambda each: each.wer if each.wer is not None else float("inf"))
    evaluated = _known(lambda: sorted(run.facts.features.evaluated)) or ["validation"]
    percent = {name: getattr(row, name) for name in USUAL if getattr(row, name) is not None}
    return Rated(
        subset=" + ".join(evaluated), checkpoint=_named(row), decoder=run.identity.decoder, utterances=row.utterances,
        percent=percent, intervals={},
    )  # fmt: skip


def _named(row: Row) -> str:
    return f"epoch {row.epoch}, batch {row.step}, of the lowest WER"


def _finals(run: Run) -> Iterator[Rated]:
    """Yield the final evaluations of sets that were not trained on, with the intervals of their error rates."""
    for final in read_finals(run.folder):
        if final.subset.lower().startswith("train") or final.not_own(run.identity):
            continue
        rows = final.utterances()
        percent = {name: float(final.row[name]) for name in USUAL if final.row.get(name)}
        found = {name: span for name in percent if (span := _interval(rows, name))}
        yield Rated(
            subset=final.subset, checkpoint=f"{final.checkpoint}, batch {final.step}", decoder=final.decoder,
            utterances=len(rows) or None, percent=percent, intervals={name: span for name, (span, _) in found.items()},
            drawn=next((drawn for _, drawn in found.values()), ""),
        )  # fmt: skip


def _interval(rows: Sequence[Mapping[str, str]], metric: str) -> tuple[tuple[float, float], str] | None:
    """Return the 95% interval of an error rate by redrawn speakers, or utterances, and which; None if it is not known.

    Bisani and Ney 2004, as benchmark.judge.paired has it: the second system makes no errors.
    """
    edits, units = UNITS[metric]
    if not rows or not all(row.get(edits) and row.get(units) for row in rows):
        return None
    first, said = (np.array([int(row[name]) for row in rows]) for name in (edits, units))
    counts = Counts(first=first, second=first * 0, units=said)
    speakers = speakers_of([row["utterance"] for row in rows])
    by_speakers = speakers is not None and len(set(speakers)) >= FEWEST_SPEAKERS
    counts = counts.summed(speakers) if by_speakers else counts
    found = interval(bootstrap(counts), len(counts.units))
    return found and (found, f"{len(counts.units)} {'speakers' if by_speakers else 'utterances'} redrawn")


def _error_rates(rates: Sequence[Rated]) -> str:
    def shown(rated: Rated, metric: str) -> str:
        if metric not in rated.percent:
            return "not measured"
        span = rated.intervals.get(metric)
        return f"{rated.percent[metric]:.2f}" + (f" ({span[0]:.2f} to {span[1]:.2f})" if span else "")

    rows = [
        (each.subset, each.utterances or "", each.checkpoint, each.decoder, *(shown(each, name) for name in USUAL))
        for each in rates
    ]
    table = _table(("set", "utterances", "checkpoint", "decoder", *(METRICS[name].label for name in USUAL)), rows)
    drawn = sorted({each.drawn for each in rates} - {""})
    says = "Without intervals: these are of final evaluations (`python -m benchmark.final`), of which there are none."
    if drawn:
        says = f"In brackets 95% intervals ({'; '.join(drawn)}), where the errors of every utterance are known."
    chosen = "The last line chose the checkpoint, and stopped the run: it is lower than new speech would give."
    return f"## Error rates\n\nIn percent. {says} {chosen}\n\n{table}"


# --- what it is ------------------------------------------------------------------------------------------------------


def _front_matter(run: Run, rates: Sequence[Rated]) -> str:
    corpus = _known(lambda: run.facts.workload.corpus)
    lines = [
        "---",
        "# license: for the owner of the model and of its data to choose",
        "pipeline_tag: automatic-speech-recognition",
        "tags:",
        "- automatic-speech-recognition",
        "- speech-tta",
        "metrics:",
        *(f"- {name}" for name in USUAL),
        *((["datasets:", f"- {HUB[corpus]}"]) if corpus in HUB else ()),
        "model-index:",
        f"- name: {json.dumps(run.identity.run)}",
        "  results:",
    ]
    for each in rates:
        lines += [
            "  - task:",
            "      type: automatic-speech-recognition",
            "      name: Automatic Speech Recognition",
            "    dataset:",
            f"      name: {json.dumps(each.subset)}",
            f"      type: {json.dumps(HUB.get(corpus, each.subset))}",
            f"      split: {json.dumps(each.subset)}",
            "    metrics:",
        ]
        for name, value in each.percent.items():
            label = f"{METRICS[name].label}, {each.decoder}, {each.checkpoint}"
            lines += [f"    - type: {name}", f"      value: {value:.2f}", f"      name: {json.dumps(label)}"]
    return "\n".join([*lines, "---", ""])


def _opening(run: Run) -> str:
    identity, code = run.identity, _known(lambda: run.facts.code)
    version = f" {code.version}" if code and code.version else ""
    commit = f" ({code.git_commit[:8]}{', changed' if code.git_dirty else ''})" if code and code.git_commit else ""
    created = _known(lambda: run.facts.created.date().isoformat())
    lines = [
        f"# {identity.run}",
        "",
        f"A speech recogniser, trained by speech-tta{version}{commit}{f' on {created}' if created else ''}.",
        f"Workload `{identity.workload_label}`, recipe `{identity.recipe}`, seed {identity.seed}.",
        "",
    ]
    if identity.emulated:
        lines += ["**Emulated**: CPUs stood in for the platform's GPUs. Its times say nothing about that machine.", ""]
    if run.record.attempts > 1:
        lines += [f"The training was interrupted: it took {run.record.attempts} attempts.", ""]
    return "\n".join(lines)


def _data(facts: Facts) -> str:
    features = _known(lambda: facts.features)
    if features is None or not features.subsets:
        return "## Data\n\nThe run does not say what it was trained on.\n"
    rows = [(name, use.utterances, f"{use.hours:.3g}", use.lost) for name, use in sorted(features.subsets.items())]
    notes = []
    if features.trained:
        notes.append(f"Of these {int(features.trained['utterances'])} utterances were trained on.")
    normaliser = features.normaliser
    notes.append(f"Transcripts were made by the normaliser `{normaliser}`." if normaliser else
                 "No normaliser is recorded: transcripts are as the corpus has them, in a-z.")  # fmt: skip
    notes.append(f"Evaluated after every epoch: {', '.join(sorted(features.evaluated)) or 'not known'}.")
    if features.manifest_sha256:
        notes.append(f"Features: SHA-256 of the manifest {features.manifest_sha256[:12]}.")
    table = _table(("set", "utterances", "hours", "left out"), rows)
    return f"## Data\n\n{table}\n{' '.join(notes)}\n"


def _model(run: Run) -> str:
    workload = _known(lambda: run.facts.workload)
    if workload is None:
        return "## Model\n\nThe run does not say how it was made.\n"
    settings: dict[str, Any] = dict(workload.to_dict(paths=False)["model"])  # type: ignore[call-overload]
    told = [("model", settings.pop("name")), *settings.items(), ("parameters", f"{workload.model.parameters:,}"),
            ("front end", workload.model.front_end), ("normalisation", workload.normalisation),
            ("augmentation", workload.augment), ("optimiser", type(workload.model.rules.optimiser).__name__),
            ("batch", run.identity.batch), ("precision", run.identity.precision)]  # fmt: skip
    begun = [(name, value) for name, value in run.facts.first_weights.items() if name.endswith("_sha256")]
    rows = [(name, value) for name, value in [*told, *begun] if value != ""]
    return f"## Model\n\n{_table(('setting', 'value'), rows)}\nParameters are without biases and norms.\n"


def _times(run: Run, ask: Ask) -> str:
    [group] = judge([run], Question(window=ask.window, reference=ask.reference))
    rows = []
    for level in group.levels:
        reached = level.minutes is not None
        rows.append((level.name, f"{level.minutes:.2f}" if reached else "not reached",
                     f"{level.epoch:g}" if reached else ""))  # fmt: skip
    words = (
        f"Minutes from the model's creation to the end of the first epoch whose median error over {ask.window} epochs "
        f"is at the level, by the wall clock. One run, and so no interval."
    )
    if not rows:
        return "## Time to accuracy\n\nThe run aimed at no level.\n"
    return f"## Time to accuracy\n\n{words}\n\n{_table(('level', 'minutes', 'epochs'), rows)}"


def _machine(run: Run) -> str:
    facts, identity = run.facts, run.identity
    host, versions, power = _known(lambda: facts.host), _known(lambda: facts.versions) or {}, run.gpu_power()
    hours = run.record.clock_s(run.record.ended_s, "wall") / 3600
    rows: list[tuple[object, ...]] = [("platform", identity.platform + " (emulated)" * identity.emulated)]
    rows.append(("devices", f"{identity.replicas} x {identity.devices}" if identity.replicas > 1 else identity.devices))
    if identity.machines > 1:
        rows.append(("machines", identity.machines))
    if host:
        cores = f", {host.usable_cores} of {host.logical_cores} cores" if host.usable_cores else ""
        rows += [("processor", f"{host.cpu}{cores}")] if host.cpu else []
        rows += [("NVIDIA driver", host.nvidia_driver)] if host.nvidia_driver else []
        rows += [("system", host.system)] if host.system else []
    rows += [(name, versions[name]) for name in ("tensorflow", "CUDA", "cuDNN") if name in versions]
    rows.append(("time of the run", f"{60 * hours:.2f} minutes"))
    if power.watts is not None:
        rows.append(
            ("energy of the GPUs", f"{power.watts * hours:.1f} Wh, {power.watts:.0f} W on average ({power.note})")
        )
    else:
        rows.append(("energy of the GPUs", f"not known: {power.note}"))
    return f"## Machine and energy\n\n{_table(('what', 'value'), rows)}"


def _use(run: Run) -> str:
    name = run.identity.run
    return (
        f"## Use\n\n    python -m benchmark.transcribe results/{name} recording.flac        # with speech-tta\n"
        f"    python -m benchmark.export results/{name} --to savedmodel -o model     # without: metadata.json\n\n"
        "## Licence\n\nNot chosen here: it is for the owner of the model and of its data to say.\n"
    )


def _eval_results(run: Run, rates: Sequence[Rated]) -> str:
    """Return lines of .eval_results/*.yaml for the sets that chose nothing; "" without any."""
    date = _known(lambda: run.facts.created.date().isoformat())
    lines = []
    for each in (rated for rated in rates if rated.drawn and "wer" in rated.percent):
        lines += [
            f"    - dataset:  # of {each.subset}",
            "        id:       # the benchmark's name on the Hub",
            "        task_id:  # as its eval.yaml has it",
            f"      value: {each.percent['wer']:.2f}",
            *([f'      date: "{date}"'] if date else ()),
            f"      notes: {json.dumps(f'WER in percent, {each.decoder}, {each.checkpoint}')}",
        ]
    if not lines:
        return ""
    words = "Where a set is a registered benchmark of the Hub, with its name put in (`.eval_results/NAME.yaml`):"
    return "\n".join(["## For Hugging Face's leaderboards", "", words, "", *lines, ""])


def _known(find: Callable[[], Known]) -> Known | None:
    """Return what a run.json says; None where it does not."""
    try:
        return find()
    except FactsError:
        return None


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"
