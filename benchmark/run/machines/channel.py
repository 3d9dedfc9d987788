"""Messages between the chief and the other hosts of a run, over plain TCP; and the watch that notices a lost host.

    with Chief(hosts, limit_s=120) as chief:        # waits until all others have called
        chief.tell({"do": "segment", ...})          # to all
        answers = chief.answers()                   # waits for one answer of each: {1: {...}, 2: {...}}
        chief.end(0)                                # the others leave, and then the chief

    with Caller(hosts, limit_s=120) as caller:
        while order := caller.hear(): ...           # None after `end`
        caller.answer({...})

A message is one line of JSON. Both sides also send a sign of life every second. A host whose connection ends, or which
is silent for `SILENCE_S`, is lost: TensorFlow would wait for it in a collective operation, deaf to signals, so a thread
says which host it was and ends the process. What is on disk is whole at any moment, as when a run is killed.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, Protocol

from benchmark.run.prepare.hosts import LIMIT_S, Hosts

Message = dict[str, Any]

SILENCE_S = 12.0
BEAT_S = 1.0
LEAVE_S = 10.0
"""After the end of a run, how long a host may take to leave."""
LOST = 4
"""The exit status of a run that another host has left alone."""
LARGEST = 2**28  # bytes of a message
HELLO = "speech-tta"


class MissingError(ValueError):
    """Hosts that did not come in time; the message names them."""


class Leave(Protocol):
    """What ends this process at once: `os._exit`, or a stand-in in tests."""

    def __call__(self, status: int) -> None: ...


class Peer:
    """One connection: sends lines, receives lines in a thread, and tells when the other side is gone."""

    def __init__(
        self, connection: socket.socket, *, heard: Callable[[Message], None], gone: Callable[[str], None]
    ) -> None:
        self._socket, self._heard, self._gone = connection, heard, gone
        self._sending = threading.Lock()
        self._over = threading.Event()
        self.finished = threading.Event()
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(SILENCE_S)
        self._buffer = b""

    @property
    def connection(self) -> socket.socket:
        return self._socket

    def start(self) -> None:
        for work in (self._read, self._beat):
            threading.Thread(target=work, name="channel", daemon=True).start()

    def send(self, message: Message) -> None:
        """Send a message; what cannot be sent is noticed by the reading thread."""
        with self._sending, contextlib.suppress(OSError):
            self._socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> Message | None:
        """Return the next message; None where the other side has closed. Raises TimeoutError, OSError or ValueError."""
        while b"\n" not in self._buffer:
            if not (more := self._socket.recv(2**16)):
                return None
            self._buffer += more
            if len(self._buffer) > LARGEST:
                raise ValueError("a message without an end")
        line, _, self._buffer = self._buffer.partition(b"\n")
        message = json.loads(line)
        if not isinstance(message, dict):
            raise ValueError(f"found {line[:40]!r}; expected a message")
        return message

    def first(self, limit_s: float) -> Message | None:
        """Return the first message, which may take long: the other side waits for the rest."""
        self._socket.settimeout(limit_s)
        try:
            return self.receive()
        finally:
            self._socket.settimeout(SILENCE_S)

    def close(self) -> None:
        """Close the connection; a disconnect of the peer is expected from now on."""
        self._over.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def expect_end(self) -> None:
        self._over.set()

    def _read(self) -> None:
        why = "its connection ended"
        try:
            while (message := self.receive()) is not None:
                if message:  # an empty one is a sign of life
                    self._heard(message)
        except TimeoutError:
            why = f"it was silent for {SILENCE_S:g} s"
        except (OSError, ValueError) as error:
            why = f"its connection ended ({error})"
        self.finished.set()
        if not self._over.is_set():
            self._gone(why)

    def _beat(self) -> None:
        while not self.finished.wait(BEAT_S):
            self.send({})


class _Watched(AbstractContextManager[Any]):
    """What both sides have: the hosts, and leaving the process when one of them is lost."""

    def __init__(self, hosts: Hosts, leave: Leave) -> None:
        self.hosts, self._leave = hosts, leave
        self._leaving = threading.Lock()

    def _lost(self, rank: int, why: str) -> None:
        self._say_and_leave(
            f"{self.hosts.name(rank)} was lost: {why}. Ended with status {LOST}, without saving; give the command "
            f"again on all hosts, and the run goes on from its last checkpoint",
            LOST,
        )

    def _say_and_leave(self, sentence: str, status: int) -> None:
        self._leaving.acquire()  # never released: one thread ends the process
        with contextlib.suppress(Exception):
            print(f"benchmark: {sentence}", file=sys.stderr, flush=True)
        self._leave(status)


def _why(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


def check_port(hosts: Hosts) -> None:
    """Raise MissingError if this host's own port is taken: TensorFlow would fail on it, and the others wait."""
    port = int(hosts.addresses[hosts.rank].rpartition(":")[2])
    try:
        socket.create_server(("", port)).close()
    except OSError as error:
        raise MissingError(
            f"{hosts.name(hosts.rank)}: its port cannot be used here ({_why(error)}); end what holds it, or choose "
            f"another in --hosts, the same everywhere"
        ) from None


