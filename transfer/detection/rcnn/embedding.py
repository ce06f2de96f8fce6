"""Features of regions: each is warped and goes through the network alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from transfer.data.decode import UprightImage, decode_image
from transfer.detection.rcnn.infer import crop_batches
from transfer.runtime.atomic_write import replace_file
from transfer.runtime.lru import LruCache
from transfer.spec.rcnn import RcnnSpec
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.networks.architecture import Architecture

LEAST_SIDE = 600  # pixels of the shorter side that a JPEG keeps at least when decoded reduced
CACHE_BYTES = 512 * 1024 * 1024  # of decoded photos


@torch.inference_mode()
def embed_regions(
    network: Architecture,
    model: nn.Module,
    photo: UprightImage,
    boxes: np.ndarray,
    source: SourceModelSpec,
    spec: RcnnSpec,
) -> np.ndarray:
    """(n, d) float32 features of boxes (n, 4) in the photo's pixels; `model` in eval mode."""
    device = next(model.parameters()).device
    features = [np.zeros((0, network.feature_size), np.float32)]
    for crops in crop_batches(photo, boxes, source.side, source.mean, spec):
        images = normalise_crops(crops, source).to(device, memory_format=torch.channels_last)
        with torch.autocast('cuda', torch.bfloat16, enabled=device.type == 'cuda'):
            embedded = network.embed(model, images)
        features.append(embedded.float().cpu().numpy())
    return np.concatenate(features)


def normalise_crops(crops: np.ndarray, source: SourceModelSpec) -> Tensor:
    """(n, side, side, 3) uint8 to (n, 3, side, side) float, as the source was trained."""
    values = torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))).float().div_(255)
    return (values - torch.tensor(source.mean)[:, None, None]) / torch.tensor(source.std)[:, None, None]


class FeatureStore:
    """Features of every image's regions on disk, read again for each class.

    In float16: 2,000 regions of 576 features are 2 MB an image.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, number: int, features: np.ndarray) -> None:
        with replace_file(self.folder / f'{number}.npy') as aside, aside.open('wb') as file:
            np.save(file, features.astype(np.float16), allow_pickle=False)

    def has(self, number: int) -> bool:
        """Whether an earlier attempt at this training wrote them."""
        return (self.folder / f'{number}.npy').exists()

    def read(self, number: int) -> np.ndarray:
        return np.load(self.folder / f'{number}.npy', allow_pickle=False).astype(np.float32)


class PhotoCache:
    """Decoded photos, the most recently used within a bound of bytes.

    A training reads them again and again.
    """

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._photos: LruCache[str, UprightImage] = LruCache(limit, lambda photo: photo.pixels.nbytes)

    def get(self, path: str) -> UprightImage:
        return self._photos.get_or_make(path, lambda: decode_image(path, LEAST_SIDE))
