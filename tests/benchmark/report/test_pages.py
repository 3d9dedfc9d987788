"""Reports of runs that nobody made, of 1, 4, 12 and 20: what each fault looked like that was seen on a page."""

import json
import re
from itertools import combinations
from pathlib import Path

import pytest
from chromium import open_page, program
from invented import RIGS, invent, make
from journals import make_run, write

from benchmark.judge import Question, judge, read_runs
from benchmark.report import by_platform, document, page, usage
from benchmark.report.curves import LABEL, errors_height, errors_layout
from benchmark.report.document import block_keys, report, styled
from benchmark.report.figures import COLOURS, Block, Figure
from benchmark.report.panels import PHASES
from benchmark.report.profiles import profile
from benchmark.report.recipes import software
from benchmark.report.rigs import rigs
from benchmark.report.tiles import tiles
from benchmark.report.tradeoffs import _boxes, _inside, _meet, cost, sides

COUNTS = (1, 4, 12, 20)
CSS = (Path(page.__file__).parent / "page.css").read_text()


def block_of(folder: Path) -> Block:
    judgement = judge(read_runs(f"{folder}/*.csv"), Question())
    (key,) = block_keys(judgement)
    (block,) = styled([document._block(0, judgement, key, judgement.question)])
    return block


@pytest.fixture(scope="module")
def blocks(tmp_path_factory) -> dict[int, Block]:
    found = {}
    for count in COUNTS:
        folder = tmp_path_factory.mktemp(f"of{count}")
        invent(folder, runs=count)
        found[count] = block_of(folder)
    return found


@pytest.fixture(scope="module")
def pages(blocks) -> dict[int, str]:
    return {count: report([run.run for run in blocks[count].runs]) for count in COUNTS}


def figures_of(block: Block) -> list[Figure]:
    samples = usage.samples_of(block)
    singles = [figure for each in document._singles(block, samples) for figure in each.figures]
    return [figure for figure in (*document._figures(block, samples), *singles) if figure.traces]


# --- the answer ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", COUNTS)
def test_the_answer_stands_above_the_switches_and_these_above_the_figures(pages, count):
    text = pages[count]
    places = [text.index(each) for each in ('class="headline"', 'class="tiles"', ": the rigs<", 'class="switches"')]
    assert places == sorted(places) and places[-1] < text.index('class="figures"')


def test_tiles_are_the_soonest_its_cost_the_cheapest_and_how_certain(blocks):
    block, RTX = blocks[12], next(rig for rig in RIGS if rig.name == "rtx4090x2")
    found = list(tiles(block, document.answer(block.groups, block.question)))
    assert [what for _, what, _ in found] == [
        "to WER 19.2%, the soonest", "a training on 8 x H100 SXM", "a training, the cheapest", "the soonest of 4 rigs",
    ]  # fmt: skip
    assert found[0][2] == "8 x H100 SXM" and found[2][2].startswith(f"{RTX.label}, in ")
    assert found[3][0] == "very likely" and "3 runs of 8 x H100 SXM" in found[3][2] and "95% interval" in found[3][2]
    assert not [text for tile in found for text in tile if "lowest" in text]  # runs stop at their target


def test_tiles_of_one_run_say_that_there_is_no_interval(blocks):
    found = list(tiles(blocks[1], document.answer(blocks[1].groups, blocks[1].question)))
    assert [value for value, _, _ in found][-1] == "1 run" and found[-1][1] == "so no interval"


def test_a_tile_says_when_it_is_open_which_rig_is_the_soonest(tmp_path):
    for seed in (1, 2):
        for name in ("one", "two"):
            make(tmp_path, type(RIGS[1])(**{**vars(RIGS[1]), "name": name}), seed=seed)
    block = block_of(tmp_path)
    value, what, whose = list(tiles(block, document.answer(block.groups, block.question)))[-1]
    assert (value, what) == ("open", "whether it is the soonest") and whose.startswith("not told from ")


def test_the_table_of_rigs_has_what_a_reader_asks_of_a_rig(blocks):
    table = rigs(blocks[4])
    assert table.header == (
        "platform", "file", "GPUs", "memory each", "batch", "precision", "price or rent", "driver", "TensorFlow",
    )  # fmt: skip
    assert table.rows == (
        ("8 x H100 SXM", "h100x8", "8 x NVIDIA H100 80GB HBM3", "80 GiB", "512", "mixed_bfloat16",
         "19.92 USD an hour (2026-10-14)", "570.86.15", "2.20.0"),
        ("4 x L40S workstation", "l40sx4", "4 x NVIDIA L40S", "48 GiB", "192", "mixed_bfloat16",
         "41,800 USD (2026-10-14)", "570.86.15", "2.20.0"),
    )  # fmt: skip


