"""Write the gallery's folder of pages, whole or not at all.

    build(results, ingested, Path("site"), Wish(terms=Terms(...)))

    index.html            all results, with filters          workload/NAME.html   rigs and results of a workload
    rig/NAME.html         the results of a rig               result/ID.html       one result, and how to check it
    report/NAME.html      the report's figures of a workload bundles/ID.tta.zip   what proves a result

A folder that is there already is replaced only if a gallery made it: a file says so.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmark.judge.terms import Terms
from benchmark.proof.bundle import ENDING
from benchmark.proof.site.curves import drawing
from benchmark.proof.site.entries import Result
from benchmark.proof.site.tables import Contents, contents, slug
from benchmark.proof.verdict import LEVELS
from benchmark.record import Run

MARK = "made-by-speech-tta-gallery.txt"
LEVEL_WORDS = {
    "bytes": "the file's parts belong together",
    "figures": "figures follow from what was recorded",
    "weights": "the weights were evaluated again",
    "replay": "an epoch was trained again",
}


class GalleryError(ValueError):
    """A folder that the pages cannot be written into."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """How a gallery is made: its title, the terms of cost, where bundles are if not copied, with reports or not."""

    title: str = "Time to accuracy, verified"
    terms: Terms = field(default_factory=Terms)
    bundles_at: str = ""
    reports: bool = True


def build(results: Sequence[Result], ingested: Sequence[Run], out: Path, wish: Wish) -> int:
    """Write all pages; return how many. Raises GalleryError where another folder is at `out`."""
    if out.exists() and not (out / MARK).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise GalleryError(f"-o {out}: is there already, and no gallery; expected a new or an empty folder")
    if wish.bundles_at:
        _check_bundles([result.path for result in results], out)
    beside = out.with_name(f"{out.name}.{os.getpid()}.tmp")
    try:
        beside.mkdir(parents=True)
        count = _write(contents(results, ingested, wish.terms), results, beside, wish)
        shutil.rmtree(out, ignore_errors=True)
        beside.replace(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return count


def _check_bundles(paths: Sequence[Path], out: Path) -> None:
    """Check bundles that are linked to elsewhere, by their names. Raises GalleryError."""
    if inside := [path for path in paths if path.resolve().is_relative_to(out.resolve())]:
        raise GalleryError(f"{inside[0]}: is in -o {out}, which is made anew; move it, or leave --bundles-at out")
    names = [path.name for path in paths]
    if twice := [path for path in paths if names.count(path.name) > 1]:
        raise GalleryError(f"{twice[0]} and {twice[1]}: one name, and so one link under --bundles-at; rename one")


def _write(found: Contents, results: Sequence[Result], out: Path, wish: Wish) -> int:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # here: --help waits for no templates

    environment = Environment(
        loader=PackageLoader("benchmark.proof.site", "."), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["slug"] = slug
    template = environment.get_template("page.html")
    (out / MARK).write_text("This folder is made anew by python -m benchmark.gallery; keep nothing else in it.\n")
    for name in ("site.css", "site.js"):
        (out / name).write_text(resources.files("benchmark.proof.site").joinpath(name).read_text(encoding="utf-8"))
    made = datetime.now(UTC).date().isoformat()
    places = {result.id: _place(result, out, wish) for result in results}
    common = {"found": found, "wish": wish, "made": made, "levels": LEVELS, "words": LEVEL_WORDS, "places": places}

    def page(place: str, kind: str, title: str, **more: Any) -> None:
        path = out / place
        path.parent.mkdir(exist_ok=True)
        up = "../" * place.count("/")
        path.write_text(template.render(kind=kind, title=title, up=up, **common, **more), encoding="utf-8")

    page("index.html", "index", wish.title)
    for workload in found.workloads:
        if wish.reports:
            _report(workload, out / "report" / f"{workload.id}.html", wish)
        page(f"workload/{workload.id}.html", "workload", workload.name, workload=workload)
    for rig, rows in found.rigs.items():
        page(f"rig/{slug(rig)}.html", "rig", rig, rig=rig, rows=rows)
    for row in found.rows:
        title = f"{row.result.run.identity.run} on {row.result.rig}"
        page(f"result/{row.result.id}.html", "result", title, row=row, curve=drawing(row.result.run))
    return 1 + len(found.workloads) * (1 + wish.reports) + len(found.rigs) + len(found.rows)


def _place(result: Result, out: Path, wish: Wish) -> str:
    """Return where a result's bundle is, from the folder of pages; it is copied there if nowhere else."""
    if wish.bundles_at:
        return f"{wish.bundles_at.rstrip('/')}/{quote(result.path.name)}"
    name = f"{result.id}{ENDING}"
    (out / "bundles").mkdir(exist_ok=True)
    shutil.copyfile(result.path, out / "bundles" / name)
    return f"bundles/{name}"


def _report(workload: Any, path: Path, wish: Wish) -> None:
    """Write the report's page of a workload's runs: its figures, warnings and provenance."""
    from benchmark.report.document import write_report

    path.parent.mkdir(exist_ok=True)
    write_report([row.result.run for row in workload.rows], path, terms=wish.terms)
