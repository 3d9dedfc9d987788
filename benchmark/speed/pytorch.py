"""A plain PyTorch program that trains the suite's model on the suite's shards, as one would write it. Imports torch.

    utterances = Utterances(folder, manifest.load(folder), "train")
    batches, model = batches_of(utterances, layout, seed=1), Network(workload.model)
    for loss, count in trained_on(model, batches, optimiser_of(model)):     # an epoch
        ...

What is the suite's is the data's format, how utterances are put into batches (`features.reading.batches.Buckets`) and
what initial weights are drawn from. All else is PyTorch's own: nn.Conv1d, nn.LSTM, nn.BatchNorm1d over all frames of a
batch (its padding included, a few percent), nn.Dropout, nn.CTCLoss, optim.Adadelta, DataLoader, eager, on all cores.
Features are normalised once and held in memory, and no process of its own loads them: of a corpus this small
everything else would be slower.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, Sampler

from benchmark.speed.sizes import FEATURES
from features.corpus.text import BLANK
from features.reading.batches import Buckets, EpochOrder
from features.shards import tfrecord
from features.shards.manifest import Manifest

EPSILON = 1e-3  # of batch normalisation, as the suite's


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """One utterance: features float32 [T, F], of mean 0 and variance 1 each, and labels int64 [L]."""

    id: str
    sentence: str
    features: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some utterances, padded with zeros to the longest: features float32 [B, T, F], frames int64 [B] of each.

    `labels` of all stand one after another, int64 [sum of label_lengths].
    """

    utterances: Sequence[Utterance]
    features: torch.Tensor
    frames: torch.Tensor
    labels: torch.Tensor
    label_lengths: torch.Tensor


class Utterances(Dataset):
    """The utterances of a role or subset, read from its shards and held in memory."""

    def __init__(self, folder: Path, manifest: Manifest, role_or_subset: str) -> None:
        gzipped = manifest.settings.compression == "gzip"
        shards = [folder / shard.file for shard in manifest.select(role_or_subset)]
        records = (record for shard in shards for record in tfrecord.read(shard, gzipped=gzipped))
        self._utterances = [_utterance(tfrecord.fields(record), manifest.settings.dtype) for record in records]

    def __len__(self) -> int:
        return len(self._utterances)

    def __getitem__(self, number: int) -> Utterance:
        return self._utterances[number]

    @property
    def lengths(self) -> list[int]:
        """The frames of each."""
        return [len(utterance.features) for utterance in self._utterances]


def _utterance(fields: dict[str, bytes], dtype: str) -> Utterance:
    stored = np.frombuffer(fields["features"], dtype).reshape(-1, FEATURES).astype(np.float32)
    centred = stored - stored.mean(0)
    return Utterance(
        id=fields["id"].decode(),
        sentence=fields["sentence"].decode(),
        features=torch.from_numpy(centred / np.sqrt(np.square(centred).mean(0) + 1e-6)),
        labels=torch.tensor(list(fields["labels"])),
    )


class InBuckets(Sampler):
    """Batches of utterances of like length, in another order every epoch."""

    def __init__(self, lengths: Sequence[int], layout: Buckets, *, seed: int) -> None:
        self.lengths, self.layout, self.seed, self.epoch = lengths, layout, seed, 0

    def __len__(self) -> int:
        return self.layout.batches(self.lengths)

    def __iter__(self) -> Iterator[list[int]]:
        self.epoch += 1
        rng = EpochOrder(seed=self.seed, epoch=self.epoch).generator()
        bucket_of, size, batches = self.layout.assign(self.lengths, rng), self.layout.batch, []
        for bucket in np.unique(bucket_of):
            members = rng.permutation(np.flatnonzero(bucket_of == bucket)).tolist()
            batches += [members[start : start + size] for start in range(0, len(members), size)]
        return iter([batches[n] for n in rng.permutation(len(batches))])


def batches_of(utterances: Utterances, layout: Buckets, *, seed: int) -> DataLoader:
    """Return what gives an epoch of Batches each time that it is gone through."""
    sampler = InBuckets(utterances.lengths, layout, seed=seed)
    return DataLoader(utterances, batch_sampler=sampler, collate_fn=_together)


