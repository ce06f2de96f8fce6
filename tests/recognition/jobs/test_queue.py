"""Jobs: who takes which, what their ends leave, and how they survive the death of their worker."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from queue import Empty

import pytest
from django.utils import timezone

from recognition import storage
from recognition.celery import app
from recognition.jobs import processes
from recognition.jobs import queue as job_queue
from recognition.models import Image, Job, Label, Project, TrainedModel
from recognition.models.job import TRAININGS, JobKind, State
from tests.support.dead_process import start_and_end_process
from tests.support.photos import draw_photo
from transfer.spec.errors import JobCancelledError, UnreadableImageError
from transfer.spec.report import Progress, SealedModel, TrainReport
from transfer.worker import execute, heartbeat
from transfer.worker.jobs import train

pytestmark = pytest.mark.django_db


@pytest.fixture
def labelled(project):
    """Alice's project with four photos of each of two classes."""
    for number in range(8):
        label, _ = Label.objects.get_or_create(project=project, name=('daisy', 'rose')[number % 2])
        key = storage.save(f'images/{number}.jpg', draw_photo(number))
        Image.objects.create(
            project=project,
            label=label,
            name=f'{number}.jpg',
            digest=f'{number:064}',
            key=key,
            thumbnail_key=key,
            width=48,
            height=48,
            size=900,
        )
    return project


@pytest.fixture
def queue(labelled, alice):
    def put(user=alice, **fields):
        return Job.objects.create(project=labelled, created_by=user, **fields)

    return put


@pytest.fixture
def messages():
    """The ids that were sent to the queue `cpu` of the broker since the last call."""

    def sent():
        found = []
        with app.connection_for_read() as connection, contextlib.suppress(Empty):
            waiting = connection.SimpleQueue('cpu')
            while message := waiting.get(block=False):
                message.ack()
                found += message.payload[0]
        return found

    sent()
    return sent


def seal(folder, accuracy=0.9, mark='final'):
    """A folder as the learning side seals it, as far as the doorway looks."""
    folder.mkdir(exist_ok=True)
    (folder / 'weights.safetensors').write_text(mark)
    (folder / 'meta.json').write_text(json.dumps({'mark': mark}))
    report = TrainReport(
        accuracy=accuracy,
        interval=(0.5, 1.0),
        images=8,
        labels=('daisy', 'rose'),
        winner='linear',
        why='',
        source='tiny',
    )
    return SealedModel(str(folder), f'{mark:0<64}', report)


def quick(manifest, spec, workdir, report, cache):
    report.progress(Progress('decode', 0.1))
    report.instant(seal(workdir / 'instant', 0.7, 'instant'))
    for epoch in range(1, 4):
        report.progress(
            Progress(
                'finetune', 0.2 * epoch, epoch=epoch, epochs=3, loss=1 / epoch, accuracy=0.5 + epoch / 10
            )
        )
    return seal(workdir / 'final')


def run_attempt(job, pipeline):
    """As a worker's process does, with another pipeline in the place of the learning side's."""
    handler = functools.partial(train.train, pipeline=pipeline)
    execute.run_attempt(job, handlers=dict.fromkeys(TRAININGS, handler))


def run(job, pipeline):
    assert job_queue.claim(job)
    run_attempt(job, pipeline)
    job.refresh_from_db()
    return job


# --- The line -----------------------------------------------------------------------------------------------


def test_of_two_workers_with_the_same_job_one_gets_it(queue):
    job, twin = queue(), Job.objects.get()
    assert (job.claim('one'), twin.claim('other')) == (True, False)
    assert [event.reason for event in job.events.all()] == ['claimed by one']


def test_people_take_turns_so_ten_jobs_of_one_do_not_hold_up_another(queue, alice, bob):
    hers = [queue(alice) for _ in range(3)]
    his = [queue(bob) for _ in range(2)]
    served = []
    while job := job_queue.claim_next('cpu'):
        served.append(job.pk)
    assert served == [hers[0].pk, his[0].pk, hers[1].pk, his[1].pk, hers[2].pk]


