"""Charlie, a stranger, at every address of alice's: for him none of it exists, and nothing of it changes.

The addresses come from the URL table: a new route with an id that this test cannot fill fails it.
"""

from __future__ import annotations

import itertools
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.apps import apps
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from recognition.datasets import labels, projects
from recognition.datasets.upload_results import IncomingFile
from recognition.datasets.uploads import add_images
from recognition.models import DeletedLabel, Image, Job, Label, Publication, PublicationEvent, TrainedModel
from recognition.models.job import JobKind
from recognition.serving import api_keys
from tests.support.photos import draw_photo

pytestmark = pytest.mark.django_db

SECRET = 'alices-secret'
METHODS = ('get', 'head', 'post', 'put', 'patch', 'delete', 'options')
PARAMETER = re.compile(r'<(?:\w+:)?(\w+)>')
# Addresses that lead to no one's things: signing in, the description of the API, what does not exist.
OPEN = {'login', 'api-schema', 'api-docs'}


@dataclass(frozen=True)
class Route:
    pattern: str  # 'api/v1/projects/<uuid:project_id>'
    name: str

    @property
    def parameters(self) -> set[str]:
        return set(PARAMETER.findall(self.pattern))

    def address(self, ids: dict[str, str]) -> str:
        return '/' + PARAMETER.sub(lambda found: ids[found[1]], self.pattern)


def routes(resolver: URLResolver | None = None, before: str = '') -> Iterator[Route]:
    for entry in (resolver or get_resolver()).url_patterns:
        pattern = before + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield Route(pattern, entry.name or '')
        else:
            yield from routes(entry, pattern)


ROUTES = [route for route in routes() if '^' not in route.pattern and '(?P' not in route.pattern]
OURS = [route for route in ROUTES if not route.pattern.startswith('admin/')]
API = [route for route in OURS if route.pattern.startswith('api/')]
PAGES = [route for route in OURS if route not in API]


@pytest.fixture
def alices(alice):
    """Everything of alice's, by the names that the URL table gives to ids; every name in it is a secret."""
    project = projects.create_project(alice, SECRET)
    add_images(project, alice, [IncomingFile(f'{SECRET}.jpg', lambda: draw_photo(1), 1000, SECRET)])
    gone = DeletedLabel.objects.create(project=project, name=SECRET)
    job = Job.objects.create(project=project, created_by=alice)
    fields = {'artifact': SECRET, 'digest': 'd' * 64, 'labels': [SECRET], 'images': 1}
    asked = Job.objects.create(
        project=project,
        created_by=alice,
        kind=JobKind.DETECTION_JOB,
        spec={'model': SECRET},
        result={'x': SECRET},
    )
    models = [
        TrainedModel.objects.create(project=project, version=version, job=job, **fields) for version in (1, 2)
    ]
    publication = Publication.objects.create(project=project, name=SECRET, model=models[0])
    for model in models:
        PublicationEvent.objects.create(publication=publication, model=model, action='publish', by=alice)
    return {
        'project_id': str(project.pk),
        'image_id': str(Image.objects.get().pk),
        'label_id': str(Label.objects.get().pk),
        'deleted_id': str(gone.pk),
        'job_id': str(job.pk),
        'detection_job_id': str(asked.pk),
        'model_id': str(models[0].pk),
        'reference': str(models[0].pk),
        'name': SECRET,
        'publication_id': str(publication.pk),
        'key_id': str(api_keys.issue(alice, SECRET, 'manage')[0].pk),
        'username': 'alice',
    }


ABSENT = {
    **{
        name: str(uuid.uuid4())
        for name in ('project_id', 'image_id', 'job_id', 'detection_job_id', 'model_id', 'reference')
    },
    **dict.fromkeys(('label_id', 'deleted_id', 'publication_id', 'key_id'), '987654'),
    'name': 'no-such-name',
    'username': 'nobody',
}
BODIES = (
    {'name': 'x', 'label': 'x', 'role': 'owner', 'username': 'charlie'},
    {},
)


def by_key(charlie) -> Client:
    return Client(headers={'Authorization': f'Bearer {api_keys.issue(charlie, "x", "manage")[1]}'})


def by_session(charlie) -> Client:
    client = Client()
    client.force_login(charlie)
    return client


def everything() -> dict[str, list]:
    """All rows but those that asking itself writes."""
    ours = [model for model in apps.get_app_config('recognition').get_models() if model.__name__ != 'ApiKey']
    rows = {model.__name__: list(model._default_manager.order_by('pk').values()) for model in ours}
    return rows | {
        'keys': list(
            apps.get_model('recognition', 'ApiKey').objects.order_by('pk').values('pk', 'revoked_at')
        )
    }


def seen(answer, ids: dict[str, str]) -> tuple[int, str]:
    """What the asker learns: the status and the body, without the ids that he sent himself and one-time
    tokens."""
    body = answer.content.decode(errors='replace')
    for name, value in ids.items():
        if len(value) > 5:  # a number of one digit is everywhere
            body = body.replace(value, f'<{name}>')
    return answer.status_code, re.sub(r'(csrf\w*"\s+(?:value|content)=")\w+', r'\1', body)


def unlike(one: str, other: str) -> str:
    """Where two bodies begin to differ."""
    at = next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 0)
    return f'{one[at - 40 : at + 60]!r} and {other[at - 40 : at + 60]!r}' if one != other else repr(one[:80])


