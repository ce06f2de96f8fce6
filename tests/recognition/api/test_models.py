"""Trainings, models, published names and sources by REST."""

from __future__ import annotations

from pathlib import Path

import pytest

from recognition import storage
from recognition.models import AuditEvent, Job, Publication, TrainedModel
from recognition.models.job import State
from tests.support import sealed_classifier
from tests.support.api_answers import is_refusal
from tests.support.model_rows import make_model

pytestmark = pytest.mark.django_db


@pytest.fixture
def address(project):
    return f'/api/v1/projects/{project.pk}'


@pytest.fixture
def source(source, tmp_path):
    source.weights = str(tmp_path / 'reference.safetensors')
    Path(source.weights).write_bytes(b'weights')
    source.save(update_fields=['weights'])
    return source


def test_a_training_is_started_seen_and_called_off(program, address, labelled, source):
    started = program.post(f'{address}/trainings', {'seed': 3, 'source': source.name, 'rates': {'fc': 0.01}})
    assert started.status_code == 202
    body = started.json()
    assert body['state'] == 'queued' and body['finished'] is False and body['queue_position'] is not None
    spec = Job.objects.get(pk=body['id']).spec
    assert (spec['seed'], spec['source'], spec['rates']) == (3, source.name, {'fc': 0.01})
    assert program.get(f'/api/v1/trainings/{body["id"]}').json()['id'] == body['id']
    assert [entry['id'] for entry in program.get(f'{address}/trainings').json()['results']] == [body['id']]
    cancelled = program.post(f'/api/v1/trainings/{body["id"]}/cancel')
    assert cancelled.status_code == 202 and cancelled.json()['state'] == 'cancelled'
    assert is_refusal(program.post(f'/api/v1/trainings/{body["id"]}/cancel'), 409, 'conflict')


def test_a_running_training_reports_progress_and_can_be_cancelled(program, job):
    job.claim('worker')
    job.write_heartbeat(
        job.attempt,
        progress={'phase': 'finetune', 'fraction': 0.5},
        curve=[{'epoch': 1, 'loss': 0.5, 'accuracy': 0.8}],
    )
    body = program.get(f'/api/v1/trainings/{job.pk}').json()
    assert (
        body['progress']['phase'] == 'finetune'
        and body['curve'][0]['accuracy'] == 0.8
        and body['queue_position'] is None
    )
    body = program.post(f'/api/v1/trainings/{job.pk}/cancel').json()
    assert body['cancel_requested'] and body['state'] == 'running'


def test_a_project_that_is_not_ready_is_refused_with_what_it_lacks(program, address, source):
    answer = program.post(f'{address}/trainings', {})
    assert is_refusal(answer, 409, 'not_ready') and 'classes' in answer.json()['message']


@pytest.mark.parametrize(
    ('field', 'value'),
    [
        ('source', 'nothing'),
        ('seed', -1),
        ('seed', 'x'),
        ('epochs', 10**9),
        ('plan', 'magic'),
        ('rates', {'fc': 'nan'}),
        ('rates', {'fc': -1}),
        ('rates', [1]),
        ('crop', 'Infinity'),
        ('device', 'tpu'),
        ('sources', []),
        ('reference', {}),
        ('project', 'x'),
        ('created_by', 1),
        ('state', 'succeeded'),
    ],
)
def test_an_option_that_makes_no_sense_is_named(program, address, labelled, source, field, value):
    answer = program.post(f'{address}/trainings', {field: value})
    assert answer.status_code == 422 and answer.json()['field'].startswith(field)
    assert not Job.objects.exists()


def test_one_person_cannot_fill_the_queue(program, address, labelled, source, settings):
    settings.MAX_QUEUED_TRAININGS_PER_USER = 2
    statuses = [program.post(f'{address}/trainings', {}).status_code for _ in range(3)]
    assert statuses == [202, 202, 429]


