"""SIGINT, SIGTERM and SIGHUP: finish the batch, save a checkpoint, write its row and exit within 8 s.

SIGHUP comes when the terminal is closed. A run started under nohup, which ignores it, goes on.

    with Interrupts(stop=trainer.stop) as interrupts:
        with interrupts.deferred(Phase.TRAIN): train()      # the signal only calls `stop`
        evaluate()                                          # the signal raises Interrupted
        if interrupts.signal: ...

Python runs a signal handler only when the main thread returns from TensorFlow, which may be minutes later. So Python's
wakeup descriptor is a socket, which gets the signal's number at once, and a thread reads it. A run that has not ended
after `patience_s` seconds is ended without saving; the files on disk are whole at any moment.
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
"""The phases that are finished when a signal arrives, not cut short."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to end; `status` is the exit status, 128 and its number: 130, 143 or 129."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


class Interrupts:
    """A listener for signals between entry and exit. It works in the main thread only; elsewhere it does nothing.

    If it is not `raising`, a signal calls `stop` whatever the phase.
    """

    def __init__(self, *, stop: Callable[[], None], patience_s: float = PATIENCE_S, raising: bool = True) -> None:
        self.stop, self.patience_s, self.raising = stop, patience_s, raising
        self.signal: int | None = None
        self._deferred = self._raised = False

    @contextmanager
    def deferred(self, phase: Phase) -> Iterator[None]:
        """During a phase of FINISH_FIRST, let a signal call `stop` but raise nothing; during others, it raises."""
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
        ignored = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else set()
        handled = [number for number in SIGNALS if number not in ignored]
        self._before = {number: signal.signal(number, self._handle) for number in handled}
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
        self._told.close()  # this ends the thread
        self._thread.join()
        self._heard.close()

    def _handle(self, number: int, _frame: object) -> None:
        self.signal = self.signal or number
        if self.raising and not self._deferred and not self._raised:  # a second one, as of srun and of make, cuts no
            self._raised = True  # save short that is under way
            raise Interrupted(self.signal)

    def _listen(self) -> None:
        late = None
        while numbers := self._heard.recv(64):
            if late is None and set(numbers) & set(SIGNALS):
                self.signal = next(number for number in numbers if number in SIGNALS)
                late = threading.Timer(self.patience_s, self._leave)
                late.daemon = True
                late.start()
                with contextlib.suppress(Exception):  # in any state of TensorFlow: the timer runs all the same
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
    """A stand-in for Interrupts where nobody listens for signals."""

    signal: int | None = None

    def deferred(self, phase: Phase) -> AbstractContextManager[None]:  # noqa: ARG002 - as of Interrupts
        return nullcontext()