def test_of_a_log_that_says_nothing_of_its_rig_there_is_no_table_of_not_known(tmp_path):
    for seed in (1, 2):
        record = make_run([60, 50, 40], run=f"r{seed}", seed=seed, devices="not known", precision="not known")
        write(tmp_path / f"r{seed}.csv", record)
    assert rigs(block_of(tmp_path)) is None


# --- legends and colours ---------------------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_colour_has_a_contrast_of_3_to_1_on_both_cards():
    light, dark = re.findall(r"--card: (#[0-9a-f]{6})", CSS)[:2]
    assert (light, dark) == ("#f6f7f8", "#1e2226")
    for colour in (*COLOURS, *(colour for colour, _ in PHASES.values())):
        for card in (light, dark):
            low, high = sorted((luminance(colour), luminance(card)))
            assert (high + 0.05) / (low + 0.05) >= 3, (colour, card)


def _drawn_with(figure: Figure) -> set[str]:
    """Return the colours of what is seen of a figure's traces."""
    found = set()
    for trace in figure.traces:
        for part in (trace.get("marker", {}), trace.get("line", {}) if "lines" in trace.get("mode", "") else {}):
            colour = part.get("color")
            if isinstance(colour, str) and colour.startswith("#"):
                found.add(colour.lower())
    return found


@pytest.mark.parametrize("count", COUNTS)
def test_a_legend_names_all_that_is_drawn_and_nothing_else_with_its_marks(blocks, count):
    for figure in figures_of(blocks[count]):
        named = {key.colour.lower() for key in figure.keys}
        general = {"#808080"}  # what stands for runs of any colour
        by_rows = figure.id.endswith("-throughput") and not figure.panels  # platforms have their names at their rows
        assert figure.keys and (by_rows or _drawn_with(figure) <= named | general), figure.id
        assert named <= _drawn_with(figure) | general, figure.id
        symbols = {str(trace.get("marker", {}).get("symbol", "square")) for trace in figure.traces}
        assert {key.marker for key in figure.keys if key.marker} <= symbols | {"circle-open"}, figure.id


# --- by platform, on one scale ---------------------------------------------------------------------------------------


def test_from_two_runs_on_platforms_are_drawn_on_one_scale_and_runs_under_a_fold(blocks):
    ids = {figure.id: figure for figure in figures_of(blocks[4])}
    assert ids["b0-throughput"].panels == () and len(ids["b0s-throughput"].panels) == 4
    ranges = {
        tuple(axis["range"]) for name, axis in ids["b0s-throughput"].layout.items() if re.fullmatch(r"yaxis\d*", name)
    }
    assert len(ranges) == 1
    assert len({figure.id for figure in figures_of(blocks[1]) if figure.id.startswith("b0s")}) == 0


def test_eight_gpus_are_a_band_and_a_line(blocks):
    names = [trace["name"] for trace in usage.utilisation(blocks[1])[1].traces]
    assert names == ["CPU", "GPUs", "GPUs"]
    rows = usage.by_platform(blocks[4], usage.samples_of(blocks[4]))
    band = next(trace for trace in rows.traces if trace["mode"] == "lines")
    low, high = band["x"]
    assert low < high and rows.layout["xaxis"]["range"] == [0, 104]
    assert rows.table.rows[0][2:4] == (rows.table.rows[0][2], f"{low:.0f} to {high:.0f}")


def test_no_two_levels_of_a_hundred_runs_share_a_line(blocks):
    figure = by_platform.ladder(blocks[20])
    assert figure.layout["xaxis"]["type"] == "log"
    heights = {}
    for trace in figure.traces:
        heights.setdefault(trace["y"][0], set()).add(trace["name"])
    assert all(len(names) == 1 for names in heights.values()) and len(heights) == 10 * 6
    rows = sorted(heights)
    pixels = (figure.height - 80) / 10  # of a platform's row
    assert min(b - a for a, b in zip(rows, rows[1:], strict=False)) * pixels >= 14


