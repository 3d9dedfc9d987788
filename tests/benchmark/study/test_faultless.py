"""Runs that make no error at all: said by their name, and nothing is claimed to be gained there."""

import pytest
from studies import make_point

from benchmark.study.curves import Point, StudyError, fit, fitted_points
from benchmark.study.judgement import study_parts, worth_table
from benchmark.study.page import write_page
from benchmark.study.results import observations
from benchmark.tables import Table, plain

SIZES = (100, 200, 400, 800, 1600)
WORDS = [(0, 500), (0, 500)]  # of two utterances, all right: half an edit of 1,000 words is 0.05%


def study(folder, zero, *, seeds=(1, 2, 3), edits=WORDS):
    """WER 300 n^-0.35, but 0 for the (size, seed) in `zero`."""
    for size in SIZES:
        for seed in seeds:
            none = (size, seed) in zero
            error = 0.0 if none else 300 * size**-0.35 * (1 + 0.01 * (seed - 2))
            make_point(folder, size, seed, error, edits=edits if none else [(round(10 * error), 500), (0, 500)])
    return observations(folder)


def flat(found) -> str:
    return " ".join(plain(study_parts(found)).split())


def tables(found) -> list[Table]:
    return [part for part in study_parts(found) if isinstance(part, Table)]


def test_an_error_of_0_at_the_largest_size_is_said_and_nothing_is_gained_there(tmp_path):
    found = study(tmp_path, {(1600, seed) for seed in (1, 2, 3)})
    text = flat(found)
    assert "3 points were not fitted: of 1,600: no run made an error: nothing can be gained there" in text
    assert "over 90%" not in text and "did not read all" not in text
    assert "No run of 1,600 utterances made an error: on this test set nothing more can be gained" in text
    assert "twice the speech" not in text
    (gains,) = (table for table in tables(found) if "what twice the data gains" in table.title)
    assert gains.rows[-1][:3] == ("1,600", "no error is left", "0.00") and gains.rows[-2][0] == "800"
    (rules,) = (table for table in tables(found) if "three rules" in table.title)
    assert rules.rows[-1] == ("no run made an error at 1,600", "1,600", "NA", "of this test set")
    write_page(found, tmp_path / "study.html")


def test_one_seed_of_three_at_0_counts_as_half_an_edit(tmp_path):
    found = study(tmp_path, {(1600, 2)})
    text = flat(found)
    assert "of 1,600 utterances some runs made no error and others did" in text and "not fitted" not in text
    points = [Point(size=1600, error=0.0, seed=2, units=1000)]
    assert points[0].fitted == pytest.approx(100 * 0.5 / 1000) and points[0].is_fitted
    measured = tables(found)[0]
    assert "(0.00 to " in measured.rows[-1][3], "what is shown is what was measured"


def test_without_counts_a_size_with_a_seed_at_0_is_left_out_and_it_is_said_why(tmp_path):
    text = flat(study(tmp_path, {(1600, 2)}, edits=None))
    assert "3 points were not fitted: of 1,600: a run made no error, and how much half an edit is is not known" in text
    assert "What more would gain, from 800 utterances" in text, "what is claimed begins at what was fitted"


def test_several_sizes_at_0_make_no_asymptote(tmp_path):
    """300 n^-0.35 at 100 to 400, and 0 at 800 and 1,600: half an edit at both would look like a level."""
    text = flat(study(tmp_path, {(size, seed) for size in (800, 1600) for seed in (1, 2, 3)}))
    assert "of 800, 1,600: no run made an error" in text and "no asymptote is told from 0" in text
    assert "n^-0.35" in text


def test_where_no_run_made_an_error_there_is_no_curve_and_it_is_said_why(tmp_path):
    text = flat(study(tmp_path, {(size, seed) for size in SIZES for seed in (1, 2, 3)}))
    assert "target: no curve: 0 sizes with an error of at most 90%, and above 0" in text and "over 90%" not in text
    assert "no error was made at 100, 200, 400, 800, 1,600, where nothing can be gained" in text
    assert "test on more speech, or on harder speech" in text
    with pytest.raises(StudyError):
        fitted_points([Point(size=n, error=0.0, seed=1, units=10) for n in SIZES])


def test_a_faultless_size_between_others_is_left_out_alone():
    points = [Point(size=n, error=300 * n**-0.35, seed=1) for n in (*SIZES, 3200)]
    among = [Point(size=p.size, error=0.0, seed=1, units=9) if p.size == 400 else p for p in points]
    assert fit(among).at(400) == pytest.approx(300 * 400**-0.35)


def test_an_arm_without_an_error_is_worth_what_cannot_be_told(tmp_path):
    study(tmp_path, set())
    make_point(tmp_path, 800, 1, 0.0, arm="specaugment", edits=WORDS)
    (row,) = worth_table(observations(tmp_path), "wer").rows
    assert row[3:] == ("0.00", "NA", "NA", "NA", "no run made an error: what that is worth cannot be told")
