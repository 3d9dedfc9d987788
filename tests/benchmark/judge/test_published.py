"""The paper's tables in the project are those that were published."""

import csv
from pathlib import Path

import pytest

from benchmark.judge.published import final_error_rates, time_to_accuracy

REFERENCE = Path(__file__).parents[4] / "shared" / "reference" / "paper_final_wer.csv"
SUBSETS = {
    "clean_validation": "dev-clean",
    "clean_test": "test-clean",
    "other_validation": "dev-other",
    "other_test": "test-other",
}


def test_the_final_error_rates_are_the_papers_table_4():
    if not REFERENCE.is_file():
        pytest.skip("the reference is not here")
    with REFERENCE.open(newline="") as file:
        rows = list(csv.reader(file))
    subsets, published = final_error_rates()
    assert subsets == [SUBSETS[name] for name in rows[0][1:]]
    assert published == [(row[0], dict(zip(subsets, row[1:], strict=True))) for row in rows[1:]]


def test_table_3_has_three_rigs_and_six_levels_easy_ones_first():
    published = time_to_accuracy()
    assert published.rigs == ("Sys1$", "Sys2$", "Sys10$")
    assert set(published.columns) == {
        ("cer", 10.0),
        ("cer", 8.0),
        ("cer", 7.0),
        ("wer", 22.0),
        ("wer", 20.2),
        ("wer", 19.2),
    }
    assert published.minutes["Sys1$", "cer", 10.0] == 820
    assert len(published.minutes) == 3 * 6