# --- what the axes say -----------------------------------------------------------------------------------------------


def test_cost_is_usd_a_training_and_every_point_has_its_name(blocks):
    figure = cost(blocks[20])
    assert figure.layout["yaxis"]["title"]["text"] == "USD a training"
    (names,) = [trace for trace in figure.traces if trace["name"] == "names"]
    labels = {group.label for group in blocks[20].groups}
    assert len(names["text"]) == len(labels) == 10
    assert {name for name in names["text"] if not name.endswith("…")} <= labels


def test_names_of_points_lie_on_no_point_and_on_no_other_name():
    points = [(20.0, 300.0), (30.0, 250.0), (32.0, 240.0), (200.0, 20.0), (262.0, 22.0), (140.0, 150.0)]
    names = ["h200-vendor-cloud-eur…", "h100x8", "a100x8", "t4x4", "a10x1", "rtx4090x2"]
    found = sides(names, points, front=[0, 1, 3])
    boxes = [_boxes(x, y, 6.3 * len(name))[side] for name, (x, y), side in zip(names, points, found, strict=True)]
    assert all(map(_inside, boxes))
    assert not [1 for one, other in combinations(boxes, 2) if _meet(one, other)]
    dots = [(x - 9, y - 9, x + 9, y + 9) for x, y in points]
    assert not [1 for n, box in enumerate(boxes) for m, dot in enumerate(dots) if n != m and _meet(box, dot)]


def test_over_many_levels_every_rig_is_seen_however_slow(blocks):
    figure = profile(blocks[20])
    assert len(figure.traces) == 10
    assert all(trace["y"][-1] == 100 for trace in figure.traces)  # all levels, at the right end of the axis
    assert 10 ** figure.layout["xaxis"]["range"][1] == pytest.approx(figure.traces[0]["x"][-1]) and (
        figure.traces[0]["x"][-1] > 20
    )


@pytest.mark.parametrize("count", COUNTS)
def test_levels_are_named_beside_the_curves_and_apart_from_one_another(blocks, count):
    block = blocks[count]
    layout = errors_layout(block)
    labels = layout["annotations"]
    assert {(label["xref"], label["x"], label["xanchor"]) for label in labels} == {("paper", 1, "left")}
    for place in ("y", "y2"):
        axis = layout[place.replace("y", "yaxis")]
        low, high = axis["range"]
        pixels = (axis["domain"][1] - axis["domain"][0]) * (errors_height(block) - 60) / (high - low)
        ats = sorted(pixels * label["y"] + label["yshift"] for label in labels if label["yref"] == place)
        assert len(ats) == 3 and min(b - a for a, b in zip(ats, ats[1:], strict=False)) >= LABEL - 0.01


def test_times_are_in_hours_where_runs_take_more_than_two(blocks):
    assert blocks[4].unit.name == "minutes" and blocks[12].unit.name == "hours"
    for figure in figures_of(blocks[12]):
        said = json.dumps([figure.layout, [trace.get("hovertemplate", "") for trace in figure.traces]])
        assert "minutes" not in said and " min" not in said, figure.id
    level = blocks[12].groups[0].levels[0]
    means = [trace for trace in document.time_to_accuracy(blocks[12]).traces if "geometric mean" in trace["name"]]
    assert means[0]["y"][0] == pytest.approx(level.minutes / 60, rel=1e-5)


# --- tables, size, recipes -------------------------------------------------------------------------------------------


def test_a_long_table_says_how_many_rows_it_has_and_a_short_one_is_whole(pages):
    for caption, body in re.findall(r"<table><caption>(.*?)</caption>.*?<tbody>(.*?)</tbody>", pages[12], re.DOTALL):
        rows, hidden = body.count("<tr"), body.count('class="more"')
        assert hidden == max(0, rows - page.LONG)
        assert (f"({rows} rows: scroll)" in caption) == (hidden > 0)
    said = re.findall(r'<p class="cut dim">(\d+) more rows? of this table', pages[12])
    assert len(said) == pages[12].count('class="scroll  long"') + pages[12].count('class="scroll words long"') > 0
    assert ".long { max-height" in CSS and not re.search(r"\.scroll \{[^}]*max-height: \d", CSS)


@pytest.mark.parametrize("count", COUNTS)
def test_a_page_has_under_3_mb_and_the_same_runs_give_the_same_bytes_of_figures(pages, count):
    assert len(pages[count].encode()) < 3e6
    assert page.packed("figures") == page.packed("figures")


