from __future__ import annotations

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

KINDS = {'signing': 'signature', 'adding': 'source_import', 'answering': 'detection_job'}


def rename_kinds(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for old, new in KINDS.items():
        apps.get_model('recognition', 'Job').objects.filter(kind=old).update(kind=new)


def restore_kinds(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for old, new in KINDS.items():
        apps.get_model('recognition', 'Job').objects.filter(kind=new).update(kind=old)


class Migration(migrations.Migration):
    dependencies = [('recognition', '0009_additions_tell_what_came_of_them')]

    operations = [
        migrations.RenameField('auditevent', 'deed', 'action'),
        migrations.RenameField('publicationevent', 'deed', 'action'),
        migrations.AlterField(
            'job',
            'kind',
            models.CharField(
                choices=[
                    ('classification', 'classifier training'),
                    ('detection', 'detector training'),
                    ('signature', 'signature computation'),
                    ('source_import', 'source model import'),
                    ('detection_job', 'detection job'),
                ],
                default='classification',
                max_length=20,
            ),
        ),
        migrations.AlterField(
            'job',
            'progress',
            models.JSONField(blank=True, default=dict, help_text='The last progress report.'),
        ),
        migrations.AlterField(
            'trainedmodel',
            'report',
            models.JSONField(blank=True, default=dict, help_text='The training report as JSON.'),
        ),
        migrations.RunPython(rename_kinds, restore_kinds),
    ]
