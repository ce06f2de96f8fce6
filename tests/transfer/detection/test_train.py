"""From boxes to a sealed detector: learned, measured on other photos, resumed to the same result, and served
without torch."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from tests.support import synthetic_scenes
from tests.support.small_training import RecordingReport

torch = pytest.importorskip('torch')

from transfer.data.decode import decode
from transfer.data.detection_splits import split_manifest
from transfer.detection.crops import cut_crops
from transfer.detection.fast_rcnn import svd
from transfer.detection.fast_rcnn.detector import source_network
from transfer.detection.fast_rcnn.model import FastRcnn
from transfer.detection.registry import get_detector
from transfer.pipeline import train
from transfer.runtime import checkpoints
from transfer.serving.artifacts import read_meta
from transfer.serving.detector import DetectionPredictor
from transfer.spec.detectors import DETECTORS
from transfer.spec.errors import CorruptArtifactError, InvalidSpecError, UnreadableImageError
from transfer.spec.fast_rcnn import FastRcnnSpec
from transfer.spec.faster_rcnn import FasterRcnnSpec
from transfer.spec.rcnn import RcnnSpec
from transfer.spec.train_spec import SourceModelSpec, TrainSpec
from transfer.zoo.loading import load
from transfer.zoo.networks import registry
from transfer.zoo.weights import file_digest

FAST = FastRcnnSpec(
    short_side=96,
    long_side=160,
    rois_per_image=32,
    reduce=16,
    hidden=(32,),
    pool=3,
    frozen_stages=0,
    head_steps=10,
    epochs=12,
    rate=0.002,
    warm_up=5,
)
FASTER = FasterRcnnSpec(
    short_side=96,
    long_side=160,
    anchors=(16, 32),
    reduce=16,
    pool=3,
    hidden=32,
    frozen_stages=0,
    epochs=3,
    rate=0.002,
)
RCNN = RcnnSpec(cpu_proposals=60, steps=6, batch=16)


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    """A folder with twelve scenes and a cache that the tests of this module share."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp('detecting')
    return (
        folder,
        synthetic_scenes.write_scenes(folder / 'scenes'),
        synthetic_scenes.source(folder / 'sources'),
    )


def spec_for(scenes, detector: str, **changes) -> TrainSpec:
    return TrainSpec(
        sources=(scenes[2],),
        task='detection',
        detector=detector,
        **{'detector_options': {'fast_rcnn': FAST, 'faster_rcnn': FASTER, 'rcnn': RCNN}} | changes,
    )


def learn(scenes, detector: str, name: str, recorder: RecordingReport | None = None, **changes):
    folder, manifest, _ = scenes
    return train(
        manifest,
        spec_for(scenes, detector, **changes),
        folder / name,
        recorder or RecordingReport(),
        folder / 'cache',
    )


@pytest.fixture(scope='module')
def fast_recorder():
    """What the training of the fixture `fast` reported: every step, not only one in half a second."""
    return RecordingReport()


