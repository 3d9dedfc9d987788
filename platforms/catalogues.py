"""CSV files of offers, by the names of their columns: this suite's, SkyPilot's, or gpuhunt's.

    found, skipped = rows_of(text, name="vms.csv", day="2026-11-29")

This suite's columns are the fields of `platforms.offers.Offer`. A catalogue of SkyPilot
(github.com/skypilot-org/skypilot-catalog) has a row for each type of machine and region, with a price on demand and
one on spot; one of gpuhunt (github.com/dstackai/gpuhunt) a row for either. Both have prices in USD, and no date: it is
the file's. Rows without GPUs, with parts of one, and without a price are counted as skipped. A row with GPUs and no
host (a machine's GPUs and host priced apart) is kept, marked: it is no price of a machine.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from platforms import PlatformError
from platforms.offers import Offer

SKYPILOT = ("InstanceType", "AcceleratorName", "AcceleratorCount", "Price", "Region")
GPUHUNT = ("instance_name", "location", "price", "gpu_count", "gpu_name")
OWN = tuple(field.name for field in fields(Offer))
NUMBERS = ("gpu_memory_gib", "rent_per_hour", "total", "billing_minutes", "storage_per_hour", "network_per_training")
WHOLE = ("gpus", "reserved_months")
FLAGS = ("spot", "storage_included", "without_host")
NOTHING = ("", "nan", "none", "null")


def rows_of(text: str, *, name: str, day: str) -> tuple[list[Offer], int]:
    """Return the offers of a CSV file of this name and day, and how many of its rows are none of GPUs.

    Raises:
        PlatformError: the columns are none of the three kinds', or a row is wrong; the message has the line.
    """
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [column.strip() for column in reader.fieldnames or ()]
        reader.fieldnames = header
        read = _reader(header)
        found, skipped = [], 0
        for row in reader:
            if None in row:
                raise PlatformError("more cells than columns; expected one for each of the header's")
            made = list(read({key: (value or "").strip() for key, value in row.items()}, name, day))
            found += made
            skipped += not made
    except (csv.Error, PlatformError) as error:
        where = f"line {reader.line_num}: " if reader.line_num > 1 else ""
        raise PlatformError(f"{where}{error}") from None
    return found, skipped


def _reader(header: list[str]) -> Any:
    for columns, read in ((SKYPILOT, _of_skypilot), (GPUHUNT, _of_gpuhunt)):
        if set(columns) <= set(header):
            return read
    if unknown := [column for column in header if column not in OWN]:
        raise PlatformError(
            f"has a column {unknown[0][:40]!r}; expected SkyPilot's columns ({', '.join(SKYPILOT)}, ...), gpuhunt's "
            f"({', '.join(GPUHUNT)}, ...), or of these: {', '.join(OWN)}"
        )
    if not header:
        raise PlatformError(f"is empty; expected a header, of {', '.join(OWN)}")
    return _own


def _own(row: Mapping[str, str], name: str, day: str) -> Iterator[Offer]:
    keys: dict[str, Any] = {"date": day, "source": name}
    for key, text in row.items():
        if text.lower() in NOTHING:
            continue
        keys[key] = _number(key, text) if key in NUMBERS else text
        if key in WHOLE:
            keys[key] = _count(key, text)
        if key in FLAGS:
            keys[key] = _flag(key, text)
    yield Offer(**keys)


def _of_skypilot(row: Mapping[str, str], name: str, day: str) -> Iterator[Offer]:
    gpus = _gpus("AcceleratorCount", row["AcceleratorCount"]) if row["AcceleratorName"] else None
    if gpus is None:
        return
    info = row.get("GpuInfo", "")
    memory = re.search(r"'SizeInMiB':\s*(\d+)", info)
    about: dict[str, Any] = {
        "gpu": row["AcceleratorName"],
        "gpus": gpus,
        "gpu_memory_gib": int(memory[1]) / 1024 if memory and int(memory[1]) else None,
        "name": row["InstanceType"] or None,
        "region": row["Region"] or None,
        "date": day,
        "source": f"{name}, SkyPilot's columns, of the file's date",
        "without_host": not row["InstanceType"] or not row.get("vCPUs", "1"),
    }
    for column, spot in (("Price", False), ("SpotPrice", True)):
        if price := _number(column, row.get(column, "")):
            yield Offer(rent_per_hour=price, spot=spot, **about)


def _of_gpuhunt(row: Mapping[str, str], name: str, day: str) -> Iterator[Offer]:
    gpus = _gpus("gpu_count", row["gpu_count"]) if row["gpu_name"] else None
    price = _number("price", row["price"])
    if gpus is None or not price:
        return
    yield Offer(
        gpu=row["gpu_name"],
        gpus=gpus,
        gpu_memory_gib=_number("gpu_memory", row.get("gpu_memory", "")) or None,
        name=row["instance_name"] or None,
        region=row["location"] or None,
        rent_per_hour=price,
        spot=_flag("spot", row.get("spot", "") or "false"),
        date=day,
        source=f"{name}, gpuhunt's columns, of the file's date",
        without_host=row.get("cpu", "1") in ("", "0"),
    )


def _number(column: str, text: str) -> float | None:
    """Return the number of a cell, None if it is empty. Raises PlatformError."""
    if text.lower() in NOTHING:
        return None
    try:
        return float(text)
    except ValueError:
        raise PlatformError(f"{column} is {text[:40]!r}; expected a number") from None


def _count(column: str, text: str) -> int:
    number = _number(column, text)
    if number is None or not number.is_integer():  # infinite ones are none either
        raise PlatformError(f"{column} is {text[:40]!r}; expected a whole number")
    return int(number)


def _gpus(column: str, text: str) -> int | None:
    """Return a number of GPUs; None for none, or parts of one, which are no rig of whole ones."""
    number = _number(column, text)
    return int(number) if number and number >= 1 and number.is_integer() else None


def _flag(column: str, text: str) -> bool:
    if text.lower() not in ("true", "false", "yes", "no"):
        raise PlatformError(f"{column} is {text[:40]!r}; expected true or false")
    return text.lower() in ("true", "yes")
