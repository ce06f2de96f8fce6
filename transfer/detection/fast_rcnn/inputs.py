"""A photo as the network takes it: resized by its sides, normalised, and the factor from the photo's pixels to the input's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from transfer.data.decode import Upright
from transfer.regions.resize import resized
from transfer.spec.fast_rcnn import FastRcnnSpec


@dataclass(frozen=True)
class Input:
    image: Tensor  # (3, h, w) normalised
    scale: tuple[float, float]  # times a photo's x and y


def prepared(
    photo: Upright, spec: FastRcnnSpec, mean: tuple[float, ...], std: tuple[float, ...], flip: bool = False
) -> Input:
    """The short side at `short_side` unless the long one would pass `long_side`; mirrored when `flip`."""
    pixels, scale = resized(photo, spec)
    if flip:
        pixels = pixels[:, ::-1]
    shares = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).float().div_(255)
    image = (shares - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    return Input(image, scale)


def scaled(boxes: np.ndarray, scale: tuple[float, float]) -> Tensor:
    """(n, 4) float32 regions in the input's pixels."""
    return torch.from_numpy((boxes * np.array(scale * 2)).astype(np.float32))


def batched(inputs: list[Input]) -> Tensor:
    """(n, 3, h, w): smaller images are filled with the mean colour at the right and at the bottom."""
    height, width = max(i.image.shape[1] for i in inputs), max(i.image.shape[2] for i in inputs)
    batch = torch.zeros(len(inputs), 3, height, width)
    for index, given in enumerate(inputs):
        batch[index, :, : given.image.shape[1], : given.image.shape[2]] = given.image
    return batch
