"""GPU board energy until a level was reached: worked out by hand."""

import json
from dataclasses import replace

import pytest
from journals import make_run, write

import platforms
from benchmark import price
from benchmark.judge import Question, judge
from benchmark.judge.cost import rig_costs
from benchmark.judge.energy import energies_to, energy_parts
from benchmark.judge.terms import Terms
from benchmark.record import read_run
from benchmark.record import run as of_runs
from benchmark.record.usage import read_usage
from benchmark.tables import plain
from platforms import Power

WER = Question(metrics=("wer",), levels=(40.0, 20.0), window=1)
FALLING = [60.0, 40.0, 30.0, 20.0]  # epoch i ends at 30 + 110 i seconds: WER 40 after 250 s, WER 20 after 470 s


def run_of(tmp_path, name="r1", *, watts=lambda s: 300.0, counter_w=None, wers=FALLING, until_s=470, pue=None, **about):
    """A journal, its run.json, and samples of one GPU, a second apart."""
    path = write(tmp_path / f"{name}.csv", make_run(wers, run=name, replicas=1, devices="GeForce RTX 2070", **about))
    platform = replace(platforms.load("sys1"), name="sys1", power=None if pue is None else Power(pue=pue))
    facts = {"schema": 3, "platform": platform.to_dict(), "plan": {"targets": {"wer": [40, 20]}}}
    (tmp_path / name).mkdir()
    (tmp_path / name / "run.json").write_text(json.dumps(facts))
    (tmp_path / name / "end.json").write_text('{"status": "finished"}')
    rows, joules = ["seconds,gpu0_util_percent,gpu0_power_w,gpu0_energy_j"], 5000.0
    for second in range(until_s + 1):
        rows.append(f"{second},90,{watts(second)},{'' if counter_w is None else joules + counter_w * second}")
    (tmp_path / name / "utilisation.csv").write_text("\n".join(rows) + "\n")
    return read_run(path)


def test_energy_is_counted_until_the_level_and_not_to_the_end_of_the_run(tmp_path):
    easy, hard = energies_to(judge([run_of(tmp_path, watts=lambda s: 100.0 if s <= 250 else 400.0)], WER))
    assert easy.wh.value == pytest.approx(100 * 250 / 3600)
    # 100 W for 250 s, a second half-way (the trapezoid), and 400 W for 219 s
    assert hard.wh.value == pytest.approx((100 * 250 + 250 + 400 * 219) / 3600)
    assert (easy.wh.low, easy.watts, easy.reason) == (None, pytest.approx(100), "")


def test_several_runs_have_their_geometric_mean_and_its_interval(tmp_path):
    runs = [
        run_of(tmp_path, f"r{n}", watts=lambda s, n=n: 100.0 * n, seed=n, wers=[x + n / 100 for x in FALLING])
        for n in (1, 4)
    ]
    question = replace(WER, levels=(20.05,))
    (found,) = energies_to(judge(runs, question))
    assert found.wh.value == pytest.approx(200 * 470 / 3600)  # of 100 W and 400 W
    assert found.wh.low < found.wh.value < found.wh.high
    assert found.of_runs == (pytest.approx(100 * 470 / 3600), pytest.approx(400 * 470 / 3600))


def test_a_run_without_enough_samples_has_no_energy_and_says_why(tmp_path):
    easy, hard = energies_to(judge([run_of(tmp_path, until_s=240)], WER))
    assert easy.wh.value == pytest.approx(300 * 250 / 3600)  # 240 of 250 s are known
    assert hard.wh is None and hard.reason == "the last sample is at 240.0 s: power is known for 51% of the run"


def test_a_counter_that_power_contradicts_gives_no_energy(tmp_path):
    _, hard = energies_to(judge([run_of(tmp_path, counter_w=171.5)], WER))
    assert hard.wh is None and "gpu0's energy counter says" in hard.reason and "a ratio of 0.57" in hard.reason
    (tmp_path / "sound").mkdir()
    _, sound = energies_to(judge([run_of(tmp_path / "sound", counter_w=306.0)], WER))
    assert (sound.ratio, sound.watts) == (pytest.approx(1.02), pytest.approx(306))


def test_a_level_that_only_some_runs_reached_has_no_mean(tmp_path):
    runs = [run_of(tmp_path), run_of(tmp_path, "r2", seed=2, wers=[60, 40, 30, 25])]
    easy, hard = energies_to(judge(runs, WER))
    assert easy.wh is not None and hard.wh is None
    assert hard.reason == "1 of 2 runs reached WER 20: a mean of these alone would flatter"
    assert hard.of_runs == (pytest.approx(300 * 470 / 3600), None)
    missed = energies_to(judge([run_of(tmp_path, "r3", seed=3)], replace(WER, levels=(5.0,))))
    assert missed[0].reason == "WER 5 was not reached"


