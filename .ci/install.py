"""Make .venv: a virtual environment with what the suite needs, at the versions of constraints.txt.

    python3 .ci/install.py [--venv .venv] [--dev]           make setup calls it with --dev
    python3 .ci/install.py --check                          exit status 0 if this Python fits

Where this Python does not fit, uv finds one that does, or installs one into the virtual environment; uv itself comes
from the package index if it is not here. Where uv is here, it also installs the packages, sooner than pip.
Everything lands in the virtual environment: packages, the log, pip's cache and scratch files while they are needed.
The stamp is written last; while it fits, a further call returns at once. An interrupted installation
starts again. KenLM is compiled meanwhile, and comes last: without it everything but language models works.

Needs only the standard library and keeps to the grammar of Python 3.6, so that a Python that does not fit says so.
"""

import argparse
import configparser
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path
from subprocess import Popen

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
BUILD = ["--build-constraint", str(CONSTRAINTS)]  # known to the pip of constraints.txt, not to every older one
# Which TensorFlow goes with which Python; setup.cfg's python_requires, classifiers and requirement follow from it.
TENSORFLOW = {(3, 11): "2.21", (3, 12): "2.21", (3, 13): "2.21"}
COMING = {(3, 14): "2.22"}  # the first TensorFlow with wheels for that Python; a release is not out yet
USUAL = (3, 13)  # of a Python of its own, where none fits
FAILED, BAD_PYTHON, INTERRUPTED = 1, 2, 130

# In the environment:
MARK = ".installer"  # says that this file made it, and is locked while this file is at work on it
STAMP = ".complete"  # line 1: fingerprint() of what is installed; line 2: whether KenLM is
LOG = "install.log"
KENLM_LOG = "kenlm.log"
BASE = "python"  # the Python that uv installed, where none fitted
SCRATCH = "scratch"  # pip's cache and temporary files; outlives a break, so that pip need not download all again

FOR_GPU = "SPEECH_TTA_GPU"  # in the environment: CUDA libraries though no GPU is seen, as where a container is built
AGAIN = "SPEECH_TTA_SETUP_AGAIN"  # in the environment of a set-up that another, whose Python does not fit, began

WAYS_OUT = (  # what the log says, and what to do about it; the first that matches is shown
    (
        "No space left on device|Disk quota exceeded",
        "The disk is full: {venv} needs 4 GB, with CUDA libraries 10 GB. Make room, then: make setup",
    ),
    (
        "NewConnectionError|NameResolutionError|Timeout|ProxyError|SSLError|No matching distribution",
        "The package index does not answer, or lacks a package. Behind a proxy set HTTPS_PROXY, then: make setup",
    ),
    ("", "The whole log is {log}. With the cause gone: make setup"),
)
NO_LANGUAGE_MODEL = (
    "Language-model decoding is what is missing, everything else works: KenLM could not be compiled, {why}.\n"
    "To get it: apt install g++ python3-dev && make setup"
)


class SetupError(Exception):
    """Set-up cannot go on; the message says what failed and the way out."""


