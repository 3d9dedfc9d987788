"""The page of a study: what stands on it, and whether a browser draws it."""

import re

import pytest
from chromium import open_page, program
from studies import make_point, study

from benchmark.saturation import main
from benchmark.study.curves import StudyError
from benchmark.study.page import write_page
from benchmark.study.results import observations


def test_the_page_has_the_answer_first_the_formula_below_and_a_section_for_every_arm(tmp_path):
    study(tmp_path)
    make_point(tmp_path, 800, 1, 45.0, arm="noise-<b>0.1")
    write_page(observations(tmp_path), tmp_path / "study.html", published=True)
    text = (tmp_path / "study.html").read_text()
    headline = re.search('<p class="headline">(.*?)</p>', text)[1]
    # 300 n^-0.35 is 22.7 at 1,600 utterances, which are 1.6 hours here, and 17.8 at 3,200
    assert headline == (
        "Not enough: twice the data (1.6 h more) takes WER 22.7 to 17.8; no rule is reached up to 1,600 utterances."
    )
    assert text.index("Not enough: ") < text.index("test WER = 300") < text.index("percent of n utterances")
    assert "<h2>target</h2>" in text and "target + noise-&lt;b&gt;0.1</h2>" in text and "noise-<b>" not in text
    assert "worth clean utterances" in text and "The Whisper-Tiny study of 2025" in text
    assert "What was understood" not in text and "Provenance" not in text, "those are of a report of runs"
    assert "Learning curve: None: " in text, "one point makes no curve, and it is said"


def test_a_study_without_points_has_no_page(tmp_path):
    with pytest.raises(StudyError, match="no finished point"):
        write_page([], tmp_path / "study.html")
    assert main(["--show", "-o", str(tmp_path)]) == 0 and not (tmp_path / "study.html").exists()


@pytest.mark.skipif(program() is None, reason="there is no Chromium")
def test_a_browser_draws_every_figure_and_asks_for_nothing(tmp_path):
    study(tmp_path / "study")
    write_page(observations(tmp_path / "study"), tmp_path / "study.html")
    with open_page(tmp_path / "study.html", folder=tmp_path) as page:
        assert int(page.evaluate("document.documentElement.dataset.drawn")) == 7
        drawn = page.evaluate(
            "[...document.querySelectorAll('.plot')].map(p => p.querySelectorAll('.main-svg').length)"
        )
        assert all(drawn) and page.problems() == []
        assert page.evaluate("document.querySelectorAll('.plot .heatmaplayer image').length") == 1
