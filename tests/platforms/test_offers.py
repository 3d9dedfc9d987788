"""Offers as they are named on a command line, and files of them."""

from datetime import date

import pytest

from platforms import PlatformError, Price
from platforms.gpus import Kind
from platforms.offers import EXAMPLE, Offer, Offers, Rate, offer, read_offers

TODAY = date(2026, 11, 29)
DATED = {"date": "2026-11-01", "source": "a shop"}
SKYPILOT = """\
InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,Region,GpuInfo,SpotPrice
cpu_4x,,,4.0,16.0,0.2,us-east-1,,
gpu_4x_a100,A100,4.0,120.0,800.0,7.96,us-east-1,"{'Gpus': [{'Name': 'A100', 'MemoryInfo': {'SizeInMiB': 40960}}]}",3.1
gpu_part,L4,0.5,4.0,16.0,0.4,us-east-1,,
free,A10,1.0,4.0,16.0,,us-east-1,,
,A100,1,,,2.93,us-central1,,
"""
GPUHUNT = """\
instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot
i1,us,0.94,30,240,1,A10,24.0,False
i2,eu,0.5,30,240,1,A10,24.0,True
c1,us,0.1,4,8,0,,,False
"""


def test_an_offer_is_a_rent_by_the_hour_or_a_sum_in_its_currency_and_dated():
    name, found = offer("h100x8=12.10/h", today=TODAY)
    assert (name, found.rent_per_hour, found.total, found.currency) == ("h100x8", 12.1, None, "USD")
    assert (found.date, found.source) == ("2026-11-29", "--offer")
    name, found = offer("rig=3400 EUR", today=TODAY)
    assert (name, found.rent_per_hour, found.total, found.currency) == ("rig", None, 3400.0, "EUR")
    assert found.storage_included is None  # nobody said so
    assert offer("Dell XE9680x8H100=31.92/h")[0] == "Dell XE9680x8H100"  # as a log calls it


@pytest.mark.parametrize("text", ["rig", "rig=", "rig=0/h", "rig=-1/h", "rig=nan", "rig=3/d", "=3/h", "rig=3 euro"])
def test_what_is_no_offer_is_refused_with_the_way_out(text):
    with pytest.raises(PlatformError, match="expected NAME=12.10/h to rent or NAME=3400 to buy"):
        offer(text)


def test_a_platforms_price_is_an_offer_too():
    price = Price(rent_per_hour=3.0, currency="EUR", date="2026-01", source="a shop")
    found = Offer.of(price, "rig")
    assert (found.platform, found.rent_per_hour, found.total, found.currency) == ("rig", 3.0, None, "EUR")
    assert Offer.of(found) is found


def test_skypilots_columns_are_read_by_name(tmp_path):
    path = tmp_path / "vms.csv"
    path.write_text(SKYPILOT)
    found = read_offers(path)
    asked, spot, alone = found.offers
    assert (asked.gpu, asked.gpus, asked.rent_per_hour, asked.spot) == ("A100", 4, 7.96, False)
    assert (spot.rent_per_hour, spot.spot, spot.name, spot.region) == (3.1, True, "gpu_4x_a100", "us-east-1")
    assert asked.kind == Kind("A100", 40) and asked.gpu_hour == pytest.approx(1.99)
    assert alone.without_host and not asked.without_host
    assert found.skipped == 3  # without GPUs, half of one, without a price
    assert asked.date == str(date.fromtimestamp(path.stat().st_mtime)) and "vms.csv" in asked.source


def test_skypilots_columns_may_stand_in_any_order_and_a_host_is_no_offer_of_gpus(tmp_path):
    """As in the catalogue of a cloud that prices hosts and GPUs apart: the host's price is nobody's."""
    path = tmp_path / "vms.csv"
    path.write_text(
        "InstanceType,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,GpuInfo,Region,AvailabilityZone,Price,SpotPrice\n"
        "a2-highgpu-1g,12.0,85.0,,,,asia-northeast1,asia-northeast1-a,0.94803,0.41783\n"
        ",,,A100,1.0,,asia-northeast1,asia-northeast1-a,3.1,\n"
        "g-1,26.0,225.0,H100-SXM,1,,us-east1,us-east1-b,4.29,\n"
    )
    found = read_offers(path)
    alone, whole = found.offers
    assert alone.without_host and alone.rent_per_hour == 3.1 and found.skipped == 1
    assert (whole.region, whole.rent_per_hour, whole.kind) == ("us-east1", 4.29, Kind("H100", None, "SXM"))


@pytest.mark.parametrize("newer", ["", ",disk_size,gpu_vendor,flags"])
def test_gpuhunts_columns_are_read_by_name_with_and_without_the_newer_ones(tmp_path, newer):
    header, *rows = GPUHUNT.splitlines()
    path = tmp_path / "lambdalabs.csv"
    path.write_text("\n".join([header + newer, *(row + (",,nvidia,f1 f2" if newer else "") for row in rows)]) + "\n")
    found = read_offers(path)
    assert [(o.gpu, o.rent_per_hour, o.spot, o.region) for o in found.offers] == [
        ("A10", 0.94, False, "us"),
        ("A10", 0.5, True, "eu"),
    ]
    assert found.offers[0].kind == Kind("A10", 24) and found.skipped == 1


