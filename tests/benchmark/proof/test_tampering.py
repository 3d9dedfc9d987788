"""What a cheat changes is named at the lowest level that can see it, also where the manifest was made anew.

Without a new manifest everything is seen at *bytes*. With one (`sealed.bundle` makes it, with claims that follow from
the changed rows, as a cheat who knows the suite would) each kind of change has the level at which it must be seen;
`test_what_no_level_below_the_weights_can_see` holds the list of docs/proof.md to what is so.
"""

import csv
import io
import itertools
import json
import re
import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sealed import HEARD, SAID_IN_DEV, bundle, members_of, rates, run_files, sealed

from benchmark.proof.verify import Ask, verify

NUMBERS = itertools.count()  # of folders
tried = settings(max_examples=60, deadline=None, database=None,
                 suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, bytes]:
    return run_files(tmp_path_factory.mktemp("honest"))


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("bundles") / "a.tta.zip"


def rows_of(files) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(files["journal.csv"].decode())))


def with_rows(files, rows) -> dict[str, bytes]:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return {**files, "journal.csv": text.getvalue().encode()}


def with_json(files, name, **changes) -> dict[str, bytes]:
    content = json.loads(files[name])
    for path, value in changes.items():
        *parents, last = path.split("__")
        inner = content
        for parent in parents:
            inner = inner[parent]
        inner[last] = value
    return {**files, name: json.dumps(content).encode()}


def evaluations(rows):
    return [row for row in rows if row["phase"] == "evaluate"]


def refuted(place, files, *, at: str, seal=None) -> str:
    report = verify(bundle(place, files, seal=seal), Ask())
    assert (report.status, report.refuted_at) == (1, at), report.sentence
    return report.difference


# --- without a new manifest ------------------------------------------------------------------------------------------


@tried
@given(data=st.data())
def test_any_digit_of_the_journal_is_seen_and_its_line_named(data, files, place):
    journal = files["journal.csv"]
    digits = [match.start() for match in re.finditer(rb"\d", journal)]
    at = data.draw(st.sampled_from(digits))
    other = data.draw(st.sampled_from([d for d in string.digits if d.encode() != journal[at : at + 1]]))
    changed = journal[:at] + other.encode() + journal[at + 1 :]
    line = journal.count(b"\n", 0, at) + 1
    found = refuted(place, {**files, "journal.csv": changed}, at="bytes", seal=sealed(files))
    assert found.startswith(f"line {line} of the journal is not what was sealed")


@tried
@given(data=st.data())
def test_any_byte_of_any_file_is_seen(data, files, place):
    name = data.draw(st.sampled_from(sorted(files)))
    at = data.draw(st.integers(0, len(files[name]) - 1))
    other = data.draw(st.integers(1, 255))
    changed = bytearray(files[name])
    changed[at] = (changed[at] + other) % 256
    refuted(place, {**files, name: bytes(changed)}, at="bytes", seal=sealed(files))


@tried
@given(data=st.data())
def test_a_row_taken_out_put_in_or_moved_is_seen(data, files, place):
    rows = rows_of(files)
    number = data.draw(st.integers(0, len(rows) - 1))
    how = data.draw(st.sampled_from(["out", "twice", "moved"]))
    changed = rows[:number] + rows[number + 1 :]
    if how == "twice":
        changed = rows[: number + 1] + rows[number:]
    if how == "moved":
        changed.insert((number + data.draw(st.integers(1, len(rows) - 1))) % len(rows), rows[number])
    if changed != rows:
        refuted(place, with_rows(files, changed), at="bytes", seal=sealed(files))
        refuted(place, with_rows(files, changed), at="bytes")  # nor does a new manifest help: there is the plan


def test_a_file_left_out_put_in_or_of_another_run_is_seen(files, place, tmp_path):
    seal = sealed(files)
    assert "is missing" in refuted(
        place, {n: d for n, d in files.items() if n != "run/end.json"}, at="bytes", seal=seal
    )
    assert "was not sealed" in refuted(place, {**files, "run/hosts.csv": b"x"}, at="bytes", seal=seal)
    checkpoint = {"run/checkpoints/ckpt-21.index": b"theirs", "run/checkpoints/ckpt-21.weights": b"theirs"}
    ours = dict.fromkeys(checkpoint, b"ours..")
    found = refuted(place, {**files, **checkpoint}, at="bytes", seal=sealed({**files, **ours}))
    assert "run/checkpoints/ckpt-21.index is not what was sealed" in found


# --- with a new manifest ---------------------------------------------------------------------------------------------


