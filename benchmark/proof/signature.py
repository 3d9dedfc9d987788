"""Signatures of a bundle's seal.json by a key that its owner has for SSH; ssh-keygen makes and checks them.

    data = signed(seal, key=Path("~/.ssh/id_ed25519"))          # the bytes of seal.json.sig
    whose(seal, data, signers=Path("allowed_signers"))          # "ada@example.org, SHA256:..."

A signature says who sealed a run, and not that the run is true. Without a file of allowed signers (ssh-keygen's format:
a name and a public key a line) only the key's fingerprint is known. The namespace keeps a signature from being taken
for one of anything else.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmark.proof.bundle import SEAL, SIGNATURE
from benchmark.proof.verdict import BYTES, Refuted

PROGRAM, NAMESPACE = "ssh-keygen", "speech-tta-seal"
LIMIT_S = 60


class SignatureError(ValueError):
    """A signature that cannot be made or looked at here; the message says what is missing."""


def is_there() -> bool:
    return shutil.which(PROGRAM) is not None


def signed(seal: bytes, *, key: Path) -> bytes:
    """Sign seal.json; ssh-keygen asks for the key's passphrase, or an agent has it. Raises SignatureError."""
    _check_there()
    with TemporaryDirectory(prefix="seal-") as folder:
        path = Path(folder) / SEAL
        path.write_bytes(seal)
        command = [PROGRAM, "-Y", "sign", "-f", str(key.expanduser()), "-n", NAMESPACE, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SignatureError(f"{key}: cannot sign ({_last_line(done.stderr)}); expected a private key for SSH")
        return (path.parent / SIGNATURE).read_bytes()


def whose(seal: bytes, signature: bytes, *, signers: Path | None) -> str:
    """Check a signature and return whose it is: a name of `signers`, and the key's fingerprint.

    Raises:
        SignatureError: there is no ssh-keygen, or no such file of signers.
        Refuted: it is no signature of these bytes, or of nobody in `signers`.
    """
    _check_there()
    if signers is not None and not signers.is_file():
        raise SignatureError(f"{signers}: no such file; expected allowed signers, a name and a public key a line")
    with TemporaryDirectory(prefix="seal-") as folder:
        path = Path(folder) / SIGNATURE
        path.write_bytes(signature)
        of = ["-n", NAMESPACE, "-s", str(path)]
        done = _asked(["check-novalidate", *of], seal)
        if done.returncode:
            raise Refuted(BYTES, f"the signature is none of this {SEAL} ({_last_line(done.stderr or done.stdout)})")
        found = re.search(r"SHA256:\S+", done.stdout)
        key = found[0] if found else "a key"
        if signers is None:
            return key
        named = _asked(["find-principals", "-s", str(path), "-f", str(signers)], seal)
        name = named.stdout.strip().splitlines()[0] if named.returncode == 0 and named.stdout.strip() else ""
        if not name or _asked(["verify", "-f", str(signers), "-I", name, *of], seal).returncode:
            raise Refuted(BYTES, f"signed by {key}, which is nobody's in {signers}")
        return f"{name}, {key}"


def _asked(arguments: list[str], seal: bytes) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([PROGRAM, "-Y", *arguments], input=seal, capture_output=True, timeout=LIMIT_S, check=False)
    texts = (each.decode(errors="replace") for each in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, *texts)


def _check_there() -> None:
    if not is_there():
        raise SignatureError(f"{PROGRAM} is not here; expected OpenSSH 8.2 or newer: apt install openssh-client")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1][:200]
