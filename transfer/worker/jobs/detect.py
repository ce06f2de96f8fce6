"""A job that looks at photos: what a detector finds on them becomes the job's result."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from recognition import storage
from recognition.errors import NotFoundError
from recognition.models import Job, TrainedModel
from recognition.serving import prediction
from transfer.spec.errors import JobCancelledError
from transfer.spec.report import Progress, Report


def answer(job: Job, attempt: int, report: Report) -> None:
    """Look at the job's photos and end it with what is on them.

    Errors: NotFoundError (the model is gone), those of prediction.detect; JobCancelledError, also when the job is no longer this attempt's.
    """
    model = TrainedModel.objects.filter(pk=uuid.UUID(job.spec['model'])).first()
    if model is None:
        raise NotFoundError('The model was deleted before it could answer.')
    names = job.spec['names']
    photos = [storage.read_detection_image(job.pk, number) for number in range(len(names))]
    report.progress(Progress('load', 0.0, 'Loading the model'))
    detected = prediction.detect(model, photos, job.spec['threshold'], _teller(report, len(names)))
    if not job.succeed(attempt, result=prediction.record(model, names, detected)):
        raise JobCancelledError


def _teller(report: Report, photos: int) -> Callable[[int], None]:
    def tell(seen: int) -> None:
        report.progress(Progress('detect', seen / photos, f'Looking at photo {seen + 1} of {photos}'))

    return tell
