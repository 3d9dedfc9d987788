"""Offline feature extraction: python -m features CORPUS OUT.

Reads a corpus in LibriSpeech layout, writes shards of 93-dimensional frames and their manifest.json. Shards that
an earlier run finished, with the same settings and the same audio, are kept. The manifest is taken away before the
first shard is written and comes back after the last: where there is one, it is of the shards beside it.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path

from features import account, manifest
from features.corpus import one_line, role
from features.extract import FRAME_STEP_S
from features.extraction import extract_corpus
from features.streams import parse, reported

AGAIN = "make room or mend that, then start the same command again: finished shards are kept"


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m features", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "corpus",
        type=Path,
        metavar="CORPUS",
        help="folder in LibriSpeech layout: SUBSET/SPEAKER/CHAPTER/*.trans.txt with .flac or .wav",
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the shards and manifest.json")
    parser.add_argument("--dtype", choices=manifest.DTYPES, default="float16", help="default: %(default)s")
    parser.add_argument(
        "--compression",
        choices=manifest.COMPRESSIONS,
        default="none",
        help="gzip makes shards about a quarter smaller and reading many times slower; default: %(default)s",
    )
    parser.add_argument(
        "--max-seconds",
        type=_seconds,
        default=16.7,
        metavar="S",
        help="leave out longer utterances, as the paper does; default: %(default)s",
    )
    parser.add_argument("--shard-utterances", type=_count, default=256, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--skip-bad",
        action="store_true",
        help="leave out utterances with broken audio or transcript, count and list them",
    )
    parser.add_argument(
        "--audio-noise",
        type=float,
        metavar="DB",
        help="mix speech-shaped noise into the training subsets, at DB decibels of signal to noise; default: none",
    )
    parser.add_argument("--jobs", type=_count, metavar="N", help="worker processes; default: all cores")
    return parse(parser, argv)


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if 0.11 <= (seconds := float(text)) <= 3600:
            return seconds
    raise argparse.ArgumentTypeError(f"{text!r}; expected seconds from 0.11 to 3600")


def _count(text: str) -> int:
    with suppress(ValueError):
        if 0 < (count := int(text)) < 1 << 31:
            return count
    raise argparse.ArgumentTypeError(f"{text!r}; expected a whole number from 1")


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0 done, 2 bad input, 130 interrupted."""
    options = _arguments(argv)
    try:
        settings = manifest.Settings(
            dtype=options.dtype,
            compression=options.compression,
            max_frames=round(options.max_seconds / FRAME_STEP_S),
            shard_utterances=options.shard_utterances,
            snr_db=options.audio_noise,
        )
        result = extract_corpus(
            options.corpus, options.out, settings=settings, skip_bad=options.skip_bad, jobs=options.jobs
        )
    except ValueError as error:
        print(f"features: {one_line(error)}", file=sys.stderr)
        return 2
    except OSError as error:
        found = f"{error.filename or options.out}: {error.strerror}" if error.strerror else str(error)
        print(f"features: {one_line(found)}; {AGAIN}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("features: interrupted; the same command goes on with the shards that are missing", file=sys.stderr)
        return 130
    with reported("features"):
        print("\n".join(one_line(line) for line in account.describe(result)))
        for warning in account.warnings(result, "dev") if "dev" in map(role, result.subsets) else ():
            print(f"WARNING: {one_line(warning)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
