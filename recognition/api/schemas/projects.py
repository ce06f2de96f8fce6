"""Schemas of projects, their members and the health of their data."""

from __future__ import annotations

from rest_framework import serializers

from recognition.api.schemas.fields import Schema
from recognition.models.project import Role, Task


class ProjectOut(Schema):
    id = serializers.UUIDField()
    name = serializers.CharField()
    task = serializers.ChoiceField(
        choices=Task.choices, help_text='Classify whole images, or detect objects in them.'
    )
    created_at = serializers.DateTimeField()


class ProjectIn(Schema):
    name = serializers.CharField(max_length=120)
    task = serializers.ChoiceField(
        choices=Task.choices, default=Task.CLASSIFICATION, help_text='Default: classification.'
    )


class ProjectChange(Schema):
    name = serializers.CharField(max_length=120, required=False)
    task = serializers.ChoiceField(
        choices=Task.choices,
        required=False,
        help_text='Can be changed while no image is labelled and nothing was trained.',
    )


class MemberOut(Schema):
    username = serializers.CharField(source='user.username')
    role = serializers.ChoiceField(choices=Role.choices)


class MemberIn(Schema):
    username = serializers.CharField(max_length=150)
    role = serializers.ChoiceField(choices=Role.choices, default=Role.EDITOR, help_text='Default: editor.')


class LabelHealthOut(Schema):
    label = serializers.CharField()
    images = serializers.IntegerField(help_text='Images with this label; for detection, with a box of it.')
    boxes = serializers.IntegerField(help_text='Always 0 in a classification project.')


class DatasetProblemOut(Schema):
    code = serializers.CharField(help_text='A stable identifier for programs.')
    message = serializers.CharField(help_text='A sentence for people.')
    label = serializers.CharField(help_text='The label that it is about; may be empty.')
    severe = serializers.BooleanField(help_text='True: training would be impossible or its result useless.')


class HealthOut(Schema):
    ready = serializers.BooleanField(help_text='Whether a training can start.')
    missing = serializers.ListField(
        child=serializers.CharField(), help_text='What is missing before a training can start, in sentences.'
    )
    images = serializers.IntegerField(help_text='Images outside the trash.')
    unlabelled = serializers.IntegerField(
        help_text='Images without a label; for detection, images that were not annotated yet.'
    )
    labels = LabelHealthOut(many=True, help_text='All labels by name.')
    problems = DatasetProblemOut(many=True, help_text='Problems of the data, severe ones first.')
