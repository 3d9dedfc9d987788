"""Signatures by ssh-keygen; skipped where it is not here."""

import subprocess

import pytest
from sealed import bundle, members_of, run_files

from benchmark.proof import signature
from benchmark.proof.verdict import Refuted
from benchmark.proof.verify import Ask, verify

needs_keygen = pytest.mark.skipif(not signature.is_there(), reason="ssh-keygen is not here")


@pytest.fixture
def keys(tmp_path):
    """Two keys, and a file that allows the first to ada."""
    for name in ("ada", "eve"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(tmp_path / name)]
        subprocess.run(command, check=True)
    (tmp_path / "signers").write_text(f"ada@example.org {(tmp_path / 'ada.pub').read_text()}")
    return tmp_path


@needs_keygen
def test_a_signature_says_whose_it_is_and_is_of_these_bytes_alone(keys):
    data = signature.signed(b"{}", key=keys / "ada")
    assert data == signature.signed(b"{}", key=keys / "ada")  # Ed25519 draws no number: sealing twice is the same
    assert signature.whose(b"{}", data, signers=keys / "signers").startswith("ada@example.org, SHA256:")
    assert signature.whose(b"{}", data, signers=None).startswith("SHA256:")
    with pytest.raises(Refuted, match="none of this seal.json"):
        signature.whose(b"{ }", data, signers=None)
    with pytest.raises(Refuted, match="nobody's in"):
        signature.whose(b"{}", signature.signed(b"{}", key=keys / "eve"), signers=keys / "signers")


@needs_keygen
def test_a_signed_bundle_is_verified_and_one_sealed_anew_is_not(keys, tmp_path):
    files = run_files(tmp_path / "run")
    plain = bundle(tmp_path / "a.tta.zip", files)
    seal = members_of(plain)["seal.json"]
    assert verify(plain, Ask(signers=keys / "signers")).difference.startswith("it is not signed")
    data = signature.signed(seal, key=keys / "ada")
    signed = bundle(tmp_path / "b.tta.zip", {**files, "seal.json.sig": data}, seal=seal)
    report = verify(signed, Ask(signers=keys / "signers"))
    assert report.status == 0 and report.signer.startswith("ada@example.org")
    assert "whose it is is not known" in "\n".join(verify(signed, Ask()).lines())
    cheated = {**files, "run/words.txt": b"another\n"}
    other = bundle(tmp_path / "c.tta.zip", cheated)
    forged = bundle(tmp_path / "d.tta.zip", {**cheated, "seal.json.sig": data}, seal=members_of(other)["seal.json"])
    assert verify(forged, Ask()).difference.startswith("the signature is none of this seal.json")


@needs_keygen
def test_a_key_that_is_none_is_said(tmp_path):
    (tmp_path / "key").write_text("no key\n")
    with pytest.raises(signature.SignatureError, match="cannot sign"):
        signature.signed(b"{}", key=tmp_path / "key")


def test_without_ssh_keygen_a_signature_is_left_unchecked_and_one_that_is_asked_for_cannot_be(tmp_path, monkeypatch):
    files = run_files(tmp_path / "run")
    seal = members_of(bundle(tmp_path / "a.tta.zip", files))["seal.json"]
    signed = bundle(tmp_path / "b.tta.zip", {**files, "seal.json.sig": b"x"}, seal=seal)
    monkeypatch.setattr("shutil.which", lambda _: None)
    report = verify(signed, Ask())
    assert report.status == 0 and "the signature: ssh-keygen is not here" in report.left["bytes"]
    asked = verify(signed, Ask(signers=tmp_path / "signers"))
    assert asked.status == 2 and "apt install openssh-client" in asked.cannot
