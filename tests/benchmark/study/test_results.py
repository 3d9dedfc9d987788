"""What the runs of a study came to, and what is said of them."""

import csv
from dataclasses import replace

import pytest
from studies import make_point, study
from tones import write_chapter

from benchmark.saturation import main
from benchmark.study.curves import StudyError
from benchmark.study.finals import of_role
from benchmark.study.judgement import gap_parts, study_parts, times_parts
from benchmark.study.results import observations, points
from benchmark.tables import plain


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """The observations of a study of five sizes and three seeds, and what is said of them. Read only."""
    found = observations(study(tmp_path_factory.mktemp("usual") / "s"))
    return found, study_parts(found)


def test_an_observation_has_the_figures_of_its_run(tmp_path):
    make_point(tmp_path, 500, 3, 40.0)
    (found,) = observations(tmp_path)
    assert (found.protocol, found.samples, found.seed, found.hours) == ("target", 500, 3, 0.5)
    # 3 epochs of 1,000 utterances: 6 passes; 300 s of training, 360 s of wall time
    assert (found.seen, found.epochs, found.whole) == (3000, 6.0, True)
    assert (found.run_minutes, found.train_minutes, found.samples_per_s) == (6.0, 5.0, 10.0)
    assert found.test["wer"] == 40 and found.dev["cer"] == 20.5 and found.gap("wer") == 35.0
    assert points([found], "wer")[0].error == 40


def test_runs_that_are_not_over_or_were_not_evaluated_are_no_observations(tmp_path):
    make_point(tmp_path, 500, 3, 40.0)
    (tmp_path / "target-500-seed3" / "final.csv").unlink()
    assert observations(tmp_path) == []
    make_point(tmp_path, 600, 3, 40.0)
    (tmp_path / "target-600-seed3" / "end.json").unlink()
    assert observations(tmp_path) == []


def test_the_answer_has_the_curve_the_prediction_the_rules_and_the_gap(usual):
    text = plain(usual[1])
    flat = " ".join(text.split())
    assert "test WER = 300" in flat and "n^-0.35" in flat and "AICc weights: power" in flat
    assert "from sizes up to 400 alone, every prediction held: 800: predicted" in flat
    assert "not reached" in flat and "a straight line does as well" in flat
    assert "Neither is evidence of saturation" in flat
    assert "the bound sqrt(C / n) says n^-0.50" in flat


def test_the_smallest_size_that_reaches_a_level_and_the_one_that_reaches_it_soonest(tmp_path):
    """Errors are 59.86 at 100 utterances, 46.97 at 200, ..., in all epochs: e = 3, so that epoch 3 reaches them."""
    (*_, words) = times_parts(observations(study(tmp_path)), "target", "wer")
    assert words.startswith("target: WER 65: 100 are enough, 100 reach it soonest; WER 50: 200 are enough, 200 reach")
    (table, _) = times_parts(observations(tmp_path), "target", "wer")
    assert table.header[1:] == ("WER 65", "WER 50", "WER 40", "WER 30", "WER 25")
    assert [row[1:] for row in table.rows][:2] == [("5.00", "NA", "NA", "NA", "NA"), ("5.00", "5.00", "NA", "NA", "NA")]


@pytest.mark.parametrize("text", ["", "subset,wer\n", "subset,utterances,wer,cer,wer_mean\ntest-x,5,many,1,1\n", "\0"])
def test_a_final_evaluation_that_cannot_be_read_is_named(tmp_path, text):
    make_point(tmp_path, 500, 3, 40.0)
    (tmp_path / "target-500-seed3" / "final.csv").write_text(text)
    try:
        assert observations(tmp_path) == [], "no rows: not evaluated"
    except StudyError as error:
        assert "final.csv: cannot be read as a final evaluation; make it again: python -m" in str(error)
        assert text.count("\n") > 1 or text == "\0"


FINAL_HEADER = "checkpoint,decoder,subset,utterances,wer,cer,wer_mean"


