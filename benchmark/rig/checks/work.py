"""Links, sums over replicas and clocks under load; levels 2 and 3.

A link's generation and the clocks are read while `benchmark.rig.load` copies or multiplies. Without a GPU the processor
multiplies, and two logical CPUs add up.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

from benchmark.rig.boards import Board, boards, count
from benchmark.rig.checks.check import GPU, NVML, Check, Finding, fail, ok, unknown, warn
from benchmark.rig.checks.gpus import HELD_BACK
from benchmark.rig.load import LoadError, under_load
from benchmark.rig.place import Place
from platforms.machine import cuda_boards

COPIES_S, PRODUCTS_S, CPU_PRODUCTS_S = 6.0, 30.0, 4.0
LONG_WINDOW_S, LONG_WINDOWS = 60.0, 14
EVERY_S = 0.5
HELD_SHARE = 0.1  # of the looks, from which on a reason for slow clocks counts
SOFT = {0x2: "clocks set by hand (nvidia-smi -rac, -rgc)"}
IDLE = 0x1
CPU_INSTEAD = "TensorFlow sees no GPU, and the CPU multiplied in its place: driver.tensorflow"
POWER_CAP = 0x4  # large products reach the power limit of most boards
STEADY, DRIFT, APART = 0.85, 0.95, 0.90
SUM_MB, ROUNDS = 100, 5
SPENT = "the power limit"

Looks = list[list[Board]]


def looked(place: Place, kind: str, seconds: float, *names: str) -> tuple[Looks, dict[str, float]]:
    """Load all GPUs; return what the boards said meanwhile, look by look, and the rates by device. Raises LoadError."""
    looks: Looks = []
    with under_load(kind, seconds=seconds) as work:
        until_s = time.monotonic() + seconds - EVERY_S
        while time.monotonic() < until_s:
            looks.append(boards(place, *names))
            time.sleep(EVERY_S)
    return looks, work.rates


def links(place: Place) -> Finding:
    names = ("pcie_gen", "pcie_width", "max_pcie_gen", "max_pcie_width", "pcie_replays")
    before, shown = boards(place, "pcie_replays", "pci"), cuda_boards()
    try:
        looks, rates = looked(place, "copies", COPIES_S, *names)
    except LoadError as error:
        return unknown(str(error))
    after = boards(place, "pcie_replays")
    bad, told = [], []
    for number, board in enumerate(before):
        if shown and board["pci"].value not in shown:
            told.append(f"GPU {number}: at rest, CUDA does not show it")
            continue
        best = {name: max((look[number][name].value or 0 for look in looks), default=0) for name in names}
        if not all(best[name] for name in names[:4]):
            return unknown(f"GPU {number}: NVML does not tell its link")
        text = f"GPU {number}: generation {best['pcie_gen']} x{best['pcie_width']}"
        told.append(text)
        if best["pcie_gen"] < best["max_pcie_gen"] or best["pcie_width"] < best["max_pcie_width"]:
            bad.append(f"{text} of generation {best['max_pcie_gen']} x{best['max_pcie_width']}")
        old, new = board["pcie_replays"].value, after[number]["pcie_replays"].value
        if old is not None and new is not None and new > old:
            bad.append(f"GPU {number}: {new - old} packets sent again")
    copied = "; ".join(f"{_at(device)}{rate:.1f} GB/s from memory that is not pinned" for device, rate in rates.items())
    if bad:
        return warn(
            f"{'; '.join(bad)}; {copied}",
            expected="under load, what slot and board can, and no packet sent again",
            way_out="reseat the board, its riser or cable; the firmware's setting of the slot's generation",
        )
    return ok("; ".join([*told, copied]))


def _at(device: str) -> str:
    """Return a device of TensorFlow's with its place on the bus: CUDA and NVML count in orders of their own."""
    shown, number = cuda_boards(), int(device.rpartition(":")[2])
    return f"{shown[number]}: " if device.startswith("GPU") and number < len(shown) else f"{device}: "


# --- sums over replicas ----------------------------------------------------------------------------------------------


def sum_first_gpu(place: Place) -> Finding:
    return _sum(place, "first-gpu")


def sum_nccl(place: Place) -> Finding:
    if not count(place).value:
        return unknown("no GPU: NCCL adds up between GPUs alone")
    return _sum(place, "nccl")


