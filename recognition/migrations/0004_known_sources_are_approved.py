from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def approve_what_is_there(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Until now a source was in use from the moment it was added."""
    apps.get_model('recognition', 'SourceModel').objects.update(approved_at=models.F('created_at'))


class Migration(migrations.Migration):
    dependencies = [('recognition', '0003_sources_are_approved_and_shared')]

    operations = [migrations.RunPython(approve_what_is_there, migrations.RunPython.noop)]
