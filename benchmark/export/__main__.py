"""The command line: python -m benchmark.export results/RUN.csv --to mllog, or results/RUN --to savedmodel -o out"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import cli
from benchmark.export.mllog import Goal, goal, mllog
from benchmark.export.model.forms import FORMS, make
from benchmark.export.runs import NOTICES, Ask, ExportError, load, source_name
from benchmark.export.system import STATUSES, system_description, unknown
from benchmark.export.tables import as_json, dawnbench
from benchmark.judge import Question, judge
from benchmark.judge.guard import doubts
from benchmark.record import CLOCKS, POOLED, Run
from benchmark.record.history import differing
from features.jobs.files import write_whole
from platforms import plugins


@dataclass(frozen=True, kw_only=True)
class Format:
    """How a run becomes text, what its file is called, and which options mean something to it."""

    text: Callable[[Run, Ask], str]
    name: str
    options: tuple[str, ...]


def _card(run: Run, ask: Ask) -> str:
    from benchmark.export.card import card  # here: --help waits for no library

    return card(run, ask)


FORMATS = {
    "mllog": Format(text=mllog, name="result_{}.txt", options=("level", "epochs")),  # result_*.txt is MLPerf's
    "dawnbench": Format(text=dawnbench, name="{}.tsv", options=("clock",)),
    "json": Format(text=as_json, name="{}.json", options=("level", "epochs")),
    "mlperf-system": Format(text=system_description, name="system_{}.json", options=("submitter", "status")),
    "card": Format(text=_card, name="{}.md", options=("epochs",)),
}
OPTIONS = ("level", "epochs", "clock", "submitter", "status", "checkpoint")


@dataclass(frozen=True, kw_only=True)
class Store:
    """A place that takes in runs, as "module:function": that puts one into a `place`, and returns what is next."""

    function: str
    place: str

    def add(self, run: Run, place: Path) -> str:
        module, _, name = self.function.partition(":")
        return getattr(importlib.import_module(f"benchmark.export.{module}"), name)(run, place)


class Brought(Store):
    """What a plug-in brings to `speech_tta.exporters`: a function of a run and a place, as `add` is."""

    def __init__(self, name: str) -> None:
        super().__init__(function=name, place=name)

    def add(self, run: Run, place: Path) -> str:
        return plugins.bring("speech_tta.exporters", self.function, own={**FORMATS, **STORES, **FORMS})(run, place)


STORES = {
    "tensorboard": Store(function="tensorboard:to_tensorboard", place="tensorboard"),
    "mlflow": Store(function="trackers:to_mlflow", place="mlflow.db"),
    "wandb": Store(function="trackers:to_wandb", place="wandb"),
}
HELP = """\
formats:
  mllog      MLPerf's log of open rnnt: result_RUN.txt, which passes
               python -m mlperf_logging.compliance_checker --usage training --ruleset 3.1.0 FILE
             run_stop is "success" at the epoch that reached the run's hardest WER target (or --level) by the
             median over e epochs, as benchmark.tta says; "aborted" where it was not reached.
             Needs the run's folder (run.json). pip install ".[mlperf]" brings the checker.
  dawnbench  RUN.tsv: epoch, hours (--clock), top1Accuracy = 100 - WER, a row an epoch
  json       RUN.json: identity, levels with the three clocks, evaluations, warnings, provenance (run.json)
  mlperf-system  system_RUN.json: the machine, as MLPerf's submissions describe systems, which passes
               python -m mlperf_logging.system_desc_checker FILE training 4.1.0
             What a run cannot know (--submitter, cooling, networks) is "", and standard error names it.
  card       RUN.md: a model card: data, recipe, error rates with intervals, time, energy, machine; Hugging Face's
             front matter. The licence is left to the owner

places that take in curves, by utterances (docs/models.md):
  tensorboard  event files in tensorboard/RUN (or -o FOLDER); made anew for runs that are there
  mlflow       an SQLite store, mlflow.db (or -o FILE); pip install mlflow
  wandb        offline runs in wandb/ (or -o FOLDER); pip install wandb

formats of a run's model, each a folder (-o) with metadata.json; RUN may be a checkpoint (docs/models.md):
  savedmodel TensorFlow's: signatures `features`, `acoustic` and `speech`, which take samples at 16 kHz
  keras      model.keras, of stock layers alone
  onnx       model.onnx (pip install ".[export]")
  hf         Hugging Face's folder of a Whisper, which transformers loads

