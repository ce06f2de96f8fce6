"""The shapes of what comes in and goes out: projects, images, labels. (Learning's are in learning_schemas.)"""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from rest_framework import serializers

from recognition.datasets.labels import MAX_IMAGES
from recognition.models import Image
from recognition.models.project import Role, Task

Fields = serializers.Serializer[Any]


class ProjectOut(Fields):
    id = serializers.UUIDField()
    name = serializers.CharField()
    task = serializers.ChoiceField(choices=Task.choices)
    created_at = serializers.DateTimeField()


class ProjectIn(Fields):
    name = serializers.CharField(max_length=120)
    task = serializers.ChoiceField(choices=Task.choices, default=Task.CLASSIFICATION)


class ProjectChange(Fields):
    name = serializers.CharField(max_length=120, required=False)
    task = serializers.ChoiceField(
        choices=Task.choices, required=False, help_text='As long as nothing is labelled or trained.'
    )


class MemberOut(Fields):
    username = serializers.CharField(source='user.username')
    role = serializers.ChoiceField(choices=Role.choices)


class MemberIn(Fields):
    username = serializers.CharField(max_length=150)
    role = serializers.ChoiceField(choices=Role.choices, default=Role.EDITOR)


class ClassHealthOut(Fields):
    label = serializers.CharField()
    images = serializers.IntegerField()
    boxes = serializers.IntegerField(help_text='0 in a project that tells what a whole photo shows.')


class FindingOut(Fields):
    code = serializers.CharField()
    message = serializers.CharField()
    label = serializers.CharField()
    severe = serializers.BooleanField()


class HealthOut(Fields):
    ready = serializers.BooleanField(help_text='Whether a training can start.')
    missing = serializers.ListField(child=serializers.CharField(), help_text='What is lacking, in words.')
    images = serializers.IntegerField()
    unlabelled = serializers.IntegerField(
        help_text='Without a class; in a project that finds things: not looked at yet.'
    )
    classes = ClassHealthOut(many=True)
    warnings = FindingOut(many=True)


class LabelOut(Fields):
    id = serializers.IntegerField()
    name = serializers.CharField()
    images = serializers.IntegerField(
        source='present', help_text='How many images it holds, those in the trash not counted.'
    )
    boxes = serializers.IntegerField(
        source='drawn', help_text='In a project that finds things: how many boxes it has.'
    )


class LabelIn(Fields):
    name = serializers.CharField(max_length=120)


class ImageOut(Fields):
    id = serializers.UUIDField()
    name = serializers.CharField(help_text='As the file was called.')
    label = serializers.CharField(source='label.name', default=None, allow_null=True)
    boxed_at = serializers.DateTimeField(
        help_text='When its boxes were last saved; null: nobody has looked for things on it.'
    )
    width = serializers.IntegerField(help_text='Pixels, upright.')
    height = serializers.IntegerField(help_text='Pixels, upright.')
    size = serializers.IntegerField(help_text='Bytes.')
    digest = serializers.CharField(help_text='SHA-256 of the bytes as they were uploaded.')
    created_at = serializers.DateTimeField()
    content = serializers.SerializerMethodField(help_text='Where its bytes are.')
    thumbnail = serializers.SerializerMethodField(help_text='A JPEG of at most 256 pixels a side.')

    def get_content(self, image: Image) -> str:
        return reverse('api-image-content', args=(image.project_id, image.pk))

    def get_thumbnail(self, image: Image) -> str:
        return reverse('api-image-thumbnail', args=(image.project_id, image.pk))


class ImageFilter(Fields):
    label = serializers.CharField(required=False, help_text='Only images of this label.')
    labelled = serializers.BooleanField(
        required=False,
        allow_null=True,
        default=None,
        help_text='With any label, or with none; in a project that finds things: looked at, or not yet.',
    )
    deleted = serializers.BooleanField(required=False, default=False, help_text='Those in the trash instead.')


class ImageIn(Fields):
    label = serializers.CharField(
        max_length=120, allow_null=True, help_text='Made when it is new; null takes it away.'
    )


class ImageIds(Fields):
    ids = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MAX_IMAGES)


class LabelledIds(ImageIds):
    label = serializers.CharField(
        max_length=120, allow_null=True, help_text='Made when it is new; null takes labels away.'
    )


class PreviousLabels(Fields):
    previous = serializers.DictField(
        child=serializers.CharField(allow_null=True),
        help_text='Image id -> the label it had before, to undo with.',
    )


class DeletedOut(PreviousLabels):
    deleted = serializers.IntegerField(help_text='To restore it with, boxes and all.')


class DeletedLabel(Fields):
    id = serializers.IntegerField()
    name = serializers.CharField()
    deleted_at = serializers.DateTimeField()


class DeletedLabelsOut(Fields):
    results = DeletedLabel(many=True)


class Count(Fields):
    images = serializers.IntegerField(help_text='How many images changed.')


class UploadIn(Fields):
    """multipart/form-data."""

    files = serializers.ListField(
        child=serializers.FileField(), help_text='Images and zips of images; repeat the field.'
    )
    paths = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text='For each file its path in a dropped folder: the first folder below `wrapper` names its label.',
    )
    wrapper = serializers.CharField(
        required=False, help_text='The folder of `paths` that holds everything; else it is found.'
    )
    label = serializers.CharField(required=False, help_text='For files whose folder names none.')


class UploadResultOut(Fields):
    name = serializers.CharField()
    outcome = serializers.ChoiceField(choices=['created', 'duplicate', 'restored', 'rejected', 'skipped'])
    reason = serializers.CharField(allow_blank=True)
    image = serializers.UUIDField(source='image_id', allow_null=True)
    label = serializers.CharField(allow_null=True)


class UploadOut(Fields):
    created = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    restored = serializers.IntegerField()
    rejected = serializers.IntegerField()
    skipped = serializers.IntegerField()
    files = UploadResultOut(many=True)
