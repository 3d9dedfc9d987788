"""Runs that are trained for a few seconds, for tests of what can be done with a model."""

from pathlib import Path

from commands import command

TINY = """
name = "tiny"
description = "a model that learns nothing, in seconds"
corpus = "folder"
max_epochs = 1
max_minutes = 5
[model]
filters = 32
units = 32
layers = 2
{more}
[targets]
wer = [1.0]
"""


def trained(folder: Path, corpus: Path, *, recipe: str = "modern", more: str = "", options: tuple = ()) -> Path:
    """One epoch of a tiny model on a corpus; the run's folder, named after the recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tiny.toml").write_text(TINY.format(more=more))
    asked = (
        "--workload",
        "./tiny.toml",
        "--recipe",
        recipe,
        "--corpus",
        corpus,
        "--name",
        recipe,
        "--seed",
        1,
        "--batch",
        8,
    )
    done = command(folder, "benchmark", *asked, *options)
    assert done.returncode == 0, done.stderr
    return folder / "results" / recipe
