"""Schemas of labels (the classes of a project)."""

from __future__ import annotations

from rest_framework import serializers

from recognition.api.schemas.fields import Schema
from recognition.api.schemas.images import PreviousLabels


class LabelOut(Schema):
    id = serializers.IntegerField()
    name = serializers.CharField()
    images = serializers.IntegerField(
        source='present', help_text='Images with this label, without those in the trash.'
    )
    boxes = serializers.IntegerField(source='drawn', help_text='Boxes with this label (detection only).')


class LabelIn(Schema):
    name = serializers.CharField(max_length=120)


class DeletedLabelResult(PreviousLabels):
    deleted_label = serializers.IntegerField(
        help_text='Id of the deleted label: restore it with its boxes by POST to deleted-labels/{id}/restore.'
    )


class DeletedLabelOut(Schema):
    id = serializers.IntegerField()
    name = serializers.CharField()
    deleted_at = serializers.DateTimeField()


class DeletedLabelsOut(Schema):
    results = DeletedLabelOut(many=True)
