"""No traceback ever reaches a user: every command line, with arguments and files that are wrong.

Exit status 2 and a line or two that name what was given; a wrong option is one line, without a usage. In-process,
since a process each would take minutes; that a process says the same is tried for a few.
"""

import argparse
import contextlib
import importlib
import importlib.util
import os
import re
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
    "benchmark.choose",
    "benchmark.report",
    "benchmark.export",
    "benchmark.ingest",
    "benchmark.saturation",
    "benchmark.final",
    "benchmark.speed",
    "benchmark.transcribe",
    "benchmark.rig",
    "benchmark.rig.doctor",
    "platforms",
    "benchmark.seal",
    "benchmark.verify",
    "benchmark.rig.estimate",
    "benchmark.gallery",
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
    "benchmark": [["--platform", "FILE.toml"], ["--corpus", "FILE", "--data", "OUT", "--results", "OUT"]],
    "benchmark.tta": [["FILE"], ["FILE", "--format", "json"]],
    "benchmark.compare": [["a=FILE", "b=FILE"]],
    "benchmark.price": [["FILE"]],
    "benchmark.choose": [["FILE", "--level", "wer:20"]],
    "benchmark.report": [["FILE", "-o", "OUT.html"]],
    "benchmark.export": [
        ["FILE", "--to", form, "-o", "OUT"] for form in ("mllog", "dawnbench", "json", "mlperf-system", "card", "onnx")
    ],
    "benchmark.ingest": [["FILE", "-o", "OUT"]],
    "benchmark.transcribe": [["FILE", "FILE"]],
    "platforms": [["FILE.toml"]],
    "benchmark.seal": [["FILE", "-o", "OUT.tta.zip"]],
    "benchmark.verify": [["FILE"], ["FILE", "-q"]],
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
    "benchmark.choose": [
        [],
        ["none.csv"],
        ["--level", "wer:20"],
        *(["none.csv", "--level", level] for level in ("wer", "20", "wer:-1", "wer:x", "ser:20", "wer:nan")),
        ["none.csv", "--level", "wer:20", "--budget", "0"],
        ["none.csv", "--level", "wer:20", "--trainings", "0"],
        ["none.csv", "--level", "wer:20", "--goal", "nicer"],
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
    "platforms": [["sys3"], ["./none.toml"], ["--no-such-option"]],
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
    """What it says on standard error."""
    main = main_of(command)
    capsys.readouterr()
    try:
        status = main(arguments)
    except SystemExit as stopped:
        status = stopped.code
    out, err = capsys.readouterr()
    assert status == 2, (status, out, err)
    assert "Traceback" not in err
    said = err.splitlines()
    if command == "install":  # runs before the suite is there: argparse's own words
        said = [line for line in said if not line.startswith(("usage:", " "))]
    most = 8 if command == "platforms" else 3  # which gives each mistake of a file a line
    assert "usage:" not in "".join(said) and 1 <= len(said) <= most, err
    assert 20 < len(said[-1]) < 1000
    return said[-1]


WRONG = [  # command, arguments, and the line that they get
    (
        "benchmark.tta",
        ["--precison", "tf32"],  # which tta has not, nor anything near it
        "benchmark.tta: no option --precison; python -m benchmark.tta --help lists all",
    ),
    (
        "benchmark.tta",
        ["--level"],
        "benchmark.tta: --level is without a value; expected LEVEL after it: error rate (%)",
    ),
    ("benchmark", ["--seed", "abc"], "benchmark: --seed 'abc'; expected a whole number, such as 1"),
    ("benchmark", ["--seed", "1,000"], "benchmark: --seed '1,000'; expected a whole number: 1000"),
    (
        "benchmark",
        ["--precison", "tf32"],
        ("benchmark: no option --precison; did you mean --precision? python -m benchmark --help lists all"),
    ),
    (
        "benchmark",
        ["-precision", "tf32"],
        ("benchmark: no option -precision; did you mean --precision? python -m benchmark --help lists all"),
    ),
    (
        "benchmark",
        ["--precision", "bf16"],
        ("benchmark: --precision 'bf16'; expected one of float32, tf32, mixed_bfloat16, mixed_float16"),
    ),
    ("benchmark", ["--fresh=3"], "benchmark: --fresh takes no value, and has '3'; leave it out"),
    (
        "benchmark",
        ["--batch", "--seed", "3"],
        ("benchmark: --batch is without a value; expected N after it: global batch in utterances"),
    ),
    ("benchmark", ["sys1"], "benchmark: 'sys1' is one word too many; python -m benchmark --help says what it takes"),
    (
        "benchmark.price",
        ["--kwh-price", "0,30"],
        ("benchmark.price: --kwh-price '0,30'; expected a number with a point: 0.30"),
    ),
    (
        "benchmark.tta",
        ["--metric", "wre"],
        ("benchmark.tta: --metric 'wre'; did you mean 'wer'? expected one of wer, cer, wer_mean, cer_paper, ser, all"),
    ),
    (
        "benchmark.export",
        ["--too", "json"],
        ("benchmark.export: no option --too; did you mean --to? python -m benchmark.export --help lists all"),
    ),
    (
        "features",
        ["corpus"],
        (
            "features: OUT is missing; expected OUT: folder for the shards and manifest.json; "
            "python -m features --help says more"
        ),
    ),
    ("benchmark.rig", ["detcet"], "benchmark.rig: COMMAND 'detcet'; did you mean 'detect'? expected one of detect, "),
]


@pytest.mark.parametrize(("command", "arguments", "line"), WRONG, ids=lambda value: " ".join(value)[:30])
def test_a_wrong_option_gets_one_line_with_the_value_a_guess_and_the_way_out(command, arguments, line, capsys):
    main = main_of(command)
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith(line), err


@pytest.mark.parametrize("command", COMMANDS[:-1])
def test_the_help_of_every_option_says_what_it_does(command, monkeypatch):
    """A default alone says nothing: whoever reads it does not know of what."""
    found: list[argparse.Action] = []

    def caught(parser, argv=None):
        found.extend(parser._actions)
        raise SystemExit(0)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", caught)
    with pytest.raises(SystemExit):
        main_of(command)([])
    assert len(found) >= 2
    thin = [
        each.option_strings or each.dest for each in found if len(each.help or "") < 12 or each.help[:7] == "default"
    ]
    assert thin == []


@pytest.mark.parametrize("command", COMMANDS[:-1])
def test_every_command_says_its_version(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main_of(command)(["--version"])
    out, err = capsys.readouterr()
    version = re.search(r"^version = (.*)$", (ROOT / "setup.cfg").read_text(), re.MULTILINE)[1]
    assert stopped.value.code == 0 and err == "" and out.startswith(f"speech-tta {version}") and out.count("\n") == 1


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
