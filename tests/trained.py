"""Runs that are trained for a few seconds, for tests of what can be done with a model."""

from pathlib import Path

from commands import command

TINY = """
name = "tiny"
description = "a model that learns nothing, in seconds"
corpus = "folder"
max_epochs = 1
max_minutes = 5
{more}
[targets]
wer = [1.0]
"""
MODELS = {
    "deepspeech": "[model]\nfilters = 32\nunits = 32\nlayers = 2",
    "whisper": 'normalisation = "none"\npadding = "fixed"\nmax_frames = 200\n[model]\nname = "whisper"',
}


def tiny(folder: Path, *, model: str = "deepspeech") -> Path:
    """Write the workload of a tiny model in a folder; returns its file. It learns one epoch, unless more are asked."""
    path = folder / "tiny.toml"
    path.write_text(TINY.format(more=MODELS[model]))
    return path


def trained(
    folder: Path, corpus: Path, data: Path, *, recipe: str, model: str = "deepspeech", options: tuple = ()
) -> Path:
    """One epoch of a tiny model on a corpus, whose features are in `data`; the run's folder, named after the recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = ("--workload", tiny(folder, model=model), "--recipe", recipe, "--corpus", corpus, "--name", recipe)
    done = command(folder, "benchmark", *asked, "--data", data, "--seed", 1, "--batch", 8, *options)
    assert done.returncode == 0, done.stderr
    return folder / "results" / recipe
