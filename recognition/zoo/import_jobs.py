"""Adding a source model from a file that was sent: it is kept, a job examines it, and it becomes a source or is refused.

What was refused or stopped keeps its file for a day, so that what was said of it can be corrected without sending it again.
"""

from __future__ import annotations

import dataclasses
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from recognition import audit, naming
from recognition.errors import ConflictError, InvalidInputError, NotFoundError
from recognition.jobs import status
from recognition.jobs.queue import UPLOAD_QUEUE, enqueue
from recognition.models import Job, SourceModel
from recognition.models.job import JobKind, JobQuerySet, State
from recognition.zoo import registration
from recognition.zoo.registration import SourceMetadata

KEPT = timedelta(days=1)  # how long a file waits to be examined again
DISCARDED = 'It was discarded while its file was being sent.'
REFUSED = (State.FAILED, State.CANCELLED)
SAID = (
    'name',
    'architecture',
    'dataset',
    'domain',
    'images',
    'class_names',
    'licence',
    'title',
    'side',
    'approved',
)


def start_import(upload: UploadedFile, said: SourceMetadata, user: AbstractBaseUser) -> Job:
    """Keep a weights file that came by the browser, and let a worker examine it.

    Errors, each with the field that it is about: InvalidInputError and TooLargeError (what can be told without reading the weights),
    ConflictError (the name).
    """
    shown, size = naming.make_printable(upload.name or ''), upload.size or 0
    said = _validate(shown, size, said)
    file = registration.choose_weights_path(said.name, Path(shown).suffix)
    spec = {'file': file.name, 'shown': shown, 'size': size, **_to_spec(said)}
    # In a queue that no worker serves until its file is there: a crash in between leaves a row, by which the file is found.
    job = Job.objects.create(kind=JobKind.SOURCE_IMPORT, spec=spec, queue=UPLOAD_QUEUE, created_by_id=user.pk)
    try:
        registration.store_upload(upload, file)
    except BaseException as error:
        discarded = not job.delete()[0]
        file.unlink(missing_ok=True)
        if discarded:
            raise ConflictError(DISCARDED, field='file') from error
        raise
    if not Job.objects.filter(pk=job.pk, state=State.QUEUED, queue=UPLOAD_QUEUE).update(
        queue=settings.SERVING_QUEUE
    ):
        return _resolve_stopped_upload(job, file)
    job.refresh_from_db()
    enqueue(job)
    return job


def _resolve_stopped_upload(job: Job, file: Path) -> Job:
    """Somebody stopped the addition while its file was still coming, and may have discarded it."""
    stopped = Job.objects.filter(pk=job.pk).first()
    if stopped is None:
        file.unlink(missing_ok=True)
        raise ConflictError(DISCARDED, field='file')
    return stopped


def retry_import(job: Job, said: SourceMetadata, user: AbstractBaseUser) -> None:
    """Let a worker examine the file that is kept, with this said of it now.

    Errors: as `begin`; InvalidInputError also when the file is gone, ConflictError also when the addition goes on.
    """
    said = _validate(job.spec['shown'], job.spec['size'], said)
    file = get_weights_path(job)
    if (
        not file.exists() or file.stat().st_size != job.spec['size']
    ):  # it may still be coming, or never have come in whole
        raise InvalidInputError(f'{job.spec["shown"]} is not kept in whole: choose it again.', field='file')
    with transaction.atomic():
        # The queue too: what was stopped before its file had arrived in whole is still in none.
        told = {'spec': job.spec | _to_spec(said), 'created_by_id': user.pk, 'queue': settings.SERVING_QUEUE}
        if not job.resubmit('said otherwise', **told):
            raise ConflictError('It is being examined already, or was discarded.')
        enqueue(job)


def replace_file(job: Job, upload: UploadedFile, said: SourceMetadata, user: AbstractBaseUser) -> Job:
    """The same with another file than the one that is kept, which is dropped. Errors: as `begin`."""
    begun = start_import(upload, said, user)
    _delete(job)
    return begun


def discard_import(job: Job, user: AbstractBaseUser) -> None:
    """Drop a refused or stopped addition with its file. Errors: ConflictError (it goes on, or became a source)."""
    if not _delete(job):
        raise ConflictError('It is being examined, or in the zoo already.')
    audit.record(user, 'discard addition', job.spec['name'])


def find_import(job_id: uuid.UUID) -> Job:
    job = Job.objects.filter(kind=JobKind.SOURCE_IMPORT, pk=job_id).first()
    if job is None:
        raise NotFoundError('There is no such addition.')
    return job


def list_imports() -> JobQuerySet:
    """Those under way, and those whose file waits to be examined again; the newest first."""
    return Job.objects.filter(kind=JobKind.SOURCE_IMPORT).exclude(state=State.SUCCEEDED)


def find_imported_source(job: Job) -> SourceModel | None:
    """The source that a file was made, as long as it is in the zoo."""
    return (
        SourceModel.objects.filter(pk=job.result.get('source')).first()
        if job.state == State.SUCCEEDED
        else None
    )


def get_progress(job: Job) -> dict[str, Any]:
    """As status.summarize_progress tells it; nobody knows beforehand how long a file takes, so there is no fraction."""
    told = status.summarize_progress(job) | {'fraction': None}
    return told | {'message': 'It waits for a worker'} if job.state == State.QUEUED else told


def read_metadata(job: Job) -> SourceMetadata:
    said = {name: job.spec[name] for name in SAID}
    return SourceMetadata(**{**said, 'class_names': tuple(said['class_names'])})


def get_weights_path(job: Job) -> Path:
    return registration.ensure_zoo_folder() / job.spec['file']


def delete_expired() -> int:
    """Drop what nobody came back to, and what never arrived in whole; how many."""
    before = timezone.now() - KEPT
    old = Q(state__in=REFUSED, finished_at__lt=before) | Q(
        state=State.QUEUED, queue=UPLOAD_QUEUE, created_at__lt=before
    )
    return sum(_delete(job) for job in Job.objects.filter(old, kind=JobKind.SOURCE_IMPORT))


def _validate(shown: str, size: int, said: SourceMetadata) -> SourceMetadata:
    """As source_files.checked; a name that is being added is taken too, so that a form sent twice adds one source."""
    said = registration.validate_metadata(shown, size, said)
    if Job.objects.unfinished().filter(kind=JobKind.SOURCE_IMPORT, spec__name=said.name).exists():
        raise ConflictError(f'A source called {said.name} is being added already.', field='name')
    return said


def _to_spec(said: SourceMetadata) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(said).items() if name in SAID}


def _delete(job: Job) -> bool:
    """Row and file, the file first: what a crash leaves is a row without its file. False when it goes on, or is a source."""
    with transaction.atomic():
        droppable = Q(state__in=REFUSED) | Q(state=State.QUEUED, queue=UPLOAD_QUEUE)
        held = Job.objects.select_for_update().filter(droppable, pk=job.pk).first()
        if held is None:
            return False
        get_weights_path(held).unlink(missing_ok=True)
        held.delete()
    return True