def main(argv=None) -> int:
    """The command line; returns the exit status: 0 done, 1 failed, 2 this Python does not fit, 130 interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", metavar="DIR", help="default: %(default)s")
    parser.add_argument("--dev", action="store_true", help="also what tests and linting need")
    parser.add_argument("--check", action="store_true", help="say whether this Python fits, and make nothing")
    options = parser.parse_args(argv)
    venv = Path(os.path.abspath(str(options.venv)))
    unfit = version_problem(sys.version_info[:2])
    if options.check:
        if unfit:
            say(unfit)
        return BAD_PYTHON if unfit else 0
    try:
        if unfit:
            return set_up_with_another(venv, unfit, sys.argv[1:] if argv is None else argv)
        set_up(venv, dev=options.dev)
    except (SetupError, OSError) as error:
        say(f"set-up: {error}")
        return FAILED
    except KeyboardInterrupt:
        say("\nset-up: interrupted; the next make begins it again")
        return INTERRUPTED
    return 0


def version_problem(version: tuple) -> str:
    """One line on why this Python does not fit; empty if it does."""
    if version in TENSORFLOW:
        return ""
    fitting = [".".join(map(str, known)) for known in sorted(TENSORFLOW)]
    there = ", ".join(fitting[:-1]) + " and " + fitting[-1]
    why = f"TensorFlow {TENSORFLOW[USUAL]} has wheels for these alone"
    if version in COMING:
        why = f"it needs TensorFlow {COMING[version]}, which is not released"
    return f"Python {version[0]}.{version[1]} does not fit; {there} do: {why}."


# A Python that fits, where this one does not


def set_up_with_another(venv: Path, unfit: str, arguments: list) -> int:
    """Find or install a Python that fits, and let it set up; returns its exit status.

    Raises:
        SetupError: there is none, and none can be had; the message has the commands that bring one.
    """
    say(unfit)
    python = None if os.environ.get(AGAIN) else another_python(venv)
    if not python:
        raise SetupError(f"no Python fits, and uv brings none. The way out: {python_by_hand()}")
    say(f"Going on with {python}")
    command = [python, str(Path(__file__).resolve()), *arguments]
    return subprocess.call(command, env=dict(os.environ, **{AGAIN: "1"}))


def another_python(venv: Path) -> str:
    """Path of a Python that fits: one here, by name or as uv finds it, or one that uv installs; "" if neither."""
    for version in sorted(TENSORFLOW, reverse=True):
        here = shutil.which("python{}.{}".format(*version))
        if here and subprocess.call([here, str(Path(__file__).resolve()), "--check"], stderr=subprocess.DEVNULL) == 0:
            return here
    with locked(venv):
        uv = find_uv(venv)
        if not uv:
            return ""
        wanted = "{}.{}".format(*USUAL)
        bounds = ">={}.{},<{}.{}".format(*min(TENSORFLOW), max(TENSORFLOW)[0], max(TENSORFLOW)[1] + 1)
        found = answer(venv, [uv, "python", "find", "--system", bounds])
        if not found and succeeds(venv, [uv, "python", "install", wanted, "--no-bin"]):
            found = answer(venv, [uv, "python", "find", "--managed-python", wanted])
        return found


def find_uv(venv: Path) -> str:
    """Path of uv: on PATH, else out of its wheel from the package index; "" if it cannot be had."""
    here = shutil.which("uv")
    if here:
        return here
    folder = venv / SCRATCH / "uv"
    for pip in ([sys.executable, "-m", "pip"], ["pip3"], ["pip"]):
        if succeeds(venv, [*pip, "download", "--no-deps", "--only-binary=:all:", "--dest", str(folder), "uv"]):
            for wheel in sorted(folder.glob("uv-*.whl")):
                with zipfile.ZipFile(str(wheel)) as packed:
                    for name in packed.namelist():
                        if name.endswith(".data/scripts/uv"):
                            (folder / "uv").write_bytes(packed.read(name))
                            (folder / "uv").chmod(0o755)
                            return str(folder / "uv")
    return ""


def python_by_hand() -> str:
    """What brings a Python that fits on this system, in one line."""
    wanted = "{}.{}".format(*USUAL)
    try:
        said = Path("/etc/os-release").read_text()
    except OSError:
        said = ""
    system = " ".join(re.findall(r'^ID(?:_LIKE)?="?([^"\n]*)', said, re.MULTILINE)).split()
    if os.environ.get("CONDA_PREFIX"):
        bring = f"conda create --yes --name speech-tta python={wanted} && conda activate speech-tta"
    elif sys.platform == "darwin":
        bring = f"brew install python@{wanted}"
    elif {"fedora", "rhel", "centos"} & set(system):
        bring = f"sudo dnf install python{wanted} python{wanted}-devel"
    elif "arch" in system:
        bring = f"sudo pacman --sync uv && uv python install {wanted}"
    elif "ubuntu" in system:
        bring = f"sudo add-apt-repository ppa:deadsnakes/ppa && sudo apt install python{wanted}-venv python{wanted}-dev"
    else:
        bring = f"pip install uv && uv python install {wanted}; on Debian 12 or 13: sudo apt install python3-venv"
    return f"{bring}; then: make setup"


def set_up(venv: Path, *, dev: bool) -> None:
    """Make `venv` complete, or find that it is."""
    gpus = list_gpus() or (["GPU that a container will see"] if os.environ.get(FOR_GPU) else [])
    wanted = fingerprint(venv, gpu=bool(gpus), dev=dev)
    with locked(venv):
        installed, kenlm = read_stamp(venv)
        if installed != wanted or not python_fits(venv):
            install(venv, wanted, gpus=gpus, dev=dev)
        elif not kenlm and not compiler_problem():
            say("A C++ compiler is here now: trying KenLM again")
            with compiling_kenlm(venv) as compiling:
                write_stamp(venv, wanted, kenlm=install_kenlm(venv, compiling))
        else:
            (venv / STAMP).touch()  # newer than the files that make compares it with
            missing = "" if kenlm else f"; language-model decoding is missing, {compiler_problem()}"
            say(f"{shown(venv)} is complete{missing}")


def install(venv: Path, wanted: str, *, gpus: list, dev: bool) -> None:
    """All steps, into an empty folder or over an older installation, and the stamp."""
    started = time.monotonic()
    time_and_size = "three minutes or more, 8 GB" if gpus else "two minutes or so, 3 GB"
    say(f"Setting up {shown(venv)} with Python {sys.version.split()[0]}: {time_and_size}; log: {shown(venv / LOG)}")
    if gpus:
        why = f"{FOR_GPU} is set" if os.environ.get(FOR_GPU) else f"nvidia-smi lists {len(gpus)} x {gpus[0]}"
        say(f"With TensorFlow's CUDA libraries, as {why}")
    empty_unless_complete(venv)
    make_environment(venv)
    install_packages(venv, "pip", ["pip"])
    bring_uv(venv)
    extras = ",".join(name for name, wanted in (("dev", dev), ("gpu", gpus)) if wanted)
    with compiling_kenlm(venv) as compiling:
        install_packages(venv, "TensorFlow and all others", [*BUILD, "--editable", f".[{extras}]" if extras else "."])
        # It works with NumPy 2, whatever its metadata says: without its requirements, of which only pygtrie is missing.
        install_packages(venv, "pyctcdecode", ["--no-deps", "pyctcdecode", "pygtrie"])
        write_stamp(venv, wanted, kenlm=install_kenlm(venv, compiling))
    say(f"{shown(venv)} is complete after {time.monotonic() - started:.0f} s")


def bring_uv(venv: Path) -> None:
    """Install uv's wheel into the environment; where there is none for this system, pip goes on alone."""
    with contextlib.suppress(SetupError):
        install_packages(venv, "uv", ["--only-binary=:all:", "uv"])


