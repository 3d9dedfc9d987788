"""Under the stand-in for NVML, each machine in a process of its own, as the loader wants it."""

import pytest
from standin import asked

from benchmark.rig.checks import gpus
from benchmark.rig.checks.check import FAIL, OK, UNKNOWN, WARN

ALL = """
from benchmark.rig.checks.catalogue import chosen
from benchmark.rig.place import Place
from dataclasses import asdict
place = Place.here()
checks = chosen(1, ["gpus", "capability", "driver.nvml", "driver.cuda"])
print(json.dumps({check.name: asdict(check.look(place)) for check in checks}))
"""


@pytest.fixture
def found(nvidia):
    def ask(**changes) -> dict[str, tuple[str, str]]:
        return {name: (each["status"], each["found"]) for name, each in asked(ALL, nvidia, **changes).items()}

    return ask


def statuses(found: dict[str, tuple[str, str]]) -> dict[str, str]:
    return {name.removeprefix("gpus."): status for name, (status, _) in found.items()}


def test_the_papers_cheap_rig_has_three_narrow_links(found):
    """RTX 2070 know neither ECC nor MIG nor remapped rows, and their driver does not stay loaded."""
    there = found(STANDIN="four-rtx-2070")
    assert there["gpus.width"] == (WARN, "GPU 1: x1 of x16; GPU 2: x1 of x16; GPU 3: x4 of x16")
    expected = dict.fromkeys(("errors", "rows", "mig"), UNKNOWN)
    expected |= dict.fromkeys(("lost", "alike", "mode", "clocks", "power", "generation", "capability.code"), OK)
    expected |= dict.fromkeys(("width", "persistence"), WARN)
    expected |= {"driver.nvml": OK, "driver.cuda": OK, "others": WARN}
    assert statuses(there) == expected
    assert there["gpus.errors"][1] == "GPUs 0, 1, 2, 3: NVML: Not Supported"


def test_a_lost_board_fails_once_and_makes_nothing_else_ok(found):
    there = found(STANDIN="four-rtx-2070", STANDIN_LOST=2)
    assert there["gpus.lost"] == (FAIL, "GPU 2: NVML: GPU is lost")
    of_boards = {name: status for name, status in statuses(there).items() if not name.startswith(("lost", "driver"))}
    assert OK not in of_boards.values(), of_boards
    assert "GPU 2: NVML: GPU is lost" in there["capability.code"][1]


def test_a_b200_has_no_code_in_the_wheel_of_today_and_an_h200_has(found):
    b200, h200 = found(STANDIN="b200"), found(STANDIN="h200")
    assert b200["capability.code"][0] == FAIL and "NVIDIA B200 (10.0)" in b200["capability.code"][1]
    assert h200["capability.code"][0] == OK and "NVIDIA H200 (9.0): sm_90" in h200["capability.code"][1]
    assert b200["gpus.width"] == (WARN, "GPU 0: x8 of x16")


def test_unlike_boards(found):
    there = found(STANDIN="reversed")
    assert there["gpus.alike"] == (
        WARN, "GPU 0: NVIDIA GeForce GT 1030, 2 GiB; GPU 1: Tesla V100-SXM2-32GB, 32 GiB",
    )  # fmt: skip


def test_what_falls_at_rest_is_unknown_and_width_is_not(found):
    there = found(STANDIN="h200", STANDIN_IDLE=1)
    assert there["gpus.generation"][0] == UNKNOWN and "GPU 0: 1 of 5" in there["gpus.generation"][1]
    assert there["gpus.width"][0] == OK and there["gpus.clocks"][0] == OK  # idle is no reason to worry


@pytest.mark.parametrize(
    ("changes", "check", "status", "words"),
    [
        ({"STANDIN_REASONS": 0x40}, "clocks", FAIL, "hardware thermal"),
        ({"STANDIN_REASONS": 0x88}, "clocks", FAIL, "hardware slowdown, power brake"),
        ({"STANDIN_REASONS": 0x4}, "clocks", OK, ""),  # the power limit
        ({"STANDIN_ERRORS": 3}, "errors", FAIL, "GPU 0: 3"),
        ({"STANDIN_ERRORS": 3}, "rows", FAIL, "rows wait to be remapped"),
        ({"STANDIN_OTHER": 1}, "others", WARN, "GPU 0: process 1"),
        ({"STANDIN_MIG": 1}, "mig", WARN, "GPU 0: partitioned"),
        ({"STANDIN_CAPPED": 1}, "power", WARN, "GPU 0: 505 W of 555"),
        ({"STANDIN_CUDA": 11080}, "driver.cuda", FAIL, "CUDA up to 11.8"),
    ],
)
def test_what_an_h200_may_have(found, changes, check, status, words):
    name = check if "." in check else f"gpus.{check}"
    there, well = found(STANDIN="h200", **changes)[name], found(STANDIN="h200")[name]
    assert there[0] == status and words in there[1]
    assert status == OK or there != well


def test_memory_in_use_by_processes_that_a_container_does_not_show(found):
    """The stand-in's boards have 2 GiB and more in use."""
    assert found(STANDIN="h200")["gpus.others"] == (
        WARN, "GPU 0: 2.0 GiB in use by processes that are not shown",
    )  # fmt: skip


def test_numbers_of_boards_as_text():
    assert gpus.gpus([0]) == "GPU 0" and gpus.gpus(n for n in (1, 3)) == "GPUs 1, 3"