@tried
@given(data=st.data())
def test_another_error_rate_is_seen_by_its_counts_or_its_sentences(data, files, place):
    rows = rows_of(files)
    row = data.draw(st.sampled_from(evaluations(rows)))
    name = data.draw(st.sampled_from(["wer", "cer", "wer_mean", "cer_paper", "ser"]))
    row[name] = repr(round(float(row[name]) + data.draw(st.sampled_from([-9.0, -0.001, -2e-6, 2e-6, 0.5, 20.0])), 6))
    if float(row[name]) >= 0:
        refuted(place, with_rows(files, rows), at="figures")


@tried
@given(word_errors=st.integers(0, 18), epoch=st.integers(1, 3))
def test_a_word_error_rate_with_counts_that_fit_is_seen_by_its_sentences(word_errors, epoch, files, place):
    rows = rows_of(files)
    row = evaluations(rows)[epoch - 1]
    honest = sum(int(row[name]) for name in ("substitutions", "deletions", "insertions"))
    row |= {"wer": repr(round(100 * word_errors / 18, 6)), "substitutions": str(word_errors), "deletions": "0"}
    if word_errors != honest:
        found = refuted(place, with_rows(files, rows), at="figures")
        assert f"the WER after batch {7 * epoch} is" in found and "by its 4 sentences" in found


@tried
@given(data=st.data())
def test_a_sentence_swapped_in_one_evaluation_is_seen(data, files, place):
    lines = files["run/hypotheses.jsonl"].decode().splitlines()
    epoch = data.draw(st.integers(1, 3))
    content = json.loads(lines[epoch])  # line 0 has what was said
    a, b = data.draw(st.lists(st.integers(0, 3), min_size=2, max_size=2, unique=True))
    heard = content["hypotheses"]
    heard[a], heard[b] = heard[b], heard[a]
    lines[epoch] = json.dumps(content)
    refuted(place, {**files, "run/hypotheses.jsonl": ("\n".join(lines) + "\n").encode()}, at="figures")


@tried
@given(number=st.integers(0, 3), word=st.sampled_from(["a", "forty", "streets"]), everywhere=st.booleans())
def test_another_sentence_that_was_said_is_seen_by_the_digest(number, word, everywhere, files, place):
    lines = files["run/hypotheses.jsonl"].decode().splitlines()
    content = json.loads(lines[0])
    text = content["references"][number][1].split()
    content["references"][number][1] = " ".join([*text[:-1], word])
    if word == text[-1]:
        return
    if everywhere:
        lines[0] = json.dumps(content)
    else:
        lines.insert(2, json.dumps(content))  # from the second evaluation on
    refuted(place, {**files, "run/hypotheses.jsonl": ("\n".join(lines) + "\n").encode()}, at="bytes")


@tried
@given(data=st.data())
def test_a_row_that_took_another_time_is_seen_by_the_rows_beside_it(data, files, place):
    rows = rows_of(files)
    row = data.draw(st.sampled_from(rows))
    name = data.draw(st.sampled_from(["seconds", "started_s"]))
    by = data.draw(st.sampled_from([-3.0, -0.6, 0.6, 2.0, 100.0]))
    changed = round(float(row[name]) + by, 6)
    row[name] = repr(changed)
    if changed >= 0 and not (name == "started_s" and row is rows[0] and by < 0):
        refuted(place, with_rows(files, rows), at="bytes")


@tried
@example(factor=0.48, with_end=True, with_samples=False)
@example(factor=0.49, with_end=True, with_samples=False)
@given(factor=st.floats(0.3, 0.9), with_end=st.booleans(), with_samples=st.booleans())
def test_a_faster_clock_is_seen_by_its_end_or_the_samples(factor, with_end, with_samples, files, place, tmp_path):
    quick = run_files(tmp_path / str(next(NUMBERS)), factor=factor)
    changed = {**files, "journal.csv": quick["journal.csv"]}
    if with_end:
        changed["run/end.json"] = quick["run/end.json"]  # with a date that fits
    if with_samples:
        changed["run/utilisation.csv"] = quick["run/utilisation.csv"]
    found = verify(bundle(place, changed), Ask())
    late_s = 18.6 - 17.709 * factor - 0.01 * 17.709 * factor  # of the last sample, at 18.6 s, after the last row
    if not with_end or with_samples or late_s > 10:
        assert found.refuted_at == "bytes", found.sentence
    if with_end and with_samples:  # everything fits, but for samples that come too often
        assert re.search(r"samples in utilisation.csv are 0\.0\d+ s apart; expected 0.1000 s", found.difference)


