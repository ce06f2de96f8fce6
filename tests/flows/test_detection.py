"""Detection from a shell: boxes in files become a model that finds things; what is wrong is named and nothing
is left."""

from __future__ import annotations

import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from django.core.management import CommandError, call_command

from recognition.models import Job, Project, TrainedModel
from recognition.zoo import catalog
from tests.support import synthetic_scenes

SMALL = {
    'short_side': 96,
    'long_side': 160,
    'rois_per_image': 32,
    'reduce': 16,
    'hidden': [32],
    'pool': 3,
    'frozen_stages': 0,
    'head_steps': 10,
    'epochs': 3,
    'rate': 0.002,
    'warm_up': 5,
}


@pytest.fixture
def folder(tmp_path):
    """images/ and annotations/ as Pascal VOC has them."""
    (tmp_path / 'set' / 'annotations').mkdir(parents=True)
    manifest = synthetic_scenes.write_scenes(tmp_path / 'set' / 'images', count=10)
    for image in manifest.images:
        root = ElementTree.Element('annotation')
        ElementTree.SubElement(root, 'filename').text = image.name
        for box in image.boxes:
            thing = ElementTree.SubElement(root, 'object')
            ElementTree.SubElement(thing, 'name').text = manifest.labels[box.label]
            corners = ElementTree.SubElement(thing, 'bndbox')
            for name, value in zip(
                ('xmin', 'ymin', 'xmax', 'ymax'), (box.x0 + 1, box.y0 + 1, box.x1, box.y1), strict=True
            ):
                ElementTree.SubElement(corners, name).text = str(int(value))
        path = tmp_path / 'set' / 'annotations' / f'{Path(image.name).stem}.xml'
        path.write_bytes(ElementTree.tostring(root))
    return tmp_path / 'set'


@pytest.fixture
def source(db, settings, tmp_path):
    """A zoo of one network, which is also the reference."""
    folder = settings.STARTER_ZOO = tmp_path / 'starter'
    synthetic_scenes.source(folder, settings.P2L_REFERENCE)
    source = {
        'name': settings.P2L_REFERENCE,
        'title': 'Small',
        'architecture': 'squeezenet1_1',
        'class_names': list('abcde'),
        'images': 90,
        'side': 64,
        'mean': [0.5, 0.5, 0.5],
        'std': [0.2, 0.2, 0.2],
        'sets': [{'name': 'drawn', 'origin': 'drawn', 'licence': 'CC0-1.0'}],
        'licence': 'Apache-2.0',
    }
    (folder / f'{settings.P2L_REFERENCE}.json').write_text(json.dumps(source))
    catalog.sync_starter()


@pytest.mark.django_db(transaction=True)  # the heart beats in a thread, which must see the job's row
@pytest.mark.slow
def test_photos_with_boxes_become_a_detector(source, folder):
    told = io.StringIO()
    options = {'fast_rcnn': SMALL}
    call_command(
        'train', folder, task='detection', options=options, json=True, stdout=told, stderr=io.StringIO()
    )
    answer = json.loads(told.getvalue().splitlines()[-1])
    model = TrainedModel.objects.get(pk=answer['model'])
    assert (model.task, model.job.kind, model.project.task, model.job.state) == (
        *['detection'] * 3,
        'succeeded',
    )
    assert answer['detection']['kind'] == 'fast-rcnn' and answer['detection']['test_images'] == 3
    assert answer['interval'][0] <= answer['accuracy'] <= answer['interval'][1]

    told = io.StringIO()
    photo = sorted((folder / 'images').iterdir())[0]
    call_command('predict', str(model.pk), str(photo), json=True, stdout=told)
    [found] = json.loads(told.getvalue())
    assert found['file'] == str(photo)
    assert all(set(one) == {'label', 'score', 'x0', 'y0', 'x1', 'y1'} for one in found['detections'])


def test_photos_without_annotations_leave_nothing_behind(source, folder):
    for path in (folder / 'annotations').iterdir():
        path.unlink()
    with pytest.raises(CommandError, match='Draw boxes'):
        call_command('train', folder, task='detection', stdout=io.StringIO(), stderr=io.StringIO())
    assert (Project.objects.count(), Job.objects.count()) == (0, 0)


def test_an_option_that_is_none_is_named(source, folder):
    with pytest.raises(CommandError, match=r'fast_rcnn\.pool'):
        call_command(
            'train', folder, task='detection', options={'fast_rcnn': {'pool': 99}}, stderr=io.StringIO()
        )
    with pytest.raises(CommandError, match='task cannot be chosen'):
        call_command(
            'train', folder, task='detection', options={'task': 'classification'}, stderr=io.StringIO()
        )
    assert Project.objects.count() == 0
