"""Store what a training makes: its artifact in storage, and one TrainedModel.

A training has exactly one TrainedModel. The instant model creates it, provisional; the final model replaces
its content in one transaction and the old artifact is deleted. So its id, its version and a name that was
published for it stay valid, and programs that used the instant model go on with the better one. A training
that is cancelled or fails after its instant model keeps that one, still marked provisional.
"""

from __future__ import annotations

from pathlib import Path

from django.db import transaction
from django.db.models import Max

from recognition import storage
from recognition.models import Job, Project, TrainedModel
from transfer.spec.errors import JobCancelledError
from transfer.spec.report import SealedModel


def save_instant_model(job: Job, attempt: int, sealed: SealedModel) -> TrainedModel:
    """Store the instant model; after a resume, it replaces that of the earlier attempt."""
    name = _store_artifact(job, sealed)
    with transaction.atomic():
        if not job.write_heartbeat(attempt):
            raise JobCancelledError
        model = _write_model(job, name, sealed, provisional=True)
    storage.delete_artifacts_of(str(job.pk), but=name)
    return model


def save_final_model(job: Job, attempt: int, sealed: SealedModel) -> TrainedModel:
    """Store the final model and end the job, both or neither; JobCancelledError when the job is no longer
    this attempt's.
    """
    name = _store_artifact(job, sealed)
    with transaction.atomic():
        if not job.succeed(attempt):
            raise JobCancelledError
        model = _write_model(job, name, sealed, provisional=False)
    storage.delete_artifacts_of(str(job.pk), but=name)
    return model


def _store_artifact(job: Job, sealed: SealedModel) -> str:
    """Store the artifact under its digest: one that is being read is never overwritten."""
    name = f'{job.pk}/{sealed.digest[:32]}'
    storage.publish_artifact(Path(sealed.folder), name)
    return name


def _write_model(job: Job, artifact: str, sealed: SealedModel, *, provisional: bool) -> TrainedModel:
    project_id = job.project_id
    assert project_id is not None  # only trainings get here
    # locked, so that versions are assigned one at a time
    Project.objects.select_for_update().get(pk=project_id)
    report = sealed.report
    columns: dict[str, object] = {
        'provisional': provisional,
        'task': job.kind,
        'artifact': artifact,
        'digest': sealed.digest,
        'labels': list(report.labels),
        'source_name': report.source,
        'images': report.images,
        'accuracy': report.accuracy,
        'accuracy_low': report.interval[0],
        'accuracy_high': report.interval[1],
        'report': report.to_json(),
    }
    last = TrainedModel.objects.filter(project_id=project_id).aggregate(last=Max('version'))['last'] or 0
    model, _ = TrainedModel.objects.update_or_create(
        job=job, defaults=columns, create_defaults={**columns, 'project_id': project_id, 'version': last + 1}
    )
    return model