@pytest.mark.parametrize(
    ("rows", "found", "asked"),
    [
        (
            ["best,dictionary-512,test-x,100,147.9,1,1"],
            "best by dictionary-512 on test-x",
            "best by greedy on dev-x, test-x",
        ),
        (["last,greedy,test-x,100,50,1,1"], "last by greedy on test-x", "best by greedy on dev-x, test-x"),
        (["best,greedy,dev-x,100,50,1,1"], "best by greedy on dev-x", "best by greedy on test-x"),
    ],
)
def test_a_final_evaluation_of_something_else_is_named_with_the_command_that_makes_it(tmp_path, rows, found, asked):
    """By hand: --decoder dictionary, --checkpoints last, --subsets dev. None of them is the study's figure."""
    make_point(tmp_path, 500, 3, 40.0)
    make_point(tmp_path, 200, 1, 50.0)
    folder, said = tmp_path / "target-500-seed3", []
    (folder / "final.csv").write_text("\n".join([FINAL_HEADER, *rows]) + "\n")
    assert [each.name for each in observations(tmp_path, say=said.append)] == ["target-200-seed1"]
    command = (
        f"python -m benchmark.final {folder} --checkpoints best --decoder greedy --train-sample 200 --train-seed 3"
    )
    left = f"expected {asked}: the point is left out; make it with: {command}"
    assert said == [f"{folder / 'final.csv'}: has {found}; {left}"]


def test_of_a_final_evaluation_with_several_decoders_the_greedy_one_is_read(tmp_path):
    make_point(tmp_path, 500, 3, 40.0)
    path = tmp_path / "target-500-seed3" / "final.csv"
    path.write_text(path.read_text() + "best,dictionary-512,test-x,100,147.9,1,1\nlast,greedy,test-x,100,60,1,1\n")
    (found,) = observations(tmp_path)
    assert found.test["wer"] == 40.0
    path.write_text(path.read_text().replace("best,greedy", "best and last,greedy"))
    assert observations(tmp_path)[0].test["wer"] == 40.0, "the best checkpoint may be the last one"


def put(folder, name, **row):
    """One more final evaluation, in a file of its own."""
    row = {"checkpoint": "best", "decoder": "greedy", "utterances": 100, "cer": 1, "wer_mean": 1, **row}
    (folder / "final").mkdir(exist_ok=True)
    (folder / "final" / f"{name}.csv").write_text(f"{','.join(row)}\n{','.join(map(str, row.values()))}\n")


def test_a_point_is_read_from_files_of_its_own_on_the_features_of_its_run_or_of_the_study(tmp_path):
    """Its journal has features ab; an arm that learns another corpus is tested on others than its own."""
    for name, arm, wer in (("target-500-seed3", "", 40), ("target-500-seed3+on-x", "on-x", 20)):
        make_point(tmp_path, 500, 3, 99.0, arm=arm, features="ab")
        (tmp_path / name / "final.csv").unlink()
        for subset in ("dev-x", "test-x", "train"):
            put(
                tmp_path / name,
                f"{subset}-own",
                subset=subset,
                wer=40,
                features="ab",
                sample="500-seed3" * (subset == "train"),
            )
            put(
                tmp_path / name,
                f"{subset}-other",
                subset=subset,
                wer=20,
                features="cd",
                sample="500-seed3" * (subset == "train"),
            )
        put(tmp_path / name, "train-7", subset="train", wer=77, features="ab", sample="7-seed3", step=1)
        (found,) = [each for each in observations(tmp_path) if each.arm == arm]
        assert (found.test["wer"], found.train["wer"]) == (wer, wer)


def test_points_have_the_counts_of_their_test_utterances_where_all_runs_have_the_same(tmp_path):
    rows = ["best,test-x,greedy,u2,1,4,2,20", "best,test-x,greedy,u1,0,5,1,25", "best,dev-x,greedy,u0,9,9,9,9"]
    for size in (100, 200):
        make_point(tmp_path, size, 1, 40.0)
        path = tmp_path / f"target-{size}-seed1" / "final-utterances.csv"
        header = "checkpoint,subset,decoder,utterance,word_edits,words,character_edits,characters"
        path.write_text("\n".join([header, *rows]) + "\n")
    found = observations(tmp_path)
    assert [point.counts.tolist() for point in points(found, "wer")] == 2 * [[[0, 5], [1, 4]]]
    assert points(found, "cer")[0].counts.tolist() == [[1, 25], [2, 20]]
    path.write_text("\n".join([header, rows[0]]) + "\n")
    assert [point.counts for point in points(observations(tmp_path), "wer")] == [None, None]


def test_of_one_seed_a_size_no_spread_is_claimed(tmp_path):
    for size in (100, 200, 400, 800):
        make_point(tmp_path, size, 1, 300 * size**-0.35)
    flat = " ".join(plain(study_parts(observations(tmp_path))).split())
    assert "No size has two seeds: how much seeds vary is not known." in flat
    assert "one seed a size: what is noise is not known" in flat
    assert "varies by 0.0%" not in flat and "tell 0.0%" not in flat


