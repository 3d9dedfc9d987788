"""The documents lead where they say: files, headings, make targets, modules."""

import importlib.util
import re
from pathlib import Path

import pytest

MLPERFS = {"mlperf_logging.compliance_checker", "mlperf_logging.system_desc_checker"}
ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("platforms/*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]


def anchors(text: str) -> set[str]:
    """The anchors that a web page of a document has, one a heading."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(name):
    path = ROOT / name
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), f"{name} links to {target}"
        assert not anchor or anchor in anchors(there.read_text()), f"{name} links to {target}"


@pytest.mark.parametrize("name", NAMES)
def test_every_make_target_and_module_that_is_named_is_there(name):
    text = (ROOT / name).read_text()
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = re.findall(r"^    make ([a-z-]+)|`make ([a-z-]+)", text, re.MULTILINE)
    assert {first or second for first, second in commands} <= targets
    for module in set(re.findall(r"python -m ([a-z_.]+[a-z])", text)) - MLPERFS:
        assert importlib.util.find_spec(module), f"{name} names python -m {module}"


@pytest.mark.parametrize("name", NAMES)
def test_every_file_of_ours_that_is_named_is_there(name):
    text = (ROOT / name).read_text()
    for file in re.findall(r"`((?:benchmark|features|models|platforms|tests|docs)/[\w./]+\.(?:py|md|toml|csv))`", text):
        told = (ROOT / file).is_file() or name == "CHANGELOG.md" or "NAME" in file
        assert told, f"{name} names {file}"


def test_the_index_names_every_document():
    index = (ROOT / "docs" / "README.md").read_text()
    for path in (ROOT / "docs").glob("*.md"):
        assert path.name == "README.md" or f"({path.name})" in index, path.name


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 120


def test_every_file_named_for_who_adds_something_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("## Adding something")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([\w/]+\.(?:py|toml))`", section))
    assert len(named) > 15
    assert not [name for name in named if "NAME" not in name and not (ROOT / name).is_file()]
    folders = {name.partition("NAME")[0].rstrip("/") for name in named if "NAME" in name}
    assert not [name for name in folders if not (ROOT / name).is_dir()]
