"""Set-up: which Python, what is installed, when again, and what is said where something is missing.

Nothing is installed here: an environment's Python is a shell script that writes down how it was called.
"""

import ast
import configparser
import fcntl
import hashlib
import http.server
import importlib.metadata
import os
import shutil
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path

import install
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from setuptools import find_packages

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("features", "models", "platforms", "benchmark")
MODULES = {  # what a distribution is imported as, where its name does not say
    "google-crc32c": "google_crc32c",
    "nvidia-ml-py": "pynvml",
    "tensorflow-io": "tensorflow_io",
    "espeakng-loader": "espeakng_loader",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of its own with the two files that decide what is installed, and no GPU."""
    for name in ("setup.cfg", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.setattr(install, "ROOT", tmp_path)
    monkeypatch.setattr(install, "CONSTRAINTS", tmp_path / "constraints.txt")
    monkeypatch.setattr(install, "list_gpus", list)
    without_uv = [folder for folder in os.environ["PATH"].split(":") if not (Path(folder) / "uv").exists()]
    monkeypatch.setenv("PATH", ":".join(without_uv))
    monkeypatch.setattr(install, "compiler_problem", lambda: "as no C++ compiler is found")
    return tmp_path


@pytest.fixture
def venv(project):
    """An environment whose Python notes its calls in calls.txt and fails for the words in fails.txt."""
    python = project / ".venv" / "bin" / "python"
    script(
        python,
        f'echo "$*" >> {project}/calls.txt\n'
        f'for word in $(cat {project}/fails.txt); do case " $* " in *" $word "*)\n'
        f'  echo "cannot do $word"; cat {project}/says.txt; exit 1 ;; esac; done',
    )
    (project / "fails.txt").write_text("")
    (project / "says.txt").write_text("")
    return project / ".venv"


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def installed(project):
    """What the environment's pip was asked to install, less options with a value; then calls are forgotten."""
    calls = (project / "calls.txt").read_text().splitlines()
    (project / "calls.txt").unlink()
    return [call.split()[-1] for call in calls if call.startswith("-m pip install")]


# Which Python


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_a_python_that_fits_has_no_problem(version):
    assert install.version_problem(version) == ""


@pytest.mark.parametrize("version", [(3, 6), (3, 10), (3, 14), (4, 0)])
def test_a_python_that_does_not_fit_is_told_in_one_line_which_do_and_why(version):
    said = install.version_problem(version)
    assert said.startswith(f"Python {version[0]}.{version[1]} does not fit; 3.11, 3.12 and 3.13 do")
    assert ("it needs TensorFlow 2.22, which is not released" in said) == (version == (3, 14))
    assert ("TensorFlow 2.21 has wheels for these alone" in said) == (version != (3, 14))
    assert "\n" not in said


def test_the_check_ends_with_status_2_under_a_python_that_does_not_fit_and_makes_nothing(project, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "version_info", (3, 14, 0, "final", 0))
        status = install.main(["--check", "--venv", str(project / "made")])
    assert status == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (project / "made").exists()


def test_setup_cfg_and_readme_name_the_same_pythons_and_tensorflow():
    oldest, newest = min(install.TENSORFLOW), max(install.TENSORFLOW)
    assert setup_cfg()["options"]["python_requires"] == f">=3.{oldest[1]},<3.{newest[1] + 1}"
    classifiers = setup_cfg()["metadata"]["classifiers"].splitlines()
    named = {tuple(map(int, line.split(" :: ")[-1].split("."))) for line in classifiers if "Python :: 3." in line}
    assert named == set(install.TENSORFLOW)
    assert {f"~={release}.0" for release in install.TENSORFLOW.values()} == {str(required()["tensorflow"].specifier)}
    assert install.USUAL in install.TENSORFLOW and not set(install.COMING) & set(install.TENSORFLOW)
    numbers = ["{}.{}".format(*version) for version in sorted(install.TENSORFLOW)]
    assert f"Python {', '.join(numbers[:-1])} or {numbers[-1]}" in (ROOT / "README.md").read_text()


# A Python of its own


@pytest.fixture
def unfit(project, monkeypatch):
    """A set-up under Python 3.10, on a machine where nothing is on PATH but what a test puts into bin."""
    for tool in ("sh", "cat", "chmod", "mkdir"):
        (project / "bin").mkdir(exist_ok=True)
        (project / "bin" / tool).symlink_to(shutil.which(tool))
    monkeypatch.setenv("PATH", str(project / "bin"))
    monkeypatch.setattr(sys, "version_info", (3, 10, 0, "final", 0))
    monkeypatch.setattr(sys, "executable", str(project / "bin" / "python3.10"))
    monkeypatch.delenv(install.AGAIN, raising=False)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    return project


def test_a_python_that_is_here_by_name_sets_up_with_the_same_arguments(unfit, capfd):
    script(unfit / "bin" / "python3.12", 'case "$*" in *--check) exit 0 ;; esac; echo "3.12: $*"')
    assert install.main(["--venv", str(unfit / ".venv"), "--dev"]) == 0
    out, err = capfd.readouterr()
    assert out.rstrip().endswith(f"--venv {unfit}/.venv --dev") and out.startswith("3.12: ")
    assert f"Going on with {unfit}/bin/python3.12" in err


@pytest.mark.parametrize("found", [True, False])
def test_uv_finds_a_python_that_fits_or_installs_one_into_the_environment(unfit, capfd, found):
    script(unfit / "own", 'echo "own: $*"')
    script(
        unfit / "bin" / "uv",
        f'case "$*" in\n'
        f'  "python find --system >=3.11,<3.14") {f"echo {unfit}/own" if found else "exit 2"} ;;\n'
        f'  "python install 3.13 --no-bin") echo "$UV_PYTHON_INSTALL_DIR" > {unfit}/into ;;\n'
        f'  "python find --managed-python 3.13") cat {unfit}/into > {unfit}/asked && echo {unfit}/own ;;\n'
        f"  *) exit 9 ;; esac",
    )
    assert install.main(["--venv", str(unfit / ".venv"), "--dev"]) == 0
    assert capfd.readouterr().out.startswith("own: ")
    assert (unfit / "into").exists() != found
    if not found:
        assert (unfit / "into").read_text().strip() == f"{unfit}/.venv/python"


@pytest.mark.parametrize(
    ("release", "way_out"),
    [
        ("ID=fedora", "sudo dnf install python3.13"),
        ('ID=rocky\nID_LIKE="rhel centos fedora"', "sudo dnf install python3.13"),
        ("ID=ubuntu\nID_LIKE=debian", "python3.13-venv python3.13-dev"),
        ("ID=arch", "pacman"),
        ("ID=debian", "pip install uv && uv python install 3.13"),
    ],
)
def test_where_uv_cannot_be_had_the_commands_of_the_distribution_are_said(unfit, monkeypatch, capsys, release, way_out):
    whole = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda path, *a, **k: release if str(path) == "/etc/os-release" else whole(path, *a, **k)
    )
    assert install.main(["--venv", str(unfit / ".venv")]) == 1
    said = capsys.readouterr().err
    assert "no Python fits, and uv brings none. The way out:" in said and way_out in said
    assert said.rstrip().endswith("then: make setup")


