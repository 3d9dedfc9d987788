"""How the cores share the loops of an LSTM: every unit of every utterance once, and no digit depends on it."""

import numpy as np
import pytest

from models import llvm
from models.deepspeech import recurrence


def shares(batch, units, cores):
    return recurrence._shares(batch, units, cores)[1]


@pytest.mark.parametrize("cores", [1, 2, 3, 8])
@pytest.mark.parametrize("batch", [1, 3, 8, 16, 17, 40])
@pytest.mark.parametrize("vectors", [1, 4, 12, 50])
def test_every_unit_of_every_utterance_is_some_cores(vectors, batch, cores):
    done = np.zeros([vectors, batch], int)
    for first, last, first_row, last_row in shares(batch, vectors * llvm.lanes(), cores):
        assert first < last and first_row < last_row
        done[first:last, first_row:last_row] += 1
    assert (done == 1).all()


def test_cores_have_utterances_of_their_own_where_weights_are_small_and_utterances_enough():
    lanes, rows = llvm.lanes(), recurrence._rows()
    small = lanes * (192 // lanes)
    assert shares(4 * rows, small, 2) == [(0, small // lanes, 0, 2 * rows), (0, small // lanes, 2 * rows, 4 * rows)]
    assert [share[2:] for share in shares(2 * rows - 1, small, 2)] == [(0, 2 * rows - 1)] * 2  # too few: units apart
    large = 800  # 16 x 800^2 bytes of weights are 10 MB
    assert [share[2:] for share in shares(64, large, 2)] == [(0, 64)] * 2


@pytest.mark.parametrize(("batch", "units"), [(16, 64), (7, 64), (9, 48), (9, 32), (16, 272)])
def test_no_digit_depends_on_how_many_cores_there_are(batch, units, monkeypatch):
    """The largest has 16 x 272^2 = 1.2 MB of weights, and is shared by units; the others by utterances."""
    draw = np.random.default_rng(batch)
    xw = draw.normal(size=(5, batch, 4 * units)).astype(np.float32)
    weights = (0.1 * draw.normal(size=(units, 4 * units))).astype(np.float32)
    peephole = draw.normal(size=(3, units)).astype(np.float32)
    dh = draw.normal(size=(5, batch, units)).astype(np.float32)
    found = {}
    for cores in (1, 2, 3, 4):
        monkeypatch.setattr(llvm, "cores", lambda cores=cores: cores)
        h, gates, c = recurrence.forward(xw, weights, peephole)
        found[cores] = (h, gates, c, *recurrence.backward(dh, gates, c, weights, peephole))
    for cores in (2, 3, 4):
        for one, other in zip(found[1], found[cores], strict=True):
            assert one.tobytes() == other.tobytes()
    assert np.isfinite(found[1][3]).all() and np.abs(found[1][0]).max() > 0.1
