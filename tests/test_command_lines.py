"""No traceback ever reaches a user: every command line, with arguments and files that are wrong.

Exit status 2 and, after argparse's usage if it was argparse, a line or two that name what was given. In-process, since
a process each would take minutes; that a process says the same is tried for a few.
"""

import contextlib
import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = (
    "features",
    "features.download",
    "features.prepare",
    "features.synthesis",
    "benchmark",
    "benchmark.tta",
    "benchmark.compare",
    "benchmark.price",
    "benchmark.report",
    "benchmark.export",
    "benchmark.ingest",
    "benchmark.saturation",
    "benchmark.final",
    "benchmark.speed",
    "benchmark.transcribe",
    "benchmark.rig",
    "benchmark.rig.doctor",
    "benchmark.rig.estimate",
    "benchmark.rig.tune",
    "install",
)
GARBAGE = {
    "missing.csv": None,
    "empty.csv": b"",
    "binary.csv": bytes(range(256)) * 40,
    "zeros.csv": b"\0" * 4096,
    "text.csv": b"a journal, they said\n1,2\n",
    "quote.csv": b'schema,"run\n' * 10,
    "utf16.csv": "schema,run\n".encode("utf-16"),
    "deep.csv": b"[" * 100_000,
    "folder.csv": "a folder",
    "full/run.json": b"[" * 100_000,  # the folder of a run, as benchmark.final wants it
}
FILES = {  # command -> the arguments with which it reads a file; OUT does not exist yet
    "features": [["FILE", "OUT"]],
    "features.prepare": [["FILE", "OUT"], ["FILE", "OUT", "--form", "table"], ["FILE", "OUT", "--form", "manifest"]],
    "features.synthesis": [["OUT", "--text", "FILE"]],
    "benchmark": [["--platform", "FILE.toml"], ["--corpus", "FILE", "--data", "OUT", "--results", "OUT"]],
    "benchmark.tta": [["FILE"], ["FILE", "--format", "json"]],
    "benchmark.compare": [["a=FILE", "b=FILE"]],
    "benchmark.price": [["FILE"]],
    "benchmark.report": [["FILE", "-o", "OUT.html"]],
    "benchmark.export": [
        ["FILE", "--to", form, "-o", "OUT"] for form in ("mllog", "dawnbench", "json", "mlperf-system", "card", "onnx")
    ],
    "benchmark.ingest": [["FILE", "-o", "OUT"]],
    "benchmark.transcribe": [["FILE", "FILE"]],
    "benchmark.final": [["FILE"], ["FILE/checkpoints/ckpt-1"], ["FILE/ckpt-x"]],
}
ARGUMENTS = {
    "features": [[], ["nowhere"], ["nowhere", "OUT"], ["nowhere", "OUT", "--jobs", "x"], ["--no-such-option"]],
    "features.download": [[], ["OUT", "--subsets", "dev-dirty"], ["OUT", "--language-models", "5-gram"], ["text.csv"]],
    "features.prepare": [
        [],
        ["nowhere", "OUT"],
        ["text.csv", "OUT", "--form", "tape"],
        *(["text.csv", "OUT", "--dev", share] for share in ("-1", "1", "nan", "x")),
        ["text.csv", "OUT", "--audio", "nowhere"],
    ],
    "features.synthesis": [[], ["OUT", "--hours", "x"], ["OUT", "--hours", "-1"], ["OUT", "--hours", "nan"]],
    "benchmark": [
        ["--platform", "sys3"],
        ["--platform", ""],
        ["--platform", "./none.toml"],
        ["--workload", "maxi"],
        ["--workload", "speech", "--data", "OUT"],
        ["--workload", "librispeech", "--data", "OUT"],
        ["--corpus", "nowhere", "--data", "OUT", "--results", "OUT"],
        ["--name", "../up"],
        ["--name", "a b"],
        ["--seed", "-1"],
        ["--seed", str(2**32)],
        ["--seed", "one"],
        ["--platform", "sys1", "--batch", "95"],
        ["--batch", "0"],
        ["--readers", "-2"],
        ["--max-epochs", "0"],
        ["--max-minutes", "nan"],
        ["--sentences", "-1"],
        ["--beam-width", "0"],
        ["--monitor-hz", "nan"],
        ["--monitor-hz", "1e9"],
        ["--decode-jobs", "0"],
        ["--language-model", "none.arpa"],
        ["--decoder", "language-model"],
        ["--decoder", "language-model", "--language-model", "none.arpa"],
        ["--decoder", "oracle"],
    ],
    "benchmark.tta": [[], ["none*.csv"], ["x.csv", "--level", "nan"], ["x.csv", "--epochs", "0"], ["--metric", "ser"]],
    "benchmark.compare": [
        [],
        ["sys1"],
        ["a=none.csv", "b=none.csv"],
        ["a", "b", "--results", "nowhere"],
        *(["a", "b", "--margin", margin] for margin in ("0", "-1", "nan", "101", "x")),
        ["a", "--by", "luck"],
    ],
    "benchmark.price": [
        [],
        ["none.csv"],
        *(["--published", "--years", years] for years in ("0", "-1", "nan", "inf", "1e999", "5e-324", "x")),
        *(["--published", "--duty", duty] for duty in ("0", "2", "nan", "5e-324")),
        *(["--published", "--kwh-price", price] for price in ("-1", "nan", "inf", "x")),
        *(["--published", "--billing-minutes", minutes] for minutes in ("-1", "nan", "inf", "x")),
        ["--published", "--idle-w", "5"],
        ["--published", "--tenure", "stolen"],
        ["--published", "--level", "-3"],
        ["--published", "--by", "luck"],
    ],
    "benchmark.report": [
        [],
        ["none*.csv"],
        ["x.csv", "--level", "inf"],
        ["x.csv", "--epochs", "-1"],
        ["x.csv", "--epochs", "9" * 5000],
        ["x.csv", "--clock", "sundial"],
    ],
    "benchmark.export": [
        [],
        ["--to", "json"],
        ["x.csv"],
        ["x.csv", "--to", "pdf"],
        ["none*.csv", "--to", "json"],
        ["x.csv", "--to", "dawnbench", "--level", "5"],
        ["x.csv", "--to", "json", "--submitter", "me"],
        ["x.csv", "--to", "mlperf-system", "--status", "sold out"],
        ["x.csv", "--to", "savedmodel"],
        ["ckpt-x", "--to", "savedmodel", "-o", "OUT"],
        ["none*.csv", "--to", "keras", "-o", "OUT"],
    ],
    "benchmark.ingest": [[], ["nowhere"], ["nowhere", "-o", "OUT"], ["-o", "OUT"]],
    "benchmark.saturation": [
        ["--workload", "maxi", "--data", "OUT", "-o", "OUT"],
        ["--corpus", "nowhere", "--data", "OUT", "-o", "OUT"],
        ["--corpus", "nowhere", "--data", "OUT", "-o", "OUT", "--dry-run"],
        ["--show", "-o", "OUT"],
        ["--part", "2/1"],
        ["--sizes", "x"],
        ["--seeds", "0"],
    ],
    "benchmark.final": [[], ["nowhere"], ["nowhere", "--decoder", "oracle"], ["nowhere", "--beam-width", "x"], [""]],
    "benchmark.speed": [
        ["everything"],
        ["--features"],
        ["judge", "--json", "nowhere/x.json"],
        ["--breakdown", "judge"],
    ],
    "benchmark.rig": [
        ["everything"],
        ["detect"],
        ["detect", "a b"],
        ["detect", "../up"],
        ["detect", "mine", "-o", "OUT/yours.toml"],
        ["detect", "-o", "OUT/mine.toml", "--seconds", "0"],
        ["detect", "-o", "text.csv"],
        ["detect", "mine", "--seconds", "nan"],
        ["detect", "mine", "--format", "pdf"],
    ],
    "benchmark.rig.doctor": [["--only", "gpsu"], ["--level", "4"], ["--root", "nowhere"], ["surplus"], ["--only"]],
    "benchmark.rig.tune": [
        [],
        ["--platform", "sys3"],
        ["--platform", "cpu"],
        ["-o", "mine.txt"],
        ["--limit", "0"],
        ["--workload", "maxi", "-o", "mine.toml"],
        ["--batch", "0", "-o", "mine.toml"],
    ],
    "benchmark.rig.estimate": [
        ["--platform", "sys3"],
        ["--workload", "maxi"],
        ["--workload", "librispeech", "--data", "OUT"],
        ["--minutes", "0"],
        ["--minutes", "nan"],
        ["--batch", "0"],
        ["--reference", "none.csv"],
        ["--reference", "text.csv"],
        ["--offer", "cpu=free"],
        ["--years", "0"],
    ],
    "install": [["--venv"], ["--no-such-option"], ["surplus"]],
}


