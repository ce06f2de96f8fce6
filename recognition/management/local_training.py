"""Train and predict from a shell: the same use cases as in the browser, run in this process."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser

from recognition.datasets import annotation_import, archives, projects, uploads
from recognition.datasets.upload_results import IncomingFile, UploadResult
from recognition.errors import ConflictError, GraftError, InvalidInputError, NotFoundError, TooLargeError
from recognition.jobs import queue
from recognition.management import first_admin, purge
from recognition.models import Job, Project, Publication, TrainedModel
from recognition.models.job import State
from recognition.models.project import Task
from recognition.serving import prediction
from recognition.serving.prediction_results import ClassScore, DetectedBox
from recognition.training.start import create_local_training
from transfer.spec.records import OPTIONAL, to_json
from transfer.spec.report import Progress
from transfer.worker import execute


@dataclass(frozen=True)
class LocalTraining:
    model: TrainedModel
    left_out: tuple[UploadResult, ...]  # files that were not used, with the reasons


@dataclass(frozen=True)
class TrainingSummary:
    """What `manage.py train --json` prints of a training: parts of the model's report as they are stored."""

    model: str  # id
    source: str
    ranking: list[object]
    probes: list[object]
    accuracy: float
    interval: tuple[float, float]
    plan: dict[str, object]
    seconds: dict[str, float]  # by phase
    detection: dict[str, object] | None = field(default=None, metadata=OPTIONAL)  # of a detector

    def to_json(self) -> dict[str, object]:
        return dict(to_json(self))


@dataclass(frozen=True)
class FilePrediction:
    """What a model says of one file: the scores of a classifier, best first, or a detector's boxes."""

    file: str
    scores: tuple[ClassScore, ...] | None = None
    detections: tuple[DetectedBox, ...] | None = None

    def to_json(self) -> dict[str, object]:
        if self.scores is None:
            return {'file': self.file, 'detections': [box.to_json() for box in self.detections or ()]}
        scores = [score.to_json() for score in self.scores]
        return {'file': self.file, 'label': self.scores[0].label, 'scores': scores}


def train(
    path: Path,
    name: str,
    options: dict[str, object],
    on_progress: Callable[[Progress], None],
    task: str = Task.CLASSIFICATION,
) -> LocalTraining:
    """Make a project with its images and its model from a folder with one sub-folder for each class, or from
    such a zip.

    For a detector: from a folder or zip of photos with annotations (VOC, COCO, YOLO). `on_progress` gets
    every progress report. Errors: GraftError; the project and everything that was stored for it is deleted
    then.
    """
    user = get_shell_user()
    with create_project_or_nothing(user, name or path.stem or 'Photos', task) as project:
        add = _add_annotated_images if task == Task.DETECTION else _add_labelled_images
        results = add(project, user, path)
        job = run_job(create_local_training(project, user, options), on_progress)
        if job.state != State.SUCCEEDED:
            raise GraftError(job.error_message or f'The training was {job.state}.')
        left_out = tuple(
            result for result in results if result.outcome in ('rejected', 'duplicate', 'skipped')
        )
        return LocalTraining(TrainedModel.objects.get(job=job), left_out)


def run_job(job: Job, watch: Callable[[Progress], None] | None = None) -> Job:
    """Run a queued job in this process as a worker would, and return it with its result."""
    if not queue.claim(job):
        raise ConflictError('A worker has taken this training already.')
    execute.run_attempt(job, on_progress=watch)
    job.refresh_from_db()
    return job


def summarize(model: TrainedModel) -> TrainingSummary:
    report = model.report
    return TrainingSummary(
        model=str(model.pk),
        source=model.source_name,
        ranking=report['ranking'],
        probes=report['probes'],
        accuracy=report['accuracy'],
        interval=(report['interval'][0], report['interval'][1]),
        plan=report['plan'],
        seconds=report['seconds'],
        detection=report['detection'] if model.task == Task.DETECTION else None,
    )


