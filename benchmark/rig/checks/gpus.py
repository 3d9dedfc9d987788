"""The boards at rest: errors, neighbours, modes and links.

A link's width is certain at rest; its generation falls when nothing is sent, so a low one is unknown here and read
under load at level 2 (`work.links`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from benchmark.rig.boards import Board, boards
from benchmark.rig.checks.check import GPU, Check, Finding, fail, ok, unknown, warn
from benchmark.rig.place import Place

PROHIBITED, ALONE = 2, 3  # NVML_COMPUTEMODE_*
HELD_GIB = 1.0  # of memory in use, which a display and the driver stay under
HELD_BACK = {0x8: "hardware slowdown", 0x20: "software thermal", 0x40: "hardware thermal", 0x80: "power brake"}
"""Bits of nvmlClocksEventReason* that no healthy board has at rest, nor for long under load."""


def of_all(place: Place, *names: str) -> tuple[list[tuple[int, Board]], str]:
    """Return number and values of the boards that know all of some, and a text about the others."""
    known, missing = [], []
    for number, board in enumerate(boards(place, *names)):
        why = next((board[name].why_not for name in names if not board[name].known), "")
        if why:
            missing.append((number, why))
        else:
            known.append((number, board))
    reasons = {why: [number for number, each in missing if each == why] for _, why in missing}
    return known, "; ".join(f"{gpus(numbers)}: {why}" for why, numbers in reasons.items())


def gpus(numbers: Iterable[int]) -> str:
    """Return the numbers of GPUs, in NVML's order, as text: "GPU 0", "GPUs 1, 2, 3"."""
    found = list(numbers)
    return f"GPU{'s' * (len(found) != 1)} {', '.join(map(str, found))}"


def settled(told: str, missing: str) -> Finding:
    """Return ok, or unknown where some board does not tell."""
    return unknown(f"{told}; {missing}" if told else missing) if missing else ok(told)


def lost(place: Place) -> Finding:
    known, missing = of_all(place, "name")
    if missing:
        return fail(
            missing,
            expected="boards that answer",
            way_out="dmesg (NVRM, Xid) says why; reseat the board, its riser and its power, and restart the machine",
        )
    return ok(f"{len(known)} of {len(known)} answer")


def alike(place: Place) -> Finding:
    known, missing = of_all(place, "name", "memory_gib")
    kinds: dict[tuple[str, int], list[int]] = {
        (board["name"].value, round(board["memory_gib"].value)): [] for _, board in known
    }
    for number, board in known:
        kinds[board["name"].value, round(board["memory_gib"].value)].append(number)
    told = "; ".join(f"{gpus(numbers)}: {name}, {gib} GiB" for (name, gib), numbers in kinds.items())
    if len(kinds) > 1:
        return warn(
            told,
            expected="boards of one kind: all wait for the slowest",
            way_out="CUDA_VISIBLE_DEVICES with the UUIDs of those of one kind (nvidia-smi -L)",
        )
    return settled(told, missing)


def errors(place: Place) -> Finding:
    known, missing = of_all(place, "uncorrected_errors")
    bad = [
        f"GPU {number}: {board['uncorrected_errors'].value}"
        for number, board in known
        if board["uncorrected_errors"].value
    ]
    if bad:
        return fail(
            f"uncorrected errors of memory since the driver was loaded: {'; '.join(bad)}",
            expected="none",
            way_out="nvidia-smi -q -d ECC,ROW_REMAPPER; restart; a board that has them again is broken",
        )
    return settled("no uncorrected error of memory" if known else "", missing)


def rows(place: Place) -> Finding:
    known, missing = of_all(place, "remapped_rows")
    bad, worn = [], []
    for number, board in known:
        _, uncorrectable, pending, failed = board["remapped_rows"].value
        if pending or failed:
            bad.append(f"GPU {number}: {'remapping failed' if failed else 'rows wait to be remapped'}")
        elif uncorrectable:
            worn.append(f"GPU {number}: {uncorrectable}")
    if bad:
        return fail(
            "; ".join(bad),
            expected="no row of memory to remap",
            way_out="restart; if it stays, replace the board (nvidia-smi -q -d ROW_REMAPPER)",
        )
    if worn:
        return warn(
            f"rows of memory that were remapped after uncorrectable errors: {'; '.join(worn)}",
            expected="none",
            way_out="watch it: nvidia-smi -q -d ROW_REMAPPER",
        )
    return settled("none remapped" if known else "", missing)


def mig(place: Place) -> Finding:
    known, missing = of_all(place, "mig")
    parted = [number for number, board in known if board["mig"].value]
    if parted:
        return warn(
            f"{gpus(parted)}: partitioned (MIG)",
            expected="whole boards: a process sees one part alone",
            way_out="nvidia-smi -i N -mig 0, as root; or measure one part, and say so",
        )
    return settled("no board is partitioned" if known else "", missing)


def mode(place: Place) -> Finding:
    known, missing = of_all(place, "compute_mode")
    barred = [number for number, board in known if board["compute_mode"].value == PROHIBITED]
    alone = [number for number, board in known if board["compute_mode"].value == ALONE]
    if barred:
        return fail(f"{gpus(barred)}: prohibited", expected="default", way_out="nvidia-smi -i N -c DEFAULT, as root")
    return settled(f"{gpus(alone)}: one process at a time" if alone else "default" if known else "", missing)


