import threading
import time
from itertools import combinations, pairwise

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from features.corpus.audio import SAMPLE_RATE_HZ, frame_count
from features.reading import batches
from features.reading.batches import Buckets, EpochOrder, normalise, read_batches
from features.shards import manifest

BUCKETS = 10  # the workloads' default


def ids(dataset) -> list[list[str]]:
    return [[i.decode() for i in batch["id"].numpy() if i] for batch in dataset]


@pytest.fixture(scope="module")
def read(tf, tone_features):
    """Read the training tones in buckets; options as of read_batches."""
    found = manifest.load(tone_features)
    layout = Buckets.bucketed(found.lengths("train"), batch=4, buckets=3)

    def reader(**options):
        options = {"readers": 2, "buffer": 2, "order": EpochOrder(seed=1, epoch=1), "layout": layout} | options
        return read_batches(tone_features, found, options.pop("role", "train"), options.pop("layout"), **options)

    reader.layout, reader.lengths = layout, found.lengths("train")
    return reader


def test_every_utterance_comes_exactly_once_an_epoch_and_batches_are_counted_right(read):
    found = ids(read())
    assert sorted(sum(found, [])) == sorted({i for batch in found for i in batch}) and len(sum(found, [])) == 21
    assert len(found) == read.layout.batches(read.lengths)


def test_batches_are_full_and_padded_to_their_bucket_with_empty_utterances_last(read):
    for batch in read():
        assert batch["features"].shape[0] == 4 and batch["features"].shape[1] in read.layout.boundaries
        frames = batch["frames"].numpy()
        assert (np.diff((frames > 0).astype(int)) <= 0).all()  # none after an empty one
        for row, count in zip(batch["features"].numpy(), frames, strict=True):
            assert not row[count:].any() and (count == 0 or row[:count].any())


def test_the_order_depends_on_seed_and_epoch_and_not_on_readers(read):
    first = ids(read())
    assert ids(read(readers=5, buffer=1)) == first
    assert ids(read(order=EpochOrder(seed=1, epoch=2))) != first
    assert ids(read(order=EpochOrder(seed=2, epoch=1))) != first


@pytest.mark.parametrize("options", [{}, {"rows": range(1, 3)}, {"chosen": np.arange(21) % 3 > 0}, {"files": True}])
def test_endless_batches_are_those_of_one_epoch_after_the_other(read, options):
    files_only = (options := dict(options)).pop("files", False)
    orders = [EpochOrder(seed=1, epoch=epoch, files_only=files_only) for epoch in (3, 4)]
    apart = [list(read(order=order, **options)) for order in orders]
    expected = sum(apart, [])
    found = list(read(order=orders[0], endless=True, **options).take(len(expected)))
    for batch, other in zip(found, expected, strict=True):
        for name in other:
            np.testing.assert_array_equal(batch[name].numpy(), other[name].numpy(), err_msg=name)
    assert files_only or ids(apart[0]) != ids(apart[1])


def test_the_shuffle_is_that_of_tf_data_also_with_both_seeds_zero(tf):
    for seed, drawn in ((0, 5), (7, 0), (0, 0)):
        tf.random.set_seed(seed)
        numbers = tf.data.Dataset.range(3000).map(lambda number: (number, tf.as_string(number)))
        expected = all_of(numbers.shuffle(1024, seed=drawn))
        seeds = tf.constant(EpochOrder(seed=seed, epoch=1).shuffle_seeds(drawn), tf.int64)
        assert len(expected) == 3000 and all_of(batches._shuffled(numbers, seeds)) == expected != sorted(expected)


def all_of(numbers) -> list[int]:
    """The first of every pair, read as one batch: thousands, one by one, take seconds."""
    (batch,) = numbers.batch(3000)
    return batch[0].numpy().tolist()


def test_endless_batches_without_an_order_or_with_masks_are_refused(read):
    for options in ({"order": None}, {"augment": "specaugment"}):
        with pytest.raises(ValueError, match="expected an order and no augment"):
            read(endless=True, **options)


def test_one_length_for_all_is_one_bucket_of_every_utterance(read):
    found = list(read(layout=Buckets.fixed(max(read.lengths), batch=4)))
    assert [batch["features"].shape for batch in found] == [(4, max(read.lengths), 93)] * 6  # 21 of 4: 5 full, and 1
    assert [int((batch["frames"].numpy() > 0).sum()) for batch in found] == [4, 4, 4, 4, 4, 1]
    assert len({i for batch in ids(found) for i in batch}) == 21


