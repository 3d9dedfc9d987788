"""Whose price an offer is: by a platform's name, or by the GPUs that the runs recorded; never by a guess."""

import json
from dataclasses import replace

import pytest
from journals import make_run, write

import platforms
from benchmark import compare, price, tta
from benchmark.judge import Question, judge
from benchmark.judge.cost import rig_costs
from benchmark.judge.offered import check_offers, machine_of
from benchmark.judge.prices import cost_sentences
from benchmark.judge.terms import PriceError, Terms
from benchmark.record import read_run
from platforms import Price
from platforms.offers import Offer, Offers, Rate, offer

WER = Question(metrics=("wer",))
DATED = {"date": "2026-11-01", "source": "a cloud"}
RECORDED = Price(
    total=13149.0, gpus=9e3, cpu=1e3, currency="USD", date="2026-01", source="a shop", storage_included=True
)
HOURS = (30 + 3 * 110) / 3600  # a start of 30 s and three epochs of 110: a tenth


def run_of(
    tmp_path, name="rig", devices="4 x NVIDIA A100-SXM4-40GB", *, recorded=None, gpus=None, prepared_s=None, **about
):
    """A journal, and the run.json of a machine with these GPUs."""
    path = write(tmp_path / f"{name}.csv", make_run([30, 30, 30], platform=name, run=name, devices=devices, **about))
    platform = replace(platforms.load("sys1"), price=recorded)
    facts = {"schema": 3, "platform": platform.to_dict(), "plan": {"targets": {"wer": [30]}}}
    if recorded:
        hardware = replace(platform.hardware, gpu=devices.split(" x ")[-1])
        facts["platform"] = replace(platform, hardware=hardware).to_dict()
    facts |= {"host": {"gpus": gpus}} if gpus else {}
    facts |= {"preparation_s": prepared_s} if prepared_s is not None else {}
    (tmp_path / name).mkdir()
    (tmp_path / name / "run.json").write_text(json.dumps(facts))
    (tmp_path / name / "end.json").write_text('{"status": "finished"}')
    return read_run(path)


def a100s(rent=8.0, gpus=4, **changes):
    return Offer(**{"gpu": "A100", "gpus": gpus, "gpu_memory_gib": 40.0, "rent_per_hour": rent, **DATED, **changes})


def terms(*offers, rates=(), **more):
    return Terms(book=Offers(offers, rates, "offers.toml"), **more)


def cost_of(run, terms):
    (found,) = rig_costs(judge([run], WER), terms)
    return found


def test_an_offer_is_a_rigs_by_kind_and_number_of_its_gpus(tmp_path):
    run = run_of(tmp_path)
    found = cost_of(run, terms(a100s(8.0), a100s(2.0, gpus=1), Offer(gpu="H100", gpus=4, rent_per_hour=1.0, **DATED)))
    assert found.cost == found.rented == pytest.approx(8 * HOURS) and found.owned is None
    assert found.basis == "rented at 8.00 USD an hour" and "2026-11-01, a cloud" in found.priced


def test_an_offer_for_a_platform_by_name_goes_before_its_gpus(tmp_path):
    named = Offer(platform="rig", rent_per_hour=20.0, **DATED)
    assert cost_of(run_of(tmp_path), terms(a100s(8.0), named)).cost == pytest.approx(20 * HOURS)


def test_of_several_offers_the_cheapest_is_taken_and_it_is_said_which(tmp_path):
    found = cost_of(run_of(tmp_path), terms(a100s(9.0, region="us"), a100s(8.0, region="eu", name="big")))
    assert found.cost == pytest.approx(8 * HOURS) and found.offered == "big, eu"
    assert "the cheapest of 2 offers of offers.toml" in found.notes and "big, eu" in found.basis