def predict(reference: str, paths: Sequence[Path]) -> list[FilePrediction]:
    """Classify images, or detect objects on them.

    reference: a model's id, a published name, or the name of a project, whose newest model is used.

    Errors: NotFoundError, and InvalidImageError or TooLargeError naming the file.
    """
    model = _find_model(reference)
    for path in paths:
        if not path.is_file():
            raise NotFoundError(f'There is no file {path}.')
    predictions = []
    for path in paths:  # one at a time: an error then names its file
        if model.task == Task.DETECTION:
            predictions.append(FilePrediction(str(path), detections=_detect(model, path)))
        else:
            predictions.append(FilePrediction(str(path), scores=_classify(model, path)))
    return predictions


def get_shell_user() -> AbstractBaseUser:
    """Get the user that commands act as: the administrator or, before there is one, `local`, who cannot sign
    in.
    """
    users = get_user_model()
    administrator = users.objects.filter(is_superuser=True, is_active=True).order_by('pk').first()
    if administrator is not None:
        return administrator
    local, created = users.objects.get_or_create(username=first_admin.LOCAL_USER)
    if created:
        local.set_unusable_password()
        local.save(update_fields=['password'])
    return local


def _add_labelled_images(project: Project, user: AbstractBaseUser, path: Path) -> list[UploadResult]:
    if path.is_dir():
        return _add_images(project, user, path, archives.read_folder(path))
    if not path.is_file():
        raise NotFoundError(f'There is no folder or zip {path}.')
    if path.suffix.lower() != '.zip':
        raise InvalidInputError(f'{path} is neither a folder nor a zip.')
    with path.open('rb') as file:
        return _add_images(project, user, path, archives.read_upload(path.name, file))


def _add_images(
    project: Project, user: AbstractBaseUser, path: Path, files: Iterator[IncomingFile | UploadResult]
) -> list[UploadResult]:
    results = uploads.add_images(project, user, files)
    if not any(result.outcome == 'created' for result in results):
        first = next((f' {result.name} {result.reason}.' for result in results if result.reason), '')
        raise InvalidInputError(f'{path} contains no usable image.{first}')
    return results


def _find_model(reference: str) -> TrainedModel:
    with contextlib.suppress(ValueError):  # not an id: a name
        if model := TrainedModel.objects.filter(pk=uuid.UUID(reference)).first():
            return model
    published = Publication.objects.filter(name=reference).select_related('model').first()
    if published is not None:
        return published.model
    of_project = TrainedModel.objects.filter(project__name=reference, project__deleted_at=None)
    newest = of_project.order_by('provisional', '-created_at').first()
    if newest is None:
        raise NotFoundError(
            f'There is no model {reference!r}: it is no id, no published name and no project with a model.'
        )
    return newest


def _add_annotated_images(project: Project, user: AbstractBaseUser, path: Path) -> list[UploadResult]:
    """The results of the photos, and one for each annotation that was refused."""
    if not path.exists():
        raise NotFoundError(f'There is no folder or zip {path}.')
    if path.is_dir():
        imported = annotation_import.import_folder(project, user, path)
    else:
        with path.open('rb') as file:
            imported = annotation_import.import_files(project, user, [(path.name, file)])
    refused = [UploadResult(refusal.where, 'rejected', refusal.reason) for refusal in imported.rejected]
    return [*imported.results, *refused]


def _classify(model: TrainedModel, path: Path) -> tuple[ClassScore, ...]:
    with _name_file_in_errors(path):
        (image,) = prediction.classify(model, [path.read_bytes()]).images
    return image.scores


def _detect(model: TrainedModel, path: Path) -> tuple[DetectedBox, ...]:
    with _name_file_in_errors(path):
        (image,) = prediction.detect(model, [path.read_bytes()]).images
    return image.detections


@contextlib.contextmanager
def _name_file_in_errors(path: Path) -> Iterator[None]:
    """Check a file's size, and let errors name the file."""
    try:
        if path.stat().st_size > settings.MAX_IMAGE_BYTES:
            raise TooLargeError(f'is larger than {settings.MAX_IMAGE_BYTES // 2**20} MB')
        yield
    except GraftError as error:
        raise type(error)(f'{path}: {error.message.removeprefix("images[0] ")}') from error


@contextlib.contextmanager
def create_project_or_nothing(
    user: AbstractBaseUser, name: str, task: str = Task.CLASSIFICATION
) -> Iterator[Project]:
    """Create a project; an exception deletes it with everything that was stored for it."""
    project = projects.create_project(user, name, task)
    try:
        yield project
    except BaseException:
        purge.delete_project_completely(project)
        raise
