"""Accuracy, log loss, precision and recall of a classifier, with their intervals. NumPy only."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from transfer.data.manifests import LabelledImage
from transfer.spec.report import ClassReport, MisclassifiedImage

Z95 = 1.959964  # two-sided 95 % of the normal distribution


def format_percent(share: float, digits: int = 1) -> str:
    """As the pages write it: 82.5 %."""
    return f'{100 * share:.{digits}f} %'


def wilson_interval(right: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a proportion (Wilson 1927): valid near 0 and 1 and for small n, where p +- 2
    standard errors is not.
    """
    if n == 0:
        return (0.0, 1.0)
    share, spread = right / n, Z95**2 / n
    middle = (share + spread / 2) / (1 + spread)
    half = Z95 / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return (max(0.0, middle - half), min(1.0, middle + half))


def log_loss(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> float:
    """Mean negative log likelihood of (n, classes) logits, in nats."""
    return float(image_losses(logits, labels, temperature).mean())


def image_losses(logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Negative log likelihood of each image, (n,), from (n, classes) logits, in nats."""
    scaled = logits / temperature
    top = scaled.max(-1)
    evidence = top + np.log(np.exp(scaled - top[:, None]).sum(-1))
    return np.asarray(evidence - scaled[np.arange(len(labels)), labels])


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float((logits.argmax(-1) == labels).mean())


def confusion_matrix(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Counts (classes, classes): rows are the ground truth, columns the prediction."""
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def describe_classes(table: np.ndarray, names: Sequence[str]) -> tuple[ClassReport, ...]:
    """Precision and recall of every class with n and 95 % intervals, from a confusion matrix."""
    rows = []
    for index, name in enumerate(names):
        right, n, predicted = int(table[index, index]), int(table[index].sum()), int(table[:, index].sum())
        rows.append(
            ClassReport(
                label=name,
                n=n,
                recall=right / n if n else None,
                recall_interval=wilson_interval(right, n),
                predicted=predicted,
                precision=right / predicted if predicted else None,
                precision_interval=wilson_interval(right, predicted),
            )
        )
    return tuple(rows)


def list_misclassified(
    images: Sequence[LabelledImage], names: Sequence[str], probabilities: np.ndarray
) -> tuple[MisclassifiedImage, ...]:
    """The images that were predicted wrongly, the highest score first.

    `probabilities`: out-of-fold, (n, classes).
    """
    predicted, score = probabilities.argmax(1), probabilities.max(1)
    rows = [
        MisclassifiedImage(
            id=image.id,
            name=image.name,
            digest=image.digest,
            label=names[image.label],
            prediction=names[predicted[index]],
            score=float(score[index]),
        )
        for index, image in enumerate(images)
        if predicted[index] != image.label
    ]
    return tuple(sorted(rows, key=lambda row: (-row.score, row.name)))


def paired_gain(a: np.ndarray, b: np.ndarray, labels: np.ndarray) -> tuple[int, int]:
    """On the same images: how many only `a` gets right, how many only `b` does (McNemar's two counts); logits
    (n, classes).
    """
    a_right, b_right = a.argmax(1) == labels, b.argmax(1) == labels
    return int((a_right & ~b_right).sum()), int((b_right & ~a_right).sum())
