"""A gallery of sealed runs: python -m benchmark.gallery BUNDLES... -o site/

Static pages that ask nothing of a network: one a workload, one a rig, one a result. Bundles are verified at *figures*
and judged anew; one that does not verify is refused, and nothing is written. --check verifies and writes nothing: for
the continuous integration of a folder to which results are submitted (docs/proof.md).

Exit status: 0 done, 1 a bundle is refused, 2 bad input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark import cli


def main(argv: Sequence[str] | None = None) -> int:
    options = cli.parse(_parser(), argv)
    return cli.command("benchmark.gallery", lambda: _gallery(options))


def _gallery(options: argparse.Namespace) -> int:
    from benchmark.proof.site.entries import Refusal, gathered, read_verdicts
    from benchmark.proof.site.pages import GalleryError, Wish, build

    wish = Wish(
        title=options.title, terms=cli.terms_of(options), bundles_at=options.bundles_at, reports=not options.no_reports
    )
    ingested = cli.read_runs(options.ingested) if options.ingested else []
    for run in ingested:
        if run.facts is None or run.facts.log is None:
            raise GalleryError(f"{run.source}: no log of others; expected runs of python -m benchmark.ingest: seal it")
    verdicts = read_verdicts(options.verdicts)
    try:
        with gathered(options.bundles, verdicts) as results:
            if options.check:
                print(f"{len(results)} bundles are verified at figures")
                return 0
            count = build(results, ingested, options.output, wish)
    except Refusal as error:
        for line in str(error).splitlines():
            cli.say(f"benchmark.gallery: refused: {line}")
        return 1
    print(f"{options.output / 'index.html'}: {len(results)} results, {count} pages")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.gallery", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("bundles", nargs="+", type=Path, metavar="BUNDLE", help="sealed runs (*.tta.zip), or folders of them")
    add(
        "-o",
        "--output",
        type=Path,
        default=Path("site"),
        metavar="DIR",
        help="the folder to write; default: %(default)s",
    )
    add("--check", action="store_true", help="verify the bundles, and write nothing")
    words = "verdicts of python -m benchmark.verify --format json, for levels that take the corpus; repeatable"
    add("--verdicts", type=Path, action="append", default=[], metavar="FILE", help=words)
    words = "runs of python -m benchmark.ingest, for a table of what nobody can verify"
    add("--ingested", nargs="+", default=[], metavar="RUN.csv", help=words)
    add("--title", default="Time to accuracy, verified", help="title of the pages; default: %(default)s")
    words = "where the bundles are to be had, by their names; default: copied into DIR/bundles"
    add("--bundles-at", default="", metavar="URL", help=words)
    add("--no-reports", action="store_true", help="without the report's page of each workload, 5 MB each")
    cli.add_terms(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
