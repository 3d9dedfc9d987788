"""Price times time, worked by hand and against the paper's tables."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from journals import make_run, write

import platforms
from benchmark import price
from benchmark.judge import Question, judge
from benchmark.judge.cost import power_of, rig_costs, training_cost
from benchmark.judge.offered import check_offers
from benchmark.judge.terms import PriceError, Terms
from benchmark.record import read_run
from benchmark.record.energy import COUNTERS, NO_POWER, POWER
from benchmark.record.history import RunRecord
from benchmark.record.journal import read
from platforms import Price
from platforms.offers import offer

ROOT = Path(__file__).parents[3]
BOUGHT = Price(
    total=13149.0, gpus=9000.0, cpu=1000.0, currency="USD", date="2026-01", source="a shop", storage_included=True
)


def run_of(tmp_path, name, *, wers=(30, 30, 30), price_table=None, power_w=None, used=None, **identity):
    """A journal with the run.json, and perhaps the utilisation, of a rig with this price.

    The readings of `power_w` are evenly spread over the run, the last one at its end.
    """
    made = make_run(wers, platform=name, run=name, **identity)
    path = write(tmp_path / f"{name}.csv", made)
    platform = replace(platforms.load("sys1"), price=price_table, label="sys1")
    if (machines := identity.get("machines", 1)) > 1:
        hardware, training = replace(platform.hardware, machines=machines), replace(platform.training, reduction="nccl")
        platform = replace(platform, hardware=hardware, training=training)
    (tmp_path / name).mkdir()
    (tmp_path / name / "run.json").write_text(
        json.dumps(
            {
                "schema": 3,
                "platform": platform.to_dict(),
                "plan": {"targets": {"wer": [30]}},
                "devices": {"sensors": ["gpu0"]} if used is None else used,
            }
        )
    )
    (tmp_path / name / "end.json").write_text('{"status": "finished"}')
    if power_w is not None:
        step_s = made.ended_s / max(1, len(power_w) - 1)
        rows = "".join(f"{n * step_s},1,1,1,50,{watts}\n" for n, watts in enumerate(power_w))
        (tmp_path / name / "utilisation.csv").write_text(f"seconds,a,b,c,gpu0_util_percent,gpu0_power_w\n{rows}")
    return read(path)


def costs(*records, terms=None):
    return {cost.label: cost for cost in rig_costs(judge(list(records), Question(metrics=("wer",))), terms or Terms())}


def test_dollar_minutes_of_the_papers_rigs_are_the_papers():
    groups = judge([], Question(metrics=("wer", "cer"), published=True))
    columns = [(level.metric, level.percent) for level in groups[0].levels]
    for column, expected in {("wer", 22.0): (4.97, 7.13, 29.7), ("cer", 10.0): (2.14, 3.83, 13.3)}.items():
        found = rig_costs(groups, Terms(), level=columns.index(column))
        assert [float(f"{cost.dollar_minutes / 1e6:.3g}") for cost in found] == list(expected)


def test_a_purchase_is_written_off_over_its_hours_of_use():
    assert Terms().hours == 3 * 365.25 * 24 * 0.5 == 13149
    # 13,149 USD over 13,149 hours is 1 USD an hour; 500 W at .40 a kWh add .20
    assert training_cost(BOUGHT, 10.0, Terms())["owned"] == pytest.approx(10.0)
    assert training_cost(BOUGHT, 10.0, Terms(kwh_price=0.4), power_w=500)["owned"] == pytest.approx(12.0)
    assert training_cost(BOUGHT, 10.0, Terms())["rented"] is None


def test_rent_and_where_it_breaks_even():
    both = replace(BOUGHT, rent_per_hour=3.0)
    found = training_cost(both, 10.0, Terms(kwh_price=0.4), power_w=500)
    assert found["rented"] == 30.0
    assert found["break_even_hours"] == pytest.approx(13149 / (3.0 - 0.2))
    assert training_cost(replace(both, rent_per_hour=0.1), 1, Terms(kwh_price=0.4), 500)["break_even_hours"] is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"years": 0}, "years is 0"),
        ({"duty": 0}, "duty is 0"),
        ({"duty": 1.5}, "at most 1"),
        ({"kwh_price": -1}, "kwh-price"),
        ({"kwh_price": float("inf")}, "kwh-price is inf; expected 0 to"),
        ({"years": float("inf")}, "at most 1000"),
        ({"years": float("nan")}, "years is nan"),
        ({"years": 5e-324, "duty": 0.1}, "under an hour of use"),  # which would be a division by 0
    ],
)
def test_terms_that_make_no_sense_are_refused(change, said):
    with pytest.raises(PriceError, match=said):
        Terms(**change)


def test_the_front_has_those_that_none_beats_in_both_cost_and_time(tmp_path):
    dear = replace(BOUGHT, total=26298.0)
    records = [
        run_of(tmp_path, "cheap", price_table=BOUGHT, train_s=200),  # 30 + 3 * 210 = 660 s at 1 USD an hour
        run_of(tmp_path, "fast", price_table=dear, train_s=100),  # 360 s at 2 USD
        run_of(tmp_path, "worse", price_table=dear, train_s=190),  # 630 s at 2 USD: slower and dearer than fast
    ]
    found = costs(*records)
    assert found["cheap"].cost == pytest.approx(660 / 3600) and found["fast"].cost == pytest.approx(2 * 360 / 3600)
    assert {name for name, cost in found.items() if cost.on_front} == {"cheap", "fast"}


def test_what_is_missing_is_none_with_its_reason_and_never_0(tmp_path):
    found = costs(
        run_of(tmp_path, "free"),
        run_of(tmp_path, "slow", wers=(90, 90, 90), price_table=BOUGHT),
        run_of(tmp_path, "twin", price_table=BOUGHT, emulated=True),
    )
    assert found["free"].reason == "platform free has no [price]"
    assert found["slow"].reason == "WER 30 was not reached"
    assert "emulated" in found["twin (emulated)"].reason
    for cost in found.values():
        assert cost.cost is None and cost.dollar_minutes is None and not cost.on_front


def test_several_machines_cost_and_draw_what_all_of_them_do(tmp_path):
    """Two machines of 13,149 USD: 2 USD an hour. Each draws 500 W: 1 kW at .40 a kWh adds .40."""
    terms = Terms(kwh_price=0.4)
    run = run_of(tmp_path, "two", price_table=BOUGHT, power_w=[500] * 4, machines=2, replicas=8)
    assert costs(run, terms=terms)["two"].reason.endswith("leave --kwh-price out to compare without energy")
    assert "power of its other machines was not sampled" in costs(run, terms=terms)["two"].reason
    samples = (tmp_path / "two" / "utilisation.csv").read_text()
    (tmp_path / "two" / "utilisation-rank1.csv").write_text(samples)
    found = costs(read(tmp_path / "two.csv"), terms=terms)["two"]
    hours = found.minutes / 60
    assert (found.total, found.power_w) == (2 * 13149, pytest.approx(1000))
    assert found.owned == pytest.approx(2.4 * hours)


def test_a_run_without_its_folder_has_no_price(tmp_path):
    record = read(write(tmp_path / "bare.csv", make_run([30, 30, 30], platform="bare")))
    (cost,) = rig_costs(judge([record], Question(metrics=("wer",), levels=(30.0,))), Terms())
    assert "no run.json next to it" in cost.reason and cost.cost is None


def test_energy_is_of_the_measured_power_and_said_to_be_left_out_otherwise(tmp_path):
    measured = run_of(tmp_path, "measured", price_table=BOUGHT, power_w=[400, 600])
    other = run_of(tmp_path, "other", price_table=BOUGHT)
    found = costs(measured, other, terms=Terms(kwh_price=0.4))
    hours = 360 / 3600
    assert found["measured"].cost == pytest.approx(hours * (1 + 0.5 * 0.4))  # 500 W on the average
    assert found["other"].cost is None and not found["other"].on_front  # its energy is not free
    assert "what it costs if bought is not known: no power was measured" in found["other"].reason
    (unpriced,) = costs(measured).values()
    assert "no --kwh-price is given" in " ".join(unpriced.notes)


def test_a_rig_whose_energy_is_not_known_does_not_win_by_having_it_for_nothing(tmp_path):
    """The same rig twice: measured it costs 1.2 USD an hour, unmeasured it would cost 1."""
    found = costs(
        run_of(tmp_path, "measured", price_table=BOUGHT, power_w=[500, 500]),
        run_of(tmp_path, "unmeasured", price_table=BOUGHT, train_s=99),
        terms=Terms(kwh_price=0.4),
    )
    assert found["unmeasured"].cost is None and not found["unmeasured"].on_front
    rented = run_of(tmp_path, "rented", price_table=replace(BOUGHT, rent_per_hour=3.0))
    assert costs(rented, terms=Terms(kwh_price=0.4))["rented"].cost == pytest.approx(
        0.3
    )  # a rent has its energy inside


def test_the_power_that_the_end_of_a_run_wrote_down_is_taken_without_reading_samples(tmp_path):
    record = run_of(tmp_path, "rig", price_table=BOUGHT)
    (tmp_path / "rig" / "end.json").write_text('{"status": "finished", "gpu_power_w": 250.0}')
    assert costs(record, terms=Terms(kwh_price=0.4))["rig"].power_w == 250.0
    assert costs(record)["rig"].energy_kwh == pytest.approx(0.25 * 0.1)  # 360 s


def test_rent_is_for_every_started_unit_and_for_set_up_down_time_and_failures(tmp_path):
    """360 s of training at 3 USD an hour."""
    rented = replace(BOUGHT, rent_per_hour=3.0)
    one, usual = run_of(tmp_path, "rig", price_table=rented), Terms(tenure="rented")
    assert costs(one)["rig"].cost == pytest.approx(0.1) and costs(one, terms=usual)["rig"].cost == pytest.approx(0.3)
    assert costs(one, terms=replace(usual, billing_minutes=60))["rig"].cost == 3.0
    # 20 minutes for 6 + 14
    assert costs(one, terms=replace(usual, setup_minutes=14, billing_minutes=10))["rig"].cost == pytest.approx(1.0)
    run_of(tmp_path, "rig2", price_table=rented, wers=(90,) * 6)
    both = [replace_platform(tmp_path / f"{name}.csv") for name in ("rig", "rig2")]
    found = costs(*both, terms=replace(usual, failures=True))["sys1"]  # 6 minutes reached, 30 + 6 * 110 s were lost
    assert found.minutes is None  # one of two
    third = run_of(tmp_path, "rig3", price_table=rented)
    both.append(replace_platform(Path(third.source)))
    found = costs(*both, terms=replace(usual, failures=True))["sys1"]
    assert found.cost == pytest.approx(3 * (6 + 11.5 / 2) / 60)  # two got there, and pay for the 690 s
    assert "paying for the runs that missed it adds 5.75 min" in found.notes


def test_a_level_pays_for_interruptions_until_it_was_reached_and_no_later_ones(tmp_path):
    """WER 60 after the first epoch, an hour's interruption in the third, WER 50 after the fourth."""
    rented = replace(BOUGHT, rent_per_hour=3.0)
    record = run_of(tmp_path, "rig", wers=(60, 60, 60, 50), price_table=rented)
    late = next(row for row in record.rows if row.epoch == 3)
    rows = [replace(row, attempt=1 + (row.started_s >= late.started_s)) for row in record.rows]
    rows[record.rows.index(late)] = replace(late, attempt=2, down_s=3600.0)
    question = Question(metrics=("wer",), levels=(60.0, 50.0), window=1)
    judged = judge([RunRecord(tuple(rows), source=record.source)], question)
    (early,), (last,) = (rig_costs(judged, Terms(tenure="rented", down_time=True), level=n) for n in (0, 1))
    assert not any("stood still" in note for note in early.notes)
    assert any("stood still adds 60.0 min" in note for note in last.notes)
    assert last.cost == pytest.approx(3 * (last.minutes / 60 + 1))


