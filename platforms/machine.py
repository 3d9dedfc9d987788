"""Finds out what this machine is, without TensorFlow; None is not known."""

from __future__ import annotations

import platform
import re
from importlib import metadata
from pathlib import Path


def cpu_name() -> str | None:
    """Return the processor's name as Linux tells it: "AMD EPYC 9654 96-Core Processor"."""
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        return None
    return found.group(1) if found else None


def system() -> str:
    """Kernel and its release: "Linux 6.1.0"."""
    return f"{platform.system()} {platform.release()}"


def version(package: str) -> str | None:
    """Return the version of an installed package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
