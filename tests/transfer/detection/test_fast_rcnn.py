"""Fast R-CNN: sampling, targets, loss and SVD by hand and by identity; the whole on drawn scenes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip('torch')
from safetensors.torch import save_file
from torch import nn
from torch.optim import SGD
from torchvision.ops import roi_pool

from tests.support.drawn_objects import LABELS, TWO_OBJECTS, draw_objects, propose_around, scatter_boxes
from tests.support.small_training import RecordingReport
from transfer.data.decode import UprightImage, decode_image
from transfer.data.manifests import BoxedImage, DetectionManifest
from transfer.detection.fast_rcnn.infer import distinct_regions
from transfer.detection.fast_rcnn.loss import detection_loss
from transfer.detection.fast_rcnn.model import FastRcnn, torch_inference
from transfer.detection.fast_rcnn.sampling import (
    USUAL_STD,
    compute_shift_statistics,
    draw_sample,
    mirror_sample,
)
from transfer.detection.fast_rcnn.svd import compress, truncate_svd
from transfer.detection.fast_rcnn.train import (
    FastRcnnSteps,
    FeatureMaps,
    freeze_stages,
    new_parameters,
    train,
)
from transfer.detection.matching import MatchedRegions, match_regions
from transfer.detection.sgd import parameter_groups
from transfer.regions.boxes import decode, encode, iou
from transfer.regions.resize import resize_photo, scale_boxes
from transfer.serving.artifacts import Preprocessing
from transfer.spec.errors import JobCancelledError, TrainingError, UnusableSourceError
from transfer.spec.fast_rcnn import FastRcnnSpec
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.networks.backbone import convolutional_body
from transfer.zoo.networks.registry import architecture

SPEC = FastRcnnSpec(
    short_side=96,
    long_side=160,
    rois_per_image=32,
    reduce=16,
    hidden=(32,),
    pool=3,
    frozen_stages=0,
    head_steps=0,
)


EMPTY = BoxedImage('', 100, 80, (), 'digest', 'nothing on it')


def match(image: BoxedImage, proposals: np.ndarray, limit: int) -> MatchedRegions:
    return match_regions(image, proposals, limit).without_duplicates()


def test_a_sample_keeps_the_published_shares_and_limits():
    known = match(
        TWO_OBJECTS,
        np.concatenate([scatter_boxes(2), np.array([[12, 11, 50, 50]] * 40) + np.arange(40)[:, None] / 10]),
        400,
    )
    spec = FastRcnnSpec(rois_per_image=64)
    statistics = compute_shift_statistics([known], 2, spec)
    for seed in range(5):
        drawn = draw_sample(known, statistics, spec, np.random.default_rng(seed))
        best = iou(drawn.boxes, np.array([[10, 10, 50, 50], [60, 20, 90, 70]], float)).max(1)
        assert (drawn.labels > 0).sum() == 16
        assert (best[drawn.labels > 0] >= 0.5).all()
        assert ((best[drawn.labels == 0] < 0.5) & (best[drawn.labels == 0] >= 0.1)).all()
        assert not drawn.moves[drawn.labels == 0].any()


def test_a_rare_class_is_sampled_as_often_as_a_common_one_by_default():
    near = np.concatenate(
        [np.array([[10, 10, 50, 50]]) + np.arange(200)[:, None] / 50, np.array([[60, 20, 90, 70.5]])]
    )
    known = match(TWO_OBJECTS, near, 400)
    counts = {}
    for balance in (True, False):
        spec = FastRcnnSpec(rois_per_image=8, balance=balance)
        statistics = compute_shift_statistics([known], 2, spec)
        drawn = [
            draw_sample(known, statistics, spec, np.random.default_rng(seed)).labels for seed in range(60)
        ]
        counts[balance] = np.concatenate(drawn).tolist().count(2)
    assert counts[True] > 10 * counts[False]


def test_targets_of_a_class_have_mean_zero_and_deviation_one():
    known = match(TWO_OBJECTS, np.concatenate([scatter_boxes(3, 4000)]), 4000)
    statistics = compute_shift_statistics([known], 2, FastRcnnSpec())
    chosen = (known.labels == 1) & (known.overlaps >= 0.5)
    shifts = (encode(known.boxes[chosen], known.nearest[chosen]) - statistics.mean[1]) / statistics.std[1]
    np.testing.assert_allclose(shifts.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(shifts.std(0), 1, atol=1e-9)
    few = compute_shift_statistics([match(TWO_OBJECTS, np.zeros((0, 4)), 10)], 2, FastRcnnSpec())
    assert few.std[1].tolist() == list(USUAL_STD)


def test_an_empty_photo_is_background():
    known = match(EMPTY, scatter_boxes(4), 300)
    spec = FastRcnnSpec(rois_per_image=64)
    drawn = draw_sample(known, compute_shift_statistics([known], 1, spec), spec, np.random.default_rng(0))
    assert len(drawn.labels) == 64
    assert not drawn.labels.any()


def test_a_mirrored_sample_leads_to_the_mirrored_truth():
    known = match(TWO_OBJECTS, scatter_boxes(5, 3000), 3000)
    statistics = compute_shift_statistics([known], 2, FastRcnnSpec())
    drawn = draw_sample(known, statistics, FastRcnnSpec(), np.random.default_rng(0))
    flipped = mirror_sample(drawn, statistics, 100)
    led = decode(flipped.boxes, flipped.shifts * statistics.std[drawn.labels] + statistics.mean[drawn.labels])
    truth = np.array([[50, 10, 90, 50], [10, 20, 40, 70]], float)
    np.testing.assert_allclose(led[drawn.moves], truth[drawn.labels[drawn.moves] - 1], atol=1e-6)


def test_the_loss_by_hand():
    scores = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    shifts = torch.zeros(2, 2, 4)
    shifts[0, 1] = torch.tensor([0.5, 2.0, 0.0, 0.0])  # 0.5 * 0.25, and 2 - 0.5
    shifts[1] = 99.0  # background: its shifts count for nothing
    targets, labels, moves = torch.zeros(2, 4), torch.tensor([1, 0]), torch.tensor([True, False])
    value = detection_loss(scores, shifts, labels, targets, moves, weight=1.0)
    assert value.item() == pytest.approx(np.log(2) + (0.125 + 1.5) / 2)
    assert detection_loss(scores, shifts, labels, targets, moves, weight=0.0).item() == pytest.approx(
        np.log(2)
    )


def test_svd_of_full_rank_changes_nothing_and_of_low_rank_is_the_best_there_is():
    torch.manual_seed(0)
    layer, x = nn.Linear(20, 12), torch.randn(5, 20)
    torch.testing.assert_close(truncate_svd(layer, 12)(x), layer(x), atol=1e-5, rtol=1e-4)
    small = truncate_svd(layer, 4)
    weight = small[1].weight @ small[0].weight
    lost = torch.linalg.svdvals(layer.weight)[4:].square().sum().sqrt()
    assert torch.linalg.norm(weight - layer.weight).item() == pytest.approx(lost.item(), rel=1e-4)
    assert small[0].bias is None
    dense = nn.Sequential(nn.Linear(20, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU())
    torch.testing.assert_close(compress(dense, (99, 99))(x), dense(x), atol=1e-5, rtol=1e-4)


def test_regions_that_fall_on_the_same_cells_are_pooled_once_by_max_pooling():
    regions = np.array([[0.0, 0, 32, 32], [100, 0, 132, 32], [1, 1, 33, 33]], np.float32)
    first, inverse = distinct_regions(regions, 16, align=False)
    assert len(first) == 2
    assert inverse[0] == inverse[2] != inverse[1]
    features = torch.randn(1, 4, 10, 10)
    pooled = roi_pool(features, [torch.from_numpy(regions)], (3, 3), 1 / 16)
    torch.testing.assert_close(pooled[first][inverse], pooled)


def test_roi_align_tells_such_regions_apart():
    regions = np.array([[0.0, 0, 32, 32], [100, 0, 132, 32], [1, 1, 33, 33]], np.float32)
    first, inverse = distinct_regions(regions, 16, align=True)
    assert first.tolist() == inverse.tolist() == [0, 1, 2]


BODIES = [
    ('mobilenet_v3_small', 16, 576),
    ('mobilenet_v2', 16, 1280),
    ('squeezenet1_1', 16, 512),
    ('resnet18', 16, 512),
    ('vgg11', 16, 512),
    ('alexnet', 16, 256),
    ('shufflenet_v2_x0_5', 16, 1024),
    ('densenet121', 16, 256),  # its next transition pools: the body ends there
    ('efficientnet_b0', 16, 1280),
    ('convnext_tiny', 16, 768),
]


@pytest.mark.parametrize(('name', 'stride', 'channels'), BODIES)
def test_any_convolutional_network_becomes_a_body(name, stride, channels):
    network = architecture(name)
    body = convolutional_body(network, network.skeleton(2))
    assert (body.stride, body.channels) == (stride, channels)
    with torch.no_grad():
        made = body.module().eval()(torch.zeros(1, 3, 192, 256, device='meta'))
    assert made.shape[:2] == (1, channels)
    assert abs(made.shape[2] - 192 / stride) <= 1.01
    assert abs(made.shape[3] - 256 / stride) <= 1.01


def test_a_dilated_stage_sees_at_every_second_cell_what_the_strided_one_saw():
    torch.manual_seed(0)
    network = architecture('resnet18')
    plain = network.build(2).eval()
    x = torch.randn(1, 3, 128, 128)
    with torch.no_grad():
        coarse = nn.Sequential(*(m for group in network.layout(plain)[0] for m in group))(x)
        fine = convolutional_body(network, plain).module().eval()(x)
    torch.testing.assert_close(fine[:, :, ::2, ::2], coarse, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize('name', ['vit_b_16', 'swin_t', 'lenet5'])
def test_a_network_without_a_map_of_features_is_refused_by_name(name):
    network = architecture(name)
    with pytest.raises(UnusableSourceError, match=name):
        convolutional_body(network, network.skeleton(2))


def test_vgg_and_alexnet_keep_their_own_dense_layers_as_published():
    network = architecture('alexnet')
    model = FastRcnn(network, network.build(5), 2, dataclasses.replace(SPEC, pool=6))
    assert [layer.out_features for layer in model.dense if isinstance(layer, nn.Linear)] == [4096, 4096]
    assert not model.dense_is_new
    scores, shifts = model.eval()(torch.zeros(1, 3, 96, 96), [torch.tensor([[0.0, 0, 50, 50]])])
    assert scores.shape == (1, 3)
    assert shifts.shape == (1, 3, 4)


def test_every_learning_parameter_has_one_rate_and_frozen_ones_none():
    network = architecture('mobilenet_v3_small')
    model = FastRcnn(network, network.build(5), 2, SPEC)
    freeze_stages(model, 2)
    groups = parameter_groups(model, new_parameters(model), SPEC)
    listed = [parameter for group in groups for parameter in group['params']]
    assert len(listed) == len(set(listed)) == sum(parameter.requires_grad for parameter in model.parameters())
    assert {round(group['lr'] / SPEC.rate) for group in groups} == {1, 2, 10, 20}
    assert all(group['weight_decay'] == 0 for group in groups if group['params'][0].dim() == 1)
    assert not any(parameter.requires_grad for parameter in model.body['stage1'].parameters())


def test_a_photo_is_brought_to_its_short_side_unless_the_long_one_would_pass_the_limit():
    spec = FastRcnnSpec()
    wide, _ = resize_photo(UprightImage(np.zeros((200, 300, 3), np.uint8), 300, 200), spec)
    assert wide.shape == (600, 900, 3)
    # Decoded at half its size.
    long, scale = resize_photo(UprightImage(np.full((100, 400, 3), 255, np.uint8), 800, 200), spec)
    assert long.shape == (250, 1000, 3)
    assert scale == (1000 / 800, 250 / 200)
    assert (long == 255).all()
    assert scale_boxes(np.array([[8.0, 4, 16, 8]]), scale).tolist() == [[10, 5, 20, 10]]


@pytest.fixture
def world(tmp_path):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    images = [draw_objects(tmp_path / f'{seed}.png', seed) for seed in range(16)]
    weights = tmp_path / 'source.safetensors'
    save_file(architecture('squeezenet1_1').build(4).state_dict(), weights)
    source = SourceModelSpec('source', 'squeezenet1_1', str(weights), '', 4, 10)
    manifest = DetectionManifest(LABELS, tuple(images[:12]))
    return manifest, images[12:], source


def test_a_detector_learns_drawn_objects_and_finds_them_on_new_pictures(world):
    manifest, held_out, source = world
    report = RecordingReport()
    spec = dataclasses.replace(SPEC, epochs=30, warm_up=10, rate=0.002)
    model = train(
        manifest, [propose_around(image, n) for n, image in enumerate(manifest.images)], source, spec, report
    )
    assert report.recorded[-1].fraction == 1.0
    assert report.recorded[-1].loss < report.recorded[0].loss
    infer, right = torch_inference(model, Preprocessing.of(source), spec), 0
    for number, image in enumerate(held_out):
        found = infer(decode_image(image.path), propose_around(image, 100 + number))
        for truth in image.boxes:
            mine = found.labels == truth.label
            if mine.any():
                best = found.boxes[mine][found.scores[mine].argmax()]
                right += iou(best[None], np.array([[truth.x0, truth.y0, truth.x1, truth.y1]]))[0, 0] >= 0.5
    assert right >= 5  # of eight objects, by a body that had learned nothing before


def test_while_the_heads_learn_alone_the_body_stays_as_it_was(world):
    manifest, _, source = world
    network = architecture(source.architecture)
    model = FastRcnn(network, network.build(4), 2, SPEC)
    known = [match(image, propose_around(image, n), 100) for n, image in enumerate(manifest.images)]
    steps = FastRcnnSteps(model, known, compute_shift_statistics(known, 2, SPEC), source, SPEC)
    optimizer = SGD(parameter_groups(model, new_parameters(model), SPEC), momentum=0.9)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for heads_only, moved in (
        (True, {'reduce', 'dense', 'score', 'box'}),
        (False, {'reduce', 'dense', 'score', 'box', 'body'}),
    ):
        for step in range(2):
            optimizer.zero_grad(set_to_none=True)
            steps.backpropagate(known[:2], np.random.default_rng(step), heads_only=heads_only)
            optimizer.step()
        assert {
            name.split('.')[0]
            for name, value in model.state_dict().items()
            if not torch.equal(value, before[name])
        } == moved


def test_feature_maps_stay_within_their_bound_and_are_the_same_made_anew():
    maps = FeatureMaps(limit=3_000)
    made = [torch.full((1, 500), n + 0.1) for n in range(4)]
    found = [maps.get(str(n), False, lambda n=n: made[n]) for n in range(4)]
    assert torch.equal(maps.get('0', False, lambda: made[0]), found[0])
    assert torch.equal(maps.get('3', False, lambda: pytest.fail('it was kept')), found[3])


def test_the_same_seed_gives_the_same_detector(world):
    manifest, _, source = world
    spec = dataclasses.replace(SPEC, epochs=1)
    proposals = [propose_around(image, n) for n, image in enumerate(manifest.images)]
    one, other = (train(manifest, proposals, source, spec, RecordingReport()) for _ in range(2))
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_cancelling_stops_at_the_next_step(world):
    manifest, _, source = world
    report = RecordingReport(raise_at=2, error=JobCancelledError)
    with pytest.raises(JobCancelledError):
        train(
            manifest,
            [propose_around(image, n) for n, image in enumerate(manifest.images)],
            source,
            SPEC,
            report,
        )
    assert len(report.recorded) == 2


def test_a_set_without_boxes_cannot_be_learned_from(world):
    manifest, _, source = world
    empty = DetectionManifest(
        manifest.labels, tuple(dataclasses.replace(image, boxes=()) for image in manifest.images)
    )
    with pytest.raises(TrainingError, match='No image has a box'):
        train(empty, [np.array([[0.0, 0, 9, 9]])] * 12, source, SPEC, RecordingReport())


def test_no_proposals_give_no_detections(world):
    _, held_out, source = world
    network = architecture(source.architecture)
    model = FastRcnn(network, network.build(4), 2, SPEC).eval()
    infer = torch_inference(model, Preprocessing.of(source), SPEC)
    assert len(infer(decode_image(held_out[0].path), np.zeros((0, 4)))) == 0
