"""Which runs a study has, in which order, and the commands that make them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.study.grid import Grid, Stopping, in_order, usual_sizes


def test_the_largest_comes_first_then_the_smallest_then_the_middle():
    assert list(in_order([1, 2, 3, 4, 5, 6, 7])) == [7, 1, 4, 2, 5, 3, 6]
    assert list(in_order([5])) == [5] and list(in_order([])) == []


@given(st.sets(st.integers(1, 1000), min_size=1, max_size=20))
def test_every_size_comes_once(sizes):
    assert sorted(in_order(sorted(sizes))) == sorted(sizes)


def test_sizes_are_the_studys_where_there_is_enough_and_else_eight_by_factors():
    assert usual_sizes(281_241) == tuple(range(5000, 50_001, 5000))
    assert usual_sizes(2200) == (68, 112, 184, 302, 496, 815, 1339, 2200)
    assert len(usual_sizes(20)) <= 8 and usual_sizes(20)[-1] == 20


@pytest.mark.parametrize("available", range(1, 40))
def test_default_sizes_never_exceed_what_there_is(available):
    assert usual_sizes(available)[0] >= 1 and usual_sizes(available)[-1] == available
    assert len(usual_sizes(available)) >= min(3, available - 1), "half of it to all of it"


def grid(**changes) -> Grid:
    usual = {"protocol": "target", "sizes": (100, 200, 400), "seeds": (1, 2), "available": 400, "batch": 16}
    return Grid(**{**usual, **changes})


def test_seeds_come_one_after_another():
    assert [(p.samples, p.seed) for p in grid().points] == [(400, 1), (100, 1), (200, 1), (400, 2), (100, 2), (200, 2)]


@pytest.mark.parametrize("parts", [1, 2, 3, 6])
def test_parts_make_every_point_once(parts):
    made = [point.name for number in range(1, parts + 1) for point in grid().part(number, parts)]
    assert sorted(made) == sorted(point.name for point in grid().points)


def test_the_command_of_a_point_says_its_part_its_end_and_its_name():
    largest, smallest, _ = grid().points[:3]
    shared = ["--workload", "mini"]
    assert smallest.training(shared, Path("out")) == [
        "--workload", "mini", "--samples", "100", "--subset-seed", "1", "--max-epochs", "358", "--patience", "18",
        "--name", "target-100-seed1", "--seed", "1", "--results", "out", "--no-targets",
    ]  # fmt: skip
    assert "--samples" not in largest.training(shared, Path("out"))  # the whole set is an ordinary run
    assert smallest.final(Path("out"))[:4] == ["out/target-100-seed1", "--checkpoints", "best", "--decoder"]


def test_the_protocol_of_the_whisper_study_has_its_epochs():
    point = grid(protocol="steps", batch=8, stopping=Stopping(max_steps=100)).points[0]
    assert point.epochs == 100 * 8 / 400 == 2 and "--max-steps" in point.training([], Path("out"))
    assert point.final(Path("out"))[2] == "last"


def test_an_arm_is_in_the_names_of_its_points_and_in_none_of_their_ends():
    plain, arm = grid().points[0], grid(arm="noise-0.1").points[0]
    assert (plain.name, arm.name) == ("target-400-seed1", "target-400-seed1+noise-0.1")
    assert plain.stopping == arm.stopping and plain.samples == arm.samples


def test_the_patience_of_a_small_size_has_as_many_batches_as_that_of_the_largest():
    """400, 200 and 100 utterances in batches of 16 are 25, 13 and 7: 5 epochs of 25 are 10 of 13 and 18 of 7."""
    patience = {point.samples: point.patience for point in grid().points}
    assert patience == {400: 5, 200: 10, 100: 18}
    (smallest,) = (point for point in grid(seeds=(1,)).points if point.samples == 100)
    assert smallest.epochs == 100 * 25 / 7, "the limit of epochs is stretched alike"
    arguments = smallest.training((), Path("results"))
    assert arguments[arguments.index("--max-epochs") + 1] == "358"
    assert arguments[arguments.index("--patience") + 1] == "18"
    assert smallest.most_steps == 358 * 7
    assert grid(protocol="epochs").points[0].most_steps == 12 * 25
    steps = grid(protocol="steps", sizes=(4000,), available=9000, batch=8).points[0]
    assert steps.most_steps == 3000, "6 epochs of 500 batches"


def test_parts_of_whole_speakers_and_tests_on_another_corpus_are_in_the_commands():
    (largest, point) = Grid(
        protocol="target", sizes=(50, 100), seeds=(1,), available=100, batch=16, select="speakers", tested_on="f"
    ).points
    assert "--select" not in largest.training([], Path("out")), "the whole set has all speakers"
    words = " ".join(point.training([], Path("out")))
    assert "--samples 50 --subset-seed 1 --select speakers" in words
    final = " ".join(point.final(Path("out")))
    assert "--features f" in final and "--train-sample" not in final
    (plain,) = Grid(protocol="target", sizes=(50,), seeds=(1,), available=100, batch=16, select="speakers").points
    assert "--train-sample 50 --train-seed 1 --train-select speakers" in " ".join(plain.final(Path("out")))
