"""Schemas of trainings and of what every background job reports."""

from __future__ import annotations

import json
from typing import Any

from rest_framework import serializers

from recognition.api.schemas.fields import FiniteField, Schema
from recognition.models import Job
from recognition.models.job import State
from recognition.training import reports
from recognition.training.start import TrainingOption, list_training_options


class DetectorOptionsIn(Schema):
    """Options of one kind of detector; its fields are made from their table."""

    def to_internal_value(self, data: Any) -> dict[str, object]:
        unknown = sorted(str(name) for name in set(data) - set(self.fields)) if isinstance(data, dict) else []
        if unknown:
            raise serializers.ValidationError({unknown[0]: ['unknown field']})
        return dict(super().to_internal_value(data))


class TrainingIn(Schema):
    """Options of a training. Each has a default, so the body may be {}."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {option.name: make_option_field(option) for option in list_training_options()}


def make_option_field(option: TrainingOption) -> serializers.Field[Any, Any, Any, Any]:
    """The field of one option, with the limits, choices and description of the table of options."""
    limits: dict[str, Any] = {}
    if option.has_limits:
        number = int if option.kind in ('integer', 'integers') else float
        limits = {'min_value': number(option.low or 0), 'max_value': number(option.high or 0)}
    help_text = _describe_option(option)
    if option.kind == 'boolean':
        return serializers.BooleanField(required=False, help_text=help_text)
    if option.kind == 'integer':
        return serializers.IntegerField(required=False, help_text=help_text, **limits)
    if option.kind == 'number':
        return FiniteField(required=False, help_text=help_text, **limits)
    if option.kind == 'choice':
        return serializers.ChoiceField(choices=option.choices, required=False, help_text=help_text)
    if option.kind == 'numbers by name':
        return serializers.DictField(child=FiniteField(**limits), required=False, help_text=help_text)
    if option.kind == 'integers':
        return serializers.ListField(
            child=serializers.IntegerField(**limits), required=False, help_text=help_text
        )
    if option.kind == 'numbers':
        return serializers.ListField(child=FiniteField(**limits), required=False, help_text=help_text)
    if option.kind == 'object':
        return DETECTOR_SCHEMAS[option.name](required=False, help_text=help_text)
    return serializers.CharField(required=False, help_text=help_text)


def _describe_option(option: TrainingOption) -> str:
    words = [option.description]
    if option.task:
        words.append(f'For {option.task} only.')
    if option.kind not in ('object', 'numbers by name'):
        default = option.default if isinstance(option.default, str) else json.dumps(option.default)
        words.append(f'Default: {default}.')
    return ' '.join(words)


# One class each, by the name of its option: a schema names its parts by their classes.
DETECTOR_SCHEMAS: dict[str, type[DetectorOptionsIn]] = {
    option.name: type(
        f'{option.name.title().replace("_", "")}Options',
        (DetectorOptionsIn,),
        {name: make_option_field(inner) for name, inner in option.options.items()},
    )
    for option in list_training_options()
    if option.kind == 'object'
}


class EpochOut(Schema):
    epoch = serializers.IntegerField()
    loss = serializers.FloatField(allow_null=True, help_text='Validation loss; of a detector training loss.')
    accuracy = serializers.FloatField(allow_null=True, help_text='Validation accuracy, 0 to 1.')


class ProgressOut(Schema):
    phase = serializers.CharField()
    fraction = serializers.FloatField(help_text='Of the whole job, 0 to 1.')
    message = serializers.CharField()
    epoch = serializers.IntegerField()
    epochs = serializers.IntegerField(help_text='0: this phase has no epochs.')
    loss = serializers.FloatField(allow_null=True)
    accuracy = serializers.FloatField(allow_null=True, help_text='0 to 1.')
    seconds_left = serializers.FloatField(allow_null=True)
    forecast = serializers.CharField(help_text='Expected accuracy, in a sentence; empty until it is known.')


class JobOut(Schema):
    """What every job reports."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=State.choices)
    finished = serializers.BooleanField()
    queue_position = serializers.IntegerField(
        allow_null=True, help_text='Number of jobs ahead in the queue; null unless it is queued.'
    )
    cancel_requested = serializers.BooleanField()
    progress = ProgressOut(allow_null=True)
    error = serializers.DictField(
        child=serializers.CharField(), allow_null=True, help_text='`code` and `message` of a failed job.'
    )
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class TrainingOut(JobOut):
    """The result of recognition.training.reports.job_status."""

    project = serializers.UUIDField()
    kind = serializers.CharField()
    attempt = serializers.IntegerField(help_text='Incremented whenever a worker takes the job.')
    curve = EpochOut(many=True, help_text='The learning curve so far.')
    model = serializers.UUIDField(allow_null=True, help_text='Id of the newest model of this training.')
    provisional = serializers.BooleanField(
        allow_null=True, help_text='Whether that model will be replaced when the training ends.'
    )
    events = serializers.ListField(child=serializers.DictField(), help_text='Changes of the state.')

    def to_representation(self, instance: Job) -> dict[str, object]:
        return reports.job_status(instance)