class Chief(_Watched):
    """The chief's side: one connection to each of the others."""

    def __init__(
        self,
        hosts: Hosts,
        *,
        limit_s: float = LIMIT_S,
        waiting: Callable[[str], None] = lambda _: None,
        leave: Leave = os._exit,
    ) -> None:
        super().__init__(hosts, leave)
        self.limit_s, self._waiting = limit_s, waiting
        self.elapsed: Callable[[], float] | None = None  # the run's clock, once it runs
        self.signal: Callable[[int], None] = lambda _: None
        self._peers: dict[int, Peer] = {}
        self._answers: dict[int, queue.Queue[Message]] = {}
        self._promised: dict[tuple[int, int], Future[Message]] = {}
        self._ending = False

    def __enter__(self) -> Chief:
        with _listening(*self.hosts.control) as server:
            self._gather(server)
        for peer in self._peers.values():
            peer.start()
        return self

    def _gather(self, server: socket.socket) -> None:
        until, said = time.monotonic() + self.limit_s, time.monotonic()
        while missing := [rank for rank in range(1, self.hosts.count) if rank not in self._peers]:
            names = ", ".join(map(self.hosts.name, missing))
            if time.monotonic() > until:
                for peer in self._peers.values():
                    peer.send({"end": 2, "sentence": f"{names} did not come within {self.limit_s:g} s"})
                    peer.close()
                raise MissingError(
                    f"{names} did not call at {self.hosts.addresses[0].rpartition(':')[0]}:{self.hosts.control[1]} "
                    f"within {self.limit_s:g} s; start the command there too, and see that the port is open"
                )
            if time.monotonic() - said > 5:
                self._waiting(f"waiting for {names}, for at most {until - time.monotonic():.0f} s more")
                said = time.monotonic() + 25
            server.settimeout(1.0)
            with contextlib.suppress(TimeoutError):
                connection, _ = server.accept()
                self._admit(connection)

    def _admit(self, connection: socket.socket) -> None:
        rank = -1
        peer = Peer(connection, heard=lambda m: self._heard(rank, m), gone=lambda why: self._gone(rank, why))
        try:
            hello = peer.receive() or {}
        except (OSError, ValueError):
            hello = {}
        if (
            hello.get("hello") != HELLO
            or not isinstance(hello.get("rank"), int)
            or hello.get("hosts") != list(self.hosts.addresses)
        ):
            if hello.get("hello") == HELLO:
                theirs = ", ".join(map(str, hello.get("hosts", [])))
                sentence = f"the chief was given the hosts {', '.join(self.hosts.addresses)}, this one {theirs}"
                peer.send({"end": 2, "sentence": f"{sentence}; expected the same list everywhere"})
            peer.close()
            return
        rank = hello["rank"]
        if rank in self._peers or not 0 < rank < self.hosts.count:
            peer.send({"end": 2, "sentence": f"rank {rank} is taken; expected one process for each rank"})
            peer.close()
            return
        self._answers[rank] = queue.Queue()
        self._peers[rank] = peer
        peer.send({"welcome": self.hosts.count})

    @property
    def connections(self) -> dict[str, socket.socket]:
        """The connections to the others, by the host's name."""
        return {self.hosts.name(rank): peer.connection for rank, peer in self._peers.items()}

    def tell(self, message: Message) -> None:
        """Send a message to all others."""
        for peer in self._peers.values():
            peer.send(message)

    def answers(self) -> dict[int, Message]:
        """Wait for the next answer of each of the others."""
        return {rank: answers.get() for rank, answers in self._answers.items()}

    def promised(self, number: int) -> list[Future[Message]]:
        """Return, for each of the others, the future of its answer of that number, which may come at any time."""
        futures = []
        for rank in sorted(self._peers):
            future: Future[Message] = Future()
            self._promised[rank, number] = future
            futures.append(future)
        return futures

    def end(self, status: int, sentence: str = "") -> None:
        """Tell the others to leave, and wait until they are gone: TensorFlow's service, which is here, goes last."""
        self._ending = True
        for peer in self._peers.values():
            peer.expect_end()
        self.tell({"end": status, "sentence": sentence})
        until = time.monotonic() + LEAVE_S
        for peer in self._peers.values():
            peer.finished.wait(max(0.0, until - time.monotonic()))

    def __exit__(self, *_: object) -> None:
        for peer in self._peers.values():
            peer.close()

    def _heard(self, rank: int, message: Message) -> None:
        if "promised" in message:
            if future := self._promised.pop((rank, message["promised"]), None):
                future.set_result(message)
        elif "clock" in message:
            self._peers[rank].send({"clock": message["clock"], "elapsed_s": self.elapsed() if self.elapsed else None})
        elif "signal" in message:
            self.signal(int(message["signal"]))
        elif "failed" in message:
            self._failed(rank, message)
        else:
            self._answers[rank].put(message)

    def _failed(self, rank: int, message: Message) -> None:
        if not self._ending:
            status, sentence = int(message["failed"]), f"{self.hosts.name(rank)}: {message['sentence']}"
            threading.Thread(target=self._end_badly, args=(status, sentence), daemon=True).start()

    def _end_badly(self, status: int, sentence: str) -> None:
        self.end(status, sentence)
        self._say_and_leave(sentence, status)

    def _gone(self, rank: int, why: str) -> None:
        if not self._ending:
            self._lost(rank, why)


