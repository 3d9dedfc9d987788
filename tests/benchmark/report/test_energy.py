"""The figure of energy to accuracy: a point a run, the mean with its interval, and why there is none."""

import json
from dataclasses import replace

import pytest
from journals import make_run, write

import platforms
from benchmark.judge import Question, judge
from benchmark.record import read_run
from benchmark.report import document as report
from benchmark.report.energy import energy
from benchmark.report.figures import Block

WER = Question(metrics=("wer",), levels=(40.0, 20.0), window=1)


def run_of(tmp_path, name, *, watts, **about):
    """A run of 470 s to WER 20, with a sample of one GPU every second; without watts none."""
    wers = [60.0, 40.0 - about.get("seed", 1) / 100, 30.0, 19.0]
    path = write(tmp_path / f"{name}.csv", make_run(wers, run=name, replicas=1, devices="Tesla V100", **about))
    (tmp_path / name).mkdir()
    facts = {"schema": 3, "platform": platforms.load("cpu").to_dict(), "plan": {"targets": {"wer": [40, 20]}}}
    (tmp_path / name / "run.json").write_text(json.dumps(facts))
    (tmp_path / name / "end.json").write_text('{"status": "finished"}')
    if watts:
        rows = ["seconds,gpu0_util_percent,gpu0_power_w", *(f"{second},90,{watts}" for second in range(471))]
        (tmp_path / name / "utilisation.csv").write_text("\n".join(rows) + "\n")
    return read_run(path)


def block_of(*runs) -> Block:
    judgement = judge(runs, WER)
    (key,) = report.block_keys(judgement)
    return report.styled([report._block(0, judgement, key, judgement.question)])[0]


def test_each_run_is_a_point_and_several_have_their_mean_with_its_interval(tmp_path):
    runs = [run_of(tmp_path, f"a{n}", watts=watts, platform="a", seed=n) for n, watts in ((1, 100), (2, 400))]
    runs.append(run_of(tmp_path, "b1", watts=None, platform="b"))
    figure = energy(block_of(*runs))
    points = [(made["x"][0], made["y"][0]) for made in figure.traces]
    minutes = pytest.approx(470 / 60, abs=0.01)
    wh = [100 * 470 / 3600, 400 * 470 / 3600, 200 * 470 / 3600]  # two runs, and their geometric mean
    assert points == [(minutes, pytest.approx(each, abs=0.01)) for each in wh]
    assert figure.traces[2]["error_y"]["array"][0] > 0
    assert "WER 20" in figure.caption and "no MLPerf power" in figure.caption
    assert any("b" in note and "no power was measured" in note for note in figure.notes)
    assert len(figure.table.rows) == 4  # two rigs, two levels


def test_without_energy_the_figure_says_why(tmp_path):
    figure = energy(block_of(run_of(tmp_path, "b1", watts=None)))
    assert figure.traces == () and "No run's GPU board energy" in figure.caption
    emulated = replace(block_of(run_of(tmp_path, "c1", watts=100)), emulated=True)
    assert "Emulated" in energy(emulated).caption


def test_the_page_has_the_figure(tmp_path):
    assert "GPU board energy against time" in report.report([run_of(tmp_path, "a1", watts=100)], WER)
