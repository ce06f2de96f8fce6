"""The options of a training: the one table of their types, limits, choices and descriptions. No torch: any
room may read it.

`OPTIONS` is that table; forms, serializers and OpenAPI derive from it, and the training checks nothing again.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from transfer.spec.detector_info import DetectorInfo, Options
from transfer.spec.detectors import DETECTORS
from transfer.spec.errors import InvalidSpecError
from transfer.spec.options import Option, list_options, option, read_spec

DIVERGENCES = ('kl', 'kl_reverse', 'js', 'cosine', 'emd')  # as in p2l.scores.DIVERGENCES
TASKS = ('classification', 'detection')
PREFERENCES = ('accurate', 'fast')
PREFERENCES = ('accurate', 'fast')
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
    source: str = option('auto', '`auto` (the choice by P2L score), or the name of a source model.')
    seed: int = option(
        0, 'Seed of all random choices: the same photos, options and seed give the same model.', *SEEDS
    )
    folds: int = option(5, 'Folds of the cross-validation that estimates the accuracy.', 2, 20)
    shortlist: int = option(5, 'How many of the best-ranked source models are probed.', 1, 10)
    divergence: str = 'kl'  # between two data sets: one of DIVERGENCES
    weights: tuple[float, float] = (1.5, 1.0)  # of likeness and of size in the P2L score
    # A p2l.forecast.Forecaster as JSON; empty: no accuracy is forecast.
    forecaster: dict[str, float] = field(default_factory=dict)
    epochs: int = option(
        0,
        'Epochs of finetuning; 0: chosen from the number of photos.',
        0,
        1000,
        unit='epochs',
        task='classification',
    )
    batch: int = option(
        32, 'Images in one step of finetuning.', 1, 1024, unit='images', task='classification'
    )
    plan: str = option(
        'auto',
        'Which layer groups are finetuned; `auto`: by the size of the set and its similarity.',
        choices=('auto', *PLANS),
        task='classification',
    )
    rates: dict[str, float] = option(
        dict,
        'Learning rates by layer group, in place of the plan’s; 0 freezes a group.',
        *LEARNING_RATES,
        task='classification',
    )
    flip: bool = option(True, 'Mirror images left to right at random in training.', task='classification')
    crop: float = option(
        0.6,
        'Smallest share of the area that a random crop keeps; 1: no crops.',
        0.05,
        1,
        task='classification',
    )
    jitter: float = option(
        0.2,
        'Strength of the random change of brightness, contrast and colour; 0: none.',
        0,
        1,
        task='classification',
    )
    lighting: float = option(
        0.0,
        'Standard deviation of PCA lighting noise (Krizhevsky et al. 2012 use 0.1); 0: none.',
        0,
        1,
        task='classification',
    )
    patience: int = option(
        4,
        'Epochs without a better validation loss before finetuning stops early.',
        1,
        1000,
        unit='epochs',
        task='classification',
    )
    device: str = option(
        'auto', 'Where to train; `auto`: on a GPU if the worker has one.', choices=('auto', 'cpu', 'cuda')
    )
    precision: str = option(
        'auto',
        'Floating-point precision of training; `auto`: bfloat16 where a timed step is faster with it.',
        choices=('auto', 'float32', 'bfloat16'),
    )
    prefer: str = option(
        'accurate',
        '`accurate`: several networks answer together where that is measured to be better; '
        '`fast`: one network answers.',
        choices=PREFERENCES,
        task='classification',
    )
    instant_only: bool = option(False, 'Stop after the instant model.', task='classification')
    task: str = 'classification'  # one of TASKS
    detector: str = option(
        'auto',
        'The detector to train; `auto`: chosen by Graft.',
        choices=('auto', *DETECTORS),
        task='detection',
    )
    proposals: str = option(
        'selective-search',
        'The region proposal method of detectors that do not propose regions themselves.',
        choices=PROPOSAL_METHODS,
        task='detection',
    )
    held_out: float = option(
        0.3, 'Share of the images that a detector is evaluated on.', 0.1, 0.9, task='detection'
    )
    refit: bool = option(
        True,
        'After its evaluation, train the detector again on all images, the held-out ones included.',
        task='detection',
    )
    # Options of each kind of detector, by DetectorInfo.field; a kind that is left out has its defaults. In
    # JSON they stand beside the other options.
    detector_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        defaults = {info.field: info.options() for info in DETECTORS.values()}
        object.__setattr__(self, 'detector_options', defaults | self.detector_options)

    def get_options(self, info: DetectorInfo[Options]) -> Options:
        """The options of that kind of detector."""
        options: Options = self.detector_options[info.field]
        return options

    @staticmethod
    def from_json(values: dict[str, object]) -> TrainSpec:
        """InvalidSpecError, naming the field, for unknown keys, wrong types and values outside the table."""
        if not isinstance(values, dict):
            raise InvalidSpecError('spec must be an object')
        detector_options = {
            info.field: read_spec(info.options, values[info.field], f'spec.{info.field}')
            for info in DETECTORS.values()
            if info.field in values
        }
        others = {name: value for name, value in values.items() if name not in detector_options}
        if 'detector_options' in others:
            raise InvalidSpecError("spec has no field 'detector_options'", 'detector_options')
        spec: TrainSpec = read_spec(TrainSpec, others)
        for name, choices in (('divergence', DIVERGENCES), ('task', TASKS)):
            if getattr(spec, name) not in choices:
                raise InvalidSpecError(f'{name} must be one of {", ".join(choices)}', name)
        return dataclasses.replace(spec, detector_options=detector_options)

    def to_json(self) -> dict[str, object]:
        values = dataclasses.asdict(self)
        detector_options: dict[str, object] = values.pop('detector_options')
        return values | detector_options


# What a user may choose for a training, by its key in JSON.
OPTIONS = list_options(TrainSpec) | {
    info.field: Option(
        info.field,
        'object',
        info.options(),
        f'Options of {info.name}.',
        task='detection',
        options=list_options(info.options),
    )
    for info in DETECTORS.values()
}
FIXED_FIELDS = tuple(each.name for each in dataclasses.fields(TrainSpec) if each.name not in OPTIONS)
