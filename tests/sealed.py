"""A run that adds up, made by hand in milliseconds, sealed; and the same with something changed by a cheat.

    files = run_files(tmp_path)                     # name in the bundle -> bytes, without seal.json
    path = bundle(tmp_path / "a.tta.zip", files)    # sealed as a cheat would: with the manifest made anew

Nothing is trained: the rows are those that the plan has next, their errors are counted from made-up sentences, times
follow one another by a millisecond, and the samples of the machine cover them.
"""

import hashlib
import io
import json
import tempfile
import zipfile
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import platforms
from benchmark.proof.at_figures import figures_of
from benchmark.proof.bundle import JOURNAL, MANIFEST, SAID, SEAL, Member, write_bundle
from benchmark.proof.claims import claims_of
from benchmark.proof.manifest import seal_of
from benchmark.record import read_run
from benchmark.record.clocks import Span
from benchmark.record.columns import Identity, Outcome
from benchmark.record.hypotheses import HypothesisLog
from benchmark.record.journal import Journal
from benchmark.record.phases import Phase, Plan
from benchmark.workloads import load
from features.shards.manifest import Manifest, Settings, Shard

EPOCHS, BATCHES = 3, 7
PLAN = Plan(batches_per_epoch=BATCHES, max_epochs=EPOCHS, max_seconds=480, targets={"wer": (30.0,)})
SAID_IN_DEV = (
    ("201-1-0000", "forty maps are too many"), ("201-1-0001", "what's on twelve streets"),
    ("202-2-0000", "she laughed near the attic"), ("203-3-0001", "we will clean it"),
)  # fmt: skip
HEARD = (  # 18 words are said; 9, 5 and 3 of them are wrong: WER 50, 27.8 and 16.7
    ("forty a a a a", "what's on a a", "she laughed a a attic", "we will a it"),
    ("forty maps a too many", "what's a twelve a", "she laughed near attic", "we will clean a"),
    ("forty maps are too many", "what's on twelve a", "she laughed near attic", "we will clean a"),
)
CREATED = "2026-01-31T12:00:00+00:00"
TRAIN_S, EVALUATE_S, SAVE_S, GAP_S = 4.0, 0.7, 0.1, 0.001
LOSSES = (187.21318543632074, 112.53402306898585, 102.52526164504717)


def features() -> Manifest:
    """The manifest of features that nobody extracted."""
    train = Shard(file="train-a-00000.tfrecord", subset="train-a", frames=[222] * 106, content="a" * 64,
                  sha256="b" * 64, bytes=9)  # fmt: skip
    content = hashlib.sha256()
    for each in said()["dev-a-00000.tfrecord"]:
        content.update(json.dumps(each).encode())
    dev = Shard(file="dev-a-00000.tfrecord", subset="dev-a", frames=[200] * len(SAID_IN_DEV),
                content=content.hexdigest(), sha256="c" * 64, bytes=9)  # fmt: skip
    words = tuple(sorted({word for _, text in SAID_IN_DEV for word in text.split()}))
    return Manifest(settings=Settings(), shards=(dev, train), words=words, unknown={"dev-a": (0, 18)})


def said() -> dict[str, list[list[str]]]:
    return {"dev-a-00000.tfrecord": [[name, text, f"16000 1 {number}"] for number, (name, text) in
                                     enumerate(SAID_IN_DEV)]}  # fmt: skip


def facts(platform: str = "cpu", *, seed: int = 1, gpu: str = "") -> dict:
    """A run.json as a run writes it; with the name of a `gpu` of a platform that trained on its GPUs."""
    workload = load("mini").changed({"max_epochs": EPOCHS})
    replicas = platforms.load(platform).hardware.gpus or 1
    return {
        "schema": 4,
        "created": CREATED,
        "code": {"version": "0.1.0", "git_commit": "1a2b3c4d" * 5, "git_dirty": False},
        "platform": platforms.load(platform).to_dict(),
        "workload": workload.to_dict(),
        "plan": json.loads(json.dumps(asdict(PLAN))),
        "seed": seed,
        "command": {"arguments": ["--max-epochs", "3"], "make": False},
        "features": {
            "folder": None,
            "manifest_sha256": features().digest,
            "subsets": {
                "dev-a": {"utterances": len(SAID_IN_DEV), "hours": 0.0022, "words": 18, "unknown_words": 0},
                "train-a": {"utterances": 106, "hours": 0.0655, "words": None, "unknown_words": None},
            },
            "validation": "dev",
        },
        "decoder": {"label": "dictionary-256"},
        "preparation_s": 5.2,
        "devices": {"names": [gpu or "CPU"] * replicas, "replicas": replicas, "emulated": False, "sensors": []},
        "kernels": {"lstm": "llvm", "ctc": "cpu"},
        "host": {"cpu": "a processor", "logical_cores": 2, "usable_cores": 2, "python": "3.11.7"},
        "versions": {"tensorflow": "2.21.0"},
        "unavailable": {"gpu": "NVML: NVML Shared Library Not Found"},
    }


def identity(**changes) -> Identity:
    about = {
        "run": "r1", "platform": "cpu", "workload": "mini", "recipe": "paper", "seed": 1, "replicas": 1,
        "devices": "CPU", "emulated": False, "batch": 16, "precision": "float32", "features": features().digest[:12],
        "decoder": "dictionary-256", "evaluation": "resident", "code": "0.1.0+1a2b3c4d",
    }  # fmt: skip
    return Identity(**{**about, **changes})


