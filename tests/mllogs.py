"""MLPerf logs made by hand, for the tests of benchmark.ingest."""

import json
from pathlib import Path

BEGAN_MS = 1_700_000_000_000


def line(key: str, at_s: float, value=None, **metadata) -> str:
    content = {"namespace": "", "time_ms": BEGAN_MS + round(at_s * 1000), "key": key, "value": value}
    return f"0: :::MLLOG {json.dumps({**content, 'event_type': 'POINT_IN_TIME', 'metadata': metadata})}"


def settings(*, seed=7, benchmark="rnnt", **others) -> list[str]:
    """10 s of creation, before run_start. Two ranks say init_start."""
    named = {"submission_benchmark": benchmark, "submission_org": "Maker", "submission_platform": "1xBox"}
    named |= {"seed": seed, "global_batch_size": 256, "train_samples": 1000, "eval_samples": 50, "opt_name": "lamb"}
    lines = ["+ echo trial", line("init_start", 0), line("init_start", 0.002)]
    lines += [line(key, 1, value) for key, value in {**named, **others}.items() if value is not None]
    return [*lines, line("init_stop", 10), line("run_start", 10)]


def a_log(wers, *, status="success", first=1, stop_after_s=0.5, **others) -> str:
    """Epochs of 100 s and evaluations of 5 s from 11 s on; run_stop half a second later."""
    lines, at_s = settings(**others), 11.0
    for epoch, wer in enumerate(wers, start=first):
        lines.append(line("epoch_start", at_s, epoch_num=epoch))
        lines.append(line("eval_start", at_s + 100, epoch_num=epoch))  # in the same millisecond, and before it
        lines.append(line("epoch_stop", at_s + 100, epoch_num=epoch))
        lines.append(line("eval_stop", at_s + 105, epoch_num=epoch))
        lines.append(line("eval_accuracy", at_s + 105, wer, epoch_num=epoch))
        at_s += 105
    if status:
        lines.append(line("run_stop", at_s + stop_after_s, status=status))
    return "\n".join([*lines, ""])


def train(first, count, *, key="epoch", name="epoch_num", each_s=100.0, at_s=10.0, **metadata) -> list[str]:
    """`count` epochs or blocks one after the other, without an evaluation."""
    lines = []
    for place in range(count):
        begun_s = at_s + place * each_s
        lines.append(line(f"{key}_start", begun_s, **{name: first + place}, **metadata))
        lines.append(line(f"{key}_stop", begun_s + each_s, **{name: first + place}))
    return lines


def evaluate(number, at_s, wer, *, seconds=5.0) -> list[str]:
    said = {} if number is None else {"epoch_num": number}
    stop = line("eval_stop", at_s + seconds, **said)
    return [line("eval_start", at_s, **said), line("eval_accuracy", at_s + seconds, wer, **said), stop]


def save(folder: Path, *logs: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for n, text in enumerate(logs):
        (folder / f"result_{n}.txt").write_text(text)
    return folder


def save_lines(folder: Path, *parts: list[str]) -> Path:
    """One log of these lines in the order of their times, behind the usual settings."""
    lines = [each for part in parts for each in part]
    ordered = sorted(lines, key=lambda each: json.loads(each.partition(":::MLLOG ")[2])["time_ms"])
    return save(folder, "\n".join([*settings(), *ordered, ""])) / "result_0.txt"
