"""How long a host took by itself, and how the chief hears of it; TensorFlow does nothing here."""

import math
from concurrent.futures import Future
from types import SimpleNamespace

import pytest


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def made(tf, monkeypatch, clock):
    """What makes a host whose operations take the seconds given, and whose decoder works when it is told to."""
    from benchmark.run.evaluate.evaluation import Transcription
    from benchmark.run.train.host import Host
    from benchmark.run.train.step import Totals

    def host(*, takes=1.0, own_s=9.0, input_s=0.5, decodes=False, on_cpu=True):
        def operation(*_, **__):
            clock.now_s += takes

        def segment(*_, **__):
            return Totals(50, 1.0, 1.0, 1.0, 1.0, input_s, -1, own_s)

        def transcribe(*_):
            clock.now_s += takes
            transcription = Transcription()
            for number in range(3):
                transcription.add([(f"u{number}", "a")], Future())
            return transcription

        for name in ("make", "restore", "swap", "open"):
            monkeypatch.setattr(Host, name, operation)
        monkeypatch.setattr(Host, "segment", segment)
        monkeypatch.setattr(Host, "transcribe", transcribe)
        monkeypatch.setattr(Host, "__init__", lambda self, task, checkpoints, pool: vars(self).update(task=task))
        learner = SimpleNamespace(decode=(lambda *_: []) if decodes else None)
        task = SimpleNamespace(learner=learner, devices=SimpleNamespace(on_cpu=on_cpu))
        return SimpleNamespace(task=task, checkpoints=None, pool=None)

    return host


SEGMENT = {"epoch": 1, "skip": 0, "step": 0, "count": 50}


def test_what_was_taken_is_told_once(made, clock):
    from benchmark.run.machines.timed import Timed

    host = Timed(made(takes=2.0), now=clock)
    host.make()
    host.make()  # once more, where a restore failed
    host.restore(50)
    assert host.taken() == {"make": 4.0, "restore": 2.0}
    host.open(1, 0)
    host.segment(**SEGMENT)
    host.swap(50)
    assert host.taken() == {"input": 2.5, "gradients": 9.0, "swap": 2.0} and host.taken() == {}  # opened, and waited


def test_what_is_not_measured_is_no_part(made, clock):
    from benchmark.run.machines.timed import Timed

    host = Timed(made(own_s=None, input_s=math.nan), now=clock)
    host.segment(**SEGMENT)
    assert host.taken() == {}


def test_decoding_lasts_from_the_forward_pass_to_the_last_sentence(made, clock):
    from benchmark.run.machines.timed import Timed

    host = Timed(made(takes=2.0), now=clock)
    transcription = host.transcribe("dev")
    decoding = host.decoding()
    for seconds, (_, future) in zip((1.0, 0.5, 4.0), transcription._parts, strict=True):
        clock.now_s += seconds
        future.set_result(["a"])
    clock.now_s += 60  # others are waited for
    assert len(transcription.sentences()) == 3
    assert host.taken() == {"forward": 2.0} and decoding() == {"decoding": 5.5, "utterances": 3.0}


def test_of_a_model_that_decodes_in_its_forward_pass_both_are_one(made, clock):
    from benchmark.run.machines.timed import Timed

    host = Timed(made(takes=2.0, decodes=True), now=clock)
    for _, future in host.transcribe("dev")._parts:
        clock.now_s += 1
        future.set_result(["a"])
    assert host.taken() == {} and host.decoding()() == {"decoding": 5.0, "utterances": 3.0}


def test_on_gpus_decoding_is_not_told_as_it_begins_within_the_forward_pass(made, clock):
    from benchmark.run.machines.timed import Timed

    host = Timed(made(on_cpu=False), now=clock)
    host.transcribe("dev")
    assert host.decoding()() == {} and host.taken() == {"forward": 1.0}


class Others:
    """The chief's side of two other hosts."""

    hosts = SimpleNamespace(count=3)

    def __init__(self, *answers):
        self.waiting = list(answers)
        self.futures = [Future(), Future()]

    def tell(self, message):
        self.told = message

    def promised(self, number):
        return self.futures

    def answers(self):
        return self.waiting.pop(0)


def test_the_chief_has_the_times_of_all_by_rank_until_they_are_asked_for(made):
    from benchmark.run.machines.lead import Everywhere

    first = {1: {"done": "segment", "own_s": {"input": 0.25, "gradients": 8.0}}, 2: {"done": "segment"}}
    second = {1: {"done": "transcribe", "own_s": {"forward": 3.0}}, 2: {"own_s": {"forward": 4.0}}}
    others = Others(first, second)
    trainer = Everywhere(made(), others)
    trainer.segment(**SEGMENT)
    transcription = trainer.transcribe("dev")
    assert trainer.taken_everywhere(("input", "gradients", "nothing")) == {
        "input": (0.5, 0.25, None),
        "gradients": (9.0, 8.0, None),
    }
    assert trainer.taken_everywhere(("input", "gradients")) == {}
    for _, future in transcription._parts:
        future.set_result(["a"])
    sentences = [["u7", "b", "b"]]
    others.futures[1].set_result({"sentences": [], "own_s": {"decoding": 2.0, "utterances": 1.0}})
    others.futures[0].set_result({"sentences": sentences, "own_s": {"decoding": 1.0, "utterances": 2.0}})
    assert [each.id for each in transcription.sentences()] == ["u0", "u1", "u2", "u7"]
    found = trainer.taken_everywhere(("forward", "decoding", "utterances"))
    assert found["forward"][1:] == (3.0, 4.0) and found["utterances"] == (3.0, 2.0, 1.0)
    assert found["decoding"][1:] == (1.0, 2.0) and 0 <= found["decoding"][0] < 60
