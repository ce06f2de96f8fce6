"""A job that signs one source model: its images, as the reference network sees them, become numbers on its row."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from recognition import storage
from recognition.datasets import manifests
from recognition.models import Job, Project, SourceModel
from recognition.models.project import Task
from transfer.spec.errors import JobCancelledError, UnusableSourceError
from transfer.spec.report import Progress, Report
from transfer.spec.train_spec import SourceModelSpec


def sign(job: Job, attempt: int, report: Report, folder: Path) -> None:
    """Look at the source's images and end the job with the signature on its row, both or neither.

    `folder` keeps how far it came. Errors: UnusableSourceError; JobCancelledError, also when the job is no longer this attempt's.
    """
    from transfer.zoo.signatures.compute import (
        evenly,
        sign_long,  # torch
    )

    row = SourceModel.objects.filter(pk=job.spec['source']).first()
    if row is None:
        raise UnusableSourceError('The source model is not in the zoo any more.')
    reference = _read_source(job.spec['reference'])
    report.progress(Progress('sign', 0.0, f'Fetching the images of {row.name}'))
    paths = evenly(_images(row, folder, report))
    signed = sign_long(reference, paths, folder / 'tally.json', _teller(report, row.name, len(paths)))
    report.progress(Progress('signed', 1.0, _told(signed.images, signed.left_out)))
    with transaction.atomic():
        if not job.succeed(attempt):
            raise JobCancelledError
        held = SourceModel.objects.select_for_update().get(pk=row.pk)
        held.signatures = {**held.signatures, reference.digest: list(signed.mean)}
        held.save(update_fields=['signatures'])


def _read_source(values: dict[str, Any]) -> SourceModelSpec:
    """The reference as the job froze it."""
    numbers = {name: tuple(values[name]) for name in ('mean', 'std', 'signature')}
    return SourceModelSpec(**{**values, **numbers})


def _images(row: SourceModel, folder: Path, report: Report) -> list[Path]:
    """The archive that was given with it, or what it was learned from: a project's photos, for a detector what is boxed there."""
    if row.image_archive:
        return _unpacked(storage.local_path(row.image_archive), folder / 'images')
    if row.project is not None and row.project.deleted_at is None:
        if row.project.task == Task.DETECTION:
            return _boxed(row.project, folder, report)
        return [Path(image.path) for image in manifests.build_manifest(row.project).images]
    raise UnusableSourceError(f'Nobody has given the images of {row.name}.')


def _boxed(project: Project, folder: Path, report: Report) -> list[Path]:
    """Crops as a detector's training makes them, background among them: other images than those would be another signature."""
    from transfer.detection.crops import cut_out
    from transfer.regions.proposals import propose_all  # numba

    manifest = manifests.build_detection_manifest(project)
    count = len(manifest.images)

    def tell(place: int) -> None:
        report.progress(
            Progress('sign', 0.0, f'Finding what is boxed and what is not: photo {place} of {count}')
        )

    proposals = propose_all(manifest.images, Path(settings.LOCAL_CACHE), done=tell)
    crops = cut_out(manifest, proposals, folder / 'crops', 0, lambda done: None)
    return [Path(image.path) for image in crops.images]


def _unpacked(archive: Path, folder: Path) -> list[Path]:
    """The archive is of our own making (recognition/zoo/signature_jobs.py): numbered files, no folders."""
    with zipfile.ZipFile(archive) as file:
        names = sorted(file.namelist())
        if not folder.exists() or len(list(folder.iterdir())) < len(names):
            file.extractall(folder)
    return [folder / name for name in names]


def _told(images: int, left_out: tuple[str, ...]) -> str:
    if not left_out:
        return f'Signed with {images} images'
    return f'{images} of {images + len(left_out)} files were images. {left_out[0]}'


def _teller(report: Report, name: str, images: int) -> Callable[[int], None]:
    def tell(seen: int) -> None:
        report.progress(Progress('sign', seen / images, f'Looking at image {seen + 1} of {images} of {name}'))

    return tell
