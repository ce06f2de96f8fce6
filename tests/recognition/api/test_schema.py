"""The OpenAPI schema says what the addresses do, and the page of it is readable under the strict policy."""

from __future__ import annotations

import json

import pytest
from django.urls import get_resolver
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema
from rest_framework.test import APIClient

from recognition.api import urls

pytestmark = pytest.mark.django_db


@pytest.fixture(scope='module')
def schema():
    return json.loads(json.dumps(SchemaGenerator().get_schema(request=None, public=True), default=str))


def test_the_schema_is_valid_and_made_without_warnings(schema, capsys):
    validate_schema(schema)
    SchemaGenerator().get_schema(request=None, public=True)
    assert 'arning' not in capsys.readouterr().err and schema['info']['title'] == 'Graft REST API'


def test_every_address_is_in_it(schema):
    undocumented = {'api-schema', 'api-docs', 'api-unknown-url'}
    addresses = {
        '/api/v1/'
        + str(route.pattern)
        .replace('<uuid:', '{')
        .replace('<int:', '{')
        .replace('<slug:', '{')
        .replace('<str:', '{')
        for route in urls.urlpatterns
        if route.name not in undocumented
    }
    assert {address.replace('>', '}') for address in addresses} == set(schema['paths'])
    assert get_resolver().reverse_dict


def operations(schema):
    for path, methods in schema['paths'].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_every_operation_has_a_name_of_its_own_and_says_how_it_refuses(schema):
    names = [operation['operationId'] for _, _, operation in operations(schema)]
    assert len(names) == len(set(names)) and not any(name.startswith('api_') for name in names)
    for path, method, operation in operations(schema):
        assert {'400', '401', '403', '404', '429'} <= set(operation['responses']), (path, method)
        if method in ('post', 'patch'):
            assert {'413', '415', '422'} <= set(operation['responses']), (path, method)
        assert operation['responses']['404']['content']['application/json']['schema'] == {
            '$ref': '#/components/schemas/Error'
        }
        assert operation['security'] == [{'apiKey': []}, {'apiKeyHeader': []}, {'cookieAuth': []}], (
            path,
            method,
        )


def test_the_ways_to_send_an_image_are_documented(schema):
    bodies = schema['paths']['/api/v1/models/{reference}/classify']['post']['requestBody']['content']
    assert set(bodies) == {'multipart/form-data', 'application/json', 'image/*', 'application/octet-stream'}


def test_the_page_needs_no_key_and_no_inline_script():
    client = APIClient()
    page = client.get('/api/v1/docs/').content.decode()
    assert '<script src=' in page and '<script>' not in page and 'https://' not in page.split('<body')[0]
    script = client.get('/api/v1/docs/?script=')
    assert (
        script['Content-Type'].startswith('application/javascript')
        and client.get('/api/v1/schema/').status_code == 200
    )
