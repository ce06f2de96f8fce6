"""The API, the form and the training agree on every option: their limits and choices come from one table."""

from __future__ import annotations

import math

import pytest

from recognition.api.errors import get_first_error
from recognition.api.schemas.trainings import TrainingIn
from recognition.pages.forms import LABELS, TrainingForm
from recognition.training.start import list_training_options
from transfer.finetune.plan import LayerGroup, choose_plan
from transfer.spec.errors import InvalidSpecError
from transfer.spec.train_spec import OPTIONS, TrainSpec

LIMITED = [option for option in list_training_options() if option.has_limits]
CHOICES = [option for option in list_training_options() if option.choices]
BEYOND = {'integer': 1, 'number': 1e-6, 'numbers by name': 1e-6}


def is_valid_spec(values: dict) -> bool:
    try:
        TrainSpec.from_json(values)
    except InvalidSpecError:
        return False
    return True


def is_valid_in_api(values: dict) -> bool:
    return TrainingIn(data=values).is_valid()


def is_valid_in_form(name: str, value: object, task: str) -> bool:
    return TrainingForm({'source': 'auto', name: str(value)}, task=task, sources=[]).is_valid()


def make_value(option, number: float) -> object:
    """The number as this option takes it."""
    if option.kind == 'numbers by name':
        return {'head': number}
    if option.kind in ('integers', 'numbers'):
        return [int(number) if option.kind == 'integers' else number]
    return int(number) if option.kind == 'integer' else number


def test_the_api_and_the_forms_offer_options_of_the_table_and_no_others():
    assert set(TrainingIn().fields) == set(OPTIONS)
    shown = {
        name
        for task in ('classification', 'detection')
        for name in TrainingForm(task=task, sources=[]).fields
    }
    assert shown == set(LABELS) and shown <= set(OPTIONS)


@pytest.mark.parametrize('option', LIMITED, ids=lambda option: option.name)
def test_the_limits_are_the_same_everywhere(option):
    step = BEYOND[option.kind]
    inside = [make_value(option, number) for number in (option.low, option.high)]
    outside = [make_value(option, number) for number in (option.low - step, option.high + step)]
    for value, expected in [*((value, True) for value in inside), *((value, False) for value in outside)]:
        assert is_valid_spec({option.name: value}) is expected
        assert is_valid_in_api({option.name: value}) is expected
        if option.name in LABELS and option.kind != 'numbers by name':
            assert is_valid_in_form(option.name, value, option.task or 'classification') is expected


@pytest.mark.parametrize(
    ('name', 'option'),
    [(option.name, inner) for option in list_training_options() for inner in option.options.values()],
    ids=lambda value: getattr(value, 'name', value),
)
def test_the_options_of_a_detector_are_the_same_everywhere(name, option):
    field = TrainingIn().fields[name].fields[option.name]
    assert field.help_text.startswith(option.description)
    if option.kind == 'boolean':
        values = [(not option.default, True), ('perhaps', False)]
    else:
        numbers = [(option.low, True), (option.high, True), (option.low - 1, False), (option.high + 1, False)]
        values = [(make_value(option, number), expected) for number, expected in numbers]
    for value, expected in [*values, ({}, False)]:
        assert is_valid_spec({name: {option.name: value}}) is expected
        assert is_valid_in_api({name: {option.name: value}}) is expected


def test_an_option_that_a_detector_has_not_is_refused_and_named():
    schema = TrainingIn(data={'rcnn': {'layers': 3}})
    assert not schema.is_valid() and get_first_error(schema.errors) == (
        'rcnn.layers',
        'rcnn.layers: unknown field',
    )


@pytest.mark.parametrize('option', CHOICES, ids=lambda option: option.name)
def test_the_choices_are_the_same_everywhere(option):
    for value, expected in [*((choice, True) for choice in option.choices), ('none-of-these', False)]:
        assert is_valid_spec({option.name: value}) is expected
        assert is_valid_in_api({option.name: value}) is expected
        if option.name in LABELS:
            assert is_valid_in_form(option.name, value, option.task or 'classification') is expected


@pytest.mark.parametrize('option', list_training_options(), ids=lambda option: option.name)
def test_the_default_is_valid_and_the_form_starts_with_it(option):
    if option.kind != 'object':
        assert is_valid_spec({option.name: option.default}) and is_valid_in_api({option.name: option.default})
    for task in ('classification', 'detection'):
        field = TrainingForm(task=task, sources=[]).fields.get(option.name)
        assert field is None or field.initial == ('' if option.name == 'rates' else option.default)


@pytest.mark.parametrize('number', [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused(number):
    for option in LIMITED:
        if option.kind != 'integer':
            value = {'head': number} if option.kind == 'numbers by name' else number
            assert not is_valid_spec({option.name: value}) and not is_valid_in_api({option.name: value})


@pytest.mark.parametrize('rate', [0.0, 1.0])
def test_a_learning_rate_that_the_api_takes_is_one_that_finetuning_takes(rate):
    """Rates above 1 once passed the API and failed in the worker."""
    assert is_valid_in_api({'rates': {'head': rate}})
    spec = TrainSpec.from_json({'rates': {'head': rate}, 'plan': 'all'})
    groups = [LayerGroup('stage1', 100), LayerGroup('head', 10)]
    assert choose_plan(spec, groups, 250, 5, 0.5).rates['head'] == rate
    assert not is_valid_in_api({'rates': {'head': 5.0}}) and not is_valid_spec({'rates': {'head': 5.0}})
