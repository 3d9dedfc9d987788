"""The house stays easy to see: the table of rooms in CONTRIBUTING.md is held, and no file imports in a circle."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("features", "models", "platforms", "benchmark")
FILES_OF_THE_HOUSE = ("benchmark.metrics", "benchmark.workloads", "benchmark.tables")
"""Rooms of one file, each named in the table."""

LISTED_ELSEWHERE = {
    "platforms",
    "benchmark.workloads",
    "benchmark.export",
    "benchmark.ingest",
    "benchmark.study",
    "benchmark.speed",
}
"""Rooms whose docstring tells more than a list of its modules."""

WITHOUT_TENSORFLOW = (
    "benchmark.metrics",
    "benchmark.record",
    "benchmark.judge",
    "benchmark.report",
    "benchmark.export.__main__",
    "benchmark.ingest.__main__",
    "benchmark.speed.__main__",
    "benchmark.rig.detect",
    "benchmark.rig.doctor",
    "benchmark.proof.seal",
    "benchmark.proof.verify",
    "benchmark.proof.child",
    "benchmark.proof.site.pages",
    "benchmark.seal",
    "benchmark.verify",
    "benchmark.rig.estimate.__main__",
    "benchmark.rig.tune.__main__",
    "benchmark.rig.tune.tries",
    "benchmark.rig.estimate.child",
    "benchmark.gallery",
    "benchmark.tta",
    "benchmark.compare",
    "benchmark.price",
    "benchmark.choose",
    "benchmark.saturation",
    "benchmark.reference",
    "benchmark.study",
    "benchmark.final",
    "benchmark.transcribe",
    "benchmark.run.transcribe.windows",
    "benchmark.run.transcribe.formats",
    "benchmark.__main__",
    "benchmark.workloads",
    "benchmark.tables",
    "benchmark.run.session",
    "benchmark.run.loop",
    "benchmark.run.evaluate.decoding",
    "benchmark.run.evaluate.final",
    "benchmark.run.watch.sampler",
    "features.prepare.__main__",
    "features.shards.extraction",
    "models.ctc.decoders",
    "models.optimisers",
    "platforms",
    "platforms.__main__",
)


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def modules() -> dict[str, Path]:
    """Dotted name -> file, of everything that is installed."""
    found = {module_name(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}
    assert len(found) > 90
    return found


@cache
def tree_of(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_text())


@cache
def imports(name: str, *, also_typing: bool = True, inside_functions: bool = True) -> frozenset[str]:
    """Modules of ours that a module imports."""
    tree = tree_of(name)
    nodes = ast.walk(tree) if inside_functions else top_level(tree)
    skipped = set() if also_typing else {id(node) for block in typing_blocks(tree) for node in ast.walk(block)}
    found: set[str] = set()
    for node in nodes:
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            dotted = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {one if one in modules() else node.module for one in dotted}
    return frozenset(one for one in found if one in modules()) - {name}


def typing_blocks(tree: ast.Module) -> list[ast.If]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]


def top_level(tree: ast.Module):
    """What runs when the module is imported: not what stands inside functions."""
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


@cache
def table() -> dict[str, set[str]]:
    """Room -> rooms it may import, from CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| `([\w./]+)` \| [^|]+ \| ([^|]+) \|$", text, re.MULTILINE)
    return {room.rstrip("/").replace("/", "."): set(re.findall(r"`([\w.]+)`", allowed)) for room, allowed in rows}


def is_door(name: str) -> bool:
    return name in ("benchmark.cli", "benchmark.console") or name.endswith("__main__") or name in (
        "benchmark.tta", "benchmark.compare", "benchmark.price", "benchmark.final", "benchmark.saturation",
        "benchmark.reference", "benchmark.transcribe", "benchmark.choose", "benchmark.seal", "benchmark.verify",
        "benchmark.gallery",
        "features.download",
    )  # fmt: skip


def room_of(name: str) -> str:
    """The longest room of the table that a module stands in."""
    rooms = [room for room in table() if name == room or name.startswith(f"{room}.")]
    return max(rooms, key=len, default=name)


def test_the_table_names_every_room():
    for name in modules():
        if not is_door(name) and name != "benchmark":
            assert room_of(name) in table(), f"{name} stands in no room of CONTRIBUTING.md's table"
    assert set(FILES_OF_THE_HOUSE) <= set(table())


@pytest.mark.parametrize("room", sorted(table()))
def test_a_room_imports_what_the_table_allows(room):
    allowed = table()[room]
    for name in modules():
        if room_of(name) != room or is_door(name):
            continue
        for other in imports(name):
            fine = room_of(other) == room or any(other == one or other.startswith(f"{one}.") for one in allowed)
            assert fine, f"{name} imports {other}; {room} may import {', '.join(sorted(allowed)) or 'nothing'}"


def test_nobody_imports_a_door_but_doors_their_frame():
    for name in modules():
        for other in imports(name):
            assert not is_door(other) or (other == "benchmark.cli" and is_door(name)), f"{name} imports {other}"


def test_no_file_imports_itself_in_a_circle():
    graph = {name: imports(name, also_typing=False, inside_functions=False) for name in modules()}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"a circle: {' -> '.join([*above[above.index(name) :], name])}"
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*above, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("name", WITHOUT_TENSORFLOW)
def test_what_needs_no_tensorflow_does_not_import_it(name):
    check = f"import sys, {name}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT).returncode == 0


def test_nothing_outside_models_knows_a_model_by_name():
    """Workloads choose one: their files do, and no code."""
    from models.table import MODELS

    for name in modules():
        if name.split(".")[0] == "models":
            continue
        known = {node.value for node in ast.walk(tree_of(name)) if isinstance(node, ast.Constant)} & set(MODELS)
        of_models = {one for one in imports(name) if one.startswith(tuple(f"models.{model}" for model in MODELS))}
        assert not known | of_models, f"{name} knows {', '.join(known | of_models)}"


def test_every_module_teaches_itself():
    for name in modules():
        assert ast.get_docstring(tree_of(name)), f"{name} has no docstring"


def test_a_room_lists_its_modules_truly():
    rooms = {name for name in table() if modules()[name].stem == "__init__"} - LISTED_ELSEWHERE
    for name in sorted(rooms):
        path = modules()[name]
        listed = set(re.findall(r"\b(\w+)\.py\b", ast.get_docstring(tree_of(name)) or ""))
        there = {one.stem for one in path.parent.glob("*.py")} - {"__init__"}
        assert listed - {"__main__"} == there - {"__main__"}, name


def test_nothing_of_one_machine_is_in_the_tree():
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if files.returncode:
        pytest.skip("not a git checkout")
    for name in files.stdout.split():
        if name.endswith((".py", ".md", ".toml", ".cfg", ".txt", "Makefile")) and (ROOT / name).is_file():
            text = (ROOT / name).read_text()
            for part in ("home", "root", "work"):
                assert f"/{part}/" not in text, f"{name} holds a path of one machine"


def test_files_that_take_long_begin_first_by_names_that_are_there():
    from conftest import LONGEST_FIRST

    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert all(names.count(name) == 1 for name in LONGEST_FIRST)