def test_seeds_with_one_error_are_repetitions_that_do_not_differ(tmp_path):
    for size in (100, 200, 400, 800):
        for seed in (1, 2, 3):
            make_point(tmp_path, size, seed, 300 * size**-0.35)
    flat = " ".join(plain(study_parts(observations(tmp_path))).split())
    assert "All seeds of one size have one error: how much seeds vary is not known." in flat
    assert "all seeds have one error: what is noise is not known" in flat and "seeds do not differ" in flat
    assert "no repetitions" not in flat and "No size has two seeds" not in flat


def test_an_error_that_grows_with_the_data_has_a_positive_power(tmp_path):
    for size in (100, 200, 400, 800):
        make_point(tmp_path, size, 1, 10 * size**0.1)
    flat = " ".join(plain(study_parts(observations(tmp_path))).split())
    assert "test WER = 10 n^0.1 percent" in flat and "n^--" not in flat


def test_the_metric_asked_for_is_that_of_all_columns(tmp_path):
    """CER is half the WER here: 40 and 20 on test, 41 and 20.5 on dev, 5 and 2.5 on training data."""
    make_point(tmp_path, 500, 3, 40.0)
    for metric, columns in (("wer", ("41.00", "5.00", "35.00")), ("cer", ("20.50", "2.50", "17.50"))):
        table = study_parts(observations(tmp_path), metric=metric)[1]
        row, name = dict(zip(table.header, table.rows[0], strict=True)), metric.upper()
        assert (row[f"dev {name}"], row[f"train {name}"], row[f"gap of {name}"]) == columns


def test_the_folder_of_a_study_that_is_not_there_is_refused(tmp_path, capsys):
    assert main(["--show", "-o", str(tmp_path / "none")]) == 2
    assert f"{tmp_path / 'none'}: no such folder; expected that of a study" in capsys.readouterr().err


def test_it_is_said_that_dev_stands_in_for_a_test_set(tmp_path, usual):
    assert "dev stands in" not in plain(usual[1])
    found = observations(study(tmp_path / "without", test=False))
    assert found[0].error("wer") == found[0].dev["wer"]
    assert "target: runs without a test set are here: dev stands in" in " ".join(plain(study_parts(found)).split())


def test_points_that_did_not_read_their_data_are_named_and_not_fitted(tmp_path):
    """1,000 utterances an epoch: of 5,000 and 8,000 one epoch reads a part."""
    study(tmp_path)
    for size in (5000, 8000):
        make_point(tmp_path, size, 1, 20.0, epochs=1)
    flat = " ".join(plain(study_parts(observations(tmp_path))).split())
    assert "runs of 5,000, 8,000 utterances ended before they had read all of them" in flat
    assert "2 points were not fitted" in flat


def test_runs_that_their_time_limit_ended_are_named_and_not_fitted(tmp_path):
    """3 epochs of 110 s after 30 s of creation: 360 s are beyond a limit of 5 minutes, within one of 7."""
    limits = {"batches_per_epoch": 10, "max_epochs": 100}
    for size in (100, 200, 400, 800):
        minutes = 5 if size == 800 else 7
        make_point(tmp_path, size, 1, 300 * size**-0.35, plan={**limits, "max_seconds": 60 * minutes})
    found = sorted((replace(each, apart="") for each in observations(tmp_path)), key=lambda each: each.samples)
    assert [each.cut for each in found] == [False, False, False, True]
    flat = " ".join(plain(study_parts(found)).split())
    assert "runs of 800 utterances were ended by their time limit, --max-minutes, and not by the protocol" in flat
    assert "1 point was not fitted: of 800: a run did not read all of its data, or ended by its time limit" in flat


def test_an_arm_is_worth_the_size_at_which_plain_runs_have_its_error(tmp_path):
    """Plain runs have 300 n^-0.35: the error of an arm at 800 that plain runs have at 400 is worth 400, half of it."""
    study(tmp_path)
    make_point(tmp_path, 800, 1, 300 * 400**-0.35, arm="noise-0.1")
    make_point(tmp_path, 800, 1, 300 * 3200**-0.35, arm="specaugment")
    found = observations(tmp_path)
    assert {each.label for each in found} == {"target", "target + noise-0.1", "target + specaugment"}
    (*_, worth) = study_parts(found)
    rows = {row[0]: row[4:] for row in worth.rows}
    utterances, hours, factor, remark = rows["target + noise-0.1"]
    assert int(utterances) == pytest.approx(400, rel=0.02) and (factor, remark) == ("x 0.50", "")
    assert float(hours) == pytest.approx(0.4, rel=0.02)
    assert int(rows["target + specaugment"][0].replace(",", "")) == pytest.approx(3200, rel=0.02)
    assert rows["target + specaugment"][3] == "beyond the plain runs' 100 to 1,600"
    assert not any(each.arm for each in found if each.label == "target"), "arms do not enter the plain curve"