def rates(heard) -> dict[str, float]:
    """The error figures of an evaluation; each wrong word here is another one or missing."""
    pairs = tuple((text, hypothesis) for (_, text), hypothesis in zip(SAID_IN_DEV, heard, strict=True))
    found = figures_of(pairs)
    missing = -int(found.pop("longer"))
    edits = round(found["wer"] * 18 / 100)
    return {name: round(value, 6) for name, value in found.items()} | {
        "substitutions": edits - missing, "deletions": missing, "insertions": 0}  # fmt: skip


def write_run(
    folder: Path,
    *,
    factor: float = 1.0,
    train_s: float = TRAIN_S,
    platform: str = "cpu",
    seed: int = 1,
    gpu: str = "",
    down_s: float | None = None,
) -> Path:
    """Write journal and folder of the run; `factor` makes its clock slower, or faster. Returns the journal's path.

    With `down_s` it was killed after the first epoch, and went on so many seconds later.
    """
    hardware = platforms.load(platform).hardware
    devices = f"{hardware.gpus} x {gpu}" if hardware.gpus else "CPU"
    about = identity(platform=platform, seed=seed, replicas=hardware.gpus or 1, devices=devices,
                     batch=platforms.load(platform).input.batch)  # fmt: skip
    run = folder / "r1"
    run.mkdir(parents=True)
    journal, at_s = Journal.create(folder / "r1.csv", about), 0.3

    def add(phase: Phase, seconds: float, **outcome) -> None:
        nonlocal at_s
        journal.append(phase, Span(factor * at_s, factor * seconds), Outcome(**outcome))
        at_s += seconds + GAP_S

    add(Phase.CREATE, 3.0, step=0, epoch=0)
    with HypothesisLog(run) as log:
        for epoch, (heard, loss) in enumerate(zip(HEARD, LOSSES, strict=True), start=1):
            at = {"step": BATCHES * epoch, "epoch": epoch}
            work = {"utterances": 106, "audio_s": 235.75, "input_s": 0.06, "tflop": 0.109108}
            add(Phase.TRAIN, train_s, **at, **work, loss=loss)
            add(Phase.CHECKPOINT, SAVE_S, **at)
            add(Phase.EVALUATE, EVALUATE_S, **at, utterances=len(heard), audio_s=8.0, **rates(heard))
            texts = [(name, text, each) for (name, text), each in zip(SAID_IN_DEV, heard, strict=True)]
            log.write("evaluate", **at, said=texts)
            if down_s is not None and epoch == 1:
                journal.close()
                journal = Journal.resume(folder / "r1.csv", about)
                add(Phase.CREATE, 2.0, **at, down_s=down_s)
                (run / "run-attempt-2.json").write_text(json.dumps(facts(platform, seed=seed, gpu=gpu), indent=1))
    journal.close()
    ended_s = round(factor * (at_s - GAP_S), 6)
    count = int((at_s + 1) * 10)
    samples = [f"{factor * n / 10:.3f},97.0,800.0,95.0,950.0" for n in range(3, count)]
    header = "seconds,process_cpu_percent,process_memory_mib,host_cpu_percent,host_memory_mib"
    (run / "utilisation.csv").write_text("\n".join([header, *samples]) + "\n")
    (run / "run.json").write_text(json.dumps(facts(platform, seed=seed, gpu=gpu), indent=1))
    at = datetime.fromisoformat(CREATED) + timedelta(seconds=round(ended_s + 1 + (down_s or 0)))
    end = {"status": "finished", "message": "", "step": BATCHES * EPOCHS, "epoch": EPOCHS, "clock_s": ended_s,
           "still": [], "suspended_s": 0.0, "at": at.isoformat()}  # fmt: skip
    (run / "end.json").write_text(json.dumps(end, indent=1))
    (run / "words.txt").write_text("".join(f"{word}\n" for word in features().words))
    return folder / "r1.csv"


def run_files(folder: Path, **how) -> dict[str, bytes]:
    """The members of a bundle of such a run, but for seal.json."""
    journal = write_run(folder, **how)
    run = folder / "r1"
    found = {JOURNAL: journal.read_bytes(), MANIFEST: features().to_json().encode()}
    found[SAID] = json.dumps(said()).encode()
    return found | {f"run/{path.name}": path.read_bytes() for path in sorted(run.iterdir())}


def sealed(files: dict[str, bytes], **changes) -> bytes:
    """A seal.json of these files, with what a cheat would claim: what the changed rows say."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        (place / "r1").mkdir()
        (place / "r1.csv").write_bytes(files[JOURNAL])
        for name in ("run/run.json", "run/end.json"):
            if name in files:
                (place / name.replace("run/", "r1/")).write_bytes(files[name])
        try:
            claims = claims_of(read_run(place / "r1.csv"))
        except ValueError:
            claims = {}
    digests = {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()}
    return seal_of(digests, files[JOURNAL], **{"run": "r1", "claims": claims, "left_out": {}, **changes})


def bundle(path: Path, files: dict[str, bytes], *, seal: bytes | None = None, **changes) -> Path:
    """Write a bundle of these files; `seal` in place of a new one is how a careless cheat leaves it."""
    members = {**files, SEAL: sealed(files, **changes) if seal is None else seal}
    path.unlink(missing_ok=True)
    write_bundle(path, [Member(name, lambda data=data: io.BytesIO(data)) for name, data in members.items()])
    return path


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
