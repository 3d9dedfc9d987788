"""Runs that nobody made: journals and folders of invented rigs, as realistic as a report of them needs to look real.

    paths = invent(folder, runs=4)              # the first rig once or twice, or up to ten rigs with ten seeds each

A rig has a machine, a price, a throughput; a run's error falls by a power law with a seed's noise, and its GPUs are
busy but for evaluations. The same call gives the same files.
"""

import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path

from journals import make_row, write

from benchmark.record.history import RunRecord
from benchmark.record.phases import Phase
from benchmark.record.sentences import Example, Heard

WORKLOAD = "librispeech"
UTTERANCES = 281_000  # of an epoch
PER_ROW = 10_000
TARGETS = {"wer": [22.0, 20.2, 19.2], "cer": [10.0, 8.0, 7.0]}


@dataclass(frozen=True, kw_only=True)
class Rig:
    """An invented rig: `rate` in utterances a second, `rent` in USD an hour, `total` in USD."""

    name: str
    label: str
    gpus: int
    gpu: str
    memory_gib: int
    rate: float
    rent: float | None = None
    total: float | None = None
    batch: int = 96
    precision: str = "mixed_bfloat16"
    busy: float = 88.0


RIGS = tuple(
    Rig(name=name, label=label, gpus=gpus, gpu=gpu, memory_gib=memory, rate=rate, **more)
    for name, label, gpus, gpu, memory, rate, more in (
        ("h100x8", "8 x H100 SXM", 8, "NVIDIA H100 80GB HBM3", 80, 2650, {"rent": 19.92, "batch": 512}),
        ("l40sx4", "4 x L40S workstation", 4, "NVIDIA L40S", 48, 905, {"total": 41_800, "batch": 192}),
        ("a10x1", "one A10", 1, "NVIDIA A10", 24, 151, {"rent": 0.75, "busy": 97}),
        ("rtx4090x2", "2 x RTX 4090", 2, "NVIDIA GeForce RTX 4090", 24, 520, {"total": 7_900, "precision": "float32"}),
        ("a100x8", "8 x A100 SXM", 8, "NVIDIA A100-SXM4-80GB", 80, 1490, {"rent": 14.32, "batch": 512}),
        ("h200-vendor-cloud-europe-west", "a long name", 8, "NVIDIA H200", 141, 3120, {"rent": 27.5, "batch": 512}),
        ("t4x4", "4 x T4", 4, "Tesla T4", 16, 161, {"rent": 2.12, "precision": "mixed_float16"}),
        ("v100x4", "4 x V100, the old server", 4, "Tesla V100-SXM2-32GB", 32, 396, {"total": 9_900}),
        ("a6000x2", "2 x RTX A6000", 2, "NVIDIA RTX A6000", 48, 288, {"total": 12_300}),
        ("l4x1", "one L4", 1, "NVIDIA L4", 24, 82, {"rent": 0.71}),
    )
)


