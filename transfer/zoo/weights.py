"""Weight files without torch: their digest, a safetensors header, and the descriptions of the starter zoo."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transfer.spec.errors import UnusableSourceError
from transfer.spec.train_spec import SourceModelSpec

STARTER = Path(__file__).parent / 'starter'
LINEAR_HEAD = '+linear'  # of an architecture's name: with the head that finetuning gives it
TIMM_PREFIX = 'timm/'  # of the architectures that an optional package builds
MAX_HEADER = 100_000_000  # bytes: the limit of the safetensors format itself

# As registry.names(), for rooms that must not import torch; a test holds the two together.
ARCHITECTURE_NAMES = (
    'alexnet',
    'convnext_base',
    'convnext_large',
    'convnext_small',
    'convnext_tiny',
    'densenet121',
    'densenet161',
    'densenet169',
    'densenet201',
    'efficientnet_b0',
    'efficientnet_b1',
    'efficientnet_b2',
    'efficientnet_b3',
    'efficientnet_b4',
    'efficientnet_b5',
    'efficientnet_b6',
    'efficientnet_b7',
    'efficientnet_lite0',
    'efficientnet_lite1',
    'efficientnet_lite2',
    'efficientnet_v2_l',
    'efficientnet_v2_m',
    'efficientnet_v2_s',
    'googlenet',
    'inception_v3',
    'lenet5',
    'maxvit_t',
    'mnasnet0_5',
    'mnasnet0_75',
    'mnasnet1_0',
    'mnasnet1_3',
    'mobilenet_v2',
    'mobilenet_v3_large',
    'mobilenet_v3_small',
    'regnet_x_16gf',
    'regnet_x_1_6gf',
    'regnet_x_32gf',
    'regnet_x_3_2gf',
    'regnet_x_400mf',
    'regnet_x_800mf',
    'regnet_x_8gf',
    'regnet_y_128gf',
    'regnet_y_16gf',
    'regnet_y_1_6gf',
    'regnet_y_32gf',
    'regnet_y_3_2gf',
    'regnet_y_400mf',
    'regnet_y_800mf',
    'regnet_y_8gf',
    'resnet101',
    'resnet152',
    'resnet18',
    'resnet34',
    'resnet50',
    'resnext101_32x8d',
    'resnext101_64x4d',
    'resnext50_32x4d',
    'shufflenet_v2_x0_5',
    'shufflenet_v2_x1_0',
    'shufflenet_v2_x1_5',
    'shufflenet_v2_x2_0',
    'squeezenet1_0',
    'squeezenet1_1',
    'swin_b',
    'swin_s',
    'swin_t',
    'swin_v2_b',
    'swin_v2_s',
    'swin_v2_t',
    'vgg11',
    'vgg11_bn',
    'vgg13',
    'vgg13_bn',
    'vgg16',
    'vgg16_bn',
    'vgg19',
    'vgg19_bn',
    'vit_b_16',
    'vit_b_32',
    'vit_h_14',
    'vit_l_16',
    'vit_l_32',
    'wide_resnet101_2',
    'wide_resnet50_2',
)


@dataclass(frozen=True)
class StarterModel:
    """A source model that ships with the repository, as its JSON file says."""

    name: str
    title: str
    architecture: str
    weights: Path
    class_names: tuple[str, ...]
    images: int
    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dataset: str
    licence: str
    domain: str
    # Digest of a reference model's weights -> mean feature of this model's images.
    signatures: dict[str, tuple[float, ...]]

    def to_spec(self) -> SourceModelSpec:
        """As a training sees it, without data set and signature: those are for the catalog to choose."""
        return SourceModelSpec(
            name=self.name,
            architecture=self.architecture,
            weights=str(self.weights),
            digest=file_digest(self.weights),
            classes=len(self.class_names),
            images=self.images,
            side=self.side,
            mean=self.mean,
            std=self.std,
        )


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def read_starter_models(folder: Path = STARTER) -> tuple[StarterModel, ...]:
    """The starter models of a folder, sorted by name.

    UnusableSourceError naming the JSON file that cannot be read or whose weights are missing.
    """
    return tuple(_read_starter_model(path) for path in sorted(folder.glob('*.json')))


def _read_starter_model(path: Path) -> StarterModel:
    try:
        values = json.loads(path.read_text())
        weights = path.with_suffix('.safetensors')
        starter = StarterModel(
            name=values['name'],
            title=values['title'],
            architecture=values['architecture'],
            weights=weights,
            class_names=tuple(values['class_names']),
            images=int(values['images']),
            side=int(values['side']),
            mean=tuple(values['mean']),
            std=tuple(values['std']),
            dataset='+'.join(part['name'] for part in values['sets']),
            licence=values['licence'],
            domain=values.get('domain', ''),
            signatures={digest: tuple(numbers) for digest, numbers in values.get('signatures', {}).items()},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnusableSourceError(f'{path.name} cannot be read: {error!r}') from error
    if not weights.is_file():
        raise UnusableSourceError(f'{path.name} has no weights beside it')
    return starter


def safetensors_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Tensor names and shapes from the header alone. UnusableSourceError when the file is cut short or is no
    such file."""
    size = path.stat().st_size
    with path.open('rb') as file:
        start = file.read(8)
        length = struct.unpack('<Q', start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER, size - 8):
            raise UnusableSourceError(f'{path.name} is not a safetensors file')
        header = _parse_header(file.read(length), path.name)
    header.pop('__metadata__', None)
    try:
        end = max((entry['data_offsets'][1] for entry in header.values()), default=0)
        shapes = {name: tuple(int(extent) for extent in entry['shape']) for name, entry in header.items()}
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise UnusableSourceError(f'{path.name} has a damaged header') from error
    if 8 + length + end != size:
        raise UnusableSourceError(f'{path.name} is cut short: {size} bytes of {8 + length + end}')
    return shapes


def parameter_count(path: Path) -> int:
    """How many numbers a network in a safetensors file has learned; what its norms have counted is not among
    them."""
    counted = ('running_mean', 'running_var', 'num_batches_tracked')
    shapes = safetensors_shapes(path)
    return sum(math.prod(shape) for name, shape in shapes.items() if not name.endswith(counted))


def _parse_header(data: bytes, name: str) -> dict[str, Any]:
    try:
        header = json.loads(data)
    except ValueError as error:
        raise UnusableSourceError(f'{name} is not a safetensors file') from error
    if not isinstance(header, dict):
        raise UnusableSourceError(f'{name} is not a safetensors file')
    return header
