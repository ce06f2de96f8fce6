"""A small sealed model that is right: LeNet-5, trained in a moment on red, green and blue images."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.support.photos import draw_photo
from transfer.data.decode import decode
from transfer.serving import artifacts, sealing
from transfer.serving.classifier import Predictor
from transfer.spec.report import SealedModel, TrainReport
from transfer.spec.train_spec import SourceModelSpec, TrainSpec

LABELS = ('blue', 'green', 'red')
TINTS = {'blue': (40, 40, 200), 'green': (40, 200, 40), 'red': (200, 40, 40)}
SOURCE = SourceModelSpec(
    name='none', architecture='lenet5', weights='', digest='', classes=3, images=30, side=32
)


def photo(label: str, seed: int = 0, side: int = 48) -> bytes:
    return draw_photo(seed, side, TINTS[label])


def classify(predictor: Predictor, photos: Sequence[bytes]) -> np.ndarray:
    """Probabilities (n, classes) of encoded photos."""
    return predictor.classify_pixels(np.stack([predictor.decode(photo) for photo in photos]))


@functools.cache
def train_network():
    import torch

    from transfer.zoo.networks.registry import architecture

    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = architecture('lenet5').build(3)
    architecture('lenet5').replace_head(network, 3)
    pixels = torch.from_numpy(sample()).permute(0, 3, 1, 2) / 255
    images = (pixels - torch.tensor(SOURCE.mean).view(1, 3, 1, 1)) / torch.tensor(SOURCE.std).view(1, 3, 1, 1)
    truths = torch.arange(len(images)) % 3
    optimizer = torch.optim.Adam(network.parameters(), 0.003)
    for _ in range(25):
        loss = torch.nn.functional.cross_entropy(network(images), truths)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


def sample() -> np.ndarray:
    """uint8 (30, 32, 32, 3), the three colours in turn."""
    return np.stack([decode(photo(LABELS[index % 3], index), SOURCE.side) for index in range(30)])


def seal(folder: Path, **changes) -> SealedModel:
    report = TrainReport(
        accuracy=1.0,
        interval=(0.89, 1.0),
        images=30,
        labels=LABELS,
        winner='finetuned',
        why='it was better',
        source=SOURCE.name,
    )
    options = {
        'labels': LABELS,
        'preprocessing': artifacts.Preprocessing.of(SOURCE),
        'temperature': 1.5,
        'source': SOURCE,
        'why': 'the only one',
        'spec': TrainSpec(seed=7),
        'report': report,
        'sample': sample(),
        **changes,
    }
    return sealing.seal(folder, options.pop('model', None) or train_network(), **options)