def test_an_interrupted_job_goes_on_before_new_ones(queue, bob):
    job, other = queue(), queue(bob)
    claimed = job_queue.claim_next('cpu')
    assert claimed == job
    assert claimed.requeue(job_queue.WORKER_DIED)
    assert list(Job.objects.all().in_queue_order('cpu')) == [job, other]


def test_a_worker_takes_only_from_the_queue_it_serves(queue):
    job = queue(queue='gpu')
    assert job_queue.claim_next('cpu') is None
    assert job_queue.claim_next('gpu') == job


def test_jobs_of_a_deleted_project_wait_for_nobody(queue, labelled):
    queue()
    Project.objects.filter(pk=labelled.pk).update(deleted_at=timezone.now())
    assert job_queue.claim_next('cpu') is None


# --- The doorway --------------------------------------------------------------------------------------------


def test_a_training_leaves_one_model_and_no_folder(queue):
    job = run(queue(), quick)
    model = TrainedModel.objects.get()
    assert (job.state, model.job, model.version, model.provisional) == (State.SUCCEEDED, job, 1, False)
    assert (model.accuracy, model.accuracy_low, model.labels) == (0.9, 0.5, ['daisy', 'rose'])
    assert (storage.artifact_folder(model.artifact) / 'weights.safetensors').read_text() == 'final'
    assert not (storage.training_folder(job.pk) / 'final').exists()


def test_the_finished_model_takes_the_place_of_the_instant_one_under_the_same_id(queue):
    seen = {}

    def pipeline(manifest, spec, workdir, report, cache):
        sealed = quick(manifest, spec, workdir, report, cache)
        model = TrainedModel.objects.get()
        seen.update(
            pk=model.pk, provisional=model.provisional, artifact=model.artifact, accuracy=model.accuracy
        )
        return sealed

    run(queue(), pipeline)
    model = TrainedModel.objects.get()
    assert (seen['provisional'], seen['accuracy'], model.pk, model.provisional) == (
        True,
        0.7,
        seen['pk'],
        False,
    )
    assert not storage.artifact_folder(seen['artifact']).exists()


def test_an_instant_model_told_again_after_a_resume_stays_one_model(queue):
    def twice(manifest, spec, workdir, report, cache):
        report.instant(seal(workdir / 'instant', 0.6, 'before'))
        report.instant(seal(workdir / 'instant', 0.7, 'after'))
        raise JobCancelledError

    job = run(queue(cancel_requested=True), twice)
    model = TrainedModel.objects.get()
    assert (job.state, model.provisional, model.accuracy) == (State.CANCELLED, True, 0.7)
    assert [path.name for path in storage.artifact_folder(str(job.pk)).iterdir()] == [
        model.artifact.split('/')[1]
    ]


def test_versions_count_up_within_the_project(queue):
    for _ in range(3):
        run(queue(), quick)
    assert sorted(TrainedModel.objects.values_list('version', flat=True)) == [1, 2, 3]


def test_progress_and_curve_are_on_the_row(queue):
    job = run(queue(), quick)
    assert (job.progress['phase'], job.progress['epoch']) == ('finetune', 3)
    assert [(told['epoch'], round(told['accuracy'], 1)) for told in job.curve] == [
        (1, 0.6),
        (2, 0.7),
        (3, 0.8),
    ]


def test_an_epoch_told_again_after_a_resume_replaces_the_curve_behind_it(queue):
    job = queue(curve=[{'epoch': epoch, 'loss': 9.0, 'accuracy': 0.1} for epoch in (1, 2, 3)])
    assert job_queue.claim(job)
    report = heartbeat.JobReport(job)
    report.progress(Progress('finetune', 0.5, epoch=2, loss=1.0, accuracy=0.5))
    job.refresh_from_db()
    assert [(told['epoch'], told['accuracy']) for told in job.curve] == [(1, 0.1), (2, 0.5)]


def test_an_expected_error_fails_the_job_with_its_sentence(queue):
    def pipeline(*_):
        raise UnreadableImageError('rose.jpg cannot be read')

    job = run(queue(), pipeline)
    assert (job.state, job.error_code, job.error_message) == (
        State.FAILED,
        'unreadable_image',
        'rose.jpg cannot be read',
    )


