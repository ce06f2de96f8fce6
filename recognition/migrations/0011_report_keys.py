from __future__ import annotations

from typing import Any

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

REPORT = {'outlook': 'forecast', 'sealing': 'engine', 'wrong': 'misclassified'}
MISCLASSIFIED = {'truth': 'label'}
DETECTION = {
    'at_score': 'score_threshold',
    'answer_seconds': 'serving_seconds',
    'as_source': 'backbone',
    'learned': 'train_images',
    'measured': 'test_images',
    'served': 'final_train_images',
}
WORST = {'truth': 'ground_truth', 'found': 'detections'}
PROGRESS = {'expected': 'forecast'}
SPEC = {'forecast': 'forecaster'}
ANSWER = {'objects': 'detections'}


def renamed(values: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in values.items()}


def renamed_report(report: dict[str, Any], *, back: bool = False) -> dict[str, Any]:
    keys = {name: _inverse(table) if back else table for name, table in TABLES.items()}
    report = renamed(report, keys['report'])
    for name in ('misclassified', 'wrong'):
        if name in report:
            report[name] = [renamed(entry, keys['misclassified']) for entry in report[name]]
    if report.get('detection'):
        report['detection'] = renamed(report['detection'], keys['detection'])
        worst = report['detection'].get('worst', [])
        report['detection']['worst'] = [renamed(entry, keys['worst']) for entry in worst]
    return report


TABLES = {'report': REPORT, 'misclassified': MISCLASSIFIED, 'detection': DETECTION, 'worst': WORST}


def _inverse(names: dict[str, str]) -> dict[str, str]:
    return {new: old for old, new in names.items()}


def _rename(apps: Apps, *, back: bool) -> None:
    turn = _inverse if back else dict
    for model in apps.get_model('recognition', 'TrainedModel').objects.exclude(report={}).iterator(100):
        model.report = renamed_report(model.report, back=back)
        model.save(update_fields=['report'])
    for job in apps.get_model('recognition', 'Job').objects.iterator(100):
        job.spec, job.progress = renamed(job.spec, turn(SPEC)), renamed(job.progress, turn(PROGRESS))
        if job.kind == 'detection_job' and job.result.get('images'):
            job.result['images'] = [renamed(image, turn(ANSWER)) for image in job.result['images']]
        job.save(update_fields=['spec', 'progress', 'result'])


def rename_keys(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    _rename(apps, back=False)


def restore_keys(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    _rename(apps, back=True)


class Migration(migrations.Migration):
    dependencies = [('recognition', '0010_job_kinds_and_actions')]

    operations = [migrations.RunPython(rename_keys, restore_keys)]
