"""Part `extraction`: FLAC to finished shard, in seconds of audio a second ("times real time").

Ours: `features.shards.records.write_shard`, what every worker of `python -m features` runs. Baseline: the plain
pipeline that a user would write with librosa: librosa.load, librosa.feature.melspectrogram of 80 bands, its logarithm,
librosa.feature.mfcc of it, float16, the same shard. The corpus is spoken by the suite (`features.synthesis`). All
cores: one worker a core at once, each on its own, against one alone in the same round. Starting workers is left out: it
is paid once a corpus. Limit of the first row: FLAC decoding and nothing else; of the second: as many times one core as
there are cores.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmark.speed.contest import Arena, contender, play, together
from benchmark.speed.results import Result
from benchmark.speed.sizes import Setting
from platforms.machine import affinity

TARGET_TIMES, TARGET_MIB = 1000, 500


def measure(setting: Setting) -> list[Result]:
    """Measure extraction; return two Results: on one core and on all cores."""
    from features.synthesis import corpus as synthesis

    with tempfile.TemporaryDirectory() as folder, Arena() as arena:
        corpus = Path(folder) / "corpus"
        synthesis.synthesise(corpus, sentences=12 if setting.tiny else 400)
        workers = [
            arena.enter(_worker("ours", corpus, Path(folder) / f"shards-{core}", core=core)) for core in affinity()
        ]
        librosa = arena.enter(_worker("librosa", corpus, Path(folder) / "librosa", core=affinity()[0]))
        decoding = arena.enter(_worker("decoding", corpus, Path(folder), core=affinity()[0]))
        turns = {
            "ours": workers[0].ask,
            "librosa": librosa.ask,
            "decoding": decoding.ask,
            "all cores": partial(together, workers),
        }
        played = play(turns, rounds=setting.rounds, label="extraction")
    return _results(played, workers=len(workers))


def _results(played, *, workers: int) -> list[Result]:
    audio_s = played.answers["ours"][0]["audio_s"]
    memory_mib = max(played.values("ours", "memory_mib"))
    private_mib = max(played.values("ours", "private_mib"))
    librosa_mib = max(played.values("librosa", "memory_mib"))
    alone, every = played.median("ours"), played.median("all cores")
    scaling = tuple(workers * ratio for ratio in played.ratios("ours", "all cores"))
    return [
        Result(
            part="extraction, one core",
            unit="x real time",
            ours=audio_s / alone,
            baseline=audio_s / played.median("librosa"),
            ratios=played.ratios("librosa", "ours"),
            limit_share=played.median("decoding") / alone,
            note=f"baseline: a plain librosa pipeline; limit: FLAC decoding alone; a worker's memory at most "
            f"{memory_mib:.0f} MiB resident (librosa's {librosa_mib:.0f}), {private_mib:.0f} of them its own, the rest "
            f"pages of libraries that workers share; targets {TARGET_TIMES:,} "
            f"times real time and under {TARGET_MIB} MiB",
            measured={name: played.answers[name] for name in ("ours", "librosa", "decoding")},
        ),
        Result(
            part=f"extraction, {workers} cores",
            unit="x real time",
            ours=workers * audio_s / every,
            baseline=audio_s / alone,
            ratios=scaling,
            limit_share=sorted(scaling)[len(scaling) // 2] / workers,
            note="baseline: ours on one core; limit: as many times that as there are cores",
            measured={name: played.answers[name] for name in ("ours", "all cores")},
        ),
    ]


def _worker(name: str, corpus: Path, out: Path, *, core: int):
    from features.shards.records import worker_environment

    with worker_environment():
        environment = {key: os.environ[key] for key in os.environ if key.endswith(("THREADS", "LOG_LEVEL", "DEVICES"))}
    return contender("extraction", name, corpus=str(corpus), out=str(out), core=core, environment=environment)


def ours(*, corpus: str, out: str) -> Callable[[str], dict]:
    from features.corpus.layout import read_corpus
    from features.jobs.process import keep_memory
    from features.shards import manifest
    from features.shards.extraction import plan_shards
    from features.shards.records import write_shard

    keep_memory()  # as features.jobs.workers
    Path(out).mkdir()
    utterances, _ = read_corpus(Path(corpus))
    plans = list(plan_shards(utterances, Path(out), settings=manifest.Settings(), skip_bad=False))

    def extract() -> float:
        from features.corpus.audio import FRAME_STEP_S

        return sum(sum(write_shard(plan).shard.frames) for plan in plans) * FRAME_STEP_S

    return _timed(extract)


def librosa(*, corpus: str, out: str) -> Callable[[str], dict]:
    import librosa
    import numpy as np

    from features.corpus.layout import read_corpus
    from features.jobs.process import import_tensorflow

    tf = import_tensorflow()
    utterances, _ = read_corpus(Path(corpus))

    def extract() -> float:
        seconds = 0.0
        with tf.io.TFRecordWriter(out) as writer:
            for utterance in utterances:
                samples, rate_hz = librosa.load(utterance.audio, sr=16_000)
                mel = librosa.feature.melspectrogram(
                    y=samples, sr=rate_hz, n_fft=512, hop_length=160, power=1.0, n_mels=80, fmin=80, htk=True
                )
                log_mel = np.log(mel + 1e-6)
                mfcc = librosa.feature.mfcc(S=log_mel, n_mfcc=13)
                matrix = np.concatenate([mfcc, log_mel]).T.astype(np.float16)
                fields = {"features": matrix.tobytes(), "sentence": utterance.sentence.encode()}
                feature = {
                    name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                    for name, value in fields.items()
                }
                writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
                seconds += len(samples) / rate_hz
        return seconds

    return _timed(extract)


def decoding(*, corpus: str, out: str) -> Callable[[str], dict]:  # noqa: ARG001 - it writes nothing
    from features.corpus.audio import read_audio
    from features.corpus.layout import read_corpus

    utterances, _ = read_corpus(Path(corpus))
    return _timed(lambda: sum(read_audio(utterance.audio).seconds for utterance in utterances))


def _timed(extract: Callable[[], float]) -> Callable[[str], dict]:
    """Return a function that times `extract`, which returns seconds of audio."""

    def ask(_: str) -> dict:
        started_s = time.monotonic()
        audio_s = extract()
        seconds = time.monotonic() - started_s
        memory = {"memory_mib": peak_memory_mib(), "private_mib": private_memory_mib()}
        return {"seconds": seconds, "audio_s": audio_s, **memory}

    ask("")
    return ask


def peak_memory_mib() -> float:
    """Return this process's largest resident memory in MiB; getrusage would begin with the parent's."""
    return _status_mib("VmHWM")


def private_memory_mib() -> float:
    """Return resident memory that is not a file's, in MiB: workers share the pages of libraries, but not these."""
    return _status_mib("RssAnon")


def _status_mib(name: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024  # Linux counts in KiB


CONTENDERS = {"ours": ours, "librosa": librosa, "decoding": decoding}
