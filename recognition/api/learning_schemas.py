"""The shapes of trainings, models, publications, sources and predictions. Those of `reports` pass through as they are."""

from __future__ import annotations

import math
from typing import Any

from rest_framework import serializers

from recognition.models import Job, Publication, TrainedModel
from recognition.models.job import State
from recognition.serving import detection_jobs, publishing
from recognition.training import reports
from recognition.training.detectors import KINDS

Fields = serializers.Serializer[Any]


class Finite(serializers.FloatField):
    """The text `nan` is a float to Python, and passes every comparison with a bound."""

    def to_internal_value(self, data: Any) -> float:
        number = super().to_internal_value(data)
        if not math.isfinite(number):
            self.fail('invalid')
        return number


class TrainingIn(Fields):
    """Every field may be left out."""

    source = serializers.CharField(
        required=False, help_text='`auto` (the P2L choice) or the name of a source model.'
    )
    seed = serializers.IntegerField(required=False, min_value=0, max_value=2**31 - 1)
    folds = serializers.IntegerField(required=False, min_value=2, max_value=20)
    shortlist = serializers.IntegerField(required=False, min_value=1, max_value=20)
    epochs = serializers.IntegerField(
        required=False, min_value=0, max_value=1000, help_text='0: chosen from the set’s size.'
    )
    batch = serializers.IntegerField(required=False, min_value=1, max_value=4096)
    plan = serializers.ChoiceField(required=False, choices=['auto', 'linear', 'last', 'several', 'all'])
    rates = serializers.DictField(
        required=False, child=Finite(min_value=0, max_value=10), help_text='Layer group -> learning rate.'
    )
    flip = serializers.BooleanField(required=False)
    crop = Finite(required=False, min_value=0.05, max_value=1)
    jitter = Finite(required=False, min_value=0, max_value=1)
    lighting = Finite(required=False, min_value=0, max_value=1)
    patience = serializers.IntegerField(required=False, min_value=1, max_value=1000)
    device = serializers.ChoiceField(required=False, choices=['auto', 'cpu', 'cuda'])
    precision = serializers.ChoiceField(required=False, choices=['auto', 'float32', 'bfloat16'])
    instant_only = serializers.BooleanField(required=False, help_text='Stop after the linear model.')
    detector = serializers.ChoiceField(
        required=False,
        choices=KINDS,
        help_text='Of a project that finds things.',
    )
    proposals = serializers.CharField(
        required=False, help_text='How a detector is told where something may be.'
    )
    held_out = Finite(
        required=False,
        min_value=0.1,
        max_value=0.9,
        help_text='Share of the photos a detector is measured on.',
    )
    refit = serializers.BooleanField(
        required=False, help_text='True unless told: once measured, a detector learns anew from all photos.'
    )
    rcnn = serializers.DictField(required=False, help_text='Options of R-CNN: docs/detection.md.')
    fast_rcnn = serializers.DictField(required=False, help_text='Options of Fast R-CNN: docs/detection.md.')
    faster_rcnn = serializers.DictField(
        required=False, help_text='Options of Faster R-CNN: docs/detection.md.'
    )


class Point(Fields):
    epoch = serializers.IntegerField()
    loss = serializers.FloatField(allow_null=True)
    accuracy = serializers.FloatField(allow_null=True)


class ProgressOut(Fields):
    phase = serializers.CharField()
    fraction = serializers.FloatField(help_text='Of the whole training, 0 to 1.')
    message = serializers.CharField()
    epoch = serializers.IntegerField()
    epochs = serializers.IntegerField()
    loss = serializers.FloatField(allow_null=True)
    accuracy = serializers.FloatField(allow_null=True)
    seconds_left = serializers.FloatField(allow_null=True)
    forecast = serializers.CharField(
        help_text='What accuracy to expect, in a sentence; empty until it can be said.'
    )


