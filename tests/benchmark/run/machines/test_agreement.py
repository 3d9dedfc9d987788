"""What hosts compare before they train together."""

import dataclasses

import pytest

from benchmark.run.prepare.hosts import Hosts
from models.ctc.decoders import Decoder

HOSTS = Hosts(addresses=("a:1", "b:1"), rank=0)


@pytest.fixture(scope="module")
def agreement(tf):
    from benchmark.run.machines import agreement

    return agreement


def test_variables_that_change_figures_are_compared_and_those_of_one_host_are_not(agreement):
    environ = {
        "TF_DETERMINISTIC_OPS": "1", "XLA_FLAGS": "--xla_x", "NVIDIA_TF32_OVERRIDE": "0", "PATH": "/bin", "HOME": "/x",
        "TF_CONFIG": "{}", "TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "0",
    }  # fmt: skip
    assert list(agreement.switches(environ)) == [
        "NVIDIA_TF32_OVERRIDE", "TF_DETERMINISTIC_OPS", "TF_ENABLE_ONEDNN_OPTS", "XLA_FLAGS"
    ]  # fmt: skip


def test_a_field_that_only_the_other_host_has_is_a_difference_too(agreement):
    (said,) = agreement.differences({0: {"environment": {}}, 1: {"environment": {"TF_X": "1"}}}, HOSTS)
    assert said.startswith("environment TF_X is None on host 0 (a:1), and 1 on host 1 (b:1)")


def test_hosts_with_language_models_of_one_name_and_other_content_differ(agreement, tmp_path):
    labels = []
    for number in (1, 2):
        path = tmp_path / str(number) / "lm.arpa"
        path.parent.mkdir()
        path.write_text(f"{number}")
        decoder = Decoder(name="language-model", words=("a",), language_model=path)
        labels.append({"decoder": decoder.label, "language model": decoder.language_model_digest})
    found = agreement.differences(dict(enumerate(labels)), HOSTS)
    assert [sentence.split(" is ")[0] for sentence in found] == ["decoder", "language model"]


def test_all_that_a_host_would_compute_otherwise_with_is_among_the_facts(agreement, monkeypatch):
    """A learner's digests of weights and tokens, the decoder, the switches: none may be left out."""

    @dataclasses.dataclass
    class Thing:
        def __getattr__(self, name):
            return {"digest": "d", "names": (), "local_replicas": 0, "emulated": False, "lengths": []}.get(name, self)

        def to_dict(self, **_):
            return {}

    thing = Thing()
    thing.learner = dataclasses.make_dataclass("L", [])()
    thing.learner.about = {"weights": "/here", "weights_sha256": "w", "tokens_sha256": "t"}
    thing.platform = thing.workload = thing
    thing.seed, thing.synthetic, thing.deterministic, thing.start = 1, False, False, None
    facts = agreement.facts_of(thing, thing, Decoder(), {"TF_X": "1"})
    assert facts["weights sha256"] == "w" and facts["tokens sha256"] == "t" and "weights" not in facts
    assert facts["decoder"] == "greedy" and facts["environment"] == {"TF_X": "1"}
