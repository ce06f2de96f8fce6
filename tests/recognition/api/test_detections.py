"""Photos that would take long to look at: the answer is a job, whose address tells its own person for a day
what was found."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from PIL import Image as Picture

from recognition import storage
from recognition.jobs import queue
from recognition.models import Job
from recognition.models.job import JobKind
from recognition.serving import detection_jobs, prediction
from tests.support import sealed_detector
from tests.support.api_answers import is_refusal
from tests.support.dead_process import start_and_end_process
from tests.support.photos import draw_photo
from transfer.worker import execute

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures('empty_model_cache')]

# half a second each, says the detector: more than two seconds
PHOTOS = [draw_photo(number, side=96) for number in range(5)]


@pytest.fixture(scope='module')
def sealed_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('models') / 'detector'
    return folder, sealed_detector.seal(folder)


@pytest.fixture
def detector(project, sealed_folder):
    return sealed_detector.row_of(project, *sealed_folder)


@pytest.fixture
def ask(predictor, detector):
    """Send so many photos."""

    def send(photos=PHOTOS, query='', program=predictor):
        files = [SimpleUploadedFile(f'{number}.jpg', photo) for number, photo in enumerate(photos)]
        return program.post(
            f'/api/v1/models/{detector.pk}/detect{query}', {'images': files}, format='multipart'
        )

    return send


def work():
    """What a worker of the queue does."""
    job = queue.claim_next('serve')
    execute.run_attempt(job)
    return job


def kept(job) -> list[str]:
    folder = f'detection-jobs/{job.pk}'
    return default_storage.listdir(folder)[1] if default_storage.exists(folder) else []


def test_few_photos_are_answered_at_once_and_many_by_a_job(ask, predictor, detector):
    assert ask(PHOTOS[:4]).status_code == 200
    answer = ask()
    assert answer.status_code == 202 and answer.json()['state'] == 'queued'
    address = answer['Location']
    assert address == f'/api/v1/detection-jobs/{answer.json()["id"]}'
    assert predictor.get(address).json() == answer.json()
    job = work()
    body = predictor.get(address).json()
    assert (body['state'], body['finished'], body['error']) == ('succeeded', True, None)
    assert body['result'] == ask(query='?wait=true').json()
    assert [entry['name'] for entry in body['result']['images']] == [f'{number}.jpg' for number in range(5)]
    assert job.progress['message'] == 'Detecting on photo 5 of 5' or job.progress['phase'] in (
        'load',
        'detect',
    )


def test_the_caller_may_ask_for_a_job_or_for_the_answer_itself(ask, settings):
    assert ask(PHOTOS[:1], '?wait=false').status_code == 202
    assert ask(query='?wait=true').status_code == 200
    settings.MAX_DETECTION_SECONDS = 10
    assert ask().status_code == 200
    settings.MAX_DETECTION_SECONDS = 0.1
    assert ask(PHOTOS[:1]).status_code == 202


def test_a_gpu_answers_at_once(ask, settings, detector):
    settings.SERVE_DEVICE = 'cuda'
    assert prediction.estimate_seconds(detector) == 0.0


def test_the_photos_are_gone_when_they_were_looked_at(ask):
    ask()
    job = Job.objects.get()
    assert len(kept(job)) == 5
    work()
    assert kept(job) == []
    job.refresh_from_db()
    assert job.state == 'succeeded' and job.spec['names'][0] == '0.jpg'


def test_a_waiting_one_is_called_off_with_its_photos(ask, predictor):
    address = ask()['Location']
    body = predictor.post(f'{address}/cancel')
    assert (body.status_code, body.json()['state']) == (202, 'cancelled')
    assert kept(Job.objects.get()) == []
    assert is_refusal(predictor.post(f'{address}/cancel'), 409, 'conflict')


def test_a_running_one_is_called_off_at_its_next_word(ask, predictor):
    address = ask()['Location']
    job = queue.claim_next('serve')
    assert predictor.post(f'{address}/cancel').json()['cancel_requested']
    execute.run_attempt(job)
    assert predictor.get(address).json()['state'] == 'cancelled'
    assert kept(job) == []


def test_only_the_user_who_started_the_job_sees_its_result(ask, client_of, bob, charlie, detector):
    address = ask()['Location']
    for person in (bob, charlie):  # bob works on the same project, but the photos were not his
        assert is_refusal(client_of(person).get(address), 404, 'not_found')
        assert is_refusal(client_of(person).post(f'{address}/cancel'), 404, 'not_found')


def test_it_is_no_training(ask, program, detector):
    job = ask().json()['id']
    assert program.get(f'/api/v1/projects/{detector.project_id}/trainings').json()['results'] == []
    assert is_refusal(program.get(f'/api/v1/trainings/{job}'), 404, 'not_found')


def test_what_can_be_refused_is_refused_before_anything_waits(ask):
    assert is_refusal(ask([*PHOTOS[:4], b'no photo']), 422, 'invalid_image', 'images[4]')
    assert is_refusal(ask(PHOTOS[:1] * 21, '?wait=false'), 422, 'invalid', 'images')
    assert is_refusal(ask(query='?wait=perhaps'), 400, 'invalid_query', 'wait')
    assert Job.objects.count() == 0


def test_a_photo_that_is_cut_short_is_named_by_the_job(ask, predictor):
    whole = io.BytesIO()
    Picture.effect_noise((200, 200), 90).convert('RGB').save(whole, 'PNG')
    address = ask([*PHOTOS[:4], whole.getvalue()[:9000]])['Location']
    work()
    body = predictor.get(address).json()
    assert body['state'] == 'failed' and body['result'] is None
    assert body['error']['code'] == 'invalid_image' and 'images[4]' in body['error']['message']


def test_a_model_deleted_meanwhile_answers_no_more(ask, predictor, detector):
    address = ask()['Location']
    detector.delete()
    work()
    body = predictor.get(address).json()
    assert body['error'] == {
        'code': 'not_found',
        'message': 'The model was deleted before the detection began.',
    }


def test_a_killed_worker_loses_nothing(ask, predictor):
    address = ask()['Location']
    assert Job.objects.get().claim(start_and_end_process())
    assert queue.requeue_dead() == (1, 0)
    assert len(kept(Job.objects.get())) == 5
    work()
    assert len(predictor.get(address).json()['result']['images']) == 5


def test_too_many_that_wait_are_too_many(ask, settings):
    settings.MAX_QUEUED_DETECTIONS_PER_USER = 2
    assert [ask().status_code for _ in range(2)] == [202, 202]
    assert is_refusal(ask(), 429, 'queue_full')


def test_an_answer_is_forgotten_in_time(ask, predictor, settings):
    address = ask()['Location']
    work()
    assert detection_jobs.delete_expired() == 0 and predictor.get(address).status_code == 200
    old = timezone.now() - timedelta(hours=settings.DETECTION_RESULT_HOURS, minutes=1)
    Job.objects.update(finished_at=old)
    assert is_refusal(predictor.get(address), 404, 'not_found')
    assert detection_jobs.delete_expired() == 1 and Job.objects.count() == 0


def test_what_was_never_quite_asked_is_swept_with_its_photos(ask, alice, detector):
    """The web process died while it stored the photos."""
    job = Job.objects.create(
        kind=JobKind.DETECTION_JOB, project=detector.project, created_by=alice, queue=queue.UPLOAD_QUEUE
    )
    storage.save_detection_images(job.pk, PHOTOS[:2])
    assert queue.claim_next('serve') is None and detection_jobs.delete_expired() == 0
    Job.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert detection_jobs.delete_expired() == 1 and kept(job) == []
