"""Fast R-CNN: sampling, targets, loss and SVD by hand and by identity; the whole on drawn scenes."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
from PIL import Image as Picture

torch = pytest.importorskip('torch')
from safetensors.torch import save_file
from torch import nn
from torch.optim import SGD
from torchvision.ops import roi_pool

from transfer.data.decode import Upright, decode_whole
from transfer.data.manifests import BoxedImage, DetectionManifest, LabelledBox
from transfer.detection.fast_rcnn import sampling
from transfer.detection.fast_rcnn.detector import detect, distinct
from transfer.detection.fast_rcnn.inputs import batched, prepared, scaled
from transfer.detection.fast_rcnn.loss import loss
from transfer.detection.fast_rcnn.model import FastRcnn
from transfer.detection.fast_rcnn.stepping import Learner, Maps
from transfer.detection.fast_rcnn.svd import compress, compressed
from transfer.detection.fast_rcnn.train import freeze, rate_factor, rates, train
from transfer.regions.boxes import decode, iou
from transfer.spec.errors import JobCancelledError, TrainingError, UnusableSourceError
from transfer.spec.fast_rcnn import FastRcnnSpec
from transfer.spec.report import Progress
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


class Quiet:
    def __init__(self, cancel_after: int = 10**9) -> None:
        self.heard: list[Progress] = []
        self.cancel_after = cancel_after

    def progress(self, progress: Progress) -> None:
        self.heard.append(progress)
        if len(self.heard) >= self.cancel_after:
            raise JobCancelledError

    def instant(self, model: object) -> None: ...


def boxed(*boxes: LabelledBox, width: int = 100, height: int = 80, path: str = '') -> BoxedImage:
    return BoxedImage(path, width, height, boxes, 'digest', 'name')


def scattered(seed: int, n: int = 300) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 60, (n, 2))
    return np.hstack([corners, corners + rng.uniform(5, 40, (n, 2))])


TWO = boxed(
    LabelledBox(10, 10, 50, 50, 0),
    LabelledBox(60, 20, 90, 70, 1),
    LabelledBox(0, 60, 20, 80, 1, difficult=True),
)


def test_true_boxes_are_regions_and_difficult_ones_are_not():
    known = sampling.regions(TWO, scattered(0), 300)
    assert known.overlaps[:2].tolist() == [1.0, 1.0]
    assert known.labels[:2].tolist() == [1, 2]
    assert len(known.boxes) == 302
    assert not (known.boxes == [0, 60, 20, 80]).all(1).any()


def test_shifts_lead_from_each_region_to_its_nearest_truth():
    known = sampling.regions(TWO, scattered(1), 300)
    led = decode(known.boxes, known.shifts)
    truth = np.array([[10, 10, 50, 50], [60, 20, 90, 70]], float)
    overlaps = iou(known.boxes, truth)
    np.testing.assert_allclose(led, truth[overlaps.argmax(1)], atol=1e-9)
    np.testing.assert_allclose(known.overlaps, overlaps.max(1))


def test_a_sample_keeps_the_published_shares_and_limits():
    known = sampling.regions(
        TWO,
        np.concatenate([scattered(2), np.array([[12, 11, 50, 50]] * 40) + np.arange(40)[:, None] / 10]),
        400,
    )
    spec = FastRcnnSpec(rois_per_image=64)
    norms = sampling.normal([known], 2, spec)
    for seed in range(5):
        drawn = sampling.sample(known, norms, spec, np.random.default_rng(seed))
        best = iou(drawn.boxes, np.array([[10, 10, 50, 50], [60, 20, 90, 70]], float)).max(1)
        assert (drawn.labels > 0).sum() == 16
        assert (best[drawn.labels > 0] >= 0.5).all()
        assert ((best[drawn.labels == 0] < 0.5) & (best[drawn.labels == 0] >= 0.1)).all()
        assert not drawn.moves[drawn.labels == 0].any()


def test_a_rare_class_is_drawn_as_often_as_a_common_one_unless_told_otherwise():
    near = np.concatenate(
        [np.array([[10, 10, 50, 50]]) + np.arange(200)[:, None] / 50, np.array([[60, 20, 90, 70.5]])]
    )
    known = sampling.regions(TWO, near, 400)
    counts = {}
    for balance in (True, False):
        spec = FastRcnnSpec(rois_per_image=8, balance=balance)
        norms = sampling.normal([known], 2, spec)
        drawn = [
            sampling.sample(known, norms, spec, np.random.default_rng(seed)).labels for seed in range(60)
        ]
        counts[balance] = np.concatenate(drawn).tolist().count(2)
    assert counts[True] > 10 * counts[False]


def test_targets_of_a_class_have_mean_zero_and_deviation_one():
    known = sampling.regions(TWO, np.concatenate([scattered(3, 4000)]), 4000)
    norms = sampling.normal([known], 2, FastRcnnSpec())
    chosen = (known.labels == 1) & (known.overlaps >= 0.5)
    shifts = (known.shifts[chosen] - norms.mean[1]) / norms.std[1]
    np.testing.assert_allclose(shifts.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(shifts.std(0), 1, atol=1e-9)
    few = sampling.normal([sampling.regions(TWO, np.zeros((0, 4)), 10)], 2, FastRcnnSpec())
    assert few.std[1].tolist() == list(sampling.USUAL_STD)


def test_an_empty_photo_is_background():
    known = sampling.regions(boxed(), scattered(4), 300)
    spec = FastRcnnSpec(rois_per_image=64)
    drawn = sampling.sample(known, sampling.normal([known], 1, spec), spec, np.random.default_rng(0))
    assert len(drawn.labels) == 64
    assert not drawn.labels.any()


def test_a_mirrored_sample_leads_to_the_mirrored_truth():
    known = sampling.regions(TWO, scattered(5, 3000), 3000)
    norms = sampling.normal([known], 2, FastRcnnSpec())
    drawn = sampling.sample(known, norms, FastRcnnSpec(), np.random.default_rng(0))
    flipped = sampling.mirrored(drawn, norms, 100)
    led = decode(flipped.boxes, flipped.shifts * norms.std[drawn.labels] + norms.mean[drawn.labels])
    truth = np.array([[50, 10, 90, 50], [10, 20, 40, 70]], float)
    np.testing.assert_allclose(led[drawn.moves], truth[drawn.labels[drawn.moves] - 1], atol=1e-6)


def test_the_loss_by_hand():
    scores = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    shifts = torch.zeros(2, 2, 4)
    shifts[0, 1] = torch.tensor([0.5, 2.0, 0.0, 0.0])  # 0.5 * 0.25, and 2 - 0.5
    shifts[1] = 99.0  # background: its shifts count for nothing
    targets, labels, moves = torch.zeros(2, 4), torch.tensor([1, 0]), torch.tensor([True, False])
    value = loss(scores, shifts, labels, targets, moves, weight=1.0)
    assert value.item() == pytest.approx(np.log(2) + (0.125 + 1.5) / 2)
    assert loss(scores, shifts, labels, targets, moves, weight=0.0).item() == pytest.approx(np.log(2))


def test_svd_of_full_rank_changes_nothing_and_of_low_rank_is_the_best_there_is():
    torch.manual_seed(0)
    layer, x = nn.Linear(20, 12), torch.randn(5, 20)
    torch.testing.assert_close(compressed(layer, 12)(x), layer(x), atol=1e-5, rtol=1e-4)
    small = compressed(layer, 4)
    weight = small[1].weight @ small[0].weight
    lost = torch.linalg.svdvals(layer.weight)[4:].square().sum().sqrt()
    assert torch.linalg.norm(weight - layer.weight).item() == pytest.approx(lost.item(), rel=1e-4)
    assert small[0].bias is None
    dense = nn.Sequential(nn.Linear(20, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU())
    torch.testing.assert_close(compress(dense, (99, 99))(x), dense(x), atol=1e-5, rtol=1e-4)


def test_regions_that_fall_on_the_same_cells_are_pooled_once():
    regions = torch.tensor([[0.0, 0, 32, 32], [100, 0, 132, 32], [1, 1, 33, 33]])
    first, back = distinct(regions, 16)
    assert len(first) == 2
    assert back[0] == back[2] != back[1]
    features = torch.randn(1, 4, 10, 10)
    pooled = roi_pool(features, [regions], (3, 3), 1 / 16)
    torch.testing.assert_close(pooled[first][back], pooled)


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
    freeze(model, 2)
    groups = rates(model, SPEC)
    listed = [parameter for group in groups for parameter in group['params']]
    assert len(listed) == len(set(listed)) == sum(parameter.requires_grad for parameter in model.parameters())
    assert {round(group['lr'] / SPEC.rate) for group in groups} == {1, 2, 10, 20}
    assert all(group['weight_decay'] == 0 for group in groups if group['params'][0].dim() == 1)
    assert not any(parameter.requires_grad for parameter in model.body['stage1'].parameters())


def test_the_rate_rises_then_falls_to_a_tenth():
    assert rate_factor(0, 1000, SPEC) == pytest.approx(0.1)
    assert rate_factor(50, 1000, SPEC) == 1.0
    assert rate_factor(749, 1000, SPEC) == 1.0
    assert rate_factor(750, 1000, SPEC) == pytest.approx(0.1)


def test_the_rate_rises_again_when_the_body_joins_the_heads():
    spec = dataclasses.replace(SPEC, head_steps=200)
    assert [rate_factor(step, 1000, spec) for step in (0, 50, 199)] == [pytest.approx(0.1), 1.0, 1.0]
    assert [rate_factor(step, 1000, spec) for step in (200, 250, 799, 800)] == [
        pytest.approx(0.1),
        1.0,
        1.0,
        pytest.approx(0.1),
    ]


def test_a_photo_is_brought_to_its_short_side_unless_the_long_one_would_pass_the_limit():
    spec, norm = FastRcnnSpec(), ((0.5,) * 3, (0.5,) * 3)
    wide = prepared(Upright(np.zeros((200, 300, 3), np.uint8), 300, 200), spec, *norm)
    assert wide.image.shape == (3, 600, 900)
    long = prepared(
        Upright(np.full((100, 400, 3), 255, np.uint8), 800, 200), spec, *norm
    )  # decoded at half its size
    assert long.image.shape == (3, 250, 1000)
    assert long.scale == (1000 / 800, 250 / 200)
    assert long.image.max().item() == pytest.approx(1.0)
    assert scaled(np.array([[8.0, 4, 16, 8]]), long.scale).tolist() == [[10, 5, 20, 10]]
    assert batched([wide, long]).shape == (2, 3, 600, 1000)


def draw(path, seed: int) -> BoxedImage:
    """Red squares and blue bars on a noisy ground."""
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
    """Proposals: near the objects, and anywhere."""
    rng = np.random.default_rng(seed)
    truth = np.array([(b.x0, b.y0, b.x1, b.y1) for b in image.boxes], float)
    near = np.repeat(truth, 15, 0) + rng.normal(0, 4, (len(truth) * 15, 4))
    corners = rng.uniform(0, 60, (60, 2))
    return np.concatenate([near, np.hstack([corners, corners + rng.uniform(8, 50, (60, 2))])])


@pytest.fixture
def world(tmp_path):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    images = [draw(tmp_path / f'{seed}.png', seed) for seed in range(16)]
    weights = tmp_path / 'source.safetensors'
    save_file(architecture('squeezenet1_1').build(4).state_dict(), weights)
    source = SourceModelSpec('source', 'squeezenet1_1', str(weights), '', 4, 10)
    manifest = DetectionManifest(('square', 'bar'), tuple(images[:12]))
    return manifest, images[12:], source


def test_a_detector_learns_drawn_objects_and_finds_them_on_new_pictures(world):
    manifest, held_out, source = world
    report = Quiet()
    spec = dataclasses.replace(SPEC, epochs=60, warm_up=10, rate=0.002)
    model = train(
        manifest, [around(image, n) for n, image in enumerate(manifest.images)], source, spec, report
    )
    assert report.heard[-1].fraction == 1.0
    assert report.heard[-1].loss < report.heard[0].loss
    right = 0
    for number, image in enumerate(held_out):
        found = detect(model, decode_whole(image.path), around(image, 100 + number), spec, source)
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
    known = [sampling.regions(image, around(image, n), 100) for n, image in enumerate(manifest.images)]
    learner = Learner(
        model, SGD(rates(model, SPEC), momentum=0.9), sampling.normal(known, 2, SPEC), source, SPEC, Maps()
    )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for heads_only, moved in (
        (True, {'reduce', 'dense', 'score', 'box'}),
        (False, {'reduce', 'dense', 'score', 'box', 'body'}),
    ):
        for step in range(2):
            learner.step(known[:2], np.random.default_rng(step), heads_only=heads_only)
        assert {
            name.split('.')[0]
            for name, value in model.state_dict().items()
            if not torch.equal(value, before[name])
        } == moved


def test_maps_stay_within_their_bound_and_are_the_same_made_anew():
    maps = Maps(limit=3_000)
    made = [torch.full((1, 500), n + 0.1) for n in range(4)]
    found = [maps.get(str(n), False, lambda n=n: made[n]) for n in range(4)]
    assert torch.equal(maps.get('0', False, lambda: made[0]), found[0])
    assert torch.equal(maps.get('3', False, lambda: pytest.fail('it was kept')), found[3])


def test_the_same_seed_gives_the_same_detector(world):
    manifest, _, source = world
    spec = dataclasses.replace(SPEC, epochs=1)
    proposals = [around(image, n) for n, image in enumerate(manifest.images)]
    one, other = (train(manifest, proposals, source, spec, Quiet()) for _ in range(2))
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_cancelling_stops_at_the_next_step(world):
    manifest, _, source = world
    report = Quiet(cancel_after=2)
    with pytest.raises(JobCancelledError):
        train(manifest, [around(image, n) for n, image in enumerate(manifest.images)], source, SPEC, report)
    assert len(report.heard) == 2


def test_a_set_without_boxes_cannot_be_learned_from(world):
    manifest, _, source = world
    empty = DetectionManifest(
        manifest.labels, tuple(dataclasses.replace(image, boxes=()) for image in manifest.images)
    )
    with pytest.raises(TrainingError, match='No image has a box'):
        train(empty, [np.array([[0.0, 0, 9, 9]])] * 12, source, SPEC, Quiet())


def test_no_proposals_give_no_detections(world):
    _, held_out, source = world
    network = architecture(source.architecture)
    model = FastRcnn(network, network.build(4), 2, SPEC).eval()
    assert len(detect(model, decode_whole(held_out[0].path), np.zeros((0, 4)), SPEC, source)) == 0
