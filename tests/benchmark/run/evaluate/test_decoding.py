"""Worker processes that decode: the same sentences as without them, and no TensorFlow in them."""

import os
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from benchmark.run.evaluate.decoding import DecodingPool
from benchmark.run.prepare.language_models import language_model
from models.ctc.decoders import Decoder

ROOT = Path(__file__).parents[4]
WORDS = tuple(a + b + c for a in "bcdfg" for b in "aeiou" for c in "lmnrt")
DICTIONARY = Decoder(name="dictionary", words=WORDS, beam_width=32)


def utterances(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(scale=3, size=(1, frames, 30)).astype(np.float32) for frames in rng.integers(0, 60, count)]


def in_workers(pool: DecodingPool, matrices: list[np.ndarray]) -> list[str]:
    futures = [pool.submit(matrix, np.array([matrix.shape[1]])) for matrix in matrices]
    return [sentence for future in futures for sentence in future.result()]


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow), 3])
def test_workers_give_the_sentences_that_one_process_gives(jobs):
    matrices, decode = utterances(20), DICTIONARY.load()
    expected = [decode(matrix, np.array([matrix.shape[1]]))[0] for matrix in matrices]
    with DecodingPool(DICTIONARY, jobs=jobs, niceness=1) as pool:
        assert in_workers(pool, matrices) == expected
    assert len(set(expected)) > 10


NEAR_TIES = Path(__file__).parents[5] / "shared" / "data" / "near-ties"


@pytest.mark.slow
def test_any_number_of_workers_in_any_order_decodes_near_ties_alike():
    """Logits on which flashlight-text gave two answers, by what was decoded before in the same process."""
    if not NEAR_TIES.is_dir():
        pytest.skip(f"{NEAR_TIES} is not here")
    found = np.load(NEAR_TIES / "logits.npz")
    matrices = [matrix[None, :count] for matrix, count in zip(found["logits"], found["frames"], strict=True)]
    decoder = Decoder(name="dictionary", words=tuple((NEAR_TIES / "words.txt").read_text().split()))
    expected = in_workers_of(decoder, matrices, jobs=1)
    for jobs, seed in ((1, 1), (2, 2), (4, 3)):
        order = np.random.default_rng(seed).permutation(len(matrices))
        assert in_workers_of(decoder, [matrices[n] for n in order], jobs=jobs) == [expected[n] for n in order]


def in_workers_of(decoder: Decoder, matrices: list[np.ndarray], *, jobs: int) -> list[str]:
    with DecodingPool(decoder, jobs=jobs) as pool:
        return in_workers(pool, matrices)


def test_the_workers_are_as_many_as_asked_and_end_with_the_pool():
    before = set(psutil.Process().children())
    with DecodingPool(DICTIONARY, jobs=2) as pool:
        pool.warm_up()
        new = set(psutil.Process().children()) - before
        workers = [child for child in new if "spawn_main" in " ".join(child.cmdline())]
        assert len(workers) == 2
    assert not [worker for worker in workers if worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE]


def test_what_is_not_decoded_yet_is_cancelled_when_the_pool_ends():
    slow = np.zeros((1, 800, 30), np.float32)
    with DecodingPool(replace(DICTIONARY, beam_width=256), jobs=1) as pool:
        pool.warm_up()
        futures = [pool.submit(slow, np.array([800])) for _ in range(60)]
    assert futures[-1].cancelled()


def test_greedy_decoding_needs_no_workers():
    before = set(psutil.Process().children())
    with DecodingPool(Decoder(name="greedy"), jobs=8) as pool:
        pool.warm_up()
        assert in_workers(pool, [np.eye(30, dtype=np.float32)[None, [1, 29, 2]] * 9]) == ["ab"]
        assert set(psutil.Process().children()) == before


def test_a_worker_that_is_killed_breaks_the_pool_and_is_not_waited_for():
    with DecodingPool(DICTIONARY, jobs=1) as pool:
        pool.warm_up()
        (worker,) = pool._pool._processes
        os.kill(worker, 9)
        with pytest.raises(BrokenProcessPool):
            in_workers(pool, utterances(3))


def test_a_worker_loads_no_tensorflow():
    code = (
        "import sys, numpy as np; from benchmark.run.evaluate import decoding\n"
        "from models.ctc.decoders import Decoder\n"
        "decoding._prepare(Decoder(name='dictionary', words=('a',)), 0); decoding._work(np.zeros((1, 9, 30)), [9])\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_no_workers_at_all_are_refused():
    with pytest.raises(ValueError, match="decode-jobs is 0; expected at least 1"):
        DecodingPool(DICTIONARY, jobs=0)


def test_a_published_language_model_is_looked_for_by_name_and_any_other_by_its_path(tmp_path):
    folder = tmp_path / "language-models"
    folder.mkdir()
    (folder / "3-gram.arpa").write_text("")
    assert language_model("3-gram", tmp_path) == folder / "3-gram.arpa"
    assert language_model(str(folder / "3-gram.arpa"), tmp_path / "elsewhere") == folder / "3-gram.arpa"
    for name, said in (
        ("4-gram", "download it with: python -m features.download"),
        ("absent.arpa", "absent.arpa is no such file; give an ARPA or KenLM binary file"),
        (None, "no language model; give --language-model"),
    ):
        with pytest.raises(ValueError, match=said):
            language_model(name, tmp_path)
