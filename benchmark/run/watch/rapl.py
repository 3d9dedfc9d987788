"""The energy of processor packages by RAPL, the running average power limit, as Linux shows it in /sys/class/powercap.

    rapl_sensors(POWERCAP)                      # {"package0_energy_j": sensor, ...}, {} where the kernel shows none

A package is a socket: cores, caches, memory controller; on some servers memory is apart and not in it. Virtual machines
show none; since Linux 5.10 root alone may read it, and a sensor then fails with its reason, as any other does. The
counter wraps, at 262 kJ on many processors, after twenty minutes at 200 W: a sensor goes on counting over it. The same
package is in intel-rapl-mmio too, which is left out, as are psys, a machine's platform, and the parts of a package.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
ZONE = re.compile(r"intel-rapl:\d+")  # AMD's too
MICRO = 1e6


class Package:
    """One package's counter in joules, which never falls but where the kernel's does not wrap at its range."""

    def __init__(self, zone: Path):
        self._counter, self._range_uj = zone / "energy_uj", zone / "max_energy_range_uj"
        self._last_uj: int | None = None
        self._wrapped_uj = 0

    def __call__(self) -> float:
        """Return what it counted. Raises OSError where it may not be read."""
        text = self._counter.read_text()
        if not text.strip().isdigit():
            raise OSError(f"{self._counter}: found {text[:20]!r}, expected microjoules")
        found_uj = int(text)
        if self._last_uj is not None and found_uj < self._last_uj:
            self._wrapped_uj += int(self._range_uj.read_text())
        self._last_uj = found_uj
        return (self._wrapped_uj + found_uj) / MICRO


def rapl_sensors(folder: Path) -> dict[str, Callable[[], float]]:
    """Return {column: sensor} of the packages that the kernel shows, in order of their zones."""
    zones = sorted(path for path in folder.glob("intel-rapl:*") if ZONE.fullmatch(path.name))
    packages = [zone for zone in zones if _name(zone).startswith("package")]
    return {f"package{n}_energy_j": Package(zone) for n, zone in enumerate(packages)}


def _name(zone: Path) -> str:
    try:
        return (zone / "name").read_text().strip()
    except OSError:
        return ""
