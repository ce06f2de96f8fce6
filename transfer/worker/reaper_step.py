"""A step of every worker: recover jobs at its start and every few seconds, and give its own back when it is asked to stop."""

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
        self.entry: Any = None

    def start(self, worker: WorkController) -> None:
        self.entry = worker.timer.call_repeatedly(SWEEP_INTERVAL, self.sweep, (worker,))
        self.sweep(worker)
        runner.warm()

    def sweep(self, worker: WorkController) -> None:
        """In the worker's own process, which is free while a training holds the one of the job."""
        queues = worker.app.amqp.queues.consume_from
        try:
            queue.requeue_dead()
            queue.requeue_silent()
            detection_jobs.delete_expired()
            if not state.reserved_requests:  # only an idle worker needs a message, so they do not pile up
                queue.wake(queues, SWEEP_INTERVAL)
            if (
                settings.SERVING_QUEUE in queues
            ):  # only there the files lie: another machine would drop the rows alone
                import_jobs.delete_expired()
        except (OperationalError, InterfaceError):
            logger.warning(
                'The database cannot be reached; the next sweep is in %.0f s', SWEEP_INTERVAL, exc_info=True
            )
        except OSError:
            logger.warning(
                'Files of refused additions cannot be dropped; the next sweep is in %.0f s',
                SWEEP_INTERVAL,
                exc_info=True,
            )
        finally:
            connection.close()

    def close(self, worker: WorkController) -> None:
        """First of all steps, when the worker begins to stop: its job will be resumed by another, or at the next start."""
        if self.entry is not None:
            self.entry.cancel()
        try:
            queue.release(runner.pids())
        finally:
            runner.stop()
            connection.close()


app.steps['worker'].add(ReaperStep)
