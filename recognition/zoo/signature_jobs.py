"""Compute signatures of source models: their images are stored, and a job computes their mean feature under
the reference model.

A signature is the mean of the reference's features over a source's training images; P2L compares sources by
it.
"""

from __future__ import annotations

import shutil
import uuid
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from recognition import audit, storage
from recognition.datasets import archives
from recognition.datasets.upload_results import IncomingFile, UploadResult
from recognition.errors import ConflictError, GraftError, InvalidInputError
from recognition.jobs import status
from recognition.jobs.queue import enqueue
from recognition.models import Job, SourceModel
from recognition.models.job import JobKind
from recognition.zoo import catalog
from transfer.spec.records import from_json, to_json
from transfer.spec.train_spec import SourceModelSpec

# As in transfer/zoo/signatures/compute.py: more would move the mean by less than a feature's own noise.
MAX_IMAGES = 1000


@dataclass(frozen=True)
class SignatureSpec:
    """What a signature job is to do, as its row keeps it."""

    source: int  # primary key of the source model
    name: str  # of the source model
    reference: SourceModelSpec  # as it was when the job was queued


@dataclass(frozen=True)
class StartedJobs:
    """The jobs of `start_missing`."""

    jobs: tuple[Job, ...]
    without_images: tuple[str, ...]  # names of the sources whose images nobody has sent


def start_from_files(
    row: SourceModel, files: Iterable[IncomingFile | UploadResult], user: AbstractBaseUser | None
) -> Job:
    """Store these images as the source's own, and start a job that computes its signature from them.

    Errors: InvalidInputError (there is no image among them), ConflictError (a job is under way),
    NotReadyError (no reference).
    """
    _check_idle(row)
    catalog.get_reference()
    archive = _store_images(files)
    earlier = row.image_archive
    with transaction.atomic():
        SourceModel.objects.filter(pk=row.pk).update(image_archive=archive)
        audit.record(user, 'send images of source', row.name)
    if earlier:
        storage.delete(earlier)
    row.refresh_from_db()
    return start(row, user)


def start_from_path(row: SourceModel, images: Path | None, user: AbstractBaseUser | None = None) -> Job:
    """As `start_from_files`, with a folder or a zip of this machine; with None, as `start`. For a shell."""
    if images is None:
        return start(row, user)
    if images.is_dir():
        return start_from_files(row, archives.read_folder(images), user)
    if not images.is_file():
        raise InvalidInputError(f'There is no folder or zip {images}.', field='images')
    with images.open('rb') as file:
        return start_from_files(row, archives.read_upload(images.name, file), user)


def start(row: SourceModel, user: AbstractBaseUser | None) -> Job:
    """Start a job that computes a source's signature under the present reference from its stored images.

    Errors: InvalidInputError (there are none), ConflictError (a job is under way), NotReadyError (no
    reference model).
    """
    _check_idle(row)
    if not has_images(row):
        raise InvalidInputError(
            f'There are no images of {row.name}: send a zip or a folder of them.', field='images'
        )
    spec = SignatureSpec(row.pk, row.name, catalog.get_reference())
    created_by = None if user is None else user.pk
    with transaction.atomic():
        job = Job.objects.create(
            kind=JobKind.SIGNATURE,
            spec=to_json(spec),
            queue=settings.TRAINING_QUEUE,
            created_by_id=created_by,
        )
        audit.record(user, 'compute signature', row.name)
        enqueue(job)
    return job


def start_missing(user: AbstractBaseUser | None) -> StartedJobs:
    """Start a job for every source without a signature under the present reference. Signatures under others
    stay.

    Errors: NotReadyError (no reference model).
    """
    digest = catalog.get_reference().digest
    catalog.copy_reference_signature()
    rows = [row for row in SourceModel.objects.filter(removed_at=None) if digest not in row.signatures]
    possible = [row for row in rows if has_images(row)]
    jobs = tuple(start(row, user) for row in possible if find_running(row) is None)
    return StartedJobs(jobs, tuple(row.name for row in rows if row not in possible))


def read_spec(job: Job) -> SignatureSpec:
    return from_json(SignatureSpec, job.spec)


def has_images(row: SourceModel) -> bool:
    """Whether its images are stored here: an archive of them, or the photos of its project."""
    return bool(row.image_archive) or (row.project is not None and row.project.deleted_at is None)


def find_latest(row: SourceModel) -> Job | None:
    """Find the last signature job of a source, whatever became of it."""
    return Job.objects.filter(kind=JobKind.SIGNATURE, spec__source=row.pk).order_by('-created_at').first()


def find_running(row: SourceModel) -> Job | None:
    """Find the signature job of a source that is queued or running."""
    return Job.objects.unfinished().filter(kind=JobKind.SIGNATURE, spec__source=row.pk).first()


def get_progress(row: SourceModel) -> status.JobProgress | None:
    """Progress of the last signature job, as status.summarize_progress; None when there was none."""
    job = find_latest(row)
    return None if job is None else status.summarize_progress(job)


def _check_idle(row: SourceModel) -> None:
    if row.removed_at is not None:
        raise ConflictError(f'{row.name} was removed: restore it first.')
    if find_running(row) is not None:
        raise ConflictError(f'The signature of {row.name} is being computed already.')


def _store_images(files: Iterable[IncomingFile | UploadResult]) -> str:
    """Store up to MAX_IMAGES of the files, spread evenly over all, in one zip; return its key in storage."""
    images: list[IncomingFile] = []
    rejected = ''
    for file in files:
        if isinstance(file, IncomingFile):
            if PurePosixPath(file.name).suffix.lower() in ('', *archives.IMAGE_SUFFIXES):
                images.append(file)
        elif file.outcome == 'rejected':
            rejected = rejected or f' {file.name} {file.reason}.'
    if not images:
        raise InvalidInputError(f'There is no image among the files.{rejected}', field='images')
    scratch = storage.make_scratch_folder()
    try:
        path = _write_zip(_sample_evenly(images), scratch / 'images.zip')
        return storage.save_file(f'zoo/{uuid.uuid4().hex}.zip', path)
    finally:
        shutil.rmtree(scratch)


def _sample_evenly(images: list[IncomingFile]) -> list[IncomingFile]:
    """At most MAX_IMAGES; every class keeps its share, in whichever order the folders come."""
    ordered = sorted(images, key=lambda image: image.name)
    count = min(len(ordered), MAX_IMAGES)
    return [ordered[index * len(ordered) // count] for index in range(count)]


def _write_zip(images: list[IncomingFile], path: Path) -> Path:
    written = 0
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_STORED) as archive:
        for image in images:
            try:
                data = image.read()
            except GraftError:
                continue  # damaged in its archive; the signature is computed from the others
            if len(data) <= settings.MAX_IMAGE_BYTES:
                suffix = PurePosixPath(image.name).suffix.lower()
                archive.writestr(f'{written:05}{suffix if suffix in archives.IMAGE_SUFFIXES else ""}', data)
                written += 1
    if not written:
        raise InvalidInputError('None of the files can be read.', field='images')
    return path