def replace_platform(path: Path):
    """The run anew, as one of platform sys1."""
    path.write_text(re.sub(r",rig\d?,mini", ",sys1,mini", path.read_text()))
    return read_run(path)


def test_a_bought_rig_takes_power_while_it_is_not_used():
    # at a duty of .5 an idle hour for every one of use: 100 W at .4 USD a kWh
    terms = Terms(kwh_price=0.4, idle_w=100)
    assert training_cost(BOUGHT, 10.0, terms, power_w=500)["owned"] == pytest.approx(12.0 + 10 * 0.1 * 0.4)


def test_a_cost_has_the_interval_of_its_time(tmp_path):
    runs = [run_of(tmp_path, f"rig{n}", price_table=BOUGHT, train_s=s, seed=n) for n, s in ((1, 90), (2, 110))]
    (found,) = costs(*(replace_platform(Path(run.source)) for run in runs)).values()
    # 330 and 390 s at 1 USD an hour: the interval is about their geometric mean, sqrt(330 * 390)
    assert found.low * found.high == pytest.approx(330 * 390 / 3600**2) and found.low < found.cost < found.high


def test_one_price_of_energy_is_refused_for_two_currencies(tmp_path, capsys):
    euros = replace(BOUGHT, currency="EUR")
    paths = [run_of(tmp_path, name, price_table=table).source for name, table in (("a", BOUGHT), ("b", euros))]
    assert price.main([*paths, "--metric", "wer", "--kwh-price", "0.3"]) == 2
    assert "in one currency, but the rigs' prices are in EUR and USD" in capsys.readouterr().err


