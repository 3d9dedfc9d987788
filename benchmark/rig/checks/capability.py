"""Has the installed TensorFlow code for the boards that are here?

    build = built()                     # Build(cuda="12.5.1", sms=(60, 70, 80, 89, 90), ptx=(90,), ...)
    covered((9, 0), build)              # ok: sm_90
    covered((10, 0), build)             # fail, with the public reports

Code for sm_80 runs on boards of capability 8.0 and of the same major number above it (NVIDIA, CUDA C++ Programming
Guide, "Binary Compatibility"); PTX is compiled by the driver for any board that is newer. TensorFlow's build says
"compute_90" for sm_90 and its PTX together (third_party/gpus/cuda_configure.bzl, _compute_cuda_extra_copts). The header
cuda_config.h in the wheel lists the numbers of both; build_info.py says which have PTX, in releases before 2.22.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.rig.boards import boards
from benchmark.rig.checks.check import FAIL, GPU, OK, WARN, Check, Finding, fail, ok, unknown, warn
from benchmark.rig.place import Place
from platforms.machine import version

HEADER = "include/third_party/gpus/cuda/cuda_config.h"
BUILD_INFO = "python/platform/build_info.py"
REPORTS = "tensorflow#89272, #101746, #111958"
CACHE = "export CUDA_CACHE_MAXSIZE=4294967296"


@dataclass(frozen=True, kw_only=True)
class Build:
    """How the wheel was built: CUDA, capabilities with machine code and with PTX (90 is 9.0), versions of libraries.

    `ptx` is empty where the wheel does not tell; `cuda` where it was built without.
    """

    cuda: str = ""
    sms: tuple[int, ...] = ()
    ptx: tuple[int, ...] = ()
    libraries: dict[str, str] = field(default_factory=dict)


def folder() -> Path | None:
    """Return the folder of the installed TensorFlow, without loading it."""
    spec = importlib.util.find_spec("tensorflow")
    return Path(spec.origin).parent if spec and spec.origin else None


def built(tensorflow: Path) -> Build:
    """Return how a TensorFlow in a folder was built: by its header and, for what that lacks, its build_info.py."""
    header, info = (_text(tensorflow / name) for name in (HEADER, BUILD_INFO))
    defined = dict(re.findall(r'^#define TF_(\w+) "?([^"\n]*)"?$', header, re.MULTILINE))
    listed = re.search(r"'cuda_compute_capabilities', \[([^\]]*)\]", info)
    named = re.findall(r"(sm|compute)_(\d+)", listed.group(1) if listed else "")
    sms = [int(number) for number in re.findall(r"\d+", defined.get("CUDA_COMPUTE_CAPABILITIES", ""))]
    cuda = re.search(r"'cuda_version', '([\d.]+)'", info)
    libraries = {name.removesuffix("_VERSION").lower(): value for name, value in defined.items() if "_VERSION" in name}
    return Build(
        cuda=defined.get("CUDA_VERSION") or (cuda.group(1) if cuda else ""),
        sms=tuple(sorted(sms or {int(number) for _, number in named})),
        ptx=tuple(sorted(int(number) for kind, number in named if kind == "compute")),
        libraries=libraries,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def covered(capability: tuple[int, int], build: Build) -> tuple[str, str]:
    """Return whether a build has code for a board, and in words which: ok, warn (compiled at the first start), fail."""
    major, minor = capability
    number = 10 * major + minor
    fitting = [sm for sm in build.sms if sm // 10 == major and sm <= number]
    if fitting:
        return OK, f"sm_{max(fitting)}"
    if major > max(sm // 10 for sm in build.sms):
        return FAIL, "newer than all of its code; in every public report its PTX failed as CUDA_ERROR_INVALID_PTX"
    from_ptx = [ptx for ptx in build.ptx if ptx <= number]
    if from_ptx:
        return WARN, f"compiled from PTX {max(from_ptx)} at the first start, for minutes"
    return FAIL, "older than all of its code"


def capability(place: Place) -> Finding:
    there = folder()
    if there is None:
        return fail("TensorFlow is not installed", expected="TensorFlow", way_out="make setup")
    build, release = built(there), version("tensorflow") or "of no known version"
    if not build.sms:
        return unknown(f"TensorFlow {release} does not say for which boards it was built")
    has = f"TensorFlow {release} has sm_{', '.join(map(str, build.sms))}"
    has += f" and PTX {', '.join(map(str, build.ptx))}" if build.ptx else ""
    worst, told, missing = OK, [], []
    for number, board in enumerate(boards(place, "name", "capability")):
        found = board["capability"]
        if not found.known:
            missing.append(f"GPU {number}: {found.why_not}")
            continue
        status, words = covered(tuple(found.value), build)
        worst = max(worst, status, key=(OK, WARN, FAIL).index)
        told.append(f"{board['name'].value or 'GPU'} ({'.'.join(map(str, found.value))}): {words}")
    text = "; ".join([*dict.fromkeys(told), *missing])
    if worst == FAIL:
        return fail(
            f"{text}; {has}",
            expected="machine code for the board",
            way_out=f"a TensorFlow built for it, from source or a later release ({REPORTS}); or other boards",
        )
    if worst == WARN:
        return warn(
            f"{text}; {has}",
            expected="machine code for the board",
            way_out=f"let it compile before any clock: doctor --level 2; and {CACHE}, so that it is kept",
        )
    return unknown(text) if missing else ok(f"{text}; {has}")


CHECKS = (Check(name="capability.code", asks="has TensorFlow code for these boards?", look=capability, needs=GPU),)