@pytest.mark.parametrize("edges", [(40,), (10, 25, 40)])
def test_batches_of_buckets_are_those_of_tf_data(tf, edges):
    """Where every utterance is in the first bucket that fits, as theirs are."""
    frames = np.random.default_rng(0).integers(1, 41, 50).tolist() + [10, 11, 25, 26, 40]

    def utterances():
        for number, count in enumerate(frames):
            bucket = sum(edge < count for edge in edges)
            yield {"features": np.full([count, 2], number, np.float32), "frames": count, "bucket": bucket}

    scalar = {"frames": tf.TensorSpec([], tf.int32), "bucket": tf.TensorSpec([], tf.int64)}
    signature = {"features": tf.TensorSpec([None, 2], tf.float32)} | scalar
    dataset = tf.data.Dataset.from_generator(utterances, output_signature=signature)
    theirs = dataset.bucket_by_sequence_length(
        lambda utterance: utterance["frames"],
        [edge + 1 for edge in edges],  # their boundaries are exclusive, and they pad to one less
        [4] * (len(edges) + 1),
        pad_to_bucket_boundary=True,
    )
    ours = batches._in_buckets(dataset, Buckets(4, edges))
    for our, their in zip(ours, theirs, strict=True):
        for name in signature:
            np.testing.assert_array_equal(our[name], their[name])


class Busy:
    """An identity for tf.data that counts its calls, and how many run at the same time at most."""

    def __init__(self, tf):
        self.tf, self.calls, self.now, self.most, self.lock = tf, 0, 0, 0, threading.Lock()

    def __call__(self, value):
        def call(array):
            with self.lock:
                self.calls, self.now = self.calls + 1, self.now + 1
                self.most = max(self.most, self.now)
            time.sleep(0.02)
            with self.lock:
                self.now -= 1
            return array

        same = self.tf.numpy_function(call, [value], value.dtype)
        return self.tf.ensure_shape(same, value.shape)


@pytest.mark.parametrize("readers", [1, 2, 3])
def test_as_many_records_are_read_and_parsed_at_once_as_there_are_readers(tf, read, monkeypatch, readers):
    reading, parsing = Busy(tf), Busy(tf)
    open_shard, parse = batches.open_shard, batches.parse
    monkeypatch.setattr(batches, "open_shard", lambda path, settings: open_shard(path, settings).map(reading))
    monkeypatch.setattr(batches, "parse", lambda record, settings: parse(parsing(record), settings))
    threads = tf.data.Options()
    threads.threading.private_threadpool_size = 16  # or a small machine's own pool is the limit
    assert len(ids(read(readers=readers).with_options(threads))) > 0
    assert reading.calls == parsing.calls == 21
    assert (reading.most, parsing.most) == (readers, readers)


@pytest.mark.parametrize("buffer", [1, 5])
def test_as_many_batches_are_made_ahead_as_the_buffer_holds_and_no_more(tf, read, monkeypatch, buffer):
    made, filled_up = Busy(tf), batches._filled_up

    def counted(batch, size):
        batch = filled_up(batch, size)
        return batch | {"frames": made(batch["frames"])}

    monkeypatch.setattr(batches, "_filled_up", counted)
    iterator = iter(read(buffer=buffer, layout=Buckets.fixed(max(read.lengths), batch=1)))  # 21 batches
    next(iterator)
    until = time.monotonic() + 10
    while made.calls < 1 + buffer and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.2)  # for any more that should not come
    assert made.calls == 1 + buffer  # the one that was taken, and the buffer


def test_nothing_is_tuned_while_it_runs_and_a_reader_is_one_thread(read):
    # With tuning on, giving up a dataset that ran for t seconds waited for up to t more.
    options = read().options()
    assert options.autotune.enabled is False and options.threading.max_intra_op_parallelism == 1


@pytest.mark.parametrize("normalisation", batches.NORMALISATIONS)
def test_features_are_float32_however_they_are_stored_and_normalised(tf, read, normalisation):
    spec = read(normalisation=normalisation).element_spec["features"]
    assert spec.dtype == tf.float32 and spec.shape.as_list() == [4, None, 93]


def test_without_an_order_it_is_the_shards_own(read):
    assert ids(read(order=None)) == ids(read(order=None, readers=3))


def test_files_only_keeps_utterances_in_their_shard_order(read):
    order = EpochOrder(seed=3, epoch=1, files_only=True)
    assert ids(read(order=order)) == ids(read(order=order)) != ids(read(order=EpochOrder(seed=3, epoch=1)))


