"""The inputs of finetuning: pixels augmented anew each time, or cached activations of the frozen layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from transfer.data.augment import Augmentation, augment
from transfer.data.cache import Pixels
from transfer.features.network import Machine
from transfer.runtime.device import FORWARD_BATCH, autocast, normalise, run_in_batches, to_float_images
from transfer.spec.train_spec import SourceModelSpec

VIEWS = 4  # of each image that are cached: itself, and augmented ones that take turns over the epochs
LEAST_VIEWS = 3  # with fewer, augmentation is worth more than what caching saves
MOST_BYTES = 1 << 30  # of cached activations; beyond, the frozen layers are run again for every batch
RESIDENT = 0.25  # share of the free GPU memory that the pixels may take


class Inputs(Protocol):
    """What the trained part of the network takes."""

    def training(self, rows: Tensor, epoch: int, generator: torch.Generator) -> Tensor:
        """An augmented batch of the images `rows` (int64)."""
        ...

    def clean(self, rows: Tensor) -> Tensor:
        """The same images without augmentation, as in serving."""
        ...


@dataclass(frozen=True)
class PixelInputs:
    """Normalised images, float (n, 3, side, side)."""

    pixels: Tensor  # uint8 (n, side, side, 3); on the GPU when it fits there
    source: SourceModelSpec
    augmentation: Augmentation
    device: torch.device

    def training(self, rows: Tensor, epoch: int, generator: torch.Generator) -> Tensor:
        return normalise(
            augment(self._float_images(rows), self.augmentation, generator), self.source.mean, self.source.std
        )

    def clean(self, rows: Tensor) -> Tensor:
        return normalise(self._float_images(rows), self.source.mean, self.source.std)

    def _float_images(self, rows: Tensor) -> Tensor:
        if self.pixels.device.type == 'cuda':
            return self.pixels[rows.to(self.pixels.device)].permute(0, 3, 1, 2).float().div_(255)
        return to_float_images(self.pixels[rows], self.device)


@dataclass(frozen=True)
class CachedInputs:
    """Activations before the first group that is finetuned."""

    views: Tensor  # (views, n, ...); view 0 is the image itself

    def training(self, rows: Tensor, epoch: int, generator: torch.Generator) -> Tensor:
        return self.views[(epoch + rows) % len(self.views), rows].float()

    def clean(self, rows: Tensor) -> Tensor:
        return self.views[0, rows].float()


def make_pixel_inputs(
    pixels: Pixels, source: SourceModelSpec, augmentation: Augmentation, device: torch.device
) -> PixelInputs:
    tensor = torch.from_numpy(np.asarray(pixels.array))
    if device.type == 'cuda' and tensor.nbytes < RESIDENT * torch.cuda.mem_get_info()[0]:
        tensor = tensor.to(device)
    return PixelInputs(tensor, source, augmentation, device)


@torch.inference_mode()
def cache_activations(
    prefix: nn.Module,
    images: PixelInputs,
    precision: str,
    seed: int,
    machine: Machine,
    on_progress: Callable[[float], None],
) -> CachedInputs | None:
    """Run the frozen layers on as many views of every image as fit; None when fewer than LEAST_VIEWS do."""
    prefix.eval()
    count = len(images.pixels)
    one = _forward(prefix, images.clean(torch.arange(1)), precision, images.device)
    number = min(VIEWS, MOST_BYTES // (one.nbytes * count))
    if number < LEAST_VIEWS:
        return None
    views = torch.empty((number, count, *one.shape[1:]), dtype=one.dtype, device=images.device)
    for view in range(number):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + view)

        def work(start: int, stop: int, view: int = view, generator: torch.Generator = generator) -> None:
            rows = torch.arange(start, stop)
            batch = images.training(rows, 0, generator) if view else images.clean(rows)
            views[view, start:stop] = _forward(prefix, batch, precision, images.device)
            on_progress((view + stop / count) / number)

        run_in_batches(count, FORWARD_BATCH[images.device.type], work, machine.note)
    return CachedInputs(views.clone())


def _forward(prefix: nn.Module, batch: Tensor, precision: str, device: torch.device) -> Tensor:
    with autocast(device, precision):
        return prefix(batch).float()
