"""seal.json: what is in a bundle, by its SHA-256, a chain over the journal's rows, and the figures that are claimed.

    chain = chained(journal)                            # a link for the header and for each row
    content = seal_of(files, journal, run="a", claims=..., left_out=...)
    check_chain(content, journal)                       # Refuted names the first row that is another

Link n is the SHA-256 of link n-1 and row n, beginning with the format's name and the header: a row that was changed,
taken out, put in or moved breaks the chain there, and the row is named. The links are kept at 16 hexadecimal digits
each, and the last one whole. Whoever changes a row and makes the chain anew is not caught by it: then the figures, the
weights, a replay or a signature have to see it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.proof.bundle import JOURNAL, SEAL, SIGNATURE, Bundle, BundleError
from benchmark.proof.verdict import BYTES, Refuted

FORMAT = "speech-tta sealed run"
SCHEMA = 1
LINK_DIGITS = 16
KEYS = {"format": str, "schema": int, "run": str, "files": dict, "journal": dict, "claims": dict, "left_out": dict}


def chained(journal: bytes) -> list[str]:
    """Return the chain over the lines of a journal, the header's link first."""
    link, found = hashlib.sha256(FORMAT.encode()).digest(), []
    for line in lines_of(journal):
        link = hashlib.sha256(link + line).digest()
        found.append(link.hex())
    return found


def lines_of(journal: bytes) -> list[bytes]:
    return journal.splitlines(keepends=True)


def seal_of(
    files: Mapping[str, tuple[int, str]],
    journal: bytes,
    *,
    run: str,
    claims: Mapping[str, Any],
    left_out: Mapping[str, Sequence[str]],
) -> bytes:
    """Return the bytes of seal.json. `files` has size and SHA-256 of every other member but the signature."""
    chain = chained(journal)
    content = {
        "format": FORMAT,
        "schema": SCHEMA,
        "run": run,
        "claims": claims,
        "left_out": {name: list(keys) for name, keys in sorted(left_out.items())},
        "files": {name: {"bytes": size, "sha256": digest} for name, (size, digest) in sorted(files.items())},
        "journal": {
            "rows": len(chain) - 1,
            "chain": chain[-1],
            "links": [link[:LINK_DIGITS] for link in chain],
        },
    }
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def read_seal(bundle: Bundle) -> dict[str, Any]:
    """Read a bundle's seal.json. Raises BundleError for one that no version of the suite has written."""
    try:
        content = json.loads(bundle.bytes(SEAL), object_pairs_hook=_each_once, parse_constant=_refused)
        if not isinstance(content, dict):
            raise ValueError("no object")
        if content.get("format") != FORMAT:
            raise ValueError(f"format is {str(content.get('format'))[:40]!r}; expected {FORMAT!r}")
        if content.get("schema") != SCHEMA:
            raise ValueError(f"schema is {str(content.get('schema'))[:40]}; expected {SCHEMA}, of this version")
        if wrong := [name for name, kind in KEYS.items() if type(content.get(name)) is not kind]:
            raise ValueError(f"{wrong[0]} is {str(content.get(wrong[0]))[:40]!r}")
        for name, each in content["files"].items():
            if type(each) is not dict or type(each.get("bytes")) is not int or type(each.get("sha256")) is not str:
                raise ValueError(f"{name[:80]!r} has no size and SHA-256")
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{bundle.path}: its {SEAL} cannot be used ({str(error)[:200]})") from None
    return content


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key that is there twice")
    return found


def _refused(text: str) -> float:
    raise ValueError(f"the number {text}")


def check_files(bundle: Bundle, content: Mapping[str, Any]) -> None:
    """Check that the members are those of seal.json, byte for byte. Raises Refuted at the first that is not.

    The journal comes first, and by its chain, so that the first row that differs is named.
    """
    sealed = content["files"]
    there = {name for name in bundle.names if name not in (SEAL, SIGNATURE)}
    if missing := sorted(sealed.keys() - there):
        raise Refuted(BYTES, f"{missing[0]} is missing; it was sealed")
    if strange := sorted(there - sealed.keys()):
        raise Refuted(BYTES, f"{strange[0]} was not sealed; expected the files that {SEAL} lists")
    for name in sorted(sealed, key=lambda each: (each != JOURNAL, each)):
        if name == JOURNAL:
            check_chain(content, bundle.bytes(name))
        size, digest = sealed[name]["bytes"], sealed[name]["sha256"]
        if bundle.size(name) != size:
            raise Refuted(BYTES, f"{name} has {bundle.size(name)} bytes; {size} were sealed")
        if (found := bundle.sha256(name)) != digest:
            raise Refuted(BYTES, f"{name} is not what was sealed (SHA-256 {found[:16]}; expected {digest[:16]})")


def check_chain(content: Mapping[str, Any], journal: bytes) -> None:
    """Check the journal against the chain of seal.json. Raises Refuted, which names the first row that differs."""
    found, sealed = chained(journal), content["journal"]
    links = sealed.get("links")
    if type(links) is not list or not links or len(links) - 1 != sealed.get("rows"):
        raise Refuted(BYTES, f"{SEAL} has {len(links) if type(links) is list else 'no'} links of "
                             f"{sealed.get('rows')} rows; expected one a row, and the header's")  # fmt: skip
    lines = lines_of(journal)
    for number, (link, expected) in enumerate(zip(found, links, strict=False)):
        if link[:LINK_DIGITS] != expected:
            line = lines[number].decode(errors="replace").strip()
            what = f"line {number + 1} of the journal is not what was sealed"
            raise Refuted(BYTES, f"{what}: found {_shown(line)}")
    if len(found) != len(links):
        raise Refuted(BYTES, f"the journal has {len(found) - 1} rows; {len(links) - 1} were sealed")
    if found[-1] != sealed.get("chain"):
        raise Refuted(BYTES, "the chain of the journal's rows ends elsewhere than in seal.json")


def _shown(line: str) -> str:
    """The end of a row, where phase, times and figures are."""
    return repr(line if len(line) < 120 else f"...{line[-117:]}")