def test_a_set_up_that_another_began_does_not_look_for_a_third(unfit, monkeypatch, capsys):
    monkeypatch.setenv(install.AGAIN, "1")
    monkeypatch.setattr(install, "another_python", lambda *_: pytest.fail("it looked"))
    assert install.main(["--venv", str(unfit / ".venv")]) == 1
    assert "no Python fits" in capsys.readouterr().err


def test_a_python_of_its_own_outlives_an_interrupted_set_up(project, venv):
    (venv / install.BASE).mkdir()
    (venv / install.MARK).touch()
    install.empty_unless_complete(venv)
    assert (venv / install.BASE).exists()


def test_the_file_is_readable_for_python_3_6_and_needs_the_standard_library_alone():
    tree = ast.parse((ROOT / ".ci" / "install.py").read_text(), feature_version=(3, 6))
    assert imports_of(tree) <= set(sys.stdlib_module_names)
    assert "__future__" not in imports_of(tree)  # annotations from there came with 3.7
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    annotations = [argument.annotation for f in functions for argument in (*f.args.args, *f.args.kwonlyargs)]
    annotations += [function.returns for function in functions]
    # list[str] and int | None are evaluated when the function is made, and fail before 3.9 and 3.10
    assert {type(node) for node in annotations} <= {ast.Name, ast.Constant, type(None)}


