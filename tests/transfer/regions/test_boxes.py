"""Boxes: identities, tables worked by hand, and slow twins that share no code with the product."""

from __future__ import annotations

import numpy as np
import pytest

from transfer.regions import boxes as b


def random_boxes(seed: int, n: int = 60, side: int = 100) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, side, (n, 2))
    return np.hstack([corners, corners + rng.uniform(1, side / 2, (n, 2))])


@pytest.mark.parametrize(
    ('one', 'other', 'expected'),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),
        ((0, 0, 10, 10), (10, 0, 20, 10), 0.0),  # end-exclusive: neighbours share nothing
        ((0, 0, 10, 10), (5, 0, 15, 10), 50 / 150),
        ((0, 0, 10, 10), (2, 2, 4, 4), 4 / 100),
        ((0, 0, 10, 10), (9, 9, 11, 11), 1 / 103),
        ((5, 5, 5, 5), (5, 5, 5, 5), 0.0),  # no area
        ((9, 9, 1, 1), (0, 0, 10, 10), 0.0),  # inside out
    ],
)
def test_intersection_over_union_by_hand(one, other, expected):
    assert b.iou(np.array([one], float), np.array([other], float))[0, 0] == pytest.approx(expected)


def painted_iou(one: np.ndarray, other: np.ndarray) -> float:
    """Count pixels of two painted rectangles."""
    canvases = []
    for x0, y0, x1, y1 in (one, other):
        canvas = np.zeros((40, 40), bool)
        canvas[y0:y1, x0:x1] = True
        canvases.append(canvas)
    union = (canvases[0] | canvases[1]).sum()
    return (canvases[0] & canvases[1]).sum() / union if union else 0.0


def test_intersection_over_union_equals_counted_pixels():
    rng = np.random.default_rng(1)
    corners = np.sort(rng.integers(0, 40, (50, 2, 2)), axis=1).reshape(50, 4)
    expected = [[painted_iou(one, other) for other in corners[:10]] for one in corners]
    np.testing.assert_allclose(b.iou(corners.astype(float), corners[:10].astype(float)), expected)


def test_intersection_over_union_is_symmetric_and_survives_moving_and_scaling():
    one, other = random_boxes(2), random_boxes(3)
    np.testing.assert_allclose(b.iou(one, other), b.iou(other, one).T)
    np.testing.assert_allclose(b.iou(one * 3 + 7, other * 3 + 7), b.iou(one, other))


def test_no_boxes_give_an_empty_table():
    assert b.iou(np.zeros((0, 4)), random_boxes(1)).shape == (0, 60)
    assert b.nms(np.zeros((0, 4)), np.zeros(0), 0.3).shape == (0,)


def test_shifts_by_hand():
    shifts = b.encode(np.array([[0.0, 0, 10, 20]]), np.array([[5.0, 0, 25, 20]]))
    np.testing.assert_allclose(shifts, [[1.0, 0.0, np.log(2), 0.0]])


def test_decoding_undoes_encoding():
    boxes, targets = random_boxes(4), random_boxes(5)
    np.testing.assert_allclose(b.decode(boxes, b.encode(boxes, targets)), targets)
    np.testing.assert_allclose(b.decode(boxes, np.zeros((60, 4))), boxes)


def test_a_wild_size_prediction_stays_finite():
    decoded = b.decode(np.array([[0.0, 0, 10, 10]]), np.array([[0.0, 0, 1000, 1000]]))
    assert np.isfinite(decoded).all()
    assert decoded[0, 2] - decoded[0, 0] == pytest.approx(10 * 1000 / 16)


def test_a_box_without_area_has_no_shift():
    with pytest.raises(ValueError, match='area'):
        b.encode(np.array([[3.0, 3, 3, 9]]), np.array([[0.0, 0, 1, 1]]))


def test_clipping_by_hand():
    clipped = b.clip(np.array([[-5.0, 2, 30, 50], [100, 100, 120, 120]]), 20, 40)
    np.testing.assert_array_equal(clipped, [[0, 2, 20, 40], [20, 40, 20, 40]])


def test_mirroring_twice_changes_nothing():
    boxes = random_boxes(6)
    np.testing.assert_allclose(b.mirror(b.mirror(boxes, 150), 150), boxes)
    np.testing.assert_array_equal(b.mirror(np.array([[0.0, 1, 10, 2]]), 100), [[90, 1, 100, 2]])


def slow_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    left = sorted(range(len(boxes)), key=lambda index: (-scores[index], index))
    kept = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [other for other in left if b.iou(boxes[[best]], boxes[[other]])[0, 0] <= threshold]
    return kept


@pytest.mark.parametrize('threshold', [0.0, 0.3, 0.7, 1.0])
def test_non_maximum_suppression_equals_its_slow_twin(threshold):
    boxes = random_boxes(7)
    scores = np.random.default_rng(8).integers(0, 20, 60) / 20  # with ties
    assert b.nms(boxes, scores, threshold).tolist() == slow_nms(boxes, scores, threshold)


def test_suppression_by_hand_removes_the_worse_of_two_alike():
    boxes = np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]])
    assert b.nms(boxes, np.array([0.8, 0.9, 0.1]), 0.3).tolist() == [1, 2]


def test_suppression_agrees_with_torchvision():
    torch = pytest.importorskip('torch')
    from torchvision.ops import nms

    boxes, scores = random_boxes(9, 300), np.random.default_rng(10).random(300)
    expected = nms(torch.tensor(boxes), torch.tensor(scores), 0.5).tolist()
    assert b.nms(boxes, scores, 0.5).tolist() == expected


def test_duplicates_leave_the_first_of_each():
    boxes = np.array([[5.0, 5, 9, 9], [0, 0, 1, 1], [5, 5, 9, 9], [0, 0, 1, 1], [2, 2, 3, 3]])
    assert b.unique(boxes).tolist() == [0, 1, 4]
