"""TensorFlow's errors as sentences, those of a GPU in the words that its libraries use."""

import re

import pytest

import platforms
from benchmark import workloads
from benchmark.record.command import CommandLine
from benchmark.run.prepare.job import Job
from benchmark.run.trouble import explained, out_of_memory


def job_of(platform, *command):
    return Job(platform=platform, workload=workloads.load("mini"), name="r", command=CommandLine(command))


@pytest.fixture
def job():
    return job_of(platforms.load("cpu").changed(batch=16), "--batch", "16")


ON_A_GPU = [
    "Failed to call DoRnnForward with model config: [rnn_mode, rnn_input_mode]: 2, 0",
    "Graph execution error:\nDetected at node lstm\nFailed to call DoRnnBackward with model config: 2\n\t [[{{node}}]]",
    "No algorithm worked!  Error messages:\n  Profiling failure on CUDNN engine: out of workspace",
    "Failed to allocate the requested memory size (1073741824)",
    "CUDNN_STATUS_ALLOC_FAILED\nin external/local_xla/xla/stream_executor/cuda/cuda_dnn.cc(2030)",
    "failed to create cublas handle: CUBLAS_STATUS_ALLOC_FAILED",
    "CUDA_ERROR_OUT_OF_MEMORY: out of memory",
]


@pytest.mark.parametrize("message", ON_A_GPU)
def test_a_lack_of_memory_inside_a_gpus_library_is_told_with_a_smaller_batch_and_pieces(tf, job, message):
    sentence = out_of_memory(job, tf.errors.InternalError(None, None, message))
    assert (
        re.search(r"--batch 8\b", sentence) and "--accumulation 2" in sentence and "16 utterances a replica" in sentence
    )


def test_the_proposed_batch_is_one_that_the_gpus_divide(tf):
    sys1, error = platforms.load("sys1"), tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\nmore")
    said = out_of_memory(job_of(sys1, "--platform", "sys1"), error)
    assert "24 utterances a replica" in said  # 4 GPUs x 24 / 2
    assert said.endswith(" --batch 48, or this one in pieces: --accumulation 2")
    assert out_of_memory(job_of(sys1.changed(accumulation=24)), error).endswith(" --batch 48")
    assert "--batch 4" in out_of_memory(job_of(sys1.changed(batch=4)), error)


def test_memory_is_not_blamed_for_other_errors(tf, job):
    for error in (
        tf.errors.InternalError(None, None, "CUDA driver version is insufficient for CUDA runtime version"),
        tf.errors.InvalidArgumentError(None, None, "labels do not fit"),
        tf.errors.DataLossError(None, None, "corrupted record"),
    ):
        assert out_of_memory(job, error) is None


def test_tensorflows_own_word_for_it_needs_no_message(tf, job):
    error = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[96,1670,93]")
    with pytest.raises(ValueError, match="out of memory with a batch of 16"), explained(job, None):
        raise error
