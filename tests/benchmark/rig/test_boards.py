from standin import asked

from benchmark.rig.boards import VALUES, boards, count
from benchmark.rig.place import Place

ALL = """
from benchmark.rig.boards import boards
from benchmark.rig.place import Place
found = boards(Place.here())
print(json.dumps([{name: [fact.value, fact.why_not] for name, fact in board.items()} for board in found]))
"""


def test_unlike_links_are_told_apart(nvidia):
    """The paper's Sys1: one board at x16, three on risers whose slots and boards could do more."""
    found = asked(ALL, nvidia, STANDIN="four-rtx-2070")
    assert [(each["pcie_gen"][0], each["pcie_width"][0]) for each in found] == [(3, 16), (2, 1), (2, 1), (2, 4)]
    assert [each["max_pcie_width"][0] for each in found] == [16, 16, 16, 16]
    assert all(each["memory_gib"][0] == 8 and each["capability"][0] == [7, 5] for each in found)


def test_what_a_board_does_not_know_is_unknown_and_never_0(nvidia):
    (one, *_), (h200,) = (asked(ALL, nvidia, STANDIN=name) for name in ("four-rtx-2070", "h200"))
    for name in ("uncorrected_errors", "ecc", "mig", "numa_node", "nvlinks"):
        assert one[name] == [None, "NVML: Not Supported"], name
    assert h200["uncorrected_errors"][0] == 0 and h200["mig"][0] is False
    assert set(one) == set(VALUES)


def test_links_that_are_up_are_counted(nvidia):
    assert [each["nvlinks"][0] for each in asked(ALL, nvidia, STANDIN="reversed")] == [None, 6]


def test_a_lost_board_says_so_in_place_of_every_value(nvidia):
    found = asked(ALL, nvidia, STANDIN="four-rtx-2070", STANDIN_LOST=2)
    assert all(value == [None, "NVML: GPU is lost"] for value in found[2].values())
    assert found[3]["pcie_width"][0] == 4


def test_without_nvml_there_are_no_boards_and_a_reason():
    place = Place(why_no_nvml="NVML: NVML Shared Library Not Found")
    assert boards(place) == [] and count(place).why_not == "NVML: NVML Shared Library Not Found"
