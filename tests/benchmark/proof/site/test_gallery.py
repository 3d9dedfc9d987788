"""The gallery: what is refused, what stands on its pages, and that they work in a browser without a network."""

import json
import re
from pathlib import Path

import pytest
from chromium import open_page, program
from journals import make_run
from mllogs import a_log
from sealed import bundle, run_files

from benchmark.gallery import main
from benchmark.ingest.__main__ import main as ingest
from benchmark.judge.terms import Terms
from benchmark.proof.site import tables
from benchmark.proof.verify import Ask, verify
from benchmark.record import Run
from benchmark.verify import main as verified

RIGS = {"cpu": ("", 4.0), "sys1": ("NVIDIA GeForce RTX 2080 Ti", 1.1), "sys10": ("NVIDIA Tesla V100", 0.7)}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory) -> Path:
    """Sealed runs of three rigs, two seeds each."""
    folder = tmp_path_factory.mktemp("bundles")
    for platform, (gpu, train_s) in RIGS.items():
        for seed in (1, 2):
            how = {"platform": platform, "gpu": gpu, "seed": seed, "train_s": train_s * (1 + 0.07 * seed)}
            bundle(folder / f"{platform}-{seed}.tta.zip", run_files(folder / f"{platform}{seed}", **how))
    return folder


@pytest.fixture(scope="module")
def theirs(tmp_path_factory) -> Path:
    """A run of MLPerf's, taken in from its log."""
    folder = tmp_path_factory.mktemp("theirs")
    (folder / "result_0.txt").write_text(a_log([0.9, 0.3, 0.05]))
    assert ingest([str(folder / "result_0.txt"), "-o", str(folder / "runs")]) == 0
    return next((folder / "runs").glob("*.csv"))