class JobOut(Fields):
    """What every job tells of its course."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=State.choices)
    finished = serializers.BooleanField()
    queue_position = serializers.IntegerField(
        allow_null=True, help_text='In the queue; null unless it waits.'
    )
    cancel_requested = serializers.BooleanField()
    progress = ProgressOut(allow_null=True)
    error = serializers.DictField(child=serializers.CharField(), allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class TrainingOut(JobOut):
    """As recognition.training.reports.job_status tells it."""

    project = serializers.UUIDField()
    kind = serializers.CharField()
    attempt = serializers.IntegerField()
    curve = Point(many=True)
    model = serializers.UUIDField(allow_null=True, help_text='What it made so far.')
    provisional = serializers.BooleanField(allow_null=True)
    events = serializers.ListField(child=serializers.DictField())

    def to_representation(self, instance: Job) -> dict[str, Any]:
        return reports.job_status(instance)


class ModelOut(Fields):
    """As recognition.training.reports.model_summary tells it."""

    id = serializers.UUIDField()
    project = serializers.UUIDField()
    version = serializers.IntegerField()
    provisional = serializers.BooleanField(
        help_text='The first model of a training: a better one takes its place.'
    )
    task = serializers.CharField()
    labels = serializers.ListField(child=serializers.CharField())
    source = serializers.CharField()
    images = serializers.IntegerField()
    accuracy = serializers.FloatField(allow_null=True, help_text='Out-of-fold, 0 to 1.')
    interval = serializers.ListField(child=serializers.FloatField(), allow_null=True, help_text='95 %.')
    job = serializers.UUIDField(allow_null=True)
    published = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()

    def to_representation(self, instance: TrainedModel) -> dict[str, Any]:
        return reports.model_summary(instance)


class ModelReport(ModelOut):
    """As recognition.training.reports.model_report tells it; docs/api.md says what each part holds."""

    digest = serializers.CharField()
    data_digest = serializers.CharField()
    seed = serializers.IntegerField(allow_null=True)
    winner = serializers.CharField(help_text='linear or finetuned.')
    why = serializers.CharField()
    ranking = serializers.ListField(child=serializers.DictField())
    probes = serializers.ListField(child=serializers.DictField())
    forecast = serializers.DictField(
        help_text='Before finetuning: the accuracy to expect, and what more photos would add.'
    )
    plan = serializers.DictField()
    per_class = serializers.ListField(child=serializers.DictField())
    confusion = serializers.ListField(child=serializers.ListField(child=serializers.IntegerField()))
    misclassified = serializers.ListField(child=serializers.DictField())
    calibration = serializers.DictField()
    curve = serializers.ListField(child=serializers.DictField())
    seconds = serializers.DictField()
    engine = serializers.DictField()
    notes = serializers.ListField(child=serializers.CharField())
    detection = serializers.DictField(
        help_text='Of a detector: its figures on the photos it was measured on. Else empty.'
    )

    def to_representation(self, instance: TrainedModel) -> dict[str, Any]:
        return reports.model_report(instance)


class PublishIn(Fields):
    name = serializers.CharField(max_length=80, help_text='Letters, digits, hyphens and underscores.')


class PublicationOut(Fields):
    """As recognition.serving.publishing.describe_publication gives it."""

    name = serializers.CharField()
    project = serializers.UUIDField()
    model = ModelOut()
    previous = serializers.UUIDField(allow_null=True, help_text='What a rollback would go back to.')
    history = serializers.ListField(child=serializers.DictField())
    created_at = serializers.DateTimeField()

    def to_representation(self, instance: Publication) -> dict[str, Any]:
        return publishing.describe_publication(instance)


class SourceOut(Fields):
    name = serializers.CharField()
    title = serializers.CharField()
    architecture = serializers.CharField()
    dataset = serializers.CharField()
    classes = serializers.IntegerField()
    images = serializers.IntegerField(help_text='How many it was trained on.')
    side = serializers.IntegerField(help_text='Input side in pixels.')


class SourcesOut(Fields):
    results = SourceOut(many=True)


class Wanted(Fields):
    """What of the scores is wanted."""

    top = serializers.IntegerField(
        required=False, min_value=1, max_value=10_000, help_text='At most so many classes an image.'
    )
    threshold = Finite(required=False, min_value=0, max_value=1, help_text='Only scores from here on.')


class ClassifyJson(Wanted):
    image = serializers.CharField(required=False, help_text='Base64.')
    images = serializers.ListField(
        child=serializers.CharField(), required=False, help_text='Base64, 1 to 20.'
    )


class ClassifyFiles(Wanted):
    """multipart/form-data."""

    image = serializers.ListField(
        child=serializers.FileField(), required=False, help_text='Repeat the field, 1 to 20.'
    )
    images = serializers.ListField(
        child=serializers.FileField(), required=False, help_text='The same by another name.'
    )


class WantedBoxes(Fields):
    threshold = Finite(
        required=False,
        min_value=0,
        max_value=1,
        help_text='Only things from this score on; the model’s own unless told.',
    )
    wait = serializers.BooleanField(
        required=False,
        help_text='true: answer now, however long it takes; false: by a job. The server decides unless told.',
    )


class DetectJson(WantedBoxes):
    image = serializers.CharField(required=False, help_text='Base64.')
    images = serializers.ListField(
        child=serializers.CharField(), required=False, help_text='Base64, 1 to 20.'
    )


class DetectFiles(WantedBoxes):
    """multipart/form-data."""

    image = serializers.ListField(
        child=serializers.FileField(), required=False, help_text='Repeat the field, 1 to 20.'
    )
    images = serializers.ListField(
        child=serializers.FileField(), required=False, help_text='The same by another name.'
    )


class DetectedBox(Fields):
    label = serializers.CharField()
    score = serializers.FloatField(help_text='0 to 1; comparable within one model.')
    x0 = serializers.FloatField(help_text='Pixels of the upright image; width = x1 - x0.')
    y0 = serializers.FloatField()
    x1 = serializers.FloatField()
    y1 = serializers.FloatField()


class DetectedImage(Fields):
    name = serializers.CharField(allow_blank=True, help_text='Of the file that was sent.')
    width = serializers.IntegerField(help_text='Pixels, upright.')
    height = serializers.IntegerField()
    detections = DetectedBox(many=True, help_text='The surest first.')


class DetectOut(Fields):
    model = serializers.UUIDField()
    version = serializers.IntegerField()
    provisional = serializers.BooleanField()
    threshold = serializers.FloatField(help_text='The score from which on things are told.')
    images = DetectedImage(many=True)


class DetectionOut(JobOut):
    """As recognition.serving.detection_jobs.describe_job gives it."""

    model = serializers.UUIDField()
    result = DetectOut(allow_null=True, help_text='The answer, once it is there.')

    def to_representation(self, instance: Job) -> dict[str, Any]:
        return detection_jobs.describe_job(instance)


class ScoreOut(Fields):
    label = serializers.CharField()
    score = serializers.FloatField(help_text='Calibrated probability, 0 to 1.')


class ClassifiedImage(Fields):
    name = serializers.CharField(allow_blank=True, help_text='Of the file that was sent.')
    scores = ScoreOut(many=True, help_text='The best class first.')


class ClassifyOut(Fields):
    model = serializers.UUIDField()
    version = serializers.IntegerField()
    provisional = serializers.BooleanField()
    images = ClassifiedImage(many=True)
