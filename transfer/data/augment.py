"""Augmentation on tensors: random resized crop, flip, colour jitter and PCA lighting, for a whole batch at
once.

All random numbers come from the given generator, on the CPU, so a seed gives the same images on every
machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transfer.spec.train_spec import TrainSpec

RATIO = 4 / 3  # widest change of aspect of a crop, as in torchvision's references
# Principal components of ImageNet's RGB values and their standard deviations (Krizhevsky et al. 2012, section
# 4.1; the figures that the Torch and TensorFlow re-implementations share, for values in 0..1).
LIGHT_DIRECTIONS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
LIGHT_SPREADS = (0.2175, 0.0188, 0.0045)


@dataclass(frozen=True)
class Augmentation:
    """Strengths, as in TrainSpec."""

    flip: bool = True
    crop: float = 0.6  # smallest share of the area that is kept; 1: no crop
    jitter: float = 0.2  # brightness and contrast by up to this share, colour balance by half of it
    lighting: float = 0.0

    @staticmethod
    def of(spec: TrainSpec) -> Augmentation:
        return Augmentation(spec.flip, spec.crop, spec.jitter, spec.lighting)


def augment(images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """float (n, 3, h, w) in 0..1 to the same shape and range, each image changed by itself."""
    if how.flip or how.crop < 1:
        images = _crop_and_flip(images, how, generator)
    if how.jitter > 0:
        images = _jitter(images, how.jitter, generator)
    if how.lighting > 0:
        images = _light(images, how.lighting, generator)
    return images.clamp(0, 1)


def _uniform(count: int, low: float, high: float, generator: torch.Generator, like: Tensor) -> Tensor:
    return (torch.rand(count, generator=generator) * (high - low) + low).to(like.device)


def _crop_and_flip(images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """One bilinear resampling does both; a crop stays inside the picture."""
    count = len(images)
    area = _uniform(count, how.crop, 1.0, generator, images).sqrt()
    bend = (
        _uniform(count, -math.log(RATIO) / 2, math.log(RATIO) / 2, generator, images).exp()
        if how.crop < 1
        else torch.ones_like(area)
    )
    width, height = (area * bend).clamp(max=1.0), (area / bend).clamp(max=1.0)
    mirror = (
        torch.where(_uniform(count, 0, 1, generator, images) < 0.5, -1.0, 1.0)
        if how.flip
        else torch.ones_like(area)
    )
    left = _uniform(count, -1, 1, generator, images) * (1 - width)
    top = _uniform(count, -1, 1, generator, images) * (1 - height)
    rows, columns = images.shape[2:]
    grid = images.new_empty(count, rows, columns, 2)  # as affine_grid gives it, at a quarter of its cost
    grid[..., 0] = (_centres(columns, images) * (width * mirror)[:, None] + left[:, None])[:, None, :]
    grid[..., 1] = (_centres(rows, images) * height[:, None] + top[:, None])[:, :, None]
    return nn.functional.grid_sample(images, grid, padding_mode='border', align_corners=False)


def _centres(count: int, like: Tensor) -> Tensor:
    """The middles of so many pixels on a scale from -1 to 1."""
    return (torch.arange(count, device=like.device) * 2 + 1) / count - 1


def _jitter(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    count = len(images)
    brightness = _uniform(count, 1 - strength, 1 + strength, generator, images).view(-1, 1, 1, 1)
    contrast = _uniform(count, 1 - strength, 1 + strength, generator, images).view(-1, 1, 1, 1)
    balance = _uniform(count * 3, 1 - strength / 2, 1 + strength / 2, generator, images).view(-1, 3, 1, 1)
    middle = images.mean((1, 2, 3), keepdim=True)
    gain = brightness * balance  # ((images - middle) * contrast + middle) * gain, in one pass over the pixels
    return torch.addcmul(middle * (1 - contrast) * gain, images, contrast * gain)


def _light(images: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    amount = (
        torch.randn(len(images), 3, generator=generator).to(images.device)
        * deviation
        * images.new_tensor(LIGHT_SPREADS)
    )
    return images + (amount @ images.new_tensor(LIGHT_DIRECTIONS).T).view(-1, 3, 1, 1)