def main_of(command: str):
    package = importlib.util.find_spec(command)
    if package is None:
        pytest.skip(f"no {command} here")
    name = f"{command}.__main__" if package.submodule_search_locations else command
    return importlib.import_module(name).main


def refused(command: str, arguments: list[str], capsys) -> str:
    """What it says on standard error, after the usage."""
    main = main_of(command)
    capsys.readouterr()
    try:
        status = main(arguments)
    except SystemExit as stopped:
        status = stopped.code
    out, err = capsys.readouterr()
    assert status == 2, (status, out, err)
    assert "Traceback" not in err
    said = [line for line in err.splitlines() if not line.startswith(("usage:", " "))]
    assert 1 <= len(said) <= 3, err
    assert 20 < len(said[-1]) < 1000
    return said[-1]


def seen(folder: Path) -> set[Path]:
    """The files in it, but locks."""
    return {path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")}


@pytest.fixture
def garbage(tmp_path, monkeypatch) -> Path:
    for name, content in GARBAGE.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if content == "a folder":
            path.mkdir()
        elif content is not None:
            path.write_bytes(content)
            with contextlib.suppress(FileExistsError):
                (tmp_path / f"{name}.toml").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_printed_with_exit_status_0(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main_of(command)(["--help"])
    assert stopped.value.code == 0
    out, err = capsys.readouterr()
    assert out.startswith("usage: ") and err == ""


@pytest.mark.parametrize(
    ("command", "arguments"),
    [(command, arguments) for command, cases in ARGUMENTS.items() for arguments in cases],
    ids=lambda value: value if isinstance(value, str) else " ".join(value)[:40],
)
def test_wrong_arguments_are_refused_in_a_line(command, arguments, garbage, capsys):
    before = seen(garbage)
    refused(command, [word.replace("OUT", "out/put") for word in arguments], capsys)
    assert seen(garbage) == before


@pytest.mark.parametrize("name", GARBAGE)
@pytest.mark.parametrize("command", FILES)
def test_wrong_files_are_refused_in_a_line_that_names_them_and_nothing_is_left(command, name, garbage, capsys):
    main_of(command)
    name = name.removesuffix("/run.json")
    for arguments in FILES[command]:
        before = seen(garbage)
        given = [word.replace("FILE", name).replace("OUT", "out") for word in arguments]
        said = refused(command, given, capsys)
        assert name in said, said
        assert seen(garbage) == before


@pytest.mark.parametrize("command", ["tta", "price", "report", "export", "final"])
def test_a_run_that_may_not_be_read_is_refused_in_a_line(command, garbage, capsys):
    main_of(f"benchmark.{command}")
    more = {"export": ["--to", "json"]}.get(command, [])
    (garbage / "text.csv").chmod(0)
    (garbage / "text").mkdir(mode=0)
    try:
        with as_nobody():
            said = refused(f"benchmark.{command}", ["text.csv", *more], capsys)
    finally:
        (garbage / "text").chmod(0o700)  # for pytest, which cleans up
    assert "Permission denied" in said and "text" in said


@contextlib.contextmanager
def as_nobody():
    """Root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("benchmark.tta", ["binary.csv"]),
        ("benchmark.tta", ["/dev/stdin"]),
        ("benchmark.price", ["/dev/stdin"]),
        ("benchmark.export", ["--to", "json", "/dev/stdin"]),
        ("benchmark.report", ["folder.csv"]),
        ("benchmark.final", ["full"]),
        ("benchmark", ["--platform", "deep.csv.toml"]),
        ("features", ["zeros.csv", "out"]),
    ],
)
def test_a_process_says_the_same(command, arguments, garbage):
    done = subprocess.run(
        [sys.executable, "-m", command, *arguments],
        cwd=garbage,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=b"schema,run\n\xff\n",
        capture_output=True,
        timeout=60,
    )
    said = done.stderr.decode()
    assert done.returncode == 2, said
    assert "Traceback" not in said and said.count("\n") <= 3 and arguments[-1].removesuffix(".toml") in said
