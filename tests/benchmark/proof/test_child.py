"""What a child process computed again, against the journal: to the last digit on such a machine, else within bounds.

The child is played here; test_again.py has the real one.
"""

from types import SimpleNamespace

import pytest
from sealed import HEARD, LOSSES, SAID_IN_DEV, rates, write_run

from benchmark.proof import child
from benchmark.proof.bundle import BundleError
from benchmark.proof.verdict import Refuted, Report
from benchmark.record import read_run

HERE = {"cpu": "a processor", "usable_cores": 2, "tensorflow": "2.21.0", "on_gpu": False}


@pytest.fixture
def place(tmp_path):
    run = read_run(write_run(tmp_path / "run"))
    return SimpleNamespace(run=run, bundle=SimpleNamespace(checkpoints={21: False}), checkpoint=lambda step: step)


def play(monkeypatch, *results):
    monkeypatch.setattr(child, "_results", lambda *_: iter(results))


def evaluated(step: int, **changes) -> dict:
    heard = HEARD[step // 7 - 1]
    texts = [[name, text] for (name, _), text in zip(SAID_IN_DEV, heard, strict=True)]
    return {"step": step, "heard": texts, "figures": rates(heard), **HERE, **changes}


def weights(place) -> str:
    report = Report(bundle="a")
    child.check_weights(place, place.run.folder, report, say=lambda _: None)
    return report.done["weights"][-1]


def trained(*, loss=LOSSES[2], **changes) -> list[dict]:
    row = {"row": 21, "utterances": 106, "audio_s": 235.75, "tflop": 0.109108, "loss": loss}
    end = {"evaluated": 21, "figures": rates(HEARD[2]), **HERE, "kernels": {"lstm": "llvm", "ctc": "cpu"}, **changes}
    return [row, end, {"weights_differ": 0}]


def replay(place, epochs=(3,)) -> str:
    place.bundle.checkpoints[14] = True
    report = Report(bundle="a")
    child.replay(place, place.run.folder, epochs, report, say=lambda _: None)
    return report.done["replay"][-1]


def test_the_same_figures_are_checked_to_the_last_digit(place, monkeypatch):
    play(monkeypatch, evaluated(21))
    assert (
        weights(place) == "the checkpoint after batch 21: WER 16.67%, CER 14.61%, to the last digit"
    )  # 13 of 89 characters


def test_another_digit_is_refuted_on_such_a_machine_and_told_on_another(place, monkeypatch):
    figures = rates(HEARD[2])
    figures["wer"] += 0.001
    play(monkeypatch, evaluated(21, figures=figures))
    with pytest.raises(Refuted, match=r"the WER after batch 21 is 16.666667; evaluated again it is 16.667667"):
        weights(place)
    for other in ({"cpu": "another"}, {"usable_cores": 8}, {"tensorflow": "2.22.0"}, {"on_gpu": True}):
        play(monkeypatch, evaluated(21, figures=figures, **other))
        assert "within the tolerance for another machine" in weights(place)
    figures["wer"] += 0.6  # half a point is allowed
    play(monkeypatch, evaluated(21, figures=figures, cpu="another"))
    with pytest.raises(Refuted, match="the WER after batch 21"):
        weights(place)


def test_another_sentence_with_the_same_errors_is_refuted(place, monkeypatch):
    found = evaluated(21)
    found["heard"][1][1] = "what's on twelve b"  # and not "a"
    play(monkeypatch, found)
    with pytest.raises(Refuted, match=r"\"what's on twelve a\" was heard in 201-1-0001; evaluated again it is .*b"):
        weights(place)


def test_an_epoch_trained_again_to_the_same_digits_is_checked(place, monkeypatch):
    play(monkeypatch, *trained())
    assert replay(place) == ("epoch 3, trained again: 1 loss, the error rates, and the weights of its checkpoint, to "
                             "the last digit")  # fmt: skip


def test_another_loss_is_refuted_at_its_last_digit_and_on_another_machine_from_5_percent_on(place, monkeypatch):
    play(monkeypatch, *trained(loss=LOSSES[2] * (1 + 1e-12)))
    with pytest.raises(Refuted, match="the loss of the row after batch 21 is 102.52526164504717; trained again"):
        replay(place)
    play(monkeypatch, *trained(loss=LOSSES[2] * 1.04, cpu="another"))
    assert "within the tolerance" in replay(place)
    play(monkeypatch, *trained(loss=LOSSES[2] * 1.06, kernels={"lstm": "keras", "ctc": "cpu"}))
    with pytest.raises(Refuted, match="the loss of the row"):
        replay(place)


def test_other_weights_and_other_work_are_refuted(place, monkeypatch):
    *rows, _ = trained()
    play(monkeypatch, *rows, {"weights_differ": 12})
    with pytest.raises(Refuted, match="the weights after epoch 3 are others"):
        replay(place)
    rows[0]["utterances"] = 105
    play(monkeypatch, *rows)
    with pytest.raises(Refuted, match="utterances of the row after batch 21 is 106; trained again it is 105"):
        replay(place)


def test_an_epoch_whose_beginning_was_not_sealed_cannot_be_trained_again(place, monkeypatch):
    with pytest.raises(BundleError, match="epoch 2 begins after batch 7, of which no whole checkpoint was sealed"):
        replay(place, (2,))
    with pytest.raises(BundleError, match="epoch 9 has no evaluation; there are those of 1 to 3"):
        replay(place, (9,))
    play(monkeypatch, *trained())
    assert replay(place, ()).startswith("epoch 3")  # the last that can be
