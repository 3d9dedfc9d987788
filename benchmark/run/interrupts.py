"""SIGINT and SIGTERM: finish the batch, save a checkpoint, write its row and exit within 8 s.

    with Interrupts(stop=trainer.stop) as interrupts:
        with interrupts.deferred(Phase.TRAIN): train()      # the signal only calls `stop`
        evaluate()                                          # the signal raises Interrupted
        if interrupts.signal: ...

Python runs a handler when the main thread comes back from TensorFlow, which may be minutes later. So the operating
system writes the signal's number into a socket, where a thread of ours reads it at once. What does not end within
`patience_s` is ended: whatever is on the disk is whole at any moment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from benchmark.record.phases import Phase

PATIENCE_S = 8.0
FINISH_FIRST = frozenset({Phase.TRAIN, Phase.CHECKPOINT, Phase.SWAP})
"""Phases that a signal does not cut short."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to end; `status` is the exit status that says so, 130 or 143."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


class Interrupts:
    """Listens for signals from entry to exit, in the main thread only; elsewhere it hears nothing."""

    def __init__(self, *, stop: Callable[[], None], patience_s: float = PATIENCE_S) -> None:
        self.stop, self.patience_s = stop, patience_s
        self.signal: int | None = None
        self._deferred = False

    @contextmanager
    def deferred(self, phase: Phase) -> Iterator[None]:
        """Within a phase of FINISH_FIRST, a signal asks to stop and raises nothing."""
        before, self._deferred = self._deferred, phase in FINISH_FIRST
        try:
            yield
        finally:
            self._deferred = before

    def __enter__(self) -> Interrupts:
        self._here = threading.current_thread() is threading.main_thread()
        if not self._here:
            return self
        self._heard, self._told = socket.socketpair()
        self._told.setblocking(False)
        self._before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        self._wakeup = signal.set_wakeup_fd(self._told.fileno(), warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._listen, name="interrupts", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._here:
            return
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._told.close()  # which ends the thread
        self._thread.join()
        self._heard.close()

    def _handle(self, number: int, _frame: object) -> None:
        self.signal = self.signal or number
        if not self._deferred:
            raise Interrupted(self.signal)

    def _listen(self) -> None:
        late = None
        while numbers := self._heard.recv(64):
            if late is None and set(numbers) & set(SIGNALS):
                self.signal = next(number for number in numbers if number in SIGNALS)
                late = threading.Timer(self.patience_s, self._leave)
                late.daemon = True
                late.start()
                with contextlib.suppress(Exception):  # whatever state TensorFlow is in: the timer runs
                    self.stop()
        if late:
            late.cancel()

    def _leave(self) -> None:
        print(
            f"benchmark: not done {self.patience_s:g} s after {signal.Signals(self.signal).name}; ended without "
            f"saving. The same command goes on from the last checkpoint.",
            file=sys.stderr,
            flush=True,
        )
        os._exit(128 + self.signal)


class Uninterrupted:
    """Stands where nobody listens for signals."""

    signal: int | None = None

    def deferred(self, phase: Phase) -> AbstractContextManager[None]:
        return nullcontext()