def test_pue_is_told_beside_board_energy_and_paid_for(tmp_path):
    judged = judge([run_of(tmp_path, pue=1.5)], WER)
    _, hard = energies_to(judged)
    assert hard.facility_wh.value == pytest.approx(1.5 * hard.wh.value)
    without, with_energy = (rig_costs(judged, Terms(kwh_price=kwh))[0] for kwh in (0.0, 1.0))
    assert with_energy.owned - without.owned == pytest.approx(0.3 * 1.5 * 470 / 3600)  # 300 W, times the PUE, at 1
    assert any("times the PUE of the place, 1.5" in note for note in with_energy.notes)
    assert with_energy.energy_kwh == pytest.approx(0.3 * 470 / 3600)  # of the boards


def test_the_table_says_what_it_is_and_price_shows_it(tmp_path, capsys):
    run = run_of(tmp_path)
    shown = "\n".join(each if isinstance(each, str) else plain([each]) for each in energy_parts(judge([run], WER)))
    assert "GPU board energy to a level" in shown and "no MLPerf power" in shown and "39.2" in shown  # 300 * 470 / 3600
    assert price.main([run.source, "--level", "20", "--epochs", "1", "--metric", "wer", "--energy"]) == 0
    assert "GPU board energy" in capsys.readouterr().out
    assert price.main([run.source, "--level", "20", "--epochs", "1", "--metric", "wer"]) == 0
    assert "GPU board energy" not in capsys.readouterr().out


def test_emulated_runs_have_no_energy(tmp_path):
    assert energies_to(judge([run_of(tmp_path, emulated=True)], WER)) == []


def test_processors_and_idle_gpus_stand_apart(tmp_path):
    run = run_of(tmp_path)
    usage = tmp_path / "r1" / "utilisation.csv"
    header, *rows = usage.read_text().splitlines()
    before = [f"{-1 + n / 10:.1f},0,55,,0" for n in range(10)]  # a second before model creation
    packages = [f"{row},{80 * n}" for n, row in enumerate(rows)]  # 80 W
    usage.write_text("\n".join([f"{header},package0_energy_j", *before, *packages]) + "\n")
    _, hard = energies_to(judge([read_run(run.source)], WER))
    assert (hard.idle_w, hard.packages_wh.value) == (pytest.approx(55), pytest.approx(80 * 470 / 3600))
    assert hard.wh.value == pytest.approx(300 * 470 / 3600)  # nothing is subtracted, nor added


def test_samples_are_read_once_a_run_however_many_levels_it_reached(tmp_path, monkeypatch):
    """A run of days has millions of them."""
    runs, read = [run_of(tmp_path)], []
    monkeypatch.setattr(
        of_runs, "read_usage", lambda *given, **more: (read.append(given), read_usage(*given, **more))[1]
    )
    assert len(energies_to(judge(runs, WER))) > 1 and len(read) == 1


def test_without_rapl_and_idle_samples_there_are_reasons_and_no_zeros(tmp_path):
    run = run_of(tmp_path)
    _, hard = energies_to(judge([run], WER))
    assert hard.packages_wh is None and hard.packages_reason.startswith("the machine showed no RAPL package")
    assert (hard.idle_w, run.powers_until([]).idle.note) == (None, "0 samples before model creation; expected 5")


def test_a_meter_tells_of_the_whole_machine_beside_its_boards(tmp_path, capsys):
    run = run_of(tmp_path)
    facts = json.loads((tmp_path / "r1" / "run.json").read_text())
    (tmp_path / "r1" / "run.json").write_text(json.dumps(facts | {"created": "2026-03-01T12:00:00+00:00"}))
    plug = tmp_path / "plug.csv"
    plug.write_text("\n".join(["time,watts", *(f"{1772366400 + s},450" for s in range(-60, 600, 5))]))
    given = [run.source, "--level", "20", "--epochs", "1", "--metric", "wer", "--meter"]
    assert price.main([*given, str(plug)]) == 0
    assert "metered Wh" in (shown := capsys.readouterr().out) and "58.7" in shown  # 450 * 470 / 3600
    assert price.main([*given, str(plug), "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["gpu_board_wh"], row["metered_wh"]) == (
        pytest.approx(300 * 470 / 3600),
        pytest.approx(450 * 470 / 3600),
    )
    assert price.main([*given, f"sys9={plug}"]) == 2
    assert "a meter of 'sys9', which has no runs here; there are sys1" in capsys.readouterr().err
    assert price.main([*given, f"sys1={plug}", "--meter", str(plug)]) == 2
    assert "a second log of sys1" in capsys.readouterr().err


def test_a_sensor_that_says_0_w_is_not_known_and_not_free(tmp_path):
    (easy, hard) = energies_to(judge([run_of(tmp_path, watts=lambda s: 0.0)], WER))
    assert easy.wh is None and hard.wh is None and "the sensors say 0 W" in hard.reason