def install_packages(venv: Path, label: str, what: list) -> None:
    """Install by uv, sooner, with pip's settings; by pip where uv is not in the environment, or fails."""
    what = ["--constraint", str(CONSTRAINTS), *what]
    uv = venv / "bin" / "uv"
    if uv.exists() and label not in ("pip", "uv"):
        into = ["--compile-bytecode", "--python", python_of(venv)]
        try:
            step(venv, label + ", by uv", [str(uv), "pip", "install", *into, *what])
        except SetupError:
            say("uv failed, as the log says; pip follows")
        else:
            return
    step(venv, label, [python_of(venv), "-m", "pip", "install", *what])


def compiling_kenlm(venv: Path):
    """As `logged`, a process that compiles KenLM's wheel: a minute of one core, while packages arrive.

    None where the version that is wanted is installed.
    """
    wanted = re.search(r"^kenlm==(\S+)", CONSTRAINTS.read_text(), re.MULTILINE)
    ask = "from importlib.metadata import version; print(version('kenlm'))"
    if wanted and answer(venv, [python_of(venv), "-c", ask]) == wanted.group(1):
        return contextlib.nullcontext()
    (venv / KENLM_LOG).write_bytes(b"")
    into = ["--no-deps", "--wheel-dir", str(venv / SCRATCH / "wheels"), *BUILD, "--constraint", str(CONSTRAINTS)]
    return logged(venv, [python_of(venv), "-m", "pip", "wheel", *into, "kenlm"], log=KENLM_LOG)