def persistence(place: Place) -> Finding:
    known, missing = of_all(place, "persistence")
    off = [number for number, board in known if not board["persistence"].value]
    if off:
        return warn(
            f"{gpus(off)}: off, the driver forgets the board between processes",
            expected="on: a start is seconds sooner, and counters are kept",
            way_out="nvidia-smi -pm 1, as root, or the service nvidia-persistenced",
        )
    return settled("on" if known else "", missing)


def others(place: Place) -> Finding:
    known, missing = of_all(place, "processes", "used_memory_gib")
    busy = []
    for number, board in known:
        pids, held = board["processes"].value, board["used_memory_gib"].value
        if pids:
            busy.append(f"GPU {number}: {', '.join(_process(place, pid) for pid in pids)}")
        elif held > HELD_GIB:
            busy.append(f"GPU {number}: {held:.1f} GiB in use by processes that are not shown")
    if busy:
        return warn(
            "; ".join(busy),
            expected="boards of one's own",
            way_out="wait until they have ended, or end them; CUDA_VISIBLE_DEVICES with the UUIDs of the others",
        )
    return settled("no other process" if known else "", missing)


def _process(place: Place, pid: int) -> str:
    name = place.text(f"/proc/{pid}/comm").value
    return f"process {pid}" + (f" ({''.join(c if c.isprintable() else '?' for c in name)[:40]})" if name else "")


def held_back(place: Place) -> Finding:
    known, missing = of_all(place, "clock_reasons")
    bad = [
        f"GPU {number}: {reasons(board['clock_reasons'].value)}"
        for number, board in known
        if reasons(board["clock_reasons"].value)
    ]
    if bad:
        return fail(
            f"held back at rest by {'; '.join(bad)}",
            expected="nothing that holds clocks back at rest",
            way_out="cooling, power supply and its cables; nvidia-smi -q -d PERFORMANCE,TEMPERATURE",
        )
    return settled("nothing holds clocks back at rest" if known else "", missing)


def reasons(bits: int) -> str:
    return ", ".join(words for bit, words in HELD_BACK.items() if bits & bit)


def power(place: Place) -> Finding:
    known, missing = of_all(place, "power_limit_w", "default_power_limit_w")
    low = [
        f"GPU {number}: {board['power_limit_w'].value:.0f} W of {board['default_power_limit_w'].value:.0f}"
        for number, board in known
        if board["power_limit_w"].value < 0.99 * board["default_power_limit_w"].value
    ]
    if low:
        return warn("; ".join(low), expected="the limit that the maker set", way_out="nvidia-smi -pl W, as root")
    watts = sorted({round(board["power_limit_w"].value) for _, board in known})
    return settled(f"up to {', '.join(map(str, watts))} W" if known else "", missing)


def width(place: Place) -> Finding:
    known, missing = of_all(place, "pcie_width", "max_pcie_width")
    narrow = _links(known, lambda board: board["pcie_width"].value < board["max_pcie_width"].value)
    if narrow:
        return warn(
            narrow,
            expected="the lanes that slot and board have",
            way_out="reseat the board, its riser or cable; a mining riser has one lane, and some slots share theirs",
        )
    widths = sorted({board["pcie_width"].value for _, board in known}, reverse=True)
    return settled(f"x{', x'.join(map(str, widths))}" if known else "", missing)


def generation(place: Place) -> Finding:
    known, missing = of_all(place, "pcie_gen", "max_pcie_gen")
    low = [
        f"GPU {number}: {board['pcie_gen'].value} of {board['max_pcie_gen'].value}"
        for number, board in known
        if board["pcie_gen"].value < board["max_pcie_gen"].value
    ]
    if low:
        return unknown(f"{'; '.join(low)}; it falls at rest: level 2 reads it under load")
    found = sorted({board["pcie_gen"].value for _, board in known}, reverse=True)
    return settled(f"generation {', '.join(map(str, found))}" if known else "", missing)


def _links(known: list[tuple[int, Board]], bad: Callable[[Board], Any]) -> str:
    return "; ".join(
        f"GPU {number}: x{board['pcie_width'].value} of x{board['max_pcie_width'].value}"
        for number, board in known
        if bad(board)
    )


CHECKS = (
    Check(name="gpus.lost", asks="does every board answer?", look=lost, needs=GPU),
    Check(name="gpus.alike", asks="are the boards of one kind?", look=alike, needs=GPU),
    Check(name="gpus.errors", asks="has memory failed?", look=errors, needs=GPU),
    Check(name="gpus.rows", asks="were rows of memory remapped?", look=rows, needs=GPU),
    Check(name="gpus.mig", asks="are boards partitioned?", look=mig, needs=GPU),
    Check(name="gpus.mode", asks="may processes compute on them?", look=mode, needs=GPU),
    Check(name="gpus.persistence", asks="does the driver stay loaded?", look=persistence, needs=GPU),
    Check(name="gpus.others", asks="does anybody else use them?", look=others, needs=GPU),
    Check(name="gpus.clocks", asks="are clocks held back at rest?", look=held_back, needs=GPU),
    Check(name="gpus.power", asks="is the power limit lowered?", look=power, needs=GPU),
    Check(name="gpus.width", asks="do links have all their lanes?", look=width, needs=GPU),
    Check(name="gpus.generation", asks="do links have their speed?", look=generation, needs=GPU),
)
