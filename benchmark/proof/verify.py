"""Verify a bundle, level by level, as far as is asked and possible.

    report = verify(Path("a.tta.zip"), Ask())           # Report; nothing is written that stays
    report.status, report.sentence                      # 0 verified, 1 refuted, 2 cannot

*bytes* and *figures* take milliseconds and neither the corpus nor TensorFlow. *weights* and *replay* are computed by a
child process (`benchmark.proof.again`), given the corpus.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmark.proof import signature
from benchmark.proof.at_bytes import check_parts
from benchmark.proof.at_figures import check_figures
from benchmark.proof.bundle import SEAL, SIGNATURE, Bundle, BundleError, opened
from benchmark.proof.manifest import check_files, read_seal
from benchmark.proof.signature import SignatureError
from benchmark.proof.unpacked import Place, unpacked
from benchmark.proof.verdict import BYTES, FIGURES, LEVELS, REPLAY, WEIGHTS, Refuted, Report
from benchmark.record import FactsError, Run


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What is asked of a bundle: up to which level, with which corpus, whose signature, which epochs are replayed.

    `corpus` is a folder of recordings or of features; `epochs` () are those that can be.
    """

    level: str = FIGURES
    corpus: Path | None = None
    epochs: tuple[int, ...] = ()
    signers: Path | None = None
    say: Callable[[str], None] = lambda _: None


def verify(path: Path, ask: Ask) -> Report:
    """Verify one bundle. A file that is none, hostile or cut off is a report too, which says so."""
    report = Report(bundle=path.name, asked=ask.level)
    try:
        with opened(path) as bundle:
            _verify(bundle, ask, report)
    except Refuted as error:
        report.refuted_at, report.difference = error.level, str(error)
    except (BundleError, SignatureError, OSError) as error:
        report.cannot = str(error)
    except ModuleNotFoundError as error:  # a continuous integration that installs a few packages may lack one
        package = (error.name or "a package").partition(".")[0]
        report.cannot = f"{package} is not installed here; expected it: pip install {package}"
    return report


def _verify(bundle: Bundle, ask: Ask, report: Report) -> None:
    content = read_seal(bundle)
    report.seal = bundle.sha256(SEAL)
    check_files(bundle, content)
    report.checked(BYTES, f"{len(content['files'])} files are those of {SEAL}, and the chain over the journal's rows")
    _signature(bundle, ask, report)
    with unpacked(bundle, content) as place:
        try:
            report.run = described(place.run)
            heard = check_parts(place.run, report)
            report.level = BYTES
            if ask.level != BYTES:
                check_figures(place.run, heard, content["claims"], report)
                report.level = FIGURES
            _again(place, ask, report)
        except Refuted as error:
            raise Refuted(error.level, place.told(str(error))) from None
        except FactsError as error:
            raise Refuted(BYTES, place.told(str(error))) from None


def _signature(bundle: Bundle, ask: Ask, report: Report) -> None:
    if SIGNATURE not in bundle:
        if ask.signers:
            raise Refuted(BYTES, f"it is not signed; expected a signature of somebody in {ask.signers}")
        report.unchecked(BYTES, "who sealed it: it is not signed")
        return
    if not ask.signers and not signature.is_there():
        report.unchecked(BYTES, f"the signature: {signature.PROGRAM} is not here")
        return
    report.signer = signature.whose(bundle.bytes(SEAL), bundle.bytes(SIGNATURE), signers=ask.signers)
    known = "" if ask.signers else ", whose it is is not known (--signers FILE)"
    report.checked(BYTES, f"signed by {report.signer}{known}")


def _again(place: Place, ask: Ask, report: Report) -> None:
    """Compute the weights' figures and epochs again, as far as is asked."""
    if LEVELS.index(ask.level) < LEVELS.index(WEIGHTS):
        if ask.level == FIGURES:
            report.unchecked(WEIGHTS, "not asked for (--corpus DIR)")
            report.unchecked(REPLAY, "not asked for (--corpus DIR --replay)")
        return
    from benchmark.proof.child import check_weights, replay

    check_weights(place, ask.corpus, report, say=ask.say)
    report.level = WEIGHTS
    if ask.level == REPLAY:
        replay(place, ask.corpus, ask.epochs, report, say=ask.say)
        report.level = REPLAY


def described(run: Run) -> str:
    """Name a run for people: "cpu, mini, paper, seed 1, code 0.1.0+141f96c2"."""
    about = run.identity
    emulated = ", emulated" * about.emulated
    return f"{about.platform}, {about.workload_label}, {about.recipe}, seed {about.seed}{emulated}, code {about.code}"