def test_what_runs_of_a_platform_share_stands_there_once(pages):
    section = pages[20][pages[20].index('<section id="provenance">') :]
    assert section.count("what all 2 share") == 3 * 10  # in a summary, and a title twice
    assert section.count("570.86.15") == 10


def test_what_software_bought_and_hardware_that_would_match_it(tmp_path):
    for rig in RIGS[:2]:
        for seed in (1, 2):
            make(tmp_path, rig, seed=seed)
            make(tmp_path, rig, seed=seed, recipe="modern", sooner=2.6)
    block = block_of(tmp_path)
    found = software(block)
    minutes = {group.label: group.levels[2].minutes for group in block.groups}
    ratio = minutes["4 x L40S workstation recipe=paper"] / minutes["4 x L40S workstation recipe=modern"]
    assert found.table.rows[1][:2] == ("4 x L40S workstation", "modern") and found.table.rows[1][4] == f"{ratio:.2f}"
    assert found.table.header[-1] == "which here does it as paper"
    assert "Software: on 4 x L40S workstation recipe modern takes" in found.sentences[2]
    rig = "4 x L40S workstation"
    said = f"would have to be {ratio:.3g} times as fast as {rig}, and cost no more than {rig}, 41,800 USD"
    assert said in found.sentences[3]
    assert "none here is so fast" in found.sentences[1]
    text = report([run.run for run in block.runs])
    assert '<p class="headline">Software: on 8 x H100 SXM recipe modern' in text and "what software bought" in text


def test_without_a_second_recipe_nothing_is_said_of_software(blocks):
    assert software(blocks[12]) is None


# --- in a browser ----------------------------------------------------------------------------------------------------

needs_browser = pytest.mark.skipif(program() is None, reason="there is no Chromium")


@pytest.fixture(scope="module")
def browser(pages, tmp_path_factory):
    pytest.importorskip("websocket", reason="websocket-client, of the extra dev, is not here")
    folder = tmp_path_factory.mktemp("browser")
    path = folder / "report.html"
    path.write_text(pages[12])
    with open_page(path, folder=folder) as opened:
        opened.path = path
        yield opened


@needs_browser
@pytest.mark.parametrize(("width", "is_open"), [(390, False), (1280, True)])
def test_switches_are_closed_on_a_phone(browser, width, is_open):
    browser.size(width)
    browser.open(browser.path)
    assert browser.evaluate("document.querySelector('details.switches').open") is is_open
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.problems() == []


@needs_browser
def test_on_paper_nothing_is_cut_and_tables_are_open(browser):
    browser.size(718)  # A4 less its margins, in pixels of 1/96 inch
    browser.call("Emulation.setEmulatedMedia", media="print")
    browser.open(browser.path)
    browser.evaluate("dispatchEvent(new Event('beforeprint'))")
    try:
        closed = "document.querySelectorAll('details:is(.data, .tables, .doubts):not([open])').length"
        assert browser.evaluate(closed) == browser.evaluate("document.querySelectorAll('.singles .data').length")
        wide = "[...document.querySelectorAll('table, .main-svg, p, ul')].filter(e => e.getClientRects().length)"
        assert browser.evaluate(f"Math.max(...{wide}.map(e => e.getBoundingClientRect().right))") <= 718
        assert browser.evaluate("Math.max(...[...document.querySelectorAll('.plot')].map(e => e.offsetHeight))") <= 805
        shown = "[...document.querySelectorAll('.more')].filter(e => e.getClientRects().length).length"
        assert browser.evaluate(shown) == 0
        assert browser.evaluate("[...document.querySelectorAll('.cut')].some(e => e.getClientRects().length)")
    finally:
        browser.evaluate("dispatchEvent(new Event('afterprint'))")
        browser.call("Emulation.setEmulatedMedia", media="")


@needs_browser
def test_a_browser_that_cannot_unpack_the_figures_says_so_and_keeps_the_tables(pages, tmp_path):
    path = tmp_path / "old.html"
    path.write_text(pages[1].replace("new DecompressionStream", "new NotInThisBrowser"))
    with open_page(path, folder=tmp_path) as opened:
        assert opened.evaluate("document.getElementById('undrawn').hidden") is False
        assert opened.evaluate("document.querySelectorAll('details.data table').length") > 5