def test_an_unforeseen_error_fails_the_job_with_a_reference_and_is_raised_for_the_log(queue, caplog):
    def pipeline(*_):
        raise ZeroDivisionError('secret detail')

    job = queue()
    assert job_queue.claim(job)
    with pytest.raises(ZeroDivisionError):
        run_attempt(job, pipeline)
    assert (job.state, job.error_code) == (State.FAILED, 'internal')
    assert 'secret detail' not in job.error_message
    reference = job.error_message.split()[-1].rstrip('.')
    assert reference in caplog.text


def test_a_bad_spec_fails_the_job_instead_of_killing_the_worker(queue):
    job = run(queue(spec={'epochs': 'many'}), quick)
    assert (job.state, job.error_code) == (State.FAILED, 'invalid_spec')


@pytest.mark.parametrize('kind', ['', 'signing', 'segmentation'])
def test_a_job_of_an_unknown_kind_fails_with_a_sentence_and_trains_nothing(queue, kind):
    job = run(queue(kind=kind), lambda *_: pytest.fail('a training began'))
    assert (job.state, job.error_code) == (State.FAILED, 'unknown_job_kind')
    assert job.error_message.startswith(
        f'This worker cannot run jobs of the kind "{kind}". If a newer version'
    )


def test_each_kind_of_job_has_a_handler():
    assert set(execute.HANDLERS) == set(JobKind)


def test_a_request_to_cancel_stops_the_training_at_its_next_word(queue):
    def pipeline(manifest, spec, workdir, report, cache):
        Job.objects.update(cancel_requested=True)
        report.progress(Progress('decode', 0.1))
        pytest.fail('the training went on')

    job = run(queue(), pipeline)
    assert job.state == State.CANCELLED
    assert not (storage.training_folder(job.pk) / 'lock').exists()


def test_a_worker_that_lost_its_job_leaves_without_touching_it(queue):
    """It was taken for dead, and a successor has claimed the job: what the old one still seals goes
    nowhere."""

    def pipeline(manifest, spec, workdir, report, cache):
        successor = Job.objects.get()
        assert successor.requeue(job_queue.WORKER_DIED)
        assert successor.claim('successor')
        return seal(workdir / 'final')

    job = run(queue(), pipeline)
    assert (job.state, job.worker, job.attempt) == (State.RUNNING, 'successor', 2)
    assert TrainedModel.objects.count() == 0
    assert (storage.training_folder(job.pk) / 'final').exists()


def test_a_job_whose_project_is_deleted_under_it_ends_quietly(queue, labelled):
    def pipeline(manifest, spec, workdir, report, cache):
        labelled.delete()
        report.progress(Progress('rank', 0.3))
        pytest.fail('the training went on')

    job = queue()
    assert job_queue.claim(job)
    run_attempt(job, pipeline)
    assert (Job.objects.count(), TrainedModel.objects.count()) == (0, 0)


def test_two_processes_never_train_one_job_at_once(queue, tmp_path, monkeypatch):
    """A worker that was stopped for minutes and given up still holds the folder: its successor waits, then
    steps back."""
    job = queue()
    folder = storage.training_folder(job.pk)
    code = (
        'import fcntl, sys; file = open(sys.argv[1], "w"); fcntl.lockf(file, fcntl.LOCK_EX); '
        'print("held", flush=True); input()'
    )
    pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE}
    with subprocess.Popen([sys.executable, '-c', code, str(folder / 'lock')], **pipes) as old:
        assert old.stdout.readline() == b'held\n'
        monkeypatch.setattr(execute, 'PREDECESSOR_TIMEOUT', 0.3)
        assert run(job, quick).state == State.QUEUED
        old.communicate(b'\n')
    assert run(job, quick).state == State.SUCCEEDED


# --- Recovery -----------------------------------------------------------------------------------------------


def test_the_job_of_a_dead_process_of_this_machine_is_taken_back_at_once(
    queue, messages, django_capture_on_commit_callbacks
):
    job, living = queue(), queue()
    assert job.claim(start_and_end_process())
    assert living.claim(processes.make_process_name(os.getpid()))
    with django_capture_on_commit_callbacks(execute=True):
        assert job_queue.requeue_dead() == (1, 0)
    job.refresh_from_db()
    assert (job.state, job.worker, messages()) == (State.QUEUED, '', [str(job.pk)])


