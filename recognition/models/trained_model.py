"""Trained models, versioned within their project, and the names under which they are published."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from recognition.models.job import Job
from recognition.models.project import Project


class TrainedModel(models.Model):
    """An artifact and its measurements. A provisional one is the instant model of a training that goes on."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name='models')
    job = models.ForeignKey(Job, models.SET_NULL, null=True, blank=True, related_name='models')
    version = models.PositiveIntegerField(help_text='1, 2, 3 ... within the project.')
    provisional = models.BooleanField(
        default=False, help_text='The instant model of a training that goes on.'
    )
    task = models.CharField(max_length=20, default='classification')
    artifact = models.CharField(max_length=200, help_text='Name of its folder in storage.')
    digest = models.CharField(
        max_length=64, help_text='Digest of the artifact (its meta.json names every file).'
    )
    labels = models.JSONField(help_text='Class names in output order.')
    source_name = models.CharField(max_length=120, blank=True)
    images = models.PositiveIntegerField(help_text='How many images it was trained on.')
    accuracy = models.FloatField(null=True, blank=True, help_text='Out-of-fold, 0 to 1.')
    accuracy_low = models.FloatField(null=True, blank=True, help_text='95 % interval.')
    accuracy_high = models.FloatField(null=True, blank=True)
    report = models.JSONField(default=dict, blank=True, help_text='The training report as JSON.')
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ['-version']
        constraints = [models.UniqueConstraint(fields=['project', 'version'], name='unique_model_version')]

    def __str__(self) -> str:
        return f'{self.project} v{self.version}'


class Publication(models.Model):
    """A name that programs call. It points at one model; its events are the history."""

    project = models.ForeignKey(Project, models.CASCADE, related_name='publications')
    name = models.SlugField(max_length=80, unique=True)
    model = models.ForeignKey(TrainedModel, models.PROTECT, related_name='publications')
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ['name']

    def __str__(self) -> str:
        return f'{self.name} -> {self.model}'


class PublicationEvent(models.Model):
    publication = models.ForeignKey(Publication, models.CASCADE, related_name='events')
    model = models.ForeignKey(TrainedModel, models.CASCADE, related_name='+')
    action = models.CharField(max_length=10, choices=[('publish', 'publish'), ('rollback', 'rollback')])
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ['-id']

    def __str__(self) -> str:
        return f'{self.action} {self.model}'
