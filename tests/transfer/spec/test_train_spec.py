"""The table of options is whole, and nothing outside it gets into a training."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from p2l import scores
from tests.support.options_document import DOCUMENT, render_document
from transfer.regions import proposals
from transfer.spec.detector_info import DetectorInfo
from transfer.spec.errors import InvalidSpecError
from transfer.spec.train_spec import (
    DETECTORS,
    DIVERGENCES,
    FIXED_FIELDS,
    OPTIONS,
    PLANS,
    PROPOSAL_METHODS,
    TASKS,
    SourceModelSpec,
    TrainSpec,
)

LIMITED = [option for option in OPTIONS.values() if option.has_limits]
DETECTOR_OPTIONS = [
    (info, option) for info in DETECTORS.values() for option in OPTIONS[info.field].options.values()
]
NUMBERS = [(info, option) for info, option in DETECTOR_OPTIONS if option.kind != 'boolean']


def value_of(option, number):
    if option.kind in ('integers', 'numbers'):
        return (number,)
    return {'head': number} if option.kind == 'numbers by name' else number


def name_of(value):
    return getattr(value, 'kind', '') if isinstance(value, DetectorInfo) else value.name


def test_every_option_has_a_sentence_and_a_default_that_is_allowed():
    for option in OPTIONS.values():
        assert option.description.endswith('.')
        assert TrainSpec.from_json({option.name: TrainSpec().to_json()[option.name]}) == TrainSpec()
        if option.kind != 'object':
            assert option.default == getattr(TrainSpec(), option.name)
    for info, option in DETECTOR_OPTIONS:
        assert option.description.endswith('.')
        assert option.default == getattr(TrainSpec().get_options(info), option.name)


@pytest.mark.parametrize('info', DETECTORS.values(), ids=name_of)
def test_every_field_of_a_detectors_options_is_an_option_but_the_seed_which_is_the_trainings(info):
    fields = {field.name for field in dataclasses.fields(info.options)}
    assert fields == {*OPTIONS[info.field].options, 'seed'}


@pytest.mark.parametrize(('info', 'option'), NUMBERS, ids=name_of)
def test_every_number_of_a_detector_has_limits_and_is_refused_outside(info, option):
    for number in (option.low, option.high):
        number = number if option.kind.startswith('number') else int(number)
        spec = TrainSpec.from_json({info.field: {option.name: value_of(option, number)}})
        assert getattr(spec.get_options(info), option.name) == value_of(option, number)
    for number in (int(option.low) - 1, int(option.high) + 1):
        with pytest.raises(InvalidSpecError, match='must be between') as refused:
            TrainSpec.from_json({info.field: {option.name: value_of(option, number)}})
        assert refused.value.field == f'{info.field}.{option.name}'


def test_every_option_has_a_kind_that_says_what_it_holds():
    kinds = {name: option.kind for name, option in OPTIONS.items()}
    assert kinds['seed'] == 'integer'
    assert kinds['crop'] == 'number'
    assert kinds['flip'] == 'boolean'
    assert kinds['plan'] == 'choice'
    assert kinds['source'] == 'text'
    assert kinds['rates'] == 'numbers by name'
    assert kinds['rcnn'] == 'object'


def test_every_field_is_either_an_option_or_set_by_graft():
    detectors = {info.field for info in DETECTORS.values()}
    fields = {field.name for field in dataclasses.fields(TrainSpec)}
    assert set(FIXED_FIELDS) | OPTIONS.keys() == fields | detectors
    assert {'sources', 'reference', 'divergence', 'weights', 'task'} < set(FIXED_FIELDS)


@pytest.mark.parametrize('option', LIMITED, ids=lambda option: option.name)
def test_a_number_within_its_limits_is_taken_and_one_outside_is_refused(option):
    for number in (option.low, option.high):
        spec = TrainSpec.from_json({option.name: value_of(option, number)})
        assert getattr(spec, option.name) == value_of(option, number)
    beyond = 1 if option.kind == 'integer' else 1e-6
    outside = [option.low - beyond, option.high + beyond]
    for number in outside if option.kind == 'integer' else [*outside, math.nan, math.inf]:
        with pytest.raises(InvalidSpecError, match='must be between') as refused:
            TrainSpec.from_json({option.name: value_of(option, number)})
        assert refused.value.field == option.name


@pytest.mark.parametrize('name', [name for name, option in OPTIONS.items() if option.choices])
def test_only_the_choices_are_taken(name):
    for choice in OPTIONS[name].choices:
        assert getattr(TrainSpec.from_json({name: choice}), name) == choice
    with pytest.raises(InvalidSpecError, match=f'{name} must be one of'):
        TrainSpec.from_json({name: 'everything'})


@pytest.mark.parametrize('name', ['divergence', 'task'])
def test_what_graft_sets_is_checked_too(name):
    with pytest.raises(InvalidSpecError, match=f'{name} must be one of'):
        TrainSpec.from_json({name: 'other'})


@pytest.mark.parametrize(
    ('values', 'field'),
    [
        ({'colour': 1}, 'colour'),
        ({'seed': '1'}, 'seed'),
        ({'seed': True}, 'seed'),
        ({'seed': 1.0}, 'seed'),
        ({'flip': 1}, 'flip'),
        ({'rates': [0.1]}, 'rates'),
        ({'rates': {'head': 'fast'}}, 'rates.head'),
        ({'rcnn': {'steps': 'many'}}, 'rcnn.steps'),
        ({'rcnn': {'layers': 3}}, 'layers'),
        ({'fast_rcnn': {'rate': 1.5}}, 'fast_rcnn.rate'),
        ({'detector_options': {}}, 'detector_options'),
    ],
)
def test_a_wrong_type_or_an_unknown_key_is_refused_by_name(values, field):
    with pytest.raises(InvalidSpecError) as refused:
        TrainSpec.from_json(values)
    assert refused.value.field == field


def test_a_spec_survives_json():
    card = SourceModelSpec('tiny', 'lenet5', 'weights', 'digest', 10, 1000, signature=(0.5, 0.25))
    spec = TrainSpec(sources=(card,), reference=card, rates={'head': 0.1}, seed=3, crop=1.0)
    assert TrainSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_the_document_of_the_options_is_the_table():
    assert DOCUMENT.read_text() == render_document(), 'python -m tests.support.options_document renews it'


def test_the_choices_are_those_that_the_learning_side_knows():
    assert set(DIVERGENCES) == set(scores.DIVERGENCES)
    assert set(PROPOSAL_METHODS) == set(proposals.METHODS)
    assert OPTIONS['plan'].choices == ('auto', *PLANS)
    assert OPTIONS['detector'].choices == ('auto', *DETECTORS)
    assert TrainSpec().task in TASKS
