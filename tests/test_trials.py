"""The trials can be asked what they do, and the cheap one does it."""

import importlib
from pathlib import Path

import pytest

TRIALS = sorted(path.stem for path in (Path(__file__).parent / "trials").glob("[a-z]*.py") if path.stem != "common")


@pytest.mark.parametrize("name", TRIALS)
def test_a_trial_says_what_question_it_answers_and_where_its_figures_stand(name, capsys):
    trial = importlib.import_module(f"tests.trials.{name}")
    with pytest.raises(SystemExit) as stopped:
        trial.main(["--help"])
    shown = capsys.readouterr().out
    assert stopped.value.code == 0 and f"python -m tests.trials.{name}" in shown
    assert "docs/" in shown and "take" in trial.__doc__ and shown.count("?") >= 1


def test_all_trials_are_listed():
    import tests.trials

    assert all(f"    {name} " in tests.trials.__doc__ for name in TRIALS)


def test_a_bigram_model_spreads_all_probability_over_the_words_that_followed_and_the_rest(tmp_path, capsys):
    from tests.trials.bigram import main

    folder = tmp_path / "train-x" / "1" / "1"
    folder.mkdir(parents=True)
    (folder / "1-1.trans.txt").write_text("1-1-0 A B\n1-1-1 A C\n")
    assert main([str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["\\data\\", "ngram 1=6", "ngram 2=5"]  # a b c </s>, <s>, <unk>; 5 pairs of words
    # P(b | a) = (1 + 2 * 1/7) / (2 + 2): a was followed twice, by two kinds; b is 1 of 6 + 1 words
    assert next(line for line in lines if line.endswith("a b")).startswith("-0.4929")  # log10(.3214)


def test_a_folder_without_transcripts_is_refused_in_a_line(tmp_path, capsys):
    from tests.trials.bigram import main

    assert main([str(tmp_path)]) == 2
    assert "no transcripts; expected a corpus" in capsys.readouterr().err
