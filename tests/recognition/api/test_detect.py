"""Detections by REST: boxes in pixels of the upright photo, the surest first; what is wrong is named."""

from __future__ import annotations

import base64
import io
import threading
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image as Picture

from recognition import storage
from recognition.models import TrainedModel
from recognition.serving import prediction, publishing
from tests.support import sealed_classifier, sealed_detector
from tests.support.api_answers import is_refusal
from tests.support.photos import draw_photo

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures('empty_model_cache')]

PHOTO = draw_photo(3, side=96)


@pytest.fixture(scope='session')
def sealed_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('models') / 'detector'
    return folder, sealed_detector.seal(folder)


@pytest.fixture
def detector(project, sealed_folder):
    return sealed_detector.row_of(project, *sealed_folder)


@pytest.fixture
def address(detector):
    return f'/api/v1/models/{detector.pk}/detect'


def test_an_answer_has_boxes_within_the_photo_the_surest_first(predictor, address, detector):
    body = predictor.post(address, {'image': SimpleUploadedFile('a.jpg', PHOTO)}, format='multipart').json()
    assert (body['model'], body['version'], body['threshold']) == (str(detector.pk), 1, 0.05)
    [entry] = body['images']
    assert (entry['name'], entry['width'], entry['height']) == ('a.jpg', 96, 96)
    scores = [found['score'] for found in entry['detections']]
    assert scores and scores == sorted(scores, reverse=True)
    for found in entry['detections']:
        assert found['label'] in sealed_detector.LABELS
        assert 0 <= found['x0'] < found['x1'] <= 96 and 0 <= found['y0'] < found['y1'] <= 96


def test_every_way_to_send_a_photo_and_a_published_name_give_the_same_boxes(
    predictor, address, detector, alice
):
    publishing.publish(detector, 'parts', alice)
    answers = [
        predictor.post(address, PHOTO, content_type='image/jpeg'),
        predictor.post(address, {'images': [base64.b64encode(PHOTO).decode()]}, format='json'),
        predictor.post('/api/v1/models/parts/detect', PHOTO, content_type='application/octet-stream'),
        predictor.post('/api/v1/publications/parts/detect', PHOTO, content_type='image/jpeg'),
    ]
    objects = [answer.json()['images'][0]['detections'] for answer in answers]
    assert objects[0] and all(other == objects[0] for other in objects)


def test_a_threshold_leaves_out_what_is_less_sure(predictor, address):
    everything = predictor.post(f'{address}?threshold=0', PHOTO, content_type='image/jpeg').json()['images'][
        0
    ]['detections']
    middle = everything[len(everything) // 2]['score'] - 2e-6  # scores are rounded in the answer
    few = predictor.post(f'{address}?threshold={middle}', PHOTO, content_type='image/jpeg').json()
    assert few['threshold'] == pytest.approx(middle)
    assert few['images'][0]['detections'] == [found for found in everything if found['score'] >= middle]


def test_boxes_of_a_rotated_photo_refer_to_the_upright_image(predictor, address):
    turned = io.BytesIO()
    exif = Picture.Exif()
    exif[0x0112] = 6
    Picture.new('RGB', (120, 80), 'green').save(turned, 'JPEG', exif=exif)
    [entry] = predictor.post(address, turned.getvalue(), content_type='image/jpeg').json()['images']
    assert (entry['width'], entry['height']) == (80, 120)


@pytest.mark.parametrize(
    ('query', 'body', 'status', 'code', 'field'),
    [
        ('', b'no photo', 422, 'invalid_image', 'images[0]'),
        ('', b'', 422, 'invalid', 'images'),
        ('', PHOTO[:200], 422, 'invalid_image', 'images[0]'),
        ('?threshold=2', PHOTO, 400, 'invalid_query', 'threshold'),
        ('?threshold=nan', PHOTO, 400, 'invalid_query', 'threshold'),
        ('?top=3', PHOTO, 400, 'invalid_query', 'top'),
    ],
)
def test_what_cannot_be_used_is_named(predictor, address, query, body, status, code, field):
    assert predictor.post(f'{address}{query}', body, content_type='image/jpeg').json()['field'] == field
    assert predictor.post(f'{address}{query}', body, content_type='image/jpeg').status_code == status


def test_a_model_of_the_other_task_says_so(predictor, address, detector, artifact):
    assert is_refusal(
        predictor.post(address.replace('detect', 'classify'), PHOTO, content_type='image/jpeg'),
        422,
        'invalid',
    )
    storage.publish_artifact(Path(artifact.folder), 'colours')
    other = TrainedModel.objects.create(
        project=detector.project,
        version=2,
        artifact='colours',
        digest=artifact.digest,
        labels=list(sealed_classifier.LABELS),
        images=3,
    )
    answer = predictor.post(f'/api/v1/models/{other.pk}/detect', PHOTO, content_type='image/jpeg')
    assert is_refusal(answer, 422, 'invalid')


def test_a_detector_whose_files_are_gone_is_unavailable(predictor, address, detector):
    storage.delete_artifact(detector.artifact)
    assert is_refusal(predictor.post(address, PHOTO, content_type='image/jpeg'), 503, 'model_unavailable')


def test_too_many_requests_at_once_are_refused(predictor, address, detector):
    prediction.load_model(detector)
    model = prediction._load_current(detector)
    model._places = threading.Semaphore(0)
    assert is_refusal(predictor.post(address, PHOTO, content_type='image/jpeg'), 503, 'overloaded')