def install_kenlm(venv: Path, compiling: Popen) -> bool:
    """Wait for KenLM's wheel and install it; where it could not be compiled, say what is missing without it."""
    if compiling is None:
        return True
    try:
        watch(venv, "KenLM, compiled", compiling, log=KENLM_LOG)
        wheels = str(venv / SCRATCH / "wheels")
        install_packages(venv, "KenLM", ["--no-deps", "--no-index", "--find-links", wheels, "kenlm"])
    except SetupError:
        say(NO_LANGUAGE_MODEL.format(why=compiler_problem() or f"see the end of {shown(venv / KENLM_LOG)}"))
        return False
    return True


def compiler_problem() -> str:
    """What is not here for compiling an extension of Python; empty if nothing is known to be missing."""
    if not any(shutil.which(name) for name in (os.environ.get("CXX") or "g++", "c++", "clang++")):
        return "as no C++ compiler is found"
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        return "as Python's headers are not found"
    return ""


# What is there, and what is wanted


def list_gpus() -> list:
    """Names of the GPUs of `nvidia-smi -L`; none where it is absent or fails, and the failure is said."""
    command = shutil.which("nvidia-smi")
    if not command:
        return []
    try:
        said = subprocess.check_output([command, "-L"], stderr=subprocess.STDOUT, timeout=60).decode(errors="replace")
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "output", None) or error)
    gpus = re.findall(r"^GPU \d+: (.*?)(?: \(UUID.*)?$", said, re.MULTILINE)
    if not gpus:
        say(f"nvidia-smi lists no GPU, so CUDA libraries are left out; it says: {said.strip()}")
    return gpus


def fingerprint(venv: Path, *, gpu: bool, dev: bool) -> str:
    """Hash of all that decides what is installed; of the place as well, since a moved environment is broken."""
    digest = hashlib.sha256()
    options = f"{sys.version_info[:2]} {gpu} {dev} {venv}"
    for part in ((ROOT / "setup.cfg").read_bytes(), CONSTRAINTS.read_bytes(), options.encode()):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def read_stamp(venv: Path) -> tuple:
    """The fingerprint of what is installed and whether KenLM is; ("", False) without a stamp."""
    lines = (venv / STAMP).read_text().splitlines() if (venv / STAMP).exists() else []
    return (lines[0] if lines else "", "kenlm" in lines[1:])


def write_stamp(venv: Path, installed: str, *, kenlm: bool) -> None:
    """The end of a set-up. Written to a temporary file and renamed: a stamp is whole or absent."""
    shutil.rmtree(str(venv / SCRATCH), ignore_errors=True)
    beside = venv / (STAMP + ".new")
    beside.write_text(installed + "\n" + ("kenlm" if kenlm else "no kenlm") + "\n")
    beside.replace(venv / STAMP)


def python_fits(venv: Path) -> bool:
    """Whether the environment has a Python that runs and is of the version of this one."""
    ask = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    return os.path.exists(python_of(venv)) and subprocess.call([python_of(venv), "-c", ask]) == 0


# The environment and its pip


@contextlib.contextmanager
def locked(venv: Path):
    """One set-up at a time works on an environment; a second waits, and then finds it complete."""
    if venv.exists() and any(venv.iterdir()) and not (venv / MARK).exists():
        if not python_fits(venv):
            version = "{}.{}".format(*sys.version_info[:2])
            raise SetupError(f"{venv} is there and is no environment of Python {version}: move it away")
        (venv / STAMP).write_text("someone else's")  # complete, though out of date: installed into, never emptied
    venv.mkdir(parents=True, exist_ok=True)
    with (venv / MARK).open("a") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Another set-up is at work on {shown(venv)}; waiting for it")
            fcntl.flock(mark, fcntl.LOCK_EX)
        yield


