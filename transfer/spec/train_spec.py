"""The options of a training: the one table of their types, limits, choices and descriptions. No torch: any
room may read it.

`OPTIONS` is that table; forms, serializers and OpenAPI derive from it, and the training checks nothing again.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from transfer.spec.detectors import DETECTORS
from transfer.spec.errors import InvalidSpecError
from transfer.spec.fast_rcnn import FastRcnnSpec
from transfer.spec.faster_rcnn import FasterRcnnSpec
from transfer.spec.options import describe, list_options, read_spec
from transfer.spec.rcnn import RcnnSpec

DIVERGENCES = ('kl', 'kl_reverse', 'js', 'cosine', 'emd')  # as in p2l.scores.DIVERGENCES
TASKS = ('classification', 'detection')
PLANS = ('linear', 'last', 'several', 'all')
# as in transfer.regions.proposals.METHODS
PROPOSAL_METHODS = 'selective-search', 'opencv-girshick', 'opencv-single', 'opencv-fast', 'opencv-quality'

# Reasons of the limits. Seed: what an integer column of PostgreSQL holds. Shortlist: each probe is one more
# network, run on all images. Batch: 1,024 is more than most sets hold. Learning rates: AdamW moves a weight
# by about the rate at each step, so above 1 finetuning diverges whatever the network.
SEEDS = (0, 2**31 - 1)
LEARNING_RATES = (0.0, 1.0)


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
    """Every choice of a training, frozen when it is started. Fields without a description are set by Graft,
    not by a user."""

    sources: tuple[SourceModelSpec, ...] = ()  # the candidates that this user may see
    reference: SourceModelSpec | None = None  # the network whose features P2L compares
    source: str = field(
        default='auto', metadata=describe('`auto` (the choice by P2L score), or the name of a source model.')
    )
    seed: int = field(
        default=0,
        metadata=describe(
            'Seed of all random choices: the same photos, options and seed give the same model.',
            low=SEEDS[0],
            high=SEEDS[1],
        ),
    )
    folds: int = field(
        default=5,
        metadata=describe('Folds of the cross-validation that estimates the accuracy.', low=2, high=20),
    )
    shortlist: int = field(
        default=5, metadata=describe('How many of the best-ranked source models are probed.', low=1, high=10)
    )
    divergence: str = 'kl'  # between two data sets: one of DIVERGENCES
    weights: tuple[float, float] = (1.5, 1.0)  # of likeness and of size in the P2L score
    # A p2l.forecast.Forecaster as JSON; empty: no accuracy is forecast.
    forecaster: dict[str, float] = field(default_factory=dict)
    epochs: int = field(
        default=0,
        metadata=describe(
            'Epochs of finetuning; 0: chosen from the number of photos.',
            low=0,
            high=1000,
            unit='epochs',
            task='classification',
        ),
    )
    batch: int = field(
        default=32,
        metadata=describe(
            'Images in one step of finetuning.', low=1, high=1024, unit='images', task='classification'
        ),
    )
    plan: str = field(
        default='auto',
        metadata=describe(
            'Which layer groups are finetuned; `auto`: by the size of the set and its similarity.',
            choices=('auto', *PLANS),
            task='classification',
        ),
    )
    rates: dict[str, float] = field(
        default_factory=dict,
        metadata=describe(
            'Learning rates by layer group, in place of the plan’s; 0 freezes a group.',
            low=LEARNING_RATES[0],
            high=LEARNING_RATES[1],
            task='classification',
        ),
    )
    flip: bool = field(
        default=True,
        metadata=describe('Mirror images left to right at random in training.', task='classification'),
    )
    crop: float = field(
        default=0.6,
        metadata=describe(
            'Smallest share of the area that a random crop keeps; 1: no crops.',
            low=0.05,
            high=1,
            task='classification',
        ),
    )
    jitter: float = field(
        default=0.2,
        metadata=describe(
            'Strength of the random change of brightness, contrast and colour; 0: none.',
            low=0,
            high=1,
            task='classification',
        ),
    )
    lighting: float = field(
        default=0.0,
        metadata=describe(
            'Standard deviation of PCA lighting noise (Krizhevsky et al. 2012 use 0.1); 0: none.',
            low=0,
            high=1,
            task='classification',
        ),
    )
    patience: int = field(
        default=4,
        metadata=describe(
            'Epochs without a better validation loss before finetuning stops early.',
            low=1,
            high=1000,
            unit='epochs',
            task='classification',
        ),
    )
    device: str = field(
        default='auto',
        metadata=describe(
            'Where to train; `auto`: on a GPU if the worker has one.', choices=('auto', 'cpu', 'cuda')
        ),
    )
    precision: str = field(
        default='auto',
        metadata=describe(
            'Floating-point precision of training; `auto`: bfloat16 where a timed step is faster with it.',
            choices=('auto', 'float32', 'bfloat16'),
        ),
    )
    instant_only: bool = field(
        default=False, metadata=describe('Stop after the instant model.', task='classification')
    )
    task: str = 'classification'  # one of TASKS
    detector: str = field(
        default='auto',
        metadata=describe(
            'The detector to train; `auto`: chosen by Graft.', choices=('auto', *DETECTORS), task='detection'
        ),
    )
    proposals: str = field(
        default='selective-search',
        metadata=describe(
            'The region proposal method of R-CNN and Fast R-CNN.', choices=PROPOSAL_METHODS, task='detection'
        ),
    )
    held_out: float = field(
        default=0.3,
        metadata=describe(
            'Share of the images that a detector is evaluated on.', low=0.1, high=0.9, task='detection'
        ),
    )
    refit: bool = field(
        default=True,
        metadata=describe(
            'After its evaluation, train the detector again on all images, the held-out ones included.',
            task='detection',
        ),
    )
    rcnn: RcnnSpec = field(
        default_factory=RcnnSpec,
        metadata=describe('Options of R-CNN; see docs/detection.md.', task='detection'),
    )
    fast_rcnn: FastRcnnSpec = field(
        default_factory=FastRcnnSpec,
        metadata=describe('Options of Fast R-CNN; see docs/detection.md.', task='detection'),
    )
    faster_rcnn: FasterRcnnSpec = field(
        default_factory=FasterRcnnSpec,
        metadata=describe('Options of Faster R-CNN; see docs/detection.md.', task='detection'),
    )

    @staticmethod
    def from_json(values: dict[str, object]) -> TrainSpec:
        """InvalidSpecError, naming the field, for unknown keys, wrong types and values outside the table."""
        spec: TrainSpec = read_spec(TrainSpec, values)
        for name, choices in (('divergence', DIVERGENCES), ('task', TASKS)):
            if getattr(spec, name) not in choices:
                raise InvalidSpecError(f'{name} must be one of {", ".join(choices)}', name)
        for detector in DETECTORS.values():
            _check_detector(detector.field, getattr(spec, detector.field))
        return spec

    def to_json(self) -> dict[str, object]:
        return dataclasses.asdict(self)


OPTIONS = list_options(TrainSpec)  # what a user may choose for a training, by field name
FIXED_FIELDS = tuple(each.name for each in dataclasses.fields(TrainSpec) if each.name not in OPTIONS)

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
    'rate': LEARNING_RATES,
    'per_class': (1, 1000),
}
ANY_NUMBER = (0.0, 1e6)


def _check_detector(part: str, options: Any) -> None:
    for name, value in dataclasses.asdict(options).items():
        lowest, highest = DETECTOR_LIMITS.get(name, ANY_NUMBER)
        numbers = value if isinstance(value, tuple) else (value,)
        if not all(lowest <= number <= highest for number in numbers):
            raise InvalidSpecError(
                f'{part}.{name} must be between {lowest:g} and {highest:g}', f'{part}.{name}'
            )
