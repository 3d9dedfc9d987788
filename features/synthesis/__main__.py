"""python -m features.synthesis OUT: write the embedded corpus."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from features.jobs import parts
from features.jobs.streams import parse, reported
from features.synthesis import SENTENCES


def main(argv: list[str] | None = None) -> int:
    options = _parse(argv)
    from concurrent.futures.process import BrokenProcessPool

    import soundfile  # here: --help waits for no audio library

    from features.synthesis.corpus import speak_part, synthesise

    try:
        asked = {name: getattr(options, name) for name in ("sentences", "hours", "seed", "jobs")}
        if options.part:
            spoken = speak_part(options.out, part=options.part, **asked)
            print(f"part {options.part}: {spoken:,} utterances; when all are done, the same command without --part")
            return 0
        corpus = synthesise(options.out, **asked)
    except (ValueError, OSError, soundfile.SoundFileError) as error:
        return _complain(str(error), status=2)
    except BrokenProcessPool:
        return _complain("a worker process was killed (out of memory?); the same command goes on", status=1)
    except KeyboardInterrupt:
        return _complain("interrupted; the same command goes on where this one stopped", status=130)
    counts = ", ".join(f"{count:,} {subset}" for subset, count in corpus.utterances.items())
    with reported("features.synthesis"):
        print(f"{options.out}: {corpus.seconds / 3600:.2f} h, {counts} utterances")
    return 0


def _complain(message: str, *, status: int) -> int:
    print(f"features.synthesis: {message}", file=sys.stderr)
    return status


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m features.synthesis",
        description="Write the embedded corpus, spoken by espeak-ng, as FLAC in LibriSpeech's layout.",
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="the corpus's folder")
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--sentences", type=int, default=SENTENCES, metavar="N", help="number of sentences (default: %(default)s)"
    )
    size.add_argument("--hours", type=float, metavar="H", help="hours of audio, instead of --sentences")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the random draws (default: %(default)s)"
    )
    parser.add_argument(
        "--part",
        type=parts.parse,
        metavar="I/N",
        help="speak only the I-th of N parts, on one of many machines that share OUT; then run it without",
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="worker processes (default: one for each core)")
    return parse(parser, argv)


if __name__ == "__main__":
    sys.exit(main())
