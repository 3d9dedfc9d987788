"""Offers: what a rig costs today, as it is named on a command line, in place of the price that its run recorded.

offer("h100x8=12.10/h")          # ("h100x8", Price(rent_per_hour=12.1, currency="USD", ...))
offer("rig=3400 EUR")            # to buy
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from platforms import LARGEST, PlatformError, Price

SOURCE = "--offer"


def offer(text: str, *, today: date | None = None) -> tuple[str, Price]:
    """Return the platform and the price of all its machines that an offer names, dated today; without a currency, USD.

    Raises:
        PlatformError: the text is no offer.
    """
    found = re.fullmatch(r"\s*([\w-]+)\s*=\s*(\d+(?:\.\d+)?)\s*(/h)?\s*([A-Z]{3})?\s*", text, re.ASCII)
    amount = float(found[2]) if found else 0.0
    if found is None or not 0 < amount <= LARGEST:
        raise PlatformError(
            f"offer {text[:60]!r}; expected NAME=12.10/h to rent or NAME=3400 to buy, a currency behind it if not USD, "
            f"as in 'rig=3400 EUR'"
        )
    about: dict[str, Any] = {"currency": found[4] or "USD", "date": str(today or date.today()), "source": SOURCE}
    if found[3]:
        return found[1], Price(rent_per_hour=amount, **about)
    # Of a sum the parts are not known; the CPU's, which must be above 0, takes no part in any cost.
    return found[1], Price(total=amount, gpus=0.0, cpu=amount, storage_included=True, **about)
