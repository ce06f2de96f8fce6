"""R-CNN: crops, mining and regression by hand, by identity and against a maintained library; the whole on drawn scenes."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
from PIL import Image as Picture
from sklearn.linear_model import Ridge

torch = pytest.importorskip('torch')
from safetensors.torch import save_file

from transfer.data.decode import decode_whole
from transfer.data.manifests import BoxedImage, DetectionManifest, LabelledBox
from transfer.detection.rcnn import regress, svm
from transfer.detection.rcnn.detector import detect
from transfer.detection.rcnn.finetune import drawn, rate_factor, rates, windows
from transfer.detection.rcnn.regions import Photos, regions
from transfer.detection.rcnn.train import train
from transfer.regions.boxes import iou
from transfer.regions.warp import warped
from transfer.spec.errors import JobCancelledError, TrainingError
from transfer.spec.rcnn import RcnnSpec
from transfer.spec.report import Progress
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.networks.registry import architecture

GREY = (0.5, 0.5, 0.5)
SPEC = RcnnSpec(batch=24, steps=30, rate=0.002, context=6)


def noise(height: int = 60, width: int = 80) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_a_box_of_the_inner_size_is_cut_out_with_its_surroundings_unchanged():
    pixels = noise()
    crop = warped(pixels, np.array([20.0, 18, 40, 38]), side=32, context=6, fill=GREY)
    np.testing.assert_array_equal(crop, pixels[12:44, 14:46])


def test_surroundings_outside_the_image_are_of_the_mean_colour():
    pixels = np.full((60, 80, 3), 200, np.uint8)
    crop = warped(pixels, np.array([0.0, 0, 20, 20]), side=32, context=6, fill=GREY)
    assert (crop[:6] == 128).all()
    assert (crop[:, :6] == 128).all()
    assert (crop[6:, 6:] == 200).all()


@pytest.mark.parametrize(
    'box', [(0, 0, 80, 60), (-5, -5, 90, 70), (79, 59, 80, 60), (10, 10, 10.2, 40), (0, 0, 80, 1)]
)
def test_any_box_fills_the_square(box):
    crop = warped(noise(), np.array(box, float), side=32, context=6, fill=GREY)
    assert crop.shape == (32, 32, 3)
    assert crop[16, 16].tolist() != []


def test_a_box_is_stretched_without_regard_to_its_shape():
    pixels = np.zeros((100, 100, 3), np.uint8)
    pixels[40:60, 10:90] = 255
    crop = warped(pixels, np.array([10.0, 40, 90, 60]), side=44, context=6, fill=GREY)
    assert (crop[7:37, 7:37] == 255).all()
    assert crop[2, 2].max() < 128


TWO = BoxedImage(
    '', 100, 80, (LabelledBox(10, 10, 50, 50, 0), LabelledBox(60, 20, 90, 70, 1)), 'digest', 'two'
)


def scattered(seed: int, n: int = 300) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 60, (n, 2))
    return np.hstack([corners, corners + rng.uniform(5, 40, (n, 2))])


def test_regions_know_their_overlap_with_every_class():
    known = regions(TWO, scattered(0), 300, 3)
    assert known.truths == 2
    truth = np.array([[10, 10, 50, 50], [60, 20, 90, 70]], float)
    np.testing.assert_allclose(known.overlaps[:, :2], iou(known.boxes, truth))
    assert not known.overlaps[:, 2].any()
    assert known.labels[:2].tolist() == [0, 1]
    hard = dataclasses.replace(TWO, boxes=(LabelledBox(10, 10, 50, 50, 0, difficult=True),))
    assert regions(hard, scattered(0), 300, 3).truths == 0


def test_a_batch_is_a_quarter_objects_at_least_half_covered():
    known = [regions(TWO, scattered(seed), 300, 2) for seed in range(2)]
    foreground, background = windows(known, RcnnSpec())
    assert len(foreground) + len(background) == sum(len(entry.boxes) for entry in known)
    for image, region, label in foreground:
        assert known[image].overlaps[region, label - 1] >= 0.5
    assert not background[:, 2].any()
    batch = drawn(foreground, background, RcnnSpec(), np.random.default_rng(0))
    assert len(batch) == 128
    assert (batch[:, 2] > 0).sum() == 32


def test_the_last_layer_learns_faster_and_every_parameter_once():
    network = architecture('squeezenet1_1')
    model = network.build(3)
    network.replace_head(model, 4)
    groups = rates(network, model, RcnnSpec())
    listed = [parameter for group in groups for parameter in group['params']]
    assert len(listed) == len(set(listed)) == len(list(model.parameters()))
    assert [round(group['lr'], 6) for group in groups[-2:]] == [0.01, 0.02]
    assert [round(group['lr'], 6) for group in groups[:2]] == [0.001, 0.002]


def clouds(seed: int, images: int = 6) -> tuple[list, list[np.ndarray]]:
    """Regions with features that lie in a cloud for each class and one for background; half-covered ones lie between."""
    rng = np.random.default_rng(seed)
    known, features = [], []
    for number in range(images):
        entry = regions(TWO, scattered(number, 400), 400, 2)
        centre = np.zeros((len(entry.boxes), 8))
        centre[:, 0] = 4 * entry.overlaps[:, 0]
        centre[:, 1] = 4 * entry.overlaps[:, 1]
        known.append(entry)
        features.append((centre + rng.normal(0, 0.3, centre.shape)).astype(np.float32))
    return known, features


def test_features_are_scaled_to_the_published_length():
    known, features = clouds(0)
    scale = svm.scale_of(known, features.__getitem__, RcnnSpec())
    mean = np.mean([np.linalg.norm(rows * scale, axis=1).mean() for rows in features])
    assert mean == pytest.approx(20, rel=0.05)


def test_an_svm_puts_true_boxes_over_far_regions():
    known, features = clouds(1)
    scale = svm.scale_of(known, features.__getitem__, RcnnSpec())
    machine = svm.train_class(
        0, known, features.__getitem__, scale, dataclasses.replace(RcnnSpec(), svm_c=0.1)
    )
    for entry, rows in zip(known, features, strict=True):
        scores = machine.scores(rows * scale)
        assert scores[0] > np.percentile(scores[entry.overlaps[:, 0] < 0.3], 99)


def test_mining_ends_where_learning_from_all_negatives_does():
    known, features = clouds(2)
    scale = svm.scale_of(known, features.__getitem__, RcnnSpec())
    spec = dataclasses.replace(RcnnSpec(), svm_c=0.01)
    mined = svm.train_class(
        0, known, features.__getitem__, scale, dataclasses.replace(spec, retrain_after=300)
    )
    at_once = svm.train_class(
        0,
        known,
        features.__getitem__,
        scale,
        dataclasses.replace(spec, hard_margin=-np.inf, easy_margin=-np.inf),
    )
    rows = np.concatenate(features) * scale
    assert np.corrcoef(mined.scores(rows), at_once.scores(rows))[0, 1] > 0.99
    np.testing.assert_allclose(mined.scores(rows), at_once.scores(rows), atol=0.25)


def test_half_covered_regions_are_neither_positive_nor_negative():
    known, features = clouds(3)
    spec, scale = RcnnSpec(), svm.scale_of(clouds(3)[0], features.__getitem__, RcnnSpec())
    machine = svm.train_class(0, known, features.__getitem__, scale, spec)
    for entry, rows in zip(known, features, strict=True):
        between = (entry.overlaps[:, 0] >= 0.3) & (np.arange(len(rows)) >= entry.truths)
        rows[between] = 1e3
    again = svm.train_class(0, known, features.__getitem__, scale, spec)
    np.testing.assert_allclose(machine.weight, again.weight)


def test_a_class_without_examples_is_told_of_nothing():
    known, features = clouds(4)
    empty = [regions(TWO, scattered(n), 300, 3) for n in range(2)]
    rows = [np.ones((len(entry.boxes), 8), np.float32) for entry in empty]
    assert svm.train_class(2, empty, rows.__getitem__, 1.0, RcnnSpec()).scores(rows[0]).max() < -1e6
    still = regress.train_class(2, empty, rows.__getitem__, 1.0, RcnnSpec())
    assert not still.shifts(rows[0]).any()
    assert regress.train_class(0, known, features.__getitem__, 1.0, RcnnSpec()).weight.shape == (8, 4)


@pytest.mark.parametrize(('n', 'd'), [(200, 12), (10, 40)])
def test_box_regression_is_ridge_on_whitened_targets(n, d):
    rng = np.random.default_rng(n)
    features, targets = rng.normal(size=(n, d)), rng.normal(size=(n, 4)) @ rng.normal(size=(4, 4)) + 3
    found = regress.solved(features, targets, RcnnSpec(ridge=10.0))
    centred = targets - targets.mean(0)
    values, vectors = np.linalg.eigh(centred.T @ centred / n)
    white = centred @ vectors @ np.diag(1 / np.sqrt(values + 0.001)) @ vectors.T
    known = Ridge(alpha=10.0, fit_intercept=False).fit(np.hstack([features, np.ones((n, 1))]), white)
    np.testing.assert_allclose(np.vstack([found.weight, found.bias]).T, known.coef_, atol=1e-8)
    undone = (
        known.predict(np.hstack([features, np.ones((n, 1))]))
        @ vectors
        @ np.diag(np.sqrt(values + 0.001))
        @ vectors.T
    )
    np.testing.assert_allclose(found.shifts(features), undone + targets.mean(0), atol=1e-8)


def test_shifts_that_are_linear_in_the_features_are_found():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(500, 6))
    targets = features @ rng.normal(size=(6, 4)) + 0.5
    np.testing.assert_allclose(
        regress.solved(features, targets, RcnnSpec(ridge=1e-6)).shifts(features), targets, atol=1e-5
    )


def test_photos_stay_within_their_bound(tmp_path):
    for number in range(4):
        Picture.fromarray(noise(100, 100)).save(tmp_path / f'{number}.png')
    photos = Photos(limit=70_000)
    first = photos.get(str(tmp_path / '0.png'))
    assert photos.get(str(tmp_path / '0.png')) is first
    for number in range(4):
        photos.get(str(tmp_path / f'{number}.png'))
    assert photos.get(str(tmp_path / '0.png')) is not first


class Quiet:
    def __init__(self, cancel_after: int = 10**9) -> None:
        self.heard: list[Progress] = []
        self.cancel_after = cancel_after

    def progress(self, progress: Progress) -> None:
        self.heard.append(progress)
        if len(self.heard) >= self.cancel_after:
            raise JobCancelledError

    def instant(self, model: object) -> None: ...


def draw(path, seed: int) -> BoxedImage:
    """A red square and a blue bar on a noisy ground."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(80, 130, (80, 120, 3)).astype(np.uint8)
    boxes = []
    for place, label in enumerate(rng.permutation(2)):
        width, height = ((28, 28), (16, 44))[label]
        x, y = int(rng.integers(2, 28)) + 60 * place, int(rng.integers(2, 80 - height))
        pixels[y : y + height, x : x + width] = ((220, 40, 40), (40, 60, 220))[label]
        boxes.append(LabelledBox(x, y, x + width, y + height, int(label)))
    Picture.fromarray(pixels).save(path)
    return BoxedImage(
        str(path), 120, 80, tuple(boxes), hashlib.sha256(path.read_bytes()).hexdigest(), path.name
    )


