import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import manifest
from features.batches import Layout, Order, normalise, read_batches


def ids(dataset) -> list[list[str]]:
    return [[i.decode() for i in batch["id"].numpy() if i] for batch in dataset]


@pytest.fixture(scope="module")
def read(tf, tone_features):
    """Read the training tones in buckets; options as of read_batches."""
    found = manifest.load(tone_features)
    layout = Layout.bucketed(found.lengths("train"), batch=4, buckets=3)

    def reader(**options):
        options = {"readers": 2, "buffer": 2, "order": Order(seed=1, epoch=1)} | options
        return read_batches(tone_features, found, options.pop("role", "train"), layout, **options)

    reader.layout, reader.lengths = layout, found.lengths("train")
    return reader


def test_every_utterance_comes_exactly_once_an_epoch_and_batches_are_counted_right(read):
    batches = ids(read())
    assert sorted(sum(batches, [])) == sorted({i for batch in batches for i in batch}) and len(sum(batches, [])) == 21
    assert len(batches) == read.layout.batches(read.lengths)


def test_batches_are_full_and_padded_to_their_bucket_with_empty_utterances_last(read):
    for batch in read():
        assert batch["features"].shape[0] == 4 and batch["features"].shape[1] in read.layout.edges
        frames = batch["frames"].numpy()
        assert (np.diff((frames > 0).astype(int)) <= 0).all()  # none after an empty one
        for row, count in zip(batch["features"].numpy(), frames, strict=True):
            assert not row[count:].any() and (count == 0 or row[:count].any())


def test_the_order_depends_on_seed_and_epoch_and_not_on_readers(read):
    first = ids(read())
    assert ids(read(readers=5, buffer=1)) == first
    assert ids(read(order=Order(seed=1, epoch=2))) != first
    assert ids(read(order=Order(seed=2, epoch=1))) != first


def test_without_an_order_it_is_the_shards_own(read):
    assert ids(read(order=None)) == ids(read(order=None, readers=3))


def test_files_only_keeps_utterances_in_their_shard_order(read):
    order = Order(seed=3, epoch=1, files_only=True)
    assert ids(read(order=order)) == ids(read(order=order)) != ids(read(order=Order(seed=3, epoch=1)))


def test_edges_leave_the_least_padding():
    # Two buckets for 8, 8, 8, 80: edges 8 and 80 pad nothing; any other pair pads.
    assert Layout.bucketed([8, 8, 8, 80], batch=1, buckets=2).edges == (8, 80)
    # One bucket of edge 24 for 10 and 20 frames, batches of 2: 18 of 48 frames are padding.
    layout = Layout.bucketed([10, 20], batch=2, buckets=1)
    assert layout.edges == (24,) and layout.padded_share([10, 20]) == 18 / 48


@given(st.lists(st.integers(11, 1670), min_size=1, max_size=40), st.integers(1, 5), st.integers(1, 7))
def test_every_utterance_fits_a_bucket_and_batches_hold_all(lengths, buckets, batch):
    layout = Layout.bucketed(lengths, batch=batch, buckets=buckets)
    assert len(layout.edges) <= buckets and max(lengths) <= layout.edges[-1] < max(lengths) + 8
    assert len(lengths) <= layout.batches(lengths) * batch < len(lengths) + batch * len(layout.edges)
    alone = Layout(1, layout.edges)  # with nothing to fill up, buckets never pad more than one length for all
    assert alone.padded_share(lengths) <= Layout.fixed(1672, batch=1).padded_share(lengths)


def test_normalisation_by_utterance_frame_and_not_at_all(tf):
    x = tf.constant([[3.0, 1.0], [4.0, 3.0], [5.0, 5.0]])
    by_utterance = normalise(x, "utterance").numpy()
    np.testing.assert_allclose(by_utterance.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(by_utterance.std(0), 1, atol=1e-4)
    np.testing.assert_allclose(normalise(tf.constant([[3.0, 4.0]]), "frame-l2"), [[0.6, 0.8]])  # / sqrt(9 + 16)
    assert normalise(x, "none") is x
    with pytest.raises(ValueError, match="expected one of"):
        normalise(x, "batch")


def test_specaugment_masks_some_bands_and_frames_and_nothing_else_and_repeats_by_seed(read):
    plain = {i: row for batch in read() for i, row in zip(batch["id"].numpy(), batch["features"].numpy(), strict=True)}
    masked_of = [
        {
            i: row
            for batch in read(augment="specaugment")
            for i, row in zip(batch["id"].numpy(), batch["features"].numpy(), strict=True)
        }
        for _ in range(2)
    ]
    changed = 0
    for identity, row in plain.items():
        masked = masked_of[0][identity]
        np.testing.assert_array_equal(masked, masked_of[1][identity])
        differs = masked != row
        assert not masked[differs].any()  # what differs was set to zero
        changed += differs.any()
    assert changed > 10


def test_a_shard_missing_from_the_folder_is_named(tone_features, tmp_path):
    found = manifest.load(tone_features)
    with pytest.raises(manifest.ManifestError, match="train-tones-00000.tfrecord: in the manifest but not in"):
        read_batches(tmp_path, found, "train", Layout.fixed(200, batch=2), readers=1, buffer=1)