@pytest.fixture(scope='module')
def fast(scenes, fast_recorder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('transfer.runtime.progress.REPORT_EVERY', 0.0)
        return learn(scenes, 'fast-rcnn', 'fast', fast_recorder)


@pytest.fixture(scope='module')
def faster(scenes):
    return learn(scenes, 'faster-rcnn', 'faster')


@pytest.fixture(scope='module')
def rcnn(scenes):
    return learn(scenes, 'rcnn', 'rcnn')


def test_fast_rcnn_detects_objects_on_new_photos(fast):
    known = fast.report.detection
    assert (known.train_images, known.test_images) == (8, 4)
    assert known.proposals.half == 1.0
    assert known.ap11 > 0.3
    assert fast.report.accuracy == known.ap11
    assert fast.report.interval[0] <= fast.report.accuracy <= fast.report.interval[1]
    assert json.loads(json.dumps(fast.report.to_json()))['winner'] == 'fast-rcnn'


def test_faster_rcnn_is_learned_sealed_and_served_by_torch(scenes, faster):
    assert faster.report.engine.name == 'torch' and 'torch serves it' in faster.report.engine.why_not
    assert (faster.report.winner, faster.report.detection.proposals) == ('faster-rcnn', None)
    found, photo = DetectionPredictor(Path(faster.folder)).detect(Path(scenes[1].images[0].path).read_bytes())
    assert (photo.width, photo.height) == synthetic_scenes.SIZE
    assert ((found.boxes >= 0) & (found.boxes <= 120)).all() and set(found.labels.tolist()) <= {0, 1}


def test_the_report_says_for_each_class_how_many_there_were(fast, scenes):
    measured = split_manifest(scenes[1], 0.3, 0)[1]
    counts = [sum(box.label == label for image in measured.images for box in image.boxes) for label in (0, 1)]
    assert [(row.label, row.n) for row in fast.report.detection.classes] == list(
        zip(synthetic_scenes.LABELS, counts, strict=True)
    )
    curve = fast.report.detection.classes[0].curve
    assert all(0 <= recall <= 1 and 0 <= precision <= 1 for recall, precision, _ in curve)


def test_sealed_detectors_answer_as_they_were_measured_and_without_torch(scenes, fast, rcnn):
    image = next(image for image in split_manifest(scenes[1], 0.3, 0)[1].images if image.boxes)
    code = (
        'import json, sys; from pathlib import Path; from transfer.serving.detector import '
        'DetectionPredictor;'
        'photo = Path(sys.argv[1]).read_bytes();'
        'answers = [DetectionPredictor(Path(folder)).detect(photo)[0].boxes[0].tolist() for folder in '
        'sys.argv[2:]];'
        'assert "torch" not in sys.modules; print(json.dumps(answers))'
    )
    process = subprocess.run(
        [sys.executable, '-c', code, image.path, fast.folder, rcnn.folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    here = [
        DetectionPredictor(Path(sealed.folder)).detect(Path(image.path).read_bytes())[0]
        for sealed in (fast, rcnn)
    ]
    assert json.loads(process.stdout) == [found.boxes[0].tolist() for found in here]
    for sealed in (fast, rcnn):
        assert sealed.report.engine.name == 'openvino'
        assert sealed.report.engine.largest_difference < 0.01


@pytest.mark.parametrize('which', ['fast', 'rcnn'])
def test_torch_rebuilds_the_detector_from_its_artifact(which, scenes, request, tmp_path):
    folder = Path(request.getfixturevalue(which).folder)
    photo = Path(scenes[1].images[0].path).read_bytes()
    by_graph, _ = DetectionPredictor(folder).detect(photo)
    by_torch, _ = DetectionPredictor(as_torch(folder, tmp_path / 'bare')).detect(photo)
    shared = min(len(by_graph), len(by_torch))
    np.testing.assert_allclose(by_torch.scores[:shared], by_graph.scores[:shared], atol=0.01)


def as_torch(folder: Path, copy: Path) -> Path:
    """The artifact as it is where no graph could be made."""
    copy.mkdir()
    (copy / 'weights.safetensors').write_bytes((folder / 'weights.safetensors').read_bytes())
    meta = json.loads((folder / 'meta.json').read_text())
    meta |= {
        'engine': {'name': 'torch'},
        'files': {'weights.safetensors': meta['files']['weights.safetensors']},
    }
    (copy / 'meta.json').write_text(json.dumps(meta))
    return copy


def test_a_damaged_graph_is_named(fast, tmp_path):
    copy = tmp_path / 'damaged'
    copy.mkdir()
    for path in Path(fast.folder).iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / 'heads.bin').write_bytes(b'nothing')
    with pytest.raises(CorruptArtifactError, match=r'heads\.bin'):
        DetectionPredictor(copy)


def test_a_photo_that_is_none_is_refused(fast):
    with pytest.raises(UnreadableImageError):
        DetectionPredictor(Path(fast.folder)).detect(b'no photo')


class Stopped(Exception):
    """Stands for a kill: nothing of the training expects it."""


@pytest.mark.parametrize('detector', DETECTORS)
def test_a_training_killed_in_both_of_its_phases_ends_as_an_undisturbed_one(detector, scenes, monkeypatch):
    monkeypatch.setattr(checkpoints, 'SAVE_EVERY', 0.0)
    monkeypatch.setattr('transfer.runtime.progress.REPORT_EVERY', 0.0)
    monkeypatch.setattr('transfer.detection.sealing.CHECKED', 1)  # a second of searching for each photo
    short = dataclasses.replace(FAST, epochs=2, head_steps=4, rois_per_image=16)
    options = {'fast_rcnn': short, 'faster_rcnn': FASTER, 'rcnn': RCNN}
    whole = learn(scenes, detector, f'whole-{detector}', detector_options=options)
    name, counting = f'stopped-{detector}', RecordingReport()
    for phase in ('finetune', 'refit'):
        with pytest.raises(Stopped):
            learn(scenes, detector, name, StopsIn(phase, after=4), detector_options=options)
    resumed = learn(scenes, detector, name, counting, detector_options=options)
    assert (
        Path(resumed.folder, 'weights.safetensors').read_bytes()
        == Path(whole.folder, 'weights.safetensors').read_bytes()
    )
    for key in ('ap11', 'refit_curve'):
        assert getattr(resumed.report.detection, key) == getattr(whole.report.detection, key)
    assert resumed.report.curve == whole.report.curve and len(whole.report.curve) > 1
    assert [progress.fraction for progress in counting.recorded] == sorted(
        progress.fraction for progress in counting.recorded
    )


def test_the_evaluated_detector_is_served_until_one_trained_on_all_photos_takes_its_place(
    scenes, fast, fast_recorder
):
    [first] = fast_recorder.instants
    assert [read_meta(Path(sealed.folder)).provisional for sealed in (first, fast)] == [True, False]
    assert [sealed.report.detection.final_train_images for sealed in (first, fast)] == [8, 12]
    for key in ('train_images', 'test_images', 'ap11', 'score_threshold', 'classes', 'worst'):
        assert getattr(first.report.detection, key) == getattr(fast.report.detection, key)
    threshold = first.report.detection.score_threshold
    assert read_meta(Path(fast.folder)).detection.score_threshold == threshold
    assert (
        Path(first.folder, 'weights.safetensors').read_bytes()
        != Path(fast.folder, 'weights.safetensors').read_bytes()
    )
    epochs = {
        phase: max(progress.epoch for progress in fast_recorder.recorded if progress.phase == phase)
        for phase in ('finetune', 'refit')
    }
    assert epochs['finetune'] == epochs['refit']
    curve = first.report.curve
    assert [point.epoch for point in curve] == list(range(1, epochs['finetune'] + 1))
    assert curve[-1].loss < curve[0].loss
    assert fast.report.curve == first.report.curve
    assert len(fast.report.detection.refit_curve) == len(fast.report.curve)
    seconds = fast.report.detection.serving_seconds
    assert 0 < seconds == read_meta(Path(fast.folder)).detection.serving_seconds < 5
    found, _ = DetectionPredictor(Path(fast.folder)).detect(Path(scenes[1].images[0].path).read_bytes())
    assert len(found)


def test_without_the_refit_the_evaluated_detector_is_the_one_that_is_served(scenes, faster):
    report = RecordingReport()
    plain = learn(scenes, 'faster-rcnn', 'plain', report, refit=False)
    assert report.instants == [] and plain.report.detection.final_train_images == 8
    assert plain.report.detection.ap11 == faster.report.detection.ap11
    assert not {progress.phase for progress in report.recorded} & {'provisional', 'refit'}


def test_the_refit_looks_at_each_photo_as_often():
    fast = get_detector('fast-rcnn').scale_schedule(FastRcnnSpec(), 70, 100)
    assert (fast.epochs, fast.head_steps) == (16, round(600 / 0.7))
    few = get_detector('fast-rcnn').scale_schedule(FastRcnnSpec(), 14, 20)
    assert few.epochs == 43  # 300 steps of two of 14 photos
    assert get_detector('faster-rcnn').scale_schedule(FasterRcnnSpec(), 70, 100).epochs == 15
    assert get_detector('rcnn').scale_schedule(RcnnSpec(), 70, 100).steps == round(200 / 0.7)


class StopsIn(RecordingReport):
    def __init__(self, phase: str, after: int) -> None:
        super().__init__()
        self.phase, self.left = phase, after

    def progress(self, progress) -> None:
        super().progress(progress)
        self.left -= progress.phase == self.phase
        if self.left == 0:
            raise Stopped


def test_a_detector_that_is_not_there_is_refused(scenes):
    with pytest.raises(InvalidSpecError, match='detector'):
        TrainSpec.from_json({'detector': 'yolo'})
    with pytest.raises(InvalidSpecError, match=r'fast_rcnn\.short_side'):
        TrainSpec.from_json({'fast_rcnn': {'short_side': 5}})
    with pytest.raises(InvalidSpecError, match='must be between'):
        TrainSpec.from_json({'rcnn': {'svm_c': float('nan')}})


def test_options_of_a_detector_survive_json():
    spec = TrainSpec(detector='rcnn', task='detection', detector_options={'fast_rcnn': FAST, 'rcnn': RCNN})
    assert TrainSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize('which', ['fast', 'faster', 'rcnn'])
def test_a_detectors_backbone_becomes_a_source_that_classifies_what_was_boxed(
    which, scenes, request, tmp_path
):
    sealed = request.getfixturevalue(which)
    folder, (_, manifest, source_model) = Path(sealed.folder), scenes
    assert sealed.report.detection.backbone == ''
    assert 'source.safetensors' in json.loads((folder / 'meta.json').read_text())['files']
    path = folder / 'source.safetensors'
    # SqueezeNet's new head is not the one of its family
    network = registry.architecture('squeezenet1_1+linear')
    model = load(
        dataclasses.replace(source_model, architecture=network.name, weights=str(path), digest='', classes=3)
    )
    crops = cut_crops(
        manifest, [np.zeros((0, 4))] * len(manifest.images), tmp_path / 'crops', 0, lambda done: None
    )
    pixels = (
        torch.from_numpy(np.stack([decode(image.path, source_model.side) for image in crops.images])).permute(
            0, 3, 1, 2
        )
        / 255
    )
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (source_model.mean, source_model.std))
    with torch.inference_mode():
        predicted = model((pixels - mean) / std).argmax(1).numpy()
    assert (predicted == [image.label for image in crops.images]).mean() > 0.9
    learned, begun = model.state_dict(), load_file(source_model.weights)
    assert any((learned[name] != begun[name]).any() for name in begun if name.startswith('features'))
    again = train(
        crops,
        TrainSpec(sources=(as_source_model(path, source_model),), instant_only=True),
        tmp_path / 'again',
        RecordingReport(),
        tmp_path,
    )
    assert again.report.accuracy > 0.9


def as_source_model(path: Path, source_model: SourceModelSpec) -> SourceModelSpec:
    return dataclasses.replace(
        source_model,
        architecture='squeezenet1_1+linear',
        weights=str(path),
        digest=file_digest(path),
        classes=3,
        name='detector',
    )


def test_a_detector_is_signed_by_the_crops_that_the_sources_were_compared_on(scenes):
    folder, manifest, source_model = scenes
    spec = dataclasses.replace(spec_for(scenes, 'faster-rcnn', refit=False), reference=source_model)
    report = train(manifest, spec, folder / 'signed', RecordingReport(), folder / 'cache').report
    assert report.signature.reference == source_model.digest
    assert len(report.signature.mean) == registry.architecture(source_model.architecture).feature_size


def two_thin_layers(layer, keep):
    return torch.nn.Sequential(
        torch.nn.Linear(layer.in_features, keep, bias=False), torch.nn.Linear(keep, layer.out_features)
    )


def test_dense_layers_that_a_detector_took_from_its_source_are_handed_on_and_those_cut_by_svd_are_not(
    tmp_path, monkeypatch
):
    # the shape alone counts, and AlexNet's decomposition takes a minute
    monkeypatch.setattr(svd, 'truncate_svd', two_thin_layers)
    source_model = synthetic_scenes.source(tmp_path, 'alex', 'alexnet', 224)
    network, source = registry.architecture('alexnet'), load(source_model)
    model = FastRcnn(network, source, 2, dataclasses.replace(FAST, pool=6))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    whole = source_network(source_model, model).state_dict()
    first, second = 'features.0.weight', 'classifier.1.weight'
    begun = load_file(source_model.weights)
    torch.testing.assert_close(whole[first], begun[first] + 1)
    torch.testing.assert_close(whole[second], begun[second] + 1)
    model.dense = svd.compress(model.dense, (2, 2))
    torch.testing.assert_close(source_network(source_model, model).state_dict()[second], begun[second])
