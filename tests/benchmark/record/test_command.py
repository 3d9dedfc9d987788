import shlex

import pytest

from benchmark.record.command import BY_MAKE, CommandLine

GIVEN = ("--platform", "cpu", "--workload", "speech", "--corpus", "/data/my speech", "--seed=3", "--fresh",
         "--max-epochs", "4", "--synthetic")  # fmt: skip


def test_it_is_said_as_python_takes_it():
    assert str(CommandLine(GIVEN)) == "python -m benchmark " + shlex.join(GIVEN)


def test_it_is_said_as_make_takes_it():
    said = str(CommandLine(GIVEN, make=True).changed(drop=("fresh",)))
    assert said == "make bench WORKLOAD=speech CORPUS='/data/my speech' SEED=3 ARGS='--max-epochs 4 --synthetic'"
    assert str(CommandLine(("--platform", "sys1"), make=True)) == "make bench PLATFORM=sys1"
    assert str(CommandLine((), make=True)) == "make bench"


@pytest.mark.parametrize("make", [False, True])
def test_options_are_replaced_and_dropped(make):
    line = CommandLine(("--seed", "3", "--name", "twin", "--skip-bad", "--batch", "8"), make=make)
    found = line.changed(seed=4, drop=("name", "fresh"))
    assert found == CommandLine(("--skip-bad", "--batch", "8", "--seed", "4"), make=make)


def test_who_typed_make_is_known_by_its_variable(monkeypatch):
    monkeypatch.delenv(BY_MAKE, raising=False)
    assert not CommandLine.given(["--seed", "1"]).make
    monkeypatch.setenv(BY_MAKE, "1")
    assert CommandLine.given(["--seed", "1"]) == CommandLine(("--seed", "1"), make=True)


def test_an_option_without_a_value_is_told_from_one_with_a_negative_number():
    line = CommandLine(("--no-targets", "--audio-noise", "-5", "--stream", "--seed", "3"))
    assert line.changed(drop=("seed",)).arguments == ("--no-targets", "--audio-noise", "-5", "--stream")
    assert line.changed(drop=("audio-noise", "no-targets")).arguments == ("--stream", "--seed", "3")
