"""Offline feature extraction: python -m features CORPUS OUT.

Reads a corpus in LibriSpeech layout, writes shards of frames (of 93 features, or those of another --front-end) and
their manifest.json. Shards that an earlier run finished, with the same settings and the same audio, are kept. The
manifest is removed before the first shard is written and is written again after the last: a manifest always describes
the shards next to it.

On many machines give each a part, with --part 1/16 to 16/16 and a folder that all share, at once or one after another;
then run --merge, which checks that all parts are there and as they were written, and writes the manifest. The shards
equal those of one machine. Or have a Dask cluster distribute the work, with --scheduler.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from features.corpus.roles import role
from features.frames import NAMES, USUAL
from features.jobs import parts
from features.jobs.cluster import LOCAL
from features.jobs.streams import one_line, parse, reported
from features.shards import COMPRESSIONS, DTYPES

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
    parser.add_argument(
        "--front-end",
        choices=NAMES,
        default=USUAL,
        help="what the model takes: 13 MFCC and 80 log-mel bands, or the 80 of Whisper; default: %(default)s",
    )
    parser.add_argument(
        "--dtype", choices=DTYPES, default="float16", help="type of the stored numbers; default: %(default)s"
    )
    parser.add_argument(
        "--compression",
        choices=COMPRESSIONS,
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
    parser.add_argument(
        "--shard-utterances", type=_count, default=256, metavar="N", help="utterances in a shard; default: %(default)s"
    )
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
    several = parser.add_mutually_exclusive_group()
    several.add_argument("--part", type=parts.parse, metavar="I/N", help="write only the I-th of N parts of the shards")
    several.add_argument(
        "--scheduler",
        nargs="?",
        const=LOCAL,
        default="",
        metavar="ADDRESS",
        help="have the workers of a Dask cluster write the shards, tcp://head:8786 (pip install '.[cluster]'; all need "
        "this suite and shared folders); without ADDRESS, those of a cluster on this machine",
    )
    several.add_argument(
        "--merge", action="store_true", help="check that all parts are done and whole, and write their manifest"
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
    """Run the command line; return the exit status: 0 done, 2 bad input, 130 interrupted."""
    options = _arguments(argv)
    from features.corpus.audio import FRAME_STEP_S  # here: --help waits for no audio library
    from features.shards import account, manifest
    from features.shards.extraction import extract_corpus, extract_part, merge

    try:
        settings = manifest.Settings(
            dtype=options.dtype,
            compression=options.compression,
            max_frames=round(options.max_seconds / FRAME_STEP_S),
            shard_utterances=options.shard_utterances,
            front_end=options.front_end,
            snr_db=options.audio_noise,
        )
        asked: dict[str, Any] = {"settings": settings, "skip_bad": options.skip_bad}
        if options.part:
            shards = extract_part(options.corpus, options.out, part=options.part, jobs=options.jobs, **asked)
        elif options.merge:
            result = merge(options.corpus, options.out, **asked)
        else:
            result = extract_corpus(
                options.corpus, options.out, jobs=options.jobs, scheduler=options.scheduler, **asked
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
        if options.part:
            print(f"part {options.part}: {shards} shards are in {options.out}; when all parts are done: --merge")
            return 0
        print("\n".join(one_line(line) for line in account.describe(result)))
        for warning in account.warnings(result, "dev") if "dev" in map(role, result.subsets) else ():
            print(f"WARNING: {one_line(warning)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