@pytest.mark.skipif(not shutil.which("make"), reason="make is not here")
@pytest.mark.parametrize(
    ("fitting", "chosen"),
    [
        ({"python3", "python3.13", "python3.11"}, "python3"),
        ({"python3.13", "python3.12", "python3.11"}, "python3.13"),
        ({"python3.12", "python3.11"}, "python3.12"),
        ({"python3.11"}, "python3.11"),
        (set(), "python3"),  # which then says what does not fit
    ],
)
def test_make_takes_python3_if_it_fits_and_else_the_newest_that_does(tmp_path, fitting, chosen):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in {"python3", "python3.13", *fitting}:  # an unfit one fails the check, others are not there at all
        check = f'case "$*" in *--check) exit {0 if name in fitting else 2} ;; esac'
        script(tmp_path / "bin" / name, f'{check}\necho "{name} $*"')
    make = [shutil.which("make"), "--no-print-directory", "setup"]
    said = subprocess.check_output(make, cwd=tmp_path, env={"PATH": str(tmp_path / "bin")}, text=True)
    assert said == f"{chosen} .ci/install.py --dev\n"


# What is installed


def test_pip_then_the_project_then_kenlm_are_installed_from_the_constraints(project, venv):
    install.set_up(venv, dev=True)
    calls = (project / "calls.txt").read_text()
    assert calls.count(f"--constraint {project}/constraints.txt") == 6
    assert calls.count("-m pip wheel") == 1  # KenLM's, which is compiled meanwhile
    assert installed(project) == ["pip", "uv", ".[dev]", "pygtrie", "kenlm"]
    assert install.read_stamp(venv)[1] is True


def test_a_gpu_brings_tensorflows_cuda_libraries_and_is_named(project, venv, monkeypatch, capsys):
    monkeypatch.setattr(install, "list_gpus", lambda: ["NVIDIA A100", "NVIDIA A100"])
    install.set_up(venv, dev=True)
    assert installed(project) == ["pip", "uv", ".[dev,gpu]", "pygtrie", "kenlm"]
    assert "CUDA libraries, as nvidia-smi lists 2 x NVIDIA A100" in capsys.readouterr().err


def test_a_container_is_built_with_cuda_libraries_though_no_gpu_is_seen(project, venv, monkeypatch, capsys):
    monkeypatch.setenv(install.FOR_GPU, "1")
    install.set_up(venv, dev=True)
    assert ".[dev,gpu]" in installed(project)
    assert f"CUDA libraries, as {install.FOR_GPU} is set" in capsys.readouterr().err


@pytest.mark.parametrize("works", [True, False])
def test_pip_brings_uv_which_installs_all_else_and_pip_does_where_uv_fails(project, venv, monkeypatch, capsys, works):
    script(venv / "bin" / "uv", f'echo "$*" >> {project}/uv.txt; exit {0 if works else 1}')
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    install.set_up(venv, dev=True)
    asked = (project / "uv.txt").read_text().splitlines()
    assert [line.split()[-1] for line in asked] == [".[dev]", "pygtrie", "kenlm"]
    assert all(f"--python {venv}/bin/python --constraint {project}/constraints.txt" in line for line in asked)
    assert installed(project) == (["pip", "uv"] if works else ["pip", "uv", ".[dev]", "pygtrie", "kenlm"])
    assert ("uv failed" in capsys.readouterr().err) != works
    assert install.environment(venv)["UV_DEFAULT_INDEX"] == "http://127.0.0.1:9/simple"  # uv reads no setting of pip's


def test_uv_is_given_those_links_of_pips_that_are_there(project, monkeypatch):
    """It fails for a folder that is not there, where pip warns."""
    (project / "wheels").mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", f"{project}/gone {project}/wheels https://127.0.0.1:9/links")
    monkeypatch.delenv("UV_FIND_LINKS", raising=False)
    assert install.environment(project / ".venv")["UV_FIND_LINKS"] == f"{project}/wheels,https://127.0.0.1:9/links"
    monkeypatch.setenv("PIP_FIND_LINKS", f"{project}/gone")
    assert "UV_FIND_LINKS" not in install.environment(project / ".venv")


def test_where_uv_has_no_wheel_pip_installs_all(project, venv):
    (project / "fails.txt").write_text("uv")
    assert install.main(["--venv", str(venv), "--dev"]) == 0
    assert installed(project) == ["pip", "uv", ".[dev]", "pygtrie", "kenlm"]


