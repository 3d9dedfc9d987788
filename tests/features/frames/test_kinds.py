import numpy as np
import pytest

from features.frames.kinds import FRONT_ENDS, UNNAMED, USUAL


@pytest.mark.parametrize("name", FRONT_ENDS)
@pytest.mark.parametrize("samples", [1600, 1601, 5000])
def test_a_front_end_gives_a_frame_for_every_10_ms_and_its_edge(name, samples):
    kind = FRONT_ENDS[name]
    found = kind.stored(np.random.default_rng(1).standard_normal(samples).astype(np.float32))
    assert found.shape == (-(-samples // 160) + kind.edge_frames, kind.size) and found.dtype == np.float32


def test_the_papers_front_end_has_room_for_as_many_labels_as_its_convolution_has_outputs():
    """(T - 11) // 2 + 1 of T: 1 of 11 and 12, 830 of 1670."""
    kind = FRONT_ENDS[USUAL]
    assert [kind.labels_at_most(frames) for frames in (11, 12, 13, 1670)] == [1, 1, 2, 830]
    assert FRONT_ENDS["logmel80-normalised"].labels_at_most(11) is None
    assert {name: FRONT_ENDS[name].size for name in UNNAMED.values()} == {name: size for size, name in UNNAMED.items()}