A text of one run goes to standard output unless -o names a file or a folder; several need a folder. Nothing is
overwritten.
None of it is a result of MLPerf or DAWNBench: those are reviewed, and their rules ask for more than a log.

examples:
  python -m benchmark.export results/mini.csv --to json
  python -m benchmark.export results/mini-*.csv --to mllog --level 55 -o exported/
  python -m benchmark.export results/mini --to savedmodel -o exported/mini
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.export",
        description="Runs in the formats of others, their curves and their models.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    cli.add_journals(parser)
    words = ", ".join((*FORMATS, *STORES, *FORMS))
    add("--to", type=_form, required=True, metavar="FORMAT", help=f"{words}, or a plug-in's")
    add(
        "-o",
        "--out",
        metavar="FILE_OR_FOLDER",
        help="where it goes; default: standard output, for one run; a place's own name",
    )
    add("--level", type=cli.percent, help="WER in percent; default: the run's hardest WER target (mllog, json)")
    add(
        "--epochs",
        type=cli.whole_from_1,
        metavar="E",
        help="epochs the median is taken over (default 3; mllog, json, card)",
    )
    cli.add_reference(parser)
    add("--submitter", help="who would submit the system (mlperf-system)")
    words = (
        "can the system be had (mlperf-system); default: rdi, research, development or internal, which promises nothing"
    )
    add("--status", choices=tuple(STATUSES), help=words)
    add("--clock", choices=tuple(CLOCKS), help="clock of the hours column (default wall; dawnbench)")
    add("--checkpoint", choices=("best", "last"), help="of the lowest WER, or the last (default best; models)")
    return parser


def _form(name: str) -> str:
    known = (*FORMATS, *STORES, *FORMS)
    if name in known or name in plugins.names("speech_tta.exporters"):
        return name
    raise argparse.ArgumentTypeError(f"{name!r}; expected one of {', '.join(known)}, or what a plug-in brings")


def _check_options(arguments: argparse.Namespace) -> None:
    form = FORMATS.get(arguments.to)
    known = form.options if form else ("checkpoint",) * (arguments.to in FORMS)
    for option in OPTIONS:
        if getattr(arguments, option) is not None and option not in known:
            takes = " and ".join(f"--{name}" for name in known) or "none of these"
            raise ExportError(f"--{option} means nothing to {arguments.to}, which takes {takes}; leave it out")


def _ask(arguments: argparse.Namespace) -> Ask:
    given = {"level": arguments.level, "window": arguments.epochs, "clock": arguments.clock}
    given |= {"submitter": arguments.submitter, "status": arguments.status}
    given["reference"] = arguments.reference
    return Ask(**{name: value for name, value in given.items() if value is not None})


def _places(sources: Sequence[str], out: str, pattern: str) -> list[Path]:
    """Where what each run becomes goes; raises ExportError if something is there already."""
    folder, count = Path(out), len(sources)
    if count > 1 and folder.exists() and not folder.is_dir():
        raise ExportError(f"{out} is a file; expected a folder, for {count} runs make {count} files")
    if count == 1 and not folder.is_dir() and not out.endswith("/"):
        places = [folder]
    else:
        places = [folder / pattern.format(Path(source).stem) for source in sources]
    for number, place in enumerate(places):
        if place in places[:number]:
            first = sources[places.index(place)]
            raise ExportError(
                f"{sources[number]}: would be {place}, as {first} is; export them to folders of their own"
            )
        if place.exists():
            raise ExportError(f"{place} is there already and nothing is overwritten; choose another -o, or remove it")
    return places


def _write(place: Path, text: str) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, text)
    except OSError as error:
        raise ExportError(f"{place}: cannot be written ({error.strerror}); choose another -o") from None


def _export(arguments: argparse.Namespace) -> None:
    _check_options(arguments)
    if arguments.to in FORMS:
        _export_models(arguments)
        return
    ask, runs = _ask(arguments), list(map(load, cli.checked(arguments.journals)))
    if arguments.to not in FORMATS:
        store = STORES.get(arguments.to) or Brought(arguments.to)
        _store(store, runs, arguments.out)
        return
    form = FORMATS[arguments.to]
    if len(runs) > 1 and arguments.out is None:
        raise ExportError(f"{len(runs)} runs make {len(runs)} files; name a folder for them: -o exported/")
    places = None if arguments.out is None else _places([run.source for run in runs], arguments.out, form.name)
    texts = [form.text(run, ask) for run in runs]  # all of them before the first is written
    if places is None:
        sys.stdout.write(texts[0])
        sys.stdout.flush()
    for place, text in zip(places or (), texts, strict=False):
        _write(place, text)
    for line in (NOTICES[arguments.to], *_remarks(arguments.to, runs, ask)):
        cli.say(f"benchmark.export: {line}")


