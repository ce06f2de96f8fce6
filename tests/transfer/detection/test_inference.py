"""What is measured is what is served: torch and the sealed graphs answer alike, for every kind and with both
kinds of pooling."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from tests.support.drawn_objects import LABELS, draw_objects, propose_around
from tests.support.small_training import RecordingReport
from tests.support.synthetic_scenes import source as write_source
from transfer.data.decode import decode_image
from transfer.data.manifests import DetectionManifest
from transfer.detection.detector import DetectorTrainingData, TrainedDetector
from transfer.detection.fast_rcnn import infer
from transfer.detection.registry import get_detector, load_graphs
from transfer.serving.artifacts import ArtifactMeta, DetectorMeta, Preprocessing
from transfer.spec.detectors import DETECTORS
from transfer.spec.errors import IncompatibleArtifactError, InvalidSpecError
from transfer.spec.fast_rcnn import FastRcnnSpec
from transfer.spec.faster_rcnn import FasterRcnnSpec
from transfer.spec.rcnn import RcnnSpec
from transfer.spec.report import EngineInfo
from transfer.spec.train_spec import TrainSpec

FAST = FastRcnnSpec(
    short_side=96,
    long_side=160,
    rois_per_image=32,
    reduce=16,
    hidden=(32,),
    pool=3,
    frozen_stages=0,
    head_steps=8,
    epochs=2,
    rate=0.002,
    warm_up=2,
)
FASTER = FasterRcnnSpec(
    short_side=96, long_side=160, anchors=(16, 32), reduce=16, pool=3, hidden=32, epochs=1
)
RCNN = RcnnSpec(proposals=60, steps=2, batch=8)


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """A photo to learn from, one to ask about, and a source."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp('inference')
    first, second = (draw_objects(folder / f'{seed}.png', seed) for seed in range(2))
    return folder, DetectionManifest(LABELS, (first,)), second, write_source(folder)


def train(world, kind: str, options: object, folder: Path) -> TrainedDetector:
    _, manifest, _, source = world
    proposals = [propose_around(image, seed) for seed, image in enumerate(manifest.images)]
    data = DetectorTrainingData(manifest, proposals, source, folder, torch.device('cpu'))
    return get_detector(kind).train(data, options, RecordingReport())


def export(trained: TrainedDetector, kind: str, source, folder: Path) -> tuple[ArtifactMeta, str]:
    folder.mkdir()
    why_not = trained.export(folder)
    known = DetectorMeta(
        kind=kind,
        spec=dataclasses.asdict(trained.options),
        least_side=trained.least_side,
        proposals='selective-search',
        limit=100,
        score_threshold=0.5,
        stride=trained.stride,
        channels=trained.channels,
    )
    preprocessing = Preprocessing.of(source)
    return ArtifactMeta(
        LABELS, source.architecture, preprocessing, 1.0, EngineInfo(), detection=known
    ), why_not


def crowd(image) -> np.ndarray:
    """Proposals of which many differ by less than a cell: max pooling takes them for one, RoIAlign does
    not."""
    boxes = propose_around(image, 5)
    return np.concatenate([boxes, boxes + 0.7, boxes + 1.3]).clip(0, (120, 80, 120, 80))


@pytest.mark.parametrize('align', [False, True])
def test_fast_rcnn_answers_alike_by_torch_and_by_its_graphs(align, world, tmp_path):
    trained = train(world, 'fast-rcnn', dataclasses.replace(FAST, align=align), tmp_path)
    meta, why_not = export(trained, 'fast-rcnn', world[3], tmp_path / 'sealed')
    assert why_not == ''
    image = world[2]
    photo, proposals = decode_image(image.path), crowd(image)
    measured = trained.infer(photo, proposals)
    served = load_graphs(tmp_path / 'sealed', meta)(photo, proposals)
    reloaded = get_detector('fast-rcnn').load(tmp_path / 'sealed', meta, 'cpu')(photo, proposals)
    assert len(measured) > 0
    for found in (served, reloaded):
        assert found.labels.tolist() == measured.labels.tolist()
        np.testing.assert_allclose(found.scores, measured.scores, atol=1e-4)
        np.testing.assert_allclose(found.boxes, measured.boxes, atol=0.05)


