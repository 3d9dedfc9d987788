"""The reference of convergence: what a row holds, where an error curve crosses a level, and what is refused."""

import math
import zlib
from dataclasses import replace

import pytest
from journals import make_row, make_run
from references import honest, reference_file, run_to

from benchmark.judge.question import JudgeError
from benchmark.judge.reference import (
    COLUMNS,
    PACKAGED,
    ConvergenceError,
    Crossing,
    convergence_of,
    merged,
    read_reference,
    settings_digest,
)
from benchmark.record import Run, RunRecord
from benchmark.record.phases import Phase
from benchmark.workloads import load


def of(record: RunRecord):
    return convergence_of(Run(record))


def test_a_row_holds_what_identifies_a_training_and_its_errors_after_so_many_utterances():
    found = of(make_run([80, 60, 40], run="x", seed=7, batch=16, replicas=2))
    assert found.utterances == (1000, 2000, 3000)  # ten train rows of 100 each, in an epoch
    assert (found.wer, found.cer) == ((80, 60, 40), (40, 30, 20))
    assert (found.samples, found.batch, found.replicas, found.seed, found.run) == (1000, 16, 2, 7, "x")
    assert (found.workload, found.recipe, found.features, found.decoder) == ("mini", "paper", "ab12", "greedy")
    assert found.evaluated == 9 and found.grid == "1 epoch"
    assert (found.settings, found.evaluated_words, found.date) == ("", None, ""), "no run.json says them"


def test_what_an_attempt_undid_is_not_counted():
    whole = make_run([80, 60, 40])
    rows = list(whole.rows[:23])  # creation, an epoch of ten batches and its evaluation, ten and one; saved after ten
    again = [replace(row, attempt=2, started_s=row.started_s + 500) for row in whole.rows[12:]]
    resumed = make_row(Phase.CREATE, rows[-1].ended_s, 1.0, attempt=2, step=10, epoch=1)
    assert of(RunRecord([*rows, resumed, *again])).utterances == (1000, 2000, 3000)


def test_the_crossing_lies_on_a_line_through_the_logarithms_of_the_medians_as_that_of_times_does():
    record = make_run([90, 80, 60, 40, 20, 10])
    # medians over three: 80 after epoch 3, 60 after 4, 40 after 5; 50 lies ln(60/50) / ln(60/40) = .4497 of the fifth
    found = of(record).crossing("wer", 50.0, window=3)
    assert found == Crossing(pytest.approx(4000 + 1000 * math.log(60 / 50) / math.log(60 / 40)), at_first=False)
    assert found.utterances == pytest.approx(4449.7, abs=0.1)
    seconds = record.crossing_s("wer", 50.0, window=3)  # epoch i ends at 30 + 110 i
    assert (seconds - 30) / 110 == pytest.approx(found.utterances / 1000)
    assert of(record).reached("wer", 50.0, window=3) == 5000
    assert of(record).crossing("wer", 5.0, window=3) is None is of(record).reached("wer", 5.0, window=3)


def test_a_run_that_is_there_at_the_first_median_crossed_before_anybody_could_see_it():
    assert of(make_run([90, 40, 30])).crossing("wer", 50.0, window=3) == Crossing(3000.0, at_first=True)
    assert of(make_run([90, 40, 30])).crossing("wer", 50.0, window=1).at_first is False


def test_an_error_that_is_not_known_makes_no_median():
    known = of(make_run([90, 80, 60, 40]))
    holey = replace(known, wer=(90, None, 60, 40))
    assert holey.crossing("wer", 70.0, window=3) is None
    assert holey.crossing("wer", 70.0, window=1).utterances == 3000  # nothing before it is known


def test_what_differs_is_named_with_both_values_and_what_is_not_known_is_no_difference():
    one = of(make_run([80, 60, 40]))
    assert one.unlike(replace(one, seed=9, batch=96, replicas=8, code="other", run="y")) == []
    other = replace(one, evaluated=90, features="cd34")
    assert one.unlike(other) == [
        "features (ab12, and cd34 in the reference)",
        "evaluated utterances (9, and 90 in the reference)",
    ]
    assert one.unlike(replace(one, settings="12345678", evaluated_words=80)) == []
    known = replace(one, settings="87654321")
    assert known.unlike(replace(one, settings="12345678")) == [
        "digest of settings (87654321, and 12345678 in the reference)"
    ]


