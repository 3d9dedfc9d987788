"""Stand-ins for NVIDIA's libraries, for tests of what reads them on a machine without a GPU: NVML, CUDA, cuDNN.

    libraries = compiled(folder)                    # None without a C compiler
    environment_of(libraries, STANDIN="h200")       # of a child process that loads them in place of NVIDIA's

The sources are in tests/standins; boards.h has the machines: four RTX 2070 with unlike links, an H200 with an energy
counter, and two boards that CUDA counts in the reverse of the bus's order. The reader runs in a process of its own, as
the loader reads LD_LIBRARY_PATH when a process begins.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).parent / "standins"
ROOT = Path(__file__).resolve().parents[1]
CUDNN = "unsigned long cudnnGetVersion(void) { return %d; }"
CUDA_RUNTIME = "int cudaRuntimeGetVersion(int *version) { *version = %d; return 0; }"


def compiler() -> str | None:
    return next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def library(path: Path, source: Path | str) -> Path:
    """Compile a source, a file or text, to a shared library."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = source.read_text() if isinstance(source, Path) else source
    command = [compiler(), "-shared", "-fPIC", "-w", f"-I{SOURCES}", "-x", "c", "-", "-o", str(path)]
    subprocess.run(command, input=text, text=True, check=True)
    return path


def compiled(folder: Path) -> Path | None:
    """Compile NVML's and CUDA's stand-in into a folder, and return it; None without a C compiler."""
    if compiler() is None:
        return None
    library(folder / "libnvidia-ml.so.1", SOURCES / "nvml.c")
    library(folder / "libcuda.so.1", SOURCES / "cuda.c")
    return folder


def environment_of(libraries: Path, **changes: object) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CUDA_", "STANDIN"))}
    return {**kept, "LD_LIBRARY_PATH": str(libraries), **{name: str(value) for name, value in changes.items()}}


def asked(code: str, libraries: Path, *arguments: object, **changes: object) -> object:
    """Run Python code in a child process that has the stand-ins; return what it prints, as JSON.

    Its arguments are in `given`, as JSON has them.
    """
    code = f"import json, os, sys\ngiven = json.loads(sys.argv[1])\n{code}"
    command = [sys.executable, "-c", code, json.dumps(arguments)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment_of(libraries, **changes), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


BOARDS_OF_CUDA = """
from platforms.machine import cuda_boards
found = []
for variables in given:
    for name in [name for name in os.environ if name.startswith(("CUDA_", "STANDIN"))]:
        del os.environ[name]
    os.environ.update(variables)
    found.append(cuda_boards())
print(json.dumps(found))
"""


def cuda_boards(libraries: Path, *cases: dict[str, str]) -> list[tuple[str, ...]]:
    """Return what platforms.machine.cuda_boards() says under each case's variables, all asked in one child process."""
    return [tuple(each) for each in asked(BOARDS_OF_CUDA, libraries, *cases)]
