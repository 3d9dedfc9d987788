"""The speed command: contenders asked in turn, their ratios, the table and the JSON, and what the parts count."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmark.speed import __main__ as speed
from benchmark.speed import breakdown, child, decoding, judge, padding, results, scaling, sizes
from benchmark.speed.contest import Arena, Contender, ContestError, MissingPeer, Rounds, contender, play, together
from benchmark.speed.results import Result

ROOT = Path(__file__).resolve().parents[3]
HONEST = """
import json, sys
print(json.dumps({"ready": True}), flush=True)
for n, line in enumerate(sys.stdin):
    print(json.dumps({"seconds": n + SECONDS, "asked": line.strip()}), flush=True)
"""


def fake(code: str, name: str = "fake") -> Contender:
    return Contender(name=name, command=(sys.executable, "-c", code))


def honest(seconds: float) -> Contender:
    return fake(HONEST.replace("SECONDS", str(seconds)))


# --- contest


def test_contenders_are_asked_in_turn_and_every_other_round_goes_backwards():
    asked = []

    def turn(name):
        return lambda: asked.append(name) or {"seconds": 1.0}

    play({"a": turn("a"), "b": turn("b")}, rounds=3)
    assert asked == ["a", "b", "b", "a", "a", "b"]


def test_ratios_are_those_of_the_same_round():
    rounds = Rounds(
        {
            "ours": [{"seconds": 1.0}, {"seconds": 2.0}, {"seconds": 4.0}],
            "theirs": [{"seconds": 3.0}, {"seconds": 5.0}, {"seconds": 8.0}],
        }
    )
    assert rounds.ratios("theirs", "ours") == (3.0, 2.5, 2.0)  # 3 / 1, 5 / 2, 8 / 4
    assert rounds.median("ours") == 2.0


def test_a_contender_stays_alive_between_two_questions():
    with Arena() as arena:
        running = arena.enter(honest(0.5))
        assert running.ask() == {"seconds": 0.5, "asked": "go"}
        assert running.ask("forward") == {"seconds": 1.5, "asked": "forward"}  # the second answer of the same process


def test_all_at_once_takes_as_long_as_the_slowest():
    with Arena() as arena:
        runners = [arena.enter(honest(seconds)) for seconds in (1, 3, 2)]
        assert together(runners)["seconds"] == 3


def test_a_crash_is_told_with_the_last_lines_of_standard_error():
    crashing = "import sys; print('{\"ready\": true}', flush=True); input(); print('why', file=sys.stderr); sys.exit(7)"
    with Arena() as arena:
        running = arena.enter(fake(crashing, name="step ours"))
        with pytest.raises(ContestError, match=r"step ours: ended with status 7: why"):
            running.ask()


def test_what_is_no_answer_is_told():
    with pytest.raises(ContestError, match="said 'hello"), Arena() as arena:
        arena.enter(fake("print('hello', flush=True); input()"))


def test_a_missing_peer_is_told_with_the_way_to_get_it():
    with pytest.raises(MissingPeer, match=r"torch is not installed: pip install torch==2.13.0"), Arena() as arena:
        arena.enter(fake('print(\'{"missing": "torch"}\', flush=True)'))


def test_a_peer_that_cannot_be_imported_is_missing(tmp_path):
    (tmp_path / "pyctcdecode.py").write_text("raise ModuleNotFoundError('no', name='pyctcdecode')")
    hidden = contender("decoding", "pyctcdecode", utterances=1, words=10)
    assert "pyctcdecode" in child.PEERS
    code = f"import sys, runpy; sys.path.insert(0, {str(tmp_path)!r}); sys.argv[:] = {list(hidden.command[2:])!r}; "
    code += "runpy.run_module('benchmark.speed.child', run_name='__main__')"
    with pytest.raises(MissingPeer, match="pyctcdecode is not installed"), Arena() as arena:
        arena.enter(fake(code))


def test_contenders_end_with_the_arena_whatever_they_started(tmp_path):
    started = tmp_path / "pid"
    code = (
        "import subprocess, sys; child = subprocess.Popen(['sleep', '60']); "
        f"open({str(started)!r}, 'w').write(str(child.pid)); print('{{\"ready\": true}}', flush=True); input()"
    )
    with pytest.raises(KeyboardInterrupt), Arena() as arena:
        arena.enter(fake(code))
        raise KeyboardInterrupt
    deadline = time.monotonic() + 5
    while _runs(int(started.read_text())) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _runs(int(started.read_text()))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_libraries_print_is_no_answer(capfd):
    code = "import os; from benchmark.speed import child; answers = child._standard_output_of_our_own(); "
    code += "os.write(1, b'noise'); print('noise', flush=True); child._say(answers, {'ready': True})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ('{"ready": true}\n', "noisenoise\n")


# --- results


RESULTS = [
    Result(part="step, mini: Keras", unit="s/step", ours=0.25, baseline=0.75, ratios=(3.0, 2.5, 4.0), limit_share=0.5),
    Result(part="step, mini: PyTorch", unit="s/step", ours=0.25, note="torch is not installed: pip install torch"),
]


def test_the_table_has_ours_baseline_median_ratio_and_share_of_the_limit():
    table, notes = results.parts(RESULTS, title="Speed")
    assert table.rows[0] == ("step, mini: Keras", "s/step", "0.25", "0.75", "3.00 (2.50 to 4.00)", "50%")
    assert table.rows[1] == ("step, mini: PyTorch", "s/step", "0.25", "", "", "")
    assert notes == "- step, mini: PyTorch: torch is not installed: pip install torch"


def test_the_json_has_every_value_the_machine_and_the_command():
    with_values = Result(part="p", unit="s", ours=1.0, ratios=(1.0, 3.0), measured={"ours": [{"seconds": 1.0}]})
    found = json.loads(results.to_json([with_values], ["python", "-m", "benchmark.speed"], load_at_start=0.25))
    assert found["results"][0]["ratio"] == 2.0  # between 1 and 3
    assert found["results"][0]["measured"] == {"ours": [{"seconds": 1.0}]}
    assert found["command"] == ["python", "-m", "benchmark.speed"]
    assert found["machine"]["load_at_start"] == 0.25
    assert found["machine"]["usable_cores"] == len(os.sched_getaffinity(0))
    assert found["machine"]["versions"]["numpy"] == np.__version__


# --- the command line


def test_a_machine_that_was_busy_is_warned_of():
    assert speed._warnings(0.4) == []
    assert "kept 1.5 cores busy" in speed._warnings(1.5)[0]


def test_the_command_shows_and_saves_what_a_part_gives(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(judge, "measure", lambda setting: RESULTS[:1])
    assert speed.main(["judge", "--json", str(tmp_path / "speed.json")]) == 0
    assert "3.00 (2.50 to 4.00)" in capsys.readouterr().out
    saved = json.loads((tmp_path / "speed.json").read_text())
    assert saved["command"] == ["python", "-m", "benchmark.speed", "judge", "--json", str(tmp_path / "speed.json")]


def test_what_was_measured_before_ctrl_c_is_shown(monkeypatch, capsys):
    def interrupted(setting):
        raise KeyboardInterrupt

    monkeypatch.setattr(judge, "measure", lambda setting: RESULTS[:1])
    monkeypatch.setattr(padding, "measure", interrupted)
    assert speed.main(["judge", "padding"]) == 130
    assert "3.00 (2.50 to 4.00)" in capsys.readouterr().out


def test_ctrl_c_ends_the_command_with_130():
    command = [sys.executable, "-m", "benchmark.speed", "decoding", "--size", "tiny"]
    running = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=_listen_to_ctrl_c)
    assert running.stderr.readline().startswith("speed: starting decoding")
    running.send_signal(signal.SIGINT)
    assert running.wait(10) == 130
    assert "interrupted" in running.stderr.read()
    running.stderr.close()


def _listen_to_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["padding"], "padding needs a features folder"),
        (["--breakdown", "step"], "--breakdown and step"),
        (["--breakdown", "--platform", "sys11"], "unknown platform"),
        (["--breakdown", "--workload", "minni"], "did you mean 'mini'"),
        (["--breakdown", "--platform", "sys1", "--batch", "97"], "a multiple of sys1's 4 replicas"),
        (["judge", "--json", "nowhere/speed.json"], "nowhere/speed.json"),
    ],
)
def test_bad_input_is_one_line_and_2(arguments, said, capsys):
    assert speed.main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["stop"], ["--rounds", "0"], ["--hours", "-1"], ["--size", "huge"], ["--batch", "x"]]
)
def test_bad_options_are_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        speed.main(arguments)
    assert ended.value.code == 2


def test_help_says_what_each_part_takes(capsys):
    with pytest.raises(SystemExit) as ended:
        speed.main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in speed.PARTS)


def test_without_a_part_all_quick_ones_run_and_padding_where_there_are_features(tmp_path):
    def chosen(*arguments):
        return speed._chosen(speed._parser().parse_args(arguments))

    assert chosen() == ["step", "input", "extraction", "decoding", "start", "judge", "overhead"]
    assert chosen("--features", str(tmp_path))[-1] == "padding"
    assert chosen("scaling", "judge", "scaling") == ["scaling", "judge"]


# --- the parts


def test_flops_are_those_of_the_matrix_products(tf):
    from benchmark.speed.synthetic import training_flops

    size = sizes.Size(name="n", filters=3, units=5, layers=2, batch=7, frames=21, labels=2)
    # 21 frames: (21 - 11) // 2 + 1 = 6 outputs. Multiplications of one: convolution 11 * 93 * 3 = 3069, twice (forward,
    # weights); LSTMs 4 * 5 * (3 + 5) + 4 * 5 * (5 + 5) = 360 and dense 5 * 30 = 150, three times. 2 operations each.
    assert size.outputs == 6
    assert training_flops(size) == pytest.approx(7 * 6 * 2 * (2 * 3069 + 3 * (360 + 150)), rel=1e-6)  # in float32


def test_a_batch_from_memory_is_for_ever_the_size_s_with_whole_numbers_of_64_bits_as_in_a_run(tf):
    from benchmark.run.prepare import devices
    from benchmark.speed import synthetic

    size = sizes.SIZES["tiny"]
    batches = synthetic.batches(size, devices.single_device("float32"))
    for batch in (next(batches), next(batches)):
        np.testing.assert_array_equal(batch["features"], size.numbers()["features"])
        assert {name: value.dtype.name for name, value in batch.items()} == {
            "features": "float32", "frames": "int64", "labels": "int64", "label_lengths": "int64",
            "global_units": "float32",
        }  # fmt: skip


def test_greedy_decoding_spells_what_noiseless_logits_were_made_of():
    from models.ctc.decoders import greedy

    words = decoding.vocabulary(200)
    assert len(set(words)) == 200
    for seed in range(3):
        sentence = decoding.sentence_of(words, characters=200, seed=seed)
        logits = decoding.logits_of(sentence, frames=830, seed=seed, noise=0)
        assert logits.shape == (830, 30)
        assert greedy(logits[None], np.array([830])) == [sentence]


def test_noise_makes_greedy_decoding_err_and_the_dictionary_mend_most_of_it():
    from jiwer import wer

    from models.ctc.decoders import dictionary, greedy

    words = decoding.vocabulary(200)
    sentence = decoding.sentence_of(words, characters=200, seed=0)
    logits, frames = decoding.logits_of(sentence, frames=830, seed=0)[None], np.array([830])
    mended = wer(sentence, dictionary(words, beam_width=64)(logits, frames)[0])
    assert wer(sentence, greedy(logits, frames)[0]) > 0.1
    assert mended < 0.1


def test_padding_counts_frames():
    # Batch 2. Fixed: two batches of 2 x 1670 = 6680 frames, of which 80 + 80 + 800 + 800 = 1760 are speech.
    # Two buckets, 80 and 800: no padding at all. One bucket: 4 x 800 = 3200 frames.
    lengths = [80, 800, 80, 800]
    none = padding.compare(lengths, batch=2, buckets=2)
    assert none.ours == 0
    assert none.baseline == pytest.approx(100 * (1 - 1760 / 6680))
    one = padding.compare(lengths, batch=2, buckets=1)
    assert one.ours == pytest.approx(100 * (1 - 1760 / 3200))
    assert one.ratio == pytest.approx((6680 - 1760) / (3200 - 1760))


def test_the_journal_made_by_hand_can_be_judged(tmp_path):
    path = judge.write_journal(tmp_path / "made.csv", rows=401)
    done = subprocess.run([sys.executable, "-m", "benchmark.tta", path], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(path.read_text().splitlines()) == 402


def test_a_corpus_is_repeated_under_other_names(tone_corpus, tmp_path):
    from features.corpus.layout import read_corpus

    once = tmp_path / "once"
    for audio in tone_corpus.rglob("*.*"):  # hard links need one file system
        target = once / audio.relative_to(tone_corpus)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(audio.read_bytes())
    scaling.repeat_corpus(once, tmp_path / "thrice", times=3)
    utterances, problems = read_corpus(tmp_path / "thrice")
    assert not problems
    assert len(utterances) == 3 * 21  # the training utterances of tone_corpus
    assert {utterance.speaker for utterance in utterances} == {"1", "2", "1001", "1002", "2001", "2002"}


def test_a_corpus_too_large_for_the_disk_is_refused(tmp_path):
    with pytest.raises(ValueError, match="GB free, expected .* --hours"):
        scaling._check_space(tmp_path, hours=1e9)


def test_a_part_of_a_step_is_the_difference_of_two_pieces_in_the_same_round():
    def rounds_of(**seconds):
        return Rounds({name: [{"seconds": value} for value in values] for name, values in seconds.items()})

    played = rounds_of(forward=(1.0, 2.0, 1.5), ctc=(1.5, 2.25, 2.5), shards=(4.0, 5.0, 8.0), call=(0.0, 0.0, 0.0))
    part = breakdown._part("CTC", played, sizes.SIZES["mini"])
    assert part.ours == 1000 * 0.5  # of 0.5, 0.25 and 1.0
    assert part.ratios == (0.5 / 4, 0.25 / 5, 1.0 / 8)
    assert part.note == ""


@pytest.mark.parametrize(
    ("seconds", "noise"), [((0.1, 0.2, 0.3), False), ((-0.1, 0.2, 0.3), True), ((-0.3, -0.2, -0.1), True)]
)
def test_what_is_not_above_zero_in_every_round_is_within_the_noise(seconds, noise):
    assert breakdown.within_noise(seconds) is noise


@pytest.mark.slow
def test_all_kernels_of_the_ctc_compute_the_same_loss():
    from benchmark.speed import ctc

    losses = {name: ctc.CONTENDERS[name](size="tiny", batch=2)("go")["loss"] for name in ("chosen", "xla", "dense")}
    assert losses["xla"] == pytest.approx(losses["chosen"], rel=1e-4) == pytest.approx(losses["dense"], rel=1e-4)


def test_the_parts_of_a_step_add_up_to_the_whole():
    # call + (forward) + (ctc - forward) + ... + (shards - memory) = call + shards
    added = sum(
        {"call": 1, **{piece: 10 * n for n, piece in enumerate(breakdown.PIECES[1:], start=1)}}[piece]
        - (10 * (breakdown.PIECES.index(without)) if without else 0)
        for piece, without in breakdown.PARTS.values()
    )
    assert added == 1 + 10 * breakdown.PIECES.index("shards")


def test_every_contender_named_by_a_part_is_there():
    from importlib import import_module

    for module in ("networks", "limits", "reading", "extraction", "decoding", "overhead", "corpora"):
        assert import_module(f"benchmark.speed.{module}").CONTENDERS


def test_no_tensorflow_in_the_process_that_asks():
    check = "import sys; from importlib import import_module as i; from benchmark.speed.__main__ import PARTS; "
    check += (
        "[i(f'benchmark.speed.{m}') for m in [*PARTS.values(), 'breakdown']]; sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT).returncode == 0
