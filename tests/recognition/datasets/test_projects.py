"""Projects: whose they are, who may do what, and what a stranger learns of them (nothing)."""

from __future__ import annotations

import uuid

import pytest

from recognition.datasets import projects
from recognition.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from recognition.models import AuditEvent, Membership, Project

pytestmark = pytest.mark.django_db


def test_who_makes_a_project_owns_it(alice):
    project = projects.create_project(alice, ' Screws ')
    assert project.name == 'Screws'
    assert projects.get_owned(alice, project.pk) == project
    assert AuditEvent.objects.get().action == 'create project'


@pytest.mark.parametrize('name', ['', ' ', 'x' * 121, 'a\0', None, ['x']])
def test_a_bad_name_is_refused(alice, name):
    with pytest.raises(InvalidInputError) as refusal:
        projects.create_project(alice, name)
    assert refusal.value.field == 'name' and not Project.objects.exists()


@pytest.mark.parametrize('find', [projects.get_visible, projects.get_editable, projects.get_owned])
def test_for_a_stranger_it_does_not_exist_in_the_same_words_as_one_that_never_did(project, charlie, find):
    with pytest.raises(NotFoundError) as hidden:
        find(charlie, project.pk)
    with pytest.raises(NotFoundError) as absent:
        find(charlie, uuid.uuid4())
    assert (hidden.value.message, hidden.value.field) == (absent.value.message, absent.value.field)


def test_what_each_member_may_do(project, alice, bob, charlie):
    projects.add_member(project, 'charlie', 'viewer')
    for person, may_edit, may_own in ((alice, True, True), (bob, True, False), (charlie, False, False)):
        assert projects.get_visible(person, str(project.pk)) == project
        for find, may in ((projects.get_editable, may_edit), (projects.get_owned, may_own)):
            if may:
                assert find(person, project.pk) == project
            else:
                with pytest.raises(NotAllowedError):
                    find(person, project.pk)


@pytest.mark.parametrize('key', ['', 'x', '../..', '0', "1' OR 1=1"])
def test_what_is_no_id_is_not_found(alice, key):
    with pytest.raises(NotFoundError):
        projects.get_visible(alice, key)


def test_a_deleted_project_is_gone_for_everyone(project, alice, bob):
    projects.delete_project(project, alice)
    projects.delete_project(project, alice)
    for person in (alice, bob):
        with pytest.raises(NotFoundError):
            projects.get_visible(person, project.pk)
    assert AuditEvent.objects.filter(action='delete project').count() == 1


def test_only_its_owner_takes_a_deleted_project_back(project, alice, bob, charlie):
    projects.delete_project(project, alice)
    for person in (bob, charlie):
        assert list(projects.list_deleted(person)) == []
        with pytest.raises(NotFoundError):
            projects.restore_project(person, project.pk)
    projects.restore_project(alice, project.pk)
    with pytest.raises(NotFoundError):  # it is not in the trash any more
        projects.restore_project(alice, project.pk)
    assert projects.get_visible(bob, project.pk) == project
    assert AuditEvent.objects.filter(action='restore project').count() == 1


def test_sharing_twice_changes_the_role(project, charlie):
    assert projects.add_member(project, 'charlie', 'viewer').role == 'viewer'
    assert projects.add_member(project, 'charlie', 'editor').role == 'editor'
    assert Membership.objects.filter(user=charlie).count() == 1


def test_sharing_with_nobody_or_as_nothing_is_refused(project):
    with pytest.raises(NotFoundError):
        projects.add_member(project, 'dora')
    with pytest.raises(InvalidInputError):
        projects.add_member(project, 'bob', 'emperor')


def test_a_project_keeps_an_owner(project, alice, bob):
    with pytest.raises(ConflictError):
        projects.remove_member(project, 'alice')
    with pytest.raises(ConflictError):
        projects.add_member(project, 'alice', 'viewer')
    projects.add_member(project, 'bob', 'owner')
    projects.remove_member(project, 'alice')
    assert projects.get_owned(bob, project.pk) == project
    with pytest.raises(NotFoundError):
        projects.get_visible(alice, project.pk)


def test_a_member_who_leaves_sees_nothing_any_more(project, bob):
    projects.remove_member(project, 'bob')
    with pytest.raises(NotFoundError):
        projects.get_visible(bob, project.pk)
    with pytest.raises(NotFoundError):
        projects.remove_member(project, 'bob')


def test_renaming(project):
    assert projects.rename_project(project, 'Trees').name == 'Trees'
    with pytest.raises(InvalidInputError):
        projects.rename_project(project, '')
    assert Project.objects.get().name == 'Trees'
