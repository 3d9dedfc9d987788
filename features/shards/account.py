"""Say in sentences how much of a corpus its features hold, what was left out and why, and what that casts doubt on.

for line in describe(manifest): ...     # "dev-a: 5 of 20 utterances used (0.01 of 0.11 hours); left out: 15 ..."
for line in warnings(manifest, "dev"): ...
"""

from __future__ import annotations

from collections.abc import Iterator

from features.corpus.audio import FRAME_STEP_S
from features.shards.manifest import NAME, NO_SUBSET, TOO_LONG, Manifest

LARGE_SHARE = 0.05
"""The share of missing utterances from which on an evaluated set is warned of."""
SHOWN = 5


def describe(manifest: Manifest) -> Iterator[str]:
    """Yield a line for each subset, then what was converted, and what was left out, by examples."""
    for subset in manifest.subsets:
        yield _of_subset(manifest, subset)
    if manifest.normaliser:
        yield f"transcripts by normaliser {manifest.normaliser}"
    for note, count in sorted(manifest.notes.items()):
        yield f"{count:,} utterances {note}"
    strays = [each for each in manifest.left_out if each.kind == NO_SUBSET]
    yield from (f"{each.where}: {each.reason}" for each in strays[:SHOWN])
    others = [each for each in manifest.left_out if each.kind != NO_SUBSET]
    if others:
        yield f"left out, for example (all are in {NAME}):"
        yield from (f"  {each.where}: {each.reason}" for each in others[:SHOWN])


def _of_subset(manifest: Manifest, subset: str) -> str:
    used, hours = manifest.utterances(subset), manifest.seconds(subset) / 3600
    lost = manifest.lost(subset)
    if not lost:
        return f"{subset}: {used:,} utterances, {hours:.2f} hours"
    utterances = used + sum(count for count, _ in lost.values())
    all_hours = hours + sum(seconds for _, seconds in lost.values()) / 3600
    why = ", ".join(
        f"{count:,} {kind_words(manifest, kind)}" + (f" ({seconds / 3600:.2f} hours)" if seconds else "")
        for kind, (count, seconds) in lost.items()
    )
    return (
        f"{subset}: {used:,} of {utterances:,} utterances used ({hours:.2f} of {all_hours:.2f} hours); left out: {why}"
    )


def kind_words(manifest: Manifest, kind: str) -> str:
    """Return the kind of a reason in words: "longer than 16.7 s"."""
    return f"longer than {manifest.settings.max_frames * FRAME_STEP_S:g} s" if kind == TOO_LONG else kind


def warnings(manifest: Manifest, role_or_subset: str) -> Iterator[str]:
    """Yield doubts about the error rates of a subset, or of a role's subsets, because of what is missing from it."""
    if (share := manifest.lost_share(role_or_subset)) >= LARGE_SHARE:
        lost, used = manifest.lost(role_or_subset), manifest.utterances(role_or_subset)
        why = ", ".join(kind_words(manifest, kind) for kind in lost)
        yield (
            f"{share:.0%} of the utterances of {role_or_subset} are left out ({why}): error rates are of the other "
            f"{used:,}, and not to be compared with those of the whole set"
        )
    yield from _in_common(manifest, role_or_subset)


def _in_common(manifest: Manifest, role_or_subset: str) -> Iterator[str]:
    """Yield what the evaluated subsets have in common with training, and recordings that they have more than once."""
    for subset, shared in manifest.of_evaluated(role_or_subset).items():
        utterances = manifest.utterances(subset)
        if shared.recordings:
            yield (
                f"{shared.recordings:,} of the {utterances:,} recordings of {subset} are in a training subset too, by "
                f"their samples: its error rates are too low; take them out of one of both"
            )
        if shared.speakers:
            yield (
                f"{shared.speakers:,} speakers of {subset} are in a training subset too, by their folders' names: its "
                f"error rates are those of known speakers; move them into one of both, or rename them if they differ"
            )
        if shared.repeated:
            yield (
                f"{shared.repeated:,} of the {utterances:,} recordings of {subset} repeat others of it, by their "
                f"samples: they count as often as they are there; keep each once"
            )


def unknown_words(manifest: Manifest, role_or_subset: str) -> str:
    """Say which share of a set's words is not among the training words; "" if none."""
    share = manifest.unknown_share(role_or_subset)
    if not share:
        return ""
    return (
        f"{share:.1%} of the words of {role_or_subset} are not among the {len(manifest.words):,} training words: no "
        f"decoder restricted to them reaches a WER below {share:.1%}"
    )


def longer_than(manifest: Manifest, seconds: float) -> str:
    """Say how much of the training set is longer than a segment of `seconds`; "" if nothing is, or for 0."""
    lengths = manifest.lengths("train")
    longer = [frames for frames in lengths if seconds and frames > round(seconds / FRAME_STEP_S)]
    if not longer:
        return ""
    return (
        f"segments of {seconds:g} s: {len(longer):,} of {len(lengths):,} training utterances "
        f"({sum(longer) * FRAME_STEP_S / 3600:.2f} of {sum(lengths) * FRAME_STEP_S / 3600:.2f} hours) are longer and "
        f"left out: of one that is cut, nobody knows where its transcript would end"
    )
