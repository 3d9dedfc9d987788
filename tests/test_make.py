"""make: no training is left behind when it is signalled, and variables that its target does not take are refused."""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import ROOT
from trained import tiny

from features.jobs.parent import told

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is not here")

STANDIN = """
import os, pathlib, signal, sys, time
sys.path.insert(0, {root!r})
from features.jobs.parent import obey_parent

def save(number, frame):  # as a run: it takes a while, and a second signal does not cut it short
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    time.sleep(0.3)
    pathlib.Path("saved").write_text(str(number))
    sys.exit(128 + number)

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(number) != signal.SIG_IGN:
        signal.signal(number, save)
if os.environ.get("SPEECH_TTA_MAKE"):
    obey_parent(every_s=0.05)
pathlib.Path("arguments").write_text(" ".join(sys.argv[1:]))
pathlib.Path("pid").write_text(str(os.getpid()))
time.sleep(60)
"""
"""A command that trains for a minute unless it is told to save."""


@pytest.fixture
def house(tmp_path):
    """A folder with the Makefile, whose environment is complete and has a stand-in for Python."""
    for name in ("Makefile", "setup.cfg", "constraints.txt", ".ci/install.py", ".ci/variables.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "standin.py").write_text(STANDIN.format(root=str(ROOT)))
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    real = f'exec "{sys.executable}"'
    python.write_text(f'#!/bin/sh\ncase "$1" in *.py) {real} "$@" ;; *) {real} standin.py "$@" ;; esac\n')
    python.chmod(0o755)
    (tmp_path / ".venv" / ".complete").touch()
    yield tmp_path
    with contextlib.suppress(OSError, ValueError):  # a test that failed
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def begin(house: Path, *command: str, **environment: str) -> subprocess.Popen:
    process = subprocess.Popen(
        command, cwd=house, env=os.environ | environment, start_new_session=True, stderr=subprocess.DEVNULL
    )
    wait(lambda: (house / "pid").exists() and (house / "pid").read_text())
    return process


def wait(condition, seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def is_alive(house: Path) -> bool:
    try:
        status = Path(f"/proc/{(house / 'pid').read_text()}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"  # a zombie has ended


SENT = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL]


@pytest.mark.parametrize("sent", SENT, ids=lambda sent: sent.name)
def test_a_signal_to_make_alone_has_its_command_save_and_leaves_nothing(house, sent):
    """As kill, systemd, a container's init and a scheduler send them; what killed make is SIGTERM to its command."""
    make = begin(house, "make", "bench")
    make.send_signal(sent)
    make.wait(10)
    wait(lambda: not is_alive(house))
    heard = signal.SIGTERM if sent == signal.SIGKILL else sent
    assert (house / "saved").read_text() == str(int(heard))
    assert make.returncode == -sent


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM], ids=lambda sent: sent.name)
def test_a_signal_to_all_processes_of_a_terminal_or_step_has_the_command_save_once(house, sent):
    make = begin(house, "make", "bench")
    os.killpg(make.pid, sent)
    make.wait(10)
    assert not is_alive(house) and (house / "saved").read_text() == str(int(sent))  # make waited for it


@pytest.mark.parametrize("target", ["saturation", "tta", "price", "compare", "report", "final", "test", "features"])
def test_every_long_target_passes_sigterm_on(house, target):
    (house / "results").mkdir()
    (house / "results" / "a.csv").touch()
    make = begin(house, "make", target)
    make.terminate()
    make.wait(10)
    assert not is_alive(house) and (house / "saved").exists()


@pytest.mark.parametrize("command", ["make bench", ".venv/bin/python -m benchmark"])
def test_a_run_under_nohup_outlives_the_shell_that_began_it(house, command):
    shell = begin(house, "sh", "-c", f"nohup {command} >log 2>&1 & exec 2>/dev/null; sleep 0.2")
    shell.wait(10)
    time.sleep(0.5)  # ten times as long as the command takes to look at its parent
    assert is_alive(house) and not (house / "saved").exists()


def test_who_lives_and_has_not_been_signalled_tells_nothing():
    assert told(os.getppid()) is None
    assert told(1 if os.getppid() != 1 else 2) is signal.SIGTERM  # another parent than before: that one has ended


