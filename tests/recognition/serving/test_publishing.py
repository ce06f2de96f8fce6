"""Published names: whose they are, what answers under them, and the way back."""

from __future__ import annotations

import pytest

from recognition.datasets import projects
from recognition.errors import ConflictError, InvalidInputError, NotFoundError
from recognition.models import AuditEvent, Membership, Project, Publication, TrainedModel
from recognition.models.project import Role
from recognition.serving import publishing


@pytest.fixture
def models(project):
    return [make(project, version) for version in (1, 2, 3)]


@pytest.fixture
def foreign(charlie):
    """A model of charlie's, in a project that alice cannot see."""
    project = Project.objects.create(name='Secret plants')
    Membership.objects.create(project=project, user=charlie, role=Role.OWNER)
    return make(project, 1)


def make(project, version, **fields):
    return TrainedModel.objects.create(
        project=project,
        version=version,
        artifact=f'm{version}',
        digest='0' * 64,
        labels=['a', 'b'],
        images=10,
        **fields,
    )


def test_a_name_answers_with_the_model_published_last(models, alice):
    publishing.publish(models[0], 'flowers', alice)
    publishing.publish(models[1], 'flowers', alice)
    assert publishing.find('flowers', alice).model == models[1]
    assert Publication.objects.count() == 1


def test_rolling_back_goes_to_the_model_published_before_and_further_each_time(models, alice):
    for model in models:
        publication = publishing.publish(model, 'flowers', alice)
    assert publishing.rollback(publication, alice).model == models[1]
    assert publishing.rollback(publication, alice).model == models[0]
    with pytest.raises(ConflictError, match='no earlier'):
        publishing.rollback(publication, alice)
    assert publishing.find('flowers', alice).model == models[0]


def test_publishing_after_a_rollback_forgets_what_was_rolled_back(models, alice):
    publishing.publish(models[0], 'flowers', alice)
    publication = publishing.publish(models[1], 'flowers', alice)
    publishing.rollback(publication, alice)
    publication = publishing.publish(models[2], 'flowers', alice)
    assert publishing.rollback(publication, alice).model == models[0]


def test_publishing_the_same_model_twice_is_one_step_back(models, alice):
    publishing.publish(models[0], 'flowers', alice)
    publishing.publish(models[1], 'flowers', alice)
    publication = publishing.publish(models[1], 'flowers', alice)
    assert publishing.find_previous_model(publication) == models[0]


def test_a_model_that_was_deleted_is_not_gone_back_to(models, alice):
    for model in models:
        publication = publishing.publish(model, 'flowers', alice)
    models[1].delete()
    assert publishing.rollback(publication, alice).model == models[0]


def test_every_action_leaves_an_event_and_an_audit_line(models, alice, bob):
    publishing.publish(models[0], 'flowers', alice)
    publication = publishing.publish(models[1], 'flowers', bob)
    publishing.rollback(publication, bob)
    assert list(
        publication.events.order_by('id').values_list('action', 'model__version', 'by__username')
    ) == [
        ('publish', 1, 'alice'),
        ('publish', 2, 'bob'),
        ('rollback', 1, 'bob'),
    ]
    assert AuditEvent.objects.filter(action__in=('publish', 'rollback')).count() == 3


def test_a_name_of_another_project_is_taken_and_nobody_learns_whose(models, foreign, alice, charlie):
    publishing.publish(foreign, 'plants', charlie)
    with pytest.raises(ConflictError) as refusal:
        publishing.publish(models[0], 'plants', alice)
    assert (refusal.value.status, refusal.value.field) == (409, 'name')
    assert 'Secret' not in refusal.value.message
    assert 'charlie' not in refusal.value.message
    assert publishing.find('plants', charlie).model == foreign


def test_a_name_of_a_deleted_project_is_free_for_others(models, foreign, alice, charlie):
    publishing.publish(foreign, 'plants', charlie)
    projects.delete_project(foreign.project, charlie)
    assert publishing.publish(models[0], 'plants', alice).model == models[0]
    projects.restore_project(charlie, foreign.project.pk)
    with pytest.raises(NotFoundError):
        publishing.find('plants', charlie)


def test_a_stranger_does_not_find_the_name(models, alice, charlie):
    publishing.publish(models[0], 'flowers', alice)
    with pytest.raises(NotFoundError):
        publishing.find('flowers', charlie)
    with pytest.raises(NotFoundError):
        publishing.find('nothing', alice)


def test_names_of_a_project_put_away_answer_no_more(models, alice, project):
    from recognition.datasets import projects

    publishing.publish(models[0], 'flowers', alice)
    projects.delete_project(project, alice)
    with pytest.raises(NotFoundError):
        publishing.find('flowers', alice)


@pytest.mark.parametrize(
    'name',
    [
        '',
        '  ',
        'two words',
        'a/b',
        '../etc',
        'ümlaut',
        'x' * 81,
        None,
        7,
        'a\0b',
        '<b>',
        '0' * 32,
        '9f0b' * 8,
    ],
)
def test_a_name_must_fit_into_an_address(models, alice, name):
    with pytest.raises(InvalidInputError) as refusal:
        publishing.publish(models[0], name, alice)
    assert refusal.value.field == 'name'
    assert not Publication.objects.exists()


def test_of_two_who_move_a_name_at_once_the_second_is_told(models, alice, bob):
    publishing.publish(models[0], 'flowers', alice)
    publishing.publish(models[1], 'flowers', alice)
    seen_by_bob = Publication.objects.select_related('model').get(name='flowers')
    publishing.publish(models[2], 'flowers', alice)
    with pytest.raises(ConflictError, match='in the meantime'):
        publishing.rollback(seen_by_bob, bob)
    assert publishing.find('flowers', alice).model == models[2]


def test_an_unpublished_name_is_free_again(models, foreign, alice, charlie):
    publication = publishing.publish(models[0], 'flowers', alice)
    publishing.unpublish(publication, alice)
    with pytest.raises(NotFoundError):
        publishing.find('flowers', alice)
    assert publishing.publish(foreign, 'flowers', charlie).model == foreign
    assert AuditEvent.objects.filter(action='unpublish').exists()


def test_a_provisional_model_may_be_published(project, alice):
    model = make(project, 1, provisional=True)
    assert publishing.publish(model, 'flowers', alice).model == model
