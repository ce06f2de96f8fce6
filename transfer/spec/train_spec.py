"""The options of a training, their limits and choices. No torch: any room may read this."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from typing import Any

from transfer.spec.errors import InvalidSpecError
from transfer.spec.fast_rcnn import FastRcnnSpec
from transfer.spec.faster_rcnn import FasterRcnnSpec
from transfer.spec.rcnn import RcnnSpec


@dataclass(frozen=True)
class SourceModelSpec:
    """A source model as the training sees it."""

    name: str
    architecture: str
    weights: str  # path of a safetensors file or a state_dict .pth
    digest: str  # SHA-256 of that file
    classes: int
    images: int  # of the data set it was trained on
    side: int = 224  # input side in pixels
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)  # of RGB in 0..1
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    dataset: str = ''
    signature: tuple[float, ...] = ()  # mean penultimate feature under the reference model; empty: not known
    title: str = ''
    parameters: int = 0  # of its network; 0: not known


@dataclass(frozen=True)
class TrainSpec:
    """Every choice of a training, frozen when it is asked for. Unknown keys and wrong types are refused (`from_json`)."""

    sources: tuple[SourceModelSpec, ...] = ()  # the candidates that this user may see
    reference: SourceModelSpec | None = None  # the network whose features P2L compares
    source: str = 'auto'  # or the name of one candidate
    seed: int = 0
    folds: int = 5  # of the cross-validation behind every published accuracy
    shortlist: int = 5  # how many of the ranking are probed (docs/p2l.md)
    divergence: str = 'kl'  # how unlike two data sets are (p2l.scores.DIVERGENCES)
    weights: tuple[float, float] = (1.5, 1.0)  # of likeness and of size in the P2L score
    forecast: dict[str, float] = field(
        default_factory=dict
    )  # a p2l.forecast.Forecaster; empty: no accuracy is foretold
    epochs: int = 0  # of finetuning; 0: chosen from the size of the set
    batch: int = 32
    plan: str = 'auto'  # auto, linear, last, several, all: which layer groups learn (the four quadrants)
    rates: dict[str, float] = field(
        default_factory=dict
    )  # layer group -> learning rate, overriding the plan's
    flip: bool = True  # mirror images left to right
    crop: float = 0.6  # smallest share of the area a random resized crop keeps; 1: no crops
    jitter: float = 0.2  # strength of colour jitter; 0: none
    lighting: float = 0.0  # standard deviation of PCA lighting (Krizhevsky 2012 uses 0.1); 0: none
    patience: int = 4  # epochs without a better validation loss before stopping early
    device: str = 'auto'  # auto, cpu, cuda
    precision: str = 'auto'  # auto (a timed probe decides), float32, bfloat16
    instant_only: bool = False  # stop after the linear model
    # Detection: where things are, beside what they are.
    task: str = 'classification'  # or detection
    detector: str = 'auto'  # or rcnn, fast-rcnn, faster-rcnn
    proposals: str = 'selective-search'  # the way to propose regions (transfer.regions.proposals.METHODS)
    held_out: float = 0.3  # share of the images that a detector is measured on
    refit: bool = True  # a detector, once measured, learns anew from all images, those held out too
    rcnn: RcnnSpec = field(default_factory=RcnnSpec)
    fast_rcnn: FastRcnnSpec = field(default_factory=FastRcnnSpec)
    faster_rcnn: FasterRcnnSpec = field(default_factory=FasterRcnnSpec)

    @staticmethod
    def from_json(values: dict[str, Any]) -> TrainSpec:
        spec: TrainSpec = _build(TrainSpec, values, 'spec')
        _check_choices(spec)
        return spec

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


CHOICES = {
    'plan': ('auto', 'linear', 'last', 'several', 'all'),
    'divergence': ('kl', 'kl_reverse', 'js', 'cosine', 'emd'),
    'device': ('auto', 'cpu', 'cuda'),
    'precision': ('auto', 'float32', 'bfloat16'),
    'task': ('classification', 'detection'),
    'detector': ('auto', 'rcnn', 'fast-rcnn', 'faster-rcnn'),
    'proposals': ('selective-search', 'opencv-girshick', 'opencv-single', 'opencv-fast', 'opencv-quality'),
}
LIMITS: dict[str, tuple[float, float]] = {
    'seed': (0, 2**32 - 1),
    'folds': (2, 20),
    'shortlist': (1, 10),
    'epochs': (0, 1000),
    'batch': (1, 1024),
    'crop': (0.05, 1),
    'jitter': (0, 1),
    'lighting': (0, 1),
    'patience': (1, 1000),
    'held_out': (0.1, 0.9),
}
# Of the detectors' options, by name; whatever is not named here may be any finite number from 0 to a million.
DETECTOR_LIMITS: dict[str, tuple[float, float]] = {
    'short_side': (64, 2000),
    'long_side': (64, 4000),
    'proposals': (1, 20_000),
    'cpu_proposals': (1, 20_000),
    'proposals_train': (1, 20_000),
    'per_image': (1, 10_000),
    'cpu_short_side': (64, 2000),
    'anchors': (4, 2000),
    'ratios': (0.05, 20),
    'reduce': (0, 4096),
    'hidden': (1, 8192),
    'images_per_batch': (1, 16),
    'rois_per_image': (4, 2048),
    'foreground_share': (0.01, 1),
    'pool': (1, 14),
    'batch': (4, 4096),
    'embed_batch': (1, 4096),
    'context': (0, 64),
    'svm_c': (1e-8, 1e4),
    'hard_margin': (-1e6, 1e6),
    'easy_margin': (-1e6, 1e6),
    'min_score': (-1e6, 1),
    'nms_iou': (0, 1),
    'rate': (0, 10),
    'per_class': (1, 1000),
}
ANY_NUMBER = (0.0, 1e6)


def _check_choices(spec: TrainSpec) -> None:
    for name, allowed in CHOICES.items():
        if getattr(spec, name) not in allowed:
            raise InvalidSpecError(f'{name} must be one of {", ".join(allowed)}', name)
    for name, (lowest, highest) in LIMITS.items():
        if not lowest <= getattr(spec, name) <= highest:  # NaN is refused too
            raise InvalidSpecError(f'{name} must be between {lowest} and {highest}', name)
    for group, rate in spec.rates.items():
        if not 0 <= rate <= 10:
            raise InvalidSpecError(f'the learning rate of {group} must be between 0 and 10', 'rates')

    for part in ('rcnn', 'fast_rcnn', 'faster_rcnn'):
        _check_detector(part, getattr(spec, part))


def _check_detector(part: str, options: Any) -> None:
    for name, value in dataclasses.asdict(options).items():
        lowest, highest = DETECTOR_LIMITS.get(name, ANY_NUMBER)
        numbers = value if isinstance(value, tuple) else (value,)
        if not all(lowest <= number <= highest for number in numbers):
            raise InvalidSpecError(
                f'{part}.{name} must be between {lowest:g} and {highest:g}', f'{part}.{name}'
            )


def _build(kind: type[Any], values: object, where: str) -> Any:
    """A frozen dataclass from JSON, refusing unknown keys and wrong types."""
    if not isinstance(values, dict):
        raise InvalidSpecError(f'{where} must be an object')
    hints = typing.get_type_hints(kind)
    if unknown := sorted(set(values) - set(hints)):
        raise InvalidSpecError(f'{where} has no field {unknown[0]!r}', str(unknown[0]))
    return kind(**{name: _convert(hints[name], value, f'{where}.{name}') for name, value in values.items()})


def _convert(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else _convert(arguments[0], value, where)
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_convert(arguments[0], item, f'{where}[{index}]') for index, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {str(key): _convert(arguments[1], item, f'{where}.{key}') for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        return _build(typing.cast('type[Any]', kind), value, where)
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise InvalidSpecError(
        f'{where} must be {getattr(kind, "__name__", kind)}, not {value!r}', where.removeprefix('spec.')
    )