def test_a_process_number_that_is_used_again_is_another_process(queue):
    name = processes.make_process_name(os.getpid())
    assert not processes.is_dead(name)
    assert processes.is_dead(f'{name.rpartition("~")[0]}~1')


def test_of_another_machine_s_processes_nothing_is_known(queue):
    assert not processes.is_dead(
        processes.make_process_name(os.getpid()).replace(
            processes.local_prefix(), 'elsewhere~12345678~4026531836~'
        )
    )


def test_a_process_that_is_dead_but_not_yet_buried_is_dead():
    child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)
    name = processes.make_process_name(child.pid)
    child.stdin.close()
    until = time.monotonic() + 20
    while not processes.is_dead(name):
        assert time.monotonic() < until
    assert child.wait() != 0


def test_a_silent_job_of_any_machine_is_taken_back(
    queue, settings, messages, django_capture_on_commit_callbacks
):
    job = queue()
    assert job.claim('elsewhere~1')
    assert job_queue.requeue_silent() == (0, 0)
    Job.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=settings.JOB_HEARTBEAT_TIMEOUT + 1))
    with django_capture_on_commit_callbacks(execute=True):
        assert job_queue.requeue_silent() == (1, 0)
    assert messages() == [str(job.pk)]


def test_a_heartbeat_that_arrives_in_between_keeps_the_job_with_its_worker(queue):
    job = queue()
    assert job.claim('slow')
    seen = Job.objects.get()
    assert job.write_heartbeat(1)
    assert not seen.requeue(job_queue.WORKER_DIED)


def test_a_job_that_kills_its_workers_is_given_up_with_a_clear_sentence(queue, settings):
    job = queue()
    for _ in range(settings.JOB_MAX_ATTEMPTS):
        assert job.claim(start_and_end_process())
        job_queue.requeue_dead()
        job.refresh_from_db()
    assert (job.state, job.error_code) == (State.FAILED, 'worker_died')
    assert f'died {settings.JOB_MAX_ATTEMPTS} times' in job.error_message


def test_a_worker_that_is_asked_to_stop_gives_its_job_back_and_that_is_no_death(queue, settings):
    job = queue()
    for _ in range(settings.JOB_MAX_ATTEMPTS + 1):
        assert job_queue.claim(job)
        job_queue.release([os.getpid()])
        job.refresh_from_db()
    assert (job.state, job.error_code) == (State.QUEUED, '')


def test_a_job_that_was_being_cancelled_when_its_worker_died_is_cancelled(queue):
    job = queue()
    assert job.claim(start_and_end_process())
    Job.objects.update(cancel_requested=True)
    assert job_queue.requeue_dead() == (0, 1)
    job.refresh_from_db()
    assert job.state == State.CANCELLED


def test_the_job_of_a_command_that_was_killed_fails_because_nobody_waits_for_it(queue):
    job = queue(queue=job_queue.LOCAL_QUEUE)
    assert job.claim(start_and_end_process())
    assert job_queue.requeue_dead() == (0, 1)
    job.refresh_from_db()
    assert (job.state, job.error_code) == (State.FAILED, 'interrupted')


def test_a_queued_job_whose_message_was_lost_gets_one_more_and_not_many(queue, messages):
    jobs = [queue() for _ in range(3)]
    assert job_queue.reap() == job_queue.ReapCounts(0, 0, 1)
    assert job_queue.reap() == job_queue.ReapCounts(0, 0, 0)
    assert messages() == [str(jobs[0].pk)]
    Job.objects.update(message_sent_at=timezone.now() - timedelta(minutes=2))
    assert job_queue.reap().woken == 1


@pytest.mark.skipif(
    not app.conf.broker_url.startswith('spool'), reason='puts the embedded broker out of order'
)
def test_a_broker_that_is_away_loses_no_job(queue, settings, tmp_path, caplog):
    settings.SPOOL_DIR = tmp_path / 'a file'
    settings.SPOOL_DIR.touch()
    job = queue()
    job_queue.send_message(job)
    job.refresh_from_db()
    assert (job.state, job.message_sent_at) == (State.QUEUED, None)
    assert 'broker cannot be reached' in caplog.text