def test_the_cheapest_is_that_of_the_training_with_its_least_time_storage_and_network(tmp_path):
    hourly = a100s(5.0, billing_minutes=60.0)  # a tenth of an hour costs one
    dear = a100s(8.0, storage_per_hour=2.0, network_per_training=0.5)
    found = cost_of(run_of(tmp_path), terms(hourly, dear))
    assert found.cost == pytest.approx(10 * HOURS + 0.5)  # 1.50, not 5
    assert "storage at 2.00 USD an hour, network 0.50 USD" in found.basis
    assert cost_of(run_of(tmp_path, "other"), terms(hourly)).cost == pytest.approx(5.0)


def test_spot_reserved_and_other_regions_are_taken_only_where_asked_for(tmp_path):
    run = run_of(tmp_path)
    offers = a100s(8.0, region="us"), a100s(3.0, spot=True, region="us"), a100s(5.0, reserved_months=12, region="eu")
    rents = {
        None: cost_of(run, terms(*offers)),
        "spot": cost_of(run, terms(*offers, spot=True)),
        "reserved": cost_of(run, terms(*offers, reserved=True)),
    }
    assert {name: found.rent_per_hour for name, found in rents.items()} == {None: 8.0, "spot": 3.0, "reserved": 5.0}
    assert "us, spot" in rents["spot"].basis and "reserved for 12 months" in rents["reserved"].basis
    only = cost_of(run, terms(*offers[1:]))
    assert only.cost is None and "spot alone: --spot takes them and reserved for months alone" in only.reason
    assert "are none in asia" in cost_of(run, terms(*offers, region="asia", spot=True, reserved=True)).reason
    assert cost_of(run, terms(*offers, region="us")).rent_per_hour == 8.0
    with pytest.raises(PriceError, match="spot chooses among the offers of a file; give --offers FILE too"):
        Terms(spot=True)


def test_what_the_runs_do_not_say_is_not_guessed(tmp_path):
    eighty = a100s(11.0, gpu_memory_gib=80.0)
    named = cost_of(run_of(tmp_path), terms(a100s(8.0), eighty))
    assert named.rent_per_hour == 8.0  # its driver says 40 GB
    unclear = cost_of(run_of(tmp_path, "unclear", "4 x NVIDIA A100"), terms(a100s(8.0), eighty))
    assert unclear.cost is None
    assert (
        "has offers of 4 x A100 40 GB and of 4 x A100 80 GB, and the runs say A100; expected platform = 'unclear'"
        in (unclear.reason)
    )
    forms = [
        Offer(gpu="H100", gpus=1, name=f"gpu_1x_h100_{form}", rent_per_hour=3.0, **DATED) for form in ("pcie", "sxm5")
    ]
    assert (
        "H100 PCIE and of 1 x H100 SXM"
        in cost_of(run_of(tmp_path, "h100", "NVIDIA H100", replicas=1), terms(*forms)).reason
    )
    assert cost_of(run_of(tmp_path, "sxm", "NVIDIA H100 80GB HBM3", replicas=1), terms(*forms)).offered.endswith("sxm5")


def test_a_machine_with_more_gpus_than_trained_is_said(tmp_path):
    run = run_of(tmp_path, devices="2 x NVIDIA A100-SXM4-40GB", gpus=["NVIDIA A100-SXM4-40GB"] * 4)
    (group,) = judge([run], WER)
    assert machine_of(group).why_not.startswith("2 of the machine's 4 GPUs trained, and which of both is paid is not")
    with pytest.raises(PriceError, match=r"none of its 1 offers is for a rig here; expected one of rig \(2 of the"):
        check_offers(terms(a100s(gpus=2)), [group])


@pytest.mark.parametrize(
    ("devices", "said"),
    [
        ("CPU", "no GPUs"),
        ("NVIDIA A100 + Tesla T4", "GPUs of several kinds"),
        ("not known", "not known"),
        ("2 x NVIDIA", "no model"),
    ],
)
def test_a_machine_whose_gpus_cannot_be_named_has_no_offers_but_by_name(tmp_path, devices, said):
    run = run_of(tmp_path, devices=devices)
    assert said in machine_of(judge([run], WER)[0]).why_not
    reason = cost_of(run, terms(a100s())).reason
    assert "offers.toml no offer for platform rig (" in reason and said in reason
    assert cost_of(run, terms(Offer(platform="rig", rent_per_hour=2.0, **DATED))).cost == pytest.approx(2 * HOURS)


