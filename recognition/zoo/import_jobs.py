"""Import a source model from an uploaded file: the file is stored, a job inspects it, and it becomes a source
or is refused.

A refused or cancelled import keeps its file for a day, so that its form can be corrected without sending the
file again.
"""

from __future__ import annotations

import dataclasses
import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

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
from transfer.spec.records import OPTIONAL, from_json, renamed_from, to_json

FILE_LIFETIME = timedelta(days=1)  # how long the file of a refused import is kept
DISCARDED = 'The import was discarded while its file was being sent.'
UNSUCCESSFUL = (State.FAILED, State.CANCELLED)


@dataclass(frozen=True)
class ImportSpec:
    """What a job is to import, as its row keeps it: the file, and what the form says of it."""

    file: str  # its name in the zoo's folder
    # What its owner calls the file.
    file_name: str = dataclasses.field(metadata=renamed_from('shown'))
    size: int  # bytes
    name: str
    architecture: str
    dataset: str
    domain: str
    images: int
    class_names: tuple[str, ...]
    licence: str
    title: str
    side: int
    approved: bool

    @classmethod
    def from_form(cls, file: str, file_name: str, size: int, metadata: SourceMetadata) -> ImportSpec:
        return cls(file, file_name, size, **{name: getattr(metadata, name) for name in FORM_FIELDS})

    @property
    def metadata(self) -> SourceMetadata:
        return SourceMetadata(**{name: getattr(self, name) for name in FORM_FIELDS})


@dataclass(frozen=True)
class ImportResult:
    """What became of an import, as its row keeps it."""

    # Primary key of the source model that it became.
    source: int | None = dataclasses.field(default=None, metadata=OPTIONAL)
    # Of the form, what must be corrected; '' where it is the file.
    field: str | None = dataclasses.field(default=None, metadata=OPTIONAL)


# The part of SourceMetadata that the form asks for.
FORM_FIELDS = tuple(
    each.name for each in dataclasses.fields(ImportSpec) if each.name not in ('file', 'file_name', 'size')
)


def start_import(upload: UploadedFile, metadata: SourceMetadata, user: AbstractBaseUser) -> Job:
    """Store an uploaded weights file, and let a worker inspect it.

    Errors, each with the field that it is about: InvalidInputError and TooLargeError (what is known without
    reading the weights), ConflictError (the name).
    """
    file_name, size = naming.make_printable(upload.name or ''), upload.size or 0
    metadata = _validate(file_name, size, metadata)
    file = registration.choose_weights_path(metadata.name, Path(file_name).suffix)
    spec = ImportSpec.from_form(file.name, file_name, size, metadata)
    # In a queue that no worker serves until its file is there: a crash in between leaves a row, by which the
    # file is found.
    job = Job.objects.create(
        kind=JobKind.SOURCE_IMPORT, spec=to_json(spec), queue=UPLOAD_QUEUE, created_by_id=user.pk
    )
    try:
        registration.store_upload(upload, file)
    except BaseException as error:
        discarded = not job.delete()[0]
        file.unlink(missing_ok=True)
        if discarded:
            raise ConflictError(DISCARDED, field='file') from error
        raise
    waiting = Job.objects.filter(pk=job.pk, state=State.QUEUED, queue=UPLOAD_QUEUE)
    if not waiting.update(queue=settings.SERVING_QUEUE):
        return _find_cancelled(job, file)
    job.refresh_from_db()
    enqueue(job)
    return job


def _find_cancelled(job: Job, file: Path) -> Job:
    """The import was cancelled while its file was still arriving, and may have been discarded too."""
    cancelled = Job.objects.filter(pk=job.pk).first()
    if cancelled is None:
        file.unlink(missing_ok=True)
        raise ConflictError(DISCARDED, field='file')
    return cancelled


