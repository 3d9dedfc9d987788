"""Two runs on the same utterances: which evaluations are taken, what is refused, and what is said."""

import csv
from pathlib import Path

import pytest
from journals import make_run, write

from benchmark import final
from benchmark.judge.against import Side, Wish, contrast, paired_finals
from benchmark.judge.against_summary import against_parts
from benchmark.judge.question import JudgeError
from benchmark.metrics import COUNTS
from benchmark.record.finals import read_finals
from benchmark.run.evaluate.accuracy import edits
from benchmark.tables import plain

SAID = ("one two three four", "five six seven", "eight nine", "ten one", "two two two two", "three")
HEARD = ("one two three four", "five sex seven", "eight nine", "ten", "two two two two", "tree")  # 3 of 16 words
OTHERS = ("one too three for", "five sex seven", "eight nine", "ten one", "too too two two", "three")  # 5 of 16


def put(folder: Path, heard=HEARD, *, said=SAID, ids=None, checkpoint="best", step=10, subset="dev-a",
        decoder="greedy", features="ab", batch=4, texts=True, name=None) -> None:  # fmt: skip
    """Write one evaluation as benchmark.final does; the ids are of six speakers."""
    ids = ids or [f"{n}-1-{n:04d}" for n in range(len(said))]
    place = folder / "final" / (name or f"{checkpoint}-{step}.{subset}.{decoder}.{features}.{batch}.csv")
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("w", newline="") as file:
        header = ("checkpoint", "step", "subset", "decoder", "utterances", "features", "sample", "batch")
        csv.writer(file).writerows([header, (checkpoint, step, subset, decoder, len(said), features, "", batch)])
    with place.with_name(place.name.removesuffix(".csv") + ".utterances.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("utterance", *COUNTS, *("reference", "hypothesis") * texts))
        for each, *pair in zip(ids, said, heard, strict=True):
            counted = edits(*pair)
            writer.writerow((each, *(getattr(counted, name) for name in COUNTS), *pair * texts))


def side(folder: Path, which="best", **identity) -> Side:
    run = make_run([30], **{"features": "ab", "batch": 8, "replicas": 2, "decoder": "greedy", **identity})
    return Side(name=folder.name, run=run.identity, finals=read_finals(folder), which=which)


@pytest.fixture
def two(tmp_path) -> tuple[Path, Path]:
    a, b = tmp_path / "a", tmp_path / "b"
    put(a)
    put(b, OTHERS)
    return a, b


def found(two, wish=None, **identity):
    (pair,) = paired_finals(*(side(folder, **identity) for folder in two), wish or Wish())
    return contrast(pair)


def said_of(two) -> str:
    return " ".join(plain(against_parts([found(two)])).split())


def test_the_figures_are_those_of_the_edits(two):
    """a: six -> sex, one missing, three -> tree; b: two -> too, four -> for, six -> sex, two -> too twice."""
    wer = found(two).figures[0]
    assert wer.rates == (100 * 3 / 16, 100 * 5 / 16) and wer.difference == pytest.approx(-12.5)
    # utterance by utterance: 0-2, 1-1, 0-0, 1-0, 0-2, 1-0
    assert (wer.wins, wer.losses, wer.ties) == (2, 2, 2)
    assert wer.by_utterances[0] < -12.5 < wer.by_utterances[1] and not wer.differs
    assert wer.by_speakers is not None, "six speakers"
    # segments: first utterance two and four, with "three" between: one; 1-1; 1-0; "two two" at the beginning; 1-0
    assert found(two).nist.segments == 5


def test_the_answer_says_whether_they_are_told_apart_and_what_changed(two):
    text = said_of(two)
    assert text.startswith(
        "dev-a: a and b are not told apart: WER 18.75 against 31.25, a difference of -12.50 points ("
    )
    assert "over speakers)" in text and "5 (50 expected)" in text
    assert "utterances in which a makes fewer errors than b, most first - 0-1-0000: 0 and 2 of 4 words wrong" in text
    assert "- reference: two two two two - a: two two two two - b: too too two two" in text
    # two: said 5 times, wrong thrice in b; three is said twice, wrong once in a
    assert "two 5 0 3 -3" in text and "three 2 1 0 +1" in text and "six" not in text.partition("by the change")[2]
    assert "another seed gives another model" in text


def test_many_utterances_of_one_kind_tell_them_apart(tmp_path):
    said, ids = ["one two three"] * 60, [f"{n % 12}-1-{n:04d}" for n in range(60)]
    put(tmp_path / "a", ["one two three"] * 50 + ["one"] * 10, said=said, ids=ids)
    put(tmp_path / "b", ["one two"] * 60, said=said, ids=ids)
    text = said_of((tmp_path / "a", tmp_path / "b"))
    # 20 and 60 of 180 words
    assert "dev-a: a makes fewer errors than b: WER 11.11 against 33.33, 22.22 points fewer (" in text
    both = found((tmp_path / "a", tmp_path / "b"))
    assert both.figures[0].differs and both.nist.segments == 60


def test_of_several_decoders_the_runs_own_is_taken_and_the_others_are_named(two):
    for folder in two:
        put(folder, decoder="dictionary-64")
        put(folder, decoder="dictionary-512")
    put(two[0], decoder="language-model-512")
    for own, taken in (("greedy", "greedy"), ("dictionary-64", "dictionary-64"), ("dictionary-256", "dictionary-512")):
        assert found(two, decoder=own).pair.finals[1].decoder == taken
    assert found(two, Wish(decoders=("dictionary",), beam_widths=(64,))).pair.finals[0].decoder == "dictionary-64"
    assert "by greedy; both were evaluated by dictionary-512, dictionary-64 too: --decoder" in said_of(two)


def test_of_several_features_and_batches_those_that_agree_are_taken_and_then_the_own(two):
    put(two[0], features="cd", name="best-10.dev-a.greedy.on-noisy-cd.csv")
    put(two[0], batch=1)
    assert [each.features for each in found(two).pair.finals] == ["ab", "ab"]
    assert [each.row["batch"] for each in found(two).pair.finals] == ["4", "4"]
    put(two[1], features="cd", name="best-10.dev-a.greedy.on-noisy-cd.csv")
    chosen = found(two, Wish(features="noisy"))
    assert [each.features for each in chosen.pair.finals] == ["cd", "cd"]
    assert "on other features (cd)" in " ".join(chosen.pair.notes)


def test_features_that_differ_are_said(tmp_path):
    put(tmp_path / "a")
    put(tmp_path / "b", OTHERS, features="cd")
    pair = found((tmp_path / "a", tmp_path / "b")).pair
    assert "on features that differ (ab and cd)" in pair.notes


def test_each_subset_that_both_have_is_compared_and_the_others_are_said(two):
    for folder in two:
        put(folder, subset="test-a")
    put(two[0], subset="dev-b")
    pairs = paired_finals(side(two[0]), side(two[1]), Wish())
    assert [pair.finals[0].subset for pair in pairs] == ["dev-a", "test-a"]
    assert "evaluated of one run only, and left out: dev-b" in pairs[0].notes
    assert [p.finals[0].subset for p in paired_finals(side(two[0]), side(two[1]), Wish(subsets=("test",)))] == [
        "test-a"
    ]


def test_a_run_may_be_compared_with_an_earlier_checkpoint_of_its_own(two):
    put(two[0], OTHERS, checkpoint="batch 5", step=5)
    (pair,) = paired_finals(side(two[0]), side(two[0], which="batch 5"), Wish())
    assert pair.names == ("a (best)", "a (batch 5)") and contrast(pair).figures[0].difference == pytest.approx(-12.5)
    with pytest.raises(JudgeError, match="compared with itself; expected two runs"):
        paired_finals(side(two[0]), side(two[0]), Wish())


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"decoder": "dictionary-8"}, "no decoder in common: .*; b by dictionary-8; expected .* b --decoder greedy$"),
        ({"subset": "test-a"}, "by greedy a was evaluated on dev-a, b on test-a; expected the same subset"),
        ({"checkpoint": "last"}, "b: final evaluations of it are last by greedy on dev-a; expected one of best"),
        ({"said": ("four", *SAID[1:])}, "references differ in 1 of 6 utterances, as in 0-1-0000: a 'one two three"),
        ({"said": ("one two three f\u00f6ur", *SAID[1:])}, "expected one alphabet; only one of them has '\u00f6'"),
        ({"ids": [f"x-{n}" for n in range(6)]}, "dev-a: 0 utterances in common .a 6, b 6.; expected the same ones"),
    ],
)  # fmt: skip
def test_what_does_not_compare_is_refused(tmp_path, other, said):
    put(tmp_path / "a")
    put(tmp_path / "b", **other)
    with pytest.raises(JudgeError, match=said):
        found((tmp_path / "a", tmp_path / "b"))