def differences(
    client: Client, listed: list[Route], theirs: dict[str, str], absent: dict[str, str]
) -> list[str]:
    """Addresses and methods that answer otherwise for a thing of alice's than for one that does not exist."""
    found = []
    for route, method, body in itertools.product(listed, METHODS, BODIES):
        if not route.parameters or (body is not BODIES[0] and method not in ('post', 'patch')):
            continue
        kind = 'application/json' if method != 'get' and route in API else None
        options = {'data': body, **({'content_type': kind} if kind else {})}
        answers = [
            seen(getattr(client, method)(route.address(ids), **options), ids)
            for ids in ({**absent, **theirs}, absent)
        ]
        expected = {404} if method != 'options' else {200, 404}
        if answers[0] != answers[1] or answers[0][0] not in expected | {405}:
            found.append(
                f'{method} {route.pattern}: {answers[0][0]} but {answers[1][0]}: '
                f'{unlike(answers[0][1], answers[1][1])}'
            )
        if SECRET in answers[0][1]:
            found.append(f'{method} {route.pattern} tells a secret')
    return found


def test_the_walk_sees_the_addresses_that_matter():
    names = {route.name for route in OURS}
    assert {
        'project',
        'api-project',
        'api-image-content',
        'api-classify',
        'api-training',
        'training',
    } <= names
    assert len([route for route in OURS if route.parameters]) > 40


def test_every_route_with_an_id_is_covered(alices):
    unknown = {f'{name} in {route.pattern}' for route in OURS for name in route.parameters - set(alices)}
    assert unknown == set(), 'teach `alices` and ABSENT what this is'


@pytest.mark.parametrize('door', ['api by key', 'api by session', 'pages'])
def test_what_is_alices_does_not_exist_for_charlie(alices, charlie, door):
    client = by_key(charlie) if door == 'api by key' else by_session(charlie)
    before = everything()
    listed = PAGES if door == 'pages' else API
    assert differences(client, listed, alices, ABSENT) == []
    named = [route for route in listed if 'reference' in route.parameters]
    assert (
        differences(client, named, {**alices, 'reference': SECRET}, {**ABSENT, 'reference': 'no-such-name'})
        == []
    )
    assert everything() == before


@pytest.mark.parametrize('door', ['api by key', 'pages'])
def test_what_is_alices_does_not_exist_inside_charlies_own_project_either(alices, charlie, door):
    own = {'project_id': str(projects.create_project(charlie, 'Mine').pk)}
    client = by_key(charlie) if door == 'api by key' else by_session(charlie)
    inside = [
        route
        for route in (PAGES if door == 'pages' else API)
        if {'image_id', 'label_id', 'deleted_id'} & route.parameters
    ]
    before = everything()
    assert inside and differences(client, inside, {**alices, **own}, {**ABSENT, **own}) == []
    assert everything() == before


def test_lists_tell_charlie_nothing_of_alices(alices, charlie):
    telling = []
    for route in OURS:
        for client in (by_key(charlie), by_session(charlie)):
            if not route.parameters and route.name != 'logout':
                body = client.get(route.address({})).content.decode(errors='replace')
                telling += [
                    route.pattern for value in (SECRET, *alices.values()) if len(value) > 6 and value in body
                ]
    assert telling == []


def test_whoever_is_not_known_learns_nothing_and_changes_nothing(alices):
    before, open_doors = everything(), []
    for route, method in itertools.product(OURS, METHODS):
        if route.name in OPEN or route.name == 'logout':
            continue
        client = Client()
        answers = [seen(getattr(client, method)(route.address(ids)), ids) for ids in (alices, ABSENT)]
        turned_away = answers[0][0] in (401, 405) or (
            answers[0][0] == 302 and not route.pattern.startswith('api/')
        )
        if (
            not turned_away
            or answers[0][0] != answers[1][0]
            or SECRET in answers[0][1].replace(f'next=/{SECRET}', '')
        ):
            open_doors.append(f'{method} {route.pattern}: {answers[0]}')
    assert open_doors == []
    assert everything() == before


def test_the_admin_lets_only_administrators_in(alices, charlie):
    client = by_session(charlie)
    for route in ROUTES:
        if route.pattern.startswith('admin/') and not route.name.startswith(('login', 'logout', 'jsi18n')):
            ids = dict.fromkeys(route.parameters, alices['project_id'])
            answer = client.get(route.address(ids))
            assert answer.status_code in (302, 404) and SECRET not in answer.content.decode(), route.pattern


def test_a_viewer_looks_and_changes_nothing(alices, alice, charlie):
    """Of what is not reading, every address refuses her, whichever body comes."""
    project = projects.get_visible(alice, alices['project_id'])
    projects.add_member(project, 'charlie', 'viewer')
    client = by_key(charlie)
    before, allowed = everything(), []
    for route, method in itertools.product(API, ('post', 'put', 'patch', 'delete')):
        if (
            route.pattern.endswith(('/classify', '/detect'))
            or not route.parameters
            or route.name == 'api-restore-project'
        ):
            continue  # trying a model is looking; a deleted project does not exist for her
        if 'detection_job_id' in route.parameters:
            continue  # who asked may call it off, and for nobody else it exists
        answer = getattr(client, method)(route.address(alices), BODIES[0], content_type='application/json')
        if answer.status_code not in (403, 405):
            allowed.append(f'{method} {route.pattern}: {answer.status_code} {answer.content[:200]}')
    assert allowed == []
    assert everything() == before
    assert labels.filter_images(project).count() == 1
