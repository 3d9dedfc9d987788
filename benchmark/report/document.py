"""The whole page: runs in, HTML out; its sections, its answers, its warnings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from benchmark.judge import guard
from benchmark.judge.circumstances import data_table
from benchmark.judge.groups import Group
from benchmark.judge.judgement import Judgement, judge
from benchmark.judge.offered import check_offers
from benchmark.judge.question import PAPER_WORKLOAD, JudgeError, Question
from benchmark.judge.ranking import answer
from benchmark.judge.summary import CLOCK_WORDS, block_tables
from benchmark.judge.terms import Terms
from benchmark.record import Run, RunRecord
from benchmark.report import appendix, by_platform, page, usage
from benchmark.report.curves import errors, loss
from benchmark.report.energy import energy
from benchmark.report.figures import (
    COLOURS,
    DASHES,
    MARKERS,
    Block,
    Figure,
    Shown,
    time_to_accuracy,
    unit_for,
)
from benchmark.report.hosts import hosts
from benchmark.report.merits import merits
from benchmark.report.panels import throughput, timeline
from benchmark.report.profiles import profile
from benchmark.report.recipes import software
from benchmark.report.rigs import rigs
from benchmark.report.tiles import tiles
from benchmark.report.tradeoffs import batch_sizes, cost, machines
from benchmark.report.usage import Sampled
from benchmark.tables import Table
from features.jobs.files import write_whole


def write_report(
    runs: Sequence[Run], path: Path, question: Question | None = None, *, terms: Terms | None = None
) -> int:
    """Write the page of some runs, so that one that is open in a browser is never half a page; returns its bytes.

    Raises:
        JudgeError, FactsError, PriceError: runs that cannot be judged, or a path that is none for a page.
    """
    if path.suffix not in (".html", ".htm"):
        raise JudgeError(f"-o {path}: expected a name that ends in .html, so that no run is overwritten")
    html = report(runs, question, terms=terms)
    try:
        write_whole(path, html)
    except OSError as error:
        raise JudgeError(f"-o {path}: cannot be written ({error.strerror}); choose another -o") from None
    return len(html.encode())


def report(runs: Sequence[Run | RunRecord], question: Question | None = None, *, terms: Terms | None = None) -> str:
    """The page as text.

    Raises:
        JudgeError: runs that cannot be judged.
        PriceError: an offer is for no rig here, or energy has one price and the rigs have several currencies.
    """
    terms = terms or Terms()
    given = [run if isinstance(run, Run) else Run(run) for run in runs]
    asked = question or Question()
    judgement = judge(given, asked)
    question = judgement.question
    check_offers(terms, judgement.groups)
    blocks = styled([_block(n, judgement, key, question, terms) for n, key in enumerate(block_keys(judgement))])
    shown = [run for block in blocks for run in block.runs]
    beside = _published(shown, judgement, asked)
    title = f"Time to accuracy: {', '.join(dict.fromkeys(block.workload for block in blocks)) or 'no runs'}"
    return page.whole(
        page.Page(
            title=title,
            made=_made(given),
            definition=_definition(question),
            links=[
                *((f"{block.id}-figures", f"Figures of {_name_of(block)}") for block in blocks),
                *_links(beside),
            ],
            switches=_switches(blocks),
            warnings=_warnings(judgement),
            blocks=[_section(block) for block in blocks],
            published_title=beside[0],
            published_remark=beside[1],
            published=beside[2],
            sentences=[appendix.understood_by(run) for run in shown],
            provenance=[appendix.made_how(run) for run in shown],
        )
    )


def _published(shown: Sequence[Shown], judgement: Judgement, asked: Question) -> tuple[str, str, list[Table]]:
    """Return (title, remark, tables): the paper's beside ours if asked for, else our final evaluations if any."""
    if asked.published:
        return "The published tables", *appendix.published(shown, judgement.groups)
    ours = appendix.final_table(shown, published=False)
    return "Final evaluations", "", [ours] * bool(ours.rows)


