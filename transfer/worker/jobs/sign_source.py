"""Compute the P2L signature of one source model from its images, and store it on the model's row."""

from __future__ import annotations

import zipfile
from pathlib import Path

from django.conf import settings
from django.db import transaction

from recognition import storage
from recognition.datasets import manifests
from recognition.models import Project, SourceModel
from recognition.models.project import Task
from recognition.zoo import signature_jobs
from transfer.spec.errors import JobCancelledError, UnusableSourceError
from transfer.spec.report import Progress, Report
from transfer.worker.jobs.attempt import Attempt


def sign_source(attempt: Attempt) -> None:
    """End the job and store the signature, both or neither. `attempt.folder` holds the state from which it
    resumes.

    Errors: UnusableSourceError (the source or its images are missing); JobCancelledError.
    """
    from transfer.zoo.signatures.compute import compute_signature_resumably, sample_evenly  # torch

    job, report, folder = attempt.job, attempt.report, attempt.folder
    spec = signature_jobs.read_spec(job)
    row = SourceModel.objects.filter(pk=spec.source).first()
    if row is None:
        raise UnusableSourceError('The source model is not in the zoo any more.')
    report.progress(Progress('sign', 0.0, f'Fetching the images of {row.name}'))
    paths = sample_evenly(_find_images(row, folder, report))

    def report_images_done(done: int) -> None:
        message = f'Extracting features of image {done + 1} of {len(paths)} of {row.name}'
        report.progress(Progress('sign', done / len(paths), message))

    signature = compute_signature_resumably(
        spec.reference, paths, folder / 'running_total.json', report_images_done
    )
    report.progress(Progress('signed', 1.0, _summarize(signature.images, signature.skipped)))
    with transaction.atomic():
        if not job.succeed(attempt.number):
            raise JobCancelledError
        locked = SourceModel.objects.select_for_update().get(pk=row.pk)
        locked.signatures = {**locked.signatures, spec.reference.digest: list(signature.mean)}
        locked.save(update_fields=['signatures'])


def _find_images(row: SourceModel, folder: Path, report: Report) -> list[Path]:
    """The archive that was uploaded for it, or its project's images; of a detection project, crops of its
    boxes."""
    if row.image_archive:
        return _unpack(storage.local_path(row.image_archive), folder / 'images')
    if row.project is not None and row.project.deleted_at is None:
        if row.project.task == Task.DETECTION:
            return _cut_crops(row.project, folder, report)
        return [Path(image.path) for image in manifests.build_manifest(row.project).images]
    raise UnusableSourceError(f'There are no images of {row.name}: upload a zip of them.')


def _cut_crops(project: Project, folder: Path, report: Report) -> list[Path]:
    """Crops as a detector's training makes them, background included: other images would give another
    signature."""
    from transfer.detection.crops import cut_crops
    from transfer.regions.proposals import propose_all  # numba

    manifest = manifests.build_detection_manifest(project)
    count = len(manifest.images)

    def report_images_done(done: int) -> None:
        report.progress(Progress('sign', 0.0, f'Proposing regions on photo {done} of {count}'))

    proposals = propose_all(manifest.images, Path(settings.LOCAL_CACHE), done=report_images_done)
    crops = cut_crops(manifest, proposals, folder / 'crops', 0, lambda done: None)
    return [Path(image.path) for image in crops.images]


def _unpack(archive: Path, folder: Path) -> list[Path]:
    """Graft made the archive itself (recognition/zoo/signature_jobs.py): numbered files, no folders."""
    with zipfile.ZipFile(archive) as file:
        names = sorted(file.namelist())
        if not folder.exists() or len(list(folder.iterdir())) < len(names):
            file.extractall(folder)
    return [folder / name for name in names]


def _summarize(images: int, skipped: tuple[str, ...]) -> str:
    if not skipped:
        return f'Computed the signature from {images} images'
    return f'{images} of {images + len(skipped)} files were images. {skipped[0]}'