@tried
@given(
    seconds=st.integers(5, 10**6),
    which=st.sampled_from(["run/run.json", "run/end.json"]),
    later=st.booleans(),
)
def test_another_date_is_seen_by_the_clock(seconds, which, later, files, place):
    from datetime import datetime, timedelta

    name = "created" if which == "run/run.json" else "at"
    date = datetime.fromisoformat(json.loads(files[which])[name])
    changed = date + timedelta(seconds=seconds if later else -seconds)
    nearer = later == (name == "created")  # the two dates come nearer one another
    if not nearer and seconds < 200:
        return  # a machine may have taken two minutes to write down the end
    found = refuted(place, with_json(files, which, **{name: changed.isoformat()}), at="bytes")
    assert "from the date of run.json to that of end.json" in found


@pytest.mark.parametrize("date", [None, 5, [], "soon", "2026-01-31T12:00:18"])
def test_a_date_of_the_end_that_is_none_is_said(date, files, place):
    found = refuted(place, with_json(files, "run/end.json", at=date), at="bytes")
    assert found == f"end.json has the date {str(date)!r}; expected one with its zone"


@pytest.mark.parametrize(
    "column", ["seed", "platform", "recipe", "batch", "precision", "features", "decoder", "variant"]
)
def test_an_identity_that_run_json_does_not_have_is_seen(column, files, place):
    rows = rows_of(files)
    for row in rows:
        row[column] = {"seed": "2", "batch": "32"}.get(column, "other")
    assert f"{column} is " in refuted(place, with_rows(files, rows), at="bytes")


def test_another_corpus_is_seen_by_its_digest(files, place):
    rows = rows_of(files)
    for row in rows:
        row["features"] = "0123456789ab"
    both = with_json(with_rows(files, rows), "run/run.json", features__manifest_sha256="0123456789ab" + "0" * 52)
    assert "features/manifest.json has the digest" in refuted(place, both, at="bytes")
    words = files["features/manifest.json"].replace(b'"twelve"', b'"eleven"')
    assert "has the digest" in refuted(place, {**files, "features/manifest.json": words}, at="bytes")
    said = files["features/said.json"].replace(b"clean", b"claim")
    assert "is not what the digest" in refuted(place, {**files, "features/said.json": said}, at="bytes")


def test_other_words_of_the_decoder_are_seen(files, place):
    assert "words of the decoder" in refuted(place, {**files, "run/words.txt": b"clean it we will\n"}, at="bytes")


@pytest.mark.parametrize("part", [slice(0, 40), slice(60, 140), slice(0, 1)])
def test_samples_taken_out_are_seen(part, files, place):
    header, *samples = files["run/utilisation.csv"].splitlines(keepends=True)
    del samples[part]
    changed = {**files, "run/utilisation.csv": b"".join([header, *samples])}
    report = verify(bundle(place, changed), Ask())
    assert report.refuted_at == ("" if part == slice(0, 1) else "bytes")  # 4 and 8 of 18 s; a tenth is nothing


@tried
@given(name=st.sampled_from(["utterances", "audio_s", "tflop"]), epoch=st.integers(1, 3), share=st.floats(0.01, 0.9))
def test_an_epoch_that_worked_less_than_others_is_seen(name, epoch, share, files, place):
    rows = rows_of(files)
    row = [each for each in rows if each["phase"] == "train"][epoch - 1]
    less = float(row[name]) * (1 - share)
    row[name] = str(int(less)) if name == "utterances" else repr(round(less, 6))
    assert name in refuted(place, with_rows(files, rows), at="figures")


def test_a_throughput_that_no_device_has_is_seen(place, tmp_path):
    files = run_files(tmp_path / "run", train_s=0.1)  # 0.109 TFLOP in 0.1 s; two cores can do 0.832 a second
    found = refuted(place, files, at="figures")
    assert found == "batch 7: 1.091 TFLOP/s; 2 logical cores can do 0.832"


@pytest.mark.parametrize(
    "claims", [{}, {"epochs": 3}, {"tta_s": {"wer": {"30": 5.0}}}, {"epochs": 10**400}, {"epochs": [1]}, {"x": None}]
)
def test_claims_that_do_not_follow_from_the_rows_are_seen(claims, files, place):
    honest = json.loads(sealed(files))["claims"]
    changed = claims if not claims or "tta_s" in claims else {**honest, **claims}
    if changed == honest or claims == {"x": None}:
        assert verify(bundle(place, files, claims=changed), Ask()).status == 0
    else:
        report = verify(bundle(place, files, claims=changed), Ask())
        assert report.refuted_at == "figures" and "is claimed to be" in report.difference


