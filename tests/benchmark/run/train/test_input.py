"""What a training step is fed with: how a batch is cut for the replicas."""

import numpy as np
import pytest

from benchmark import workloads


def test_the_replicas_parts_of_a_batch_know_how_many_utterances_all_have(tf):
    from benchmark.run.train.input import per_replica

    batch = {
        "features": tf.reshape(tf.range(4 * 2 * 3, dtype=tf.float32), [4, 2, 3]),
        "frames": tf.constant([2, 2, 1, 0]),  # the last place is empty
        "labels": tf.zeros([4, 2], tf.int32),
        "label_lengths": tf.constant([1, 1, 1, 0]),
        "id": tf.constant(["a", "b", "c", ""]),
    }
    cut = per_replica(batch, 2, workloads.load("mini").learner().units)
    assert cut["features"].shape == (2, 2, 2, 3) and "id" not in cut
    np.testing.assert_array_equal(cut["frames"], [[2, 2], [1, 0]])
    np.testing.assert_array_equal(cut["global_units"], [3.0, 3.0])


def test_parts_go_to_their_replicas_in_turns_on_any_number_of_devices(tf):
    """Batches 0, 1, 2 of utterances of 1, 2, ... frames: replica r of R has the r-th R-th of each, in order."""
    from benchmark.run.train.input import distributed, take

    batches = tf.data.Dataset.range(3).map(
        lambda number: {
            "features": tf.zeros([4, 2, 3]),
            "frames": 1 + tf.range(4) + 4 * tf.cast(number, tf.int32),
            "labels": tf.zeros([4, 2], tf.int32),
            "label_lengths": tf.ones([4], tf.int32),
        }
    )
    for replicas in (1, 2, 4):
        machine = machine_of(tf, replicas)
        taken = distributed(batches, machine, workloads.load("mini").learner())
        for number in range(3):
            part = take(taken, machine)
            found = [each.numpy() for each in machine.strategy.experimental_local_results(part["frames"])]
            np.testing.assert_array_equal(np.concatenate(found), 1 + np.arange(4) + 4 * number)
            assert len(found) == replicas
        with pytest.raises((StopIteration, tf.errors.OutOfRangeError)):
            take(taken, machine)


def machine_of(tf, replicas):
    from benchmark.run.prepare.devices import Devices

    names = [f"CPU:{n}" for n in range(replicas)]
    return Devices(
        strategy=tf.distribute.MirroredStrategy(names),
        replicas=replicas,
        names=("CPU",) * replicas,
        emulated=replicas > 1,
        reduction="first-gpu",
    )
