"""The choice of a kernel, and helpers to try one: outside of the caller's graph, with the reason if it fails.

differs = apart(compare, "float16")
except tf.errors.OpError as error: return Choice("xla", reason(error), fallen_back=True)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

Found = TypeVar("Found")

PLACES = ("File ", "[[", "Detected at", "Original stack", "{{")


class Choice(NamedTuple):
    """A kernel and why it was chosen; `fallen_back` if a faster one should have worked here and did not."""

    kernel: str
    why: str
    fallen_back: bool = False


def apart(function: Callable[..., Found], *arguments: Any) -> Found:
    """Call a function outside of the caller's graph and tape; tf.init_scope leaves them, but records no gradients."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(function, *arguments).result()


def reason(error: Any) -> str:
    """Return the reason in a TensorFlow error, the last line after those that say where it happened."""
    lines = [line.strip() for line in error.message.splitlines()]
    lines = [line for line in lines if line and not line.startswith(PLACES)]
    return lines[-1][:300] if lines else type(error).__name__
