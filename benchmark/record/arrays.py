"""NumPy, imported when the first array is made: who only asks a command for its options does not wait for it.

    if TYPE_CHECKING:
        import numpy as np
    else:
        from benchmark.record import arrays as np

Its import takes longer than all else that a judging command loads (docs/speed.md, "The start"). `median` is here, as
NumPy's imports masked arrays for it, a tenth more.
"""

import math
from typing import Any


def median(values: Any, axis: int | None = None) -> Any:
    """Return numpy.median of at least one value along an axis, to the digit: NaN where one is among them."""
    import numpy

    ordered = numpy.sort(values, axis=axis)
    if axis is None:
        axis = 0  # sort flattens
    ordered = numpy.moveaxis(ordered, axis, -1)
    last = ordered.shape[-1] - 1
    middle = (ordered[..., last // 2] + ordered[..., (last + 1) // 2]) / 2
    return numpy.where(numpy.isnan(ordered[..., last]), math.nan, middle)[()]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):  # what the import system asks a module for
        raise AttributeError(name)
    import numpy

    globals()[name] = found = getattr(numpy, name)  # found at once from now on
    return found