def _store(store: Store, runs: Sequence[Run], out: str | None) -> None:
    place = Path(out or store.place)
    stems = [Path(run.source).stem for run in runs]
    if twice := [n for n, stem in enumerate(stems) if store is STORES["tensorboard"] and stem in stems[:n]]:
        first, second = runs[stems.index(stems[twice[0]])].source, runs[twice[0]].source
        raise ExportError(f"{second}: would be in {place}, as {first} is; export them to folders of their own")
    for run in runs:
        try:
            then = store.add(run, place)
        except OSError as error:
            raise ExportError(f"{place}: cannot be written ({error.strerror}); choose another -o") from None
        cli.say(f"benchmark.export: {source_name(run)}: in {place}; look with: {then}")


def _export_models(arguments: argparse.Namespace) -> None:
    """Write the model of each run into a folder of its own."""
    of_checkpoints = [path for path in arguments.journals if Path(path).name.startswith("ckpt-")]
    others = [path for path in arguments.journals if path not in of_checkpoints]
    runs = [*of_checkpoints, *(cli.checked(others) if others or not of_checkpoints else ())]
    if arguments.out is None:
        raise ExportError(
            f"{arguments.to} is a folder; expected a name for it, which is not there yet: -o exported/RUN"
        )
    places = _places(runs, arguments.out, f"{{}}-{arguments.to}")
    for run, place in zip(runs, places, strict=True):
        made = make(run, arguments.to, place, checkpoint=arguments.checkpoint or "best")
        cli.say(f"benchmark.export: {made.folder}: {made.said}")


def _remarks(form: str, runs: Sequence[Run], ask: Ask) -> Iterator[str]:
    """Return what a reader of the files alone would miss."""
    emulated = [source_name(run) for run in runs if run.identity.emulated]
    if emulated:
        yield f"warning: {', '.join(emulated)}: emulated on CPUs: the times say nothing about the rig"
    if form == "mlperf-system":
        yield from _remarks_on_systems(runs, ask)
        return
    yield from _remarks_on_convergence(runs, ask)
    if form == "dawnbench":
        yield "accuracy is 100 - WER; DAWNBench's time is that of the first epoch at a level: benchmark.tta --epochs 1"
    if form == "mllog":
        yield from _remarks_on_logs(runs, [goal(run, ask) for run in runs])


def _remarks_on_systems(runs: Sequence[Run], ask: Ask) -> Iterator[str]:
    yield f"division is open, status is {STATUSES[ask.status]!r} (--status)"
    for run in runs:
        if run.facts and "system" not in run.facts.content:
            yield f"warning: {source_name(run)}: of a version that did not describe its machine: little of it is known"
        yield f"{source_name(run)}: for the submitter to fill in: {', '.join(unknown(run, ask))}"


def _remarks_on_convergence(runs: Sequence[Run], ask: Ask) -> Iterator[str]:
    """Name the groups of runs whose epochs are fewer than the reference of convergence allows, or many more."""
    levels = () if ask.level is None else (ask.level,)
    judgement = judge(runs, Question(levels=levels, window=ask.window, reference=ask.reference))
    for group in judgement:
        for sentence in doubts(group, judgement.question):
            yield f"warning: {group.label}, {group.workload}: {sentence}"


def _remarks_on_logs(runs: Sequence[Run], aims: Sequence[Goal]) -> Iterator[str]:
    for run, aim in zip(runs, aims, strict=True):
        if aim.reached is None:
            yield (
                f"warning: {source_name(run)}: WER {aim.percent:g} not reached by the median over e = {aim.window} "
                f"epochs: run_stop says aborted; MLPerf's summarizer would count its time all the same: leave it out"
            )
    differ = differing([run.record for run in runs], ("platform", *POOLED))
    if len({aim.percent for aim in aims}) > 1:
        differ.append(("the level", [*sorted(aim.percent for aim in set(aims))]))
    for name, values in differ:
        yield (
            f"warning: {name} is {' and '.join(map(str, values))}: MLPerf's summarizer would take these for runs of "
            f"one system; export them to folders of their own"
        )


def main(argv: Sequence[str] | None = None) -> int:
    arguments = cli.parse(_parser(), argv)
    return cli.command("benchmark.export", lambda: _export(arguments))


if __name__ == "__main__":
    sys.exit(main())
