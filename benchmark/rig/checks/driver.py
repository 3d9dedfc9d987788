"""NVML, the driver, CUDA's libraries one by one, and whether TensorFlow sees what NVML sees.

Libraries are looked for as the loader does for TensorFlow's wheel, which has a RUNPATH: the folders of LD_LIBRARY_PATH,
then nvidia/*/lib beside TensorFlow, then the system's.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path

from benchmark.rig.boards import boards, count, cuda_version, driver
from benchmark.rig.checks.capability import built, folder
from benchmark.rig.checks.check import GPU, NVML, Check, Finding, fail, ok, unknown, warn
from benchmark.rig.place import Place
from platforms.machine import cuda_boards

NVIDIA, AMD = "0x10de", "0x1002"
DISPLAY = "0x03"  # the class of PCI devices that GPUs have, drawing or not
INSTALL = "install NVIDIA's driver; in a container: docker run --gpus all, with nvidia-container-toolkit"
NO_DRIVER = ("Not Found", "Not Loaded", "not asked")  # NVML's words where there is none, and so no GPU
LIBRARIES = {  # library: whose version of cuda_config.h its name ends in; where that is "", the number itself
    "libcudart": "cudart",
    "libcublasLt": "cublas",
    "libcublas": "cublas",
    "libcufft": "cufft",
    "libcusparse": "cusparse",
    "libcusolver": "cusolver",
    "libcudnn": "cudnn",
    "libcudnn_graph": "cudnn",
    "libcudnn_ops": "cudnn",
    "libcudnn_cnn": "cudnn",
    "libcudnn_adv": "cudnn",
    "libcudnn_heuristic": "cudnn",
    "libcudnn_engines_precompiled": "cudnn",
    "libcudnn_engines_runtime_compiled": "cudnn",
    "libnccl": "2",
}
"""What the wheel opens at run time when there is a GPU, in an order in which each finds those that it needs."""


def pci_gpus(place: Place, vendor: str) -> list[str]:
    """Return the PCI bus ids of the display controllers of a vendor."""
    found = []
    for device in sorted(place.path("/sys/bus/pci/devices").glob("*")):
        at = f"/sys/bus/pci/devices/{device.name}"
        kind = place.text(f"{at}/class").value or ""
        if place.text(f"{at}/vendor").value == vendor and kind.startswith(DISPLAY):
            found.append(device.name)
    return found


def nvml(place: Place) -> Finding:
    on_bus, listed = pci_gpus(place, NVIDIA), count(place)
    if not listed.known:
        if on_bus:
            return fail(
                f"{', '.join(on_bus)}: NVIDIA's, and {listed.why_not}",
                expected="a driver that answers",
                way_out=INSTALL,
            )
        if not any(why in listed.why_not for why in NO_DRIVER):
            return fail(
                listed.why_not,
                expected="a driver that answers",
                way_out="restart, if the driver was updated since the last start; nvidia-smi says what is wrong",
            )
        others = " of NVIDIA, and TensorFlow's wheel is built for no other" if pci_gpus(place, AMD) else ""
        return unknown(f"no GPU{others} ({listed.why_not})")
    told = f"driver {driver(place).value or 'of no known version'}, {_gpus(listed.value)}"
    if listed.value < len(on_bus):
        return fail(
            f"{told}; on the PCI bus {len(on_bus)}: {', '.join(on_bus)}",
            expected="a driver that lists every board",
            way_out="dmesg for Xid 79 (fallen off the bus): reseat board or riser, and restart; or another driver",
        )
    return ok(told) if listed.value else unknown(told)


def cuda(place: Place) -> Finding:
    there = folder()
    needed, has = built(there).cuda if there else "", cuda_version(place)
    if not needed or not has.known:
        return unknown(has if not has.known else "the installed TensorFlow does not say which CUDA it was built with")
    wanted = tuple(int(part) for part in needed.split(".")[:2])
    told = f"the driver runs CUDA up to {has.value[0]}.{has.value[1]}, TensorFlow is built with {needed}"
    if has.value[0] < wanted[0]:
        return fail(told, expected=f"a driver for CUDA {wanted[0]}", way_out="a newer driver")
    if has.value < wanted:
        return warn(
            told,
            expected=f"CUDA {wanted[0]}.{wanted[1]}: by minor version compatibility all but PTX runs",
            way_out="a newer driver",
        )
    return ok(told)


def libraries(place: Place) -> Finding:
    there = folder()
    if there is None:
        return fail("TensorFlow is not installed", expected="TensorFlow", way_out="make setup")
    versions, gpus = built(there).libraries, bool(count(place).value)
    on_path = [Path(part) for part in place.environ.get("LD_LIBRARY_PATH", "").split(":") if part]
    beside = sorted((there.parent / "nvidia").glob("*/lib"))
    found: list[str] = []
    absent: list[str] = []
    broken: list[str] = []
    shadowed: list[str] = []
    for library, of in LIBRARIES.items():
        name = f"{library}.so.{versions.get(of, of)}"
        at = next((folder / name for folder in (*on_path, *beside) if (folder / name).exists()), None)
        own = next((folder / name for folder in beside if (folder / name).exists()), None)
        print(f"while it loaded {at or name}", file=sys.stderr, flush=True)  # the last words of a process that crashes
        try:
            loaded = ctypes.CDLL(str(at or name), mode=os.RTLD_GLOBAL | os.RTLD_LAZY)
        except OSError as error:
            (broken if at else absent).append(f"{at}: {_reason(error, at)}" if at else name)
            continue
        where = "" if at and at == own else f" of {at or _mapped(name) or 'the system'}"
        found.append(f"{library.removeprefix('lib')} {_version(loaded, library)}".rstrip() + where)
        if own and at != own:
            shadowed.append(f"{at} takes the place of {own}")
    way_out = "make setup brings them (tensorflow[and-cuda]; SPEECH_TTA_GPU=1 where set-up sees no GPU)"
    if broken:
        told = [f"{len(found)} of {len(LIBRARIES)} load", *broken]
        way_out = "take the folder off LD_LIBRARY_PATH, or mend the file"
        return (fail if gpus else warn)("; ".join(told), expected="libraries that load", way_out=way_out)
    if absent and gpus:
        return fail(f"not there: {', '.join(absent)}", expected="those that TensorFlow loads", way_out=way_out)
    if absent:
        return unknown(f"no GPU, and {len(found)} of {len(LIBRARIES)} are here")
    if shadowed:
        return warn(
            "; ".join(shadowed), expected="the libraries that came with TensorFlow", way_out="unset LD_LIBRARY_PATH"
        )
    return ok(", ".join(found))


def _reason(error: OSError, at: Path) -> str:
    return str(error).replace(f"{at}: ", "")


def _mapped(name: str) -> str | None:
    """Return the path of a library in this process's memory."""
    lines = Path("/proc/self/maps").read_text(errors="replace").splitlines()
    return next((line.split(maxsplit=5)[5] for line in lines if line.rpartition("/")[2].startswith(name)), None)


