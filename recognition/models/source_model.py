"""The zoo's rows: source models that a training may start from."""

from __future__ import annotations

from django.db import models


class Origin(models.TextChoices):
    STARTER = 'starter', 'Ships with Graft'
    TORCHVISION = 'torchvision', 'Published by torchvision'
    IMPORTED = 'imported', 'Imported from a file'


class SourceModelQuerySet(models.QuerySet['SourceModel']):
    def usable(self) -> SourceModelQuerySet:
        return self.filter(retired_at=None)


class SourceModel(models.Model):
    """Architecture + weights + the data set they were learned from + its signature under each reference model."""

    name = models.SlugField(max_length=120, unique=True)
    title = models.CharField(max_length=200, blank=True)
    architecture = models.CharField(max_length=60)
    weights = models.CharField(max_length=300, help_text='Absolute path of the safetensors or state_dict file.')
    digest = models.CharField(max_length=64, help_text='SHA-256 of the weights file.')
    size = models.PositiveBigIntegerField(help_text='Bytes of the weights file.')
    side = models.PositiveIntegerField(default=224, help_text='Input side in pixels.')
    mean = models.JSONField(help_text='Of RGB in 0..1, three numbers.')
    std = models.JSONField(help_text='Three numbers.')
    dataset = models.CharField(max_length=200, blank=True)
    images = models.PositiveIntegerField(help_text='How many images it was trained on.')
    class_names = models.JSONField(default=list, blank=True)
    classes = models.PositiveIntegerField()
    origin = models.CharField(max_length=20, choices=Origin.choices)
    licence = models.CharField(max_length=200, blank=True)
    signatures = models.JSONField(
        default=dict, blank=True, help_text='Digest of a reference model -> mean penultimate feature of the data set.'
    )
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    objects = SourceModelQuerySet.as_manager()

    class Meta:
        ordering = ['name']

    def __str__(self) -> str:
        return self.name
