"""A sealed_classifier folder is whole, says what it is, and is refused when it is not what it says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from tests.support import sealed_classifier
from transfer.serving import artifacts
from transfer.spec.errors import CorruptArtifactError, IncompatibleArtifactError
from transfer.spec.records import to_json


@pytest.fixture(scope='module')
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp('models') / 'colours'
    return folder, sealed_classifier.seal(folder)


@pytest.fixture
def folder(original, tmp_path):
    copy = tmp_path / 'copy'
    shutil.copytree(original[0], copy)
    return copy


def test_the_folder_holds_weights_graph_onnx_and_meta_and_nothing_was_left_beside_it(original):
    folder, _ = original
    assert {path.name for path in folder.iterdir()} == {
        'meta.json',
        'weights.safetensors',
        'graph.xml',
        'graph.bin',
        'model.onnx',
    }
    assert [path.name for path in folder.parent.iterdir()] == ['colours']


def test_meta_holds_labels_preprocessing_temperature_source_seed_and_versions(original):
    folder, model = original
    meta = artifacts.read_meta(folder)
    assert meta.labels == sealed_classifier.LABELS
    assert meta.preprocessing == artifacts.Preprocessing.of(sealed_classifier.SOURCE)
    assert meta.temperature == 1.5
    assert (meta.source['name'], meta.why, meta.seed) == ('none', 'the only one', 7)
    assert set(meta.versions) == {'python', 'torch', 'torchvision', 'openvino', 'numpy'}
    assert meta.digest == model.digest
    assert meta.engine == model.report.engine
    assert meta.report['engine'] == to_json(meta.engine)


def test_the_report_that_comes_back_says_how_far_the_graph_is_from_torch(original):
    _, model = original
    assert model.report.engine.name == 'openvino'
    assert model.report.engine.agreement >= 0.99
    assert 0 <= model.report.engine.largest_difference < 0.05


def test_signatures_stay_out_of_meta(tmp_path):
    from dataclasses import replace

    from transfer.spec.train_spec import TrainSpec

    source = replace(sealed_classifier.SOURCE, signature=(0.25, 0.75))
    sealed_classifier.seal(
        tmp_path / 'model', source=source, spec=TrainSpec(sources=(source,), reference=source)
    )
    meta = json.loads((tmp_path / 'model' / 'meta.json').read_text())
    sources = [meta['source'], meta['spec']['reference'], *meta['spec']['sources']]
    assert [source for source in sources if 'signature' in source] == []


def test_sealing_again_replaces_what_an_earlier_attempt_left(tmp_path):
    folder = tmp_path / 'models' / 'one'
    folder.mkdir(parents=True)
    (folder / 'half written').write_text('x')
    sealed_classifier.seal(folder)
    artifacts.verify(folder, artifacts.read_meta(folder))
    assert not (folder / 'half written').exists()
    assert [path.name for path in folder.parent.iterdir()] == ['one']


def test_a_failed_sealing_leaves_nothing(tmp_path):
    with pytest.raises(AttributeError):
        sealed_classifier.seal(tmp_path / 'models' / 'one', model='not a network')
    assert list((tmp_path / 'models').iterdir()) == []


def test_a_whole_folder_passes_verification(folder):
    meta = artifacts.read_meta(folder)
    artifacts.verify(folder, meta)
    assert set(meta.files) == {path.name for path in folder.iterdir()} - {'meta.json'}


@pytest.mark.parametrize('name', ['weights.safetensors', 'graph.bin', 'graph.xml', 'model.onnx'])
def test_a_truncated_file_is_corrupt_and_named(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(CorruptArtifactError, match=name):
        artifacts.verify(folder, artifacts.read_meta(folder))


def test_a_missing_file_is_corrupt_and_named(folder):
    (folder / 'graph.bin').unlink()
    with pytest.raises(CorruptArtifactError, match=r'graph\.bin .* is missing'):
        artifacts.verify(folder, artifacts.read_meta(folder))


def test_a_truncated_meta_is_corrupt(folder):
    path = folder / 'meta.json'
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CorruptArtifactError, match=r'meta\.json'):
        artifacts.read_meta(folder)


@pytest.mark.parametrize('content', [b'[]', b'{}', b'null', b'\xff\xfe', b'{"format": 1}'])
def test_a_meta_that_is_not_one_is_corrupt(folder, content):
    (folder / 'meta.json').write_bytes(content)
    with pytest.raises(CorruptArtifactError):
        artifacts.read_meta(folder)


def test_a_folder_that_is_not_there_is_corrupt(tmp_path):
    with pytest.raises(CorruptArtifactError):
        artifacts.read_meta(tmp_path / 'nothing')


@pytest.mark.parametrize('version', [0, 2, '1', None])
def test_another_format_is_incompatible_and_not_corrupt(folder, version):
    change(folder, format=version)
    with pytest.raises(IncompatibleArtifactError):
        artifacts.read_meta(folder)


def test_meta_cannot_name_files_outside_its_folder(folder):
    digest = artifacts.file_digest(folder / 'weights.safetensors')
    change(folder, files={'weights.safetensors': digest, '../../etc/passwd': digest})
    with pytest.raises(CorruptArtifactError):
        artifacts.read_meta(folder)


def test_a_detector_of_an_earlier_version_is_read(folder):
    change(
        folder,
        detection={
            'kind': 'fast-rcnn',
            'spec': {'pool': 7, 'hidden': [256]},
            'least_side': 600,
            'proposals': 'selective-search',
            'limit': 2000,
            'at_score': 0.4,
            'answer_seconds': 1.5,
            'stride': 16,
            'channels': 512,
        },
    )
    known = artifacts.read_meta(folder).detector
    assert (known.score_threshold, known.serving_seconds) == (0.4, 1.5)
    assert (known.stride, known.channels, known.spec['hidden']) == (16, 512, [256])


def test_a_detector_that_lacks_its_threshold_is_corrupt_and_the_field_is_named(folder):
    known = {'kind': 'rcnn', 'spec': {}, 'least_side': 600, 'proposals': 'selective-search', 'limit': 20}
    change(folder, detection=known)
    with pytest.raises(CorruptArtifactError, match=r'detection\.score_threshold is missing'):
        artifacts.read_meta(folder)
    change(folder, detection=known | {'score_threshold': '0.4'})
    with pytest.raises(CorruptArtifactError, match=r'detection\.score_threshold must be float'):
        artifacts.read_meta(folder)


def test_a_classifier_has_no_detector(folder):
    meta = artifacts.read_meta(folder)
    assert meta.detection is None and json.loads((folder / 'meta.json').read_text())['detection'] == {}
    with pytest.raises(IncompatibleArtifactError, match='classifier'):
        _ = meta.detector


def test_an_artifact_is_read_without_torch(folder):
    code = (
        'import sys; from pathlib import Path; from transfer.serving import artifacts;'
        'folder = Path(sys.argv[1]); artifacts.verify(folder, artifacts.read_meta(folder)); sys.exit("torch" '
        'in sys.modules)'
    )
    assert subprocess.run([sys.executable, '-c', code, str(folder)]).returncode == 0


def change(folder, **values):
    path = folder / 'meta.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
