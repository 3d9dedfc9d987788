"""What a trained run hears: python -m benchmark.transcribe results/RUN FILE...

    python -m benchmark.transcribe results/RUN call.m4a
    python -m benchmark.transcribe results/RUN talk.flac --format srt > talk.srt
    python -m benchmark.transcribe results/RUN recordings/ --format json -o heard/
    arecord -f S16_LE -r 16000 -d 5 -t wav | python -m benchmark.transcribe results/RUN -

Any audio file that libsndfile reads (WAV, FLAC, MP3, Ogg, Opus), and others if ffmpeg is there; folders with such
files; or - for standard input. Of any length: long recordings are heard in windows that overlap. Words are in the run's
alphabet, a-z and apostrophes. The run's decoder is used, with the words that are kept in the run: no corpus is needed.
JSON has the times of pieces, and those of words where the model gives letters. Nothing of the run is changed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark import cli
from benchmark.run.prepare.language_models import PUBLISHED_MODELS, language_model
from benchmark.run.prepare.trained import WHICH, FinalError, load_trained
from models.ctc import decoders
from models.ctc.decoders import SPOKEN
from platforms.machine import usable_cores

if TYPE_CHECKING:
    from benchmark.run.transcribe.listener import Listener
    from benchmark.run.transcribe.pieces import Heard

FORMATS = ("txt", "json", "srt")
STANDARD_INPUT = "-"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 done, 2 bad input, 130 interrupted."""
    options = cli.parse(_parser(), argv)
    return cli.command("benchmark.transcribe", lambda: _transcribe(options))


def _transcribe(options: argparse.Namespace) -> None:
    run = load_trained(options.run)
    names = list(recordings(options.files))
    if options.format == "srt" and len(names) > 1 and not options.output:
        raise FinalError(f"{len(names)} recordings as subtitles; expected one, or a folder for them: -o DIR")
    if options.output:
        _check_names(names)
    model = options.decoder in SPOKEN or run.workload.decoder in SPOKEN and not options.decoder
    more = {}
    if model or options.language_model:
        more["language_model"] = language_model(options.language_model, options.data)
    from benchmark.run.transcribe.listener import Listener  # loads TensorFlow

    listener = Listener(run, checkpoint=options.checkpoint)
    decoder = listener.decoder(options.decoder, beam_width=options.beam_width, **more)
    about = {
        "run": str(run.folder), "checkpoint": listener.checkpoint, "step": listener.step, "decoder": decoder.label,
    }  # fmt: skip
    with listener.opened(decoder, jobs=options.decode_jobs):
        heard = []
        for name in names:
            heard.append(each := _heard(listener, name))
            if options.output:
                _write([each], options, about)
    if not options.output:
        from benchmark.run.transcribe.formats import FORMATS

        print(FORMATS[options.format](heard, about))


def recordings(files: Sequence[str]) -> Iterator[str]:
    """Yield the recordings that are meant: files as they are, and what a folder holds, in order.

    Raises:
        FinalError: one is not there, or a folder holds none.
    """
    from features.corpus.layout import AUDIO_SUFFIXES, OTHER_AUDIO  # here: --help waits for no library

    for name in files:
        path = Path(name)
        if name != STANDARD_INPUT and path.is_dir():
            suffixes = (*AUDIO_SUFFIXES, *OTHER_AUDIO)
            found = sorted(each for each in path.rglob("*") if each.suffix.lower() in suffixes and each.is_file())
            if not found:
                raise FinalError(f"{path}: no recordings; expected files such as .wav, .flac, .mp3 or .m4a")
            yield from map(str, found)
        elif name == STANDARD_INPUT or path.exists():
            yield name
        else:
            raise FinalError(f"{path}: not there; expected a recording, a folder of them, or - for standard input")


def _heard(listener: Listener, name: str) -> Heard:
    from benchmark.run.transcribe.pieces import Heard
    from features.corpus.anyformat import decoded, speech

    content: Path | bytes = sys.stdin.buffer.read() if name == STANDARD_INPUT else Path(name)
    began = time.monotonic()
    samples = speech(*decoded(content, name="standard input" if name == STANDARD_INPUT else name))
    pieces = listener.heard(samples)
    took_s, seconds = time.monotonic() - began, len(samples) / 16_000
    cli.say(f"{name}: {seconds:.1f} s of audio in {took_s:.1f} s ({took_s / seconds:.3f} s a second)")
    return Heard(name=name, seconds=round(seconds, 2), took_s=round(took_s, 2), pieces=pieces)


def _place(name: str, output: Path, suffix: str) -> Path:
    return output / f"{'standard-input' if name == STANDARD_INPUT else Path(name).stem}.{suffix}"


def _check_names(names: Sequence[str]) -> None:
    places = [_place(name, Path(), "") for name in names]
    if twice := [name for name, place in zip(names, places, strict=True) if places.count(place) > 1]:
        raise FinalError(f"{twice[0]} and {twice[1]} would be written to one file; give them in two calls")


def _write(heard: Sequence[Heard], options: argparse.Namespace, about: dict[str, object]) -> None:
    from benchmark.run.transcribe.formats import FORMATS
    from features.jobs.files import write_whole

    options.output.mkdir(parents=True, exist_ok=True)
    path = _place(heard[0].name, options.output, options.format)
    write_whole(path, FORMATS[options.format](heard, about) + "\n")
    cli.say(f"{path}: {len(heard[0].text.split())} words")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.transcribe", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="results/RUN, results/RUN.csv or results/RUN/checkpoints/ckpt-N")
    add("files", nargs="+", metavar="FILE", help="recordings, folders of them, or - for standard input")
    add("--format", choices=FORMATS, default="txt", help="how what was heard is written; default: %(default)s")
    add("-o", "--output", type=Path, metavar="DIR", help="a file there for each recording; default: standard output")
    add(
        "--checkpoint",
        choices=WHICH,
        default="best",
        help="which to listen with: best, of the epoch with the lowest WER (default), or last",
    )
    add("--decoder", choices=decoders.NAMES, help="how sentences are made; default: the run's decoder")
    add("--beam-width", type=int, metavar="N", help="sentences that a beam search keeps; default: the run's")
    published = ", ".join(PUBLISHED_MODELS)
    add("--language-model", metavar="FILE", help=f"ARPA or KenLM binary file, or a LibriSpeech model: {published}")
    add("--data", type=Path, default=Path("data"), metavar="DIR", help="where downloads are; default: %(default)s")
    add("--decode-jobs", type=int, default=usable_cores(), metavar="N", help="decoding workers; default: one per core")
    return parser


if __name__ == "__main__":
    sys.exit(main())
