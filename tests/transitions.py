"""The transition table of a run: which phase may follow which. The tests hold every journal to it."""

from benchmark.record.phases import EVALUATED, Phase

AFTER: dict[Phase | None, frozenset[Phase]] = {
    None: frozenset({Phase.CREATE}),
    Phase.CREATE: frozenset(Phase) - {Phase.CREATE},
    Phase.TRAIN: frozenset(Phase) - {Phase.CREATE},
    Phase.GENERATE: frozenset({Phase.TRAIN, Phase.CHECKPOINT, Phase.SWAP, *EVALUATED, Phase.DONE}),
    Phase.CHECKPOINT: frozenset({Phase.TRAIN, Phase.SWAP, *EVALUATED, Phase.DONE}),
    Phase.SWAP: frozenset({*EVALUATED, Phase.TRAIN, Phase.CHECKPOINT, Phase.DONE}),
    Phase.EVALUATE: frozenset(Phase) - {Phase.CREATE},
    Phase.PROBE: frozenset(Phase) - {Phase.CREATE},
}
"""Maps each phase to the phases whose rows may follow it within an attempt; None stands for the attempt's start.

Creation is followed by another phase than training if an attempt resumes where that phase is due, or at a limit. The
row of an overlapping evaluation is written when it ends, so any phase but creation may follow it.
"""