def test_kenlm_is_not_compiled_again_where_its_version_is_there(project, venv):
    pinned = next(line for line in (project / "constraints.txt").read_text().splitlines() if line.startswith("kenlm=="))
    with (venv / "bin" / "python").open("a") as python:
        python.write(f'case "$*" in *metadata*) echo {pinned[len("kenlm==") :]} ;; esac\n')
    install.set_up(venv, dev=True)
    assert installed(project) == ["pip", "uv", ".[dev]", "pygtrie"]
    assert install.read_stamp(venv)[1] is True


def test_without_kenlm_set_up_ends_well_and_says_what_is_missing_and_how_to_get_it(project, venv, capsys):
    (project / "fails.txt").write_text("kenlm")
    assert install.main(["--venv", str(venv), "--dev"]) == 0
    said = capsys.readouterr().err
    assert "Language-model decoding is what is missing, everything else works" in said
    assert "as no C++ compiler is found" in said
    assert "apt install g++ python3-dev && make setup" in said
    assert install.read_stamp(venv)[1] is False


def test_pip_keeps_to_the_environment_whatever_the_users_settings(project, monkeypatch):
    for name in ("PIP_TARGET", "PIP_PREFIX", "PYTHONPATH"):
        monkeypatch.setenv(name, "/elsewhere")
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.delenv("PIP_CACHE_DIR", raising=False)
    monkeypatch.delenv("TMPDIR", raising=False)
    settings = install.environment(project / ".venv")
    assert "/elsewhere" not in settings.values()
    assert settings["PIP_USER"] == "0"
    assert Path(settings["PIP_CACHE_DIR"]).is_relative_to(project / ".venv")
    assert Path(settings["TMPDIR"]).is_relative_to(project / ".venv")


# When again


def test_a_complete_environment_is_left_as_it_is_but_its_stamp_is_made_new_for_make(project, venv, capsys):
    install.set_up(venv, dev=True)
    installed(project)
    os.utime(venv / install.STAMP, (1, 1))
    install.set_up(venv, dev=True)
    assert installed(project) == []
    assert (venv / install.STAMP).stat().st_mtime > (project / "setup.cfg").stat().st_mtime
    assert capsys.readouterr().err.endswith(".venv is complete\n")


@pytest.mark.parametrize("change", ["setup.cfg", "constraints.txt", "gpu", "less"])
def test_another_requirement_pin_gpu_or_extra_is_installed_over_what_is_there(project, venv, monkeypatch, change):
    install.set_up(venv, dev=True)
    installed(project)
    (venv / "kept").touch()
    if change == "gpu":
        monkeypatch.setattr(install, "list_gpus", lambda: ["NVIDIA A100"])
    elif change != "less":
        with (project / change).open("a") as file:
            file.write("# changed\n")
    install.set_up(venv, dev=change != "less")
    assert installed(project)[0] == "pip"
    assert (venv / "kept").exists()


