"""What was said in the evaluated recordings, as the digest of the features has it: ids, texts, digests of samples.

    said = listed(Path("data/corpora/embedded-2500"), manifest, ("dev-synthetic",))
    said["dev-synthetic-00000.tfrecord"][0]             # ["201-1-0003", "we will clean it", "16000 1 d41d8c..."]

The digest in every row of a journal is made of such lists. With one a reader sees without any audio that the sentences
of the evaluations are those of the digest. The digests of samples say nothing that could be heard.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from features.shards.manifest import Manifest


class CorpusDiffers(ValueError):
    """A corpus that is not the one of which the features were made."""


def listed(root: Path, manifest: Manifest, subsets: tuple[str, ...]) -> dict[str, list[list[str]]]:
    """Return [id, text, digest of the samples] of every utterance of some subsets, by shard and in its order.

    Raises:
        CorpusDiffers: other recordings or sentences are there than those of the features.
        ValueError: the corpus, or a recording, cannot be read.
    """
    from features.corpus import text
    from features.corpus.audio import TooLongError, read_header
    from features.corpus.layout import read_corpus
    from features.shards.extraction import plan_shards
    from features.shards.records import misfit

    settings = manifest.settings
    utterances, _ = read_corpus(root)
    shards = {shard.file: shard for shard in manifest.shards}
    found: dict[str, list[list[str]]] = {}
    for plan in plan_shards(utterances, Path(), settings=settings, skip_bad=False):
        if plan.subset not in subsets:
            continue
        each_said = []
        for utterance in plan.utterances:
            try:
                audio = read_header(utterance.audio, max_frames=settings.max_frames)
            except TooLongError:
                continue
            if not misfit(audio.frames, len(text.encode(utterance.sentence)), settings.max_frames, settings.kind):
                each_said.append([utterance.id, utterance.sentence, audio.digest])
        name, content = plan.path.name, hashlib.sha256()
        for said in each_said:
            content.update(json.dumps(said).encode())
        if name not in shards or content.hexdigest() != shards[name].content:
            raise CorpusDiffers(f"{root}: other recordings or sentences of {plan.subset} than those of the features")
        found[name] = each_said
    missing = [s.file for s in manifest.shards if s.subset in subsets and s.frames and s.file not in found]
    if missing:
        raise CorpusDiffers(f"{root}: has nothing of {missing[0]}, which is among the features")
    return found
