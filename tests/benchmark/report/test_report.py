"""The report: what its figures hold, what becomes of hostile and missing files, and the page in a real browser."""

import csv
import html.parser
import json
import re
import resource
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from chromium import open_page, program
from journals import make_row, make_run, write

import platforms
from benchmark.judge import Question, judge, read_runs
from benchmark.record import Run, RunRecord
from benchmark.record.confusions import Confusions
from benchmark.record.energy import POWER
from benchmark.record.journal import read
from benchmark.record.phases import Phase
from benchmark.record.sentences import Example, Heard
from benchmark.report import __main__ as command
from benchmark.report import document as report
from benchmark.report import page
from benchmark.report.appendix import _final_rows, marked
from benchmark.report.curves import errors, smoothed
from benchmark.report.figures import Block, Shown, neutral, thinned, time_to_accuracy
from benchmark.report.panels import joined, lanes, throughput
from benchmark.report.tradeoffs import batch_sizes, cost
from benchmark.report.usage import utilisation

ROOT = Path(__file__).parents[3]
HOSTILE = "<script>alert(1)</script>"
BOLD = "<b>x</b> & %{y}"
TARGETS = {"wer": [50.0, 30.0], "cer": [20.0]}
WERS = [90, 60, 45, 40, 35]  # medians of 3 from epoch 3: 60, 45, 40. WER 50 in epoch 4, at 30 + 4 * 110 s; 30 never


def with_loss(record: RunRecord) -> RunRecord:
    """The record with a loss in its train rows, from 100 down to 100 / n, and its seed's own trillionth of that."""
    rows, number = [], 0
    for row in record.rows:
        number += row.phase is Phase.TRAIN
        loss = 100.0 / max(1, number) * (1 + row.seed * 1e-12)
        rows.append(replace(row, loss=loss) if row.phase is Phase.TRAIN else row)
    return RunRecord(tuple(rows), record.source)


def save(results: Path, record: RunRecord, *, facts=None, usage: str = "", heard: str = "") -> RunRecord:
    """A run's journal and folder; without `facts`, `usage` and `heard` there is no folder. The record as read."""
    number = len(list(results.glob("*.csv")))
    path = Path(write(results / f"run{number}.csv", record))
    folder = path.with_suffix("")
    for name, text in (
        ("run.json", json.dumps(facts) if facts else ""),
        ("utilisation.csv", usage),
        ("sentences.jsonl", heard),
    ):
        if text:
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(text)
    return read(path)


def run_json(platform: str = "cpu", **changes) -> dict:
    facts = {
        "schema": 3,
        "platform": platforms.load(platform).to_dict(),
        "plan": {"targets": TARGETS},
        "host": {"logical_cores": 4},
    }
    return {**facts, "unavailable": {"gpu": "NVML: no driver"}, **changes}


def samples(*, until_s: float = 600, gpus: int = 0, step_s: float = 0.5) -> str:
    header = ["seconds", "process_cpu_percent", "process_memory_mib", "host_cpu_percent", "host_memory_mib"]
    columns = header + [f"gpu{n}_util_percent" for n in range(gpus)]
    lines = [f"{n * step_s},200,1000,60,2000{',80' * gpus}" for n in range(int(until_s / step_s))]
    return "\n".join([",".join(columns), *lines]) + "\n"


def sentences(reference: str, hypothesis: str) -> str:
    """A sentences.jsonl of two evaluations; the last one has this utterance as its worst."""
    worst = Example(
        rank="worst", id="a-1", reference=reference, hypothesis=hypothesis, word_edits=2, words=2, character_edits=9,
        characters=9,
    )  # fmt: skip
    best = Example(rank="best", id="a-2", reference="so it", hypothesis="so it")
    old = Example(rank="worst", id="old-1", reference="old", hypothesis="new")
    heard = (
        Heard(phase="generate", epoch=1, step=50, examples=(Example(id="x-1", reference="early", hypothesis="earl"),)),
        Heard(phase="evaluate", epoch=4, step=40, wer=45.0, cer=20.0, examples=(old,)),
        Heard(
            phase="evaluate", epoch=5, step=50, wer=35.0, cer=17.5, examples=(worst, best),
            confusions=Confusions.of([(reference or "said", hypothesis), ("", reference or "said")]),
        ),
    )  # fmt: skip
    return "".join(json.dumps(asdict(one)) + "\n" for one in heard)


WORST = Example(rank="worst", id="a-1", reference="he came", hypothesis="cane")
SENTENCES = sentences("he <b>came</b>", "")


def block_of(*records: RunRecord, **question) -> Block:
    """The block of runs of one workload, styled as the report has it."""
    runs = [Run(record) for record in records]
    groups = judge(runs, Question(**question, published=True))
    return report.styled(
        [report._block(0, groups, key, replace(groups.question, published=False)) for key in report.block_keys(groups)]
    )[0]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


@pytest.fixture
def records(results) -> list[RunRecord]:
    """Two runs of sys1, one of sys2 with a name of markup, and an emulated one of a platform named by markup."""
    usual = {"facts": run_json("sys1"), "usage": samples(gpus=4), "heard": SENTENCES}
    return [
        save(results, with_loss(make_run(WERS, run="one")), **usual),
        save(results, with_loss(make_run(WERS, run="two", seed=2, train_s=120)), **usual),
        save(results, with_loss(make_run(WERS, run=BOLD, platform="sys2", train_s=50)), facts=run_json("sys2")),
        save(results, with_loss(make_run(WERS, run=HOSTILE, platform=BOLD, emulated=True)), usage=samples()),
    ]


