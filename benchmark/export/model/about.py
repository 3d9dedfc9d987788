"""metadata.json: what a reader needs to use a model without the suite."""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.export.model.opened import Opened
from benchmark.metrics import FIGURES
from benchmark.record.facts import read_facts
from features.corpus import text
from features.corpus.audio import SAMPLE_RATE_HZ

SCHEMA = 1
NORMALISATIONS = {
    "none": "features are used as they are",
    "frame-l2": "every frame is divided by its length, x / sqrt(max(sum of squares, 1e-12))",
    "utterance": "every feature has mean 0 and variance 1 over its utterance, (x - mean) / sqrt(variance + 1e-6)",
}


def metadata(opened: Opened, form: str, of_format: Mapping[str, object]) -> dict[str, object]:
    """Return the content of metadata.json, plain values. What is not known is left out, or null."""
    run, workload, row = opened.run, opened.run.workload, opened.evaluation
    facts = read_facts(run.folder)
    return {
        "schema": SCHEMA,
        "format": form,
        **of_format,
        "run": run.folder.name,
        "made_by": {"suite": "speech-tta", **(vars(facts.code) if facts else {})},
        "checkpoint": {"name": opened.checkpoint, "step": opened.step, "epoch": row.epoch if row else None},
        "figures_percent": {name: getattr(row, name) for name in FIGURES} if row else None,
        "evaluated_on": sorted(facts.features.evaluated) if facts else None,
        "decoder_of_figures": run.record.rows[0].decoder,
        "workload": workload.label,
        "model": workload.to_dict(paths=False)["model"],
        "trained_in": run.precision,
        "emulated": run.record.rows[0].emulated,
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "longest_trained_s": opened.segment * 160 / SAMPLE_RATE_HZ,
        "front_end": {"name": workload.model.front_end, "features": opened.front_end.size, **opened.front_end.about},
        "stored_as": "float16, before normalisation",
        "normalisation": {"name": workload.normalisation, "is": NORMALISATIONS[workload.normalisation]},
        "normaliser_of_transcripts": facts.features.normaliser if facts else None,
        "outputs": {**opened.parts.about(opened.learner), **_letters(opened)},
    }


def _letters(opened: Opened) -> dict[str, object]:
    """Return the alphabet, of a model that gives letters."""
    if opened.learner.decode is not None:
        return {}
    return {
        "alphabet": [*text.CHARACTERS, "<blank>"],
        "blank": text.BLANK,
        "separator": text.SEPARATOR_INDEX,
        "greedy": "the likeliest of each frame; repeats once; blanks and then separators left out",
    }
