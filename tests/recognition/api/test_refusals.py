"""Whatever is asked wrongly is answered in one shape, {code, message, field}, and never by a fault of
ours."""

from __future__ import annotations

import json
import time

import pytest
from django.test import Client

from tests.support.api_answers import is_refusal

pytestmark = pytest.mark.django_db
LIST = '/api/v1/projects'


@pytest.mark.parametrize(
    'address',
    [
        '/api/v1/',
        '/api/v1/nothing',
        '/api/v1/projects/7',
        '/api/v1/projects/',
        '/api/v1/models/a b',
        '/api/v1/../secret',
        '/api/v1/%2e%2e/settings.py',
    ],
)
def test_addresses_that_do_not_exist(program, address):
    for method in ('get', 'post', 'put', 'patch', 'delete'):
        assert is_refusal(getattr(program, method)(address), 404, 'not_found')


def test_methods_that_do_not_exist(program, project):
    answer = program.put(f'{LIST}/{project.pk}', {'name': 'x'})
    assert is_refusal(answer, 405, 'method_not_allowed') and 'PATCH' in answer['Allow']
    assert is_refusal(program.get('/api/v1/models/x/classify'), 405, 'method_not_allowed')


@pytest.mark.parametrize(
    'body',
    [
        b'',
        b'{',
        b'nonsense',
        b'{"name": NaN}',
        b'\xff\xfe',
        b'[' * 100_000,
        b'{"a":' * 100_000,
        b'{"name": "x"} trailing',
    ],
    ids=['empty', 'open', 'text', 'nan', 'not utf-8', 'deep list', 'deep object', 'trailing'],
)
def test_json_that_is_none(program, body):
    answer = program.generic('POST', LIST, body, content_type='application/json')
    assert answer.status_code in (400, 422) and set(answer.json()) == {'code', 'message', 'field'}


@pytest.mark.parametrize('body', [[], 'text', 5, None, [{'name': 'x'}], True])
def test_json_that_is_no_object(program, body):
    assert is_refusal(
        program.generic('POST', LIST, json.dumps(body), content_type='application/json'), 422, 'invalid'
    )


@pytest.mark.parametrize(
    'kind',
    [
        'text/plain',
        'application/xml',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'x',
    ],
)
def test_types_that_are_not_taken(program, kind):
    assert is_refusal(
        program.generic('POST', LIST, b'name=x', content_type=kind), 415, 'unsupported_media_type'
    )


def test_json_beyond_the_bound_is_refused_unread(program, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    assert is_refusal(program.post(LIST, {'name': 'x' * 2000}), 413, 'too_large')


@pytest.mark.parametrize(
    'query',
    [
        'owner__password__startswith=pbkdf2',
        'ordering=owner__password',
        'memberships__user=1',
        'name=x',
        'page=2',
        'fields=all',
    ],
)
def test_parameters_that_are_not_for_the_asker(program, project, query):
    assert is_refusal(program.get(f'{LIST}?{query}'), 400, 'invalid_query', query.split('=')[0])
    assert is_refusal(
        program.get(f'{LIST}/{project.pk}/images?{query}'), 400, 'invalid_query', query.split('=')[0]
    )


@pytest.mark.parametrize('query', ['labelled=perhaps', 'label=%00', 'deleted=x', 'label='])
def test_parameters_that_make_no_sense(program, project, query):
    assert is_refusal(
        program.get(f'{LIST}/{project.pk}/images?{query}'), 400, 'invalid_query', query.split('=')[0]
    )


@pytest.mark.parametrize('accept', ['text/html', 'image/jpeg', 'application/xml', 'nonsense', ''])
def test_there_is_one_representation_whatever_is_asked_for(program, accept):
    answer = program.get(f'{LIST}?limit=1', HTTP_ACCEPT=accept)
    assert answer.status_code == 200 and answer['Content-Type'] == 'application/json'


def multipart(program, address: str, body: bytes, boundary: str):
    return program.generic('POST', address, body, content_type=f'multipart/form-data; boundary={boundary}')


def test_a_boundary_of_a_megabyte_of_dashes(program, project):
    started = time.perf_counter()
    answer = multipart(program, f'{LIST}/{project.pk}/images', b'-' * 2**20, '-' * 2**20)
    assert answer.status_code in (400, 413, 422) and set(answer.json()) >= {'code', 'message', 'field'}
    answer = multipart(program, f'{LIST}/{project.pk}/images', (b'--b\r\n' + b'-' * 70) * 20_000, 'b')
    assert answer.status_code in (400, 413, 422) and set(answer.json()) >= {'code', 'message', 'field'}
    assert time.perf_counter() - started < 10


def test_too_many_fields(program, project):
    part = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'
    assert is_refusal(
        multipart(program, f'{LIST}/{project.pk}/images', part * 5000 + b'--b--\r\n', 'b'), 400, 'malformed'
    )


def test_too_many_files(program, project, settings):
    settings.DATA_UPLOAD_MAX_NUMBER_FILES = 10
    part = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n1\r\n'
    assert is_refusal(
        multipart(program, f'{LIST}/{project.pk}/images', part * 11 + b'--b--\r\n', 'b'), 400, 'malformed'
    )


def test_a_text_field_without_end(program, project, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000
    body = b'--b\r\nContent-Disposition: form-data; name="label"\r\n\r\n' + b'x' * 20_000 + b'\r\n--b--\r\n'
    assert is_refusal(multipart(program, f'{LIST}/{project.pk}/images', body, 'b'), 413, 'too_large')


def test_a_request_that_claims_to_be_larger_than_any_archive(program, project):
    answer = program.generic(
        'POST',
        f'{LIST}/{project.pk}/images',
        b'x',
        content_type='multipart/form-data; boundary=b',
        CONTENT_LENGTH=str(10**12),
    )
    assert is_refusal(answer, 413, 'too_large')


def test_an_internal_error_has_the_same_shape_and_no_details(program, project, monkeypatch, client):
    from django.db import connection

    def broken(execute, sql, params, many, context):
        if 'recognition_project' in sql:
            raise RuntimeError('the secret inside')
        return execute(sql, params, many, context)

    with connection.execute_wrapper(broken):
        answer = program.get(LIST)
    assert is_refusal(answer, 500, 'internal') and 'secret' not in answer.content.decode()


@pytest.mark.parametrize(
    'address',
    [
        '/static../recognition/settings.py',
        '/static/../recognition/settings.py',
        '/static/%2e%2e/recognition/settings.py',
        '/media/images',
        '/var/db.sqlite3',
    ],
)
def test_no_file_is_reached_by_its_path(alice, address):
    client = Client()
    client.force_login(alice)
    assert client.get(address).status_code == 404
