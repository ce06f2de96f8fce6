"""Starting, cancelling and waiting, as the pages, REST and the commands ask for it."""

from __future__ import annotations

import pytest
from django.utils import timezone

from recognition.errors import ConflictError, InvalidInputError, NotReadyError, QueueFullError
from recognition.jobs import queue as job_queue
from recognition.management.local_training import run_job
from recognition.models import AuditEvent, Image, Job, Label, SourceModel
from recognition.models.job import State
from recognition.training.readiness import Readiness, check_readiness
from recognition.training.start import create_local_training, start_training
from transfer.spec.train_spec import TrainSpec

pytestmark = pytest.mark.django_db


def add_labelled(project, **counts):
    for name, count in counts.items():
        label, _ = Label.objects.get_or_create(project=project, name=name)
        for number in range(count):
            key = f'images/{name}-{number}.jpg'
            Image.objects.create(
                project=project,
                label=label,
                name=f'{number}.jpg',
                digest=f'{name}{number}',
                key=key,
                thumbnail_key=key,
                width=9,
                height=9,
                size=9,
            )


@pytest.fixture
def labelled(project):
    add_labelled(project, daisy=4, rose=4)
    return project


@pytest.fixture
def sources(settings, tmp_path):
    """A zoo of two: the reference and one that the user may choose."""
    for name in (settings.P2L_REFERENCE, 'tiny'):
        weights = tmp_path / f'{name}.safetensors'
        weights.write_bytes(name.encode())
        SourceModel.objects.create(
            name=name,
            architecture='lenet5',
            weights=str(weights),
            digest=f'{name:0<64}',
            size=4,
            mean=[0.5] * 3,
            std=[0.2] * 3,
            images=90,
            classes=3,
            origin='starter',
            approved_at=timezone.now(),
        )


@pytest.fixture
def ready(labelled, sources):
    return labelled


def test_a_project_without_labels_is_told_what_it_lacks(project):
    assert check_readiness(project) == Readiness(
        False, ('Label images of at least 2 classes; there is none so far.',)
    )


def test_a_small_class_is_named_with_its_count(project):
    add_labelled(project, daisy=4, rose=3)
    assert check_readiness(project).missing == ("The class 'rose' has 3 of the 4 images that it needs.",)


def test_a_third_class_that_is_still_small_holds_nothing_up(labelled):
    add_labelled(labelled, tulip=1)
    assert check_readiness(labelled).ready


def test_images_in_the_trash_do_not_count(labelled):
    assert check_readiness(labelled).ready
    Image.objects.filter(label__name='rose').update(deleted_at='2026-01-01T00:00:00Z')
    assert not check_readiness(labelled).ready


def test_a_start_freezes_every_choice_on_the_job(ready, alice, settings):
    job = start_training(ready, alice, {'source': 'tiny', 'seed': 7, 'epochs': 3, 'rates': {'head': 0.01}})
    spec = TrainSpec.from_json(job.spec)
    assert (spec.source, spec.seed, spec.epochs, spec.rates) == ('tiny', 7, 3, {'head': 0.01})
    assert {source.name for source in spec.sources} == {'tiny', settings.P2L_REFERENCE}
    assert spec.reference.name == settings.P2L_REFERENCE
    assert (job.state, job.created_by, job.queue) == (State.QUEUED, alice, 'cpu')
    assert AuditEvent.objects.filter(action='start training', user=alice).count() == 1


@pytest.mark.parametrize(
    ('options', 'field'),
    [
        ({'source': 'unheard-of'}, 'source'),
        ({'epochs': -1}, 'epochs'),
        ({'epochs': 'ten'}, 'epochs'),
        ({'batch': 0}, 'batch'),
        ({'crop': float('nan')}, 'crop'),
        ({'plan': 'magic'}, 'plan'),
        ({'device': 'tpu'}, 'device'),
        ({'rates': {'head': -1.0}}, 'rates'),
        ({'rates': {'head': 'fast'}}, 'rates.head'),
        ({'colour': 'red'}, 'colour'),
        ({'sources': []}, 'sources'),
        ({'reference': {}}, 'reference'),
        ({'seed': True}, 'seed'),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused_by_name_and_leaves_no_job(ready, alice, options, field):
    with pytest.raises(InvalidInputError) as refused:
        start_training(ready, alice, options)
    assert refused.value.field == field
    assert Job.objects.count() == 0


def test_a_project_that_is_not_ready_starts_nothing(project, sources, alice):
    with pytest.raises(NotReadyError, match='at least 2 classes'):
        start_training(project, alice, {})
    assert Job.objects.count() == 0


def test_one_person_may_not_fill_the_queue(ready, alice, bob, settings):
    settings.MAX_QUEUED_TRAININGS_PER_USER = 2
    for _ in range(2):
        start_training(ready, alice, {})
    with pytest.raises(QueueFullError):
        start_training(ready, alice, {})
    assert start_training(ready, bob, {}).state == State.QUEUED


@pytest.mark.parametrize(
    ('device', 'everywhere', 'queue'),
    [('auto', 'cpu', 'cpu'), ('auto', 'gpu', 'gpu'), ('cuda', 'cpu', 'gpu'), ('cpu', 'gpu', 'cpu')],
)
def test_a_training_waits_where_its_device_is(ready, alice, settings, device, everywhere, queue):
    settings.TRAINING_QUEUE = everywhere
    assert start_training(ready, alice, {'device': device}).queue == queue


def test_the_message_is_sent_when_the_job_is_committed_and_not_before(
    ready, alice, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        job = start_training(ready, alice, {})
        assert Job.objects.get().message_sent_at is None
    job.refresh_from_db()
    assert job.message_sent_at is not None


def test_a_queued_job_is_cancelled_at_once(ready, alice):
    job = job_queue.cancel(start_training(ready, alice, {}), alice)
    assert job.state == State.CANCELLED
    assert job_queue.claim_next('cpu') is None


def test_a_running_job_is_asked_to_stop(ready, alice):
    start_training(ready, alice, {})
    job = job_queue.cancel(job_queue.claim_next('cpu'), alice)
    assert (job.state, job.cancel_requested) == (State.RUNNING, True)


def test_a_job_that_starts_while_it_is_being_cancelled_is_asked_to_stop(ready, alice):
    seen_as_queued = start_training(ready, alice, {})
    job_queue.claim_next('cpu')
    job = job_queue.cancel(seen_as_queued, alice)
    assert (job.state, job.cancel_requested) == (State.RUNNING, True)


def test_what_has_ended_cannot_be_cancelled(ready, alice):
    job = job_queue.cancel(start_training(ready, alice, {}), alice)
    with pytest.raises(ConflictError):
        job_queue.cancel(job, alice)


def test_the_place_in_the_queue_is_that_in_which_jobs_are_taken(ready, alice, bob):
    hers = [start_training(ready, alice, {}) for _ in range(3)]
    his = start_training(ready, bob, {})
    assert [job_queue.find_queue_position(job) for job in (*hers, his)] == [0, 2, 3, 1]
    job_queue.claim_next('cpu')
    assert [job_queue.find_queue_position(job) for job in (*hers[1:], his)] == [1, 2, 0]


def test_a_training_that_is_run_here_waits_for_no_worker(ready, alice):
    job = create_local_training(ready, alice, {})
    assert job_queue.reap().woken == 0
    assert job_queue.find_queue_position(job) == 0
    assert job_queue.claim(job)
    with pytest.raises(ConflictError):
        run_job(job)