class Caller(_Watched):
    """The side of every host but the chief: one connection to the chief."""

    def __init__(
        self,
        hosts: Hosts,
        *,
        limit_s: float = LIMIT_S,
        waiting: Callable[[str], None] = lambda _: None,
        leave: Leave = os._exit,
    ) -> None:
        super().__init__(hosts, leave)
        self.limit_s, self._waiting = limit_s, waiting
        self.status, self.sentence = 0, ""
        self._orders: queue.Queue[Message | None] = queue.Queue()
        self._clocks: queue.Queue[Message] = queue.Queue()

    def __enter__(self) -> Caller:
        self._peer = Peer(self._call(), heard=self._heard, gone=lambda why: self._lost(0, why))
        self._peer.send({"hello": HELLO, "hosts": list(self.hosts.addresses), "rank": self.hosts.rank})
        try:
            answer = self._peer.first(self.limit_s)
        except (OSError, ValueError) as error:
            raise MissingError(f"{self.hosts.name(0)} does not answer ({error})") from None
        if answer is None or "welcome" not in answer:
            raise MissingError(f"{self.hosts.name(0)}: {(answer or {}).get('sentence', 'it closed the connection')}")
        self._peer.start()
        return self

    def _call(self) -> socket.socket:
        host, port = self.hosts.control
        until, said, why = time.monotonic() + self.limit_s, time.monotonic(), ""
        while time.monotonic() < until:
            try:
                return socket.create_connection((host, port), timeout=5.0)
            except OSError as error:
                why = _why(error)
            if time.monotonic() - said > 5:
                self._waiting(f"waiting for {self.hosts.name(0)}, for at most {until - time.monotonic():.0f} s more")
                said = time.monotonic() + 25
            time.sleep(0.2)
        raise MissingError(
            f"{self.hosts.name(0)} does not answer at {host}:{port} within {self.limit_s:g} s ({why}); start the "
            f"command there too, and see that the name and the port are right and open"
        )

    @property
    def connections(self) -> dict[str, socket.socket]:
        """The connection to the chief, by its name."""
        return {self.hosts.name(0): self._peer.connection}

    def hear(self) -> Message | None:
        """Wait for the next order; None at the end of the run, when `status` and `sentence` say how it ended."""
        return self._orders.get()

    def answer(self, message: Message) -> None:
        self._peer.send(message)

    def promise(self, number: int, message: Message) -> None:
        """Send what was promised under a number; the chief need not be waiting for it."""
        self._peer.send({**message, "promised": number})

    def fail(self, status: int, sentence: str) -> None:
        """Tell the chief that this host cannot go on; it ends the run everywhere."""
        self._peer.expect_end()
        self._peer.send({"failed": status, "sentence": sentence})

    def clock(self) -> tuple[float, float]:
        """Ask what the run's clock shows. Returns its seconds now, and by how much they may be wrong."""
        asked = time.monotonic()
        self._peer.send({"clock": 1})
        elapsed_s = float(self._clocks.get()["elapsed_s"])
        late_s = (time.monotonic() - asked) / 2
        return elapsed_s + late_s, late_s

    def __exit__(self, *_: object) -> None:
        self._peer.expect_end()  # and stays open until this process is gone, for which the chief waits

    def _heard(self, message: Message) -> None:
        if "clock" in message:
            self._clocks.put(message)
        elif "end" in message:
            self.status, self.sentence = int(message["end"]), str(message["sentence"])
            self._peer.expect_end()
            self._orders.put(None)
            late = threading.Timer(LEAVE_S / 2, self._leave, (self.status,))
            late.daemon = True  # a host that is in the middle of something leaves all the same
            late.start()
        else:
            self._orders.put(message)


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens at the chief's own name, or at all of the machine's addresses.

    At all of them if the name is a service's, or if it means the loopback here, as Debian's /etc/hosts has it
    (127.0.1.1 rig1): the others, to whom it means another address, would call in vain.
    """
    problem: OSError | None = None
    for name in ("",) if _means_the_loopback(host) else (host, ""):
        try:
            return socket.create_server((name, port), backlog=64)
        except OSError as error:
            problem = error
    raise MissingError(
        f"{host}:{port}: cannot listen ({_why(problem) if problem else ''}); expected a free port one above the "
        f"chief's: choose another in --hosts"
    )


def _means_the_loopback(host: str) -> bool:
    """Tell whether a name that is not the loopback's own is looked up as one of its addresses on this machine."""
    if host in ("localhost", "localhost.localdomain") or host.startswith("127.") or host == "::1":
        return False
    with contextlib.suppress(OSError, ValueError):
        return ipaddress.ip_address(socket.gethostbyname(host)).is_loopback
    return False