# --- what is not seen ------------------------------------------------------------------------------------------------


def test_what_no_level_below_the_weights_can_see(files, place, tmp_path):
    """Each of these is in docs/proof.md: where a change here is one day seen, the document is wrong."""
    rows = rows_of(files)
    rows[1]["loss"] = "1.5"  # a replay sees it, of that epoch
    unseen = {"loss": with_rows(files, rows)}
    better = ["forty maps are too many", "what's on twelve streets", "she laughed near the attic", "we will a it"]
    lines = files["run/hypotheses.jsonl"].decode().splitlines()
    lines[3] = json.dumps({"phase": "evaluate", "epoch": 3, "step": 21, "hypotheses": better})
    rows = rows_of(files)
    evaluations(rows)[2].update({name: str(value) for name, value in rates(better).items()})
    invented = {**with_rows(files, rows), "run/hypotheses.jsonl": ("\n".join(lines) + "\n").encode()}
    unseen["sentences that nobody heard"] = invented  # the weights see it
    price = {
        "total": 9.0,
        "gpus": 0.0,
        "cpu": 5.0,
        "currency": "USD",
        "date": "2026-01-01",
        "source": "a shop",
        "storage_included": True,
    }
    unseen["price"] = with_json(files, "run/run.json", platform__price=price)
    unseen["machine"] = with_json(files, "run/run.json", host__cpu="another processor")
    dates = with_json(files, "run/run.json", created="2027-01-31T12:00:00+00:00")
    unseen["dates"] = with_json(dates, "run/end.json", at="2027-01-31T12:00:19+00:00")
    quick = run_files(tmp_path / "quick", factor=0.5)
    header, *samples = quick["run/utilisation.csv"].splitlines(keepends=True)
    quick["run/utilisation.csv"] = b"".join([header, *samples[::2]])
    unseen["a faster clock everywhere"] = quick
    document = (Path(__file__).resolve().parents[3] / "docs" / "proof.md").read_text()
    for name, changed in unseen.items():
        report = verify(bundle(place, changed), Ask())
        assert report.status == 0, f"{name}: {report.sentence}"
    for words in ("price", "renamed", "both dates", "faster clock everywhere", "loss", "sentences that nobody heard"):
        assert words in document, words


def test_the_honest_run_itself_is_verified(files, place):
    assert verify(bundle(place, files), Ask()).status == 0
    assert members_of(place).keys() == {*files, "seal.json"} and len(HEARD[0]) == len(SAID_IN_DEV)


# --- whatever is in a file -------------------------------------------------------------------------------------------

ODD = st.sampled_from(["", "{}", "[]", "null", "9" * 5000, "1e999", '{"schema": 4}', "\0", "NaN", '"x"', "[" * 5000])


@tried
@given(data=st.data())
def test_whatever_is_in_a_file_gives_a_verdict_and_no_traceback(data, files, place):
    name = data.draw(st.sampled_from(sorted(files)))
    text = files[name].decode()
    if data.draw(st.booleans()) and name.endswith(".json"):
        content = json.loads(text)
        inner = content
        while isinstance(inner, dict) and inner and data.draw(st.booleans()):
            key = data.draw(st.sampled_from(sorted(inner)))
            value = data.draw(ODD | st.none() | st.integers() | st.floats() | st.lists(st.integers(), max_size=2))
            if not isinstance(inner[key], dict) or data.draw(st.booleans()):
                inner[key] = value
                break
            inner = inner[key]
        text = json.dumps(content)
    else:
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + data.draw(ODD) + text[data.draw(st.integers(at, len(text))) :]
    report = verify(bundle(place, {**files, name: text.encode()}), Ask())
    assert report.status in (0, 1, 2) and "\n" not in report.sentence


@tried
@given(data=st.data())
def test_whatever_byte_of_the_zip_file_is_changed_no_sealed_byte_is(data, files, place):
    honest = bundle(place, files).read_bytes()
    changed = bytearray(honest)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(honest) - 1))
        changed[at] = data.draw(st.integers(0, 255))
    before = members_of(place)
    place.write_bytes(bytes(changed))
    report = verify(place, Ask())
    assert report.status in (0, 1, 2) and "\n" not in report.sentence
    assert report.status or members_of(place) == before  # a date of a member, say, is nothing that was sealed
