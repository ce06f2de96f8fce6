"""Projects and members by REST."""

from __future__ import annotations

import json
import uuid

import pytest

from recognition.models import Membership, Project
from tests.support.api_answers import is_refusal

pytestmark = pytest.mark.django_db


def test_a_program_makes_renames_and_deletes_a_project(program):
    made = program.post('/api/v1/projects', {'name': 'Screws'})
    assert made.status_code == 201 and set(made.json()) == {'id', 'name', 'task', 'created_at'}
    address = f'/api/v1/projects/{made.json()["id"]}'
    assert program.patch(address, {'name': 'Bolts'}).json()['name'] == 'Bolts'
    assert program.get(address).json()['name'] == 'Bolts'
    assert program.delete(address).status_code == 204
    assert is_refusal(program.get(address), 404, 'not_found')


def test_each_sees_her_own_projects(project, client_of, alice, bob, charlie):
    Project.objects.create(name='Nobody’s')
    seen = {
        person: client_of(person).get('/api/v1/projects').json()['results']
        for person in (alice, bob, charlie)
    }
    assert [p['name'] for p in seen[alice]] == [p['name'] for p in seen[bob]] == ['Flowers']
    assert seen[charlie] == []


def test_a_long_list_comes_in_bounded_pages(program, alice):
    for number in range(7):
        program.post('/api/v1/projects', {'name': f'P{number}'})
    names, address, sizes = [], '/api/v1/projects?limit=3', []
    while address:
        page = program.get(address).json()
        names += [project['name'] for project in page['results']]
        sizes.append(len(page['results']))
        address = page['next']
    assert names == [f'P{number}' for number in reversed(range(7))] and sizes == [3, 3, 1]
    assert len(program.get('/api/v1/projects?limit=1000000').json()['results']) == 7


@pytest.mark.parametrize('cursor', ['x', '', 'cD0lMDA=', 'cD1ub25zZW5zZQ==', '%00', 'bz0tMQ=='])
def test_a_made_up_cursor_is_refused_or_ignored(program, cursor):
    program.post('/api/v1/projects', {'name': 'P'})
    assert program.get(f'/api/v1/projects?cursor={cursor}').status_code in (200, 400)


def test_only_an_owner_deletes_and_shares_and_a_viewer_changes_nothing(project, client_of, bob, charlie):
    Membership.objects.create(project=project, user=charlie, role='viewer')
    address = f'/api/v1/projects/{project.pk}'
    for person in (bob, charlie):
        assert is_refusal(client_of(person).delete(address), 403, 'not_allowed')
        assert is_refusal(
            client_of(person).post(f'{address}/members', {'username': 'charlie', 'role': 'owner'}),
            403,
            'not_allowed',
        )
        assert is_refusal(client_of(person).delete(f'{address}/members/alice'), 403, 'not_allowed')
    assert is_refusal(client_of(charlie).patch(address, {'name': 'Mine'}), 403, 'not_allowed')
    assert client_of(charlie).get(address).status_code == 200


def test_members_come_and_go(project, program, client_of, charlie):
    members = f'/api/v1/projects/{project.pk}/members'
    assert program.post(members, {'username': 'charlie', 'role': 'viewer'}).json() == {
        'username': 'charlie',
        'role': 'viewer',
    }
    assert {m['username']: m['role'] for m in program.get(members).json()['results']} == {
        'alice': 'owner',
        'bob': 'editor',
        'charlie': 'viewer',
    }
    assert program.delete(f'{members}/charlie').status_code == 204
    assert is_refusal(client_of(charlie).get(f'/api/v1/projects/{project.pk}'), 404, 'not_found')
    assert is_refusal(program.delete(f'{members}/alice'), 409, 'conflict')
    assert is_refusal(program.post(members, {'username': 'nobody'}), 404, 'not_found', 'username')
    assert is_refusal(program.post(members, {'username': 'bob', 'role': 'emperor'}), 422, 'invalid', 'role')


def test_health_says_what_is_missing(project, labelled, program):
    health = program.get(f'/api/v1/projects/{project.pk}/health').json()
    assert health['ready'] and health['images'] == 8 and health['unlabelled'] == 0
    assert health['labels'] == [{'label': name, 'images': 4, 'boxes': 0} for name in ('daisy', 'rose')]
    empty = program.post('/api/v1/projects', {'name': 'Empty'}).json()['id']
    health = program.get(f'/api/v1/projects/{empty}/health').json()
    assert not health['ready'] and health['missing'] and health['problems'][0]['code'] == 'no_images'


BAD_NAMES = [
    {},
    {'name': ''},
    {'name': 'x' * 121},
    {'name': 5, 'x': 1},
    {'name': ['a']},
    {'name': 'a\0b'},
    {'name': '\ud800'},
]


@pytest.mark.parametrize('body', [*BAD_NAMES, {'\ud800': 1}])
def test_a_bad_name_is_refused(program, body):
    answer = program.generic('POST', '/api/v1/projects', json.dumps(body), content_type='application/json')
    assert is_refusal(answer, 422, 'invalid')
    assert not Project.objects.exists()


@pytest.mark.parametrize(
    'field', ['id', 'owner', 'user', 'created_at', 'deleted_at', 'memberships', 'is_staff', '__class__']
)
def test_fields_that_are_not_for_the_asker_are_refused(program, project, field):
    value = str(uuid.uuid4())
    assert is_refusal(program.post('/api/v1/projects', {'name': 'x', field: value}), 422, 'invalid', field)
    assert is_refusal(
        program.patch(f'/api/v1/projects/{project.pk}', {'name': 'x', field: value}), 422, 'invalid', field
    )
    project.refresh_from_db()
    assert project.name == 'Flowers' and project.deleted_at is None
