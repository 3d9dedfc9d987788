"""What is left out of a bundle: paths, hosts and users, and nothing else."""

import json

import pytest

from benchmark.proof.private import cleaned, named_in, names

KNOWN = {"gpu-box7": "(host)", "ada": "(user)"}


@pytest.mark.parametrize(
    "text, told",
    [
        ("/data/my", "(path)"),
        ("cannot write /data/x/y.csv: full", "cannot write (path): full"),
        ("~/speech and ./mine.toml", "(path) and (path)"),
        ("file:///srv/a", "(path)"),
        (r"C:\Users\ada\x", "(path)"),
        ("edits / words, 3.5 utterances/s and/or 12 EUR/h", None),
        ("https://example.org/prices", None),
        ("Linux 6.1.0-amd64", None),
        ("made on gpu-box7.lan by ada", "made on (host).lan by (user)"),
        ("adamant canada", None),
    ],
)
def test_paths_and_names_are_taken_out_and_other_words_stay(text, told):
    found, left_out = cleaned({"a": [text]}, KNOWN)
    assert found == {"a": [told or text]} and left_out == (["a"] if told else [])


def test_run_json_keeps_its_shape_and_says_what_it_lacks():
    content = {
        "features": {"folder": "/data/my speech/features", "manifest_sha256": "ab"},
        "decoder": {"language_model": "lms/4-gram.arpa.gz", "language_model_sha256": "cd"},
        "first_weights": {"weights": "RANDOM"},
        "devices": {"hosts": ["10.0.0.7", "gpu-box7:2222"], "replicas": 8},
        "command": {"arguments": ["--corpus", "/data/my speech", "--hosts", "a,b", "--data=~/d", "--seed", "3", "d/x"]},
    }
    found, left_out = cleaned(content, KNOWN)
    assert found["features"] == {"folder": "(path)", "manifest_sha256": "ab"}
    assert found["decoder"]["language_model"] == "(path)" and found["first_weights"] == {"weights": "RANDOM"}
    assert found["devices"] == {"hosts": ["host 0", "host 1"], "replicas": 8}
    words = ["--corpus", "(path)", "--hosts", "(host)", "--data=(path)", "--seed", "3", "(path)"]
    assert found["command"]["arguments"] == words
    assert left_out == ["features.folder", "decoder.language_model", "devices.hosts", "command.arguments"]
    assert "speech" not in json.dumps(found) and "10.0" not in json.dumps(found)


def test_names_that_say_nothing_of_anybody_stay(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "localhost")
    monkeypatch.setattr("getpass.getuser", lambda: "root")
    assert names() == {}
    monkeypatch.setattr("socket.gethostname", lambda: "gpu-box7")
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    assert names() == KNOWN


def test_a_name_is_found_as_a_word_alone():
    assert named_in("rig-gpu-box7", KNOWN) == "gpu-box7" and named_in("canada", KNOWN) is None