@pytest.mark.parametrize(('align', 'merges'), [(False, True), (True, False)])
def test_regions_are_merged_only_where_pooling_rounds_them(align, merges, world, monkeypatch):
    """As torch's own forward pass on all regions shows: merged ones get each what they would have got
    alone."""
    from transfer.detection.fast_rcnn.model import FastRcnn, RegionPredictor, torch_inference
    from transfer.zoo.networks.registry import architecture

    torch.manual_seed(1)
    network = architecture('squeezenet1_1')
    spec = dataclasses.replace(FAST, align=align, class_std=0.5)
    model = FastRcnn(network, network.build(3), 2, spec).eval()
    pooled: list[int] = []
    pool = infer.pool_regions

    def count(features, regions, *arguments, **named):
        pooled.append(len(regions))
        return pool(features, regions, *arguments, **named)

    rows: list[np.ndarray] = []

    def record(boxes, given, *rest):
        rows.append(given)
        return

    monkeypatch.setattr(infer, 'pool_regions', count)
    monkeypatch.setattr(infer, 'postprocess_predictions', record)
    image, preprocessing = world[2], Preprocessing.of(world[3])
    photo, proposals = decode_image(image.path), crowd(image)
    proposals = infer.usable_proposals(proposals, 2000)
    torch_inference(model, preprocessing, spec)(photo, proposals)
    assert (pooled[0] < len(proposals)) == merges
    pixels, scale = infer.resize_photo(photo, spec)
    values = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (preprocessing.mean, preprocessing.std))
    with torch.inference_mode():
        features = model.reduce(model.extract_features((values - mean) / std))
        regions = torch.from_numpy(infer.scale_boxes(proposals, scale))
        alone = RegionPredictor(model)(model.roi_pool(features, [regions]))
    np.testing.assert_allclose(rows[0], alone.numpy(), atol=1e-3)


def test_rcnn_answers_alike_by_torch_and_by_its_graph(world, tmp_path):
    trained = train(world, 'rcnn', RCNN, tmp_path)
    meta, why_not = export(trained, 'rcnn', world[3], tmp_path / 'sealed')
    assert why_not == ''
    photo, proposals = decode_image(world[2].path), propose_around(world[2], 5)
    measured = trained.infer(photo, proposals)
    assert len(measured) > 0
    for served in (
        load_graphs(tmp_path / 'sealed', meta),
        get_detector('rcnn').load(tmp_path / 'sealed', meta, 'cpu'),
    ):
        found = served(photo, proposals)
        np.testing.assert_allclose(found.scores, measured.scores, atol=1e-4)
        np.testing.assert_allclose(found.boxes, measured.boxes, atol=0.05)


def test_faster_rcnn_is_reloaded_as_it_was_and_has_no_graph(world, tmp_path):
    trained = train(world, 'faster-rcnn', FASTER, tmp_path)
    meta, why_not = export(trained, 'faster-rcnn', world[3], tmp_path / 'sealed')
    assert 'torch serves it' in why_not
    photo, none = decode_image(world[2].path), np.zeros((0, 4))
    measured = trained.infer(photo, none)
    found = get_detector('faster-rcnn').load(tmp_path / 'sealed', meta, 'cpu')(photo, none)
    np.testing.assert_allclose(found.scores, measured.scores, atol=1e-5)


@pytest.mark.parametrize('kind', DETECTORS)
def test_every_kind_of_the_table_has_a_detector_with_options_of_its_own(kind):
    detector = get_detector(kind)
    assert detector.info is DETECTORS[kind]
    options = TrainSpec().get_options(detector.info)
    assert isinstance(options, detector.info.options)
    adapted = detector.adapt_to_device(options, torch.device('cpu'))
    assert detector.proposal_limit(adapted) <= detector.proposal_limit(options)
    assert detector.adapt_to_device(options, torch.device('cuda')) == options
    written = dataclasses.asdict(options)
    assert detector.info.read_options({k: list(v) if isinstance(v, tuple) else v for k, v in written.items()})


def test_an_unknown_kind_is_refused(tmp_path):
    assert get_detector('auto').info.kind == 'fast-rcnn'
    with pytest.raises(InvalidSpecError, match='detector must be one of'):
        get_detector('yolo')
    preprocessing = Preprocessing(64, (0.5,) * 3, (0.5,) * 3)
    meta = ArtifactMeta(LABELS, 'squeezenet1_1', preprocessing, 1.0, EngineInfo('openvino'))
    with pytest.raises(IncompatibleArtifactError, match='classifier'):
        load_graphs(tmp_path, meta)
    known = DetectorMeta('yolo', {}, 100, 'selective-search', 100, 0.5)
    with pytest.raises(IncompatibleArtifactError, match='yolo'):
        load_graphs(tmp_path, dataclasses.replace(meta, detection=known))
