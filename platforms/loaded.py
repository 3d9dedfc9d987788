"""Finds out which CUDA libraries this process has loaded, and in which versions; it loads none.

    loaded_cuda()           # {"cuda": "12.5", "cuda_driver": "13.0", "cudnn": "9.3.0"}
    nvidia_packages()       # {"nvidia-cudnn-cu12": "9.3.0.75", ...}, what is installed, loaded or not

What TensorFlow was built for (tf.sysconfig.get_build_info) says nothing about what it found on the machine: a rig with
cuDNN 9.14 trains at other speed than one with 9.3, under the same TensorFlow. The libraries are asked themselves, those
that /proc/self/maps shows. A library that is not loaded is left out.

Since version 8 cuDNN is a front, libcudnn.so, which loads each of the parts behind it when it is first needed. Asked
for its version it would load one, and end the process if that is not there. So the part that knows the version is
asked; it is loaded once TensorFlow has used cuDNN.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path


def _cuda(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"


def _cudnn(version: int) -> str:
    """9.3.0 is 90300, but until version 8 there was a digit less: 8.9.7 is 8907."""
    major = 10_000 if version >= 90_000 else 1000
    return f"{version // major}.{version % major // 100}.{version % 100}"


def _by_pointer(library: ctypes.CDLL, function: str) -> int:
    found = ctypes.c_int()
    return 0 if getattr(library, function)(ctypes.byref(found)) else found.value


def _returned(library: ctypes.CDLL, function: str) -> int:
    getattr(library, function).restype = ctypes.c_size_t
    return getattr(library, function)()


Ask = Callable[[ctypes.CDLL, str], int]
LIBRARIES: dict[str, tuple[tuple[str, ...], str, Ask, Callable[[int], str]]] = {
    "cuda": (("libcudart.so",), "cudaRuntimeGetVersion", _by_pointer, _cuda),
    "cuda_driver": (("libcuda.so",), "cuDriverGetVersion", _by_pointer, _cuda),  # the newest CUDA that it can run
    "cudnn": (("libcudnn_graph.so", "libcudnn_ops_infer.so"), "cudnnGetVersion", _returned, _cudnn),  # of 9, of 8
}


def loaded_cuda() -> dict[str, str]:
    """Return the versions of CUDA's runtime, its driver's interface and cuDNN; of two of one "8.9.7 and 9.3.0"."""
    paths, found = _mapped(), {}
    for name, (libraries, function, ask, worded) in LIBRARIES.items():
        versions = {_version(path, function, ask) for path in paths if _is(path, libraries)} - {0}
        if versions:
            found[name] = " and ".join(worded(version) for version in sorted(versions))
    return found


def _mapped() -> list[str]:
    """Return the paths of the shared libraries in this process's memory."""
    try:
        lines = Path("/proc/self/maps").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []
    fields = (line.split(maxsplit=5) for line in lines)
    return list(dict.fromkeys(each[5] for each in fields if len(each) == 6 and ".so" in each[5]))


def _is(path: str, libraries: Sequence[str]) -> bool:
    """Tell whether a path is of one of some libraries: "libcudart.so.12.5.82" of "libcudart.so"."""
    return os.path.basename(path).rstrip(".0123456789") in libraries


def _version(path: str, function: str, ask: Ask) -> int:
    """Ask a loaded library for its version; 0 if it cannot be asked, as one that was deleted since."""
    try:
        return ask(ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_LAZY), function)
    except (OSError, AttributeError):
        return 0


def nvidia_packages() -> dict[str, str]:
    """Return the versions of the installed packages of NVIDIA, by name."""
    found: dict[str, str] = {}
    for place in sys.path:  # by the names of their folders: to read what all packages say of themselves takes 0.15 s
        for folder in Path(place).glob("nvidia_*-*.dist-info"):
            name, _, version = folder.stem.partition("-")
            found.setdefault(name.replace("_", "-").lower(), version)
    return dict(sorted(found.items()))
