"""Plan a finetuning: its layer groups, learning rates and length, by data size and similarity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transfer.features.metrics import format_percent
from transfer.spec.errors import InvalidSpecError
from transfer.spec.train_spec import TrainSpec

ENOUGH = 20  # images a class: with fewer, more than a linear head is not estimated better but worse
# Images a class: from there on the first layers are worth their cost too (with 30 they gained nothing)
PLENTY = 200
FEW = 5  # images a class: with fewer, nothing but a linear head can even be judged
# Share of the way from chance to perfection that frozen features go; at 0.87 all layers still gained 3 %
SIMILAR = 0.93
HEAD_RATE = 3e-4  # AdamW; the head starts from the linear model, so it is tuned, not learned
BACKBONE_RATE = 3e-4  # of the group before the head
FALL = 0.7  # each group further in has this share of the learning rate of the one after it
# Share of the backbone's parameters, counted from its end by whole stages, that a plan finetunes: `last`
# takes one stage.
DEPTHS = {'last': 0.01, 'several': 0.9, 'all': 1.0}
# About how many optimizer steps. Under `several`, hand_digit (distant from photos) came to .97 with 150, .93
# with 120, .91 with 60; with 150, 250 photos on a MobileNet at 128 pixels are 75 CPU seconds.
STEPS = {'last': 80, 'several': 150, 'all': 150}
# Multiply-adds of an image on a CPU. MobileNet v3 small at 224 pixels has 0.06 G, ResNet-18 at 128 0.6 G,
# ViT-B/16 at 224 11 G. A network heavier than LIGHT takes fewer steps (SPARING): 250 photos on ResNet-18 are
# three minutes of two cores even so.
LIGHT = 0.15e9
SPARING = 0.4
HEAVY = 2e9  # from there on only the last stage is finetuned, on cached activations: more would be an hour
MOST_EPOCHS, LEAST_EPOCHS = 20, 8


@dataclass(frozen=True)
class LayerGroup:
    """A layer group of a network, from input to output; the last is the head."""

    name: str
    parameters: int


@dataclass(frozen=True)
class Plan:
    """How a network is finetuned, and why."""

    name: str
    quadrant: str
    why: str
    rates: dict[str, float]  # every group, from input to output; 0: frozen
    epochs: int

    @property
    def first(self) -> str:
        """The first group that is finetuned; everything before it is frozen."""
        return next((group for group, rate in self.rates.items() if rate > 0), list(self.rates)[-1])


def choose_plan(
    spec: TrainSpec,
    groups: Sequence[LayerGroup],
    images: int,
    classes: int,
    accuracy: float,
    macs: float = 0.0,
) -> Plan:
    """Choose the plan for a set of that size.

    `accuracy` is the linear head's, out-of-fold: the similarity of source and target is measured as the share
    of the task that frozen features already solve. `macs`: multiply-adds of one image where they decide how
    long it takes (on a CPU), else 0.

    InvalidSpecError for a learning rate for a group that the network does not have.
    """
    quadrant, name, why = _choose_quadrant(images / classes, (accuracy - 1 / classes) / (1 - 1 / classes))
    if spec.plan != 'auto':
        name, why = spec.plan, f'The plan "{spec.plan}" was asked for.'
    elif macs > HEAVY and name in ('several', 'all'):
        name, why = (
            'last',
            f'{why} This network is too heavy for that on a CPU: only its last stage is finetuned.',
        )
    rates = _override_rates(assign_learning_rates(name, groups), spec.rates)
    steps = STEPS.get(name, 0) * (SPARING if macs > LIGHT and name != 'last' else 1)
    epochs = spec.epochs or choose_epochs(images, spec.batch, steps)
    return Plan(name, quadrant, why, rates, epochs if any(rates.values()) else 0)


def choose_epochs(images: int, batch: int, steps: float) -> int:
    """How many epochs give about that many steps, within limits."""
    return max(LEAST_EPOCHS, min(MOST_EPOCHS, round(steps * batch / images)))


def assign_learning_rates(name: str, groups: Sequence[LayerGroup]) -> dict[str, float]:
    """The learning rate of every group, falling from the head inward; 0 where the plan freezes."""
    stages = [group for group in groups if group.name.startswith('stage')]
    total = sum(group.parameters for group in stages)
    rates = {group.name: 0.0 for group in groups}
    if name == 'linear':
        return rates
    rates[groups[-1].name] = HEAD_RATE
    finetuned, rate = 0, BACKBONE_RATE  # parameters of the stages so far
    for group in reversed(groups[:-1]):
        if finetuned >= DEPTHS[name] * total:
            break
        rates[group.name] = rate
        rate *= FALL
        finetuned += group.parameters if group in stages else 0
    return rates


def _choose_quadrant(per_class: float, skill: float) -> tuple[str, str, str]:
    """(quadrant, plan, why) by the four quadrants of CS231n: how much data, and how similar it is."""
    much, similar = per_class >= ENOUGH, skill >= SIMILAR
    facts = (
        f"{per_class:.0f} images a class, and the source's frozen features already go "
        f'{format_percent(max(0.0, skill), 0)} of the way'
    )
    if similar and not much:
        return 'little data, similar', 'linear', f'{facts}: too few to train more than a linear head.'
    if similar:
        return 'much data, similar', 'last', f'{facts}: only the last layers are finetuned.'
    if per_class < FEW:
        return (
            'little data, different',
            'linear',
            f'{facts}: too few to train or evaluate more than a linear head.',
        )
    if not much:
        return (
            'little data, different',
            'several',
            f'{facts}: few images and a distant source, so the later layers are finetuned.',
        )
    if per_class < PLENTY:
        return (
            'much data, different',
            'several',
            f'{facts}: the source is distant, so all but the first layers are finetuned.',
        )
    return (
        'much data, different',
        'all',
        f'{facts}: the source is distant, so all layers are finetuned, the inner ones slower.',
    )


def _override_rates(rates: dict[str, float], wanted: dict[str, float]) -> dict[str, float]:
    for group in wanted:
        if group not in rates:
            raise InvalidSpecError(f'rates names {group!r}; the layer groups are {", ".join(rates)}', 'rates')
    return rates | wanted