def empty_unless_complete(venv: Path) -> None:
    """Keep a complete environment of this Python, to be brought up to date, less its stamp; empty any other.

    A break may leave half a package which pip takes for a whole one.
    """
    shutil.rmtree(str(venv / SCRATCH / "tmp"), ignore_errors=True)
    keep = (venv / STAMP).exists() and python_fits(venv)
    for entry in (
        [venv / STAMP] if keep else [path for path in venv.iterdir() if path.name not in (MARK, SCRATCH, BASE)]
    ):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(str(entry))
        else:
            entry.unlink()


def make_environment(venv: Path) -> None:
    """An environment with a pip. Without root, Debian's Python may lack ensurepip, which brings one."""
    python = python_of(venv)
    if not python_fits(venv):
        step(venv, "virtual environment", [sys.executable, "-m", "venv", "--without-pip", str(venv)])
    if succeeds(venv, [python, "-m", "pip", "--version"]):
        return
    if importlib.util.find_spec("ensurepip") and succeeds(venv, [python, "-m", "ensurepip"]):
        return
    try:
        wheel = pip_wheel(venv)
    except (OSError, SetupError) as error:
        raise SetupError(
            f"ensurepip is missing and pip cannot be fetched ({error}). The way out: apt install python3-venv, or "
            "PIP_INDEX_URL=the package index's address, then: make setup"
        ) from error
    step(venv, "pip, from its wheel", [python, f"{wheel}/pip", "install", "--no-index", "--no-deps", str(wheel)])


def pip_wheel(venv: Path) -> Path:
    """The pinned pip's wheel, by a pip of the system, which knows its own settings, else straight from the index.

    Raises:
        SetupError, OSError: it cannot be had.
    """
    version = re.search(r"^pip==(\S+)", CONSTRAINTS.read_text(), re.MULTILINE).group(1)
    wheel = venv / SCRATCH / f"pip-{version}-py3-none-any.whl"
    for pip in ([sys.executable, "-m", "pip"], ["pip3"]):
        command = [*pip, "download", "--no-deps", "--dest", str(wheel.parent), f"pip=={version}"]
        if succeeds(venv, command) and wheel.exists():
            return wheel
    index = pip_setting("index-url")
    if not index:
        raise SetupError("there is no pip to ask for its default package index, and no PIP_INDEX_URL")
    wheel.write_bytes(download(wheel.name, index=index))
    return wheel


def download(name: str, *, index: str) -> bytes:
    """A wheel from a package index, checked against the hash in the fragment of the index's link to it."""
    page = f"{index.rstrip('/')}/{name.split('-')[0]}/"
    link = re.search(rf'href="([^"]*/{re.escape(name)})#sha256=([0-9a-f]{{64}})"', fetch(page).decode())
    if not link:
        raise SetupError(f"{page} has no {name} with a sha256")
    content = fetch(urllib.parse.urljoin(page, link.group(1)))
    if hashlib.sha256(content).hexdigest() != link.group(2):
        raise SetupError(f"the sha256 of {name} is not the one that {page} gives")
    return content


def fetch(url: str) -> bytes:
    secure = {}
    if url.startswith("https:"):
        import ssl  # here, because a Python without it can do all the rest

        secure["context"] = ssl.create_default_context(cafile=pip_setting("cert") or None)
    with urllib.request.urlopen(url, timeout=60, **secure) as answer:
        return answer.read()


def pip_setting(name: str) -> str:
    """A setting of pip from the environment or its configuration files; empty if there is none."""
    of_user = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    files = ["/etc/pip.conf", os.path.expanduser("~/.pip/pip.conf"), os.path.join(of_user, "pip", "pip.conf")]
    settings = configparser.RawConfigParser()
    settings.read([*files, os.environ.get("PIP_CONFIG_FILE", os.devnull)])
    variable = "PIP_" + name.upper().replace("-", "_")
    return os.environ.get(variable) or settings.get("global", name, fallback="")


# Commands and what is seen of them


