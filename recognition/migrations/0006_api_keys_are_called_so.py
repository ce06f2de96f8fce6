from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ('recognition', '0005_sources_outlive_their_project'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='apikey',
            options={'ordering': ['-created_at'], 'verbose_name': 'API key'},
        ),
    ]
