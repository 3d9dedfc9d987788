import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from standin import environment_of, library

from benchmark.rig import doctor
from benchmark.rig.checks.catalogue import CHECKS, TOPICS, chosen
from benchmark.rig.checks.check import FAIL, OK, UNKNOWN, WARN, Check, Finding, fail, ok, unknown, warn
from benchmark.rig.checks.run import Outcome

ROOT = Path(__file__).resolve().parents[3]
COMMAND = [sys.executable, "-m", "benchmark.rig", "doctor"]
WITHOUT_LOADING = ("system", "disk", "driver.nvml", "driver.cuda", "driver.libraries", "capability", "gpus")


def outcome(finding: Finding, name: str = "system.swap") -> Outcome:
    check = Check(name=name, asks="is memory swapped out?", look=lambda _: finding)
    return Outcome(check=check, finding=finding, seconds=0.5)


def examined(*arguments: str, **environment) -> tuple[int, dict, str]:
    done = subprocess.run(
        [*COMMAND, "--format", "json", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=120, env={**os.environ, **environment},
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout), done.stderr


# --- what is said ----------------------------------------------------------------------------------------------------

GOOD, ODD = ok("none in use"), warn("3 GiB", expected="none", way_out="end what holds it")
BAD, NOT_KNOWN = fail("all", expected="none", way_out="add memory"), unknown("no /proc/meminfo")


@pytest.mark.parametrize(
    ("findings", "status", "strict"),
    [([GOOD], 0, 0), ([GOOD, NOT_KNOWN], 0, 1), ([GOOD, ODD, NOT_KNOWN], 1, 1), ([ODD, BAD], 3, 3), ([], 0, 1)],
)
def test_the_exit_status_is_that_of_the_worst_and_unknown_counts_only_if_asked(findings, status, strict):
    found = [outcome(each) for each in findings]
    assert doctor.EXIT[doctor.worst(found)] == status
    assert doctor.EXIT[doctor.worst(found, strict=True)] == strict


def test_make_does_not_take_a_warning_for_an_error(monkeypatch):
    monkeypatch.delenv("SPEECH_TTA_MAKE", raising=False)
    assert [doctor.exit_status(each) for each in (WARN, FAIL)] == [1, 3]
    monkeypatch.setenv("SPEECH_TTA_MAKE", "1")
    assert [doctor.exit_status(each) for each in (WARN, FAIL)] == [0, 3]


def test_the_last_line_says_what_to_do_next():
    assert "system.swap: add memory. Then ask again" in doctor.following([outcome(ODD), outcome(BAD)])
    assert "end what holds it. Or, if it must be so: make platform" in doctor.following([outcome(ODD)])
    assert doctor.following([outcome(GOOD), outcome(NOT_KNOWN)]).startswith("Next: make platform NAME=mine")
    assert doctor.following([outcome(GOOD)], interrupted=True).startswith("Next: ask again")


def test_lines_are_wrapped_and_say_what_was_found_what_was_expected_and_the_way_out():
    found = doctor.lines([outcome(warn("x " * 60, expected="y", way_out="z"))], colour=False, width=80)
    assert found[0].startswith("  warn     system.swap        x x") and all(len(line) <= 80 for line in found)
    assert found[-2].strip() == "expected: y" and found[-1].strip() == "way out: z"
    assert doctor.lines([outcome(GOOD)], colour=True, width=80)[0].startswith("  \033[32mok      \033[0m")


def test_names_from_a_machine_cannot_move_the_cursor():
    assert "\033" not in "".join(doctor.lines([outcome(ok("process \033[2J"))], colour=False, width=80))


def test_checks_that_are_unknown_for_one_reason_are_shown_together(capsys):
    found = [outcome(NOT_KNOWN, name) for name in ("gpus.lost", "gpus.mig")] + [outcome(GOOD), outcome(NOT_KNOWN)]
    assert list(doctor._shown(iter(found), [each.check for each in found], quiet=False)) == found
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["unknown", "gpus.lost"], ["and", "so"], ["ok", "system.swap"], ["unknown", "system.swap"],
    ]  # fmt: skip


# --- which checks ----------------------------------------------------------------------------------------------------


def test_levels_and_names():
    assert {check.level for check in chosen(1)} == {1} and {check.level for check in chosen(3)} == {1, 2, 3}
    assert [check.name for check in chosen(1, ["work.drift", "capability"])] == ["capability.code", "work.drift"]
    with pytest.raises(ValueError, match="did you mean gpus.width"):
        chosen(1, ["gpu.width"])


def test_every_check_has_a_name_of_its_own_that_fits_and_can_be_found_by_a_child():
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names) and all(len(name) <= 18 for name in names)
    assert {name.partition(".")[0] for name in names} == set(TOPICS)
    for check in CHECKS:
        assert getattr(sys.modules[check.look.__module__], check.look.__qualname__) is check.look


def test_the_list_names_every_check(capsys):
    assert doctor.main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [check.name for check in CHECKS]


# --- the command -----------------------------------------------------------------------------------------------------