@pytest.fixture(scope="module")
def site(bundles, theirs, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("site") / "site"
    assert main([str(bundles), "-o", str(out), "--ingested", str(theirs), "--offer", "cpu=0.50/h"]) == 0
    return out


def test_there_is_a_page_for_each_workload_rig_and_result(site):
    assert {path.name for path in (site / "rig").iterdir()} == {f"{rig}.html" for rig in RIGS}
    assert [path.name for path in (site / "workload").iterdir()] == ["mini.html"]
    assert len(list((site / "result").iterdir())) == len(list((site / "bundles").iterdir())) == 6


def test_every_link_leads_to_a_file_and_nothing_is_asked_of_a_network(site):
    for page in site.rglob("*.html"):
        text = page.read_text()
        if page.parent.name == "report":
            continue
        assert "default-src 'none'" in text
        for target in re.findall(r'(?:href|src)="([^"]+)"', text):
            assert target == "data:," or (page.parent / target).is_file(), f"{page.name}: {target}"


def test_a_result_says_what_was_checked_and_how_to_check_it_and_its_bundle_is_there(site):
    page = next((site / "result").glob("*.html"))
    text = page.read_text()
    (place,) = re.findall(r'href="(\.\./bundles/[^"]+)"', text)
    assert f"python -m benchmark.verify {Path(place).name}" in text
    assert verify(page.parent / place, Ask()).status == 0
    assert "error rates of 3 evaluations, counted again from all sentences" in text
    assert "not checked: who sealed it: it is not signed" in text


def test_numbers_are_those_of_the_judge(site):
    text = (site / "rig" / "cpu.html").read_text()
    # 3 + 3 x (4.28 + 0.1 + 0.7) s, a ms between the 10 rows: WER 30 at 18.249 s for seed 1, 0.30 min and 0.5 / h
    assert ">0.30</a>" in text and "0.0025 USD" in text


def test_what_others_logs_say_stands_in_a_table_of_its_own(site):
    text = (site / "index.html").read_text()
    before, _, after = text.partition("Ingested, not verified")
    assert "1xBox" in after and "1xBox" not in before and "<h3>MLPerf Training</h3>" in after


def test_one_bundle_that_does_not_verify_stops_all_and_nothing_is_written(bundles, tmp_path, capsys):
    files = run_files(tmp_path / "run")
    files["run/end.json"] = b"{}"
    bad = bundle(tmp_path / "bad.tta.zip", files)
    assert main([str(bundles), str(bad), "-o", str(tmp_path / "site")]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "refused: " in said and "bad.tta.zip: REFUTED at bytes" in said
    assert main([str(bundles), str(bad), "--check"]) == 1 and not (tmp_path / "site").exists()
    assert main([str(bundles), "--check"]) == 0 and not (tmp_path / "site").exists()


def test_the_same_run_twice_is_refused(bundles, tmp_path, capsys):
    one = next(bundles.glob("*.tta.zip"))
    (tmp_path / "again.tta.zip").write_bytes(one.read_bytes())
    assert main([str(one), str(tmp_path / "again.tta.zip"), "--check"]) == 1
    assert "the same run as" in capsys.readouterr().err


def test_a_gallery_replaces_a_gallery_and_no_other_folder(bundles, tmp_path, capsys):
    one = str(next(bundles.glob("*.tta.zip")))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years")
    assert main([one, "-o", str(tmp_path / "mine"), "--no-reports"]) == 2
    assert "is there already, and no gallery" in capsys.readouterr().err
    for _ in range(2):
        assert main([one, "-o", str(tmp_path / "site"), "--no-reports"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "site"]


def test_a_verdict_raises_the_level_of_its_own_bundle_alone(bundles, tmp_path, capsys):
    one, other = sorted(bundles.glob("*.tta.zip"))[:2]
    assert verified([str(one), "--format", "json"]) == 0
    verdict = json.loads(capsys.readouterr().out)
    verdict[0]["level"] = "replay"  # as with the corpus
    (tmp_path / "verdicts.json").write_text(json.dumps(verdict))
    out = tmp_path / "site"
    assert (
        main([str(one), str(other), "-o", str(out), "--no-reports", "--verdicts", str(tmp_path / "verdicts.json")]) == 0
    )
    text = (out / "index.html").read_text()
    assert text.count('<span class="level replay" title') == 1 and text.count('<span class="level figures" title') == 1
    verdict[0]["rules"] = 0
    (tmp_path / "verdicts.json").write_text(json.dumps(verdict))
    assert main([str(one), "-o", str(out), "--no-reports", "--verdicts", str(tmp_path / "verdicts.json")]) == 0
    assert '<span class="level replay" title' not in (out / "index.html").read_text()


def test_what_a_bundle_says_is_text_and_no_markup(tmp_path):
    files = run_files(tmp_path / "run")
    facts = json.loads(files["run/run.json"])
    facts["platform"] |= {"label": "<script>alert(1)</script>", "description": '"><img src=x onerror=alert(1)>'}
    facts["host"]["cpu"] = "<b>fast</b>"
    files["run/run.json"] = json.dumps(facts).encode()
    path = bundle(tmp_path / "a.tta.zip", files)
    assert main([str(path), "-o", str(tmp_path / "site"), "--no-reports"]) == 0
    for page in (tmp_path / "site").rglob("*.html"):
        assert not re.search("<script>alert|<img src=x|<b>fast", page.read_text()), page


def test_an_emulated_run_has_a_page_of_its_own_and_is_ranked_with_nothing(bundles, tmp_path):
    files = run_files(tmp_path / "run", platform="sys1", gpu="CPU")
    facts = json.loads(files["run/run.json"])
    facts["devices"]["emulated"] = True
    files["run/run.json"] = json.dumps(facts).encode()
    files["journal.csv"] = files["journal.csv"].replace(b",no,96,", b",yes,96,")
    path = bundle(tmp_path / "a.tta.zip", files)
    assert main([str(path), str(next(bundles.glob("cpu-1*"))), "-o", str(tmp_path / "site"), "--no-reports"]) == 0
    assert {each.name for each in (tmp_path / "site" / "workload").iterdir()} == {"mini.html", "mini--emulated.html"}
    assert "sys1" not in (tmp_path / "site" / "workload" / "mini.html").read_text()
    (result,) = (each for each in (tmp_path / "site" / "result").iterdir() if "Emulated:" in each.read_text())
    assert "its times say nothing of it" in result.read_text()


def test_unlike_trainings_are_never_pooled_and_answered_apart():
    """Two recipes on one rig: each has its one run, and the answer names them."""
    runs = [Run(make_run([90, 60, 30, 30, 30], run=recipe, recipe=recipe)) for recipe in ("paper", "modern")]
    groups = tables._groups(runs)
    assert sorted((group.runs[0].identity.recipe, group.n) for group in groups) == [("modern", 1), ("paper", 1)]
    said = tables._answer(groups, Terms())
    assert [each.split(":")[0] for each in said if each.startswith("Recipe")] == ["Recipe modern", "Recipe paper"]
    assert not any("Not ranked" in each for each in said)


def test_machines_of_one_name_are_rigs_of_their_own(bundles, tmp_path):
    files = run_files(tmp_path / "run", platform="cpu", seed=3)
    facts = json.loads(files["run/run.json"])
    facts["host"]["cpu"] = "Another Processor"
    files["run/run.json"] = json.dumps(facts).encode()
    paths = [bundle(tmp_path / "a.tta.zip", files), bundles / "cpu-1.tta.zip", bundles / "cpu-2.tta.zip"]
    assert main([*map(str, paths), "-o", str(tmp_path / "site"), "--no-reports"]) == 0
    text = (tmp_path / "site" / "workload" / "mini.html").read_text()
    table = text[text.index("<h2>Rigs</h2>") : text.index("<h2>Results</h2>")]
    rows = re.findall(r"<small>(.*?)</small></th><td>paper</td><td class=\"number\">(\d)</td>", table)
    assert sorted(count for _, count in rows) == ["1", "2"]
    assert sum("Another Processor" in hardware for hardware, _ in rows) == 1


@pytest.mark.slow
@pytest.mark.skipif(program() is None, reason="no Chromium is here")
def test_the_pages_fit_every_width_in_light_and_dark_and_filters_work(site, tmp_path):
    pages = [site / "index.html", *(next((site / kind).glob("*.html")) for kind in ("workload", "rig", "result"))]
    with open_page(pages[0], folder=tmp_path) as page:
        for path in pages:
            page.open(path)
            for scheme in ("light", "dark"):
                page.scheme(scheme)
                for width in (390, 1440):
                    page.size(width)
                    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                    assert wide == 0, (path.name, scheme, width)
                    page.screenshot(tmp_path / f"{path.stem}-{width}-{scheme}.png")
        page.open(pages[0])
        shown = "[...document.querySelectorAll('.results tbody tr')].filter(row => !row.hidden).length"
        assert page.evaluate(shown) == 6
        for field, text, count in (("text", "v100", 2), ("text", "", 6), ("cost", "0.004", 2), ("level", "3", 0)):
            page.evaluate(
                f"(() => {{ const form = document.querySelector('.filters'); form.cost.value = ''; "
                f"form.{field}.value = '{text}'; form.dispatchEvent(new Event('input')); }})()"
            )
            assert page.evaluate(shown) == count, field
        assert page.problems() == []


def test_bundles_that_are_linked_to_keep_their_files_and_have_a_link_each(bundles, tmp_path, capsys):
    out, elsewhere = tmp_path / "site", ["--no-reports", "--bundles-at", "https://x.org/b"]
    first, second = sorted(bundles.glob("*.tta.zip"))[:2]
    assert main([str(first), "-o", str(out), "--no-reports"]) == 0
    (copied,) = (out / "bundles").iterdir()
    assert main([str(out / "bundles"), "-o", str(out), *elsewhere]) == 2 and copied.is_file()
    assert "which is made anew; move it, or leave --bundles-at out" in capsys.readouterr().err
    for name, each in (("a", first), ("b", second)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "my run#1.tta.zip").write_bytes(each.read_bytes())
    assert main([str(tmp_path / "a"), str(tmp_path / "b"), "-o", str(tmp_path / "two"), *elsewhere]) == 2
    assert "one name, and so one link under --bundles-at" in capsys.readouterr().err
    assert main([str(tmp_path / "a"), "-o", str(tmp_path / "one"), *elsewhere]) == 0
    page = next((tmp_path / "one" / "result").glob("*.html")).read_text()
    assert 'href="https://x.org/b/my%20run%231.tta.zip"' in page


def test_a_run_that_was_sealed_twice_is_refused_by_the_check_too(tmp_path, capsys):
    files = run_files(tmp_path / "r", platform="cpu")
    bundle(tmp_path / "one.tta.zip", files)
    bundle(tmp_path / "two.tta.zip", {name: text for name, text in files.items() if name != "utilisation.csv"})
    assert main([str(tmp_path / "one.tta.zip"), str(tmp_path / "two.tta.zip"), "--check"]) == 1
    said = capsys.readouterr().err
    assert "two.tta.zip: the same run as " in said and "one.tta.zip" in said and "/verify-" not in said
