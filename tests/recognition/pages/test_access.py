"""Who sees which page. The list is taken from the address table, so a new page cannot be forgotten."""

from __future__ import annotations

import pytest
from django.urls import reverse

from recognition.models.image import DeletedLabel
from recognition.pages.urls import urlpatterns
from recognition.serving import api_keys, publishing

OPEN = {'login', 'logout'}
ONES_OWN = {'projects', 'keys', 'zoo', 'help', 'password', 'password-changed', 'create-project', 'create-key'}
READ = {'project', 'members', 'image', 'unlabelled', 'class', 'training', 'model'}
WRITE_AS_EDITOR = {
    'rename-project': {'name': 'Other'},
    'change-task': {'task': 'detection'},
    'create-class': {'name': 'tulip'},
    'rename-class': {'name': 'tulip'},
    'delete-class': {},
    'restore-class': {},
    'train': {},
    'cancel-training': {},
    'publish': {'name': 'free-name'},
    'rollback': {},
    'unpublish': {},
}
WRITE_AS_OWNER = {
    'delete-project': {},
    'add-member': {'username': 'charlie', 'role': 'editor'},
    'promote': {'share': 'on'},
    'withdraw-promotion': {},
    'remove-member': {'username': 'bob'},
}
WRITE = {**WRITE_AS_EDITOR, **WRITE_AS_OWNER}
OF_A_KEY = {'revoke-key'}
OF_THE_TRASH = {'restore-project'}  # tests/recognition/datasets/test_projects.py says whose
OF_BOXES = {'label-boxes', 'label-image'}  # of projects that find things; test_boxes.py says whose


@pytest.fixture
def addresses(labelled, image, job, model, alice):
    """Every address that names something of alice's."""
    publication = publishing.publish(model, 'flowers', alice)
    key, _ = api_keys.issue(alice, 'mine', 'predict')
    deleted = DeletedLabel.objects.create(project=labelled, name='weed')
    values = {
        'project_id': labelled.pk,
        'image_id': image.pk,
        'label_id': image.label_id,
        'deleted_id': deleted.pk,
        'job_id': job.pk,
        'model_id': model.pk,
        'publication_id': publication.pk,
        'key_id': key.pk,
    }
    return {
        route.name: reverse(route.name, kwargs={name: values[name] for name in route.pattern.converters})
        for route in urlpatterns
    }


def state_of(project) -> tuple:
    """What a refused request must leave as it was."""
    project.refresh_from_db()
    return (
        project.name,
        project.deleted_at,
        sorted(project.labels.values_list('name', flat=True)),
        sorted(project.memberships.values_list('user__username', 'role')),
        sorted(project.publications.values_list('name', flat=True)),
        sorted(project.jobs.values_list('state', 'cancel_requested')),
    )


def test_every_address_is_in_one_of_these_lists():
    known = OPEN | ONES_OWN | READ | set(WRITE) | OF_A_KEY | OF_THE_TRASH | OF_BOXES
    assert {route.name for route in urlpatterns} == known


@pytest.mark.parametrize('name', sorted(READ))
def test_a_page_is_shown_to_its_team_and_does_not_exist_for_a_stranger(
    name, addresses, browser_of, alice, bob, charlie, viewer
):
    answers = {
        person.username: browser_of(person).get(addresses[name]).status_code
        for person in (alice, bob, viewer, charlie)
    }
    assert answers == {'alice': 200, 'bob': 200, 'dora': 200, 'charlie': 404}


@pytest.mark.parametrize('name', sorted(WRITE))
def test_a_stranger_changes_nothing_and_learns_nothing(name, addresses, browser_of, charlie, labelled):
    before = state_of(labelled)
    assert browser_of(charlie).post(addresses[name], WRITE[name]).status_code == 404
    assert state_of(labelled) == before


@pytest.mark.parametrize('name', sorted(WRITE))
def test_a_viewer_changes_nothing(name, addresses, browser_of, viewer, labelled):
    before = state_of(labelled)
    assert browser_of(viewer).post(addresses[name], WRITE[name]).status_code == 403
    assert state_of(labelled) == before


@pytest.mark.parametrize('name', sorted(WRITE_AS_OWNER))
def test_an_editor_does_not_do_what_owners_do(name, addresses, browser_of, bob, labelled):
    before = state_of(labelled)
    assert browser_of(bob).post(addresses[name], WRITE[name]).status_code == 403
    assert state_of(labelled) == before


@pytest.mark.parametrize('name', sorted(set(WRITE) | OF_A_KEY | {'create-project', 'create-key'}))
def test_nothing_changes_by_following_a_link(name, addresses, browser):
    assert browser.get(addresses[name]).status_code == 405


@pytest.mark.parametrize('name', sorted(READ | ONES_OWN - {'create-project', 'create-key'}))
def test_an_anonymous_user_is_sent_to_the_sign_in_page(name, addresses, client):
    answer = client.get(addresses[name])
    assert (answer.status_code, answer.url.split('?')[0]) == (302, '/login/')


def test_a_key_of_another_person_cannot_be_revoked(addresses, browser_of, bob, alice):
    assert browser_of(bob).post(addresses['revoke-key']).status_code == 404
    assert alice.api_keys.get().revoked_at is None


def test_a_form_without_its_token_is_refused_with_a_page_that_says_what_to_do(addresses, labelled, alice):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice, backend='django.contrib.auth.backends.ModelBackend')
    answer = strict.post(addresses['rename-project'], {'name': 'Other'})
    assert answer.status_code == 403
    assert 'Please try again' in answer.content.decode()
    labelled.refresh_from_db()
    assert labelled.name == 'Flowers'


def test_pages_forbid_scripts_and_styles_that_are_not_files_of_ours(browser, addresses):
    policy = browser.get(addresses['project']).headers['Content-Security-Policy']
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert 'unsafe' not in policy


def test_a_missing_page_has_a_page_of_its_own(browser):
    answer = browser.get('/no-such-page/')
    assert answer.status_code == 404
    assert 'Page not found' in answer.content.decode()