def test_edges_leave_the_least_padding():
    # Two buckets for 8, 8, 8, 80: edges 8 and 80 pad nothing; any other pair pads.
    assert Buckets.bucketed([8, 8, 8, 80], batch=1, buckets=2).boundaries == (8, 80)
    # One bucket of edge 20 for 10 and 19 frames, batches of 2: 11 of 40 frames are padding.
    layout = Buckets.bucketed([10, 19], batch=2, buckets=1)
    assert layout.boundaries == (20,) and layout.padded_share([10, 19]) == 11 / 40
    # Batches of 2: 8 and 8, then 8 and 80, which is 72 of 2 x 8 + 2 x 80 frames.
    layout = Buckets.bucketed([8, 8, 8, 80], batch=2, buckets=3)
    assert layout.boundaries == (8, 80) and layout.padded_share([8, 8, 8, 80]) == pytest.approx(72 / 176)
    # Five in batches of 2: the shortest shares its batch with nobody.
    assert Buckets(2, (8, 80)).assign([80, 8, 8, 8, 8]).tolist() == [1, 0, 0, 0, 1]


@given(st.lists(st.integers(11, 40), min_size=1, max_size=12), st.integers(1, 4), st.integers(1, 4))
def test_no_other_cut_into_batches_pads_less(lengths, buckets, batch):
    """All ways to cut the batches of the sorted utterances into so many buckets, each as long as its last needs."""
    ordered = sorted(lengths)
    first = len(lengths) % batch or batch
    longest = [ordered[stop - 1] + ordered[stop - 1] % 2 for stop in range(first, len(lengths) + 1, batch)]
    places = range(1, len(longest))
    least = min(
        sum((stop - start) * batch * longest[stop - 1] for start, stop in pairwise((0, *cut, len(longest))))
        for n in range(buckets)
        for cut in combinations(places, n)
    )
    layout = Buckets.bucketed(lengths, batch=batch, buckets=buckets)
    assert layout.padded_share(lengths) == pytest.approx(1 - sum(lengths) / least, abs=1e-12)


