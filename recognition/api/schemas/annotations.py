"""Schemas of boxes on images, of prelabels, and of annotations that are imported and exported."""

from __future__ import annotations

from typing import Any, get_args

from rest_framework import serializers

from recognition.api.schemas.fields import Schema
from recognition.api.schemas.images import UploadOut
from recognition.datasets.annotation_export import FORMATS
from recognition.datasets.box_annotations import State
from recognition.datasets.formats.records import MAX_BOXES_PER_IMAGE


class BoxSchema(Schema):
    """Corners in pixels of the upright image. x1 and y1 are exclusive: the width is x1 - x0."""

    label = serializers.CharField(max_length=120, help_text='A label that does not exist is created.')
    x0 = serializers.FloatField()
    y0 = serializers.FloatField()
    x1 = serializers.FloatField()
    y1 = serializers.FloatField()
    difficult = serializers.BooleanField(
        default=False,
        help_text='Not trained on, and not counted as an error in evaluation. Default: false.',
    )


class BoxSetOut(Schema):
    image = serializers.UUIDField(source='image.pk', help_text='Id of the image.')
    name = serializers.CharField(source='image.name')
    width = serializers.IntegerField(source='image.width', help_text='Pixels of the upright image.')
    height = serializers.IntegerField(source='image.height', help_text='Pixels of the upright image.')
    version = serializers.IntegerField(help_text='Incremented with each change; send it when you save.')
    state = serializers.ChoiceField(
        choices=get_args(State),
        help_text='unlabelled: not annotated yet; boxes: has boxes; empty: contains no object.',
    )
    boxes = BoxSchema(many=True)


class BoundedBoxes(serializers.ListField):
    """Counts the boxes before they are validated: validating a million boxes takes minutes."""

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, list) and len(data) > MAX_BOXES_PER_IMAGE:
            raise serializers.ValidationError(
                f'{len(data):,} boxes; an image can have at most {MAX_BOXES_PER_IMAGE:,}'
            )
        return super().to_internal_value(data)


class BoxSetIn(Schema):
    version = serializers.IntegerField(min_value=0, help_text='The version that these boxes replace.')
    boxes = BoundedBoxes(child=BoxSchema(), max_length=MAX_BOXES_PER_IMAGE)
    empty = serializers.BooleanField(
        default=False,
        help_text='With no boxes: mark the image as containing no object. Default: false (not annotated).',
    )


class PrelabelBox(Schema):
    label = serializers.CharField()
    score = serializers.FloatField(help_text='0 to 1.')
    x0 = serializers.FloatField()
    y0 = serializers.FloatField()
    x1 = serializers.FloatField()
    y1 = serializers.FloatField()


class PrelabelsOut(Schema):
    model = serializers.UUIDField(source='model.pk', help_text='Id of the detector.')
    version = serializers.IntegerField(source='model.version', help_text='Version of the detector.')
    threshold = serializers.FloatField(help_text='Minimum score of the boxes, 0 to 1.')
    boxes = PrelabelBox(many=True, help_text='Highest score first.')
    expected_corrections = serializers.FloatField(
        source='mistakes',
        help_text='Expected number of boxes to correct. Annotate images with a high value first.',
    )


class ExportOptions(Schema):
    format = serializers.ChoiceField(choices=FORMATS, default='coco', help_text='Default: coco.')
    images = serializers.BooleanField(default=True, help_text='Include the images in the zip. Default: true.')


class ImportIn(Schema):
    """multipart/form-data."""

    files = serializers.ListField(
        child=serializers.FileField(),
        help_text='Images, annotation files, and zip archives of both; repeat the field.',
    )
    relative_paths = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text='Path of each file in the uploaded folder, in the order of `files`; repeat the field.',
    )
    format = serializers.ChoiceField(
        choices=FORMATS, required=False, help_text='Default: detected from the files.'
    )
    overwrite = serializers.BooleanField(
        default=False, help_text='Replace the boxes of images that have some. Default: false.'
    )


class RejectionOut(Schema):
    name = serializers.CharField(source='where', help_text='The image, or else the file.')
    reason = serializers.CharField()


class AnnotationImportOut(Schema):
    format = serializers.CharField(allow_blank=True, help_text='Empty: there were no annotations.')
    images = serializers.IntegerField(help_text='Images whose boxes now agree with the files.')
    boxes = serializers.IntegerField(help_text='Boxes on these images.')
    empty = serializers.IntegerField(help_text='Of these images, those that contain no object.')
    unchanged = serializers.IntegerField(help_text='Of these images, those that had these boxes before.')
    not_overwritten = serializers.IntegerField(
        help_text='Images that kept their previous boxes (see `overwrite`).'
    )
    labels = serializers.ListField(child=serializers.CharField())
    rejected = RejectionOut(many=True, help_text='What was not imported, and why.')
    rejected_count = serializers.IntegerField(help_text='Number of rejections; may be larger than the list.')


class ImportOut(UploadOut):
    annotations = AnnotationImportOut()
