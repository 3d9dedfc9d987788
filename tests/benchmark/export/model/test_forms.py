"""What is refused before a model is made: one line, exit status 2."""

from types import SimpleNamespace

import pytest
from journals import make_run, write

from benchmark.export.__main__ import main


@pytest.fixture
def fails(capsys):
    def of(*argv) -> str:
        assert main([str(each) for each in argv]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("benchmark.export: ") and err.count("\n") == 1, err
        return err

    return of


def test_a_run_without_its_folder_is_told_where_it_would_be(fails, tmp_path):
    path = write(tmp_path / "r1.csv", make_run([90.0]))
    assert "no run is there" in fails(path, "--to", "savedmodel", "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_without_checkpoints_is_told_what_to_copy(fails, tmp_path, monkeypatch):
    """Before TensorFlow is loaded, so that the answer comes at once."""
    path = write(tmp_path / "r1.csv", make_run([90.0]))
    (tmp_path / "r1").mkdir()
    monkeypatch.setattr("benchmark.run.prepare.trained.load_trained", lambda path: SimpleNamespace(folder=path))
    assert "checkpoints: no checkpoints; expected those of a run" in fails(
        path, "--to", "savedmodel", "-o", tmp_path / "out"
    )


def test_a_model_needs_a_folder_and_options_that_mean_something_to_it(fails, tmp_path):
    (tmp_path / "r1.csv").write_text("")
    assert "is a folder; expected a name for it" in fails(tmp_path / "r1.csv", "--to", "savedmodel")
    assert "--level means nothing to savedmodel, which takes --checkpoint" in fails(
        "x.csv", "--to", "savedmodel", "--level", 5
    )
    assert "--checkpoint means nothing to json" in fails("x.csv", "--to", "json", "--checkpoint", "last")
    (tmp_path / "out").write_text("")
    assert "is there already" in fails(tmp_path / "r1.csv", "--to", "savedmodel", "-o", tmp_path / "out")


def test_a_model_that_nobody_made_portable_is_refused(monkeypatch):
    from dataclasses import replace

    from models import table
    from models.portable import PortableError

    config = table.config_of({})
    monkeypatch.setitem(table.MODELS, config.name, replace(table.MODELS[config.name], portable=""))
    with pytest.raises(PortableError, match="does not say what becomes of it outside of the suite"):
        table.portable_of(config)
