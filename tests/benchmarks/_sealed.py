"""Sealed models of real size for the serving benchmarks, and photos of the size that people send from a
page."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

SHARED = Path(__file__).resolve().parents[3] / 'shared' / 'data'
LABELS = ('one', 'two', 'three', 'four', 'five')


def photos(count: int) -> list[bytes]:
    """JPEGs of 640 x 480 or so: real ones where they lie beside the repository, noise over a gradient
    otherwise."""
    real = sorted((SHARED / 'detection' / 'blood_cells' / 'images').glob('*.jpg'))[:count]
    return [path.read_bytes() for path in real] or [_drawn(seed, (640, 480)) for seed in range(count)]


def phone_photos(count: int) -> list[bytes]:
    """Twelve-megapixel JPEGs of 2 to 4 MB, enlarged from photos, with a sensor's noise."""
    rng = np.random.default_rng(0)
    found = []
    for data in photos(count):
        large = Image.open(io.BytesIO(data)).convert('RGB').resize((4000, 3000), Image.Resampling.BICUBIC)
        noisy = np.asarray(large).astype(np.int16) + rng.integers(-6, 7, (3000, 4000, 1), dtype=np.int16)
        found.append(_jpeg(noisy.clip(0, 255).astype(np.uint8), 85))
    return found


def seal(folder: Path, architecture: str, side: int) -> None:
    """Random weights: what they are does not change how long they take."""
    import torch

    from transfer.data.decode import decode
    from transfer.serving import artifacts, sealing
    from transfer.spec.report import TrainReport
    from transfer.spec.train_spec import SourceModelSpec, TrainSpec
    from transfer.zoo.networks import registry

    torch.manual_seed(0)
    torch.set_num_threads(1)
    known = registry.architecture(architecture)
    network = known.build(len(LABELS))
    known.replace_head(network, len(LABELS))
    source = SourceModelSpec(
        name=architecture, architecture=architecture, weights='', digest='', classes=5, images=0, side=side
    )
    sealing.seal(
        folder,
        network,
        labels=LABELS,
        preprocessing=artifacts.Preprocessing.of(source),
        temperature=1.0,
        source=source,
        why='',
        spec=TrainSpec(),
        report=TrainReport(0.0, (0.0, 1.0), 0, LABELS, 'linear', '', architecture),
        sample=np.stack([decode(photo, side) for photo in photos(8)]),
    )


def _drawn(seed: int, size: tuple[int, int]) -> bytes:
    width, height = size
    rng = np.random.default_rng(seed)
    gradient = np.linspace(0, 200, width)[None, :, None] + np.linspace(0, 40, height)[:, None, None]
    pixels = gradient + rng.integers(-15, 16, (height, width, 3))
    return _jpeg(pixels.clip(0, 255).astype(np.uint8), 90)


def _jpeg(pixels: np.ndarray, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, 'JPEG', quality=quality)
    return buffer.getvalue()
