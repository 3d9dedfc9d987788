"""Plug-ins: a package that is installed beside the suite, trained and judged; and what cannot be used."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from forked import Forked

ROOT = Path(__file__).resolve().parents[2]


def package(folder: Path, name: str, points: dict[str, str], code: str = "", version: str = "1.0") -> None:
    """What pip leaves of a package: its code, and its entry points in a dist-info."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(code)
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text("".join(f"[{group}]\n{point}\n" for group, point in points.items()))


def said(folder: Path, code: str) -> str:
    """What code prints in a process that has a folder of packages; the last line of an error."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={"PYTHONPATH": f"{ROOT}:{folder}", "PATH": ""},
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    return (done.stdout or done.stderr).strip().splitlines()[-1]


FIND = """
from platforms.plugins import Named, used
table = Named("speech_tta.models", {"own": 1}, int)
"""


def test_a_name_is_looked_for_when_it_is_not_the_suites(tmp_path):
    package(tmp_path, "theirs", {"speech_tta.models": "other = theirs:VALUE"}, "VALUE = 7\n")
    own = "import sys; print(table['own'], used(), list(table), 'importlib.metadata' in sys.modules)"
    assert said(tmp_path, FIND + own) == "1 () ['own'] False"
    others = "print(table['other'], 'other' in table, table.get('none'), list(table))"
    assert said(tmp_path, FIND + others) == "7 True None ['own']"
    mark = said(tmp_path, FIND + "table['other']; (found,) = used('models'); print(found.mark, found.name)")
    assert mark.startswith("theirs-1.0-") and mark.endswith(" other")
    assert "KeyError: 'none'" in said(tmp_path, FIND + "table['none']")


def test_the_digest_follows_the_code(tmp_path):
    package(tmp_path, "theirs", {"speech_tta.models": "other = theirs:VALUE"}, "VALUE = 7\n")
    ask = FIND + "table['other']; print(used()[0].digest)"
    before = said(tmp_path, ask)
    assert said(tmp_path, ask) == before
    (tmp_path / "theirs" / "__init__.py").write_text("VALUE = 8\n")
    assert said(tmp_path, ask) != before


@pytest.mark.parametrize(
    ("packages", "why"),
    [
        ({"one": ("other = one:VALUE", "VALUE = 1"), "two": ("other = two:VALUE", "VALUE = 2")},
         "one and two both bring 'other' to speech_tta.models; expected one"),
        ({"one": ("own = one:VALUE", "VALUE = 1")}, "one brings 'own' to speech_tta.models, which is the suite's own"),
        ({"one": ("other = one:VALUE", "import nowhere")}, "one:VALUE cannot be loaded: ModuleNotFoundError"),
        ({"one": ("other = one:NONE", "")}, "one:NONE cannot be loaded: AttributeError"),
    ],
)  # fmt: skip
def test_clashes_and_what_cannot_be_loaded_are_said(tmp_path, packages, why):
    for name, (point, code) in packages.items():
        package(tmp_path, name, {"speech_tta.models": point}, code)
    assert why in said(tmp_path, FIND + "table['other']")


def test_a_recipe_of_another_model_is_none_of_this_one(tmp_path):
    package(tmp_path, "theirs", {"speech_tta.recipes": "quick = theirs:QUICK"},
            "from models.deepspeech.config import Recipe\nQUICK = Recipe(forget_bias=2.0)\n")  # fmt: skip
    table = "from models.deepspeech.config import Config; print(Config(recipe='quick').rules.forget_bias)"
    assert said(tmp_path, table) == "2.0"
    whisper = "from models.whisper.config import Config; Config(recipe='quick')"
    assert "expected a recipe of fine-tune" in said(tmp_path, whisper)


@pytest.mark.slow
def test_the_example_is_installed_trained_and_judged(tmp_path, tone_corpus):
    """docs/plugin: by pip, as its reader does."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    source = tmp_path / "source"
    subprocess.run(["cp", "-r", str(ROOT / "docs" / "plugin"), str(source)], check=True)
    subprocess.run([*pip, "--target", str(tmp_path / "site"), str(source)], check=True, timeout=300)
    env = {"PYTHONPATH": f"{ROOT}:{tmp_path / 'site'}", "PATH": "", "CUDA_VISIBLE_DEVICES": ""}

    def command(module: str, *arguments: object, site: bool = True) -> subprocess.CompletedProcess:
        """The first is a new process, as its reader's; the others are forked from one without the package."""
        words, own = [*map(str, arguments)], env if site else {**env, "PYTHONPATH": str(ROOT)}
        if module == "benchmark":
            first = [sys.executable, "-m", module, *words]
            return subprocess.run(first, cwd=tmp_path, env=own, capture_output=True, text=True, timeout=600)
        process = Forked(module, words, cwd=tmp_path, env=own)
        try:
            out, err = process.communicate(timeout=600)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    done = command("benchmark", "--workload", "tinyconv", "--corpus", tone_corpus, "--max-epochs", 2, "--name", "t")
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "results" / "t" / "run.json").read_text())
    model, workload = sorted(facts["plugins"], key=lambda each: each["group"])
    assert [model[each] for each in ("group", "name", "version")] == ["models", "tinyconv", "0.1"]
    assert workload["group"] == "workloads"
    assert facts["workload"]["variant"] == f"tinyconv-0.1-{model['digest'][:8]}"
    judged = command("benchmark.tta", "results/t.csv", "--format", "json")
    assert judged.returncode == 0 and json.loads(judged.stdout)[0]["workload"].startswith("tinyconv+tinyconv-0.1-")
    exported = command("benchmark.export", "results/t.csv", "--to", "epochs", "-o", "epochs.tsv")
    assert exported.returncode == 0 and len((tmp_path / "epochs.tsv").read_text().splitlines()) == 2
    heard = command("benchmark.transcribe", "results/t", tone_corpus / "dev-tones", "--checkpoint", "last")
    assert heard.returncode == 0, heard.stderr
    without = command("benchmark.tta", "results/t.csv", site=False)
    assert without.returncode == 0, without.stderr  # a judge needs no model
    refused = command("benchmark.transcribe", "results/t", tone_corpus / "dev-tones", site=False)
    assert refused.returncode == 2 and "no model 'tinyconv'" in refused.stderr
    (tmp_path / "site" / "tinyconv" / "__init__.py").open("a").write("# another\n")
    other = command("benchmark.final", "results/t", "--checkpoints", "last")
    assert other.returncode == 2 and "with which the run was trained: install that again" in other.stderr
