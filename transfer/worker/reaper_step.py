"""A boot step of every worker: sweep over the jobs at its start and every few seconds, and requeue its own
when it stops."""

from __future__ import annotations

import logging
from typing import Any

from celery import bootsteps
from celery.worker import WorkController, state
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from recognition.celery import app
from recognition.jobs import queue
from recognition.serving import detection_jobs
from recognition.zoo import import_jobs
from transfer.worker.runner import runner

logger = logging.getLogger(__name__)

SWEEP_INTERVAL = 5.0  # seconds


class ReaperStep(bootsteps.StartStopStep):
    requires = {'celery.worker.components:Pool', 'celery.worker.components:Timer'}

    def __init__(self, worker: WorkController, **options: Any) -> None:
        super().__init__(worker, **options)
        self.timer_entry: Any = None

    def start(self, worker: WorkController) -> None:
        self.timer_entry = worker.timer.call_repeatedly(SWEEP_INTERVAL, self.sweep, (worker,))
        self.sweep(worker)
        runner.preload()

    def sweep(self, worker: WorkController) -> None:
        """Requeue, wake and clean up. It runs in the worker's own process, which is free while a child runs
        the job."""
        queues = worker.app.amqp.queues.consume_from
        try:
            queue.requeue_dead()
            queue.requeue_silent()
            detection_jobs.delete_expired()
            if not state.reserved_requests:  # only an idle worker needs a message: they must not pile up
                queue.wake(queues, SWEEP_INTERVAL)
            # Only that worker has the files: another machine would delete the rows alone.
            if settings.SERVING_QUEUE in queues:
                import_jobs.delete_expired()
        except (OperationalError, InterfaceError):
            logger.warning(
                'The database cannot be reached; the next sweep is in %.0f s', SWEEP_INTERVAL, exc_info=True
            )
        except OSError:
            logger.warning(
                'Files of failed source imports cannot be deleted; the next sweep is in %.0f s',
                SWEEP_INTERVAL,
                exc_info=True,
            )
        finally:
            connection.close()

    def close(self, worker: WorkController) -> None:
        """Requeue the running job, as the first step when a worker stops; another worker or the next start
        resumes it."""
        if self.timer_entry is not None:
            self.timer_entry.cancel()
        try:
            queue.release(runner.pids())
        finally:
            runner.stop()
            connection.close()


app.steps['worker'].add(ReaperStep)