class Outline(html.parser.HTMLParser):
    """Every element's name, attributes, and the text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict]] = []
        self.text, self._raw = "", False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._raw = tag in ("script", "style")

    def handle_endtag(self, tag):
        self._raw = False

    def handle_data(self, data):
        self.text += "" if self._raw else data


def figures_of(text: str) -> dict[str, dict]:
    """The figures' data as the page's script reads them."""
    (inside,) = re.findall(r'<script type="application/gzip" id="figures">(.*?)</script>', text, re.DOTALL)
    return {figure["id"]: figure for figure in json.loads(page.unpacked(inside))}


# --- figures as data -------------------------------------------------------------------------------------------------


def test_thinning_keeps_the_ends_and_every_dip_and_peak():
    ys = [10.0] * 10_000
    ys[1234], ys[8765] = 0.0, 99.0
    xs, thin = thinned(list(range(10_000)), ys, points=1500)
    assert len(xs) <= 1500
    assert (xs[0], xs[-1]) == (0, 9999)
    assert (1234, 0.0) in zip(xs, thin, strict=True)
    assert (8765, 99.0) in zip(xs, thin, strict=True)
    assert xs == sorted(xs)


def test_a_short_curve_is_not_thinned():
    assert thinned([1, 2, 3], [5, 4, 6], points=3) == ([1, 2, 3], [5, 4, 6])


def test_the_loss_is_smoothed_by_a_gaussian_of_ten_rows():
    values = np.zeros(401)
    values[200] = 1.0  # the answer to an impulse is the filter itself
    smooth, sigma = smoothed(values.tolist())
    assert sigma == 10
    bell = np.exp(-0.5 * (np.arange(-40, 41) / 10.0) ** 2)
    np.testing.assert_allclose(smooth[160:241], bell / bell.sum(), atol=1e-12)


def test_a_short_run_is_smoothed_less():
    _, sigma = smoothed([float(n) for n in range(40)])
    assert sigma == 2  # 40 rows / 20


def test_bars_of_the_time_to_accuracy_are_minutes_and_a_missed_level_is_na(records):
    figure = time_to_accuracy(block_of(*records[:3]))
    ones = [trace for trace in figure.traces if trace["name"] == "one"]
    # WER 50 in epoch 4, which ends at 30 + 4 * 110 = 470 s; WER 30 never; CER = WER / 2: CER 20 in epoch 5, 580 s
    assert ones[0]["y"] == [pytest.approx(470 / 60, rel=1e-5), None, pytest.approx(580 / 60, rel=1e-5)]
    missed = [trace for trace in figure.traces if trace["mode"] == "text"]
    assert [trace["text"] for trace in missed] == [["NA"], ["NA"]]  # sys2's and sys1's WER 30
    rows = {row[:2]: row[2:] for row in figure.table.rows}
    assert rows["Sys1$", "WER 30%"] == ("NA", "", "0 of 2", "NA")
    assert rows["Sys2$", "WER 50%"][0] == "4.50"  # 30 + 4 * (50 + 10) = 270 s


def test_several_runs_have_their_median_and_the_interval_of_their_logarithms(records):
    figure = time_to_accuracy(block_of(*records[:3]))
    (bar,) = [trace for trace in figure.traces if "error_y" in trace]
    block = block_of(*records[:3])
    low, high = next(g for g in block.groups if g.platform == "sys1").levels[0].interval_minutes
    assert bar["y"][0] == pytest.approx(low, rel=1e-5)
    assert bar["y"][0] + bar["error_y"]["array"][0] == pytest.approx(high, rel=1e-4)
    assert len(bar["meta"]["runs"]) == 2  # shown while one of the two is


def test_a_single_run_is_a_point_without_an_interval(records):
    figure = time_to_accuracy(block_of(records[0]))
    assert not any("error_y" in trace for trace in figure.traces)
    assert all(row[3] == "" for row in figure.table.rows)


def test_errors_have_a_panel_a_metric_level_lines_and_a_ring_where_a_level_counts(records):
    figure = errors(block_of(records[0]))
    assert figure.layout["yaxis"]["type"] == figure.layout["yaxis2"]["type"] == "log"
    assert [(line["y0"], line["yref"]) for line in figure.layout["shapes"]] == [(50, "y"), (30, "y"), (20, "y2")]
    rings = [trace for trace in figure.traces if trace["marker"]["symbol"] == "circle-open"]
    assert [(ring["yaxis"], ring["y"]) for ring in rings] == [("y", [40]), ("y2", [17.5])]  # epochs 4 and 5


def test_an_error_of_zero_stays_on_the_logarithmic_axis(results):
    record = save(results, make_run([50, 0, 0]), facts=run_json())
    curve = next(trace for trace in errors(block_of(record)).traces if trace["yaxis"] == "y")
    assert curve["y"] == [50, 0.01, 0.01]


def test_evaluations_and_swaps_are_bands_over_the_throughput(results):
    rows = list(make_run([60, 50]).rows)
    last = rows[-1]
    rows.append(make_row(Phase.SWAP, last.ended_s, 6, step=last.step, epoch=2))
    figure = throughput(block_of(save(results, RunRecord(tuple(rows)), facts=run_json())))
    bands = {trace["name"]: trace["x"] for trace in figure.traces if trace.get("fill") == "toself"}
    # epoch 1 evaluates from 130 to 140 s, epoch 2 from 240 to 250 s, then a swap until 256 s
    assert bands["evaluate"][:4] == [pytest.approx(s / 60, rel=1e-5) for s in (130, 130, 140, 140)]
    assert bands["evaluate"][5:9] == [pytest.approx(s / 60, rel=1e-5) for s in (240, 240, 250, 250)]
    assert bands["swap"][0] == pytest.approx(250 / 60, rel=1e-5)
    line = next(trace for trace in figure.traces if "fill" not in trace)
    assert {y for y in line["y"] if y is not None} == {10}  # 100 utterances in 10 s


def test_bands_that_nearly_touch_are_one():
    assert joined([(0, 1), (1.05, 2), (3, 4)], gap=0.1) == [(0, 2), (3, 4)]


def test_an_evaluation_beside_training_has_a_lane_of_its_own():
    rows = [
        make_row(Phase.CREATE, 0, 5),
        make_row(Phase.TRAIN, 5, 10, step=1, epoch=1),
        make_row(Phase.TRAIN, 15, 10, step=2, epoch=2),
        make_row(Phase.EVALUATE, 15, 8, step=1, epoch=1, wer=50, cer=25),
        make_row(Phase.EVALUATE, 25, 8, step=2, epoch=2, wer=50, cer=25),
    ]
    spans, resolution_s = lanes(rows, limit=100)
    assert [span.lane for span in spans] == [0, 0, 0, 1, 0]
    assert resolution_s == 0


def test_a_long_run_is_drawn_in_steps_each_in_its_longest_phase():
    rows, at_s = [], 0.0
    for number in range(5000):  # 9 s of training, 1 s of generating: over and over
        rows.append(make_row(Phase.TRAIN, at_s, 9, step=number, epoch=1))
        rows.append(make_row(Phase.GENERATE, at_s + 9, 1, step=number, epoch=1))
        at_s += 10
    rows.append(make_row(Phase.EVALUATE, at_s, 1000, step=5000, epoch=1, wer=50, cer=25))
    spans, resolution_s = lanes(rows, limit=510)
    assert resolution_s == pytest.approx(100)  # 51,000 s in 510 steps
    assert [(span.phase, round(span.started_s), round(span.ended_s)) for span in spans] == [
        (Phase.TRAIN, 0, 50_000),
        (Phase.EVALUATE, 50_000, 51_000),
    ]


def test_utilisation_has_25_seconds_from_the_middle_of_training_and_the_whole_run(records):
    window, whole = utilisation(block_of(records[0]))
    lines = {trace["name"]: trace for trace in window.traces}
    assert list(lines) == ["CPU", "GPUs"]  # of four GPUs a band and their mean
    assert lines["CPU"]["line"]["dash"] == "solid" != lines["GPUs"]["line"]["dash"]
    assert set(lines["CPU"]["y"]) == {50}  # 200% of one core, of 4 cores
    assert max(lines["CPU"]["x"]) - min(lines["CPU"]["x"]) == pytest.approx(25, abs=0.5)
    assert {trace["name"]: set(trace["y"]) for trace in whole.traces}["GPUs"] == {80}


def test_an_absent_sensor_is_stated_with_its_reason(results):
    record = save(results, make_run(WERS), facts=run_json(), usage=samples())
    window, _ = utilisation(block_of(record))
    assert [trace["name"] for trace in window.traces] == ["CPU"]
    assert window.notes == ("GPU not sampled: NVML: no driver (r1)",)


@pytest.mark.parametrize("text", ["", "seconds\n", "a,b\n1,2\n", "seconds,process_cpu_percent\n1,x\n", "\x00"])
def test_a_utilisation_file_that_is_none_is_stated(results, text):
    record = save(results, make_run(WERS), facts=run_json(), usage=text)
    window, whole = utilisation(block_of(record))
    assert not window.traces and not whole.traces
    assert "all sensors not sampled" in window.notes[-1]


def test_the_pareto_front_is_marked_and_a_rig_without_a_price_is_na(results):
    # WER 50 in epoch 4. sys1: 670 s on 2605 USD, the cheaper training; sys2: 470 s on 5700 USD, the faster one;
    # sys10: 510 s on 25999 USD, beaten by sys2 in both
    def run(platform: str, train_s: float) -> RunRecord:
        record = make_run(WERS, run=platform, platform=platform, train_s=train_s)
        return save(results, record, facts=run_json(platform if platform != "mine" else "cpu"))

    runs = [run("sys1", 150), run("sys2", 100), run("sys10", 110), run("mine", 90)]
    figure = cost(block_of(*runs))
    ringed = [trace["name"] for trace in figure.traces if trace.get("marker", {}).get("symbol") == "circle-open"]
    assert sorted(ringed) == ["Sys1$, on the front", "Sys2$, on the front"]
    front = next(trace for trace in figure.traces if trace["name"] == "Pareto front")
    assert front["x"] == sorted(front["x"])
    cells = {row[0]: row[1:] for row in figure.table.rows}
    assert cells["Sys1$"][3] == "yes"
    assert cells["Sys10$"][3] == ""
    assert cells["mine"][1] == "NA"
    assert figure.notes == ("mine: cost NA (platform mine has no [price])",)


def test_money_of_another_currency_is_not_on_the_same_axis(results):
    def run(platform: str, currency: str) -> RunRecord:
        facts = run_json("sys1")
        facts["platform"]["price"]["currency"] = currency
        return save(results, make_run(WERS, run=platform, platform=platform), facts=facts)

    figure = cost(block_of(run("a", "USD"), run("b", "USD"), run("c", "EUR")))
    assert figure.layout["yaxis"]["title"]["text"] == "USD a training"
    assert "c" not in {trace["name"] for trace in figure.traces}
    assert figure.notes == ("c: in EUR, which has no place on an axis of USD; see the table",)


def test_the_report_takes_terms_and_offers(results, tmp_path, capsys):
    """WER 50 at 30 + 4 * 110 s, for 36 USD an hour 4.70 USD; with 22 minutes of set-up 17.90."""
    save(results, make_run(WERS, run="a", platform="sys1"), facts=run_json("sys1"))
    path, out = str(results / "run0.csv"), tmp_path / "report.html"
    assert command.main([path, "-o", str(out), "--years", "1"]) == 0
    assert "bought for 2,605 USD, 1 year, half in use, without energy" in out.read_text()
    assert "written off over 1 year, half in use; energy left out" in out.read_text()
    assert command.main([path, "-o", str(out), "--offer", "sys1=36/h", "--setup-minutes", "22"]) == 0
    assert "A training costs 17.90 USD (rented at 36.00 USD an hour, 22 minutes of set-up) on Sys1$." in out.read_text()
    assert "2,605 USD" not in out.read_text()
    capsys.readouterr()
    assert command.main([path, "-o", str(out), "--offer", "other=36/h"]) == 2
    assert "an offer for 'other', which has no runs here; there are sys1" in capsys.readouterr().err


def test_emulated_runs_have_no_cost(records):
    figure = cost(block_of(records[3]))
    assert figure.traces == ()
    assert "Emulated" in figure.caption


def test_batch_sizes_are_compared_where_there_are_several_and_else_there_is_a_command(results):
    small = save(results, make_run(WERS, run="small", batch=16), facts=run_json())
    assert "make bench BATCH=" in batch_sizes(block_of(small)).caption
    large = save(results, make_run([90, 80, 70, 60, 45, 40, 35], run="large", batch=96), facts=run_json())
    figure = batch_sizes(block_of(small, large))
    medians = next(trace for trace in figure.traces if trace["name"] == neutral("WER 50%"))
    # large: medians of 3 are 80 (epoch 3), 70, 60, 45 (epoch 6)
    assert (medians["x"], medians["y"]) == ([16, 96], [4, 6])


@pytest.mark.parametrize("platform_count", [1, 3, 10])
def test_twelve_runs_all_look_different_and_so_do_ten_platforms_of_many(platform_count):
    def runs(count):
        return [
            make_run(WERS, run=f"r{n}", seed=n, platform=f"rig{n % platform_count}", source=f"nowhere/{n}.csv")
            for n in range(count)
        ]

    assert len({(run.colour, run.dash, run.marker) for run in block_of(*runs(12)).runs}) == 12
    many = block_of(*runs(20))
    assert many.is_crowded == (platform_count > 1)
    looks = {(run.label, run.colour, run.marker) for run in many.runs}
    assert len(looks) == (20 if platform_count == 1 else platform_count)
    assert len({colour for _, colour, _ in looks}) == 10 or platform_count == 3


def test_a_colour_is_a_platforms_and_a_dash_a_runs(records):
    looks = {run.name: run for run in block_of(*records[:3]).runs}
    assert looks["one"].colour == looks["two"].colour != looks[BOLD].colour
    assert looks["one"].dash != looks["two"].dash
    assert looks["one"].marker != looks[BOLD].marker


def test_runs_that_must_not_be_pooled_are_kept_apart_by_as_little_as_it_takes(results):
    runs = [
        save(results, make_run(WERS, run="a", batch=16, code="x"), facts=run_json()),
        save(results, make_run(WERS, run="b", batch=96, code="y"), facts=run_json()),
    ]
    assert judge(runs).question.by == ("batch",)
    assert [group.label for group in block_of(*runs).groups] == ["sys1 batch=16", "sys1 batch=96"]


# --- sentences -------------------------------------------------------------------------------------------------------


def test_the_last_evaluations_worst_and_best_are_shown(records):
    text = Outline(report.report(records)).text
    assert "one: epoch 5, batch 50, WER 35.00%, CER 17.50%" in text
    assert "a-1: 2 of 2 words wrong, 9 of 9 characters" in text and "old-1" not in text and "early" not in text


def test_of_a_run_made_before_there_were_json_lines_the_last_evaluation_is_shown_as_it_was_printed(results):
    record = save(results, make_run(WERS), facts=run_json())
    folder = Path(record.source).with_suffix("")
    lines = (
        "evaluate epoch 1 batch 9 WER 9%\n  worst u-1: sooner\nevaluate epoch 2 batch 18\n  worst u-2: <i>last</i>\n"
    )
    (folder / "sentences.txt").write_text(lines)
    page_text = report.report([record])
    assert "<pre>evaluate epoch 2 batch 18\n  worst u-2: &lt;i&gt;last&lt;/i&gt;</pre>" in page_text
    assert "sooner" not in Outline(page_text).text


def test_words_without_a_partner_are_marked():
    assert marked("a b c", "a x c") == [("a", False), ("b", True), ("c", False)]
    assert marked("a", "") == [("a", True)]


# --- the page as text ------------------------------------------------------------------------------------------------


def test_what_is_too_long_for_a_sentence_is_shown_unmarked_at_once():
    began_s = time.monotonic()
    assert marked("a " * 10_000, "a b " * 10_000) == [("a", False)] * 10_000
    assert time.monotonic() - began_s < 1


def test_plotly_shows_markup_to_the_letter():
    assert neutral(BOLD) == "&lt;b&gt;x&lt;/b&gt; &amp; &#37;{y}"


def test_data_in_a_script_cannot_end_it():
    value = {"name": f"</script>{HOSTILE} & \u2028\u2029 <!-- \ud800"}
    text = page.packed(page.json_text(value))
    assert re.fullmatch("[A-Za-z0-9+/]+=*", text)
    assert json.loads(page.unpacked(text)) == {"name": value["name"].replace("\ud800", "?")}


def test_nothing_from_a_file_becomes_markup(records):
    text = report.report(records)
    outline = Outline(text)
    assert [tag for tag, _ in outline.elements].count("script") == 3  # Plotly, the data, ours
    assert "alert(1)</script>" not in text
    assert "<b>x</b>" not in text
    assert HOSTILE in outline.text and BOLD in outline.text and "<b>came</b>" in outline.text.replace(" ", "")


HOSTILE_TEXTS = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "<!--<script>",
    "]]>",
    "\u2028alert(1)\u2029",
    "\0\x1b[31m\x07\r",
    "${title} $figures",
    "javascript:alert(1)",
    "<style>*{display:none}</style>",
    "\ud800",
)


@pytest.mark.parametrize("hostile", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
def test_a_hostile_text_in_every_file_of_a_run_is_only_ever_text(results, hostile):
    """The page has the same kinds of elements and attributes with it as with a word in its place, scripts and links."""
    tame, found = (_page_of(results / name, text) for name, text in (("tame", "a word"), ("hostile", hostile)))
    assert found.encode() and kinds(found) <= kinds(tame) | {("mark", ())}
    assert found.count("<script") == tame.count("<script") and found.count("</script") == tame.count("</script")
    for name in ("href", "src", "id", "class"):
        both = ({attrs.get(name) for _, attrs in Outline(text).elements} for text in (tame, found))
        assert len(set.symmetric_difference(*both)) == 0, name
    assert list(figures_of(found)) == list(figures_of(tame))


def kinds(text: str) -> set[tuple[str, tuple[str, ...]]]:
    return {(tag, tuple(sorted(attrs))) for tag, attrs in Outline(text).elements}


def _page_of(folder: Path, text: str) -> str:
    """Of a run with this text wherever a file can have one; in the journal, what of it can be printed."""
    folder.mkdir()
    printable = "".join(filter(str.isprintable, text))
    names = dict.fromkeys(("run", "platform", "workload", "recipe", "devices", "precision", "features"), printable)
    facts = run_json("sys1", unavailable={text: text}, host={"logical_cores": 4, "cpu": text, text: [text, {text: 1}]})
    record = save(folder, with_loss(make_run(WERS, **names)), facts=facts, usage=samples(gpus=1))
    run = Path(record.source).with_suffix("")
    (run / "sentences.jsonl").write_text(sentences(text, f"{text} x"))
    with (run / "final.csv").open("w", newline="", encoding="utf-8", errors="surrogatepass") as file:
        csv.writer(file).writerows(
            [["checkpoint", "subset", "decoder", "wer_mean"], [text, text, text, 9.5]]
        )  # fmt: skip
    return report.report([record], Question(published=True))


def test_the_commonest_word_errors_stand_over_the_sentences(results):
    confused = Confusions.of([("came", "cane")] * 3 + [("he", "")] * 2 + [("", "oh")])
    heard = Heard(phase="evaluate", epoch=5, step=50, wer=35.0, cer=17.5, examples=(WORST,), confusions=confused)
    run = make_run(WERS, run="one")
    rows = [replace(row, substitutions=20, deletions=5, insertions=3, ser=90.5) if row.wer else row for row in run.rows]
    record = save(results, RunRecord(tuple(rows)), facts=run_json("sys1"), heard=json.dumps(asdict(heard)) + "\n")
    text = " ".join(Outline(report.report([record])).text.split())
    assert "Commonest word errors of all utterances: " in text
    assert "SER 90.50%, 20 substitutions, 5 deletions, 3 insertions" in text
    assert "referencehypothesistimesdeletedtimesinsertedtimescamecane3he2oh1" in text


def test_a_run_that_did_not_count_its_word_errors_has_no_table_of_them(results):
    heard = Heard(phase="evaluate", epoch=5, step=50, wer=35.0, cer=17.5, examples=(WORST,))
    record = save(results, make_run(WERS), facts=run_json("sys1"), heard=json.dumps(asdict(heard)) + "\n")
    text = Outline(report.report([record])).text
    assert "Commonest word errors" not in text and "a-1" in text


def test_everything_is_in_one_file_that_asks_for_nothing(records):
    elements = Outline(report.report(records)).elements
    outside = [value for _, attrs in elements for key, value in attrs.items() if key in ("src", "href", "srcset")]
    assert all(value.startswith(("#", "data:")) for value in outside)
    (policy,) = [attrs["content"] for tag, attrs in elements if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy


def test_every_drawn_figure_has_a_place_a_caption_and_a_table(records):
    text = report.report(records)
    ids = [attrs.get("id") for _, attrs in Outline(text).elements]
    figures = figures_of(text)
    for name in ("tta", "cost", "loss", "errors", "throughput", "use", "phases", "merit"):
        assert f"b0-{name}" in figures
    for name in ("throughput", "use-window", "use-whole", "phases"):
        assert f"b0s-{name}" in figures and f"b1-{name}" in figures  # of several runs under a fold
    assert all(ids.count(identity) == 1 for identity in figures)
    for part in re.findall(r"<figure.*?</figure>", text, re.DOTALL):
        assert re.search(r"<figcaption>\w.{20}", part) and "<details" in part and "<table>" in part


def test_the_headline_names_the_soonest_and_how_far_ahead(records):
    text = Outline(report.report(records)).text
    # of WER, 50 is the hardest reached. sys2: 270 s; sys1: the median of 470 and 550 s, 510 s
    assert "No rig is certain to be the soonest to WER 50: Sys2$ takes 4.50 minutes to WER 50, the least of 2." in text
    assert "What would tell: a second run at least of Sys2$, each with a seed of its own." in text


def test_the_soonest_is_named_and_by_how_much(results):
    for platform, train_s in (("sys1", 100), ("sys2", 100.5), ("sys10", 160)):
        for seed in (1, 2, 3):
            run = make_run(WERS, run=f"{platform}{seed}", platform=platform, seed=seed, train_s=train_s + seed / 50)
            save(results, run, facts=run_json(platform))
    text = Outline(report.report(read_runs(f"{results}/*.csv"))).text
    assert "Soonest: Sys1$ takes 7.84 minutes to WER 50" in text and "95%: 7.09 to 8.67" in text
    # a step of 110 / 470 of the time: t of 2 degrees 4.303 * sqrt(.03) * .234 / sqrt(3) = .1007, and 7.84 * exp(.1007)
    # as a machine sys2 takes .4% more, and as a training, which is known to a step of 23%, nothing tells it apart
    assert "Tied with it: Sys2$, the same within 5%." in text
    # 1 - (30 + 4 * 110.04) / (30 + 4 * 170.04) = 33.8%
    assert "Sys1$ takes 33.8% less time (" in text and "at equal epochs than Sys10$." in text


def test_emulated_runs_stand_apart_and_are_never_ranked(records):
    text = report.report(records)
    figures = figures_of(text)
    keys = {name: {run for t in figure["traces"] for run in t["meta"]["runs"]} for name, figure in figures.items()}
    assert all(len({run.split("r")[0] for run in runs}) == 1 for runs in keys.values())  # no figure of two blocks
    emulated = text[text.index('<section id="b1">') : text.index('class="lead"')]
    emulated += text[text.index('<section id="b1-figures">') : text.index('<section id="sentences">')]
    assert "Emulated: CPUs stood in" in emulated
    assert "soonest" not in emulated.replace("the soonest first", "") and 'class="tiles"' not in emulated


def test_ours_stand_beside_the_published_tables(results):
    run = make_run([30, 25, 21, 20, 19], run="mine", workload="librispeech", platform="rig")
    record = save(results, run, facts=run_json(plan={"targets": {"wer": [22, 20.2], "cer": [10]}}))
    final = ["checkpoint", "step", "epoch", "subset", "decoder", "wer", "wer_mean"]
    with (Path(record.source).with_suffix("") / "final.csv").open("w", newline="") as file:
        csv.writer(file).writerows([final, ["best", 50, 5, "dev-clean", "dictionary-512", 17.0, 18.25]])
    text = report.report([record], Question(published=True))
    section = text[text.index('<section id="published">') : text.index('<section id="sentences">')]
    # medians of 3: 25, 21 (epoch 4), 20 (epoch 5). WER 22 at 470 s, WER 20.2 at 580 s; CER is half: all under 15
    assert re.search(r'<th scope="row">rig</th>.*?<td>7.83</td><td>9.67</td><td>NA</td></tr>', section)
    assert "Sys1$ (published)" in section and "<td>1908</td>" in section
    assert "<td>18.25</td>" in section and "<td>17.90</td>" in section
    assert "nothing here compares" not in section


def test_the_final_table_keeps_decoders_features_and_batches_apart_and_takes_the_newest_checkpoint(results):
    """Six files on one subset: only the "best" of 10 batches is out of date, as the run went on."""
    record = save(results, make_run([30, 25], run="mine", platform="rig", features="ab", batch=16, replicas=2))
    header = ["checkpoint", "step", "subset", "decoder", "wer_mean", "features", "sample", "batch"]
    rows = [
        ("best", 10, "greedy", 31, "ab", 8),
        ("best", 20, "greedy", 32, "ab", 8),
        ("best", 20, "beam-2", 33, "ab", 8),
        ("best", 20, "greedy", 34, "cd", 8),
        ("best", 20, "greedy", 35, "ab", 2),
        ("last", 20, "greedy", 36, "ab", 8),
    ]
    folder = Path(record.source).with_suffix("") / "final"
    folder.mkdir(parents=True)
    for n, (checkpoint, step, decoder, wer, features, batch) in enumerate(rows):
        with (folder / f"{n}.csv").open("w", newline="") as file:
            row = [checkpoint, step, "dev-clean", decoder, wer, features, "", batch]
            csv.writer(file).writerows([header, row])
    run = Shown(key="k", name="mine", label="rig", run=Run(record))
    assert {what: cells["dev-clean"] for what, cells in _final_rows(run).items()} == {
        "best, greedy": "32.00",
        "best, beam-2": "33.00",
        "best, greedy, on other features (cd)": "34.00",
        "best, greedy, batch 2": "35.00",
        "last, greedy": "36.00",
    }


def test_without_runs_of_its_workload_the_paper_compares_with_nothing(records):
    asked = report.report(records, Question(published=True))
    assert "None of these runs is of workload librispeech" in asked and "Sys1$ (published)" in asked


def test_the_papers_rigs_of_2019_are_there_only_where_asked_for(results):
    run = make_run([30, 25, 21, 20, 19], run="mine", workload="librispeech", platform="rig")
    record = save(results, run, facts=run_json(plan={"targets": {"wer": [22, 20.2], "cer": [10]}}))
    text = report.report([record])
    assert "(published)" not in text and 'id="published"' not in text and "the paper's" not in Outline(text).text
    final = ["checkpoint", "step", "epoch", "subset", "decoder", "wer", "wer_mean"]
    with (Path(record.source).with_suffix("") / "final.csv").open("w", newline="") as file:
        csv.writer(file).writerows([final, ["best", 50, 5, "dev-clean", "dictionary-512", 17.0, 18.25]])
    text = report.report([record])
    assert "(published)" not in text and "<td>18.25</td>" in text[text.index('<section id="published">') :]


def test_every_warning_of_the_judge_is_there(records):
    text = Outline(report.report(records)).text
    assert "emulated on CPUs: the times say nothing about the rig" in text
    assert "only 1 run" in text


def test_facts_of_every_run_are_folded_in(records):
    text = Outline(report.report(records)).text
    assert "run.json: platform.hardware.logical_cores" in text
    assert "There is no run.json next to the journal" in text  # the emulated one's


# --- files that are not there ----------------------------------------------------------------------------------------


def test_a_journal_alone_is_enough(results):
    text = report.report([save(results, with_loss(make_run(WERS)))])
    assert "b0-tta" in figures_of(text)
    assert "no utilisation.csv" in Outline(text).text
    assert "no sentences of an evaluation" in Outline(text).text


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_a_run_that_has_just_begun_has_a_page(results, rows):
    record = RunRecord(make_run(WERS).rows[:rows])
    path = results / "young.csv"
    if rows:
        write(path, record)
    else:
        write(path, make_run(WERS))
        path.write_text(path.read_text().splitlines()[0] + "\n")
    text = Outline(report.report([read(path)])).text
    assert "no rows yet" in text if rows == 0 else "No level has been reached yet" in text


def test_numbers_that_no_machine_has_do_not_cost_the_page(results):
    """Cores beyond a float, samples without end, and a row in which no clock moved."""
    usage = samples(until_s=100) + "inf,1,1,1,1\n1e300,1,1,1,1\n,1,1,1,1\n"
    rows = [replace(row, seconds=5e-324) if n == 3 else row for n, row in enumerate(make_run(WERS).rows)]
    facts = run_json(host={"logical_cores": 10**400})
    record = save(results, with_loss(make_run(WERS)), facts=facts, usage=usage)
    block = block_of(RunRecord(tuple(rows), record.source))
    assert page.json_text([page.figure_data(each) for each in (throughput(block), *utilisation(block))])
    assert "run.json does not say how many cores" in "".join(utilisation(block)[0].notes)


def test_a_run_json_of_another_shape_is_shown_as_it_is(results):
    facts = {
        "schema": 3,
        "plan": {"targets": TARGETS},
        "host": [1, {"a": None}],
        "unavailable": ["x"],
        "platform": {"odd": 7},
    }
    text = Outline(report.report([save(results, make_run(WERS), facts=facts, usage=samples())])).text
    assert 'run.json: host[1, {"a": null}]' in text.replace("\n", "")


def test_large_journals_make_small_pages_in_time(results):
    """20 runs, one of them of 10,000 rows: under 10 seconds, and few points a curve."""
    long = make_run([100.0 / n for n in range(1, 910)], run="long")
    assert len(long.rows) == 10_000
    runs = [with_loss(long)] + [with_loss(make_run(WERS, run=f"r{n}", seed=n)) for n in range(19)]
    records = [save(results, run, facts=run_json(), usage=samples(until_s=2000)) for run in runs]
    started_s = time.monotonic()
    text = report.report(records)
    assert time.monotonic() - started_s < 10
    figures = figures_of(text)
    assert max(len(trace["x"]) for figure in figures.values() for trace in figure["traces"]) <= 5000
    assert len(page.packed(page.json_text(list(figures.values())))) < 1e6


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_prints_where_the_page_is_and_how_large(records, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main([record.source for record in records]) == 0
    size = (tmp_path / "report.html").stat().st_size
    assert capsys.readouterr().out == f"report.html: {size / 1e6:.1f} MB\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no journals given"),
        (["nowhere/*.csv"], "no file matches nowhere/*.csv"),
        (["nowhere.csv"], "nowhere.csv: no such file"),
        (["RUN", "-o", "run.csv"], "-o run.csv: expected a name that ends in .html"),
        (["RUN", "-o", "no/such/folder.html"], "-o no/such/folder.html: cannot be written (No such file"),
        (["RUN", "RUN"], "the same run as"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_2(arguments, said, results, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    source = save(results, make_run(WERS)).source
    assert command.main([source if each == "RUN" else each for each in arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("benchmark.report: ") and said in shown.err and shown.err.count("\n") == 1
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.parametrize("option", [["--level", "nan"], ["--level", "-1"], ["--epochs", "0"]])
def test_options_that_are_no_numbers_end_with_status_2(option, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(["run.csv", *option])
    assert stopped.value.code == 2
    assert f"benchmark.report: {option[0]} '{option[1]}'; expected a" in capsys.readouterr().err


def test_a_sampler_that_ended_before_the_run_is_stated_with_the_minute(results):
    # 580 s in all: 30 + 5 * 110; samples to 239.5 s, 3.99 minutes
    record = save(results, make_run(WERS), facts=run_json(), usage=samples(until_s=240))
    window, whole = utilisation(block_of(record))
    note = "what came after minute 3.99 of 9.67 not sampled: the sampler ended before the run (r1)"
    assert note in window.notes and note in whole.notes
    assert not any("minute" in note for note in utilisation(block_of(other_of(results)))[0].notes)


def test_a_gpu_that_was_lost_half_way_is_stated_with_the_minute(results):
    # samples to 579.5 s, 9.66 minutes; GPU 1's last is at 299.5 s, 4.99 minutes
    lines = samples(until_s=580, gpus=2).splitlines()
    usage = "\n".join(line.removesuffix("80") if n > 600 else line for n, line in enumerate(lines)) + "\n"
    record = save(results, make_run(WERS), facts=run_json(), usage=usage)
    assert "GPU 1 after minute 4.99 of 9.66 not sampled: it could no longer be read (r1)" in [
        note for note in utilisation(block_of(record))[0].notes if "GPU 1" in note or "GPU 0" in note
    ]


@pytest.mark.parametrize(
    ("lost_s", "cells", "note"),
    [
        (
            60,
            ("80, 80 (of 10% of the samples)", "NA"),
            "GPU energy NA: GPU 1 was last read at 60.0 s: power is known for 10%",
        ),
        (
            555,
            ("80, 80 (of 95.6% of the samples)", "46.2 (of 95.6% of the run)"),
            f"GPU energy: {POWER}; GPU 1 was last",
        ),
        (580, ("80, 80", "48.3"), f"GPU energy: {POWER} (r1)"),
    ],
)
def test_means_and_energy_of_a_gpu_that_was_lost_say_of_how_much_they_are(results, lost_s, cells, note):
    """Of a run of 580 s on two GPUs of 100 and 200 W: 300 W x 555 s / 3600 are 46.25 Wh."""
    rows = [f"{n / 2},200,1000,60,2000,80,100,{'80,200' if n / 2 <= lost_s else ','}" for n in range(1161)]
    header = samples(until_s=0).strip() + "".join(f",gpu{n}_util_percent,gpu{n}_power_w" for n in (0, 1))
    record = save(results, make_run(WERS), facts=run_json(), usage="\n".join([header, *rows]) + "\n")
    _, whole = utilisation(block_of(record))
    ((_, _, _, _, gpus, _, energy),) = whole.table.rows
    assert (gpus, energy) == cells
    assert any(each.startswith(note) for each in whole.notes)


def test_a_gpu_without_an_energy_counter_is_no_missing_sensor_of_the_figures(results):
    reasons = {"gpu0_energy_j": "NVMLError_NotSupported: Not Supported", "gpu0_power_w": "NVMLError: Unknown Error"}
    record = save(results, make_run(WERS), facts=run_json(unavailable=reasons), usage=samples(until_s=580, gpus=1))
    assert utilisation(block_of(record))[1].notes == ("GPU 0 power w not sampled: NVMLError: Unknown Error (r1)",)


def other_of(results: Path) -> RunRecord:
    return save(results, make_run(WERS, run="whole"), facts=run_json(), usage=samples(until_s=579))


def test_of_a_page_that_could_not_be_finished_nothing_is_left_and_the_one_before_stays(results, tmp_path, capsys):
    source, page_path = save(results, make_run(WERS)).source, tmp_path / "report.html"
    page_path.write_text("the one before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # bytes; as a full disk does, it ends a write
        assert command.main([source, "-o", str(page_path)]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "cannot be written (File too large); choose another -o" in capsys.readouterr().err
    assert page_path.read_text() == "the one before"
    assert {path.name for path in tmp_path.iterdir()} == {"results", "report.html"}


def test_a_page_has_the_permissions_of_any_other_file(results, tmp_path):
    source = save(results, make_run(WERS)).source
    (tmp_path / "other").touch()
    assert command.main([source, "-o", str(tmp_path / "report.html")]) == 0
    assert (tmp_path / "report.html").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_the_report_needs_no_tensorflow():
    check = "import sys, benchmark.report.__main__; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT).returncode == 0


# --- the page in a browser -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """The page of four runs, two of them emulated or named by markup, open in Chromium."""
    if program() is None:
        pytest.skip("no chromium here")
    pytest.importorskip("websocket", reason="websocket-client, of the extra dev, is not here")
    folder = tmp_path_factory.mktemp("report")
    results = folder / "results"
    results.mkdir()
    hostile = {"host": {"logical_cores": 4, **{text: text for text in HOSTILE_TEXTS}}}
    usual = {"facts": run_json("sys1"), "usage": samples(gpus=2), "heard": SENTENCES}
    runs = [
        save(results, with_loss(make_run(WERS, run="one")), **{**usual, "facts": run_json("sys1", **hostile)}),
        save(results, with_loss(make_run(WERS, run="two", seed=2, train_s=120)), **usual),
        save(results, with_loss(make_run(WERS, run=BOLD, platform="sys2")), facts=run_json("sys2"), usage=samples()),
        save(results, with_loss(make_run(WERS, run=HOSTILE, platform=BOLD, emulated=True)), usage=samples()),
    ]
    path = folder / "report.html"
    path.write_text(report.report(runs), encoding="utf-8")
    with open_page(path, folder=folder) as opened:
        yield opened


@pytest.fixture
def browser(opened):
    """It, in a wide window in light colours with all runs on."""
    opened.size(1300)
    opened.scheme("light")
    opened.evaluate("document.getElementById('all').click()")
    return opened


PLOTS = "[...document.querySelectorAll('.js-plotly-plot')]"
SEEN = """(run) => [...document.querySelectorAll('.js-plotly-plot')].flatMap(plot =>
    plot.data.filter((trace, n) => trace.meta.runs.includes(run) && plot._fullData[n].visible === true)
        .map(trace => plot.id + ' ' + trace.name))"""


def key_of(browser, name: str) -> str:
    labels = browser.evaluate(
        "[...document.querySelectorAll('.switches label')].map(l => [l.textContent, l.querySelector('input').value])"
    )
    return dict(labels)[name]


def seen(browser, name: str) -> list[str]:
    return browser.evaluate(f"({SEEN})({json.dumps(key_of(browser, name))})")


def click(browser, name: str) -> None:
    browser.evaluate(f"document.querySelector('input[value={key_of(browser, name)}]').click()")


def test_every_figure_is_drawn_without_an_error_or_a_request(browser):
    drawn = browser.evaluate(f"{PLOTS}.map(p => [p.id, p.querySelectorAll('svg .trace, svg .point').length])")
    places = browser.evaluate("document.querySelectorAll('.plot').length")
    later = "document.querySelectorAll('details.singles:not([open]) .plot').length"
    assert len(drawn) == places - browser.evaluate(later) >= 14
    assert all(traces > 0 for _, traces in drawn), drawn
    assert browser.problems() == []


def test_no_text_of_a_file_becomes_an_element_or_runs(browser):
    assert browser.evaluate("document.querySelectorAll('img, body style, [onerror], [onmouseover]').length") == 0
    assert not [event for event in browser.events if event.get("method") == "Page.javascriptDialogOpening"]


def test_a_click_on_a_runs_box_hides_it_in_all_figures_and_another_brings_it_back(browser):
    before, others = seen(browser, "one"), seen(browser, BOLD)
    assert {line.split()[0].split("-", 1)[1] for line in before} >= {"tta", "loss", "errors", "throughput", "phases"}
    click(browser, "one")
    # what sums up both runs of sys1 stays while the other is on
    assert all(line.split(" ", 1)[1] not in ("one", "CPU", "train") for line in seen(browser, "one"))
    assert seen(browser, BOLD) == others
    assert browser.evaluate("document.getElementById('count').textContent") == "3 of 4"
    click(browser, "two")
    left = seen(browser, "one") + seen(browser, "two")
    assert {line.split(" ", 1)[1] for line in left} <= {"Pareto front", "names"}  # they are sys2's too
    click(browser, "one")
    click(browser, "two")
    assert seen(browser, "one") == before
    assert browser.problems() == []


def test_boxes_work_by_keyboard(browser):
    browser.evaluate("document.querySelector('input[name=run]').focus()")
    browser.press(" ", 32, " ")
    assert browser.evaluate("document.querySelector('input[name=run]').checked") is False
    assert browser.evaluate("document.getElementById('count').textContent") == "3 of 4"
    browser.press(" ", 32, " ")
    assert browser.evaluate("document.getElementById('count').textContent") == "4 of 4"
    browser.press("Tab", 9)
    assert browser.evaluate("document.activeElement.name") == "run"


def test_all_and_none_switch_every_run(browser):
    browser.evaluate("document.getElementById('none').click()")
    assert [seen(browser, name) for name in ("one", "two", BOLD, HOSTILE)] == [[], [], [], []]
    browser.evaluate("document.getElementById('all').click()")
    assert all(seen(browser, name) for name in ("one", "two", BOLD, HOSTILE))
    assert browser.problems() == []


def test_panels_of_hidden_runs_give_their_place_away(browser):
    browser.evaluate("document.querySelector('details.singles').open = true")
    browser.wait("document.getElementById('b0s-throughput').data !== undefined")
    height = "document.getElementById('b0s-throughput').offsetHeight"
    full = browser.evaluate(height)
    click(browser, BOLD)
    assert browser.evaluate(height) == full - 130  # a panel of 110 and its title of 20 pixels
    click(browser, BOLD)
    assert browser.evaluate(height) == full


def test_names_of_markup_are_text_in_page_and_figures(browser):
    assert browser.evaluate("document.querySelectorAll('main script').length") == 0
    browser.evaluate("document.querySelector('details.singles').open = true")
    browser.wait("document.getElementById('b0s-throughput').data !== undefined")
    titles = browser.evaluate("[...document.querySelectorAll('.annotation-text')].map(t => t.textContent)")
    assert BOLD in titles and HOSTILE in titles
    bold = "[...document.querySelectorAll('.annotation-text tspan')].filter(t => t.style.fontWeight === 'bold').length"
    assert browser.evaluate(bold) == 0


def test_hovering_shows_a_name_of_markup_as_text(browser):
    browser.evaluate(
        "(() => { const plot = document.getElementById('b0-loss');"
        f"const n = plot._fullData.findIndex(t => t.meta.runs[0] === '{key_of(browser, BOLD)}' && t.hovertemplate);"
        "Plotly.Fx.hover(plot, [{curveNumber: n, pointNumber: 3}]); })()"
    )
    words = browser.evaluate("[...document.querySelectorAll('#b0-loss .hoverlayer text')].map(t => t.textContent)")
    assert BOLD in words


def test_colours_follow_the_readers_scheme(browser):
    found = {}
    for scheme in ("dark", "light"):
        browser.scheme(scheme)
        card = "getComputedStyle(document.documentElement).getPropertyValue('--card').trim()"
        browser.wait(f"matchMedia('(prefers-color-scheme: {scheme})').matches")
        browser.wait(f"{PLOTS}.every(p => p._fullLayout.paper_bgcolor === {card})")
        found[scheme] = browser.evaluate(f"{PLOTS}.map(p => p._fullLayout.font.color)")
    assert len(set(found["dark"])) == len(set(found["light"])) == 1
    assert found["dark"] != found["light"]
    assert browser.problems() == []


@pytest.mark.parametrize("width", [375, 768, 1400])
def test_nothing_is_wider_than_the_window_and_figures_fill_it(browser, width):
    click(browser, "one")  # figures must follow the window after that too
    browser.size(width)
    widest = f"Math.max(...{PLOTS}.map(p => p.querySelector('.main-svg').getBoundingClientRect().right))"
    browser.wait(f"{widest} <= {width}")
    browser.wait(f"{widest} > Math.min({width}, 1320) - 80")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
def test_a_printed_page_is_light_with_tables_open_and_afterwards_as_before(browser, tmp_path):
    browser.scheme("dark")
    browser.wait(f"{PLOTS}.every(p => p._fullLayout.paper_bgcolor !== '#f6f7f8')")
    browser.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert set(browser.evaluate(f"{PLOTS}.map(p => p._fullLayout.paper_bgcolor)")) == {"#fff"}
    assert browser.evaluate("document.querySelectorAll('details.data[open]').length") > 10
    browser.evaluate("dispatchEvent(new Event('afterprint'))")
    assert set(browser.evaluate(f"{PLOTS}.map(p => p._fullLayout.paper_bgcolor)")) != {"#fff"}
    assert browser.evaluate("document.querySelectorAll('details.data[open]').length") == 0
    browser.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    assert browser.problems() == []


# --- many runs in a browser -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """The page of ten platforms with three runs each, open in Chromium."""
    if program() is None:
        pytest.skip("no chromium here")
    pytest.importorskip("websocket", reason="websocket-client, of the extra dev, is not here")
    folder = tmp_path_factory.mktemp("crowd")
    (folder / "results").mkdir()
    first = [1245.0, *WERS[1:]]
    runs = [
        save(folder / "results", with_loss(make_run(first, run=f"p{p}r{s}", platform=f"p{p}", seed=s, train_s=60 + p)))
        for p in range(10)
        for s in range(3)
    ]
    path = folder / "report.html"
    path.write_text(report.report(runs), encoding="utf-8")
    with open_page(path, folder=folder) as opened:
        yield opened


def drawn(page) -> list[str]:
    return page.evaluate(f"{PLOTS}.map(plot => plot.id)")


def test_of_many_runs_platforms_are_drawn_and_runs_when_their_fold_is_opened(crowd):
    crowd.size(1300)
    assert "b0-errors" in drawn(crowd) and "b0g0-errors" not in drawn(crowd)
    crowd.evaluate("document.querySelector('details.singles').open = true")
    crowd.wait("document.getElementById('b0g0-errors').data !== undefined")
    assert "b0g1-errors" not in drawn(crowd) and not crowd.problems()
    names = crowd.evaluate("document.getElementById('b0g0-errors').data.map(trace => trace.name)")
    assert set(names) == {"p0r0", "p0r1", "p0r2"}


def test_the_list_of_many_runs_is_folded_and_a_platforms_box_switches_its_runs(crowd):
    assert not crowd.evaluate("document.querySelector('.switches').open")
    crowd.evaluate("document.querySelectorAll('input[name=platform]')[1].click()")
    assert crowd.evaluate("document.getElementById('count').textContent") == "27 of 30"
    visible = "document.getElementById('b0-errors').data.filter(t => t.name === 'p1').map(t => t.visible)"
    assert not any(crowd.evaluate(visible))
    crowd.evaluate("document.querySelectorAll('details.platform')[1].querySelector('input[name=run]').click()")
    assert crowd.evaluate("document.querySelectorAll('input[name=platform]')[1].indeterminate")
    assert all(crowd.evaluate(visible))
    crowd.evaluate("document.getElementById('all').click()")


@pytest.mark.parametrize("width", [390, 1300])
def test_the_answer_to_many_runs_is_on_the_first_screen_and_nothing_is_wider(crowd, width):
    crowd.size(width, 780)
    top = crowd.evaluate("document.querySelector('.headline').getBoundingClientRect().top + scrollY")
    assert top < 600
    crowd.wait(f"document.documentElement.scrollWidth <= {width}")


def test_errors_above_100_percent_do_not_stretch_the_axis(crowd):
    low, high = crowd.evaluate("document.getElementById('b0-errors')._fullLayout.yaxis.range")
    assert 10**high < 120 and 10**low > 10
    assert "the highest error is 1245%" in crowd.evaluate("document.body.textContent")