def test_slurms_job_saves_when_srun_signals_its_step(house):
    """docs/launch/slurm.sh under a stand-in for srun, whose step is a session that gets SIGTERM as a whole."""
    srun = house / "bin" / "srun"
    srun.parent.mkdir()
    srun.write_text(
        "#!/bin/sh\n"
        'while case "$1" in --*) true ;; *) false ;; esac; do shift; done\n'  # its options
        'setsid --wait sh -c \'echo $$ >step; exec "$@"\' step "$@"\n'
    )
    srun.chmod(0o755)
    job = begin(house, "bash", str(ROOT / "docs/launch/slurm.sh"), PATH=f"{srun.parent}:{os.environ['PATH']}")
    assert (house / "arguments").read_text().split() == [
        *("-m", "benchmark", "--platform", "./my-rig.toml", "--workload", "librispeech", "--seed", "1")
    ]
    os.killpg(int((house / "step").read_text()), signal.SIGTERM)
    job.wait(10)
    assert not is_alive(house) and (house / "saved").read_text() == "15"
    assert job.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    ("given", "command"),
    [
        (["compare"], "-m benchmark.compare"),
        (["compare", "RUNS=sys1 sys2", "ARGS=--merit"], "-m benchmark.compare sys1 sys2 --merit"),
        (["price", "ARGS=--brief"], "-m benchmark.price results/a.csv --brief"),
        (["export"], "-m benchmark.export"),
        (["export", "TO=mllog"], "-m benchmark.export results/a.csv --to mllog -o exported/"),
        (["export", "TO=json", "OUT=x.json"], "-m benchmark.export results/a.csv --to json -o x.json"),
        (["final"], "-m benchmark.final"),
    ],
)
def test_a_target_calls_its_command_with_what_was_given(house, given, command):
    (house / "results").mkdir()
    (house / "results" / "a.csv").touch()
    make = begin(house, "make", *given)
    wait((house / "arguments").exists)
    make.terminate()
    make.wait(10)
    assert (house / "arguments").read_text() == command.removeprefix("standin.py ")


@pytest.mark.parametrize("target", ["tta", "price", "report"])
def test_a_target_without_runs_says_so_in_a_line(house, target):
    done = subprocess.run(["make", target], cwd=house, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("results/*.csv: no such run. make bench makes one")


# --- variables -------------------------------------------------------------------------------------------------------


def said_by_make(*arguments: str, **environment: str) -> tuple[int, str]:
    command = ["make", "-n", "--no-print-directory", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["bench", "SEEDS=3"], "SEEDS= is no variable of make bench; did you mean SEED=?"),
        (["bench", "seed=3"], "did you mean SEED=?"),
        (["bench", "RUN=results/x"], "RUN= is no variable of make bench"),  # one of the Makefile's own
        (
            ["bench", "EPOCHS=3"],
            "EPOCHS= is no variable of make bench. It takes PLATFORM, WORKLOAD, CORPUS, RECIPE, SEED",
        ),
        (["bench", "GPU=1"], "other options of its command go into ARGS="),
        (["tta", "SEED=3"], "SEED= is no variable of make tta. It takes RUNS, ARGS"),
        (["lint", "ARGS=tests"], "ARGS= is no variable of make lint. It takes none"),
        (["SEED=3"], "SEED= is no variable of make help"),
    ],
)
def test_a_variable_that_the_target_does_not_take_is_refused_in_a_line(given, said):
    status, err = said_by_make(*given)
    assert status == 2 and said in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "given",
    [
        ["bench", "SEED=3", "NAME=my run", "ARGS=--a 'b c'", "PYTHON=python3", "HOSTS=a,b", "RANK=0"],
        ["bench", "SHELL=/bin/bash", "MAKEFLAGS="],
        ["bench", "tta", "SEED=3", "RUNS=results/*.csv"],
        ["platform", "NAME=mine", "OUT=rigs/mine.toml", "ARGS=--data /data"],
    ],
)
def test_variables_that_a_target_takes_and_makes_own_are_allowed(given):
    assert said_by_make(*given)[0] == 0


def test_the_environment_may_hold_what_it_likes():
    assert said_by_make("bench", SEEDS="3", EPOCHS="2", NAME="a machine")[0] == 0


def test_every_make_command_in_a_document_is_taken():
    spec = importlib.util.spec_from_file_location("variables", ROOT / ".ci" / "variables.py")
    variables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(variables)
    makefile, seen = (ROOT / "Makefile").read_text(), 0
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / ".ci" / "run", *(ROOT / "docs").glob("**/*.*")]:
        if path.suffix not in (".md", ".sh", ".yaml", ""):
            continue
        for goal, rest in re.findall(r"\bmake ([a-z-]+)((?: [A-Z]+=(?:\"[^\"]*\"|[^\s\"`;)]*))+)", path.read_text()):
            names = re.findall(r" ([A-Z]+)=", re.sub(r'"[^"]*"', "", rest))
            assert variables.refusal(makefile, [goal], names) == "", path.name
            seen += 1
    assert seen > 20


# --- a training ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT], ids=lambda sent: sent.name)
def test_a_training_saves_when_make_alone_is_signalled(house, tone_corpus, tone_data, sent):
    (house / "standin.py").write_text(
        f"import os, pathlib, sys\npathlib.Path('pid').write_text(str(os.getpid()))\n"
        f"os.execve({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]], os.environ | "
        f"{{'PYTHONPATH': {str(ROOT)!r}, 'CUDA_VISIBLE_DEVICES': ''}})\n"
    )
    arguments = f'--data "{tone_data}" --max-epochs 200 --no-targets --decoder greedy --monitor-hz 0 --name cut'
    make = begin(house, "make", "bench", f"WORKLOAD={tiny(house)}", f"CORPUS={tone_corpus}", f"ARGS={arguments}")
    journal = house / "results" / "cut.csv"
    wait(lambda: journal.is_file() and ",train," in journal.read_text(), seconds=120)
    make.send_signal(sent)
    make.wait(30)
    wait(lambda: not is_alive(house))
    end = json.loads((house / "results" / "cut" / "end.json").read_text())
    assert end["status"] == "interrupted" and end["step"] > 0 and end["message"] == sent.name