def _version(loaded: ctypes.CDLL, library: str) -> str:
    """Return a library's version as it tells it itself; "" if it does not."""
    try:
        return VERSIONS[library](loaded) if library in VERSIONS else ""
    except (AttributeError, OSError):
        return ""


def _property(function: str) -> Callable[[ctypes.CDLL], str]:
    def ask(loaded: ctypes.CDLL) -> str:
        parts = []
        for kind in range(3):  # MAJOR_VERSION, MINOR_VERSION, PATCH_LEVEL of library_types.h
            number = ctypes.c_int()
            getattr(loaded, function)(kind, ctypes.byref(number))
            parts.append(str(number.value))
        return ".".join(parts)

    return ask


def _number(function: str, *, large: int, small: int) -> Callable[[ctypes.CDLL], str]:
    """Ask by a pointer: 12050 is 12.5 with 1000 and 10, NCCL's 22707 is 2.27.7 with 10000 and 100."""

    def ask(loaded: ctypes.CDLL) -> str:
        number = ctypes.c_int()
        getattr(loaded, function)(ctypes.byref(number))
        return f"{number.value // large}.{number.value % large // small}" + (
            f".{number.value % small}" if small == 100 else ""
        )

    return ask


def _cudnn(loaded: ctypes.CDLL) -> str:
    loaded.cudnnGetVersion.restype = ctypes.c_size_t
    number = loaded.cudnnGetVersion()  # 9.3.0 is 90300
    return f"{number // 10_000}.{number % 10_000 // 100}.{number % 100}"


VERSIONS: dict[str, Callable[[ctypes.CDLL], str]] = {
    "libcudart": _number("cudaRuntimeGetVersion", large=1000, small=10),
    "libcublas": _property("cublasGetProperty"),
    "libcufft": _property("cufftGetProperty"),
    "libcusparse": _property("cusparseGetProperty"),
    "libcusolver": _property("cusolverGetProperty"),
    "libcudnn_graph": _cudnn,  # libcudnn.so would load a part to answer, and end the process if that is not there
    "libnccl": _number("ncclGetVersion", large=10_000, small=100),
}


def tensorflow(place: Place) -> Finding:
    from features.jobs.process import import_tensorflow

    try:
        tf = import_tensorflow()
    except ImportError as error:
        told = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        return fail(f"TensorFlow does not load: {told}", expected="TensorFlow", way_out="make setup")
    seen, listed = len(tf.config.list_physical_devices("GPU")), count(place).value or 0
    told = f"TensorFlow {tf.__version__} sees {_gpus(seen)}"
    if not listed:
        return ok(f"TensorFlow {tf.__version__} loads, for the CPU") if not seen else ok(told)
    shown = len(cuda_boards())
    hidden = f"CUDA_VISIBLE_DEVICES={place.environ.get('CUDA_VISIBLE_DEVICES')!r:.80}"
    if "CUDA_VISIBLE_DEVICES" in place.environ:
        told += f", {hidden} shows {shown} of NVML's {listed}"
    elif shown < listed and not any(each["mig"].value for each in boards(place, "mig")):
        return fail(
            f"{told}, CUDA {shown}, NVML {listed}",
            expected="all that NVML lists",
            way_out="gpus.lost and gpus.mode say which board is not there, dmesg (NVRM, Xid) why; boards with NVSwitch"
            " need the service nvidia-fabricmanager",
        )
    else:
        told += f", CUDA {shown}, NVML {listed}"
    if seen < shown:
        return fail(
            told,
            expected=f"{_gpus(shown)}, as CUDA",
            way_out="driver.libraries says which library is missing: make setup brings them (tensorflow[and-cuda])",
        )
    if not shown:
        return warn(told, expected="a GPU", way_out="unset CUDA_VISIBLE_DEVICES")
    return ok(told)


def _gpus(number: int) -> str:
    return f"{number} GPU{'s' * (number != 1)}" if number else "no GPU"


CHECKS = (
    Check(name="driver.nvml", asks="does the driver answer, and list every board?", look=nvml, needs=NVML),
    Check(name="driver.cuda", asks="is the driver new enough?", look=cuda, needs=GPU),
    Check(name="driver.libraries", asks="do CUDA's libraries load?", look=libraries, needs=NVML, limit_s=60),
    Check(name="driver.tensorflow", asks="does TensorFlow see all of it?", look=tensorflow, needs=NVML, limit_s=90),
)
