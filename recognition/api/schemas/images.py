"""Schemas of images and their upload."""

from __future__ import annotations

from django.urls import reverse
from rest_framework import serializers

from recognition.api.schemas.fields import Schema
from recognition.datasets.labels import MAX_IMAGES
from recognition.datasets.upload_results import CODES
from recognition.models import Image

NEW_LABEL = 'A label that does not exist is created. null removes the label.'


class ImageOut(Schema):
    id = serializers.UUIDField()
    name = serializers.CharField(help_text='File name at upload, with its folders.')
    label = serializers.CharField(source='label.name', default=None, allow_null=True)
    annotated_at = serializers.DateTimeField(
        source='boxed_at', help_text='When its boxes were last saved; null: not annotated yet.'
    )
    width = serializers.IntegerField(help_text='Pixels of the upright image.')
    height = serializers.IntegerField(help_text='Pixels of the upright image.')
    size = serializers.IntegerField(help_text='Bytes.')
    digest = serializers.CharField(help_text='SHA-256 of the uploaded bytes.')
    created_at = serializers.DateTimeField()
    content = serializers.SerializerMethodField(help_text='URL of the image.')
    thumbnail = serializers.SerializerMethodField(help_text='URL of a JPEG of at most 256 × 256 pixels.')

    def get_content(self, image: Image) -> str:
        return reverse('api-image-content', args=(image.project_id, image.pk))

    def get_thumbnail(self, image: Image) -> str:
        return reverse('api-image-thumbnail', args=(image.project_id, image.pk))


class ImageFilter(Schema):
    label = serializers.CharField(required=False, help_text='Only images with this label.')
    labelled = serializers.BooleanField(
        required=False,
        allow_null=True,
        default=None,
        help_text='true: only labelled images; false: only unlabelled ones. For detection: annotated or not.',
    )
    deleted = serializers.BooleanField(
        required=False, default=False, help_text='true: images in the trash instead. Default: false.'
    )


class ImageIn(Schema):
    label = serializers.CharField(max_length=120, allow_null=True, help_text=NEW_LABEL)


class ImageIds(Schema):
    ids = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MAX_IMAGES)


class ImageLabelling(ImageIds):
    label = serializers.CharField(max_length=120, allow_null=True, help_text=NEW_LABEL)


class PreviousLabels(Schema):
    previous_labels = serializers.DictField(
        child=serializers.CharField(allow_null=True),
        help_text='Image id -> previous label (null: none). Send it to images/restore-labels to undo.',
    )


class ImageCount(Schema):
    images = serializers.IntegerField(help_text='Number of images that were changed.')


class UploadIn(Schema):
    """multipart/form-data."""

    files = serializers.ListField(
        child=serializers.FileField(), help_text='Images and zip archives of images; repeat the field.'
    )
    relative_paths = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text='Path of each file in the uploaded folder, in the order of `files`; repeat the field. '
        'The first folder below `root_folder` becomes the label.',
    )
    root_folder = serializers.CharField(
        required=False,
        help_text='The folder in `relative_paths` that contains all files. Default: their common folder.',
    )
    label = serializers.CharField(required=False, help_text='Label of files that lie in no labelled folder.')


class UploadResultOut(Schema):
    name = serializers.CharField()
    outcome = serializers.ChoiceField(choices=['created', 'duplicate', 'restored', 'rejected', 'skipped'])
    reason = serializers.CharField(allow_blank=True, help_text='Why it was rejected or skipped; else empty.')
    code = serializers.ChoiceField(
        choices=['', *CODES],
        help_text='The same for programs: '
        + '; '.join(f'`{code}`: {words}' for code, words in CODES.items())
        + '.',
    )
    image = serializers.UUIDField(source='image_id', allow_null=True, help_text='Id of the image.')
    label = serializers.CharField(allow_null=True)


class UploadOut(Schema):
    created = serializers.IntegerField(help_text='New images.')
    duplicate = serializers.IntegerField(help_text='Images that the project had already, byte for byte.')
    restored = serializers.IntegerField(help_text='Images restored from the trash.')
    rejected = serializers.IntegerField(help_text='Files that cannot be used.')
    skipped = serializers.IntegerField(help_text='Files that are not images.')
    files = UploadResultOut(many=True, help_text='The result of each file.')
