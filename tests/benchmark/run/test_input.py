"""What a training step is fed with: how a batch is cut for the replicas."""

import numpy as np


def test_the_replicas_parts_of_a_batch_know_how_many_utterances_all_have(tf):
    from benchmark.run.input import per_replica
    from models import deepspeech

    batch = {
        "features": tf.reshape(tf.range(4 * 2 * 3, dtype=tf.float32), [4, 2, 3]),
        "frames": tf.constant([2, 2, 1, 0]),  # the last place is empty
        "labels": tf.zeros([4, 2], tf.int32),
        "label_lengths": tf.constant([1, 1, 1, 0]),
        "id": tf.constant(["a", "b", "c", ""]),
    }
    cut = per_replica(batch, 2, deepspeech.units)
    assert cut["features"].shape == (2, 2, 2, 3) and "id" not in cut
    np.testing.assert_array_equal(cut["frames"], [[2, 2], [1, 0]])
    np.testing.assert_array_equal(cut["global_units"], [3.0, 3.0])
