"""Published figures: the paper's time to accuracy (table 3), its final error rates (table 4), the Whisper-Tiny study.

published = time_to_accuracy()
published.minutes[("Sys1$", "wer", 22.0)]   # 1907.0 minutes, None where the paper has NA
saturation_study()                          # [("test WER", "5000", "0.5300", "fraction", "eq. 1"), ...]
subsets, rows = final_error_rates()         # ["dev-clean", ...], [("Sys1$", {"dev-clean": "17.90", ...}), ...]
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

TABLE_3, TABLE_4, STUDY = (
    Path(__file__).with_name(name) for name in ("published.csv", "published_final.csv", "published_study.csv")
)


@dataclass(frozen=True)
class Published:
    """Table 3: the rigs in the paper's order, its (metric, percent) columns, and minutes; None is the paper's NA."""

    rigs: tuple[str, ...]
    columns: tuple[tuple[str, float], ...]
    minutes: dict[tuple[str, str, float], float | None]


def time_to_accuracy() -> Published:
    """Read table 3."""
    with TABLE_3.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    minutes = {
        (row["platform"], row["metric"].lower(), float(row["level"])): (
            None if row["tta_minutes"] == "NA" else float(row["tta_minutes"])
        )
        for row in rows
    }
    rigs = tuple(dict.fromkeys(rig for rig, *_ in minutes))
    columns = tuple(dict.fromkeys((metric, level) for _, metric, level in minutes))
    return Published(rigs, columns, minutes)


def final_error_rates() -> tuple[list[str], list[tuple[str, dict[str, str]]]]:
    """Read table 4: its subsets, and for each system the word error rates in percent as they are printed there."""
    with TABLE_4.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    subsets = [name for name in rows[0] if name != "system"]
    return subsets, [(row["system"], {name: row[name] for name in subsets}) for row in rows]


def saturation_study() -> list[tuple[str, str, str, str, str]]:
    """Read what the Whisper-Tiny study of 2025 states: (quantity, samples, value, unit, where it stands there)."""
    with STUDY.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [(row["quantity"], row["samples"], row["value"], row["unit"], row["where"]) for row in rows]
