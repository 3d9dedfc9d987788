"""The index of a checkpoint as TensorFlow writes it: which bytes are the model's, and a checkpoint of them alone."""

import io

import numpy as np
import pytest

from benchmark.proof.tensors import TensorsError, cut, read_index, restored, weights_of


@pytest.fixture(scope="module")
def saved(tf, tmp_path_factory):
    """A checkpoint of a model's and an optimiser's variables, as `benchmark.run.state.checkpoints` writes it."""
    model = {"net/kernel": tf.Variable(np.arange(12, dtype=np.float32)), "net/bias": tf.Variable([7.0])}
    optimizer = {"adadelta/sum": tf.Variable(np.full(1000, 3.0, np.float32)), "step": tf.Variable(5, dtype=tf.int64)}
    prefix = tmp_path_factory.mktemp("saved") / "ckpt-7"
    tf.train.Checkpoint(model=model, optimizer=optimizer).write(str(prefix))
    return prefix


def test_the_index_says_where_each_tensor_is(tf, saved):
    found = read_index(saved.with_suffix(".index").read_bytes())
    theirs = {name for name, _ in tf.train.list_variables(str(saved))}
    assert {each.name for each in found} == theirs
    sizes = {each.name.split("/.ATTR")[0]: each.size for each in found}
    assert sizes["model/net.Skernel"] == 48 and sizes["optimizer/adadelta.Ssum"] == 4000  # 12 and 1,000 of 4 bytes


def test_tensorflow_reads_a_model_from_a_checkpoint_whose_optimiser_was_cut_out(tf, saved, tmp_path):
    index = saved.with_suffix(".index").read_bytes()
    tensors = read_index(index)
    parts = weights_of(tensors)
    with saved.with_name("ckpt-7.data-00000-of-00001").open("rb") as stream:
        weights = b"".join(cut(stream, parts))
    assert len(weights) == sum(each.size for each in parts) < 3000  # without the 4,000 of the optimiser
    (tmp_path / "ckpt-7.index").write_bytes(index)
    whole = b"".join(restored(io.BytesIO(weights), tensors, parts))
    (tmp_path / "ckpt-7.data-00000-of-00001").write_bytes(whole)
    assert len(whole) == saved.with_name("ckpt-7.data-00000-of-00001").stat().st_size
    kernel = tf.Variable(np.zeros(12, np.float32))
    status = tf.train.Checkpoint(model={"net/kernel": kernel}).read(str(tmp_path / "ckpt-7"))
    status.assert_existing_objects_matched().expect_partial()
    assert kernel.numpy().tolist() == list(range(12))


def test_what_is_no_index_and_weights_that_end_early_are_refused(saved):
    index = saved.with_suffix(".index").read_bytes()
    for data in (b"", b"x" * 100, index[:-1], index[1:], bytes(len(index) - 48) + index[-48:]):
        with pytest.raises(TensorsError, match="no index of a checkpoint"):
            read_index(data)
    tensors = read_index(index)
    with pytest.raises(TensorsError, match="ends early"):
        b"".join(restored(io.BytesIO(b"x"), tensors, weights_of(tensors)))
