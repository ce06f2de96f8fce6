"""The four quadrants choose the plan; rates fall from the head inward; every rate can be overridden."""

from __future__ import annotations

import itertools

import pytest

from transfer.features.network import Network, count_multiply_adds
from transfer.finetune.cross_validation import list_layer_groups
from transfer.finetune.plan import (
    LEAST_EPOCHS,
    MOST_EPOCHS,
    LayerGroup,
    assign_learning_rates,
    choose_epochs,
    choose_plan,
)
from transfer.finetune.trainer import scale_learning_rate
from transfer.spec.errors import InvalidSpecError
from transfer.spec.train_spec import SourceModelSpec, TrainSpec
from transfer.zoo.networks.registry import architecture

GROUPS = [
    LayerGroup('stage1', 10),
    LayerGroup('stage2', 90),
    LayerGroup('stage3', 450),
    LayerGroup('stage4', 450),
    LayerGroup('dense1', 300),
    LayerGroup('head', 50),
]


def learning(plan_rates: dict[str, float]) -> list[str]:
    return [group for group, rate in plan_rates.items() if rate > 0]


@pytest.mark.parametrize(
    ('images', 'accuracy', 'quadrant', 'name'),
    [
        (50, 0.98, 'little data, similar', 'linear'),
        (50, 0.5, 'little data, different', 'several'),
        (20, 0.5, 'little data, different', 'linear'),
        (250, 0.98, 'much data, similar', 'last'),
        (250, 0.5, 'much data, different', 'several'),
        (1500, 0.5, 'much data, different', 'all'),
    ],
)
def test_each_quadrant_has_its_plan_and_says_why(images, accuracy, quadrant, name):
    plan = choose_plan(TrainSpec(), GROUPS, images, 5, accuracy)
    assert (plan.quadrant, plan.name) == (quadrant, name)
    assert f'{images / 5:.0f} images a class' in plan.why
    assert (plan.epochs > 0) == (name != 'linear')


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('linear', []),
        ('last', ['stage4', 'dense1', 'head']),
        ('several', ['stage3', 'stage4', 'dense1', 'head']),
        ('all', ['stage1', 'stage2', 'stage3', 'stage4', 'dense1', 'head']),
    ],
)
def test_a_plan_lets_the_groups_at_the_end_learn(name, expected):
    assert learning(assign_learning_rates(name, GROUPS)) == expected


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('last', [0, 0, 0, 2.1e-4, 3e-4, 3e-4]),
        ('several', [0, 0, 1.47e-4, 2.1e-4, 3e-4, 3e-4]),
        ('all', [7.203e-5, 1.029e-4, 1.47e-4, 2.1e-4, 3e-4, 3e-4]),
    ],
)
def test_rates_begin_at_the_heads_and_fall_to_seven_tenths_from_group_to_group_inward(name, expected):
    """The group behind the head learns as fast as the head; only those further in learn slower."""
    assert list(assign_learning_rates(name, GROUPS).values()) == pytest.approx(expected)


def test_on_a_cpu_a_heavy_network_learns_less():
    light, middling, heavy = (
        choose_plan(TrainSpec(), GROUPS, 250, 5, 0.5, macs) for macs in (0.05e9, 0.6e9, 4e9)
    )
    assert (light.name, middling.name, heavy.name) == ('several', 'several', 'last')
    assert light.epochs == 19 > middling.epochs == LEAST_EPOCHS
    assert 'too heavy' in heavy.why
    assert (
        choose_plan(TrainSpec(plan='all'), GROUPS, 250, 5, 0.5, 4e9).name == 'all'
    )  # who asks for it gets it


def test_the_cost_of_an_image_is_that_of_its_convolutions_and_products():
    network = architecture('lenet5')
    source = SourceModelSpec('lenet5', 'lenet5', '', '', 10, 1, side=32)
    # Five by five on 28 x 28 and 10 x 10, and three dense layers (LeCun 1998, fig. 2), with colour and every
    # map connected.
    convolutions = 28 * 28 * 6 * 3 * 25 + 10 * 10 * 16 * 6 * 25
    assert (
        count_multiply_adds(Network(source, network, network.build(10)))
        == convolutions + 400 * 120 + 120 * 84 + 84 * 10
    )


@pytest.mark.parametrize(
    'name', ['mobilenet_v3_small', 'resnet18', 'squeezenet1_1', 'lenet5', 'vit_b_16', 'densenet121']
)
def test_rates_never_rise_inward(name):
    network = architecture(name)
    groups = list_layer_groups(
        Network(SourceModelSpec(name, name, '', '', 2, 1), network, network.skeleton(2))
    )
    for plan in ('last', 'several', 'all'):
        rates = list(assign_learning_rates(plan, groups).values())
        assert all(inner <= outer for inner, outer in itertools.pairwise(rates[:-1]))
        assert rates[-1] > 0
    assert all(rate > 0 for rate in assign_learning_rates('all', groups).values())


def test_a_rate_can_be_overridden_and_a_group_frozen():
    plan = choose_plan(TrainSpec(plan='all', rates={'stage1': 0.0, 'head': 0.05}), GROUPS, 250, 5, 0.5)
    assert plan.rates['stage1'] == 0
    assert plan.rates['head'] == 0.05
    assert plan.first == 'stage2'


def test_a_plan_whose_every_rate_is_zero_trains_nothing():
    plan = choose_plan(
        TrainSpec(plan='last', rates=dict.fromkeys(['stage4', 'dense1', 'head'], 0.0)), GROUPS, 250, 5, 0.5
    )
    assert plan.epochs == 0


def test_a_rate_for_a_group_that_the_network_lacks_is_refused_by_name():
    with pytest.raises(InvalidSpecError, match='layer9'):
        choose_plan(TrainSpec(rates={'layer9': 0.1}), GROUPS, 250, 5, 0.5)


def test_the_schedule_warms_up_and_falls_to_nothing():
    values = [scale_learning_rate(step / 100) for step in range(101)]
    assert values[0] == pytest.approx(0.1)
    assert max(values) == pytest.approx(1.0)
    assert values.index(max(values)) == 20
    assert values[-1] == pytest.approx(0.0)
    assert all(a >= b for a, b in itertools.pairwise(values[20:]))


def test_small_sets_get_more_epochs_within_limits():
    assert choose_epochs(250, 32, 100) == 13
    assert choose_epochs(10, 32, 120) == MOST_EPOCHS
    assert choose_epochs(100_000, 32, 120) == LEAST_EPOCHS
