"""Signing source models: their images are kept, and jobs turn them into signatures under the present reference model."""

from __future__ import annotations

import dataclasses
import shutil
import uuid
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

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

MOST_IMAGES = 1000  # as in transfer/zoo/signatures/compute.py: more would move the mean by less than a feature's own noise


@dataclass(frozen=True)
class StartedJobs:
    """What signing the whole zoo began."""

    jobs: tuple[Job, ...]
    without_images: tuple[str, ...]  # sources that cannot be signed: nobody has given their images


def start_from_files(
    row: SourceModel, files: Iterable[IncomingFile | UploadResult], user: AbstractBaseUser | None
) -> Job:
    """Keep these images as the source's own, and begin to sign it with them.

    Errors: InvalidInputError (there is no image among them), ConflictError (it is being signed), NotReadyError (no reference model).
    """
    _check_idle(row)
    catalog.get_reference()
    archive = _store_images(files)
    earlier = row.image_archive
    with transaction.atomic():
        SourceModel.objects.filter(pk=row.pk).update(image_archive=archive)
        audit.record(user, 'give images of source', row.name)
    if earlier:
        storage.delete(earlier)
    row.refresh_from_db()
    return start(row, user)


def start_from_path(row: SourceModel, images: Path | None, user: AbstractBaseUser | None = None) -> Job:
    """From a shell: with a folder or a zip of this machine, or with the images that are kept. Errors: as `sign_from`."""
    if images is None:
        return start(row, user)
    if images.is_dir():
        return start_from_files(row, archives.read_folder(images), user)
    if not images.is_file():
        raise InvalidInputError(f'There is no folder or zip {images}.', field='images')
    with images.open('rb') as file:
        return start_from_files(row, archives.read_upload(images.name, file), user)


def start(row: SourceModel, user: AbstractBaseUser | None) -> Job:
    """Begin to sign a source, under the present reference, with the images that are kept of it.

    Errors: InvalidInputError (there are none), ConflictError (it is being signed), NotReadyError (no reference model).
    """
    _check_idle(row)
    if not has_images(row):
        raise InvalidInputError(
            f'Nobody has given the images of {row.name}: send a zip or a folder of them.', field='images'
        )
    spec = {'source': row.pk, 'name': row.name, 'reference': dataclasses.asdict(catalog.get_reference())}
    with transaction.atomic():
        made_by = None if user is None else user.pk
        job = Job.objects.create(
            kind=JobKind.SIGNATURE, spec=spec, queue=settings.TRAINING_QUEUE, created_by_id=made_by
        )
        audit.record(user, 'sign source', row.name)
        enqueue(job)
    return job


def start_missing(user: AbstractBaseUser | None) -> StartedJobs:
    """Begin to sign every source that has no signature under the present reference. Signatures under others stay.

    Errors: NotReadyError (no reference model).
    """
    digest = catalog.get_reference().digest
    catalog.copy_reference_signature()
    rows = [row for row in SourceModel.objects.filter(removed_at=None) if digest not in row.signatures]
    able = [row for row in rows if has_images(row)]
    begun = tuple(start(row, user) for row in able if find_running(row) is None)
    return StartedJobs(begun, tuple(row.name for row in rows if row not in able))


def has_images(row: SourceModel) -> bool:
    """Whether its images are here: an archive of them, or the photos of its project."""
    return bool(row.image_archive) or (row.project is not None and row.project.deleted_at is None)


def find_latest(row: SourceModel) -> Job | None:
    """The last job that signed it, or tried to."""
    return Job.objects.filter(kind=JobKind.SIGNATURE, spec__source=row.pk).order_by('-created_at').first()


def find_running(row: SourceModel) -> Job | None:
    return Job.objects.unfinished().filter(kind=JobKind.SIGNATURE, spec__source=row.pk).first()


def get_progress(row: SourceModel) -> dict[str, Any] | None:
    """Of the last signing, as status.summarize_progress tells it; None when there was none."""
    job = find_latest(row)
    return None if job is None else status.summarize_progress(job)


def _check_idle(row: SourceModel) -> None:
    if row.removed_at is not None:
        raise ConflictError(f'{row.name} was removed: restore it first.')
    if find_running(row) is not None:
        raise ConflictError(f'{row.name} is being signed already.')


def _store_images(files: Iterable[IncomingFile | UploadResult]) -> str:
    """Up to MOST_IMAGES of the files, spread evenly over all, in one zip of ours; its key in storage."""
    images: list[IncomingFile] = []
    refused = ''
    for file in files:
        if isinstance(file, IncomingFile):
            if PurePosixPath(file.name).suffix.lower() in ('', *archives.IMAGE_SUFFIXES):
                images.append(file)
        elif file.outcome == 'rejected':
            refused = refused or f' {file.name} {file.reason}.'
    if not images:
        raise InvalidInputError(f'There is no image among the files.{refused}', field='images')
    scratch = storage.make_scratch_folder()
    try:
        return storage.save_file(
            f'zoo/{uuid.uuid4().hex}.zip', _write_zip(_sample_evenly(images), scratch / 'images.zip')
        )
    finally:
        shutil.rmtree(scratch)


def _sample_evenly(images: list[IncomingFile]) -> list[IncomingFile]:
    """So that every class keeps its share, in whichever order the folders come."""
    ordered = sorted(images, key=lambda image: image.name)
    count = min(len(ordered), MOST_IMAGES)
    return [ordered[place * len(ordered) // count] for place in range(count)]


def _write_zip(images: list[IncomingFile], path: Path) -> Path:
    written = 0
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_STORED) as archive:
        for image in images:
            try:
                data = image.read()
            except GraftError:
                continue  # damaged in its archive; the others stand for it
            if len(data) <= settings.MAX_IMAGE_BYTES:
                suffix = PurePosixPath(image.name).suffix.lower()
                archive.writestr(f'{written:05}{suffix if suffix in archives.IMAGE_SUFFIXES else ""}', data)
                written += 1
    if not written:
        raise InvalidInputError('None of the files can be read.', field='images')
    return path
