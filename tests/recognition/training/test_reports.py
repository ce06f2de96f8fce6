"""What is told of jobs and models has the same keys whatever is known."""

from __future__ import annotations

import ast
import json
import shlex

import pytest

from recognition.models import Job, TrainedModel
from recognition.serving import publishing
from recognition.training import reports
from transfer.spec.report import Progress, TrainReport

REPORT = TrainReport(
    accuracy=0.9,
    interval=(0.8, 0.95),
    images=40,
    labels=('daisy', 'rose'),
    winner='finetuned',
    why='It beat the linear head.',
    source='graft-leaf',
    ranking=[{'name': 'graft-leaf', 'divergence': 0.1}],
    confusion=[[19, 1], [3, 17]],
    data_digest='d' * 64,
    seed=3,
)


@pytest.fixture
def job(project, alice):
    return Job.objects.create(project=project, created_by=alice)


@pytest.fixture
def model(project, job):
    return TrainedModel.objects.create(
        project=project,
        job=job,
        version=1,
        artifact='one',
        digest='0' * 64,
        labels=['daisy', 'rose'],
        source_name='graft-leaf',
        images=40,
        accuracy=0.9,
        accuracy_low=0.8,
        accuracy_high=0.95,
        report=json.loads(json.dumps(REPORT.to_json())),
    )


def test_a_waiting_job_tells_how_many_are_before_it(job, project, bob):
    later = Job.objects.create(project=project, created_by=bob)
    places = [reports.job_status(one)['queue_position'] for one in (job, later)]
    assert sorted(places) == [0, 1]
    assert reports.job_status(job)['state'] == 'queued'
    assert reports.job_status(job)['progress'] is None


def test_a_running_job_tells_its_progress_and_no_place(job):
    import dataclasses

    assert job.claim('worker 1')
    job.write_heartbeat(
        job.attempt,
        progress=dataclasses.asdict(Progress('finetune', 0.5, epoch=2, epochs=8, seconds_left=20.0)),
    )
    job.refresh_from_db()
    status = reports.job_status(job)
    assert (status['state'], status['queue_position'], status['finished']) == ('running', None, False)
    assert status['progress']['seconds_left'] == 20.0
    assert [event['new'] for event in status['events']] == ['running']


def test_a_failed_job_tells_why(job):
    job.claim('worker 1')
    job.fail(job.attempt, 'unreadable_image', 'cat.jpg cannot be read.')
    status = reports.job_status(job)
    assert status['error'] == {'code': 'unreadable_image', 'message': 'cat.jpg cannot be read.'}
    assert (status['finished'], status['model']) == (True, None)
    assert status['finished_at'] >= status['started_at'] >= status['created_at']


def test_a_job_points_at_the_model_it_made(job, model):
    assert reports.job_status(job)['model'] == str(model.pk)
    assert reports.job_status(job)['provisional'] is False


def test_every_state_has_the_same_keys(job, model):
    waiting = reports.job_status(job)
    job.claim('worker 1')
    running = reports.job_status(job)
    job.succeed(job.attempt)
    assert waiting.keys() == running.keys() == reports.job_status(job).keys()


def test_a_model_tells_its_accuracy_with_interval_and_all_that_was_measured(model, alice):
    publishing.publish(model, 'flowers', alice)
    report = reports.model_report(model)
    assert (report['accuracy'], report['interval'], report['images']) == (0.9, [0.8, 0.95], 40)
    assert report['ranking'] == [{'name': 'graft-leaf', 'divergence': 0.1}]
    assert report['confusion'] == [[19, 1], [3, 17]]
    assert (report['winner'], report['seed'], report['data_digest']) == ('finetuned', 3, 'd' * 64)
    assert report['published'] == ['flowers']


def test_a_model_of_which_nothing_was_measured_has_the_same_keys(model, project):
    bare = TrainedModel.objects.create(
        project=project, version=2, artifact='two', digest='1' * 64, labels=['a'], images=1
    )
    assert reports.model_report(bare).keys() == reports.model_report(model).keys()
    assert reports.model_report(bare)['interval'] is None
    assert reports.model_report(bare)['per_class'] == []


def test_whatever_is_told_is_json(job, model, alice):
    publication = publishing.publish(model, 'flowers', alice)
    for told in (
        reports.job_status(job),
        reports.model_report(model),
        publishing.describe_publication(publication),
    ):
        assert json.loads(json.dumps(told)) == told


def test_a_published_name_tells_where_a_rollback_would_go(model, project, alice):
    newer = TrainedModel.objects.create(
        project=project, version=2, artifact='two', digest='1' * 64, labels=['a'], images=1
    )
    publishing.publish(model, 'flowers', alice)
    report = publishing.describe_publication(publishing.publish(newer, 'flowers', alice))
    assert (report['model']['id'], report['previous']) == (str(newer.pk), str(model.pk))
    assert [(event['action'], event['version']) for event in report['history']] == [
        ('publish', 2),
        ('publish', 1),
    ]


def test_the_lines_for_programs_can_be_pasted():
    lines = publishing.build_code_examples('https://graft.example:8443/', 'flowers')
    words = shlex.split(lines['curl'].replace('\\\n', ''))  # as a shell joins its lines
    assert words[0] == 'curl'
    assert words[-1] == 'https://graft.example:8443/api/v1/models/flowers/classify?top=3'
    assert "'https://graft.example:8443/api/v1/models/flowers/classify'" in lines['python']
    ast.parse(lines['python'])
