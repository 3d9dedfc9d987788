"""Part `padding`: the share of frames that is padding, and the number of shapes, on a features folder of yours.

Fixed: every utterance padded to 1670 frames, as in the paper. Buckets: the workloads' default, at most 10 lengths,
and 4 for comparison. Nothing is timed: the manifest's lengths are enough.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.speed.results import Result
from benchmark.speed.sizes import Setting
from features.reading.batches import Buckets
from features.shards import manifest

FIXED_FRAMES = 1670
BUCKETS = (10, 4)
BATCH = 16
SHARE_TARGET, WASTE_TARGET = 0.10, 0.25


def measure(setting: Setting) -> list[Result]:
    """Return a Result for each number of buckets. Raises ValueError without a features folder."""
    if setting.features is None:
        raise ValueError("padding needs a features folder: --features DIR (python -m features makes one)")
    lengths = manifest.load(setting.features).lengths("train")
    batch = setting.batches[0] if setting.batches else BATCH
    return [compare(lengths, batch=batch, buckets=buckets) for buckets in BUCKETS]


def compare(lengths: Sequence[int], *, batch: int, buckets: int) -> Result:
    """Compare padded frames, in percent of all frames; the ratio is that of padded frames, fixed over bucketed."""
    fixed = Buckets.fixed(max(FIXED_FRAMES, *lengths), batch=batch)
    bucketed = Buckets.bucketed(lengths, batch=batch, buckets=buckets)
    shares = [layout.padded_share(lengths) for layout in (bucketed, fixed)]
    ours, theirs = (share / (1 - share) * sum(lengths) for share in shares)  # frames
    return Result(
        part=f"padding, {buckets} buckets, batch {batch}",
        unit="% padded",
        ours=100 * shares[0],
        baseline=100 * shares[1],
        ratios=(theirs / ours,) if ours else (),
        note=f"{len(lengths):,} utterances; shapes: {len(bucketed.boundaries)} "
        f"({', '.join(map(str, bucketed.boundaries))} frames), fixed 1; padded frames {ours:,.0f}, "
        f"fixed {theirs:,.0f}; targets under {SHARE_TARGET:.0%}, and under {WASTE_TARGET:.0%} of fixed's padded frames "
        f"(a ratio above {1 / WASTE_TARGET:g})",
        measured={"padded_share": shares, "edges": list(bucketed.boundaries)},
    )