def test_a_set_up_that_was_cut_off_leaves_no_stamp_and_is_begun_anew(project, venv, monkeypatch, capsys):
    install.set_up(venv, dev=True)
    (project / "setup.cfg").write_text("changed")
    with monkeypatch.context() as patch:
        patch.setattr(install, "install_packages", interrupt)
        assert install.main(["--venv", str(venv), "--dev"]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert not (venv / install.STAMP).exists()
    (venv / install.SCRATCH / "cache").mkdir(parents=True)
    install.empty_unless_complete(venv)
    assert {path.name for path in venv.iterdir()} == {install.MARK, install.SCRATCH}
    assert (venv / install.SCRATCH / "cache").exists()


def interrupt(*_):
    raise KeyboardInterrupt


def test_kenlm_is_tried_again_once_a_compiler_is_there_and_not_before(project, venv, monkeypatch, capsys):
    (project / "fails.txt").write_text("kenlm")
    install.set_up(venv, dev=True)
    (project / "fails.txt").write_text("")
    installed(project)
    install.set_up(venv, dev=True)
    assert installed(project) == []
    assert capsys.readouterr().err.endswith("language-model decoding is missing, as no C++ compiler is found\n")
    monkeypatch.setattr(install, "compiler_problem", lambda: "")
    install.set_up(venv, dev=True)
    assert installed(project) == ["kenlm"]
    install.set_up(venv, dev=True)
    assert installed(project) == []


def test_a_moved_environment_is_not_taken_for_complete(project, venv):
    before = install.fingerprint(venv, gpu=False, dev=True)
    assert install.fingerprint(project / "elsewhere", gpu=False, dev=True) != before


def test_a_folder_that_is_no_environment_is_refused_and_left_as_it_is(project, capsys):
    (project / "mine").mkdir()
    (project / "mine" / "thesis.txt").touch()
    assert install.main(["--venv", str(project / "mine")]) == 1
    assert "mine is there and is no environment of Python" in capsys.readouterr().err
    assert [path.name for path in (project / "mine").iterdir()] == ["thesis.txt"]


def test_a_users_own_environment_is_installed_into_and_never_emptied(project, venv):
    (venv / "mine").touch()
    install.set_up(venv, dev=True)
    assert (venv / "mine").exists()


def test_a_second_set_up_waits_for_the_first(project, venv, capsys):
    install.set_up(venv, dev=True)
    with (venv / install.MARK).open("a") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        second = threading.Thread(target=install.set_up, args=(venv,), kwargs={"dev": True})
        second.start()
        second.join(0.3)
        assert second.is_alive()
    second.join(10)
    assert not second.is_alive()
    assert "Another set-up is at work on .venv; waiting for it" in capsys.readouterr().err


# What is said where something fails


@pytest.mark.parametrize(
    ("log", "way_out"),
    [
        ("OSError: [Errno 28] No space left on device", "The disk is full: .venv needs 4 GB"),
        ("ERROR: No matching distribution found for tensorflow", "The package index does not answer"),
        ("something else", "The whole log is .venv/install.log"),
    ],
)
def test_a_failed_step_shows_the_end_of_the_log_and_the_way_out(project, venv, capsys, log, way_out):
    (project / "fails.txt").write_text(".[dev]")
    (project / "says.txt").write_text(log + "\n")
    assert install.main(["--venv", str(venv), "--dev"]) == 1
    said = capsys.readouterr().err
    assert "TensorFlow and all others: failed" in said
    assert log in said
    assert way_out in said
    assert not (venv / install.STAMP).exists()


def test_without_ensurepip_and_index_the_way_out_is_said(project, venv, monkeypatch, capsys):
    (project / "fails.txt").write_text("--version ensurepip")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(install, "succeeds", lambda *_: False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the discard port: nobody listens
    assert install.main(["--venv", str(venv), "--dev"]) == 1
    assert "apt install python3-venv" in capsys.readouterr().err


# GPUs


def test_gpus_are_those_that_nvidia_smi_lists(tmp_path, monkeypatch):
    lines = "GPU 0: NVIDIA A100-SXM4 (UUID: GPU-1)\n  MIG 1g.5gb Device 0: (UUID: MIG-2)\nGPU 1: NVIDIA T4"
    script(tmp_path / "nvidia-smi", f'[ "$*" = -L ] && echo "{lines}"')
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install.list_gpus() == ["NVIDIA A100-SXM4", "NVIDIA T4"]


def test_without_nvidia_smi_there_is_no_gpu_and_no_word_of_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install.list_gpus() == []
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("answer", "status"), [("No devices found.", 0), ("NVIDIA-SMI has failed", 9)])
def test_an_nvidia_smi_without_gpus_is_no_gpu_and_its_words_are_shown(tmp_path, monkeypatch, capsys, answer, status):
    script(tmp_path / "nvidia-smi", f'echo "{answer}"; exit {status}')
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install.list_gpus() == []
    assert answer in capsys.readouterr().err


# pip's wheel from an index


@pytest.fixture
def index(tmp_path):
    """A package index on this machine: its address, and a dict of what it serves."""
    pages = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path in pages else 404)
            self.end_headers()
            self.wfile.write(pages.get(self.path, b""))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple", pages
        server.shutdown()


def link(content, *, fragment="sha256="):
    return f'<a href="../../files/pip-9.whl#{fragment}{hashlib.sha256(content).hexdigest()}">pip-9.whl</a>'.encode()


def test_a_wheel_is_fetched_by_the_indexs_link(index):
    address, pages = index
    pages.update({"/simple/pip/": link(b"wheel"), "/files/pip-9.whl": b"wheel"})
    assert install.download("pip-9.whl", index=address) == b"wheel"


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        (link(b"another"), "the sha256 of pip-9.whl is not the one"),
        (link(b"wheel", fragment="md5="), "has no pip-9.whl with a sha256"),
        (b"", "has no pip-9.whl with a sha256"),
    ],
)
def test_a_wheel_that_is_not_what_the_index_says_is_refused(index, page, problem):
    address, pages = index
    pages.update({"/simple/pip/": page, "/files/pip-9.whl": b"wheel"})
    with pytest.raises(install.SetupError, match=problem):
        install.download("pip-9.whl", index=address)


