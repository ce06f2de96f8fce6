"""The Celery application: `celery -A recognition worker -Q cpu` (or gpu, or both).

Messages only wake workers (recognition/models/job.py), so there is no result back end, and the same
configuration serves every broker: the folder of transfer/worker/spool_transport.py, Redis and RabbitMQ.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

from celery import Celery, signals
from celery.exceptions import SecurityWarning
from kombu import Queue
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'recognition.settings')
# Two spinning OpenMP threads on a busy machine are 6 to 22 times slower.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
# A worker does not need the routes that the system checks load; `manage.py check` and every other command run
# them.
os.environ.setdefault('CELERY_SKIP_CHECKS', '1')
# Celery warns of root, as in a container, because of pickled messages; this application takes nothing but
# JSON.
warnings.filterwarnings('ignore', category=SecurityWarning)
TRANSPORT_ALIASES['spool'] = 'transfer.worker.spool_transport:Transport'

# The tasks of transfer/worker/tasks.py, which use cases send by these names.
RUN_JOB = 'graft.run_job'
RUN_BENCHMARK_CELL = 'graft.run_benchmark_cell'

app = Celery('graft', include=['transfer.worker.tasks', 'transfer.worker.reaper_step'])
app.config_from_object('django.conf:settings', namespace='CELERY')
app.conf.update(
    accept_content=['json'],
    task_serializer='json',
    task_ignore_result=True,
    task_queues=[Queue('cpu'), Queue('gpu'), Queue('serve')],
    task_default_queue='cpu',
    # A worker reserves nothing behind a long training, and what it holds is delivered again when it stops.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    # One training at a time fills a machine. It runs in a process of its own (runner.py), for which this one
    # thread waits. Not in Celery's prefork pool: there a process that is killed between taking a task and
    # acknowledging it blocks the worker for ever, and any other kill is noticed only after ten seconds.
    worker_pool='threads',
    worker_concurrency=1,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_redirect_stdouts=False,
    broker_connection_retry_on_startup=True,
    # Redis delivers a message again when it was not acknowledged for this long, so it must exceed the longest
    # training. A dead worker's job does not wait for it: the reaper goes by the row.
    broker_transport_options={'visibility_timeout': 24 * 3600},
)


@signals.setup_logging.connect
def leave_logging_to_django(**_: Any) -> None:
    """Celery leaves logging alone when this signal has a receiver; settings.LOGGING holds."""
