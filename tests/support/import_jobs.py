"""Jobs that import a source model."""

from __future__ import annotations

from pathlib import Path

from recognition.jobs import queue
from recognition.models import Job
from recognition.zoo import registration
from transfer.worker import execute

# A module for recognition.zoo.subprocess_call that reports a stage and then takes its time.
SLEEPER = """
import os, time
from pathlib import Path
Path('pid').write_text(str(os.getpid()))
print('{"progress": {"stage": "read"}}', flush=True)
time.sleep(60)
"""


def metadata_of(**changes) -> registration.SourceMetadata:
    """What a person says of a source model to import."""
    return registration.SourceMetadata(**{'images': 60, **changes})


def run_job(job: Job) -> Job:
    assert queue.claim(job)
    execute.run_attempt(job)
    job.refresh_from_db()
    return job


def refuse_job(job: Job, field: str = 'architecture') -> Job:
    """Refuse the job's file as a worker would, without examining it."""
    assert queue.claim(job) and job.fail(
        job.attempt, 'invalid', 'It is not what was said.', result={'field': field}
    )
    return job


def list_zoo_files(settings) -> list[Path]:
    return list(Path(settings.ZOO_DIR).iterdir()) if Path(settings.ZOO_DIR).exists() else []


def list_zoo_file_names(settings) -> list[str]:
    return (
        sorted(path.name for path in Path(settings.ZOO_DIR).glob('*'))
        if Path(settings.ZOO_DIR).exists()
        else []
    )
