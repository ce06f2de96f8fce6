"""Schemas of predictions: classification and detection."""

from __future__ import annotations

from rest_framework import serializers

from recognition.api.schemas.fields import FiniteField, Schema
from recognition.api.schemas.trainings import JobOut
from recognition.models import Job
from recognition.serving import detection_jobs


class JsonImages(Schema):
    image = serializers.CharField(required=False, help_text='An image as base64.')
    images = serializers.ListField(
        child=serializers.CharField(), required=False, help_text='1 to 20 images as base64.'
    )


class FormImages(Schema):
    """multipart/form-data."""

    image = serializers.ListField(
        child=serializers.FileField(), required=False, help_text='1 to 20 image files; repeat the field.'
    )
    images = serializers.ListField(
        child=serializers.FileField(), required=False, help_text='An alias of `image`.'
    )


class ClassifyOptions(Schema):
    top = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=10_000,
        help_text='Maximum number of classes per image. Default: all.',
    )
    threshold = FiniteField(
        required=False, min_value=0, max_value=1, help_text='Minimum score, 0 to 1. Default: 0.'
    )


class ClassifyJson(ClassifyOptions, JsonImages):
    pass


class ClassifyForm(ClassifyOptions, FormImages):
    """multipart/form-data."""


class DetectOptions(Schema):
    threshold = FiniteField(
        required=False,
        min_value=0,
        max_value=1,
        help_text='Minimum score, 0 to 1. Default: the threshold chosen at evaluation (highest F1).',
    )
    wait = serializers.BooleanField(
        required=False,
        help_text='true: respond with the result, however long it takes; false: respond with a job (202). '
        'Default: a job if the result is expected to take longer than MAX_DETECTION_SECONDS (2).',
    )


class DetectJson(DetectOptions, JsonImages):
    pass


class DetectForm(DetectOptions, FormImages):
    """multipart/form-data."""


class ScoreOut(Schema):
    label = serializers.CharField()
    score = serializers.FloatField(help_text='Calibrated probability, 0 to 1.')


class ClassifiedImage(Schema):
    name = serializers.CharField(allow_blank=True, help_text='Name of the file; empty for other bodies.')
    scores = ScoreOut(many=True, help_text='Highest score first.')


class ClassifyOut(Schema):
    model = serializers.UUIDField()
    version = serializers.IntegerField()
    provisional = serializers.BooleanField()
    images = ClassifiedImage(many=True)


class DetectionOut(Schema):
    label = serializers.CharField()
    score = serializers.FloatField(help_text='0 to 1; not comparable between models.')
    x0 = serializers.FloatField(help_text='Pixels of the upright image; the width is x1 - x0.')
    y0 = serializers.FloatField()
    x1 = serializers.FloatField()
    y1 = serializers.FloatField()


class ImageDetectionsOut(Schema):
    name = serializers.CharField(allow_blank=True, help_text='Name of the file; empty for other bodies.')
    width = serializers.IntegerField(help_text='Pixels of the upright image.')
    height = serializers.IntegerField(help_text='Pixels of the upright image.')
    detections = DetectionOut(many=True, help_text='Highest score first.')


class DetectOut(Schema):
    model = serializers.UUIDField()
    version = serializers.IntegerField()
    provisional = serializers.BooleanField()
    threshold = serializers.FloatField(help_text='Minimum score of the detections, 0 to 1.')
    images = ImageDetectionsOut(many=True)


class DetectionJobOut(JobOut):
    """The result of recognition.serving.detection_jobs.describe_job."""

    model = serializers.UUIDField()
    result = DetectOut(allow_null=True, help_text='The detections; null until the job succeeded.')

    def to_representation(self, instance: Job) -> dict[str, object]:
        return detection_jobs.describe_job(instance)