def invent(folder: Path, *, runs: int, emulated: int = 0, **identity) -> list[Path]:
    """Write so many runs over the first rigs: one rig of 1 run, two of up to 4, four of up to 12, else all ten."""
    folder.mkdir(parents=True, exist_ok=True)
    rigs = RIGS[: 1 if runs == 1 else 2 if runs <= 4 else 4 if runs <= 12 else len(RIGS)]
    return [
        make(folder, rigs[n % len(rigs)], seed=1 + n // len(rigs), emulated=n < emulated, **identity)
        for n in range(runs)
    ]


def make(
    folder: Path, rig: Rig, *, seed: int, emulated: bool = False, recipe: str = "paper", epochs: int = 0,
    sooner: float = 1.0,
) -> Path:  # fmt: skip
    """Write one run and its folder; return the journal's path. `sooner` divides the epochs that a level takes."""
    chance = random.Random(f"{rig.name} {seed} {recipe}")
    name = f"{rig.name}-{recipe}-seed{seed}" if recipe != "paper" else f"{rig.name}-seed{seed}"
    identity = {
        "run": name, "platform": rig.name, "workload": WORKLOAD, "recipe": recipe, "seed": seed, "replicas": rig.gpus,
        "devices": f"{rig.gpus} x {rig.gpu}", "emulated": emulated, "batch": rig.batch, "precision": rig.precision,
        "decoder": "dictionary-256", "code": "3f2a91c",
    }  # fmt: skip
    record = _record(rig, chance, identity, epochs, sooner)
    path = folder / f"{name}.csv"
    write(path, record)
    own = path.with_suffix("")
    own.mkdir()
    (own / "run.json").write_text(json.dumps(_facts(rig, seed), indent=1))
    (own / "end.json").write_text('{"status": "finished"}')
    (own / "utilisation.csv").write_text(_usage(rig, chance, record))
    (own / "sentences.jsonl").write_text(_sentences(record))
    return path


def _record(rig: Rig, chance: random.Random, identity: dict, epochs: int, sooner: float) -> RunRecord:
    """Epochs until the last target holds over three epochs, as a run ends, or `epochs` of them."""
    usual = {"machines": 1, **identity}
    rows = [make_row(Phase.CREATE, 0.0, chance.uniform(22, 38), **usual)]
    seed_rate = rig.rate * chance.gauss(1, 0.012)
    start, slope = 58 * chance.gauss(1, 0.02), 0.44 * chance.gauss(1, 0.015)
    step, history = 0, []

    def add(phase: Phase, seconds: float, **outcome) -> None:
        rows.append(make_row(phase, rows[-1].ended_s, seconds, step=step, epoch=epoch, **usual, **outcome))

    for epoch in range(1, 41):
        for part in range(UTTERANCES // PER_ROW):
            step += PER_ROW // rig.batch
            rate = seed_rate * (0.62 if part == 0 else 1) * chance.gauss(1, 0.02)
            passed = (epoch - 1 + part / 28) * sooner
            loss = (260 * (1 + 2 * passed) ** -0.62 + 14) * chance.gauss(1, 0.03)
            add(Phase.TRAIN, PER_ROW / rate, utterances=PER_ROW, loss=loss, input_s=0.004 * PER_ROW / rate,
                audio_s=12.3 * PER_ROW, tflop=0.41 * PER_ROW)  # fmt: skip
            if part % 9 == 5:
                add(Phase.GENERATE, chance.uniform(0.7, 1.2))
        add(Phase.CHECKPOINT, chance.uniform(1.5, 3))
        add(Phase.SWAP, chance.uniform(2, 4))
        wer = max(16.1, start * (epoch * sooner) ** -slope + 1.5) * chance.gauss(1, 0.012)
        rates = {"wer": wer, "cer": 0.36 * wer * chance.gauss(1, 0.01), "wer_mean": wer + 1.2, "cer_paper": 0.38 * wer}
        add(Phase.EVALUATE, chance.uniform(36, 44), utterances=2703, **rates)
        history.append((rates["wer"], rates["cer"]))
        last = history[-3:]
        reached = len(last) == 3 and all(
            sorted(each[n] for each in last)[1] <= level for n, level in ((0, 19.2), (1, 7.0))
        )
        if epoch == epochs or not epochs and reached:
            break
    return RunRecord(tuple(rows))


def _facts(rig: Rig, seed: int) -> dict:
    price = None
    if rig.rent or rig.total:
        price = {"currency": "USD", "date": "2026-10-14", "source": "list price, invented"}
        price |= {"rent_per_hour": rig.rent} if rig.rent else {}
        if rig.total:
            price |= {"total": rig.total, "gpus": 0.6 * rig.total, "cpu": 0.1 * rig.total, "storage_included": True}
    hardware = {
        "gpus": rig.gpus, "gpu": rig.gpu, "gpu_memory_gib": rig.memory_gib, "links": ["PCIe 4.0 x16"] * rig.gpus,
        "cpu": "AMD EPYC 9354", "logical_cores": 64, "ram_gib": 512,
    }  # fmt: skip
    platform = {
        "name": rig.name, "label": rig.label, "description": rig.label, "hardware": hardware,
        "input": {"batch": rig.batch, "readers": 16, "buffer": 64},
        "training": {"reduction": "nccl", "precision": rig.precision}, **({"price": price} if price else {}),
    }  # fmt: skip
    return {
        "schema": 4,
        "created": "2026-11-03T08:15:00+00:00",
        "code": {"version": "2.0", "git_commit": "3f2a91c", "git_dirty": False},
        "platform": platform,
        "plan": {"targets": TARGETS},
        "seed": seed,
        "devices": {"names": [rig.gpu] * rig.gpus, "replicas": rig.gpus, "emulated": False, "reduction": "nccl",
                    "sensors": [f"gpu{n}" for n in range(rig.gpus)]},
        "host": {"cpu": "AMD EPYC 9354", "logical_cores": 64, "usable_cores": 64, "gpus": [rig.gpu] * rig.gpus,
                 "python": "3.12.3", "system": "Linux-6.8", "nvidia_driver": "570.86.15"},
        "versions": {"tensorflow": "2.20.0", "keras": "3.12"},
        "loaded": {"cuda": "12.5", "cuda_driver": "12.8", "cudnn": "9.3"},
        "unavailable": {},
    }  # fmt: skip


def _usage(rig: Rig, chance: random.Random, record: RunRecord) -> str:
    """Ten seconds a sample, and half a second in the middle of training."""
    columns = ["seconds", "process_cpu_percent", "process_memory_mib", "host_cpu_percent", "host_memory_mib"]
    for n in range(rig.gpus):
        columns += [f"gpu{n}_{what}" for what in ("util_percent", "memory_mib", "power_w", "temperature_c")]
    end_s = record.ended_s
    middle_s = end_s / 2
    times = sorted({10.0 * n for n in range(int(end_s / 10))} | {middle_s + 0.5 * n for n in range(80)})
    spans = [(row.started_s, row.ended_s) for row in record.rows if row.phase in (Phase.EVALUATE, Phase.CREATE)]
    lines, place = [",".join(columns)], 0
    for at_s in times:
        while place < len(spans) and spans[place][1] < at_s:
            place += 1
        idle = place < len(spans) and spans[place][0] <= at_s
        cpu = 5200 if idle else chance.gauss(1100, 80)
        cells = [f"{at_s:.1f}", f"{cpu:.0f}", "21000", f"{cpu / 64 + 1.5:.1f}", "26000"]
        for n in range(rig.gpus):
            busy = chance.uniform(0, 6) if idle else min(100, max(0, chance.gauss(rig.busy - n, 4)))
            cells += [f"{busy:.0f}", f"{0.8 * 1024 * rig.memory_gib:.0f}", f"{60 + 3 * busy:.0f}", "61"]
        lines.append(",".join(cells))
    return "\n".join(lines) + "\n"


def _sentences(record: RunRecord) -> str:
    last = record.evaluations[-1]
    texts = (
        ("worst", "he hoped there would be stew for dinner", "he hope there would be due for dinner"),
        ("worst", "turnips and carrots and bruised potatoes", "turn ups and carats and bruised potatoes"),
        ("median", "the music came nearer and he recalled the words", "the music came nearer and he recalled the word"),
        ("best", "number ten fresh nelly is waiting on you", "number ten fresh nelly is waiting on you"),
    )
    examples = tuple(
        Example(rank=rank, id=f"1089-134686-{n:04}", reference=reference, hypothesis=hypothesis, word_edits=2, words=8,
                character_edits=3, characters=40)
        for n, (rank, reference, hypothesis) in enumerate(texts)
    )  # fmt: skip
    heard = Heard(phase="evaluate", epoch=last.epoch, step=last.step, wer=last.wer, cer=last.cer, examples=examples)
    return json.dumps(asdict(heard)) + "\n"
