"""A program: queue jobs, kill their worker -9 at random moments, wait for the end and print what became of
everything.

    python -m tests.flows.kill_run SEED KILLS

Database, broker and data folder come from the environment, as in the product.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import django

WAITING = 2  # jobs kept in the queue while there is still killing to do
PATIENCE = 120.0  # seconds for one wait


def wait_for(what, question):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if answer := question():
            return answer
        time.sleep(0.05)
    raise TimeoutError(what)


def start_worker():
    return subprocess.Popen(
        [sys.executable, '-m', 'celery', '--quiet', '-A', 'recognition', 'worker', '-Q', 'cpu']
    )


def queue_jobs(Job, project, people, count):
    from recognition.jobs import queue

    for number in range(count):
        queue.enqueue(Job.objects.create(project=project, created_by=people[number % 2]))


def running_pid(Job):
    """The process of a job that runs now, and lives."""
    from recognition.jobs import processes

    for job in Job.objects.filter(state='running'):
        if not processes.is_dead(job.worker):
            return int(job.worker.split('~')[-2])
    return None


def kill_at_random(Job, project, people, chance, kills, workers):
    killed = {'parent': 0, 'child': 0}
    for _ in range(3 * kills):
        if sum(killed.values()) == kills:
            break
        if Job.objects.filter(state='queued').count() < WAITING:
            queue_jobs(Job, project, people, WAITING)
        child = wait_for('a running job', lambda: running_pid(Job))
        time.sleep(chance.uniform(0, 1.0))
        victim = chance.choice(['parent', 'child'])
        killed[victim] += 1
        if victim == 'parent':
            workers[-1].kill()
            workers[-1].wait()
            workers.append(start_worker())
        else:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                killed[victim] -= 1  # the job's process had come to its end: this one does not count
    return killed


def main() -> None:
    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from recognition.models import Job, Project

    call_command('migrate', verbosity=0)
    chance = random.Random(int(sys.argv[1]))
    people = [User.objects.create(username=name) for name in ('alice', 'bob')]
    project = Project.objects.create(name='Flowers')
    queue_jobs(Job, project, people, 4)
    workers = [start_worker()]
    try:
        killed = kill_at_random(Job, project, people, chance, int(sys.argv[2]), workers)
        wait_for('the end of all jobs', lambda: not Job.objects.unfinished().exists())
        workers[-1].terminate()
        left = workers[-1].wait(60)
    finally:
        workers[-1].kill()
    told = [
        {
            'id': str(job.pk),
            'state': job.state,
            'error': job.error_code,
            'attempts': job.attempt,
            'events': [event.reason.split(' ')[0] + ' ' + event.new for event in job.events.all()],
            'deaths': job.events.filter(
                reason__in=('its worker died', 'worker_died')
            ).count(),  # the last one ends it
            'models': [model.provisional for model in job.models.all()],
        }
        for job in Job.objects.order_by('created_at')
    ]
    print(json.dumps({'jobs': told, 'killed': killed, 'left': left}))


if __name__ == '__main__':
    main()
