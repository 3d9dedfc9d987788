"""What a study is, and which points are none of its own: refused when made, fitted apart when shown."""

import json
from dataclasses import replace

import pytest
from studies import make_point, study

from benchmark.saturation import main
from benchmark.study.curves import StudyError
from benchmark.study.grid import Grid
from benchmark.study.judgement import study_parts, worth_table
from benchmark.study.kind import Kind, check, declare, declared, sizeless
from benchmark.study.proxy import proxies
from benchmark.study.results import check_points, observations, without_times
from benchmark.tables import Table, plain

SIZES = (100, 200, 400, 800, 1600)


def said(found, **how) -> str:
    return " ".join(plain(study_parts(found, **how)).split())


def two_commands(folder):
    """`--corpus A --max-epochs 1 --seeds 1`, and `--corpus B --max-epochs 2 --batch 4` with a second seed."""
    folder.mkdir()
    limits = {"batches_per_epoch": 1, "max_seconds": 3600.0}
    for size in SIZES:
        first, second = {"max_epochs": 1, **limits}, {"max_epochs": 2, **limits}
        make_point(
            folder, size, 1, 300 * size**-0.35, protocol="epochs", features="aaaa", plan=first, checkpoint="last"
        )
        other = {"features": "bbbb", "batch": 4, "plan": second, "checkpoint": "last"}
        make_point(folder, size, 2, 900 * size**-0.35 / 10, protocol="epochs", **other)
    return folder


def test_points_of_two_studies_in_one_folder_are_fitted_apart_and_the_fields_and_both_values_are_named(tmp_path):
    found = observations(two_commands(tmp_path / "s"))
    kinds = {f"features of the corpus {digest}" for digest in ("aaaa; batch 16; passes 1", "bbbb; batch 4; passes 2")}
    assert {each.label for each in found} == {f"epochs ({kind})" for kind in kinds}
    text = said(found)
    assert "epochs: points of several studies are here, and fitted apart" in text
    assert "5: features of the corpus aaaa; batch 16; passes 1. 5: features of the corpus bbbb; batch 4" in text
    assert "test WER = 300" in text and "test WER = 90" in text, "300 n^-0.35 and 90 n^-0.35, each by itself"


def test_with_a_study_json_the_points_of_the_study_have_its_name_and_others_what_is_other(tmp_path):
    folder = two_commands(tmp_path / "s")
    declare(folder, "epochs", Kind(features="aaaa", batch=16, max_epochs=1))
    labels = {each.seed: each.label for each in observations(folder)}
    other = "features of the corpus bbbb, not aaaa; batch 4, not 16; passes 2, not 1"
    assert labels == {1: "epochs", 2: f"epochs ({other})"}
    assert f"epochs: 5 points are of another study, and fitted apart. Points and what is other in them: 5: {other}" in (
        said(observations(folder))
    )


def test_a_command_of_another_study_is_refused_before_anything_is_made(tmp_path):
    kind = Kind(features="aaaa", batch=16, code="earlier")
    declare(tmp_path, "target", kind)
    declare(tmp_path, "target", kind)
    declare(tmp_path, "target + noise-0.1", replace(kind, batch=8))  # an arm is a study of its own
    assert declared(tmp_path)["target"] == kind
    with pytest.raises(StudyError, match=r"'target' is another study: batch is 4, expected 16; give the options that"):
        declare(tmp_path, "target", replace(kind, batch=4))
    with pytest.raises(
        StudyError, match="give the options and check out the code that it began with, or another folder"
    ):
        check(tmp_path, "target", replace(kind, code="later"))
    assert declared(tmp_path)["target"] == kind and len(declared(tmp_path)) == 2


def test_points_that_were_made_before_are_asked_too(tmp_path):
    make_point(tmp_path, 100, 1, 40.0)
    found = observations(tmp_path)
    check_points(found, "target", Kind(batch=16, features="ab12"))
    with pytest.raises(
        StudyError, match=r"target-100-seed1 is there, .*: features of the corpus is ab12, expected cd34"
    ):
        check_points(found, "target", Kind(batch=16, features="cd34"))


@pytest.mark.parametrize("field", ["workload", "variant", "recipe", "features", "precision", "code"])
def test_every_column_that_an_error_depends_on_tells_points_apart(tmp_path, field):
    make_point(tmp_path, 100, 1, 40.0)
    make_point(tmp_path, 200, 1, 40.0, **{field: "other"})
    assert len({each.label for each in observations(tmp_path)}) == 2


def test_size_seed_and_machine_tell_no_points_apart(tmp_path):
    make_point(tmp_path, 100, 1, 40.0, variant="100-samples+patience-18+specaugment", devices="CPU")
    make_point(tmp_path, 400, 2, 30.0, variant="patience-5+specaugment", platform="sys1", devices="4 x GPU")
    assert {each.label for each in observations(tmp_path)} == {"target"}
    assert sizeless("100-samples+by-speakers+3000-steps+noise-0.1+12-epochs+patience-3") == "noise-0.1"


