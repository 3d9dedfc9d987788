import subprocess
import sys

import numpy as np
import pytest

from features.shards import tfrecord

SIZES = (0, 1, 127, 128, 16_384)


def by_tensorflow(tf, fields):
    features = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[v])) for name, v in fields.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)


@pytest.mark.parametrize("size", [0, 1, 60, 127, 128, 16_383, 16_384, 300_000])
def test_an_example_is_tensorflows_byte_for_byte(tf, size):
    """Sizes on both sides of what lengths of one, two and three bytes can say."""
    value = np.random.default_rng(size).bytes(size)
    fields = {"sentence": "ça va".encode(), "id": b"1-2-3", "features": value, "empty": b""}
    assert tfrecord.example(fields) == by_tensorflow(tf, fields)


def test_a_file_is_tensorflows_byte_for_byte(tf, tmp_path):
    records = [np.random.default_rng(n).bytes(n) for n in (0, 1, 7, 8, 9, 1_000, 100_000)]
    with tfrecord.Writer(tmp_path / "ours") as ours, tf.io.TFRecordWriter(str(tmp_path / "theirs")) as theirs:
        for record in records:
            ours.write(record)
            theirs.write(record)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_a_gzipped_file_is_read_by_tensorflow_and_the_same_each_time(tf, tmp_path):
    records = [b"abc" * n for n in range(100)]
    for name in ("one", "two"):
        with tfrecord.Writer(tmp_path / name, gzipped=True) as writer:
            for record in records:
                writer.write(record)
    read = tf.data.TFRecordDataset(str(tmp_path / "one"), compression_type="GZIP")
    assert list(read.as_numpy_iterator()) == records
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one").stat().st_size < sum(map(len, records)) / 5


@pytest.mark.parametrize("gzipped", [False, True])
def test_a_full_disk_is_named(gzipped):
    """/dev/full takes nothing; 300,000 random bytes are more than any buffer keeps until the file is closed."""
    with (
        pytest.raises(OSError, match=r"^/dev/full: cannot be written \(No space left on device\)$"),
        tfrecord.Writer(tfrecord.Path("/dev/full"), gzipped=gzipped) as writer,
    ):
        writer.write(np.random.default_rng(0).bytes(300_000))


@pytest.mark.parametrize("gzipped", [False, True])
def test_a_full_disk_is_named_on_closing_too(gzipped):
    with (
        pytest.raises(OSError, match=r"^/dev/full: cannot be written \(No space left on device\)$"),
        tfrecord.Writer(tfrecord.Path("/dev/full"), gzipped=gzipped) as writer,
    ):
        writer.write(b"kept in a buffer")


def test_the_first_error_is_the_one_to_hear_of():
    with pytest.raises(ValueError, match="audio"), tfrecord.Writer(tfrecord.Path("/dev/full")) as writer:
        writer.write(b"kept in a buffer")
        raise ValueError("audio")


def test_extraction_does_not_import_tensorflow():
    """It would be 600 MiB a worker."""
    code = "import sys, features.__main__, features.shards.records; print('tensorflow' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


@pytest.mark.parametrize("gzipped", [False, True])
def test_what_tensorflow_wrote_is_read_back(tf, tmp_path, gzipped):
    written = [{"id": f"1-2-{n}".encode(), "features": np.random.default_rng(n).bytes(n), "empty": b""} for n in SIZES]
    with tf.io.TFRecordWriter(str(tmp_path / "theirs"), options="GZIP" if gzipped else "") as theirs:
        for fields in written:
            theirs.write(by_tensorflow(tf, fields))
    assert [tfrecord.fields(each) for each in tfrecord.read(tmp_path / "theirs", gzipped=gzipped)] == written


@pytest.mark.parametrize("changed", ["cut in the head", "cut in the record", "another byte", "another length"])
def test_a_damaged_file_is_named_with_the_record(tmp_path, changed):
    path = tmp_path / "shard"
    with tfrecord.Writer(path) as writer:
        writer.write(b"first")
        writer.write(b"second")
    whole = path.read_bytes()
    second = 12 + len(b"first") + 4  # the first's length, its checksum, data and checksum
    byte = {"another byte": second + 13, "another length": second}.get(changed)
    cut = {"cut in the head": second + 5, "cut in the record": second + 14}.get(changed, len(whole))
    path.write_bytes(bytes(b ^ (n == byte) for n, b in enumerate(whole[:cut])))
    with pytest.raises(ValueError, match=r"shard: record 2 is damaged or cut off"):
        list(tfrecord.read(path))


def test_what_is_no_example_of_bytes_is_refused(tf):
    numbers = tf.train.Feature(int64_list=tf.train.Int64List(value=[1]))
    other = tf.train.Example(features=tf.train.Features(feature={"n": numbers})).SerializeToString()
    for message in (other, b"\x0a\x05ab", b"\x0a\xff"):
        with pytest.raises(ValueError):
            tfrecord.fields(message)
