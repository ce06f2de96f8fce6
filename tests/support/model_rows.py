"""Rows of trained models for a sealed classifier."""

from __future__ import annotations

from pathlib import Path

from recognition import storage
from recognition.models import Project, TrainedModel
from tests.support import sealed_classifier
from transfer.spec.report import SealedModel


def make_model(project: Project, artifact: SealedModel, version: int, **changes) -> TrainedModel:
    """The row alone; the artifact must be in storage already."""
    values = {
        'artifact': f'{project.pk}/colours',
        'digest': artifact.digest,
        'labels': list(sealed_classifier.LABELS),
        'source_name': 'none',
        'images': 30,
        'accuracy': artifact.report.accuracy,
        'accuracy_low': artifact.report.interval[0],
        'accuracy_high': artifact.report.interval[1],
        'report': artifact.report.to_json(),
        **changes,
    }
    return TrainedModel.objects.create(project=project, version=version, **values)


def publish_version(project: Project, artifact: SealedModel, version: int, **changes) -> TrainedModel:
    """The row, with the artifact copied into storage."""
    storage.publish_artifact(Path(artifact.folder), f'{project.pk}/colours')
    return make_model(project, artifact, version, **changes)
