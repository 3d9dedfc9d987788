"""A process that ends this one from outside, while machines join and TensorFlow lets no thread of ours run.

    with guarded({"host 1 (b:2222)": connection}, limit_s=300):
        ...                                         # makes the strategy, which waits for all hosts

TensorFlow holds Python's lock while it waits for the other hosts: no thread notices that one is lost, and neither
Ctrl-C nor SIGTERM does anything. The guard looks at the same connections, without reading from them. Where one closes,
Ctrl-C is pressed or the time is over, it says so and kills this process; nothing is written yet that could be lost.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from socket import socket

JOIN_LIMIT_S = 300.0
GONE = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR | select.POLLNVAL


@contextmanager
def guarded(connections: Mapping[str, socket], *, limit_s: float = JOIN_LIMIT_S) -> Iterator[None]:
    """Guard the block; `connections` are those to other hosts, by the host's name."""
    names = {connection.fileno(): name for name, connection in connections.items()}
    words = [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(limit_s), json.dumps(names)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, pass_fds=tuple(names)) as guard:
        try:
            yield
        finally:
            guard.stdin.close()  # type: ignore[union-attr]
            guard.wait()


def watch(parent: int, limit_s: float, names: Mapping[int, str]) -> None:
    """Wait until standard input is closed, by a parent that is done or dead, or there is reason to end the parent."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    for descriptor in names:
        poll.register(descriptor, GONE & ~(select.POLLERR | select.POLLHUP | select.POLLNVAL))  # those are always told
    try:
        happened = dict(poll.poll(limit_s * 1000))
    except KeyboardInterrupt:
        end(parent, "interrupted while the hosts joined")
        return
    if 0 in happened:
        return
    lost = [names[descriptor] for descriptor in happened]
    if lost:
        end(parent, f"{lost[0]} was lost while the hosts joined; give the command again on all hosts")
    else:
        end(parent, f"the hosts did not join within {limit_s:g} s; can each reach the ports of all others?")


def end(parent: int, sentence: str) -> None:
    print(f"benchmark: {sentence}", file=sys.stderr, flush=True)
    os.kill(parent, signal.SIGKILL)


if __name__ == "__main__":
    watch(int(sys.argv[1]), float(sys.argv[2]), {int(n): name for n, name in json.loads(sys.argv[3]).items()})
