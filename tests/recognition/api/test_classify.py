"""Predictions by REST: every way to send an image gives the same scores; what is wrong is named."""

from __future__ import annotations

import base64
import io
import shutil

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from recognition import storage
from recognition.datasets.projects import delete_project
from recognition.serving import publishing
from tests.support import sealed_classifier
from tests.support.api_answers import is_refusal

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures('empty_model_cache')]

PHOTOS = {label: sealed_classifier.photo(label, 70) for label in sealed_classifier.LABELS}


@pytest.fixture
def address(model):
    return f'/api/v1/models/{model.pk}/classify'


def text(label: str) -> str:
    return base64.b64encode(PHOTOS[label]).decode()


def best(answer) -> list[str]:
    assert answer.status_code == 200, answer.json()
    return [entry['scores'][0]['label'] for entry in answer.json()['images']]


def files(field: str, *labels: str) -> dict:
    return {field: [SimpleUploadedFile(f'{label}.jpg', PHOTOS[label]) for label in labels]}


def test_an_answer_has_the_model_and_calibrated_scores_best_first(predictor, address, model):
    body = predictor.post(address, files('image', 'red'), format='multipart').json()
    assert (body['model'], body['version'], body['provisional']) == (str(model.pk), 1, False)
    [entry] = body['images']
    scores = [score['score'] for score in entry['scores']]
    assert entry['name'] == 'red.jpg' and entry['scores'][0]['label'] == 'red'
    assert scores == sorted(scores, reverse=True) and sum(scores) == pytest.approx(1, abs=1e-5)


def test_every_way_to_send_an_image_gives_the_same_scores(predictor, address):
    answers = [
        predictor.post(address, files('image', 'red'), format='multipart'),
        predictor.post(address, files('images', 'red'), format='multipart'),
        predictor.post(address, PHOTOS['red'], content_type='image/jpeg'),
        predictor.post(address, PHOTOS['red'], content_type='image/png'),
        predictor.post(address, PHOTOS['red'], content_type='application/octet-stream'),
        predictor.post(address, {'image': text('red')}),
        predictor.post(address, {'images': [text('red')]}),
        predictor.post(address, {'image': f'data:image/jpeg;base64,{text("red")}'}),
    ]
    assert [best(answer) for answer in answers] == [['red']] * len(answers)
    assert len({str(answer.json()['images'][0]['scores']) for answer in answers}) == 1


def test_many_images_are_answered_in_their_order(predictor, address):
    labels = ['red', 'blue', 'green', 'blue'] * 5
    assert best(predictor.post(address, files('image', *labels), format='multipart')) == labels
    assert best(predictor.post(address, {'images': [text(label) for label in labels]})) == labels


def test_top_and_threshold_come_in_the_address_or_in_the_body(predictor, address):
    for answer in (
        predictor.post(f'{address}?top=2', PHOTOS['red'], content_type='image/jpeg'),
        predictor.post(address, {'image': text('red'), 'top': 2}),
        predictor.post(address, {**files('image', 'red'), 'top': '2'}, format='multipart'),
        predictor.post(f'{address}?top=2', {'image': text('red'), 'top': 1}),
    ):
        assert len(answer.json()['images'][0]['scores']) == 2
    answer = predictor.post(f'{address}?threshold=1', PHOTOS['red'], content_type='image/jpeg')
    assert answer.json()['images'][0]['scores'] == []


def test_a_published_name_answers_too(predictor, model, alice):
    publishing.publish(model, 'colours', alice)
    for address in ('/api/v1/models/colours/classify', '/api/v1/publications/colours/classify'):
        assert best(predictor.post(address, PHOTOS['blue'], content_type='image/jpeg')) == ['blue']
    assert is_refusal(predictor.post(f'/api/v1/publications/{model.pk}/classify', b''), 404, 'not_found')


def test_the_name_of_a_deleted_project_answers_no_more(predictor, project, model, alice):
    publishing.publish(model, 'colours', alice)
    delete_project(project, alice)
    assert is_refusal(
        predictor.post('/api/v1/models/colours/classify', PHOTOS['red'], content_type='image/jpeg'),
        404,
        'not_found',
    )