def test_a_rig_alone_in_its_currency_is_on_no_front(tmp_path):
    euros = replace(BOUGHT, currency="EUR")
    assert not any(cost.on_front for cost in costs(
        run_of(tmp_path, "a", price_table=BOUGHT), run_of(tmp_path, "b", price_table=euros)).values())  # fmt: skip


def test_prices_of_long_ago_beside_others_are_said(tmp_path, capsys):
    old = replace(BOUGHT, date="2019-10")
    paths = [run_of(tmp_path, name, price_table=table).source for name, table in (("new", BOUGHT), ("old", old))]
    assert price.main([*paths, "--metric", "wer"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Prices of 2019-10-01 (old) and of 2026-01-01 (new) stand side by side" in said


def test_price_takes_epochs_clock_and_formats(tmp_path, capsys):
    path = run_of(tmp_path, "rig", price_table=BOUGHT, wers=(90, 30)).source
    assert price.main([path, "--metric", "wer", "--epochs", "1", "--clock", "train", "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["minutes"] == 200 / 60 and row["cost"] == pytest.approx(200 / 3600) and row["level_percent"] == 30


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"idle_w": 5.0}, "idle-w needs a kwh-price"),
        ({"billing_minutes": -1.0}, "billing-minutes is -1.0"),
        ({"tenure": "stolen"}, "tenure is 'stolen'; expected cheaper or owned or rented"),
    ],
)
def test_terms_of_rent_and_idleness_that_make_no_sense_are_refused(change, said):
    with pytest.raises(PriceError, match=said):
        Terms(**change)


