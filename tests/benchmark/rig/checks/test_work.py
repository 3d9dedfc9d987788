from contextlib import contextmanager

import pytest
from standin import asked

from benchmark.rig.boards import Fact
from benchmark.rig.checks import work
from benchmark.rig.checks.check import FAIL, OK, UNKNOWN, WARN
from benchmark.rig.load import LoadError, Work
from benchmark.rig.place import Place

BUS = Fact("0000:01:00.0", "NVML")
LINKS = """
from contextlib import contextmanager
from dataclasses import asdict
from benchmark.rig.checks import work
from benchmark.rig.load import Work
from benchmark.rig.place import Place

@contextmanager
def no_load(kind, *, seconds):
    yield Work({"GPU:0": 12.1})

work.under_load, work.COPIES_S, work.PRODUCTS_S, work.EVERY_S = no_load, 0.3, 0.3, 0.05
print(json.dumps(asdict(getattr(work, given[0])(Place.here()))))
"""
"""What NVML says under a load that is none."""


def test_a_link_that_is_narrow_under_load_is_told_with_its_rate(nvidia):
    found = asked(LINKS, nvidia, "links", STANDIN="four-rtx-2070")
    assert found["status"] == WARN
    assert "GPU 1: generation 2 x1 of generation 2 x16" in found["found"]
    assert "GPU 0" not in found["found"] and "0000:01:00.0: 12.1 GB/s" in found["found"]


def test_a_link_whose_generation_stays_low_under_load(nvidia):
    well, low = (asked(LINKS, nvidia, "links", STANDIN="h200", STANDIN_IDLE=idle) for idle in ("", 1))
    assert well["status"] == OK and well["found"].startswith("GPU 0: generation 5 x16")
    assert low["status"] == WARN and "GPU 0: generation 1 x16 of generation 5 x16" in low["found"]


def test_boards_that_are_hidden_are_at_rest_and_not_trained_down(nvidia):
    found = asked(LINKS, nvidia, "links", STANDIN="four-rtx-2070", CUDA_VISIBLE_DEVICES="0")
    assert found["status"] == OK and "GPU 1: at rest, CUDA does not show it" in found["found"]
    idle = looks_of(300, reasons=1)
    assert "idle: CUDA does not show it" in work.worked(idle, {"GPU:0": 9.0}).found


def test_the_cpu_in_place_of_gpus_says_nothing_about_them(monkeypatch):
    monkeypatch.setattr(work, "count", lambda _: Fact(4, "NVML"))
    monkeypatch.setattr(work, "looked", lambda *_: (looks_of(300), {"CPU:0": 0.1}))
    for look in (work.products, work.drift):
        found = look(Place(why_no_nvml="none"))
        assert found.status == UNKNOWN and "the CPU multiplied in its place" in found.found


def test_packets_that_were_sent_again(monkeypatch):
    counted = iter([3, 7])
    link = dict.fromkeys(("pcie_gen", "max_pcie_gen"), 4) | dict.fromkeys(("pcie_width", "max_pcie_width"), 16)
    monkeypatch.setattr(work, "boards", lambda *_: [{"pcie_replays": Fact(next(counted), "NVML"), "pci": BUS}])
    look = [{name: Fact(value, "NVML") for name, value in {**link, "pcie_replays": 3}.items()}]
    monkeypatch.setattr(work, "looked", lambda *_: ([look], {"GPU:0": 20.0}))
    found = work.links(Place(why_no_nvml="none"))
    assert found.status == WARN and "GPU 0: 4 packets sent again" in found.found


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({}, OK, "1620 MHz of 1980, at most 60 C, 480 W; "),
        ({"STANDIN_REASONS": 0x40}, FAIL, "GPU 0: hardware thermal"),
        ({"STANDIN_REASONS": 0x20}, FAIL, "GPU 0: software thermal"),
        ({"STANDIN_REASONS": 0x2}, WARN, "clocks set by hand"),
        ({"STANDIN_REASONS": 0x4}, OK, "at the power limit"),
        ({"STANDIN_LOST": 0}, FAIL, "GPU is lost"),
    ],
)
def test_reasons_for_slow_clocks_under_load(nvidia, changes, status, words):
    found = asked(LINKS, nvidia, "products", STANDIN="h200", **changes)
    assert found["status"] == status and words in found["found"]


def looks_of(*clocks: int, reasons: int = 0) -> work.Looks:
    board = {"sm_clock_mhz": 0, "max_sm_clock_mhz": 2000, "temperature_c": 70, "power_w": 200.0}
    board |= {"clock_reasons": reasons, "name": "NVIDIA board"}
    return [[{name: Fact(value, "NVML") for name, value in {**board, "sm_clock_mhz": mhz}.items()} for mhz in clocks]]


def test_boards_of_one_kind_of_which_one_is_slower():
    looks = looks_of(1800, 1800)
    assert work.worked(looks, {"GPU:0": 60.0, "GPU:1": 59.0}).status == OK
    assert work.worked(looks, {"GPU:0": 60.0, "GPU:1": 40.0}).status == WARN
    assert work.worked(looks, {}).status == UNKNOWN


def test_a_reason_that_holds_for_a_moment_is_none():
    looks = looks_of(1800) * 19 + looks_of(1500, reasons=0x20)  # one look of 20 is 5%
    assert work.worked(looks, {"GPU:0": 60.0}).status == OK
    assert work.worked(looks + 3 * looks_of(1500, reasons=0x20), {"GPU:0": 60.0}).status == FAIL  # 4 of 23: 17%


def test_the_cpu_multiplies_twice_as_fast_or_not(monkeypatch):
    place = Place(why_no_nvml="none")
    for rates, status in (((0.10, 0.098), OK), ((0.10, 0.05), WARN), ((0.0, 0.0), UNKNOWN)):
        waiting = iter(rates)
        monkeypatch.setattr(work, "looked", lambda *_, waiting=waiting: ([], {"CPU:0": next(waiting)}))
        assert work.products(place).status == status


def test_rates_that_fall_while_it_gets_warm():
    def over(*rates):
        waiting = iter(rates)

        def look(*_):
            return looks_of(1500), {"GPU:0": next(waiting)}

        return work.drifting(Place(why_no_nvml="none"), windows=6, window_s=60, look=look)

    assert over(60, 60, 60, 59, 59, 59).status == OK
    found = over(60, 60, 58, 55, 54, 54)  # 54 of 60: 10% less
    assert found.status == WARN and found.found.startswith(
        "60 TFLOP/s at first, 54 at last, 6 times 60 s; GPU 0: 1500 MHz"
    )


def test_a_load_that_cannot_begin_is_unknown_with_its_reason(monkeypatch):
    @contextmanager
    def none(kind, *, seconds):
        raise LoadError("copies did not begin: no GPU to copy to: TensorFlow sees none")
        yield Work()

    monkeypatch.setattr(work, "under_load", none)
    for look in (work.links, work.products, work.drift):
        found = look(Place(why_no_nvml="none"))
        assert found.status == UNKNOWN and "TensorFlow sees none" in found.found


def test_a_sum_that_is_wrong_names_the_replica():
    found = work.added_up("4 x NVIDIA board", "nccl", [2], 0.0125)
    assert found.status == FAIL and "wrong on replica 2" in found.found
    well = work.added_up("4 x NVIDIA board", "nccl", [], 0.0125)  # 0.1 GB in 12.5 ms
    assert well.status == OK and "100 MB in 12.5 ms, 8.0 GB/s" in well.found


def test_nccl_without_a_gpu_is_unknown():
    assert work.sum_nccl(Place(why_no_nvml="none")).status == UNKNOWN
