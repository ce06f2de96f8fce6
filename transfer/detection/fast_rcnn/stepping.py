"""One step of learning: regions drawn from a few photos, their loss, and the change it makes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD

from transfer.data.decode import decode_whole
from transfer.detection.fast_rcnn.inputs import prepared, scaled
from transfer.detection.fast_rcnn.loss import loss
from transfer.detection.fast_rcnn.model import FastRcnn
from transfer.detection.fast_rcnn.sampling import Normal, Regions, Sample, mirrored, sample
from transfer.regions.resize import size_of
from transfer.spec.fast_rcnn import FastRcnnSpec
from transfer.spec.train_spec import SourceModelSpec

KEPT_BYTES = 1024 * 1024 * 1024


class Maps:
    """What the untouched body makes of photos and their mirror images, the most recently used kept within a bound of bytes.

    In half precision, whether it was kept or made anew: a training must not hang on what fitted into memory.
    """

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self._kept: OrderedDict[tuple[str, bool], Tensor] = OrderedDict()
        self._limit, self._bytes = limit, 0

    def get(self, path: str, flip: bool, make: Callable[[], Tensor]) -> Tensor:
        if (path, flip) in self._kept:
            self._kept.move_to_end((path, flip))
            return self._kept[path, flip].float()
        made = make().half()
        self._kept[path, flip] = made
        self._bytes += made.nbytes
        while self._bytes > self._limit and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return made.float()

    def drop(self) -> None:
        self._kept.clear()
        self._bytes = 0


@dataclass(frozen=True)
class Learner:
    """A detector that learns, and what it learns by. Photos go through the body one by one: nothing is padded."""

    model: FastRcnn
    optimiser: SGD
    norms: Normal
    source: SourceModelSpec
    spec: FastRcnnSpec
    maps: Maps

    def step(self, chosen: list[Regions], rng: np.random.Generator, *, heads_only: bool) -> float:
        """Learn from the photos; returns the loss. `heads_only`: the body stays as it is, and its maps are kept."""
        self._prepare(heads_only)
        model, device = self.model, self.model.score.weight.device
        drawn = [self._drawn(entry, rng) for entry in chosen]
        with torch.autocast('cuda', torch.bfloat16, enabled=device.type == 'cuda'):
            pooled = [self._pooled(entry, part, flip, heads_only) for entry, part, flip in drawn]
            scores, shifts = model.said(torch.cat(pooled))
        labels = torch.from_numpy(np.concatenate([part.labels for _, part, _ in drawn])).to(device)
        targets = torch.from_numpy(
            np.concatenate([part.shifts for _, part, _ in drawn]).astype(np.float32)
        ).to(device)
        moves = torch.from_numpy(np.concatenate([part.moves for _, part, _ in drawn])).to(device)
        value: Tensor = loss(scores.float(), shifts.float(), labels, targets, moves, self.spec.box_weight)
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), self.spec.clip)
        self.optimiser.step()
        return value.item()

    def _prepare(self, heads_only: bool) -> None:
        self.model.train()
        for module in self.model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()  # two photos are no sample to take statistics from
        if not heads_only:
            self.maps.drop()

    def _drawn(self, entry: Regions, rng: np.random.Generator) -> tuple[Regions, Sample, bool]:
        part, flip = sample(entry, self.norms, self.spec, rng), self.spec.flip and bool(rng.random() < 0.5)
        return entry, mirrored(part, self.norms, entry.image.width) if flip else part, flip

    def _pooled(self, entry: Regions, part: Sample, flip: bool, heads_only: bool) -> Tensor:
        device = self.model.score.weight.device
        if heads_only:
            with torch.no_grad():
                seen = self.maps.get(
                    entry.image.path, flip, lambda: self.model.seen(self._image(entry, flip))
                )
        else:
            seen = self.model.seen(self._image(entry, flip))
        width, height = size_of(entry.image.width, entry.image.height, self.spec)
        boxes = scaled(part.boxes, (width / entry.image.width, height / entry.image.height)).to(device)
        return self.model.pooled(self.model.reduce(seen), [boxes])

    def _image(self, entry: Regions, flip: bool) -> Tensor:
        photo = decode_whole(entry.image.path, self.spec.short_side)
        given = prepared(photo, self.spec, self.source.mean, self.source.std, flip)
        return given.image[None].to(self.model.score.weight.device, memory_format=torch.channels_last)