def test_a_model_reports_everything_that_was_measured(program, address, model):
    [line] = program.get(f'{address}/models').json()['results']
    assert (line['id'], line['version'], line['accuracy'], line['interval']) == (
        str(model.pk),
        1,
        1.0,
        [0.89, 1.0],
    )
    report = program.get(f'/api/v1/models/{model.pk}').json()
    assert (
        report['why'] == 'it was better'
        and report['labels'] == list(sealed_classifier.LABELS)
        and report['images'] == 30
    )


def test_a_model_is_published_replaced_rolled_back_and_taken_down(
    program, predictor, project, model, artifact
):
    second = make_model(project, artifact, 2)
    assert (
        program.post(f'/api/v1/models/{model.pk}/publish', {'name': 'colours'}).json()['model']['version']
        == 1
    )
    body = program.post(f'/api/v1/models/{second.pk}/publish', {'name': 'colours'}).json()
    assert body['model']['version'] == 2 and body['previous'] == str(model.pk)
    assert predictor.get('/api/v1/models/colours').json()['version'] == 2
    assert predictor.get('/api/v1/publications/colours').json()['model']['version'] == 2
    assert program.post('/api/v1/publications/colours/rollback').json()['model']['version'] == 1
    assert is_refusal(program.post('/api/v1/publications/colours/rollback'), 409, 'conflict')
    assert [entry['name'] for entry in program.get('/api/v1/publications').json()['results']] == ['colours']
    assert program.delete('/api/v1/publications/colours').status_code == 204
    assert is_refusal(program.get('/api/v1/publications/colours'), 404, 'not_found')
    assert is_refusal(program.get('/api/v1/models/colours'), 404, 'not_found')


@pytest.mark.parametrize('name', ['', 'with space', '../x', 'x' * 81, 'é', '<b>', None])
def test_a_name_that_programs_cannot_call_is_refused(program, model, name):
    answer = program.post(f'/api/v1/models/{model.pk}/publish', {'name': name})
    assert answer.status_code == 422 and answer.json()['field'] == 'name'


def test_a_name_of_another_project_is_taken_without_saying_whose(
    program, client_of, charlie, model, artifact
):
    from recognition.datasets.projects import create_project

    program.post(f'/api/v1/models/{model.pk}/publish', {'name': 'colours'})
    theirs = make_model(create_project(charlie, 'Theirs'), artifact, 1)
    answer = client_of(charlie).post(f'/api/v1/models/{theirs.pk}/publish', {'name': 'colours'})
    assert is_refusal(answer, 409, 'conflict', 'name') and 'lowers' not in answer.json()['message']
    assert is_refusal(client_of(charlie).get('/api/v1/models/colours'), 404, 'not_found')
    assert client_of(charlie).get('/api/v1/publications').json()['results'] == []


def test_a_model_is_deleted_with_its_artifact_unless_it_is_published(
    program, model, django_capture_on_commit_callbacks
):
    folder = storage.artifact_folder(model.artifact)
    program.post(f'/api/v1/models/{model.pk}/publish', {'name': 'colours'})
    assert is_refusal(program.delete(f'/api/v1/models/{model.pk}'), 409, 'conflict')
    assert is_refusal(program.delete('/api/v1/models/colours'), 404, 'not_found')
    assert folder.is_dir()
    program.delete('/api/v1/publications/colours')
    with django_capture_on_commit_callbacks(execute=True):
        assert program.delete(f'/api/v1/models/{model.pk}').status_code == 204
    assert not folder.exists() and not TrainedModel.objects.exists() and not Publication.objects.exists()
    assert AuditEvent.objects.filter(action='delete model').exists()


def test_a_model_whose_training_goes_on_is_not_deleted(program, model, job):
    model.job = job
    model.save(update_fields=['job'])
    assert is_refusal(program.delete(f'/api/v1/models/{model.pk}'), 409, 'conflict')
    Job.objects.filter(pk=job.pk).update(state=State.CANCELLED)
    assert program.delete(f'/api/v1/models/{model.pk}').status_code == 204


def test_sources_are_listed_without_their_paths(program, source):
    [entry] = program.get('/api/v1/source-models').json()['results']
    assert entry['name'] == source.name and entry['images'] == 9000
    assert 'weights' not in entry and 'digest' not in entry