def test_without_a_gpu_what_needs_one_is_unknown_and_never_ok(tmp_path):
    status, found, errors = examined("--only", *WITHOUT_LOADING, LD_LIBRARY_PATH=str(tmp_path))
    if any(each["name"] == "driver.nvml" and each["status"] != UNKNOWN for each in found["checks"]):
        pytest.skip("there is a GPU")
    needing = [each for each in found["checks"] if each["needs"] == "gpu"]
    assert len(needing) > 12 and {each["status"] for each in needing} == {UNKNOWN}
    assert errors == "" and status == found["exit_status"]
    assert found["counts"][UNKNOWN] >= len(needing)


def test_under_the_stand_in_a_lost_board_is_the_first_thing_to_mend(nvidia):
    environment = environment_of(nvidia, STANDIN="four-rtx-2070", STANDIN_LOST=1)
    status, found, errors = examined("--only", "gpus", "capability", **environment)
    assert status == 3 and errors == "" and found["status"] == FAIL
    assert found["next"].startswith("Next: gpus.lost: dmesg")


def test_a_broken_library_on_the_path_is_named(nvidia, tmp_path):
    (tmp_path / "libcudart.so.12").write_text("text")
    environment = environment_of(nvidia, STANDIN="h200")
    environment["LD_LIBRARY_PATH"] += f":{tmp_path}"
    status, found, _ = examined("--only", "driver.libraries", **environment)
    (check,) = found["checks"]
    assert status == 3 and f"{tmp_path}/libcudart.so.12: " in check["found"]


def test_a_library_that_aborts_while_it_loads_is_named(nvidia, tmp_path):
    crash = "#include <stdlib.h>\n__attribute__((constructor)) static void begin(void) { abort(); }"
    library(tmp_path / "libcufft.so.11", crash)
    environment = environment_of(nvidia, STANDIN="h200")
    environment["LD_LIBRARY_PATH"] += f":{tmp_path}"
    status, found, _ = examined("--only", "driver.libraries", "capability", **environment)
    crashed, after = found["checks"]
    assert (
        status == 3 and crashed["found"] == f"its process ended by SIGABRT: while it loaded {tmp_path}/libcufft.so.11"
    )
    assert after["status"] == OK


def test_under_another_root(tmp_path):
    """An empty folder is a machine of which nothing is known."""
    status, found, errors = examined("--root", str(tmp_path), "--only", "system")
    assert status == 0 and errors == ""
    assert {each["status"] for each in found["checks"]} == {UNKNOWN}


def test_wrong_arguments(capsys, tmp_path):
    assert doctor.main(["--only", "gpsu"]) == 2 and "did you mean gpus?" in capsys.readouterr().err
    assert doctor.main(["--root", str(tmp_path / "none")]) == 2 and "no such folder" in capsys.readouterr().err


def test_a_closed_pipe_is_no_error():
    command = f"{sys.executable} -m benchmark.rig doctor --only system | head -1"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == "" and done.stdout.count("\n") == 1


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_soon_with_what_is_there_and_no_child(tmp_path, number, status):
    """NVML that hangs: the check under way has not answered yet."""
    (tmp_path / "pynvml.py").write_text(
        f"import os, time\nfrom pathlib import Path\n"
        f"def nvmlInit():\n    Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n    time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [*COMMAND, "--only", "system.smt", "gpus"], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    until = time.monotonic() + 30
    while not (tmp_path / "pid").exists() and time.monotonic() < until:
        time.sleep(0.05)
    began = time.monotonic()
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    assert time.monotonic() - began < 5 and process.returncode == status
    assert "system.smt" in out and "12 not made" in out and "Next: ask again" in out
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()


def test_a_terminal_sees_colours_and_a_pipe_does_not():
    def shown(**environment) -> bytes:
        master, slave = pty.openpty()
        command = [*COMMAND, "--only", "system.files"]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=slave, stderr=subprocess.DEVNULL,
            env={**os.environ, "TERM": "xterm", "NO_COLOR": "", **environment},
        )  # fmt: skip
        os.close(slave)
        text = b""
        while True:
            try:
                more = os.read(master, 4096)
            except OSError:  # the other end is closed
                break
            if not more:
                break
            text += more
        process.wait()
        os.close(master)
        return text

    assert b"\033[" in shown() and b"\033[" not in shown(NO_COLOR="1")
    piped = subprocess.run([*COMMAND, "--only", "system.files"], cwd=ROOT, capture_output=True)
    assert b"\033" not in piped.stdout


def test_the_room_without_a_command_says_which_there_are(capsys):
    from benchmark.rig.__main__ import main

    for given, status in (([], 0), (["docter"], 2)):
        with pytest.raises(SystemExit) as ended:
            main(given)
        said = capsys.readouterr()
        assert ended.value.code == status and "doctor" in said.out + said.err


@pytest.mark.parametrize("status", [OK, WARN, FAIL, UNKNOWN])
def test_every_status_has_a_colour_and_an_exit_status(status):
    assert status in doctor.COLOURS and status in doctor.EXIT
