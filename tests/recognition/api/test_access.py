"""Keys, scopes, sessions and rates."""

from __future__ import annotations

import logging

import pytest
from rest_framework.test import APIClient

from recognition.serving import api_keys
from tests.support import sealed_classifier
from tests.support.api_answers import is_refusal

pytestmark = pytest.mark.django_db
LIST = '/api/v1/projects'


def test_a_key_opens_by_either_header(alice, project):
    _, plain = api_keys.issue(alice, 'x', 'manage')
    for headers in (
        {'HTTP_AUTHORIZATION': f'Bearer {plain}'},
        {'HTTP_AUTHORIZATION': f'bearer  {plain}'},
        {'HTTP_X_API_KEY': plain},
    ):
        assert len(APIClient().get(LIST, **headers).json()['results']) == 1


@pytest.mark.parametrize(
    'headers',
    [
        {},
        {'HTTP_AUTHORIZATION': 'Bearer'},
        {'HTTP_AUTHORIZATION': 'Bearer graft_wrong'},
        {'HTTP_AUTHORIZATION': 'Basic YWxpY2U6YWxpY2UtcGFzc3dvcmQ='},
        {'HTTP_X_API_KEY': ''},
        {'HTTP_X_API_KEY': 'graft_\udcff'},
    ],
)
def test_without_a_valid_key_the_answer_is_401_with_a_challenge(alice, headers):
    answer = APIClient().get(LIST, **headers)
    assert is_refusal(answer, 401, 'unauthenticated')
    assert answer['WWW-Authenticate'].startswith('Bearer')


def test_a_key_in_the_address_is_no_key(alice):
    _, plain = api_keys.issue(alice, 'x', 'manage')
    for name in ('key', 'api_key', 'access_token', 'token'):
        assert is_refusal(APIClient().get(f'{LIST}?{name}={plain}'), 401, 'unauthenticated')


def test_a_revoked_key_is_refused_with_the_next_request(alice):
    key, plain = api_keys.issue(alice, 'x', 'manage')
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f'Bearer {plain}')
    assert client.get(LIST).status_code == 200
    api_keys.revoke(key)
    assert is_refusal(client.get(LIST), 401, 'unauthenticated')


def test_keys_never_reach_the_log(alice, caplog):
    _, plain = api_keys.issue(alice, 'x', 'predict')
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f'Bearer {plain}')
    with caplog.at_level(logging.DEBUG):
        client.get(LIST)
        client.get('/api/v1/nowhere')
        client.post('/api/v1/models/none/classify', b'x', content_type='image/jpeg')
    assert caplog.text and plain[6:] not in caplog.text


def test_a_key_that_may_predict_does_that_and_no_more(predictor, model, labelled, image, job):
    assert (
        predictor.post(
            f'/api/v1/models/{model.pk}/classify', sealed_classifier.photo('red'), content_type='image/jpeg'
        ).status_code
        == 200
    )
    assert predictor.get(f'/api/v1/models/{model.pk}').status_code == 200
    inside = f'{LIST}/{labelled.pk}'
    for method, address in [
        ('get', LIST),
        ('post', LIST),
        ('get', inside),
        ('delete', inside),
        ('get', f'{inside}/images'),
        ('post', f'{inside}/images'),
        ('get', f'{inside}/images/{image.pk}/content'),
        ('post', f'{inside}/trainings'),
        ('get', f'/api/v1/trainings/{job.pk}'),
        ('post', f'/api/v1/trainings/{job.pk}/cancel'),
        ('delete', f'/api/v1/models/{model.pk}'),
        ('post', f'/api/v1/models/{model.pk}/publish'),
        ('get', '/api/v1/publications'),
        ('get', '/api/v1/source-models'),
    ]:
        assert is_refusal(getattr(predictor, method)(address), 403, 'not_allowed'), address


def test_a_session_may_read_and_with_its_token_write(alice, project):
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(alice)
    assert client.get(LIST).status_code == 200
    assert is_refusal(client.post(LIST, {'name': 'x'}, format='json'), 403, 'not_allowed')
    client.get('/password/')
    token = client.cookies['csrftoken'].value
    assert client.post(LIST, {'name': 'x'}, format='json', HTTP_X_CSRFTOKEN=token).status_code == 201


def test_one_person_may_not_ask_without_end(program, client_of, charlie, settings):
    settings.API_RATE = '3/min'
    assert [program.get(LIST).status_code for _ in range(4)] == [200, 200, 200, 429]
    answer = program.get(LIST)
    assert is_refusal(answer, 429, 'throttled') and 1 <= int(answer['Retry-After']) <= 20
    assert client_of(charlie).get(LIST).status_code == 200


def test_guessing_api_keys_is_throttled(alice):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION='Bearer graft_guess')
    statuses = [client.get(LIST).status_code for _ in range(62)]
    assert statuses[:60] == [401] * 60 and statuses[-1] == 429


def test_no_other_site_is_let_in(program):
    answer = program.get(LIST, HTTP_ORIGIN='https://elsewhere.example')
    assert [name for name in answer.headers if name.lower().startswith('access-control')] == []
    assert program.options(LIST, HTTP_ORIGIN='https://elsewhere.example').status_code == 200
