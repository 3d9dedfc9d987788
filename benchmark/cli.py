"""Values on the command lines of the judge and its neighbours; what is wrong with one is said by argparse."""

from __future__ import annotations

import argparse
import math


def whole_from_1(text: str) -> int:
    """Epochs to take a median over."""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text[:40]!r}; expected a whole number of epochs, at least 1")
    return int(text)


def percent(text: str) -> float:
    """An error rate."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}; expected a number in percent, such as 22")
    return number