def retry_import(job: Job, metadata: SourceMetadata, user: AbstractBaseUser) -> None:
    """Let a worker inspect the stored file again, with this metadata.

    Errors: as `start_import`; InvalidInputError also when the file is gone, ConflictError also when the
    import is under way.
    """
    spec = read_spec(job)
    metadata = _validate(spec.file_name, spec.size, metadata)
    file = get_weights_path(job)
    # It may still be arriving, or may never have arrived in full.
    if not file.exists() or file.stat().st_size != spec.size:
        raise InvalidInputError(f'{spec.file_name} is not stored in full: choose it again.', field='file')
    changed = to_json(ImportSpec.from_form(spec.file, spec.file_name, spec.size, metadata))
    with transaction.atomic():
        # The queue too: an import that was cancelled before its file had arrived is still in UPLOAD_QUEUE.
        fields = {'spec': changed, 'created_by_id': user.pk, 'queue': settings.SERVING_QUEUE}
        if not job.resubmit('its form was corrected', **fields):
            raise ConflictError('This file is being checked already, or was discarded.')
        enqueue(job)


def replace_file(job: Job, upload: UploadedFile, metadata: SourceMetadata, user: AbstractBaseUser) -> Job:
    """Start an import with another file, and delete this one. Errors: as `start_import`."""
    started = start_import(upload, metadata, user)
    _delete(job)
    return started


def discard_import(job: Job, user: AbstractBaseUser) -> None:
    """Delete a refused or cancelled import with its file. Errors: ConflictError (it is under way, or became a
    source).
    """
    if not _delete(job):
        raise ConflictError('This file is being checked, or is in the zoo already.')
    audit.record(user, 'discard import', read_spec(job).name)


def find_import(job_id: uuid.UUID) -> Job:
    job = Job.objects.filter(kind=JobKind.SOURCE_IMPORT, pk=job_id).first()
    if job is None:
        raise NotFoundError('There is no such import.')
    return job


def list_imports() -> JobQuerySet:
    """List the imports under way, and those whose file waits for a corrected form; the newest first."""
    return Job.objects.filter(kind=JobKind.SOURCE_IMPORT).exclude(state=State.SUCCEEDED)


def find_imported_source(job: Job) -> SourceModel | None:
    """Find the source that a job imported; None before its end, and when the source has left the zoo."""
    source = read_result(job).source
    if job.state != State.SUCCEEDED or source is None:
        return None
    return SourceModel.objects.filter(pk=source).first()


def get_progress(job: Job) -> status.JobProgress:
    """As status.summarize_progress, without a fraction: how long a file takes is not known beforehand."""
    progress = dataclasses.replace(status.summarize_progress(job), fraction=None)
    waiting = job.state == State.QUEUED
    return dataclasses.replace(progress, message='It waits for a worker') if waiting else progress


def read_spec(job: Job) -> ImportSpec:
    return from_json(ImportSpec, job.spec)


def read_result(job: Job) -> ImportResult:
    return from_json(ImportResult, job.result)


def get_weights_path(job: Job) -> Path:
    return registration.ensure_zoo_folder() / read_spec(job).file


def delete_expired() -> int:
    """Delete the unsuccessful imports that nobody came back to, and those whose file never arrived; return
    how many.
    """
    before = timezone.now() - FILE_LIFETIME
    abandoned = Q(state=State.QUEUED, queue=UPLOAD_QUEUE, created_at__lt=before)
    expired = Q(state__in=UNSUCCESSFUL, finished_at__lt=before) | abandoned
    return sum(_delete(job) for job in Job.objects.filter(expired, kind=JobKind.SOURCE_IMPORT))


def _validate(file_name: str, size: int, metadata: SourceMetadata) -> SourceMetadata:
    """As registration.validate_metadata; the name of an import under way is taken too: a form sent twice
    imports one source.
    """
    metadata = registration.validate_metadata(file_name, size, metadata)
    same_name = Job.objects.unfinished().filter(kind=JobKind.SOURCE_IMPORT, spec__name=metadata.name)
    if same_name.exists():
        raise ConflictError(f'A source called {metadata.name} is being imported already.', field='name')
    return metadata


def _delete(job: Job) -> bool:
    """Delete the file, then the row: a crash leaves a row without its file. False when it is under way or
    became a source.
    """
    with transaction.atomic():
        deletable = Q(state__in=UNSUCCESSFUL) | Q(state=State.QUEUED, queue=UPLOAD_QUEUE)
        locked = Job.objects.select_for_update().filter(deletable, pk=job.pk).first()
        if locked is None:
            return False
        get_weights_path(locked).unlink(missing_ok=True)
        locked.delete()
    return True