def test_an_offer_by_gpus_is_for_one_machine_and_one_by_name_for_all(tmp_path):
    run = run_of(tmp_path, devices="2 machines of 4 x NVIDIA A100-SXM4-40GB", machines=2, replicas=8)
    assert cost_of(run, terms(a100s(8.0))).rent_per_hour == 16.0
    assert cost_of(run, terms(Offer(platform="rig", rent_per_hour=9.0, **DATED))).rent_per_hour == 9.0


def test_what_the_file_does_not_have_stays_as_it_was_recorded(tmp_path):
    run = run_of(tmp_path, recorded=RECORDED)  # to buy
    both = cost_of(run, terms(a100s(8.0)))
    assert both.owned == pytest.approx(HOURS * 13149 / 13149) and both.rented == pytest.approx(8 * HOURS)
    assert both.cost == both.owned and both.basis == "bought for 13,149 USD, 3 years, half in use, without energy"
    bought = cost_of(run, terms(Offer(platform="rig", total=26298.0, **DATED)))
    assert bought.owned == pytest.approx(2 * HOURS) and bought.rented is None
    neither = cost_of(run, terms(Offer(gpu="H100", gpus=1, rent_per_hour=2.0, **DATED)))
    assert neither.owned == pytest.approx(HOURS)
    assert "offers.toml has no offer for 4 x A100 SXM 40 GB: it is the recorded price" in neither.notes


def test_other_currencies_are_converted_by_a_rate_and_else_refused(tmp_path):
    run, euros = run_of(tmp_path, recorded=RECORDED), a100s(8.0, currency="EUR")
    assert "its offers are in EUR and USD, and nothing is converted without a rate" in cost_of(run, terms(euros)).reason
    rate = Rate(currency="EUR", to="USD", rate=1.25, date="2026-11-02", source="a bank")
    found = cost_of(run, terms(euros, rates=(rate,)))
    assert found.rented == pytest.approx(10 * HOURS) and "at 1.25 USD a EUR of 2026-11-02" in found.priced


def test_a_b200_for_a_cent_is_not_taken(tmp_path):
    run = run_of(tmp_path, devices="NVIDIA B200", replicas=1)
    cent = Offer(gpu="B200", gpus=1, rent_per_hour=0.01, **DATED)
    found = cost_of(run, terms(cent))
    assert (
        found.cost is None
        and "not taken: B200, 0.01 USD an hour of one B200 is 0.1% of what it costs at" in found.reason
    )
    usual = cost_of(run, terms(cent, Offer(gpu="B200", gpus=1, rent_per_hour=5.0, **DATED)))
    assert usual.rent_per_hour == 5.0 and any("not taken" in note for note in usual.notes)
    named = cost_of(run, Terms(offers=(offer("rig=0.01/h"),)))  # whoever types it is told
    assert named.cost is not None and named.notes[0].startswith("doubtful: 0.01 USD an hour of one B200 is 0.1%")


def test_gpus_without_their_host_are_no_machine_and_a_price_without_it_is_doubted(tmp_path):
    run = run_of(tmp_path, devices="NVIDIA A100-SXM4-40GB", replicas=1)
    alone = cost_of(run, terms(a100s(2.93, gpus=1, without_host=True)))
    assert alone.cost is None and "1 x A100 without a host (2.93 USD an hour), which is priced apart" in alone.reason
    h100 = run_of(tmp_path, "h100", devices="NVIDIA H100 80GB HBM3", replicas=1)
    low = cost_of(h100, terms(Offer(gpu="H100", gpus=1, rent_per_hour=0.94, **DATED)))
    # the example has 3.29, 31.92 / 8 = 3.99, 4.09 and 4.29: with .94 the middle is 3.99
    assert low.rent_per_hour == 0.94 and low.notes[0] == (
        "doubtful: 0.94 USD an hour of one H100 is 24% of what it costs at the median, 3.99: is the host in it?"
    )


