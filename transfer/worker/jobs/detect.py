"""Run an asynchronous detection: what a detector finds on the job's images becomes the job's result."""

from __future__ import annotations

import uuid

from recognition import storage
from recognition.errors import NotFoundError
from recognition.models import TrainedModel
from recognition.serving import detection_jobs, prediction
from transfer.spec.errors import JobCancelledError
from transfer.spec.report import Progress
from transfer.worker.jobs.attempt import Attempt


def detect(attempt: Attempt) -> None:
    """Errors: NotFoundError (the model was deleted), those of prediction.detect."""
    job = attempt.job
    spec = detection_jobs.read_spec(job)
    model = TrainedModel.objects.filter(pk=uuid.UUID(spec.model)).first()
    if model is None:
        raise NotFoundError('The model was deleted before the detection began.')
    images = [storage.read_detection_image(job.pk, number) for number in range(len(spec.names))]

    def report_images_done(done: int) -> None:
        message = f'Detecting on photo {done + 1} of {len(spec.names)}'
        attempt.report.progress(Progress('detect', done / len(spec.names), message))

    attempt.report.progress(Progress('load', 0.0, 'Loading the model'))
    result = prediction.detect(model, images, spec.threshold, report_images_done)
    if not job.succeed(attempt.number, result=result.to_json(spec.names)):
        raise JobCancelledError
