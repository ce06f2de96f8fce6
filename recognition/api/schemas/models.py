"""Schemas of trained models, publications and source models."""

from __future__ import annotations

from rest_framework import serializers

from recognition.api.schemas.fields import Schema
from recognition.models import Publication, SourceModel, TrainedModel
from recognition.models.source_model import SourceStatus
from recognition.serving import publishing
from recognition.training import reports


class ModelOut(Schema):
    """The result of recognition.training.reports.model_summary."""

    id = serializers.UUIDField()
    project = serializers.UUIDField()
    version = serializers.IntegerField()
    provisional = serializers.BooleanField(
        help_text='Usable, but replaced by a better model when its training ends.'
    )
    task = serializers.CharField()
    labels = serializers.ListField(child=serializers.CharField())
    source = serializers.CharField(help_text='Name of the source model; empty: trained from scratch.')
    images = serializers.IntegerField(help_text='Number of images that it was trained on.')
    accuracy = serializers.FloatField(
        allow_null=True, help_text='Cross-validated accuracy, 0 to 1; of a detector its mAP (VOC 2007).'
    )
    interval = serializers.ListField(
        child=serializers.FloatField(), allow_null=True, help_text='95 % interval of the accuracy.'
    )
    job = serializers.UUIDField(allow_null=True, help_text='Id of the training.')
    published = serializers.ListField(child=serializers.CharField(), help_text='Its published names.')
    created_at = serializers.DateTimeField()

    def to_representation(self, instance: TrainedModel) -> dict[str, object]:
        return reports.model_summary(instance)


class ModelReportOut(ModelOut):
    """The result of recognition.training.reports.model_report; docs/api.md describes each part."""

    digest = serializers.CharField(help_text='SHA-256 of the artifact.')
    data_digest = serializers.CharField(help_text='SHA-256 of the images with their labels.')
    seed = serializers.IntegerField(allow_null=True)
    winner = serializers.CharField(
        help_text='What is served: linear, finetuned, ensemble or finetuned ensemble; of a detector its kind.'
    )
    members = serializers.ListField(
        child=serializers.CharField(),
        help_text='Source models whose networks answer together; empty: one network answers.',
    )
    why = serializers.CharField(help_text='Why it was kept, in a sentence.')
    ranking = serializers.ListField(
        child=serializers.DictField(), help_text='Source models by P2L score, highest first.'
    )
    probes = serializers.ListField(
        child=serializers.DictField(), help_text='Linear probes of the best source models.'
    )
    forecast = serializers.DictField(
        help_text='Expected accuracy before finetuning, and the gain of more images.'
    )
    plan = serializers.DictField(help_text='Finetuned layer groups and their learning rates.')
    per_class = serializers.ListField(child=serializers.DictField(), help_text='Precision and recall.')
    confusion = serializers.ListField(
        child=serializers.ListField(child=serializers.IntegerField()),
        help_text='Rows: ground truth; columns: prediction; in the order of `labels`.',
    )
    misclassified = serializers.ListField(child=serializers.DictField())
    calibration = serializers.DictField(help_text='Temperature and expected calibration error.')
    curve = serializers.ListField(child=serializers.DictField(), help_text='The learning curve.')
    seconds = serializers.DictField(help_text='Duration of each phase of the training.')
    engine = serializers.DictField(help_text='What runs predictions, and how it was checked.')
    notes = serializers.ListField(child=serializers.CharField())
    near_duplicates = serializers.DictField(
        help_text='Groups and pairs of near-duplicates among the images; {} where none were searched.'
    )
    detection = serializers.DictField(
        help_text='Figures of a detector on held-out images; {} for a classifier.'
    )

    def to_representation(self, instance: TrainedModel) -> dict[str, object]:
        return reports.model_report(instance)


class PublishIn(Schema):
    name = serializers.CharField(max_length=80, help_text='Letters, digits, hyphens and underscores.')


class PublicationOut(Schema):
    """The result of recognition.serving.publishing.describe_publication."""

    name = serializers.CharField()
    project = serializers.UUIDField()
    model = ModelOut()
    previous = serializers.UUIDField(allow_null=True, help_text='Id of the model that a rollback returns to.')
    history = serializers.ListField(child=serializers.DictField(), help_text='Newest first.')
    created_at = serializers.DateTimeField()

    def to_representation(self, instance: Publication) -> dict[str, object]:
        return publishing.describe_publication(instance)


class SourceModelOut(Schema):
    name = serializers.CharField()
    title = serializers.CharField()
    architecture = serializers.CharField()
    dataset = serializers.CharField(help_text='The data set that it was trained on.')
    classes = serializers.IntegerField(help_text='Number of classes of that data set.')
    images = serializers.IntegerField(help_text='Number of images of that data set.')
    side = serializers.IntegerField(help_text='Side of the square input in pixels.')


class SourceModelsOut(Schema):
    results = SourceModelOut(many=True)


class PromotionIn(Schema):
    share = serializers.BooleanField(
        help_text='Whether users outside the project may use it too, once an administrator approved it.'
    )
    name = serializers.CharField(
        required=False, max_length=120, help_text='Default: made from the name of the project.'
    )
    title = serializers.CharField(required=False, max_length=200)
    domain = serializers.CharField(
        required=False, max_length=80, help_text='What its images show, in a few words.'
    )
    licence = serializers.CharField(required=False, max_length=200)


class PromotionOut(Schema):
    name = serializers.CharField()
    title = serializers.CharField()
    state = serializers.ChoiceField(choices=SourceStatus.choices, source='status')
    shared = serializers.SerializerMethodField(
        help_text='Whether an owner agreed to share it with users outside the project.'
    )
    has_signature = serializers.SerializerMethodField(
        help_text='Whether its P2L signature was computed, so that it can be ranked by similarity.'
    )

    def get_shared(self, row: SourceModel) -> bool:
        return row.shared_at is not None

    def get_has_signature(self, row: SourceModel) -> bool:
        return bool(row.signatures)