def test_runs_that_tell_too_little_are_no_reference():
    with pytest.raises(ConvergenceError, match="no evaluation"):
        of(make_run([]))
    without = [replace(row, utterances=None) if row.phase is Phase.TRAIN else row for row in make_run([80]).rows]
    with pytest.raises(ConvergenceError, match="how many utterances"):
        of(RunRecord(without))
    gap = [row for row in make_run([80, 60, 40]).rows if (row.phase, row.epoch) != (Phase.EVALUATE, 2)]
    with pytest.raises(ConvergenceError, match="not every epoch has an evaluation"):
        of(RunRecord(gap))


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [{"units": 8}, {"normalisation": "none"}, {"augment": "specaugment"}, {"padding": "fixed"}, {"label_noise": 0.1}],
)
def test_settings_that_change_what_is_learnt_change_the_digest(changes):
    assert settings_digest(load("mini").changed(changes)) != settings_digest(load("mini"))


@pytest.mark.parametrize(
    "changes",
    [{"max_epochs": 3}, {"max_minutes": 3.0}, {"targets": {}}, {"decoder": "greedy"}, {"evaluation": "swap"}],
)
def test_settings_that_do_not_or_have_a_column_leave_the_digest(changes):
    assert settings_digest(load("mini").changed(changes)) == settings_digest(load("mini"))


def test_a_setting_at_its_default_is_left_out_so_that_a_later_one_changes_nothing():
    """JSON of the model's name and of what mini's file sets of it, in order: as if other settings did not exist."""
    text = '{"filters": 192, "model": "deepspeech", "norm_momentum": 0.98, "units": 192}'
    assert settings_digest(load("mini")) == f"{zlib.crc32(text.encode()):08x}"


def test_a_limit_counts_where_the_learning_rate_knows_the_end():
    whisper = load("whisper")
    assert whisper.model.rules.optimiser.knows_the_end
    assert settings_digest(whisper.changed({"max_epochs": 2})) != settings_digest(whisper)


# --- the file --------------------------------------------------------------------------------------------------------


def test_a_file_gives_back_what_was_written(tmp_path):
    runs = [of(run) for run in honest(4)]
    path = reference_file(tmp_path / "r.csv", runs)
    back = read_reference(path)
    assert [run.utterances for run in back] == [run.utterances for run in runs]
    assert [run.wer for run in back] == [pytest.approx(run.wer, rel=1e-7) for run in runs]
    assert [run.identity for run in back] == [run.identity for run in runs]
    assert [(run.run, run.code, run.date) for run in back] == [(run.run, run.code, run.date) for run in runs]
    holey = replace(runs[0], wer=(None, *runs[0].wer[1:]), evaluated_words=77, date="2026-11-29")
    (again,) = read_reference(reference_file(tmp_path / "h.csv", [holey]))
    assert (again.wer[0], again.evaluated_words, again.date) == (None, 77, "2026-11-29")


def test_the_file_of_the_package_can_be_read():
    assert PACKAGED.read_text().startswith(",".join(COLUMNS))
    assert all(run.samples for run in read_reference())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "columns a,b; expected those of reference runs"),
        ("", "columns nothing; expected"),
        (",".join(COLUMNS) + "\nmini,,paper\n", "r.csv:2: .*fields; expected 20"),
        (",".join(COLUMNS) + "\n" + "x," * 19 + "x\n", "r.csv:2: invalid literal"),
    ],
)
def test_a_file_of_another_kind_is_refused_in_a_line(tmp_path, text, said):
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(JudgeError, match=said):
        read_reference(str(tmp_path / "r.csv"))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(JudgeError, match=r"none.csv: cannot be read \(No such file"):
        read_reference(str(tmp_path / "none.csv"))


def test_one_training_twice_would_halve_the_spread_and_is_refused(tmp_path):
    one = of(run_to(8.0, 1))
    path = reference_file(tmp_path / "r.csv", [one, replace(one, run="again", date="2026-01-02")])
    with pytest.raises(JudgeError, match="r1 and again are one training of seed 1, twice"):
        read_reference(path)
    newer = replace(one, run="new", date="2026-01-02")
    assert merged([replace(one, date="2026-01-01")], [newer]) == [newer]
    newest = replace(one, date="2026-01-03")
    assert merged([newest], [newer]) == [newest]
    assert len(merged([newest], [replace(newer, seed=2)])) == 2


@pytest.mark.parametrize("wrong", ["utterances", "wer", "error"])
def test_lists_that_do_not_fit_are_refused(wrong):
    one = of(run_to(8.0, 1))
    changes = {
        "utterances": {"utterances": one.utterances[::-1]},
        "wer": {"wer": one.wer[1:]},
        "error": {"wer": (-1.0, *one.wer[1:])},
    }[wrong]
    with pytest.raises(ValueError, match="expected"):
        replace(one, **changes)
