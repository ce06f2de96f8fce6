"""Features of regions: each is warped and goes through the network alone, which is what makes R-CNN slow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from transfer.data.decode import Upright
from transfer.detection.rcnn.regions import Photos, Regions
from transfer.regions.warp import warped
from transfer.spec.rcnn import RcnnSpec
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.networks.architecture import Architecture


@torch.inference_mode()
def embedded(
    network: Architecture,
    model: nn.Module,
    photo: Upright,
    boxes: np.ndarray,
    source: SourceModelSpec,
    spec: RcnnSpec,
) -> np.ndarray:
    """(n, d) float32 of boxes (n, 4) in the photo's pixels; `model` in eval mode."""
    device = next(model.parameters()).device
    own = own_pixels(photo, boxes)
    found = [np.zeros((0, network.feature_size), np.float32)]
    for start in range(0, len(own), spec.embed_batch):
        crops = [
            warped(photo.pixels, box, source.side, spec.context, source.mean)
            for box in own[start : start + spec.embed_batch]
        ]
        with torch.autocast('cuda', torch.bfloat16, enabled=device.type == 'cuda'):
            made = network.embed(
                model, normalised(np.stack(crops), source).to(device, memory_format=torch.channels_last)
            )
        found.append(made.float().cpu().numpy())
    return np.concatenate(found)


def own_pixels(photo: Upright, boxes: np.ndarray) -> np.ndarray:
    """Boxes in the pixels of the photo as it was decoded, perhaps reduced."""
    height, width, _ = photo.pixels.shape
    return boxes * np.array([width / photo.width, height / photo.height] * 2)


def normalised(crops: np.ndarray, source: SourceModelSpec) -> Tensor:
    """(n, side, side, 3) uint8 to (n, 3, side, side), as the source was trained."""
    shares = torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))).float().div_(255)
    return (shares - torch.tensor(source.mean)[:, None, None]) / torch.tensor(source.std)[:, None, None]


class Features:
    """Features of every image's regions on disk (float16: 2,000 x 576 are 2 MB an image), read again for each class."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, number: int, values: np.ndarray) -> None:
        aside = self.folder / f'{number}.part'
        with aside.open('wb') as file:
            np.save(file, values.astype(np.float16), allow_pickle=False)
        aside.replace(self.folder / f'{number}.npy')

    def has(self, number: int) -> bool:
        """Whether an earlier attempt at this training put them there."""
        return (self.folder / f'{number}.npy').exists()

    def get(self, number: int) -> np.ndarray:
        return np.load(self.folder / f'{number}.npy', allow_pickle=False).astype(np.float32)


def embed_all(
    network: Architecture,
    model: nn.Module,
    known: list[Regions],
    source: SourceModelSpec,
    spec: RcnnSpec,
    store: Features,
    number: int,
) -> None:
    """Put the features of one image's regions into the store."""
    entry = known[number]
    store.put(number, embedded(network, model, Photos().get(entry.image.path), entry.boxes, source, spec))