def test_a_toml_file_has_offers_and_rates_of_currencies_with_their_date(tmp_path):
    path = tmp_path / "offers.toml"
    path.write_text(
        """
[[offer]]
platform = "rig"
total = 3400
currency = "EUR"
date = "2026-11-01"
source = "a shop"

[[offer]]
gpu = "H100"
gpus = 8
rent_per_hour = 31.92
region = "us-east-1"
reserved_months = 12
billing_minutes = 60
storage_per_hour = 0.08
network_per_training = 2.0
date = "2026-11"
source = "a cloud"

[[rate]]
currency = "EUR"
to = "USD"
rate = 1.25
date = "2026-11-02"
source = "a bank"
"""
    )
    found = read_offers(path)
    bought, rented = map(found.converted, found.offers)
    assert (bought.total, bought.currency) == (4250.0, "USD")  # 3400 * 1.25
    assert bought.source == "a shop, at 1.25 USD a EUR of 2026-11-02"
    assert rented == found.offers[1] and rented.circumstances == "us-east-1, reserved for 12 months"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.toml", "x = 1", "has 'x'; expected tables \\[\\[offer\\]\\] and \\[\\[rate\\]\\] alone"),
        ("a.toml", "[offer", "is not TOML"),
        (
            "a.toml",
            "[[offer]]\nrent = 1",
            "\\[\\[offer\\]\\] 1: 3 mistakes: \\(1\\) unknown key \\[offer\\] rent = 1; did you mean",
        ),
        (
            "a.toml",
            '[[offer]]\nplatform = "a"\ndate = "2026"\nsource = "b"\ntotal = 1',
            "date = '2026'; expected text, a",
        ),
        ("a.toml", '[[offer]]\nplatform = "a"\ndate = "2026-01"\nsource = "b"', "neither rent_per_hour nor total"),
        (
            "a.csv",
            "gpu,rent_per_hour\nA100,3\n",
            "line 2: \\[offer\\] is for no rig; expected platform, or gpu and gpus",
        ),
        ("a.csv", "gpu,price\nA100,3\n", "has a column 'price'; expected SkyPilot's columns"),
        ("a.csv", "", "is empty; expected a header"),
        ("a.csv", "platform,total\nrig,much\n", "line 2: total is 'much'; expected a number"),
        ("a.csv", "platform,total\nrig,nan\n", "line 2: \\[offer\\] has neither"),
        ("a.csv", "platform,total\nrig,inf\n", "line 2: \\[offer\\] total = inf; expected a number above 0"),
        ("a.csv", "platform,gpus,total\nrig,1.5,3\n", "line 2: gpus is '1.5'; expected a whole number"),
        ("a.csv", "platform,spot,total\nrig,maybe,3\n", "line 2: spot is 'maybe'; expected true or false"),
        ("a.csv", "platform,total\nrig,3,4\n", "line 2: more cells than columns"),
        ("a.csv", GPUHUNT.replace("0.94", "-1"), "line 2: \\[offer\\] rent_per_hour = -1.0; expected a number above 0"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_place(tmp_path, name, text, said):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(PlatformError, match=said) as caught:
        read_offers(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path):
    with pytest.raises(PlatformError, match="No such file or directory; expected a file of offers"):
        read_offers(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlatformError, match="b.csv: 'utf-8' codec"):
        read_offers(tmp_path / "b.csv")


def test_rates_go_into_one_currency_and_come_once():
    rate = Rate(currency="EUR", to="USD", rate=1.25, **DATED)
    for other in (rate, Rate(currency="GBP", to="EUR", rate=1.2, **DATED)):
        with pytest.raises(PlatformError, match="two rates of EUR|rates into several currencies"):
            Offers((), (rate, other), "a.toml")


def test_the_example_is_dated_has_sources_and_a_dozen_rows():
    found = read_offers(EXAMPLE).offers
    assert len(found) >= 12 and all("commit 0f40703" in each.source and len(each.date) == 10 for each in found)
    assert Offers(()).usual_gpu_hour("H100", "USD") == pytest.approx(
        4.04
    )  # between 31.92 / 8 and 16.36 / 4; the others are 3.29 and 4.29


def test_spot_prices_are_not_what_a_gpu_usually_costs():
    spot = [Offer(gpu="X1", gpus=1, rent_per_hour=0.1, spot=True, **DATED)] * 5
    assert Offers(tuple(spot)).usual_gpu_hour("X1", "USD") == 0.1  # there is no other
    both = Offers((*spot, Offer(gpu="X1", gpus=2, rent_per_hour=4.0, **DATED)))
    assert both.usual_gpu_hour("X1", "USD") == 2.0 and both.usual_gpu_hour("X1", "EUR") is None


def test_an_offer_for_a_platform_needs_no_gpus_name(tmp_path):
    path = tmp_path / "o.csv"
    path.write_text("platform,gpus,rent_per_hour,date,source\nh100x8,8,20,2026-11-01,me\n")
    book = read_offers(path)
    assert book.by_platform["h100x8"][0].rent_per_hour == 20
    assert book.usual_gpu_hour("no such model", "USD") is None
