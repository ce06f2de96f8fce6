"""Selective search: its parts against slow twins, the whole on drawn scenes and on real photos with known
boxes."""

from __future__ import annotations

import hashlib
import io
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image as Picture

from transfer.data.manifests import BoxedImage
from transfer.regions import proposals
from transfer.regions.selective_search import graph, presets, regions
from transfer.regions.selective_search.grouping import group
from transfer.regions.selective_search.search import at_width, search
from transfer.regions.selective_search.setting import COLOUR, FILL, SIZE, TEXTURE, Setting
from transfer.spec.errors import JobCancelledError, UnreadableImageError


def scene(width: int = 300, height: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Three coloured objects on a noisy ground, and their boxes."""
    rng = np.random.default_rng(0)
    image = rng.integers(90, 110, (height, width, 3)).astype(np.uint8)
    boxes = np.array([[30, 40, 110, 120], [150, 20, 260, 90], [170, 120, 250, 180]])
    for box, colour in zip(boxes, [(220, 30, 30), (30, 200, 60), (40, 60, 230)], strict=True):
        x0, y0, x1, y1 = box
        image[y0:y1, x0:x1] = np.clip(np.array(colour) + rng.integers(-8, 8, (y1 - y0, x1 - x0, 3)), 0, 255)
    return image, boxes.astype(float)


def encoded(image: np.ndarray, format: str = 'PNG') -> bytes:
    buffer = io.BytesIO()
    Picture.fromarray(image).save(buffer, format, quality=95)
    return buffer.getvalue()


def slow_segment(image: np.ndarray, scale: float) -> np.ndarray:
    """The segmentation as the paper tells it, with sets."""
    height, width, _ = image.shape
    edges = []
    for y in range(height):
        for x in range(width):
            for direction, (dx, dy) in enumerate([(1, 0), (0, 1), (1, 1), (-1, 1)]):
                if 0 <= x + dx < width and y + dy < height:
                    distance = np.linalg.norm(image[y, x] - image[y + dy, x + dx])
                    weight = int(np.float32(distance) * 16 + np.float32(0.5)) / 16
                    edges.append(
                        (weight, (y * width + x) * 4 + direction, y * width + x, (y + dy) * width + x + dx)
                    )
    edges.sort()
    region = {pixel: {pixel} for pixel in range(height * width)}
    inner = dict.fromkeys(range(height * width), 0.0)  # by the smallest pixel of the region

    def unite(one: set[int], other: set[int], weight: float) -> None:
        joined = one | other
        inner[min(joined)] = weight
        for pixel in joined:
            region[pixel] = joined

    for weight, _, one, other in edges:
        a, b = region[one], region[other]
        if a is not b and all(weight <= inner[min(side)] + scale / len(side) for side in (a, b)):
            unite(a, b, weight)
    for weight, _, one, other in edges:
        a, b = region[one], region[other]
        if a is not b and min(len(a), len(b)) < scale:
            unite(a, b, weight)
    tops = [min(region[pixel]) for pixel in range(height * width)]
    numbers = {top: number for number, top in enumerate(dict.fromkeys(tops))}
    return np.array([numbers[top] for top in tops]).reshape(height, width)


@pytest.mark.parametrize('scale', [5.0, 30.0])
def test_segmentation_equals_its_slow_twin(scale):
    image = np.random.default_rng(3).integers(0, 5, (14, 17, 3)).astype(np.float32) * 20
    weights = graph.edge_weights(image)
    labels = graph.segment(weights, graph.sorted_edges(weights), 14, 17, scale)
    np.testing.assert_array_equal(labels, slow_segment(image, scale))


def test_edges_are_sorted_and_none_leaves_the_image():
    image = np.random.default_rng(1).random((6, 5, 3)).astype(np.float32) * 255
    weights = graph.edge_weights(image)
    order = graph.sorted_edges(weights)
    assert len(order) == 6 * 4 + 5 * 5 + 2 * 5 * 4  # right, down, both diagonals
    assert (np.diff(weights[order].astype(int)) >= 0).all()
    assert len(set(order.tolist())) == len(order)


def test_black_beside_white_is_the_heaviest_edge_there_is():
    image = np.zeros((1, 2, 3), np.float32)
    image[0, 1] = 255
    weights = graph.edge_weights(image)
    assert weights[0] == round(16 * 255 * 3**0.5)
    assert graph.sorted_edges(weights).tolist() == [0]


def test_regions_are_measured_as_drawn():
    labels = np.array([[0, 0, 1], [0, 2, 1], [2, 2, 1]], np.int32)
    sizes, boxes = regions.measure(labels)
    assert sizes.tolist() == [3, 3, 3]
    assert boxes.tolist() == [[0, 0, 2, 2], [2, 0, 3, 3], [0, 1, 2, 3]]
    assert regions.neighbours(labels).tolist() == [[0, 1], [0, 2], [1, 2]]


def test_histograms_are_the_counts_of_each_region():
    rng = np.random.default_rng(2)
    image = rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    labels = rng.integers(0, 4, (20, 30)).astype(np.int32)
    sizes, _ = regions.measure(labels)
    colours = regions.colour_histograms(labels, regions.colour_bins(image), sizes)
    for region in range(4):
        pixels = image[labels == region]
        expected = [np.histogram(pixels[:, channel], 25, (0, 256))[0] for channel in range(3)]
        np.testing.assert_allclose(colours[region], np.concatenate(expected) / (3 * len(pixels)), atol=1e-6)
    textures = regions.texture_histograms(labels, regions.texture_bins(image), sizes)
    np.testing.assert_allclose(textures.sum(1), 1, atol=1e-5)
    assert (textures >= 0).all()


def test_a_step_from_dark_to_light_lies_in_the_orientation_across_it():
    image = np.zeros((20, 20, 3), np.uint8)
    image[:, 10:] = 200
    bins = regions.texture_bins(image)
    assert bins[10, 10, 0].tolist() == [9, 9, 0, -9]  # across, down-right, down, and against down-left
    assert (regions.texture_bins(image[:, ::-1].copy())[10, 10, 0, 0]) == -9


@pytest.mark.parametrize(
    'measures', [COLOUR, TEXTURE, SIZE, FILL, COLOUR | TEXTURE | SIZE | FILL, TEXTURE | SIZE | FILL]
)
def test_grouping_equals_its_slow_twin(measures):
    rng = np.random.default_rng(5)
    labels = np.repeat(np.repeat(np.arange(20, dtype=np.int32).reshape(4, 5), 3, 0), 4, 1)
    sizes, boxes = regions.measure(labels)
    pairs = regions.neighbours(labels)
    colours, textures = (rng.dirichlet(np.ones(n), 20).astype(np.float32) for n in (75, 240))
    found = group(pairs, measures, sizes, boxes, colours, textures)
    assert len(found) == 39
    np.testing.assert_array_equal(found, slow_group(pairs, measures, sizes, boxes, colours, textures))


def slow_group(pairs, measures, sizes, boxes, colours, textures) -> np.ndarray:
    nodes = [
        (float(s), list(b), c.astype(float), t.astype(float))
        for s, b, c, t in zip(sizes, boxes, colours, textures, strict=True)
    ]
    touching = {frozenset(pair) for pair in pairs.tolist()}
    total = sizes.sum()

    def union_box(one, other):
        return [min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])]

    def alike(pair):
        (s1, b1, c1, t1), (s2, b2, c2, t2) = (nodes[index] for index in pair)
        x0, y0, x1, y1 = union_box(b1, b2)
        parts = {
            COLOUR: np.minimum(c1, c2).sum(),
            TEXTURE: np.minimum(t1, t2).sum(),
            SIZE: 1 - (s1 + s2) / total,
            FILL: 1 - ((x1 - x0) * (y1 - y0) - s1 - s2) / total,
        }
        chosen = [value for measure, value in parts.items() if measures & measure]
        return round(sum(chosen) / len(chosen), 6)

    while touching:
        one, other = min((sorted(pair) for pair in touching), key=lambda pair: (-alike(pair), pair))
        new = len(nodes)
        (s1, b1, c1, t1), (s2, b2, c2, t2) = nodes[one], nodes[other]
        share = s1 / (s1 + s2)
        nodes.append(
            (s1 + s2, union_box(b1, b2), share * c1 + (1 - share) * c2, share * t1 + (1 - share) * t2)
        )
        moved = {frozenset(new if index in (one, other) else index for index in pair) for pair in touching}
        touching = {pair for pair in moved if len(pair) == 2}
    return np.array([node[1] for node in nodes])


def test_every_object_of_a_drawn_scene_is_proposed():
    image, truth = scene()
    found = proposals.measure_recall([truth], [search(image)])
    assert found.boxes == 3
    assert found.half == found.seven == 1.0


def test_the_same_image_gives_the_same_boxes_in_the_same_order():
    image, _ = scene()
    np.testing.assert_array_equal(search(image), search(image.copy()))


def test_proposals_lie_inside_differ_and_are_not_thin():
    image, _ = scene()
    boxes = search(image)
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2] <= 300 + 1e-3).all()
    assert (boxes[:, 3] <= 200 + 1e-3).all()
    assert len(np.unique(boxes, axis=0)) == len(boxes)
    assert (boxes[:, 2:] - boxes[:, :2]).min() >= 20 * 300 / 500 - 1e-3


def test_an_image_of_one_colour_or_of_a_few_pixels_is_no_error():
    assert search(np.full((40, 60, 3), 128, np.uint8)).tolist() == [[0, 0, 60, 40]]
    assert search(np.zeros((1, 1, 3), np.uint8)).shape[1] == 4
    assert search(np.zeros((3, 400, 3), np.uint8), Setting(width=0)).shape == (0, 4)  # thinner than 20 pixels


def test_resizing_returns_the_scale_back():
    image = np.zeros((333, 777, 3), np.uint8)
    resized, (x, y) = at_width(image, 500)
    assert resized.shape[1] == 500
    assert resized.shape[1] * x == pytest.approx(777)
    assert resized.shape[0] * y == pytest.approx(333)


@pytest.mark.parametrize('method', [name for name in proposals.METHODS if name != 'opencv-quality'])
def test_every_way_of_proposing_keeps_the_convention(method):
    image, truth = scene()
    boxes = proposals.propose(image, method, limit=1000)
    assert boxes.dtype == np.float32
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert boxes.max() <= 300 + 1e-3
    assert proposals.measure_recall([truth], [boxes]).half == 1.0


def boxed(tmp_path, name: str, data: bytes) -> BoxedImage:
    path = tmp_path / name
    path.write_bytes(data)
    return BoxedImage(str(path), 300, 200, (), hashlib.sha256(data).hexdigest(), name)


def test_proposals_are_kept_by_digest_and_a_torn_file_is_made_again(tmp_path):
    image, _ = scene()
    one = boxed(tmp_path, 'one.png', encoded(image))
    first = proposals.propose_all([one], tmp_path)[0]
    (tmp_path / 'one.png').unlink()
    np.testing.assert_array_equal(proposals.propose_all([one], tmp_path)[0], first)
    (kept,) = (tmp_path / 'proposals').rglob('*.npy')
    kept.write_bytes(kept.read_bytes()[:50])
    (tmp_path / 'one.png').write_bytes(encoded(image))
    np.testing.assert_array_equal(proposals.propose_all([one], tmp_path)[0], first)
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_threads_give_what_one_gives_in_order(tmp_path):
    image, _ = scene()
    images = [boxed(tmp_path, f'{n}.png', encoded(np.roll(image, 20 * n, axis=1))) for n in range(4)]
    counts = []
    many = proposals.propose_all(images, tmp_path / 'many', threads=3, done=counts.append)
    alone = proposals.propose_all(images, tmp_path / 'alone', threads=1)
    assert counts == [1, 2, 3, 4]
    for one, other in zip(many, alone, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_cancelled_job_stops_proposing(tmp_path):
    image, _ = scene()

    def cancel(count: int) -> None:
        raise JobCancelledError

    with pytest.raises(JobCancelledError):
        proposals.propose_all([boxed(tmp_path, 'a.png', encoded(image))], tmp_path, done=cancel)


def test_an_unreadable_image_is_named(tmp_path):
    with pytest.raises(UnreadableImageError, match=r'broken\.jpg'):
        proposals.propose_all([boxed(tmp_path, 'broken.jpg', b'\xff\xd8\xffnothing')], tmp_path)


def test_boxes_of_a_big_turned_photo_are_in_its_upright_pixels():
    image, truth = scene()
    # lies on its side, and says so
    big = Picture.fromarray(image).resize((2400, 1600)).rotate(90, expand=True)
    exif = Picture.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright
    buffer = io.BytesIO()
    big.save(buffer, 'JPEG', quality=95, exif=exif)
    boxes = proposals.propose_for_photo(buffer.getvalue())
    assert proposals.measure_recall([truth * 8], [boxes]).seven == 1.0


def test_recall_by_hand():
    truth = [np.array([[0.0, 0, 10, 10], [20, 0, 30, 10]]), np.zeros((0, 4))]
    found = proposals.measure_recall(truth, [np.array([[0.0, 0, 10, 6]]), np.zeros((3, 4))])
    assert (found.boxes, found.half, found.seven, found.proposals) == (2, 0.5, 0.0, 2.0)
    assert proposals.measure_recall([], []).boxes == 0


@pytest.mark.shared
@pytest.mark.parametrize('name', ['fork_scissors', 'fruit', 'raccoon'])
def test_recall_on_real_photos_is_that_of_girshicks_setting_or_better(shared, name):
    pairs = []
    for path in sorted((shared / 'detection' / name / 'annotations').glob('*.xml'))[:2]:
        tree = ElementTree.parse(path)
        truth = [
            [float(box.findtext(side)) for side in ('xmin', 'ymin', 'xmax', 'ymax')]
            for box in tree.iter('bndbox')
        ]
        image = np.array(Picture.open(path.parents[1] / 'images' / tree.findtext('filename')).convert('RGB'))
        pairs.append((np.array(truth), search(image), presets.opencv_girshick(image)))
    truths, ours, theirs = zip(*pairs, strict=True)
    assert proposals.measure_recall(truths, ours).half >= proposals.measure_recall(truths, theirs).half - 0.02
