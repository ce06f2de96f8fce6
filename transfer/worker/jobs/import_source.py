"""A job that makes a weights file a source model: examined in a process of its own, then registered or refused."""

from __future__ import annotations

from django.db import transaction

from recognition.errors import GraftError, InvalidInputError
from recognition.models import Job
from recognition.zoo import import_jobs, registration
from transfer.spec.errors import JobCancelledError
from transfer.spec.report import Progress, Report

STAGES = {
    'digest': 'Taking its fingerprint',
    'read': 'Reading its tensors',
    'fit': 'Fitting them into the network',
    'try': 'Showing the network an empty image',
}


def add(job: Job, attempt: int, report: Report) -> None:
    """Examine the job's file and end the job: with a source in the zoo, or with the reason and the field that it is about.

    Raises JobCancelledError, also when the job is no longer this attempt's; the process that examines has ended then.
    """
    stage = 'digest'

    def tell(reached: str) -> None:
        nonlocal stage
        stage = reached
        report.progress(Progress(stage, 0.0, STAGES[stage]))

    try:
        tell(stage)
        said, file = import_jobs.read_metadata(job), import_jobs.get_weights_path(job)
        if (
            not file.is_file()
        ):  # discarded in the same moment, or a worker that shares no data folder with the web side
            raise InvalidInputError(
                f'{job.spec["shown"]} is not where this worker looks for it ({file.parent}).', field='file'
            )
        row = registration.inspect_file(
            file, job.spec['shown'], said, heard=tell, meanwhile=lambda: tell(stage)
        )
        with transaction.atomic():
            registration.register(row, job.created_by, approved=said.approved)
            if not job.succeed(attempt, result={'source': row.pk}):
                raise JobCancelledError
    except GraftError as error:
        job.fail(attempt, error.code, error.message, result={'field': error.field})