def _sum(place: Place, reduction: str) -> Finding:
    import platforms
    from benchmark.run.prepare import devices

    tf = devices.tf
    gpus = devices.gpus_present()
    if not gpus and count(place).value:
        return unknown("TensorFlow sees no GPU: driver.tensorflow")
    if gpus == 1:
        return unknown("one GPU: nothing is added up")
    cpu = platforms.load("cpu")
    replicas = gpus or 2
    hardware = replace(
        cpu.hardware, gpus=replicas, gpu="any", gpu_memory_gib=1, links=("any",) * replicas, cpu="any",
        logical_cores=1, ram_gib=1,
    )  # fmt: skip
    rig = replace(
        cpu,
        hardware=hardware,
        input=replace(cpu.input, batch=16 * replicas),
        training=replace(cpu.training, reduction=reduction),
    )
    prepared = devices.prepare(rig)
    numbers = SUM_MB * 10**6 // 4

    def given() -> object:
        replica = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int32)
        return tf.cast(tf.range(numbers) % 1000 + replica, tf.float32)

    @tf.function
    def started() -> object:
        return prepared.strategy.run(given)

    @tf.function
    def added(values: object) -> object:
        def one(value: object) -> object:
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)

        return prepared.strategy.run(one, (values,))

    values, times_s = started(), []
    for _ in range(1 + ROUNDS):
        devices.synchronise()
        began_s = time.monotonic()
        sums = added(values)
        devices.synchronise()
        times_s.append(time.monotonic() - began_s)
    first = replicas * (replicas - 1) // 2
    expected = tf.cast(replicas * (tf.range(numbers) % 1000) + first, tf.float32)  # whole numbers: exact in float32
    wrong = [
        number
        for number, each in enumerate(prepared.strategy.experimental_local_results(sums))
        if float(tf.reduce_max(tf.abs(tf.identity(each) - expected))) != 0
    ]
    return added_up(prepared.describe(), prepared.reduction, wrong, min(times_s[1:]))


def added_up(devices: str, reduction: str, wrong: list[int], seconds: float) -> Finding:
    """Return what a sum over replicas means; GB/s are those of NCCL's tests, "algorithm bandwidth": size over time."""
    told = f"{SUM_MB} MB in {1000 * seconds:.1f} ms, {SUM_MB / 1000 / seconds:.1f} GB/s, {devices}, by {reduction}"
    if wrong:
        return fail(
            f"the sum is wrong on replica {', '.join(map(str, wrong))}; {told}",
            expected="the sum, exact, on every replica",
            way_out="NCCL_P2P_DISABLE=1 tells whether it is copies between boards (IOMMU, ACS); another driver or NCCL",
        )
    return ok(f"exact; {told}")


# --- matrix products -------------------------------------------------------------------------------------------------

PRODUCTS = ("sm_clock_mhz", "max_sm_clock_mhz", "temperature_c", "power_w", "clock_reasons", "name")


def products(place: Place) -> Finding:
    try:
        if count(place).value:
            looks, rates = looked(place, "products", PRODUCTS_S, *PRODUCTS)
            return unknown(CPU_INSTEAD) if _on_cpu(rates) else worked(looks, rates)
        windows = [looked(place, "products", CPU_PRODUCTS_S)[1] for _ in range(2)]
    except LoadError as error:
        return unknown(str(error))
    tflops = [sum(each.values()) for each in windows]
    if not all(tflops):
        return unknown("the products told no rate")
    told = f"{tflops[0]:.3g} and {tflops[1]:.3g} TFLOP/s on the CPU, {CPU_PRODUCTS_S:g} s each"
    if min(tflops) < STEADY * max(tflops):
        return warn(
            told, expected="the same twice", way_out="system.neighbours, system.steal, system.cores: who takes it"
        )
    return ok(told)


def _on_cpu(rates: dict[str, float]) -> bool:
    return any(device.startswith("CPU") for device in rates)


