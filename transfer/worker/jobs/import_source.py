"""Import a weights file as a source model: it is inspected in a subprocess, then registered or rejected."""

from __future__ import annotations

from django.db import transaction

from recognition.errors import GraftError, InvalidInputError
from recognition.zoo import import_jobs, registration
from recognition.zoo.import_jobs import ImportResult
from transfer.spec.errors import JobCancelledError
from transfer.spec.records import to_json
from transfer.spec.report import Progress
from transfer.worker.jobs.attempt import Attempt

STAGES = {
    'digest': 'Computing its SHA-256',
    'read': 'Reading its tensors',
    'fit': 'Loading them into the network',
    'try': 'Running the network on an empty image',
}


def import_source(attempt: Attempt) -> None:
    """End the job with a source model in the zoo, or with the reason and the field that it is about.

    When it raises JobCancelledError the subprocess has ended.
    """
    job, stage = attempt.job, 'digest'

    def report_stage(reached: str) -> None:
        nonlocal stage
        stage = reached
        attempt.report.progress(Progress(stage, 0.0, STAGES[stage]))

    try:
        report_stage(stage)
        spec, file = import_jobs.read_spec(job), import_jobs.get_weights_path(job)
        if not file.is_file():  # deleted at this moment, or a worker without the web side's data folder
            raise InvalidInputError(
                f'{spec.file_name} is missing from the folder where this worker expects it ({file.parent}).',
                field='file',
            )
        row = registration.inspect_file(
            file,
            spec.file_name,
            spec.metadata,
            on_stage=report_stage,
            on_tick=lambda: report_stage(stage),
        )
        with transaction.atomic():
            registration.register(row, job.created_by, approved=spec.metadata.approved)
            if not job.succeed(attempt.number, result=to_json(ImportResult(source=row.pk))):
                raise JobCancelledError
    except GraftError as error:
        job.fail(attempt.number, error.code, error.message, result=to_json(ImportResult(field=error.field)))
