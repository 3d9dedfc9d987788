"""Ports of 127.0.0.1 for the servers of tests."""

import random
import socket
from collections.abc import Iterator

BELOW = 32768
"""The system takes a connection's own port from here on: one that was free a moment ago would not be for long."""
APART = 10
"""The chief of a run also listens one above its own port."""


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens at, nor at the next; other test processes look from elsewhere on."""
    found = _free()
    return [next(found) for _ in range(count)]


def _free() -> Iterator[int]:
    every = range(20000, BELOW - APART, APART)
    begin = random.SystemRandom().randrange(len(every))  # tests may have seeded the other
    for port in (*every[begin:], *every[:begin]):
        if _is_free(port) and _is_free(port + 1):
            yield port


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("", port)).close()
    except OSError:
        return False
    return True
