"""Seal a run: python -m benchmark.seal results/RUN -o RUN.tta.zip

One file with all that proves the run, for anybody to check: python -m benchmark.verify RUN.tta.zip. Paths, host and
user names are left out, and audio never goes in (docs/proof.md). Sealing twice gives the same bytes.

Exit status: 0 sealed, 1 sealed but refuted by its own figures, 2 not sealed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark import cli


def main(argv: Sequence[str] | None = None) -> int:
    options = cli.parse(_parser(), argv)
    return cli.command("benchmark.seal", lambda: _seal(options))


def _seal(options: argparse.Namespace) -> int:
    from benchmark.proof.bundle import ENDING, BundleError
    from benchmark.proof.seal import Wish, seal, usual_path
    from benchmark.proof.verify import Ask, verify

    path = options.output or usual_path(options.run)
    if not path.name.endswith(ENDING):
        raise BundleError(f"-o {path}: expected a name that ends in {ENDING}")
    wish = Wish(
        checkpoints=() if options.checkpoints == ["none"] else tuple(options.checkpoints),
        whole=options.whole,
        corpus=options.corpus,
        features=options.features,
        key=options.sign,
        keep_names=options.keep_names,
    )
    sealed = seal(options.run, path, wish)
    steps = ", ".join(map(str, sealed.checkpoints))
    print(f"{path}: {sealed.size / 1e6:.1f} MB" + f", checkpoints after batches {steps}" * bool(steps))
    for name, keys in sealed.left_out.items():
        print(f"left out of {name}: {', '.join(keys)}")
    for remark in sealed.remarks:
        cli.say(f"benchmark.seal: {remark}")
    report = verify(path, Ask())
    cli.say(f"benchmark.seal: {report.sentence}; anybody can check it: python -m benchmark.verify {path}")
    return report.status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.seal", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="results/RUN or results/RUN.csv")
    add("-o", "--output", type=Path, metavar="FILE.tta.zip", help="the file to write; default: beside the journal")
    words = "first, last, numbers of batches, or none; default: first last, of those that are left"
    add("--checkpoints", nargs="+", default=["first", "last"], metavar="N", help=words)
    words = "with the optimiser's state before the last epoch, so that it can be trained again; three times the size"
    add("--whole", action="store_true", help=words)
    words = "the corpus: adds ids, texts and digests of the evaluated recordings, which the features' digest is made of"
    add("--corpus", type=Path, metavar="DIR", help=words)
    add("--features", type=Path, metavar="DIR", help="the run's features, where they are no longer where they were")
    add("--sign", type=Path, metavar="KEY", help="sign with a private key for SSH, by ssh-keygen")
    add("--keep-names", action="store_true", help="seal a run or platform whose name is this host's or user's")
    return parser


if __name__ == "__main__":
    sys.exit(main())
