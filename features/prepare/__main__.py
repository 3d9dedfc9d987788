"""Make a corpus in the suite's layout from speech as people have it: python -m features.prepare SOURCE OUT.

SOURCE is one of these, found out by looking at it (--form says which where it could be several):

    table       a CSV or TSV with a path and a text in each row: Common Voice, LJSpeech, a spreadsheet
    manifest    a JSON manifest of NeMo (one entry a line) or SpeechBrain
    kaldi       a folder with wav.scp and text, or of such folders
    arrow       a folder that Hugging Face datasets has saved, or Parquet files
    beside      audio with a .txt file beside each

Texts are read first, and turned into words of a-z and apostrophes by a normaliser that has a name and a version; what
it changed is counted and shown. FLAC and WAV files are copied; MP3, Ogg and Opus are decoded once to FLAC, and M4A if
ffmpeg is there; lengths are checked. Where the source names no subsets, speakers are shared out among train, dev and
test. --dry-run shows all of that and writes nothing. The same command goes on after a break.

Then: make bench WORKLOAD=speech CORPUS=OUT
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from features.jobs.streams import parse, reported

LISTED = 10
HOUR = 3600


def _share(text: str) -> float:
    with suppress(ValueError):
        if 0 <= (share := float(text)) < 1:
            return share
    raise argparse.ArgumentTypeError(f"{text!r}; expected a share from 0 to 1, such as 0.1")


def _count(text: str) -> int:
    with suppress(ValueError):
        if 0 < (count := int(text)) < 1 << 31:
            return count
    raise argparse.ArgumentTypeError(f"{text!r}; expected a whole number from 1")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m features.prepare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("source", type=Path, metavar="SOURCE", help="a file or folder, as above")
    add("out", type=Path, metavar="OUT", help="the corpus's folder; new, or begun by the same command")
    add(
        "--form",
        choices=("table", "manifest", "kaldi", "arrow", "beside"),
        help="how SOURCE is laid out; default: what it looks like",
    )
    add("--audio", type=Path, metavar="DIR", help="where the recordings are; default: beside the table or manifest")
    for thing in ("audio", "text", "speaker", "subset"):
        add(f"--{thing}-column", metavar="NAME", help=f"the column of the {thing}; default: one of the usual names")
    for thing in ("duration", "id"):
        add(f"--{thing}-column", metavar="NAME", help=argparse.SUPPRESS)
    words = "digits: named as wrong, or written as English words by num2words; default: %(default)s"
    add("--numbers", choices=("refuse", "words"), default="refuse", help=words)
    add("--accents", choices=("fold", "refuse"), default="fold", help="é: e, or named as wrong; default: %(default)s")
    words = "share of the hours that becomes dev, where there is no dev subset; default: %(default)s"
    add("--dev", type=_share, default=0.1, metavar="SHARE", help=words)
    add("--test", type=_share, default=0.1, metavar="SHARE", help="likewise for test; 0: none; default: %(default)s")
    add("--seed", type=int, default=1, metavar="N", help="seed of the draw that makes the shares; default: %(default)s")
    add("--skip-bad", action="store_true", help="leave out what cannot be used, and list it")
    add("--dry-run", action="store_true", help="read the texts, say what would be done, write nothing")
    add("--jobs", type=_count, metavar="N", help="processes; default: all cores")
    return parse(parser, argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 done, 2 bad input, 130 interrupted."""
    options = _arguments(argv)
    from features.jobs.streams import one_line
    from features.prepare.spoken import SourceError

    try:
        lines = _prepare(options)
    except SourceError as error:
        for line in str(error).split("\n"):
            print(f"features.prepare: {one_line(line)}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"features.prepare: {one_line(str(error))}", file=sys.stderr)
        return 2
    except OSError as error:
        found = f"{error.filename or options.out}: {error.strerror}" if error.strerror else str(error)
        print(f"features.prepare: {one_line(found)}; then the same command goes on", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("features.prepare: interrupted; the same command goes on with what is missing", file=sys.stderr)
        return 130
    with reported("features.prepare"):
        print("\n".join(lines))
    return 0


def _prepare(options: argparse.Namespace) -> list[str]:
    from features.prepare.corpus import NAME, Split, planned, prepared
    from features.prepare.normaliser import Normaliser
    from features.prepare.sources import WORDS, recognised
    from features.prepare.tables import Columns
    from platforms.machine import usable_cores

    def say(line: str) -> None:
        print(line, file=sys.stderr)

    named = {thing: getattr(options, f"{thing}_column") for thing in Columns.__dataclass_fields__}
    source = recognised(options.source, form=options.form, columns=Columns(**named), audio=options.audio)
    say(f"{options.source}: {WORDS[source.form]}: {', '.join(each.name for each in source.files[:6])}")
    if source.unused:
        why = "no text stands beside them" if source.form == "beside" else "others stand for them"
        more = f" and {len(source.unused) - 6:,} more" if len(source.unused) > 6 else ""
        say(f"not read, as {why}: {', '.join(each.name for each in source.unused[:6])}{more}")
    normaliser = Normaliser(numbers=options.numbers, accents=options.accents)
    sharing = Split(dev=options.dev, test=options.test, seed=options.seed)
    plan = planned(source, normaliser=normaliser, sharing=sharing, skip_bad=options.skip_bad)
    lines = [f"normaliser {normaliser.label}:", *normaliser.account.lines()]
    if plan.shared_speakers:
        lines.append(
            "WARNING: who speaks is not known, or too few do: dev and test may have voices of training, and error "
            "rates are then lower than for new ones; name a column with --speaker-column"
        )
    if options.dry_run:
        counts = ", ".join(f"{name} {len(those):,}" for name, those in plan.subsets.items())
        return [*lines, f"utterances: {counts}; {len(plan.problems)} left out", *plan.problems[:LISTED]]
    report = prepared(plan, options.out, jobs=options.jobs or usable_cores(), skip_bad=options.skip_bad, say=say)
    total = sum(report.utterances.values())
    lines += [
        f"{name}: {report.utterances[name]:,} utterances, {report.seconds[name] / HOUR:.2f} hours"
        for name in plan.subsets
    ]
    if report.narrow:
        lines.append(
            f"WARNING: {report.narrow:,} of {total:,} recordings have nothing above 5 kHz: speech of a telephone, or "
            f"resampled from 8 kHz; the upper bands of a model's features are empty there"
        )
    if report.clipped:
        lines.append(f"{report.clipped:,} recordings were over full scale when decoded, and were cut there")
    if report.problems:
        lines += [f"{len(report.problems):,} left out:", *(f"  {each}" for each in report.problems[:LISTED])]
        if len(report.problems) > LISTED:
            lines.append(f"  ... and {len(report.problems) - LISTED:,} more")
    return [*lines, f"{options.out / NAME} says so too. Next: make bench WORKLOAD=speech CORPUS={options.out}"]


if __name__ == "__main__":
    sys.exit(main())