def test_two_currencies_are_said_and_not_converted(tmp_path, capsys):
    euros = replace(BOUGHT, currency="EUR")
    paths = [run_of(tmp_path, name, price_table=table).source for name, table in (("a", BOUGHT), ("b", euros))]
    assert price.main([*paths, "--metric", "wer"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Costs in EUR and USD are not compared: nothing is converted without a rate" in said
    assert "- A training to WER 30 costs 0.10 EUR" in said and "Cheapest" not in said  # 360 s at 1 EUR an hour


FOUR_BOARDS = "seconds,gpu0_util_percent,gpu0_power_w,gpu3_util_percent,gpu3_power_w\n" + "".join(
    f"{second},0,60,90,300\n" for second in range(361)
)  # of a run of 360 s


def test_the_power_is_that_of_the_boards_that_trained_whatever_cuda_visible_devices_called_them(tmp_path):
    """Board 3 of NVML trained, CUDA's first one: 300 W, and not the 60 W of the idle board 0."""
    record = run_of(tmp_path, "rig", price_table=BOUGHT, power_w=[1], used={"sensors": ["gpu3"]}, replicas=1)
    (tmp_path / "rig" / "utilisation.csv").write_text(FOUR_BOARDS)
    assert costs(record, terms=Terms(kwh_price=0.4))["rig"].power_w == 300.0


@pytest.mark.parametrize(
    ("devices", "why"),
    [
        ({}, "which 1 of the machine's 2 GPUs trained is not known"),
        ({"sensors": ["gpu3"], "partitioned": True}, "the GPU is partitioned (MIG)"),
        ({"sensors": ["gpu5"]}, "no power was measured"),
    ],
)
def test_power_of_boards_that_are_not_known_or_shared_is_none_with_the_reason(tmp_path, devices, why):
    record = run_of(tmp_path, "rig", price_table=BOUGHT, power_w=[1], used=devices, replicas=1)
    (tmp_path / "rig" / "utilisation.csv").write_text(FOUR_BOARDS)
    found = costs(record, terms=Terms(kwh_price=0.4))["rig"]
    assert found.power_w is None and f"is not known: {why}" in found.reason


@pytest.mark.parametrize(
    ("lost_s", "power_w", "said"),
    [
        (
            38,
            None,
            "is not known: gpu3 was last read at 38.0 s: power is known for 11% of the run; leave --kwh-price out",
        ),
        (
            343,
            360,
            f"energy is the GPUs' alone, {POWER}; gpu3 was last read at 343.0 s: power is known for 95.2% of the ",
        ),
        (360, 360, f"energy is the GPUs' alone, {POWER}"),
    ],
)
def test_the_power_before_a_gpu_was_lost_is_not_the_runs(tmp_path, capsys, lost_s, power_w, said):
    """Two boards of 60 and 300 W trained for 360 s."""
    record = run_of(tmp_path, "rig", price_table=BOUGHT, power_w=[1], used={"sensors": ["gpu0", "gpu3"]}, replicas=2)
    header, *rows = FOUR_BOARDS.splitlines()
    rows = [row if n <= lost_s else row.removesuffix("90,300") + "," for n, row in enumerate(rows)]
    (tmp_path / "rig" / "utilisation.csv").write_text("\n".join([header, *rows]) + "\n")
    found = costs(record, terms=Terms(kwh_price=0.4))["rig"]
    assert found.power_w == (power_w and pytest.approx(power_w)) and said in " ".join([found.reason, *found.notes])
    assert (found.cost is None, found.energy_kwh is None) == (power_w is None,) * 2
    assert price.main([record.source, "--metric", "wer", "--kwh-price", "0.4"]) == 0
    assert said in " ".join(capsys.readouterr().out.split())


def test_without_a_price_of_energy_its_column_says_how_it_was_measured_or_why_not(tmp_path):
    """What the end of each run wrote down; nothing is said where no power was measured."""
    notes = {
        "whole": COUNTERS,
        "part": "gpu2 was last read at 38.0 s: power is known for 11% of the run",
        "none": NO_POWER,
    }
    found = {}
    for name, note in notes.items():
        record = run_of(tmp_path, name, price_table=BOUGHT)
        end = {"status": "finished", "gpu_power_w": 250.0 if name == "whole" else None, "gpu_power_note": note}
        (tmp_path / name / "end.json").write_text(json.dumps(end))
        found |= costs(record)
    left_out = "energy is left out: no --kwh-price is given"
    assert {name: cost.notes for name, cost in found.items()} == {
        "whole": (left_out, f"energy kWh: {COUNTERS}"),
        "part": (left_out, f"energy kWh: {notes['part']}"),
        "none": (left_out,),
    }
    assert [cost.energy_kwh is None for cost in found.values()] == [False, True, True]


def test_of_several_runs_each_note_on_power_has_those_it_is_of(tmp_path):
    sources = []
    for seed, note in ((1, COUNTERS), (2, COUNTERS), (3, POWER)):
        sources.append(run_of(tmp_path, f"rig{seed}", price_table=BOUGHT, seed=seed).source)
        end = {"status": "finished", "gpu_power_w": 100.0 * seed, "gpu_power_note": note, "gpu_power_share": 1.0}
        (tmp_path / f"rig{seed}" / "end.json").write_text(json.dumps(end))
    runs = [read_run(source) for source in sources]
    both = f"{COUNTERS} ({sources[0]}, {sources[1]}), {POWER} ({sources[2]})"
    assert power_of(runs) == (200.0, both)
    assert power_of(runs[:2]) == (150.0, COUNTERS)
    (tmp_path / "rig3" / "end.json").unlink()
    assert power_of([*runs[:2], read_run(sources[2])]) == (None, f"{NO_POWER} ({sources[2]})")
    assert power_of([]) == (None, NO_POWER)


@pytest.mark.parametrize("watts", ["nan", "inf", "1e308", "-5", "4294967.295"])
def test_a_reading_that_is_no_power_does_not_count(tmp_path, watts):
    record = run_of(tmp_path, "rig", price_table=BOUGHT, power_w=[400, watts, 600])
    assert costs(record, terms=Terms(kwh_price=0.4))["rig"].power_w == 500.0


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"gpu0_power_w\nmuch\n", b'"\0', b"a" * 200_000])
def test_samples_that_cannot_be_read_are_no_power_measured(tmp_path, text):
    record = run_of(tmp_path, "rig", price_table=BOUGHT)
    (tmp_path / "rig" / "utilisation.csv").write_bytes(text)
    found = costs(record, terms=Terms(kwh_price=0.4))["rig"]
    assert found.power_w is None and "no power was measured" in found.reason


