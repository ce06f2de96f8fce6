from __future__ import annotations

import django.db.models.deletion
from django.apps.registry import Apps
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

QUEUES = {'here': 'local', 'nowhere': 'uploading'}


def rename_queues(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for old, new in QUEUES.items():
        apps.get_model('recognition', 'Job').objects.filter(queue=old).update(queue=new)


def restore_queues(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for old, new in QUEUES.items():
        apps.get_model('recognition', 'Job').objects.filter(queue=new).update(queue=old)


class Migration(migrations.Migration):
    dependencies = [
        ('recognition', '0011_report_keys'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RenameField('deletedlabel', 'photos', 'images'),
        migrations.RenameField('deletedlabel', 'looked_at', 'boxed_images'),
        migrations.RenameField('job', 'woken_at', 'message_sent_at'),
        migrations.RemoveConstraint(
            model_name='annotation',
            name='a_box_has_an_area',
        ),
        migrations.RemoveConstraint(
            model_name='image',
            name='an_image_once_a_project',
        ),
        migrations.RemoveConstraint(
            model_name='label',
            name='label_names_differ',
        ),
        migrations.RemoveConstraint(
            model_name='membership',
            name='one_membership_a_person',
        ),
        migrations.RemoveConstraint(
            model_name='trainedmodel',
            name='versions_differ',
        ),
        migrations.RenameIndex(
            model_name='image',
            new_name='image_label_order',
            old_name='images_of_a_label',
        ),
        migrations.AlterField(
            model_name='annotation',
            name='difficult',
            field=models.BooleanField(
                default=False, help_text='Hard to recognise: neither trained on nor counted as an error.'
            ),
        ),
        migrations.AlterField(
            model_name='deletedlabel',
            name='boxed_images',
            field=models.JSONField(
                default=dict, help_text='Image id -> boxed_at, boxed_by; of images that had no other boxes.'
            ),
        ),
        migrations.AlterField(
            model_name='deletedlabel',
            name='boxes',
            field=models.JSONField(
                default=list, help_text='Image id, x0, y0, x1, y1, difficult, id of the user.'
            ),
        ),
        migrations.AlterField(
            model_name='deletedlabel',
            name='images',
            field=models.JSONField(default=list, help_text='Ids of the images that had this label.'),
        ),
        migrations.AlterField(
            model_name='image',
            name='boxed_at',
            field=models.DateTimeField(
                blank=True,
                help_text='When its boxes were complete; without boxes: when it was marked as empty.',
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name='image',
            name='boxes_version',
            field=models.PositiveIntegerField(
                default=0, help_text='Incremented with each change of its boxes.'
            ),
        ),
        migrations.AlterField(
            model_name='image',
            name='digest',
            field=models.CharField(help_text='SHA-256 of the uploaded bytes.', max_length=64),
        ),
        migrations.AlterField(
            model_name='image',
            name='name',
            field=models.CharField(
                help_text='Name of the uploaded file; never used as a path.', max_length=255
            ),
        ),
        migrations.AlterField(
            model_name='job',
            name='curve',
            field=models.JSONField(
                blank=True, default=list, help_text='One entry an epoch: epoch, loss, accuracy.'
            ),
        ),
        migrations.AlterField(
            model_name='job',
            name='result',
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text='Of a detection job, the detections; of a source import, the source or the field to correct.',
            ),
        ),
        migrations.AlterField(
            model_name='job',
            name='spec',
            field=models.JSONField(
                default=dict, help_text='The request as it was queued; of a training, its TrainSpec.'
            ),
        ),
        migrations.AlterField(
            model_name='sourcemodel',
            name='image_archive',
            field=models.CharField(
                blank=True,
                help_text='Key in storage of the images that its signature is computed from; empty: not uploaded.',
                max_length=200,
            ),
        ),
        migrations.AlterField(
            model_name='sourcemodel',
            name='model',
            field=models.ForeignKey(
                blank=True,
                help_text='The promoted model.',
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name='sources',
                to='recognition.trainedmodel',
            ),
        ),
        migrations.AlterField(
            model_name='sourcemodel',
            name='origin',
            field=models.CharField(
                choices=[
                    ('starter', 'Ships with Graft'),
                    ('torchvision', 'Published by torchvision'),
                    ('timm', 'Published by timm'),
                    ('imported', 'Imported from a file'),
                    ('promoted', 'Trained here'),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name='sourcemodel',
            name='parameters',
            field=models.PositiveBigIntegerField(
                default=0, help_text='Number of parameters; 0: not counted.'
            ),
        ),
        migrations.AlterField(
            model_name='sourcemodel',
            name='project',
            field=models.ForeignKey(
                blank=True,
                help_text='The project whose images it was trained on.',
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name='sources',
                to='recognition.project',
            ),
        ),
        migrations.AlterField(
            model_name='sourcemodel',
            name='removed_at',
            field=models.DateTimeField(
                blank=True, help_text='Such a row is kept because a report of a model names it.', null=True
            ),
        ),
        migrations.AlterField(
            model_name='sourcemodel',
            name='shared_at',
            field=models.DateTimeField(
                blank=True, help_text='When an owner of the project agreed that others may use it.', null=True
            ),
        ),
        migrations.AlterField(
            model_name='trainedmodel',
            name='artifact',
            field=models.CharField(help_text='Name of its folder in storage.', max_length=200),
        ),
        migrations.AlterField(
            model_name='trainedmodel',
            name='provisional',
            field=models.BooleanField(
                default=False, help_text='The instant model of a training that goes on.'
            ),
        ),
        migrations.AddConstraint(
            model_name='annotation',
            constraint=models.CheckConstraint(
                condition=models.Q(('x1__gt', models.F('x0')), ('y1__gt', models.F('y0'))),
                name='box_has_area',
            ),
        ),
        migrations.AddConstraint(
            model_name='image',
            constraint=models.UniqueConstraint(fields=('project', 'digest'), name='unique_image_digest'),
        ),
        migrations.AddConstraint(
            model_name='label',
            constraint=models.UniqueConstraint(fields=('project', 'name'), name='unique_label_name'),
        ),
        migrations.AddConstraint(
            model_name='membership',
            constraint=models.UniqueConstraint(fields=('project', 'user'), name='unique_membership'),
        ),
        migrations.AddConstraint(
            model_name='trainedmodel',
            constraint=models.UniqueConstraint(fields=('project', 'version'), name='unique_model_version'),
        ),
        migrations.RunPython(rename_queues, restore_queues),
    ]
