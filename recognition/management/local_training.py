"""Training and predicting from a shell: the same actions as in the browser, done here and now, in this process."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from recognition.training.start import create_local_training
from transfer.spec.report import Progress
from transfer.worker import execute


@dataclass(frozen=True)
class Trained:
    model: TrainedModel
    left_out: tuple[UploadResult, ...]  # files that were not used, and why


def train(
    path: Path,
    name: str,
    options: dict[str, Any],
    watch: Callable[[Progress], None],
    task: str = Task.CLASSIFICATION,
) -> Trained:
    """A project, its images and its model from a folder with one sub-folder for each class, or from such a zip; for a detector,
    from a folder or zip of photos with annotations (VOC, COCO, YOLO).

    Errors: a GraftError saying what is wrong; the project and all that was stored for it are gone then.
    """
    user = person()
    with whole_or_nothing(user, name or path.stem or 'Photos', task) as project:
        verdicts = _add_boxed(project, user, path) if task == Task.DETECTION else _add(project, user, path)
        job = run_job(create_local_training(project, user, options), watch)
        if job.state != State.SUCCEEDED:
            raise GraftError(job.error_message or f'The training was {job.state}.')
        left_out = tuple(
            verdict for verdict in verdicts if verdict.outcome in ('rejected', 'duplicate', 'skipped')
        )
        return Trained(TrainedModel.objects.get(job=job), left_out)


def run_job(job: Job, watch: Callable[[Progress], None] | None = None) -> Job:
    """Run a queued job in this process as a worker would; the job row holds the result."""
    if not queue.claim(job):
        raise ConflictError('A worker has taken this training already.')
    execute.run_attempt(job, on_progress=watch)
    job.refresh_from_db()
    return job


def summary(model: TrainedModel) -> dict[str, Any]:
    """What a program wants to know of a training."""
    report = model.report
    told = {
        name: report.get(name) for name in ('ranking', 'probes', 'accuracy', 'interval', 'plan', 'seconds')
    }
    found = {'detection': report.get('detection')} if model.task == Task.DETECTION else {}
    return {'model': str(model.pk), 'source': model.source_name, **told, **found}


def predict(reference: str, paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Each image's best class and all scores, or the things that a detector finds on it. `reference`: a model's id, the name
    under which one is published, or the name of a project, whose newest model answers.

    Errors: NotFoundError, and InvalidImageError or TooLargeError naming the file.
    """
    model = _model(reference)
    for path in paths:
        if not path.is_file():
            raise NotFoundError(f'There is no file {path}.')
    answers = []
    for path in paths:  # one at a time: an error then names its file
        if model.task == Task.DETECTION:
            answers.append({'file': str(path), 'found': _detect(model, path)})
        else:
            scores = _classify(model, path)
            answers.append({'file': str(path), 'label': scores[0]['label'], 'scores': scores})
    return answers


def person() -> AbstractBaseUser:
    """Whoever has a shell here owns the installation: the administrator, or, before there is one, `local`, who cannot sign in."""
    people = get_user_model()
    administrator = people.objects.filter(is_superuser=True, is_active=True).order_by('pk').first()
    if administrator is not None:
        return administrator
    local, made = people.objects.get_or_create(username=first_admin.LOCAL_USER)
    if made:
        local.set_unusable_password()
        local.save(update_fields=['password'])
    return local


def _add(project: Project, user: AbstractBaseUser, path: Path) -> list[UploadResult]:
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
    verdicts = uploads.add_images(project, user, files)
    if not any(verdict.outcome == 'created' for verdict in verdicts):
        first = next((f' {verdict.name} {verdict.reason}.' for verdict in verdicts if verdict.reason), '')
        raise InvalidInputError(f'{path} holds no image that can be used.{first}')
    return verdicts


def _model(reference: str) -> TrainedModel:
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
            f'There is no model {reference!r}: neither an id, nor a published name, nor a project with a model.'
        )
    return newest


def _add_boxed(project: Project, user: AbstractBaseUser, path: Path) -> list[UploadResult]:
    """What was refused of the annotations is told beside what was of the photos."""
    if not path.exists():
        raise NotFoundError(f'There is no folder or zip {path}.')
    if path.is_dir():
        imported = annotation_import.import_folder(project, user, path)
    else:
        with path.open('rb') as file:
            imported = annotation_import.import_files(project, user, [(path.name, file)])
    refused = [UploadResult(refusal.where, 'rejected', refusal.reason) for refusal in imported.refused]
    return [*imported.verdicts, *refused]


def _classify(model: TrainedModel, path: Path) -> list[dict[str, Any]]:
    with _naming(path):
        (answer,) = prediction.classify(model, [path.read_bytes()])
    return [{'label': score.label, 'score': score.score} for score in answer.scores]


def _detect(model: TrainedModel, path: Path) -> list[dict[str, Any]]:
    with _naming(path):
        (answer,) = prediction.detect(model, [path.read_bytes()]).images
    return [dataclasses.asdict(found) for found in answer.found]


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """A file within the limit; refusals name it."""
    try:
        if path.stat().st_size > settings.MAX_IMAGE_BYTES:
            raise TooLargeError(f'is larger than {settings.MAX_IMAGE_BYTES // 2**20} MB')
        yield
    except GraftError as error:
        raise type(error)(f'{path}: {error.message.removeprefix("images[0] ")}') from error


@contextlib.contextmanager
def whole_or_nothing(user: AbstractBaseUser, name: str, task: str = Task.CLASSIFICATION) -> Iterator[Project]:
    """A new project that is gone, with all that was stored for it, when what is done in it fails."""
    project = projects.create_project(user, name, task)
    try:
        yield project
    except BaseException:
        purge.delete_project_completely(project)
        raise
