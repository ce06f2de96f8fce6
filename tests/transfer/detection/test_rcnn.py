"""R-CNN: crops, mining and regression by hand, by identity and against a maintained library; the whole on
drawn scenes."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image as Picture
from sklearn.linear_model import Ridge

torch = pytest.importorskip('torch')
from safetensors.torch import save_file

from tests.support.drawn_objects import LABELS, TWO_OBJECTS, draw_objects, propose_around, scatter_boxes
from tests.support.small_training import RecordingReport
from tests.support.synthetic_scenes import source as write_source
from transfer.data.decode import decode_image
from transfer.data.manifests import DetectionManifest
from transfer.detection.matching import MatchedRegions, match_regions
from transfer.detection.rcnn import regress, svm
from transfer.detection.rcnn.embedding import PhotoCache
from transfer.detection.rcnn.finetune import draw_batch, region_table
from transfer.detection.rcnn.model import margins_network, torch_inference
from transfer.detection.rcnn.train import train
from transfer.detection.sgd import parameter_groups
from transfer.regions.boxes import iou
from transfer.regions.warp import warp_region
from transfer.serving.artifacts import Preprocessing
from transfer.spec.errors import JobCancelledError, TrainingError
from transfer.spec.rcnn import RcnnSpec
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.networks.registry import architecture

GREY = (0.5, 0.5, 0.5)
SPEC = RcnnSpec(batch=24, steps=30, rate=0.002, context=6)


def noise(height: int = 60, width: int = 80) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_a_box_of_the_inner_size_is_cut_out_with_its_surroundings_unchanged():
    pixels = noise()
    crop = warp_region(pixels, np.array([20.0, 18, 40, 38]), side=32, context=6, fill=GREY)
    np.testing.assert_array_equal(crop, pixels[12:44, 14:46])


def test_surroundings_outside_the_image_are_of_the_mean_colour():
    pixels = np.full((60, 80, 3), 200, np.uint8)
    crop = warp_region(pixels, np.array([0.0, 0, 20, 20]), side=32, context=6, fill=GREY)
    assert (crop[:6] == 128).all()
    assert (crop[:, :6] == 128).all()
    assert (crop[6:, 6:] == 200).all()


@pytest.mark.parametrize(
    'box', [(0, 0, 80, 60), (-5, -5, 90, 70), (79, 59, 80, 60), (10, 10, 10.2, 40), (0, 0, 80, 1)]
)
def test_any_box_fills_the_square(box):
    crop = warp_region(noise(), np.array(box, float), side=32, context=6, fill=GREY)
    assert crop.shape == (32, 32, 3)
    assert crop[16, 16].tolist() != []


def test_a_box_is_stretched_without_regard_to_its_shape():
    pixels = np.zeros((100, 100, 3), np.uint8)
    pixels[40:60, 10:90] = 255
    crop = warp_region(pixels, np.array([10.0, 40, 90, 60]), side=44, context=6, fill=GREY)
    assert (crop[7:37, 7:37] == 255).all()
    assert crop[2, 2].max() < 128


def test_a_batch_is_a_quarter_objects_at_least_half_covered():
    known = [match_regions(TWO_OBJECTS, scatter_boxes(seed), 300) for seed in range(2)]
    foreground, background = region_table(known, RcnnSpec())
    assert len(foreground) + len(background) == sum(len(entry.boxes) for entry in known)
    for image, region, label in foreground:
        assert known[image].overlaps_with(label - 1)[region] >= 0.5
    assert not background[:, 2].any()
    assert all(known[image].overlaps[region] < 0.5 for image, region, _ in background)
    batch = draw_batch(foreground, background, RcnnSpec(), np.random.default_rng(0))
    assert len(batch) == 128
    assert (batch[:, 2] > 0).sum() == 32


def test_the_last_layer_learns_faster_and_every_parameter_once():
    network = architecture('squeezenet1_1')
    model = network.build(3)
    head = network.replace_head(model, 4)
    groups = parameter_groups(model, set(head.parameters()), RcnnSpec())
    listed = [parameter for group in groups for parameter in group['params']]
    assert len(listed) == len(set(listed)) == len(list(model.parameters()))
    rates = {id(parameter): round(group['lr'], 6) for group in groups for parameter in group['params']}
    assert (rates[id(head.weight)], rates[id(head.bias)]) == (0.01, 0.02)
    assert sorted(rates.values()) == [0.001] * 25 + [0.002] * 25 + [0.01, 0.02]


def clouds(seed: int, images: int = 6) -> tuple[list, list[np.ndarray]]:
    """Regions with features that lie in a cloud for each class and one for background; half-covered ones lie
    between."""
    rng = np.random.default_rng(seed)
    known, features = [], []
    for number in range(images):
        entry = match_regions(TWO_OBJECTS, scatter_boxes(number, 400), 400)
        centre = np.zeros((len(entry.boxes), 8))
        centre[:, 0] = 4 * entry.overlaps_with(0)
        centre[:, 1] = 4 * entry.overlaps_with(1)
        known.append(entry)
        features.append((centre + rng.normal(0, 0.3, centre.shape)).astype(np.float32))
    return known, features


def test_features_are_scaled_to_the_published_length():
    known, features = clouds(0)
    scale = svm.feature_scale(known, features.__getitem__, RcnnSpec())
    mean = np.mean([np.linalg.norm(rows * scale, axis=1).mean() for rows in features])
    assert mean == pytest.approx(20, rel=0.05)


def test_an_svm_puts_true_boxes_over_far_regions():
    known, features = clouds(1)
    scale = svm.feature_scale(known, features.__getitem__, RcnnSpec())
    machine = svm.train_class(
        0, known, features.__getitem__, scale, dataclasses.replace(RcnnSpec(), svm_c=0.1)
    )
    for entry, rows in zip(known, features, strict=True):
        scores = machine.scores(rows * scale)
        assert scores[0] > np.percentile(scores[entry.overlaps_with(0) < 0.3], 99)


def test_mining_ends_where_learning_from_all_negatives_does():
    known, features = clouds(2)
    scale = svm.feature_scale(known, features.__getitem__, RcnnSpec())
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


def needles(hard: int = 3, easy: int = 600) -> tuple[list[MatchedRegions], list[np.ndarray]]:
    """Eight images with hundreds of easy negatives; from the second on, each has a few hard ones too, after
    the ground truth.

    Feature 0 is large for objects and for hard negatives, which differ in feature 1 alone; easy negatives are
    near the origin.
    """
    rng = np.random.default_rng(7)
    regions, features = [], []
    for number in range(8):
        low, high = rng.uniform(0, 2, (hard + easy, 2)), rng.uniform(4, 8, (hard + easy, 2))
        far = np.hstack([low, high])  # in a corner, away from both objects
        entry = match_regions(TWO_OBJECTS, far, hard + easy)
        assert len(entry.boxes) == 2 + hard + easy
        rows = rng.normal(0, 0.1, (len(entry.boxes), 4))
        rows[0] += [2.0, 1.0, 0, 0]
        rows[1] += [0, 0, 2.0, 0]
        if number:
            rows[2 : 2 + hard] += [2.0, -1.0, 0, 0]
        regions.append(entry)
        features.append(rows.astype(np.float32))
    return regions, features


def test_mining_learns_from_the_few_hard_negatives_among_thousands_of_easy_ones(monkeypatch):
    regions, features = needles()
    fitted: list[int] = []
    fit = svm._fit

    def record(positives, negatives, spec):
        fitted.append(len(negatives))
        return fit(positives, negatives, spec)

    monkeypatch.setattr(svm, '_fit', record)
    spec = RcnnSpec(svm_c=1.0, retrain_after=1)
    machine = svm.train_class(0, regions, features.__getitem__, 1.0, spec)
    objects = np.concatenate([rows[:1] for rows in features])
    hard = np.concatenate([rows[2:5] for rows in features[1:]])
    assert machine.scores(objects).min() > machine.scores(hard).max() + 1
    assert fitted[0] == 604  # all of the first image
    assert max(fitted[1:]) < 700  # of 4,832: the easy ones of the others never enter


def test_negatives_enter_when_they_score_above_the_margin(monkeypatch):
    regions, features = needles()
    fitted: list[tuple[np.ndarray, svm.Svm]] = []
    fit = svm._fit

    def record(positives, negatives, spec):
        fitted.append((negatives, fit(positives, negatives, spec)))
        return fitted[-1][1]

    monkeypatch.setattr(svm, '_fit', record)
    spec = RcnnSpec(svm_c=1.0, retrain_after=0)
    svm.train_class(0, regions, features.__getitem__, 1.0, spec)
    entered = 0
    for (before, machine), (after, _) in pairwise(fitted):
        known = {row.tobytes() for row in before}
        added = np.array([row for row in after if row.tobytes() not in known]).reshape(-1, 4)
        stayed = np.array([row for row in after if row.tobytes() in known]).reshape(-1, 4)
        assert (machine.scores(added) > spec.hard_margin).all()
        assert (machine.scores(stayed) >= spec.easy_margin).all()
        entered += len(added)
    assert entered >= 3  # those of the second image, which no SVM has met before


def test_half_covered_regions_are_neither_positive_nor_negative():
    known, features = clouds(3)
    spec, scale = RcnnSpec(), svm.feature_scale(clouds(3)[0], features.__getitem__, RcnnSpec())
    machine = svm.train_class(0, known, features.__getitem__, scale, spec)
    for entry, rows in zip(known, features, strict=True):
        between = (entry.overlaps_with(0) >= 0.3) & (np.arange(len(rows)) >= entry.ground_truths)
        rows[between] = 1e3
    again = svm.train_class(0, known, features.__getitem__, scale, spec)
    np.testing.assert_allclose(machine.weight, again.weight)


def test_a_class_without_examples_is_never_predicted():
    known, features = clouds(4)
    empty = [match_regions(TWO_OBJECTS, scatter_boxes(n), 300) for n in range(2)]
    rows = [np.ones((len(entry.boxes), 8), np.float32) for entry in empty]
    assert svm.train_class(2, empty, rows.__getitem__, 1.0, RcnnSpec()).scores(rows[0]).max() < -1e6
    still = regress.train_class(2, empty, rows.__getitem__, 1.0, RcnnSpec())
    assert not still.shifts(rows[0]).any()
    assert regress.train_class(0, known, features.__getitem__, 1.0, RcnnSpec()).weight.shape == (8, 4)


@pytest.mark.parametrize(('n', 'd'), [(200, 12), (10, 40)])
def test_box_regression_is_ridge_on_whitened_targets(n, d):
    rng = np.random.default_rng(n)
    features, targets = rng.normal(size=(n, d)), rng.normal(size=(n, 4)) @ rng.normal(size=(4, 4)) + 3
    found = regress.fit_regressor(features, targets, RcnnSpec(ridge=10.0))
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


def test_only_regions_near_an_object_of_the_class_teach_where_its_box_lies():
    known, features = clouds(3)
    scale = svm.feature_scale(known, features.__getitem__, RcnnSpec())
    before = regress.train_class(0, known, features.__getitem__, scale, RcnnSpec())
    for entry, rows in zip(known, features, strict=True):
        rows[(entry.overlaps <= 0.6) | (entry.labels != 1)] = 1e3
    after = regress.train_class(0, known, features.__getitem__, scale, RcnnSpec())
    np.testing.assert_allclose(before.weight, after.weight)
    assert before.weight.any()


def test_shifts_that_are_linear_in_the_features_are_found():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(500, 6))
    targets = features @ rng.normal(size=(6, 4)) + 0.5
    np.testing.assert_allclose(
        regress.fit_regressor(features, targets, RcnnSpec(ridge=1e-6)).shifts(features), targets, atol=1e-5
    )


def test_photos_stay_within_their_bound(tmp_path):
    for number in range(4):
        Picture.fromarray(noise(100, 100)).save(tmp_path / f'{number}.png')
    photos = PhotoCache(limit=70_000)
    first = photos.get(str(tmp_path / '0.png'))
    assert photos.get(str(tmp_path / '0.png')) is first
    for number in range(4):
        photos.get(str(tmp_path / f'{number}.png'))
    assert photos.get(str(tmp_path / '0.png')) is not first


def near(image, seed: int) -> np.ndarray:
    return propose_around(image, seed, near=12, anywhere=30)


@pytest.fixture
def world(tmp_path):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    images = [draw_objects(tmp_path / f'{seed}.png', seed) for seed in range(14)]
    weights = tmp_path / 'source.safetensors'
    save_file(architecture('squeezenet1_1').build(4).state_dict(), weights)
    source = SourceModelSpec('source', 'squeezenet1_1', str(weights), '', 4, 10, side=48)
    return DetectionManifest(LABELS, tuple(images[:10])), images[10:], source


def test_a_detector_learns_drawn_objects_and_finds_them_on_new_pictures(world, tmp_path):
    manifest, held_out, _ = world
    report = RecordingReport()
    # From random weights of a small network 120 steps find eight of eight, 60 six or seven (three seeds).
    source = write_source(tmp_path, 'small', 'lenet5', 32)
    spec = dataclasses.replace(SPEC, steps=120, rate=0.01, context=4)
    detector = train(
        manifest,
        [near(image, n) for n, image in enumerate(manifest.images)],
        source,
        spec,
        tmp_path,
        report,
    )
    assert [progress.phase for progress in report.recorded][-1] == 'svm'
    assert all(
        one.fraction <= other.fraction
        for one, other in zip(report.recorded, report.recorded[1:], strict=False)
    )
    given = Preprocessing.of(source)
    infer = torch_inference(margins_network(detector), given, spec, len(LABELS), 'cpu')
    right = 0
    for number, image in enumerate(held_out):
        found = infer(decode_image(image.path), near(image, 100 + number))
        for truth in image.boxes:
            mine = found.labels == truth.label
            if mine.any():
                best = found.boxes[mine][found.scores[mine].argmax()]
                right += iou(best[None], np.array([[truth.x0, truth.y0, truth.x1, truth.y1]]))[0, 0] >= 0.5
    assert right >= 6  # of eight objects
    assert len(infer(decode_image(held_out[0].path), np.zeros((0, 4)))) == 0


def test_steps_too_long_for_the_network_are_cut_to_length(world, tmp_path):
    manifest, _, source = world
    proposals = [near(image, n) for n, image in enumerate(manifest.images)]
    bold = dataclasses.replace(SPEC, rate=0.2, warm_up=0, steps=12)
    with pytest.raises(TrainingError, match='diverged'):
        train(
            manifest,
            proposals,
            source,
            dataclasses.replace(bold, clip=1e9),
            tmp_path / 'astray',
            RecordingReport(),
        )
    train(
        manifest,
        proposals,
        source,
        dataclasses.replace(bold, clip=0.1),
        tmp_path / 'there',
        RecordingReport(),
    )


def test_cancelling_stops_at_the_next_step(world, tmp_path):
    manifest, _, source = world
    report = RecordingReport(raise_at=2, error=JobCancelledError)
    with pytest.raises(JobCancelledError):
        train(
            manifest,
            [near(image, n) for n, image in enumerate(manifest.images)],
            source,
            SPEC,
            tmp_path,
            report,
        )
    assert len(report.recorded) == 2


def test_a_set_without_boxes_cannot_be_learned_from(world, tmp_path):
    manifest, _, source = world
    empty = DetectionManifest(
        manifest.labels, tuple(dataclasses.replace(image, boxes=()) for image in manifest.images)
    )
    with pytest.raises(TrainingError, match='No image has a box'):
        train(empty, [np.array([[0.0, 0, 9, 9]])] * 10, source, SPEC, tmp_path, RecordingReport())
