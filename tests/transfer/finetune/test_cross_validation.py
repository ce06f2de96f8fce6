"""A finetuned network is kept only when it earns it."""

from __future__ import annotations

import numpy as np

from transfer.finetune.cross_validation import compare

LABELS = np.zeros(10, int)


def scores(right: int) -> np.ndarray:
    """Two classes, ten images, the first so many right."""
    return np.where(np.arange(10) < right, 1.0, -1.0)[:, None] * np.array([1.0, -1.0])


def test_the_one_that_gets_more_images_right_is_kept():
    kept, why = compare(scores(8), scores(6), LABELS)
    assert kept and why.endswith('(2 set right, 0 set wrong), so the finetuned network is kept.')
    kept, why = compare(scores(6), scores(8), LABELS)
    assert not kept and why.endswith('(0 set right, 2 set wrong), so the linear head is kept.')


def test_at_equal_accuracy_the_better_calibrated_one_is_kept():
    surely_wrong = scores(8) * np.where(np.arange(10) < 8, 1, 9)[:, None]
    assert compare(scores(8), surely_wrong, LABELS)[0]
    assert not compare(surely_wrong, scores(8), LABELS)[0]


def test_nobody_gets_a_worse_figure_than_the_first_model_had():
    kept, why = compare(scores(8), scores(7), LABELS, reached=0.9)
    assert not kept
    assert why.endswith(
        'but a linear head that learns from more of them gets 90.0% right, so the linear head is kept.'
    )
    assert compare(scores(8), scores(7), LABELS, reached=0.8)[0]