def test_published_figures_stand_beside_and_are_fitted_to_nothing(usual):
    (*ours, theirs) = study_parts(usual[0], published=True)
    assert plain(ours) == plain(usual[1])
    assert ("test WER", "5000", "0.5300", "fraction", "eq. 1") in theirs.rows and "not to be compared" in theirs.title


def test_without_an_arm_nothing_is_said_of_worth(usual):
    assert "worth clean" not in plain(usual[1])


def test_the_command_shows_a_study_and_writes_csv(tmp_path, capsys):
    study(tmp_path / "s")
    assert main(["--show", "-o", str(tmp_path / "s"), "--format", "csv"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert len(rows) == 15 and rows[0]["samples"] == "100" and float(rows[0]["test_wer"]) > 50


def test_figures_are_drawn_where_matplotlib_is(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    study(tmp_path / "s")
    assert main(["--show", "-o", str(tmp_path / "s"), "--figures", str(tmp_path / "f")]) == 0
    names = {path.name for path in (tmp_path / "f").iterdir()}
    assert {"target-curve.png", "target-curve.svg", "target-bars-wer.png", "target-gap.png"} <= names


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--part", "5/4"], "expected a part such as 2/4"),
        (["--sizes", "0"], "expected a number of utterances"),
        (["--protocol", "luck"], "expected one of"),
    ],
)
def test_wrong_arguments_are_named(arguments, said, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert said in capsys.readouterr().err


def test_subsets_weigh_by_their_words_and_not_by_their_utterances():
    """9 utterances of 1 word, all wrong, beside 1 of 91 words, all right: 9 of 100 words, though 90% by utterances."""
    finals = [
        {"subset": "test-a", "utterances": "9", "wer": "100", "cer": "100", "wer_mean": "100"},
        {"subset": "test-b", "utterances": "1", "wer": "0", "cer": "0", "wer_mean": "0"},
    ]
    one = {"word_edits": "1", "words": "1", "character_edits": "4", "characters": "4"}
    other = {"word_edits": "0", "words": "91", "character_edits": "0", "characters": "364"}
    counts = [{"subset": "test-a", **one}] * 9 + [{"subset": "test-b", **other}]
    assert of_role(finals, counts, "test") == {"wer": 9.0, "cer": 9.0, "wer_mean": 90.0}
    assert of_role(finals, [], "test")["wer"] == 90.0
    assert of_role(finals, counts, "dev") == {}


def test_an_arms_commands_have_what_is_other_and_its_points_have_other_names(tmp_path, tone_corpus, capsys):
    other = write_chapter(tmp_path / "other", "train-b", 7, ["one"] * 30).parents[2]
    write_chapter(other, "dev-b", 8, ["two"])
    usual = ["--corpus", str(tone_corpus), "--data", str(tmp_path / "data"), "--seeds", "1", "-o", str(tmp_path / "s")]
    options = ["--train-on", str(other), "--audio-noise", "0", "--segment", "1.2", "--select", "speakers"]
    assert main([*usual, *options, "--sizes", "6", "12", "--dry-run"]) == 0
    said = capsys.readouterr().err
    assert f"--corpus {other}" in said and "--audio-noise 0" in said and "--segment 1.2" in said
    # mini: 11 x 93 x 192 + 5 x 4 x 192 x (192 + 192) + 192 x 30 = 1,676,736 weights; 2 points x 5 x 12 bytes of each
    assert "take at most 0.2 GiB" in said
    assert "study of 12 utterances" in said, "of 30 tones of 1.00 to 1.52 s, two of five are short enough"
    assert "--name target-6-seed1+speakers+on-other+snr-0dB+segments-1.2s" in said and "--select speakers" in said
    assert main([*usual, "--segment", "0.9", "--dry-run"]) == 2
    too_long = "no training utterance is at most 0.9 s long, the shortest is 1.00 s; expected some: give --segment 1 or"
    assert too_long in capsys.readouterr().err
    assert not (tmp_path / "data").exists() and not (tmp_path / "s").exists(), "a dry run writes nothing"


def test_a_gap_that_grows_with_the_data_is_said_to_grow(tmp_path):
    """Runs that have hardly begun to learn are as bad on their own data: 20, 28, 40 points at 100, 200, 400."""
    for size, train in ((100, 60.0), (200, 52.0), (400, 40.0)):
        make_point(tmp_path, size, 1, 80.0, train=train)
    (words,) = gap_parts(observations(tmp_path), "target", "wer")
    assert "grows as n^0.50 " in words