def by_length(utterances: Utterances, batch: int) -> DataLoader:
    """Return what gives all utterances in Batches, the shortest first."""
    order = np.argsort(utterances.lengths, kind="stable").tolist()
    sampler = [order[start : start + batch] for start in range(0, len(order), batch)]
    return DataLoader(utterances, batch_sampler=sampler, collate_fn=_together)


def _together(utterances: Sequence[Utterance]) -> Batch:
    return Batch(
        utterances=utterances,
        features=pad_sequence([each.features for each in utterances], batch_first=True),
        frames=torch.tensor([len(each.features) for each in utterances]),
        labels=torch.cat([each.labels for each in utterances]),
        label_lengths=torch.tensor([len(each.labels) for each in utterances]),
    )


class Network(nn.Module):
    """The model of the recipe `paper`: [B, T, F] -> logits [T', B, 30]."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        widths = [config.filters] + [config.units] * config.layers
        self.convolution = nn.Conv1d(config.features, config.filters, config.kernel, config.stride, bias=False)
        self.lstms = nn.ModuleList([nn.LSTM(width, config.units) for width in widths[:-1]])
        self.norms = nn.ModuleList(
            [nn.BatchNorm1d(width, eps=EPSILON, momentum=1 - config.norm_momentum) for width in widths]
        )
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(config.units, config.alphabet)
        self._draw_weights()

    def _draw_weights(self) -> None:
        """Draw weights as the suite's model does, and Keras: PyTorch's usual ones make another training."""
        for name, weights in self.named_parameters():
            if name.startswith("norms"):
                continue
            if name.endswith(("bias", "bias_ih_l0", "bias_hh_l0")):
                nn.init.zeros_(weights)
            elif name.endswith("weight_hh_l0"):
                nn.init.orthogonal_(weights)
            else:
                nn.init.xavier_uniform_(weights)

    def forward(self, x_BTF: torch.Tensor) -> torch.Tensor:
        x_TBC = self.convolution(x_BTF.transpose(1, 2)).permute(2, 0, 1).contiguous()
        x_TBC = self._between(x_TBC, self.norms[0])
        for lstm, norm in zip(self.lstms, self.norms[1:], strict=True):
            x_TBC = self._between(lstm(x_TBC)[0], norm)
        return self.output(x_TBC)

    def _between(self, x_TBC: torch.Tensor, norm: nn.BatchNorm1d) -> torch.Tensor:
        return self.dropout(norm(x_TBC.flatten(0, 1)).view(x_TBC.shape))


def output_frames(model: Network, frames: torch.Tensor) -> torch.Tensor:
    """Return T' of T, int64 [B]."""
    return (frames - model.convolution.kernel_size[0]) // model.convolution.stride[0] + 1


def loss_of(model: Network, batch: Batch) -> torch.Tensor:
    """Return the CTC loss in nats, the mean over utterances of the sum over their labels."""
    chances = model(batch.features).log_softmax(-1)
    total = nn.CTCLoss(blank=BLANK, reduction="sum")
    return total(chances, batch.labels, output_frames(model, batch.frames), batch.label_lengths) / len(batch.frames)


def optimiser_of(model: Network) -> torch.optim.Optimizer:
    return torch.optim.Adadelta(model.parameters(), lr=1.0, rho=0.95, eps=1e-8)


def trained_on(
    model: Network, batches: Iterable[Batch], optimiser: torch.optim.Optimizer
) -> Iterator[tuple[float, int]]:
    """Train on batches; yield loss and number of utterances of each."""
    model.train()
    for batch in batches:
        optimiser.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        optimiser.step()
        yield loss.item(), len(batch.frames)


@torch.inference_mode()
def logits_of(model: Network, batches: Iterable[Batch]) -> list[tuple[Utterance, np.ndarray]]:
    """Return all utterances with their logits, float32 [T', 30]."""
    model.eval()
    found: list[tuple[Utterance, np.ndarray]] = []
    for batch in batches:
        logits = model(batch.features).transpose(0, 1).contiguous().numpy()
        counts = output_frames(model, batch.frames).tolist()
        matrices = [matrix[:count] for matrix, count in zip(logits, counts, strict=True)]
        found += zip(batch.utterances, matrices, strict=True)
    return found
