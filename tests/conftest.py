"""Shared fixtures: real speech where it is there, and a tiny corpus made of tones where it need not be real."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
if worker := os.environ.get("PYTEST_XDIST_WORKER"):  # cores of its own: threads that spin would wait for others'
    cores, workers = sorted(os.sched_getaffinity(0)), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.sched_setaffinity(0, cores[int(worker.removeprefix("gw")) % len(cores) :: workers])

import pytest
from hypothesis import settings
from standin import compiled
from tones import write_chapter

for given in ("ARGS", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"):  # to the make that began the tests, not to those in them
    os.environ.pop(given, None)
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:  # as nohup and a shell's & leave them; tests send them
        signal.signal(number, usual)

gc.disable()  # a collection frees the graphs of past tests one by one, for up to two minutes of some other test
settings.register_profile("any machine", deadline=None)  # how long an example takes says more of the machine's load
settings.load_profile("any machine")
settings.register_profile("short", settings.get_profile("any machine"), max_examples=25)  # of make test

REAL_SPEECH = Path(__file__).resolve().parents[2] / "shared" / "data"
WORDS = ("one", "two", "three", "cool", "don't")


LONGEST_FIRST = (
    "test_several_machines.py",
    "test_trainer.py",
    "test_end_to_end.py",
    "test_whisper_training.py",
    "test_interrupted_runs.py",
    "test_one_seed.py",
    "test_streamed_runs.py",
    "test_gpu_graphs.py",
    "test_make.py",
    "test_loss.py",
    "test_evaluation.py",
    "test_trials.py",
    "test_whisper.py",
    "test_report.py",
    "test_lstm.py",
)
"""Files that take long, the longest first: one that a process begins last keeps all others waiting."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    turns = {name: turn for turn, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: turns.get(item.path.name, len(turns)))


def pytest_sessionfinish() -> None:
    gc.freeze()  # nor at exit


@pytest.fixture(scope="session")
def real_speech() -> Path:
    """The folder of real recordings beside the checkout; tests skip without it."""
    if not (REAL_SPEECH / "an4").is_dir():
        pytest.skip("real recordings are not here")
    return REAL_SPEECH


@pytest.fixture(scope="session")
def nvidia(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the stand-ins for NVIDIA's libraries (tests/standin.py); tests skip without a C compiler."""
    libraries = compiled(tmp_path_factory.mktemp("nvidia"))
    if libraries is None:
        pytest.skip("no C compiler is here")
    return libraries


@pytest.fixture(scope="session")
def tf():
    """TensorFlow with four logical CPUs, so that tests can make up to four replicas."""
    from features.jobs.process import import_tensorflow

    tensorflow = import_tensorflow()
    cpu = tensorflow.config.list_physical_devices("CPU")[0]
    if not tensorflow.config.get_logical_device_configuration(cpu):
        tensorflow.config.set_logical_device_configuration(cpu, [tensorflow.config.LogicalDeviceConfiguration()] * 4)
    return tensorflow


@pytest.fixture(scope="session")
def tone_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """21 training and 7 dev utterances of one to one and a half seconds. Read only."""
    root = tmp_path_factory.mktemp("corpus")
    sentences = [f"{WORDS[n % 5]} {WORDS[n // 2 % 5]}" for n in range(21)]
    write_chapter(root, "train-tones", 1, sentences[:11])
    write_chapter(root, "train-tones", 2, sentences[11:])
    write_chapter(root, "dev-tones", 3, sentences[:7])
    return root


@pytest.fixture(scope="session")
def tone_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What runs on the tone corpus are given as --data: the first of them makes its features, and others find them."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def tone_features(tone_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tone corpus's features, in shards of 8. Read only."""
    from features.shards.extraction import extract_corpus
    from features.shards.manifest import Settings

    out = tmp_path_factory.mktemp("features")
    extract_corpus(tone_corpus, out, settings=Settings(shard_utterances=8), jobs=1)
    return out
