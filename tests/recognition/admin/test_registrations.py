from __future__ import annotations

import pytest
from django.contrib.admin import site
from django.urls import reverse
from django.utils import timezone

from recognition.models import ApiKey, AuditEvent, Job, Publication, SourceModel, TrainedModel
from recognition.models.job import State
from recognition.serving import api_keys

pytestmark = pytest.mark.django_db
OURS = [model for model in site._registry if model._meta.app_label == 'recognition']


@pytest.fixture
def world(project, alice):
    """A row of everything."""
    job = Job.objects.create(project=project, created_by=alice)
    model = TrainedModel.objects.create(
        project=project,
        job=job,
        version=1,
        artifact='a',
        digest='d',
        labels=['a', 'b'],
        source_name='named',
        images=9,
    )
    Publication.objects.create(project=project, name='flowers', model=model)
    api_keys.issue(alice, 'laptop', 'predict')
    for name in ('named', 'free', 'graft-generic'):
        SourceModel.objects.create(
            name=name,
            architecture='lenet5',
            weights=f'/nowhere/{name}.pth',
            digest=name,
            size=1000,
            mean=[0.5] * 3,
            std=[0.2] * 3,
            images=9,
            classes=3,
            class_names=['x', 'y', 'z'],
            origin='imported',
            approved_at=timezone.now(),
        )
    return job


def act(client, model: type, action: str, *rows, **more: str) -> str:
    address = reverse(f'admin:recognition_{model._meta.model_name}_changelist')
    answer = client.post(
        address, {'action': action, '_selected_action': [row.pk for row in rows], **more}, follow=True
    )
    assert answer.status_code == 200
    return answer.content.decode()


def test_what_an_administrator_keeps_is_there():
    names = {model.__name__ for model in OURS}
    assert names == {'SourceModel', 'Job', 'TrainedModel', 'Publication', 'Project', 'ApiKey', 'AuditEvent'}


@pytest.mark.parametrize('model', OURS, ids=lambda model: model.__name__)
def test_every_list_and_every_row_opens(keeper, world, model):
    name = f'admin:recognition_{model._meta.model_name}'
    listed = keeper.get(reverse(f'{name}_changelist'), {'q': 'a'})
    assert listed.status_code == 200
    row = model.objects.first()
    shown = keeper.get(reverse(f'{name}_change', args=[row.pk]))
    assert shown.status_code == 200
    assert b'name="_save"' not in shown.content
    assert keeper.get(reverse(f'{name}_add')).status_code == (200 if model is SourceModel else 403)


@pytest.mark.parametrize('model', OURS, ids=lambda model: model.__name__)
def test_the_rest_of_the_world_is_sent_away(client, world, alice, model):
    client.force_login(alice)
    answer = client.get(reverse(f'admin:recognition_{model._meta.model_name}_changelist'))
    assert answer.status_code == 302
    assert '/admin/login/' in answer['Location']


def test_a_list_of_many_projects_asks_the_database_a_fixed_number_of_times(
    keeper, world, django_assert_max_num_queries
):
    from recognition.models import Project

    for number in range(20):
        Project.objects.create(name=f'project {number}')
    with django_assert_max_num_queries(8):
        keeper.get(reverse('admin:recognition_project_changelist'))


def test_sources_are_retired_restored_and_removed_by_the_use_cases(keeper, world):
    named, free, generic = (SourceModel.objects.get(name=name) for name in ('named', 'free', 'graft-generic'))
    world.cancel_queued()
    page = act(keeper, SourceModel, 'retire', named, free, generic)
    assert '2 source models were retired.' in page
    assert 'graft-generic is the reference model' in page
    assert 'Source model “named” was restored.' in act(keeper, SourceModel, 'restore', named)
    assert SourceModel.objects.usable().filter(name='named').exists()
    assert 'Keep them' in act(keeper, SourceModel, 'remove', named, free)
    assert SourceModel.objects.usable().filter(name='named').exists()  # nothing was done yet
    act(keeper, SourceModel, 'remove', named, free, confirmed='yes')
    assert set(SourceModel.objects.values_list('name', flat=True)) == {'named', 'graft-generic'}
    assert AuditEvent.objects.filter(action='remove source', subject='free', user__username='root').exists()


def test_a_training_is_cancelled_once(keeper, world):
    assert 'was cancelled; a running one stops within seconds.' in act(keeper, Job, 'cancel', world)
    world.refresh_from_db()
    assert world.state == State.CANCELLED
    assert 'ended already' in act(keeper, Job, 'cancel', world)


def test_a_key_is_revoked_and_its_hash_is_shown_nowhere(keeper, world):
    key = ApiKey.objects.get()
    assert (
        key.hash not in keeper.get(reverse('admin:recognition_apikey_change', args=[key.pk])).content.decode()
    )
    assert 'API key “laptop” was revoked.' in act(keeper, ApiKey, 'revoke', key)
    key.refresh_from_db()
    assert key.revoked_at is not None


def test_who_may_only_look_gets_no_actions(client, world, bob):
    from django.contrib.auth.models import Permission

    bob.is_staff = True
    bob.save(update_fields=['is_staff'])
    bob.user_permissions.add(Permission.objects.get(codename='view_sourcemodel'))
    client.force_login(bob)
    act(client, SourceModel, 'retire', SourceModel.objects.get(name='free'))
    assert SourceModel.objects.get(name='free').retired_at is None


def test_the_index_is_ours_and_says_what_waits_and_what_was_done(keeper, world):
    SourceModel.objects.filter(name='free').update(approved_at=None)
    answer = keeper.get(reverse('admin:index'))
    page = answer.content.decode()
    assert 'Graft administration' in page and 'Django administration' not in page
    assert [section['name'] for section in answer.context['app_list']] == [
        'Model zoo',
        'Projects and models',
        'Users',
        'Logs',
    ]
    assert [row.name for row in answer.context['offered']] == ['free']
    assert 'Waiting for approval' in page and 'issue key' in page
    listed = {model['object_name'] for section in answer.context['app_list'] for model in section['models']}
    assert {model.__name__ for model in OURS} <= listed


def test_the_index_shows_nobody_more_than_they_may_see(client, world, bob):
    bob.is_staff = True
    bob.save(update_fields=['is_staff'])
    client.force_login(bob)
    page = client.get(reverse('admin:index')).content.decode()
    assert 'Waiting for approval' not in page and 'Recent activity' not in page
