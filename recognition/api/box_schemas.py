"""The shapes of boxes, and of sets of annotations that come in and go out."""

from __future__ import annotations

from typing import Any, get_args

from rest_framework import serializers

from recognition.api.schemas import UploadOut
from recognition.datasets.annotation_export import FORMATS
from recognition.datasets.box_annotations import State
from recognition.datasets.formats.records import MAX_BOXES_PER_IMAGE

Fields = serializers.Serializer[Any]


class BoxSchema(Fields):
    """End-exclusive pixels of the upright image: width = x1 - x0."""

    label = serializers.CharField(max_length=120, help_text='Made when it is new.')
    x0 = serializers.FloatField()
    y0 = serializers.FloatField()
    x1 = serializers.FloatField()
    y1 = serializers.FloatField()
    difficult = serializers.BooleanField(
        default=False, help_text='Neither trained on nor counted as an error.'
    )


class BoxSetOut(Fields):
    image = serializers.UUIDField(source='image.pk')
    name = serializers.CharField(source='image.name')
    width = serializers.IntegerField(source='image.width', help_text='Pixels, upright.')
    height = serializers.IntegerField(source='image.height', help_text='Pixels, upright.')
    version = serializers.IntegerField(help_text='Grows with each change; send it back when you save.')
    state = serializers.ChoiceField(
        choices=get_args(State), help_text='empty: a person said that nothing is on it.'
    )
    boxes = BoxSchema(many=True)


class BoundedBoxes(serializers.ListField):
    """Counted before they are looked at: checking a million boxes takes minutes."""

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, list) and len(data) > MAX_BOXES_PER_IMAGE:
            raise serializers.ValidationError(
                f'{len(data):,} boxes; at most {MAX_BOXES_PER_IMAGE:,} are kept'
            )
        return super().to_internal_value(data)


class BoxSetIn(Fields):
    version = serializers.IntegerField(min_value=0, help_text='The version that these boxes replace.')
    boxes = BoundedBoxes(child=BoxSchema(), max_length=MAX_BOXES_PER_IMAGE)
    empty = serializers.BooleanField(
        default=False, help_text='With no boxes: a person looked and there is nothing.'
    )


class PrelabelBox(Fields):
    label = serializers.CharField()
    score = serializers.FloatField()
    x0 = serializers.FloatField()
    y0 = serializers.FloatField()
    x1 = serializers.FloatField()
    y1 = serializers.FloatField()


class PrelabelsOut(Fields):
    model = serializers.UUIDField(source='model.pk')
    version = serializers.IntegerField(source='model.version')
    threshold = serializers.FloatField(help_text='The score from which on boxes are proposed.')
    boxes = PrelabelBox(many=True, help_text='The surest first.')
    mistakes = serializers.FloatField(
        help_text='How many boxes a person is expected to mend: label those with most of it first.'
    )


class ExportFilter(Fields):
    format = serializers.ChoiceField(choices=FORMATS, default='coco')
    photos = serializers.BooleanField(default=True, help_text='Put the photos into the zip too.')


class ImportIn(Fields):
    """multipart/form-data."""

    files = serializers.ListField(
        child=serializers.FileField(),
        help_text='Zips of photos and annotations, photos, annotation files; repeat the field.',
    )
    paths = serializers.ListField(
        child=serializers.CharField(), required=False, help_text='For each file its path in a dropped folder.'
    )
    format = serializers.ChoiceField(choices=FORMATS, required=False, help_text='Found out unless told.')
    overwrite = serializers.BooleanField(
        default=False, help_text='Also on photos whose boxes were saved before.'
    )


class RefusalOut(Fields):
    where = serializers.CharField(help_text='The photo, or else the file.')
    reason = serializers.CharField()


class ImportedBoxesOut(Fields):
    format = serializers.CharField(allow_blank=True, help_text='Empty: there were no annotations.')
    images = serializers.IntegerField(help_text='Photos whose boxes are now as the files say.')
    boxes = serializers.IntegerField(help_text='On these photos.')
    empty = serializers.IntegerField(help_text='Of these photos: nothing is on them.')
    unchanged = serializers.IntegerField(help_text='Of these photos: were so before.')
    kept = serializers.IntegerField(help_text='Photos that had other boxes, which stayed (see overwrite).')
    labels = serializers.ListField(child=serializers.CharField())
    refused = RefusalOut(many=True, help_text='What was not taken, and why.')
    refused_count = serializers.IntegerField(help_text='May be more than are listed.')


class ImportOut(UploadOut):
    annotations = ImportedBoxesOut()
