"""An installation that was filled under an older schema keeps its rows."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

BEFORE = [('recognition', '0009_additions_tell_what_came_of_them')]
AFTER = [('recognition', '0012_deleted_labels_and_queues')]
REPORT = {
    'outlook': {'sentence': 'Expected accuracy 0.9.'},
    'sealing': {'name': 'openvino'},
    'wrong': [{'id': '1', 'truth': 'rose', 'prediction': 'tulip'}],
    'detection': {
        'at_score': 0.27,
        'answer_seconds': 0.2,
        'learned': 28,
        'measured': 12,
        'served': 40,
        'worst': [{'id': '1', 'truth': [], 'found': []}],
    },
}


def migrate(state):
    executor = MigrationExecutor(connection)
    executor.migrate(state)
    return executor.loader.project_state(state).apps


@pytest.mark.django_db(transaction=True)
def test_rows_of_an_older_schema_keep_their_content_under_the_new_names():
    try:
        old = migrate(BEFORE)
        project = old.get_model('recognition', 'Project').objects.create(name='flowers')
        job = old.get_model('recognition', 'Job').objects.create(
            project=project,
            kind='answering',
            spec={'forecast': {'a': 1.0}},
            progress={'expected': 'Expected accuracy 0.9.'},
            result={'images': [{'name': 'a.jpg', 'objects': []}]},
        )
        model = old.get_model('recognition', 'TrainedModel').objects.create(
            project=project, version=1, artifact='x', labels=['rose'], images=4, report=REPORT
        )
        sent_at = timezone.now()
        old_jobs = old.get_model('recognition', 'Job').objects
        waiting = {
            queue: old_jobs.create(queue=queue, woken_at=sent_at).pk for queue in ('here', 'nowhere', 'cpu')
        }
        old.get_model('recognition', 'DeletedLabel').objects.create(
            project=project,
            name='rose',
            photos=['one'],
            boxes=[['one', 0, 0, 1, 1, False, None]],
            looked_at={'one': [None, 3]},
        )
        old.get_model('recognition', 'AuditEvent').objects.create(deed='create project', subject='flowers')

        new = migrate(AFTER)
        job = new.get_model('recognition', 'Job').objects.get(pk=job.pk)
        assert (job.kind, job.spec) == ('detection_job', {'forecaster': {'a': 1.0}})
        assert job.progress == {'forecast': 'Expected accuracy 0.9.'}
        assert job.result == {'images': [{'name': 'a.jpg', 'detections': []}]}
        report = new.get_model('recognition', 'TrainedModel').objects.get(pk=model.pk).report
        assert report['forecast'] == REPORT['outlook'] and report['engine'] == REPORT['sealing']
        assert report['misclassified'] == [{'id': '1', 'label': 'rose', 'prediction': 'tulip'}]
        assert report['detection'] == {
            'score_threshold': 0.27,
            'serving_seconds': 0.2,
            'train_images': 28,
            'test_images': 12,
            'final_train_images': 40,
            'worst': [{'id': '1', 'ground_truth': [], 'detections': []}],
        }
        assert new.get_model('recognition', 'AuditEvent').objects.get().action == 'create project'
        queues = dict(new.get_model('recognition', 'Job').objects.values_list('pk', 'queue'))
        assert [queues[waiting[queue]] for queue in ('here', 'nowhere', 'cpu')] == [
            'local',
            'uploading',
            'cpu',
        ]
        assert new.get_model('recognition', 'Job').objects.get(pk=waiting['here']).message_sent_at == sent_at
        deleted = new.get_model('recognition', 'DeletedLabel').objects.get()
        assert (deleted.images, deleted.boxed_images) == (['one'], {'one': [None, 3]})

        back = migrate(BEFORE)
        assert (
            back.get_model('recognition', 'Job').objects.filter(queue='nowhere', woken_at=sent_at).count()
            == 1
        )
        assert back.get_model('recognition', 'TrainedModel').objects.get(pk=model.pk).report == REPORT
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())