@pytest.mark.parametrize(
    'query', ['top=0', 'top=-1', 'top=x', 'top=1.5', 'threshold=2', 'threshold=nan', 'threshold=', 'owner=1']
)
def test_a_parameter_that_makes_no_sense_is_named(predictor, address, query):
    answer = predictor.post(f'{address}?{query}', PHOTOS['red'], content_type='image/jpeg')
    assert is_refusal(answer, 400, 'invalid_query', query.split('=')[0])


@pytest.mark.parametrize(
    ('body', 'field'),
    [
        ({}, 'images'),
        ({'images': []}, 'images'),
        ({'images': 'x'}, 'images'),
        ({'image': 'not base64!'}, 'images[0]'),
        ({'images': [text('red'), 'a']}, 'images[1]'),
        ({'images': [text('red'), base64.b64encode(b'no image').decode()]}, 'images[1]'),
        ({'images': [text('red')] * 21}, 'images'),
        ({'image': text('red'), 'top': 0}, 'top'),
        ({'image': text('red'), 'threshold': 'nan'}, 'threshold'),
        ({'image': text('red'), 'url': 'http://169.254.169.254/'}, 'url'),
    ],
)
def test_what_is_wrong_with_the_body_is_named(predictor, address, body, field):
    answer = predictor.post(address, body)
    assert answer.status_code == 422 and answer.json()['field'] == field, answer.json()


def test_what_is_wrong_with_the_files_is_named(predictor, address, settings):
    assert is_refusal(predictor.post(address, {'top': '1'}, format='multipart'), 422, 'invalid', 'image')
    assert is_refusal(
        predictor.post(address, files('image', *['red'] * 21), format='multipart'), 422, 'invalid', 'images'
    )
    answer = predictor.post(address, {**files('image', 'red'), 'owner': 'x'}, format='multipart')
    assert is_refusal(answer, 422, 'invalid', 'owner')
    bad = {'image': [SimpleUploadedFile('a.jpg', PHOTOS['red']), SimpleUploadedFile('b.jpg', b'<svg/>')]}
    assert is_refusal(predictor.post(address, bad, format='multipart'), 422, 'invalid_image', 'images[1]')
    settings.MAX_IMAGE_BYTES = 100
    assert is_refusal(
        predictor.post(address, files('image', 'red'), format='multipart'), 413, 'too_large', 'images[0]'
    )


@pytest.mark.parametrize(
    'data',
    [b'', b'x', PHOTOS['red'][:300], b'<html>', b'\x89PNG\r\n\x1a\n'],
    ids=['empty', 'x', 'torn', 'html', 'png'],
)
def test_a_raw_body_that_is_no_image(predictor, address, data):
    answer = predictor.generic('POST', address, data, content_type='image/jpeg')
    assert answer.status_code == 422 and set(answer.json()) == {'code', 'message', 'field'}


def test_a_raw_body_that_is_too_large(predictor, address, settings):
    settings.MAX_IMAGE_BYTES = 1000
    assert is_refusal(predictor.post(address, bytes(2000), content_type='image/jpeg'), 413, 'too_large')


@pytest.mark.parametrize(
    'kind', ['text/plain', 'application/xml', 'video/mp4', 'application/x-www-form-urlencoded']
)
def test_a_body_of_another_type(predictor, address, kind):
    assert is_refusal(
        predictor.generic('POST', address, b'x', content_type=kind), 415, 'unsupported_media_type'
    )


def test_a_model_whose_artifact_is_gone_says_so(predictor, address, model):
    shutil.rmtree(storage.artifact_folder(model.artifact))
    answer = predictor.post(address, PHOTOS['red'], content_type='image/jpeg')
    assert is_refusal(answer, 503, 'model_unavailable') and answer['Retry-After']


def test_an_image_of_many_shapes_is_no_fault(predictor, address):
    from PIL import Image as Picture

    for mode, format in (('CMYK', 'JPEG'), ('I;16', 'PNG'), ('RGBA', 'PNG'), ('P', 'GIF'), ('LA', 'PNG')):
        buffer = io.BytesIO()
        Picture.new(mode, (40, 30)).save(buffer, format)
        answer = predictor.post(address, buffer.getvalue(), content_type='application/octet-stream')
        assert answer.status_code == 200, (mode, answer.json())
