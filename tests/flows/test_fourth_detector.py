"""What docs/extending.md promises: a fourth detector is a folder, its options, and a line of the registry."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
FOURTH = ROOT / 'tests' / 'support' / 'mean_box'

USE_IT = """
import json, sys
from pathlib import Path

import django

django.setup()

from drf_spectacular.generators import SchemaGenerator
from recognition.pages.forms import TrainingForm
from tests.support import synthetic_scenes
from tests.support.small_training import RecordingReport
from transfer.pipeline import train
from transfer.serving.detector import DetectionPredictor
from transfer.spec.train_spec import TrainSpec

folder = Path(sys.argv[1])
schemas = SchemaGenerator().get_schema(request=None, public=True)['components']['schemas']
manifest = synthetic_scenes.write_scenes(folder / 'scenes')
options = {'task': 'detection', 'detector': 'mean-box', 'refit': False, 'mean_box': {'stretch': 1.5}}
source = synthetic_scenes.source(folder / 'sources')
spec = TrainSpec.from_json(options | {'sources': [source.__dict__]})
sealed = train(manifest, spec, folder / 'work', RecordingReport(), folder / 'cache')
predictor = DetectionPredictor(Path(sealed.folder), digest=sealed.digest)
found, _ = predictor.detect(Path(manifest.images[0].path).read_bytes())
print(json.dumps({
    'form': TrainingForm(task='detection', sources=[]).fields['detector'].choices,
    'choices': schemas['DetectorEnum']['enum'],
    'stretch': schemas['MeanBoxOptionsRequest']['properties']['stretch'],
    'kind': predictor.kind,
    'detections': len(found),
    'report': sealed.report.detection.kind,
    'spec': predictor.meta.spec['mean_box'],
}))
"""


@pytest.fixture(scope='module')
def fourth(tmp_path_factory) -> dict:
    """A copy of the product with the fourth detector in it, and what it does there."""
    folder = tmp_path_factory.mktemp('fourth')
    for name in ('recognition', 'p2l', 'tests', 'templates', 'static'):
        (folder / name).symlink_to(ROOT / name)
    (folder / 'transfer').mkdir()
    for path in (ROOT / 'transfer').iterdir():  # links, so that what Numba compiled once is found again
        if path.name not in ('spec', 'detection', '__pycache__'):
            (folder / 'transfer' / path.name).symlink_to(path)
    for name in ('spec', 'detection'):
        shutil.copytree(ROOT / 'transfer' / name, folder / 'transfer' / name)
    package = folder / 'transfer' / 'detection' / 'mean_box'
    package.mkdir()
    for name in ('__init__.py', 'detector.py', 'infer.py'):
        shutil.copy(FOURTH / name, package / name)
    shutil.copy(FOURTH / 'options.py', folder / 'transfer' / 'spec' / 'mean_box.py')
    registry = folder / 'transfer' / 'spec' / 'detectors.py'
    text = registry.read_text()
    line = '        rcnn.RCNN,\n'
    assert line in text
    text = text.replace(line, f'{line}        mean_box.MEAN_BOX,\n')
    registry.write_text(
        text.replace('import fast_rcnn, faster_rcnn, rcnn', 'import fast_rcnn, faster_rcnn, mean_box, rcnn')
    )
    done = subprocess.run(
        [sys.executable, '-c', USE_IT, str(folder / 'data')],
        cwd=folder,
        env={
            **os.environ,
            'PYTHONPATH': str(folder),
            'DJANGO_SETTINGS_MODULE': 'recognition.settings',
            'GRAFT_DATA': str(folder / 'installation'),
            'OMP_NUM_THREADS': '1',
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_form_and_rest_offer_it_with_its_options(fourth):
    assert ['mean-box', 'Mean box: a baseline'] in fourth['form']
    assert 'mean-box' in fourth['choices']
    assert fourth['stretch'] == {
        'type': 'number',
        'format': 'double',
        'minimum': 0.5,
        'maximum': 2.0,
        'description': 'Factor that the mean box is stretched by. Default: 1.0.',
    }


def test_it_is_trained_sealed_and_served(fourth):
    assert fourth['kind'] == fourth['report'] == 'mean-box'
    assert fourth['detections'] == 1
    assert fourth['spec'] == {'stretch': 1.5, 'seed': 0}