def test_utterances_of_one_run_only_are_left_out_and_counted(tmp_path):
    put(tmp_path / "a")
    put(tmp_path / "b", OTHERS[:5], said=SAID[:5])
    both = found((tmp_path / "a", tmp_path / "b")).both
    assert len(both.ids) == 5 and "1 utterances of dev-a were evaluated of a only, and are left out" in both.notes


def test_the_way_out_names_checkpoint_decoder_and_beam_width(two):
    put(two[0], checkpoint="batch 5", step=5, decoder="dictionary-64")
    with pytest.raises(JudgeError, match="python -m benchmark.final b --decoder dictionary --beam-width 64$"):
        paired_finals(side(two[0], which="batch 5"), side(two[1]), Wish())
    with pytest.raises(JudgeError, match="python -m benchmark.final b/checkpoints/ckpt-7$"):
        paired_finals(side(two[0]), side(two[1], which="batch 7"), Wish())


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ([f"clip{n}" for n in range(6)], "speakers are not known: clip0 is no id like SPEAKER-CHAPTER-NUMBER"),
        ([f"{n % 2}-1-{n}" for n in range(6)], "speakers: 2, too few for an interval over speakers (5 at least)"),
    ],
)
def test_where_speakers_are_not_known_or_few_it_is_said_and_utterances_are_judged_by(tmp_path, ids, said):
    put(tmp_path / "a", ids=ids)
    put(tmp_path / "b", OTHERS, ids=ids)
    result = found((tmp_path / "a", tmp_path / "b"))
    assert said in result.both.notes and result.figures[0].by_speakers is None
    assert result.figures[0].judged_by == result.figures[0].by_utterances


def test_files_without_sentences_are_compared_without_words_and_segments(tmp_path):
    put(tmp_path / "a", texts=False)
    put(tmp_path / "b", OTHERS)
    two = tmp_path / "a", tmp_path / "b"
    result = found(two)
    assert result.nist is None and result.figures[0].difference == pytest.approx(-12.5)
    assert "a file of an older version has no sentences" in said_of(two) and "reference" not in said_of(two)


def test_the_command_compares_two_runs_by_their_folders_or_journals(two, capsys):
    for folder in two:
        write(folder.with_suffix(".csv"), make_run([30], run=folder.name, features="ab", batch=8, replicas=2))
    assert final.main([str(two[0]), "--against", f"{two[1]}.csv"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"{two[0]} and {two[1]} are not told apart: WER 18.75 against 31.25" in text
    assert final.main([str(two[0]), "--against", str(two[1]), "--checkpoints", "last"]) == 2
    err = capsys.readouterr().err
    assert "expected one of last as asked for; make it with: python -m benchmark.final" in err and err.count("\n") == 1