def step(venv: Path, label: str, command: list) -> None:
    """Run a command with its output in the log, and `watch` it."""
    with logged(venv, command) as process:
        watch(venv, label, process)


def watch(venv: Path, label: str, process: Popen, *, log: str = LOG) -> None:
    """Wait for a process; show its label and seconds, on a terminal the end of its log meanwhile.

    Raises:
        SetupError: it failed; the message has the end of the log and the way out.
    """
    started = time.monotonic()
    terminal = sys.stderr.isatty()
    show(f"  {label:<34}")
    while process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
        if terminal:
            last = "".join(log_tail(venv / log, lines=1))[: max(shutil.get_terminal_size().columns - 48, 0)]
            show(f"\r\033[K  {label:<34} {time.monotonic() - started:4.0f} s  {last}")
    failed = process.returncode != 0
    if terminal:
        show(f"\r\033[K  {label:<34}")
    say(f" {time.monotonic() - started:4.0f} s{'  failed' if failed else ''}")
    if failed:
        tail = "\n".join(log_tail(venv / log, lines=15))
        advice = next(advice for said, advice in WAYS_OUT if re.search(said, tail))
        way_out = advice.format(venv=shown(venv), log=shown(venv / log))
        raise SetupError(f"{label}: failed. The log ends:\n{tail}\n{way_out}")


def succeeds(venv: Path, command: list) -> bool:
    """Whether a command is there, runs and ends well; its output goes to the log."""
    if not shutil.which(command[0]):
        return False
    with logged(venv, command) as process:
        return process.wait() == 0


def answer(venv: Path, command: list) -> str:
    """What a command prints, less white space; "" if it fails."""
    found = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(venv))
    return found.stdout.decode().strip() if found.returncode == 0 else ""


@contextlib.contextmanager
def logged(venv: Path, command: list, *, log: str = LOG):
    """A process at work, with its output appended to a log; killed if the block is left before its end."""
    with (venv / log).open("ab") as file:
        file.write(f"$ {' '.join(command)}\n".encode())
        file.flush()
        process = Popen(
            command,
            cwd=str(ROOT),
            env=environment(venv),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def environment(venv: Path) -> dict:
    """For pip: the user's settings, less those that lead out of the environment."""
    outward = ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_PYTHON")
    kept = {name: value for name, value in os.environ.items() if name not in outward}
    scratch = venv / SCRATCH
    (scratch / "tmp").mkdir(parents=True, exist_ok=True)
    kept.setdefault("PIP_CACHE_DIR", str(scratch / "cache"))
    kept.setdefault("TMPDIR", str(scratch / "tmp"))  # /tmp may be memory, and too small
    # uv reads no settings of pip's, and fails for a folder of links that is not there, which pip passes over.
    links = [each for each in pip_setting("find-links").split() if "://" in each or os.path.exists(each)]
    for name, setting in (
        ("UV_DEFAULT_INDEX", pip_setting("index-url")),
        ("UV_FIND_LINKS", ",".join(links)),
        ("SSL_CERT_FILE", pip_setting("cert")),
    ):
        if setting:
            kept.setdefault(name, setting)
    kept.setdefault("UV_PYTHON_INSTALL_DIR", str(venv / BASE))
    kept.setdefault("UV_CACHE_DIR", str(scratch / "cache"))
    kept.setdefault("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
    return dict(kept, PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")


def log_tail(path: Path, *, lines: int) -> list:
    """The last lines of a log that are not empty, of its last command alone."""
    with path.open("rb") as log:
        log.seek(max(log.seek(0, os.SEEK_END) - 20000, 0))
        text = log.read().decode(errors="replace")
    return [line for line in text.rpartition("\n$ ")[2].splitlines() if line.strip()][-lines:]


def python_of(venv: Path) -> str:
    return str(venv / "bin" / "python")


def shown(path: Path) -> str:
    """A path as seen from the project's folder."""
    return str(path.relative_to(ROOT)) if ROOT in path.parents else str(path)


def say(line: str) -> None:
    show(line + "\n")


def show(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a set-up that is ended takes its pip along
    sys.exit(main())