def test_a_misspelt_platform_and_a_file_for_other_rigs_are_refused_and_an_operand_is_explained(tmp_path, capsys):
    run = run_of(tmp_path)
    groups = judge([run], WER)
    with pytest.raises(PriceError, match=r"none of its 1 offers is for a rig here; expected one of rig \(4 x A100 SXM"):
        check_offers(terms(a100s(gpus=2)), groups)
    with pytest.raises(
        PriceError, match=r"none of its 0 offers \(7 rows are without a price or whole GPUs\) is for a rig"
    ):
        check_offers(Terms(book=Offers((), source="vms.csv", skipped=7)), groups)
    with pytest.raises(
        PriceError, match="an offer for 'old', which has no runs here; there are rig; old is of platform rig"
    ):
        check_offers(Terms(offers=(offer("old=2/h"),)), [replace(groups[0], name="old")])
    other = run_of(tmp_path, "other", seed=2)
    operands = [f"old={run.source}", f"new={other.source}"]
    assert compare.main([*operands, "--offer", "rig=20/h", "--offer", "other=10/h"]) == 0  # platforms, not operands
    said = " ".join(capsys.readouterr().out.split())
    assert "old: 2.00 USD (rented at 20.00 USD an hour)" in said and "new: 1.00 USD" in said
    assert compare.main([*operands, "--offer", "rig=20/h"]) == 0
    assert "No cost of new: platform other has no [price]; name one with --offer" in " ".join(
        capsys.readouterr().out.split()
    )


def test_preparation_is_shown_and_billed_if_asked_for(tmp_path):
    run, rented = run_of(tmp_path, prepared_s=720.0), terms(a100s(8.0))
    found = cost_of(run, rented)
    said = "Rents are without preparing features (12.0 minutes; rig): --with-preparation adds it."
    assert said in cost_sentences([found], rented)
    paid = cost_of(run, replace(rented, with_preparation=True))
    assert paid.rented == pytest.approx(8 * (HOURS + 0.2)) and "preparing features adds 12.0 min" in paid.notes
    assert said not in cost_sentences([paid], replace(rented, with_preparation=True))
    assert "with preparation" in paid.basis and paid.preparation_minutes == 12.0


def test_tta_price_and_compare_take_a_file_and_refuse_one_that_is_wrong_in_one_line(tmp_path, capsys):
    path = tmp_path / "vms.csv"
    path.write_text(
        "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,Region,GpuInfo,SpotPrice\n"
        "gpu_4x_a100,A100,4.0,120.0,800.0,7.96,us-east-1,,3.0\n"
    )
    runs = [run_of(tmp_path, name, seed=seed).source for name, seed in (("a", 1), ("b", 2))]
    both = [f"{name}={run}" for name, run in zip("ab", runs, strict=True)]
    for command, arguments in ((tta, runs), (price, [*runs, "--metric", "wer"]), (compare, both)):
        assert command.main([*arguments, "--offers", str(path)]) == 0
        assert "rented at 7.96 USD an hour, gpu_4x_a100, us-east-1" in " ".join(capsys.readouterr().out.split())
        assert command.main([*arguments, "--offers", str(path), "--spot"]) == 0
        assert "rented at 3.00 USD an hour, gpu_4x_a100, us-east-1, spot" in " ".join(capsys.readouterr().out.split())
        path.with_suffix(".toml").write_text("[offer")
        assert command.main([*arguments, "--offers", str(path.with_suffix(".toml"))]) == 2
        said = capsys.readouterr().err
        assert "vms.toml: is not TOML" in said and said.count("\n") == 1