@given(st.lists(st.integers(11, 60), min_size=1, max_size=40), st.integers(1, 5), st.integers(1, 7), st.integers(0, 99))
def test_every_bucket_holds_whole_batches_of_utterances_that_fit(lengths, buckets, batch, seed):
    """But for the shortest batch; and what `padded_share` says is what is padded."""
    layout = Buckets.bucketed(lengths, batch=batch, buckets=buckets)
    found = layout.assign(lengths, np.random.default_rng(seed))
    assert all(length <= layout.boundaries[bucket] for length, bucket in zip(lengths, found, strict=True))
    counts = np.bincount(found, minlength=len(layout.boundaries))
    shortest = int(np.flatnonzero(counts)[0])
    assert all(count % batch == 0 for bucket, count in enumerate(counts) if bucket != shortest)
    padded_to = sum(-(-count // batch) * batch * edge for count, edge in zip(counts, layout.boundaries, strict=True))
    assert layout.padded_share(lengths) == pytest.approx(1 - sum(lengths) / padded_to)


def test_which_of_equally_long_utterances_share_a_bucket_changes_with_the_epoch():
    layout = Buckets.bucketed([20] * 10 + [40] * 6, batch=8, buckets=2)
    assert layout.boundaries == (20, 40)
    in_the_longer = {
        tuple(np.flatnonzero(layout.assign([20] * 10 + [40] * 6, EpochOrder(seed=1, epoch=epoch).generator())))
        for epoch in range(20)
    }
    assert len(in_the_longer) > 10  # of 10 x 9 / 2 pairs
    assert all(len(chosen) == 8 and chosen[2:] == (10, 11, 12, 13, 14, 15) for chosen in in_the_longer)


def test_an_utterance_that_fits_no_bucket_is_told():
    with pytest.raises(ValueError, match="an utterance of 41 frames; expected at most 40"):
        Buckets(4, (20, 40)).assign([10, 41])


@pytest.mark.parametrize("corpus", ["librispeech-small", "an4"])
def test_on_real_speech_under_a_tenth_of_the_frames_is_padding_and_under_a_quarter_of_fixed_paddings(
    real_speech, corpus
):
    paths = (path for folder in (real_speech / corpus).glob("train*") for path in folder.rglob("*.*"))
    sounds = [soundfile.info(path) for path in paths if path.suffix in (".flac", ".wav")]
    lengths = [frame_count(round(sound.duration * SAMPLE_RATE_HZ)) for sound in sounds]
    padded = Buckets.bucketed(lengths, batch=16, buckets=BUCKETS).padded_share(lengths)
    fixed = Buckets.fixed(1670, batch=16).padded_share(lengths)
    assert padded < 0.10
    assert padded / (1 - padded) < fixed / (1 - fixed) / 4  # padded frames for each frame of speech


@given(st.lists(st.integers(11, 1670), min_size=1, max_size=40), st.integers(1, 5), st.integers(1, 7))
def test_buckets_are_no_more_than_asked_for_and_never_worse_than_one(lengths, buckets, batch):
    layout = Buckets.bucketed(lengths, batch=batch, buckets=buckets)
    assert len(layout.boundaries) <= buckets and max(lengths) <= layout.boundaries[-1] < max(lengths) + 2
    assert layout.padded_share(lengths) <= Buckets.fixed(layout.boundaries[-1], batch=batch).padded_share(lengths)


def test_normalisation_by_utterance_frame_and_not_at_all(tf):
    x = tf.constant([[3.0, 1.0], [4.0, 3.0], [5.0, 5.0]])
    by_utterance = normalise(x, "utterance").numpy()
    np.testing.assert_allclose(by_utterance.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(by_utterance.std(0), 1, atol=1e-4)
    np.testing.assert_allclose(normalise(tf.constant([[3.0, 4.0]]), "frame-l2"), [[0.6, 0.8]])  # / sqrt(9 + 16)
    assert normalise(x, "none") is x
    with pytest.raises(ValueError, match="expected one of"):
        normalise(x, "batch")


def test_normalisation_of_float16_is_that_of_numpy_in_float64_and_silence_becomes_zero(tf):
    # As log-mel energies are: from -14 to 5, one band all but constant.
    x = np.random.default_rng(0).uniform(-14, 5, [1200, 93]).astype(np.float16)
    x[:, 7] = np.where(np.arange(1200) < 3, -13.80, -13.8155)
    x[:, 8] = -13.8155
    exact = x.astype(np.float64)
    expected = (exact - exact.mean(0)) / np.sqrt(exact.var(0) + 1e-6)
    found = normalise(tf.constant(x), "utterance").numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.delete(found, 8, 1), np.delete(expected, 8, 1), rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(found[:, 8], 0, atol=1e-2)  # its mean's last digit, 1e-6, by 1 / sqrt(1e-6)


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
        read_batches(tmp_path, found, "train", Buckets.fixed(200, batch=2), readers=1, buffer=1)


@pytest.mark.parametrize("augment", ["none", "specaugment"])
@pytest.mark.parametrize("buckets", [1, 3])
def test_rows_of_batches_for_several_machines_are_those_of_the_whole_ones(tf, tone_features, augment, buckets):
    found = manifest.load(tone_features)
    layout = Buckets.bucketed(found.lengths("train"), batch=6, buckets=buckets)  # 21 utterances: 3 places stay empty
    asked = {"readers": 2, "buffer": 2, "order": EpochOrder(seed=1, epoch=2), "augment": augment}
    whole = list(read_batches(tone_features, found, "train", layout, **asked))
    rows = (range(2), range(2, 4), range(4, 6))
    shares = [list(read_batches(tone_features, found, "train", layout, rows=each, **asked)) for each in rows]
    assert len(whole) == 4 and {len(share) for share in shares} == {4}
    for batch, *parts in zip(whole, *shares, strict=True):
        for name, values in batch.items():
            joined = np.concatenate([as_wide(part[name].numpy(), values) for part in parts])
            np.testing.assert_array_equal(joined, values.numpy(), err_msg=name)
        for part in parts:
            np.testing.assert_array_equal(part["of_batch_frames"].numpy(), batch["frames"].numpy())


def as_wide(part, whole):
    """Rows, padded with zeros to the width of the whole batch's: labels are as wide as the longest of the rows."""
    if part.ndim < 2:
        return part
    return np.pad(part, [(0, 0), (0, whole.shape[1] - part.shape[1])] + [(0, 0)] * (part.ndim - 2))


def test_rows_know_how_many_labels_the_other_machines_rows_have(tf, tone_features):
    found = manifest.load(tone_features)
    layout = Buckets.fixed(max(found.lengths("train")), batch=6)
    labels = [[1] * (1 + number % 4) for number in range(21)]
    asked = {"readers": 2, "buffer": 2, "order": EpochOrder(seed=1, epoch=2), "labels": labels}
    whole = read_batches(tone_features, found, "train", layout, **asked)
    share = read_batches(tone_features, found, "train", layout, rows=range(3, 6), **asked)
    for batch, part in zip(whole, share, strict=True):
        np.testing.assert_array_equal(part["of_batch_label_lengths"].numpy(), batch["label_lengths"].numpy())
        np.testing.assert_array_equal(as_wide(part["labels"].numpy(), batch["labels"]), batch["labels"].numpy()[3:])
