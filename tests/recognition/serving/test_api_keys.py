"""API keys and the first administrator: secrets are shown once and kept nowhere."""

from __future__ import annotations

import logging

import pytest

from recognition.datasets import projects
from recognition.errors import InvalidInputError, NotFoundError
from recognition.management import local_training
from recognition.management.first_admin import ensure_administrator
from recognition.models import ApiKey, AuditEvent
from recognition.serving import api_keys

pytestmark = pytest.mark.django_db


def test_a_key_is_shown_once_and_only_its_hash_is_kept(alice):
    key, plain = api_keys.issue(alice, 'Camera', 'predict')
    assert plain.startswith('graft_') and len(plain) > 40
    assert plain.startswith(key.prefix) and len(key.prefix) <= 12
    row = ApiKey.objects.filter(pk=key.pk).values().get()
    assert not any(plain in str(value) or plain[12:] in str(value) for value in row.values())
    assert api_keys.authenticate(plain) == key


def test_two_keys_differ(alice):
    assert api_keys.issue(alice, 'a', 'manage')[1] != api_keys.issue(alice, 'b', 'manage')[1]


@pytest.mark.parametrize(
    'wrong',
    ['', 'graft_', 'graft_' + 'x' * 43, 'graft_' + 'x' * 10**6, 'other', 'graft_é', '\0', 'graft_\ud800'],
)
def test_a_wrong_key_is_no_key(alice, wrong):
    api_keys.issue(alice, 'Camera', 'predict')
    assert api_keys.authenticate(wrong) is None


def test_a_key_works_no_more_once_it_is_revoked(alice):
    key, plain = api_keys.issue(alice, 'Camera', 'predict')
    api_keys.revoke(key)
    api_keys.revoke(key)
    assert api_keys.authenticate(plain) is None
    assert AuditEvent.objects.filter(action='revoke key').count() == 1


def test_the_key_of_someone_who_left_works_no_more(alice):
    _, plain = api_keys.issue(alice, 'Camera', 'manage')
    alice.is_active = False
    alice.save(update_fields=['is_active'])
    assert api_keys.authenticate(plain) is None


def test_its_use_is_noted_but_not_with_every_request(alice, django_assert_num_queries):
    key, plain = api_keys.issue(alice, 'Camera', 'predict')
    api_keys.authenticate(plain)
    key.refresh_from_db()
    assert key.last_used_at is not None
    with django_assert_num_queries(1):
        api_keys.authenticate(plain)


@pytest.mark.parametrize(('name', 'scope'), [('', 'manage'), ('x', 'root'), ('x' * 81, 'manage')])
def test_a_key_without_a_name_or_scope_is_refused(alice, name, scope):
    with pytest.raises(InvalidInputError):
        api_keys.issue(alice, name, scope)


def test_a_key_of_another_person_does_not_exist(alice, charlie):
    key, _ = api_keys.issue(alice, 'Camera', 'predict')
    assert api_keys.get_own_key(alice, key.pk) == key
    with pytest.raises(NotFoundError):
        api_keys.get_own_key(charlie, key.pk)


def test_no_secret_reaches_the_log_or_the_audit(alice, caplog):
    with caplog.at_level(logging.DEBUG):
        key, plain = api_keys.issue(alice, 'Camera', 'predict')
        api_keys.authenticate(plain)
        api_keys.revoke(key)
        _, password = ensure_administrator()
    told = caplog.text + ' '.join(f'{event.action} {event.subject}' for event in AuditEvent.objects.all())
    assert plain not in told and plain[12:] not in told and password not in told


def test_the_first_administrator_gets_a_random_password_once(db):
    administrator, password = ensure_administrator()
    assert administrator.is_superuser and administrator.check_password(password) and len(password) >= 16
    assert ensure_administrator() == (administrator, None)


def test_a_person_called_admin_is_not_made_an_administrator(django_user_model):
    person = django_user_model.objects.create_user('admin', password='her-password')
    administrator, password = ensure_administrator()
    person.refresh_from_db()
    assert not person.is_superuser and administrator.username == 'administrator' and password


def test_what_the_shell_made_before_there_was_an_administrator_is_hers_too(db):
    trained = projects.create_project(local_training.get_shell_user(), 'Trained from a shell')
    administrator, _ = ensure_administrator()
    assert projects.get_owned(administrator, trained.pk) == trained
    assert local_training.get_shell_user() == administrator
