"""Signals to a run: one that comes while the first is obeyed cuts nothing short."""

import os
import signal

import pytest

from benchmark.record.phases import Phase
from benchmark.run.watch.interrupts import Interrupted, Interrupts


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_does_not_cut_short_what_the_first_one_had_written(second):
    """srun signals make and its command, and make passes it on: the command gets it twice."""
    written = []
    with Interrupts(stop=lambda: None) as interrupts, pytest.raises(Interrupted) as caught:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), second)
            written.append("end.json")
    assert written == ["end.json"] and caught.value.status == 143 and interrupts.signal == signal.SIGTERM


def test_a_signal_while_training_raises_nothing():
    with Interrupts(stop=lambda: None) as interrupts, interrupts.deferred(Phase.TRAIN):
        os.kill(os.getpid(), signal.SIGTERM)
    assert interrupts.signal == signal.SIGTERM