def test_a_pipe_that_closes_early_is_no_error(tmp_path):
    levels = " ".join(f"--level {n / 10}" for n in range(300))  # more than a pipe holds
    command = f"{sys.executable} -m benchmark.price --published {levels} | head -n 1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "" and done.stdout.count("\n") == 1


def test_a_name_that_is_no_text_is_printed_with_its_bytes(tmp_path):
    path = write(tmp_path / os.fsdecode(b"run\xff.csv"), make_run([30, 30, 30], platform="bare"))
    done = subprocess.run([sys.executable, "-m", "benchmark.price", path], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    assert "\\udcff.csv: no run.json next to it" in " ".join(done.stdout.split())


def test_a_run_on_other_gpus_is_not_priced_as_the_platform(tmp_path):
    here = run_of(tmp_path, "here", price_table=BOUGHT, devices="4 x NVIDIA GeForce RTX 2070")
    other = run_of(tmp_path, "other", price_table=BOUGHT, devices="4 x NVIDIA H200")
    found = costs(here, other)
    assert found["here"].cost is not None
    assert found["other"].cost is None and "it ran on 4 x NVIDIA H200" in found["other"].reason


def test_runs_with_different_prices_are_not_averaged(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = run_of(tmp_path / "a", "rig", price_table=BOUGHT, seed=1)
    second = run_of(tmp_path / "b", "rig", price_table=replace(BOUGHT, total=14000.0), seed=2)
    assert "2 different prices" in costs(first, second)["rig"].reason


def test_the_command_prints_the_paper_and_refuses_nonsense_in_one_line(capsys, tmp_path):
    assert price.main(["--published", "--level", "22"]) == 0
    shown = capsys.readouterr().out
    assert "4.97" in shown and "7.13" in shown and "29.7" in shown and "2019-10, amazon.com" in shown
    questions = {
        "no journals given": [],
        "duty is 2": ["--published", "--duty", "2"],
        "no such file": [str(tmp_path / "x")],
    }
    for said, arguments in questions.items():
        assert price.main(arguments) == 2
        err = capsys.readouterr().err
        assert said in err and err.count("\n") == 1


def test_an_offer_takes_the_place_of_the_recorded_price_and_an_unknown_name_is_refused(tmp_path):
    record = run_of(tmp_path, "rig", price_table=BOUGHT)  # 30 + 3 * 110 = 360 s
    found = costs(record, terms=Terms(offers=(offer("rig=20/h"),)))["rig"]
    assert found.cost == found.rented == pytest.approx(20 * 360 / 3600) and found.owned is None
    with pytest.raises(PriceError, match="an offer for 'other', which has no runs here; there are rig"):
        check_offers(Terms(offers=(offer("other=20/h"),)), judge([record], Question(metrics=("wer",))))
    with pytest.raises(PriceError, match="two offers for rig"):
        Terms(offers=(offer("rig=20/h"), offer("rig=21/h")))
    both = costs(record, terms=Terms(offers=(offer("rig=20/h"), offer("rig=13149"))))["rig"]
    assert both.owned == pytest.approx(0.1) and both.rented == pytest.approx(2.0) and both.cost == both.owned


def test_a_rig_without_a_price_keeps_its_energy(tmp_path):
    found = costs(run_of(tmp_path, "rig", power_w=[300] * 61), terms=Terms(kwh_price=0.4))["rig"]
    assert found.cost is None and found.reason == "platform rig has no [price]"
    assert found.energy_kwh == pytest.approx(0.3 * 360 / 3600)  # 300 W over 360 s