def around(image: BoxedImage, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    truth = np.array([(b.x0, b.y0, b.x1, b.y1) for b in image.boxes], float)
    near = np.repeat(truth, 12, 0) + rng.normal(0, 4, (len(truth) * 12, 4))
    corners = rng.uniform(0, 60, (30, 2))
    return np.concatenate([near, np.hstack([corners, corners + rng.uniform(8, 50, (30, 2))])])


@pytest.fixture
def world(tmp_path):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    images = [draw(tmp_path / f'{seed}.png', seed) for seed in range(14)]
    weights = tmp_path / 'source.safetensors'
    save_file(architecture('squeezenet1_1').build(4).state_dict(), weights)
    source = SourceModelSpec('source', 'squeezenet1_1', str(weights), '', 4, 10, side=48)
    return DetectionManifest(('square', 'bar'), tuple(images[:10])), images[10:], source


def test_a_detector_learns_drawn_objects_and_finds_them_on_new_pictures(world, tmp_path):
    manifest, held_out, source = world
    report = Quiet()
    # From random weights 240 steps find seven or eight of eight (six seeds), 80 five to seven, by the processor's arithmetic.
    spec = dataclasses.replace(SPEC, steps=240)
    detector = train(
        manifest,
        [around(image, n) for n, image in enumerate(manifest.images)],
        source,
        spec,
        tmp_path,
        report,
    )
    assert [heard.phase for heard in report.heard][-1] == 'svm'
    assert all(
        one.fraction <= other.fraction for one, other in zip(report.heard, report.heard[1:], strict=False)
    )
    right = 0
    for number, image in enumerate(held_out):
        found = detect(detector, decode_whole(image.path), around(image, 100 + number))
        for truth in image.boxes:
            mine = found.labels == truth.label
            if mine.any():
                best = found.boxes[mine][found.scores[mine].argmax()]
                right += iou(best[None], np.array([[truth.x0, truth.y0, truth.x1, truth.y1]]))[0, 0] >= 0.5
    assert right >= 6  # of eight objects
    assert len(detect(detector, decode_whole(held_out[0].path), np.zeros((0, 4)))) == 0


def test_steps_too_long_for_the_network_are_cut_to_length(world, tmp_path):
    manifest, _, source = world
    near = [around(image, n) for n, image in enumerate(manifest.images)]
    bold = dataclasses.replace(SPEC, rate=0.2, warm_up=0)
    with pytest.raises(TrainingError, match='no number'):
        train(manifest, near, source, dataclasses.replace(bold, clip=1e9), tmp_path / 'astray', Quiet())
    train(manifest, near, source, dataclasses.replace(bold, clip=0.1), tmp_path / 'there', Quiet())


def test_the_rate_rises_at_first_and_falls_at_the_end():
    spec = RcnnSpec(steps=100)
    assert [rate_factor(step, spec) for step in (0, 10, 20, 74, 75, 99)] == pytest.approx(
        [0.1, 0.55, 1, 1, 0.1, 0.1]
    )


def test_cancelling_stops_at_the_next_step(world, tmp_path):
    manifest, _, source = world
    report = Quiet(cancel_after=2)
    with pytest.raises(JobCancelledError):
        train(
            manifest,
            [around(image, n) for n, image in enumerate(manifest.images)],
            source,
            SPEC,
            tmp_path,
            report,
        )
    assert len(report.heard) == 2


def test_a_set_without_boxes_cannot_be_learned_from(world, tmp_path):
    manifest, _, source = world
    empty = DetectionManifest(
        manifest.labels, tuple(dataclasses.replace(image, boxes=()) for image in manifest.images)
    )
    with pytest.raises(TrainingError, match='No image has a box'):
        train(empty, [np.array([[0.0, 0, 9, 9]])] * 10, source, SPEC, tmp_path, Quiet())