def worked(looks: Looks, rates: dict[str, float]) -> Finding:
    """Return what clocks, reasons and rates under load mean."""
    hard, soft, told = [], [], []
    for number in range(len(looks[0]) if looks else 0):
        board = {name: [look[number][name].value for look in looks if look[number][name].known] for name in PRODUCTS}
        if not board["sm_clock_mhz"]:
            hard.append(f"GPU {number}: {looks[-1][number]['sm_clock_mhz'].why_not}")
            continue
        told.append(_described(number, board))
        hard += [f"GPU {number}: {words}" for words in _often(board["clock_reasons"], HELD_BACK)]
        soft += [f"GPU {number}: {words}" for words in _often(board["clock_reasons"], SOFT)]
    rated = ", ".join(f"{_at(device)}{rate:.1f} TFLOP/s" for device, rate in rates.items())
    found = "; ".join([*hard, *soft, *told, *[rated] * bool(rated)])
    names = {look[number]["name"].value for look in looks[:1] for number in range(len(look))}
    if hard:
        return fail(
            found,
            expected="clocks that nothing holds back",
            way_out="cooling, dust, power supply and its cables; nvidia-smi -q -d PERFORMANCE,TEMPERATURE",
        )
    if soft:
        return warn(found, expected="clocks that nothing holds back", way_out="nvidia-smi -rac -rgc, as root")
    if not rates or not looks:
        return unknown(found or "the load told no rate")
    if len(names) == 1 and min(rates.values()) < APART * max(rates.values()):
        return warn(
            found,
            expected="boards of one kind that are as fast",
            way_out="the slower one's cooling, power limit and clocks (gpus.power)",
        )
    return ok(found)


def _often(bits: list[int], words: dict[int, str]) -> list[str]:
    return [text for bit, text in words.items() if sum(1 for each in bits if each & bit) > HELD_SHARE * len(bits)]


def _described(number: int, board: dict[str, list]) -> str:
    clocks = board["sm_clock_mhz"][len(board["sm_clock_mhz"]) // 3 :]
    parts = [
        f"{statistics.median(clocks):.0f} MHz" + (f" of {max(most)}" if (most := board["max_sm_clock_mhz"]) else "")
    ]
    parts += [f"at most {max(board['temperature_c'])} C"] if board["temperature_c"] else []
    parts += [f"{statistics.median(board['power_w']):.0f} W"] if board["power_w"] else []
    parts += ["idle: CUDA does not show it"] if _often(board["clock_reasons"], {IDLE: "idle"}) else []
    parts += [f"at {SPENT}"] if _often(board["clock_reasons"], {POWER_CAP: SPENT}) else []
    return f"GPU {number}: {', '.join(parts)}"


def drift(place: Place) -> Finding:
    return drifting(place, windows=LONG_WINDOWS, window_s=LONG_WINDOW_S, look=looked)


def drifting(place: Place, *, windows: int, window_s: float, look: Callable) -> Finding:
    """Multiply in windows, a pause of seconds between two; tell how the last third compares with the first."""
    rates, looks = [], []
    try:
        for _ in range(windows):
            seen, found = look(place, "products", window_s, *PRODUCTS)
            if _on_cpu(found) and count(place).value:
                return unknown(CPU_INSTEAD)
            looks += seen
            rates.append(sum(found.values()))
    except LoadError as error:
        return unknown(str(error))
    third = max(1, windows // 3)
    early, late = statistics.median(rates[:third]), statistics.median(rates[-third:])
    if not early:
        return unknown("the products told no rate")
    told = f"{early:.4g} TFLOP/s at first, {late:.4g} at last, {windows} times {window_s:g} s"
    if late < DRIFT * early:
        return warn(
            told + (f"; {worked(looks, {}).found}" if looks and looks[0] else ""),
            expected=f"at most {1 - DRIFT:.0%} less at last",
            way_out="cooling: heat builds up; on a rented machine also who shares it",
        )
    return ok(told)


CHECKS = (
    Check(name="work.links", asks="do links run as slot and board can?", look=links, level=2, limit_s=180, needs=GPU,
          load=True),
    Check(name="work.sum", asks="is a sum over replicas exact?", look=sum_first_gpu, level=2, limit_s=180, needs=NVML,
          load=True),
    Check(name="work.nccl", asks="is NCCL's sum exact?", look=sum_nccl, level=2, limit_s=180, needs=NVML, load=True),
    Check(name="work.products", asks="do clocks hold under load?", look=products, level=2, limit_s=300, needs=NVML,
          load=True),
    Check(name="work.drift", asks="do they hold for long?", look=drift, level=3, limit_s=2400, needs=NVML, load=True),
)  # fmt: skip