def _links(beside: tuple[str, str, list[Table]]) -> list[tuple[str, str]]:
    found = [("published", beside[0])] if beside[2] else []
    return [*found, ("sentences", "Sentences"), ("provenance", "Provenance")]


# --- from runs to blocks ---------------------------------------------------------------------------------------------


def block_keys(groups: Sequence[Group]) -> list[tuple[bool, str]]:
    """Return the (emulated, workload) of the groups that have runs: each gets a block of the page."""
    return list(dict.fromkeys((group.emulated, group.workload) for group in groups if group.runs))


def _block(
    number: int, groups: Sequence[Group], key: tuple[bool, str], question: Question, terms: Terms | None = None
) -> Block:
    emulated, workload = key
    mine = [group for group in groups if (group.emulated, group.workload) == key]
    measured = tuple(group for group in mine if group.runs)
    runs = tuple(
        Shown(key=f"b{number}r{place}", name=_name(run, groups), label=group.label, run=run)
        for place, (group, run) in enumerate((group, run) for group in measured for run in group.runs)
    )
    return Block(
        id=f"b{number}",
        workload=workload,
        emulated=emulated,
        groups=measured,
        runs=runs,
        published=tuple(group for group in mine if group.published),
        question=question,
        terms=terms or Terms(),
    )


def _name(run: Run, groups: Sequence[Group]) -> str:
    """The run's name; with its folder where another has the same."""
    name = run.identity.run
    namesakes = sum(other.identity.run == name for group in groups for other in group.runs)
    return name if namesakes < 2 else f"{name} ({Path(run.source).parent.name or run.source})"