def test_pips_own_configuration_names_the_index(tmp_path, monkeypatch):
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = http://of.file/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    assert install.pip_setting("index-url") == "http://of.file/simple"
    monkeypatch.setenv("PIP_INDEX_URL", "http://of.environment/simple")
    assert install.pip_setting("index-url") == "http://of.environment/simple"


# What is declared


def setup_cfg():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    return settings


def requirements(text):
    return {canonicalize_name((parsed := Requirement(line)).name): parsed for line in text.split("\n") if line}


def required():
    return requirements(setup_cfg()["options"]["install_requires"])


def extras():
    return {name: requirements(text) for name, text in setup_cfg()["options.extras_require"].items()}


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return requirements("\n".join(line for line in lines if not line.startswith("#")))


def imports_of(tree):
    """Top-level names of the modules that a module imports, wherever in it."""
    nodes = list(ast.walk(tree))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    whole = plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0}
    return {name.split(".")[0] for name in whole}


@cache
def imported():
    """Every module that the four packages import, less the standard library and the packages themselves."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    names = set().union(*(imports_of(ast.parse(path.read_text(encoding="utf-8"))) for path in paths))
    return names - set(sys.stdlib_module_names) - set(PACKAGES)


def module(distribution):
    return MODULES.get(distribution, distribution)


def test_every_requirement_has_one_pin_and_the_pin_is_within_its_bounds():
    for name, requirement in {**required(), **extras()["lm"], **extras()["gpu"], **extras()["dev"]}.items():
        (pin,) = pins()[name].specifier
        assert pin.operator == "=="
        assert requirement.specifier.contains(pin.version), f"{name}: {pin.version} is not in {requirement}"


def version_here(name):
    """The installed version; 0 where a package is absent, as KenLM is without a compiler."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "0"


def test_what_the_requirements_require_is_pinned_too():
    waiting = [*required().values(), *extras()["lm"].values(), *extras()["dev"].values()]
    seen = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in seen or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        seen.add(name)
        if name in pins() and pins()[name].specifier.contains(version_here(name)):  # another version may need others
            waiting += map(Requirement, importlib.metadata.requires(name) or [])
    assert seen - set(pins()) == set()


ORACLES = {"tensorflow-io"}
"""What tests alone import: tests/features/reading/test_augment.py holds our masks to tensorflow-io's."""


@pytest.mark.parametrize("name", sorted(required().keys() - ORACLES))
def test_no_requirement_is_declared_that_nothing_imports(name):
    assert module(name) in imported()


def test_no_import_is_without_its_declaration():
    optional = {
        name: bound
        for extra in ("lm", "pyctcdecode", "peers", "figures", "whisper", "cluster", "export", "prepare", "trackers")
        for name, bound in extras()[extra].items()
    }
    declared = {module(name) for name in {**required(), **optional}}
    assert imported() - declared - {"keras"} == set()  # TensorFlow brings Keras, and is not to be had without


def test_every_package_and_its_data_are_installed():
    settings = setup_cfg()
    folders = [path.parent for package in PACKAGES for path in (ROOT / package).rglob("__init__.py")]
    names = {".".join(folder.relative_to(ROOT).parts): folder for folder in folders}
    assert settings["options"]["packages"] == "find:"
    assert set(find_packages(ROOT, include=settings["options.packages.find"]["include"].split())) == set(names)
    for name, folder in names.items():
        patterns = settings["options.package_data"].get(name, "").split(", ")
        for path in folder.iterdir():
            if path.is_file() and path.suffix not in {".py", ".pyc", ".md"}:
                assert any(path.match(pattern) for pattern in patterns), f"{path}: not in package_data"


def test_clean_removes_what_tools_left_and_neither_data_nor_results(tmp_path):
    """The recipe is run, in a folder that has all of it."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    stay = ["data/LibriSpeech/a.flac", "data/build/x", "results/a.csv", "results/a/checkpoints/x", "studies/mini/x"]
    stay += [f"{package}/a.py" for package in (*PACKAGES, "tests")] + ["setup.cfg", ".ci/install.py"]
    go = [".venv/x", "build/x", "dist/x", "speech_tta.egg-info/x", ".mypy_cache/x", ".coverage", ".coverage.host.1"]
    go += [f"{package}/room/__pycache__/a.pyc" for package in (*PACKAGES, "tests")]
    for name in (*stay, *go):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"Makefile", *stay}