def test_the_patience_of_a_size_is_compared_in_batches_of_the_largest(tmp_path):
    """5 passes of 400 / 16 = 25 batches are 125: 18 epochs of 7 batches for 100 utterances hold them, 17 do not."""
    grid = Grid(protocol="target", sizes=(100, 400), seeds=(1,), available=400, batch=16)
    assert grid.limits == {"patience": (125, 125), "longest": (2500, 2500)}
    limits = {"batches_per_epoch": 7, "max_epochs": 358, "max_seconds": 3600.0}
    make_point(tmp_path, 100, 1, 40.0, plan={**limits, "patience": 18})
    make_point(tmp_path, 100, 2, 40.0, plan={**limits, "patience": 17})
    right, wrong = observations(tmp_path)
    ours = Kind(**grid.limits)
    assert right.kind.differing(ours) == []
    (difference,) = wrong.kind.differing(ours)
    assert str(difference) == "patience in batches is 112 to 119, expected 125"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "cannot be used"),
        ('{"schema": 9, "studies": {}}', "schema 9"),
        ('{"schema": 1}', "studies"),
        ("[]", "cannot"),
    ],
)
def test_a_study_json_that_cannot_be_used_is_named(tmp_path, text, expected):
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(StudyError, match=r"study.json: cannot be used .*move it away") as error:
        check(tmp_path, "target", Kind())
    assert expected in str(error.value)


def test_times_of_unlike_machines_are_not_pooled_and_errors_are(tmp_path):
    """Seed 1 on a machine where an epoch takes 100 s, seed 2 on one where it takes 300: no mean of 200."""
    for size in SIZES:
        make_point(tmp_path, size, 1, 300 * size**-0.35, machine="slow", train_s=300.0)
        make_point(tmp_path, size, 2, 310 * size**-0.35, machine="fast", train_s=100.0)
    found = observations(tmp_path)
    (answer, points, *rest) = study_parts(found)
    assert str(answer).startswith("target: Not enough: ")
    row = dict(zip(points.header, points.rows[0], strict=True))
    assert (row["seeds"], row["minutes"], row["samples/s"]) == ("2", "NA", "NA") and " to " in row["test WER"]
    text = " ".join(plain(rest).split())
    assert "runs of 2 unlike machines are here: their errors are pooled, their times, costs and loads are not" in text
    (table,) = (each for each in rest if isinstance(each, Table) and each.title == "target: what runs took, by machine")
    # 30 s of creation, 3 x (300 + 10) s or 3 x (100 + 10) s: 16 and 6 minutes
    assert sorted(row[:4] for row in table.rows[:2]) == [("100", "1", "1", "16.0"), ("100", "2", "1", "6.00")]
    assert without_times(found)[0].run_minutes is None and without_times(found[::2])[0].run_minutes is not None


def test_against_takes_studies_of_one_kind_and_says_what_a_rig_may_differ_in(tmp_path):
    one = observations(study(tmp_path / "one", machine="a"))
    other = [replace(each, kind=replace(each.kind, features="else")) for each in observations(study(tmp_path / "two"))]
    with pytest.raises(
        StudyError, match="study 2 is another one than the first: features of the corpus is else, expected"
    ):
        proxies([one, other])
    mixed = [*one, *(replace(each, protocol="epochs") for each in one)]
    with pytest.raises(StudyError, match="points of protocols epochs, target are in one comparison"):
        proxies([mixed, one])
    assert main(["--show", "-o", str(tmp_path / "one"), "--against", str(tmp_path / "none")]) == 2


def test_an_arm_with_another_model_or_batch_is_worth_nothing_that_could_be_said(tmp_path):
    study(tmp_path)
    make_point(tmp_path, 800, 1, 30.0, arm="noise-0.1", batch=4, variant="noise-0.1")
    (row,) = worth_table(observations(tmp_path), "wer").rows
    assert row[4:] == ("NA", "NA", "NA", "not compared: batch is 4, expected 16")


def test_the_study_says_what_it_is_when_it_begins_and_a_second_command_is_refused(
    tmp_path, tone_corpus, capsys, monkeypatch
):
    monkeypatch.setattr("benchmark.saturation.make", lambda *_, **__: 0)
    usual = [
        "--corpus",
        str(tone_corpus),
        "--data",
        str(tmp_path / "data"),
        "-o",
        str(tmp_path / "s"),
        "--sizes",
        "6",
        "12",
    ]
    assert main([*usual, "--protocol", "epochs", "--max-epochs", "1"]) == 0
    kind = json.loads((tmp_path / "s" / "study.json").read_text())["studies"]["epochs"]
    assert (kind["max_epochs"], kind["batch"], kind["decoder"], kind["workload"]) == (1, 16, "greedy", "speech")
    assert kind["tested"] == kind["features"] and "dev" in kind["test"] and kind["model"]["name"] == "deepspeech"
    capsys.readouterr()
    assert main([*usual, "-o", str(tmp_path / "m"), "--workload", "mini", "--protocol", "epochs"]) == 0
    other = json.loads((tmp_path / "m" / "study.json").read_text())["studies"]["epochs"]
    assert (other["workload"], other["variant"]) == ("mini", "own-corpus")  # as the runs of its points say
    capsys.readouterr()
    assert main([*usual, "--protocol", "epochs", "--max-epochs", "2", "--batch", "4"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert (
        "'epochs' is another study: batch is 4, expected 16; passes is 2, expected 1; give the options that it" in error
    )