def styled(blocks: Sequence[Block]) -> list[Block]:
    """A colour for every platform, dashes for its runs; where there is one platform only, a colour for every run."""
    found, turn = [], len(COLOURS)
    for block in blocks:
        runs = []
        unit = unit_for([run.minutes(run.record.ended_s) for run in block.runs if len(run.record)])
        for place, group in enumerate(block.groups):
            for number, run in enumerate(block.runs_of(group)):
                first, second = (
                    (place, 0 if block.is_crowded else number) if len(block.groups) > 1 else (number, number)
                )
                look: dict = {
                    "colour": COLOURS[first % turn],
                    "dash": DASHES[(second + first // turn) % len(DASHES)],
                }
                look["unit"] = unit
                runs.append(replace(run, **look, marker=MARKERS[(first + first // turn + second // 5) % len(MARKERS)]))
        found.append(replace(block, runs=tuple(runs)))
    return found


def _figures(block: Block, samples: Mapping[str, Sampled]) -> Iterator[Figure]:
    first = by_platform.ladder(block) if block.is_crowded else time_to_accuracy(block)
    yield first
    yield cost(block)
    yield energy(block)
    yield by_platform.errors(block) if block.is_crowded else errors(block)
    losses = by_platform.loss(block) if block.is_crowded else loss(block)
    if not first.wide:  # figures stand in pairs, and each beside one of its height
        yield losses
    if block.has_several:
        yield by_platform.throughput(block)
        yield usage.by_platform(block, samples)
        yield by_platform.phases(block)
    else:
        yield from _over_time(block, samples)
    if first.wide:
        yield losses
    yield profile(block)
    yield merits(block)
    yield batch_sizes(block)
    yield from machines(block)


def _over_time(block: Block, samples: Mapping[str, Sampled]) -> Iterator[Figure]:
    """Yield the figures with a panel for every run."""
    yield throughput(block)
    yield from usage.utilisation(block, samples)
    yield timeline(block)
    yield from hosts(block)


def _singles(block: Block, samples: Mapping[str, Sampled]) -> Iterator[page.Singles]:
    """Yield the figures of single runs, which are drawn when they are asked for: of many by platform."""
    if block.is_crowded:
        for number, group in enumerate(block.groups):
            mine = replace(
                block, id=f"{block.id}g{number}", groups=(group,), runs=tuple(block.runs_of(group)), published=(),
                beside=len(block.runs) - len(block.runs_of(group)),
            )  # fmt: skip
            (mine,) = styled([mine])
            drawn = [loss(mine), errors(mine), *_over_time(mine, samples)]
            many = f"{len(mine.runs)} run{'s' * (len(mine.runs) > 1)}"
            yield page.Singles(title=f"{group.label}: {many}", figures=drawn)
    elif block.has_several:
        mine = replace(block, id=f"{block.id}s")
        title = f"Over time: throughput, utilisation and phases of each of the {len(block.runs)} runs"
        yield page.Singles(title=title, figures=list(_over_time(mine, samples)))


# --- words -----------------------------------------------------------------------------------------------------------


def _title(block: Block) -> str:
    return f"Workload {_name_of(block)}"


def _name_of(block: Block) -> str:
    return block.workload + ", emulated" * block.emulated


def _made(runs: Sequence[Run]) -> str:
    now = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    return f"{len(runs)} run{'s' * (len(runs) != 1)}. Report of {now}."


def _definition(question: Question) -> str:
    error = f"median error over {question.window} epochs in a row" if question.window > 1 else "error"
    return (
        f"Time to accuracy is the time until the end of the first epoch whose {error} is at most a level, "
        f"{CLOCK_WORDS[question.clock]}."
    )


def _switches(blocks: Sequence[Block]) -> list[page.Switches]:
    """Runs under what stands over them and their like."""
    together: dict[str, list[Shown]] = {}
    for block in blocks:
        for run in block.runs:
            title = f"{_title(block)}: {run.label}" if block.is_crowded else _title(block)
            together.setdefault(title, []).append(run)
    crowded = {f"{_title(block)}: {group.label}" for block in blocks if block.is_crowded for group in block.groups}
    return [page.Switches(title=title, runs=runs, folded=title in crowded) for title, runs in together.items()]


def _warnings(judgement: Judgement) -> list[str]:
    """Return all doubts; those about the paper's figures only if they were asked for and runs compare with them."""
    comparable = judgement.question.published and any(
        group.runs and group.workload == PAPER_WORKLOAD and not group.emulated for group in judgement
    )
    shown = judgement.groups if comparable else tuple(group for group in judgement if group.runs)
    question = replace(judgement.question, published=comparable)
    return Judgement(shown, question, judgement.runs, judgement.asked).warnings


def _section(block: Block) -> page.BlockSection:
    data = data_table(block.workload, [run for group in block.groups for run in group.runs])
    found = answer(block.groups, block.question, terms=block.terms)
    samples, bought = usage.samples_of(block), software(block)
    answers = [found] if isinstance(found, str) else found.sentences
    if bought:  # first where rigs are not ranked, as they differ in what is learnt
        answers = [*bought.sentences, *answers] if isinstance(found, str) else [*answers, *bought.sentences]
    ranking = None if isinstance(found, str) or len(found.places) < 2 else found.table()
    return page.BlockSection(
        id=block.id,
        title=_title(block),
        emulated=block.emulated,
        answer=answers,
        ranking=ranking,
        rigs=rigs(block),
        beside=[bought.table] if bought else [],
        tiles=list(tiles(block, found)),
        figures=list(_figures(block, samples)),
        singles=list(_singles(block, samples)),
        tables=[*block_tables(block.groups, block.question), *_beside(block), *([data] if data else [])],
    )


def _beside(block: Block) -> Iterator[Table]:
    """Yield the table of epochs beside the reference of convergence, and as one of a column why there is none."""
    for part in guard.parts(block.groups, block.question):
        if isinstance(part, str):
            title, *lines = part.split("\n")
            part = Table(title, ("why",), tuple((line.removeprefix("- "),) for line in lines))
        yield part
