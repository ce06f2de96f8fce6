"""The classifiers that one training can serve, and the choice among them, paired on images none of them saw.

A candidate is one network, or several that answer together. The cheapest comes first; a dearer one replaces
it where its calibrated log loss over the same images is lower. Loss, not hits: it weighs every image, while
two good classifiers differ in the hits of only a few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transfer.features.calibration import fit_temperature
from transfer.features.metrics import accuracy, format_percent, image_losses
from transfer.runtime.softmax import softmax
from transfer.serving.ensemble import LEAST_PROBABILITY

# Standard errors of the paired difference by which a dearer candidate's loss must be lower. On the twenty
# development sets three networks together beat the best probe by 1.7 points of held-out accuracy, with 0 or
# 0.25 here alike; asking for 1 lost 0.2 of them, for more hits instead of a lower loss 0.7.
STANDARD_ERRORS = 0.25


@dataclass(frozen=True)
class Candidate:
    """A classifier that could be served, with its scores of images that it was not trained on."""

    kind: str  # linear, finetuned, ensemble or finetuned ensemble
    title: str  # in a sentence: "a linear head"
    logits: np.ndarray  # (n, classes)
    temperatures: tuple[float, ...] = ()  # of an ensemble's members

    @property
    def is_finetuned(self) -> bool:
        return self.kind.startswith('finetuned')


def make_ensemble(kind: str, title: str, scores: Sequence[np.ndarray], labels: np.ndarray) -> Candidate:
    """Members with these out-of-fold logits, each with a temperature fitted on them (one number a member)."""
    temperatures = tuple(fit_temperature(each, labels) for each in scores)
    return Candidate(kind, title, average_answers(scores, temperatures), temperatures)


def average_answers(scores: Sequence[np.ndarray], temperatures: Sequence[float]) -> np.ndarray:
    """The logits (n, classes) of an ensemble, the logarithm of its members' mean probability, as
    transfer.serving.ensemble computes them."""
    mean = np.mean([softmax(each, t) for each, t in zip(scores, temperatures, strict=True)], axis=0)
    return np.asarray(np.log(np.maximum(mean, LEAST_PROBABILITY)))


def choose_candidate(
    candidates: Sequence[Candidate], labels: np.ndarray, *, given_up: bool = False
) -> tuple[Candidate, str]:
    """The candidate to serve, of those given from cheap to dear, and a sentence that says why.

    `given_up`: finetuning was ended before its last fold, so what contains it cannot be served.
    """
    chosen = candidates[0]
    for candidate in candidates[1:]:
        if given_up and candidate.is_finetuned:
            continue
        if is_better(candidate.logits, chosen.logits, labels):
            chosen = candidate
    return chosen, _explain(chosen, candidates, labels)


def is_better(logits: np.ndarray, others: np.ndarray, labels: np.ndarray) -> bool:
    """Whether the calibrated loss is lower by more than STANDARD_ERRORS of the paired difference."""
    gain = _calibrated_losses(others, labels) - _calibrated_losses(logits, labels)
    return float(gain.mean()) > STANDARD_ERRORS * float(gain.std(ddof=1)) / len(labels) ** 0.5


def _calibrated_losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return image_losses(logits, labels, fit_temperature(logits, labels))


def _explain(chosen: Candidate, candidates: Sequence[Candidate], labels: np.ndarray) -> str:
    first, *others = [
        (candidate.title, format_percent(accuracy(candidate.logits, labels))) for candidate in candidates
    ]
    sentence = f'Of {len(labels)} images not seen in training {first[0]} classified {first[1]} correctly'
    sentence = ', '.join([sentence, *(f'{title} {share}' for title, share in others)]) + '.'
    if not others:
        return sentence
    if chosen is candidates[0]:
        reason = 'no dearer one has a noticeably lower log loss'
    else:
        reason = 'its log loss is noticeably lower than that of cheaper ones'
    return f'{sentence} Kept: {chosen.title}, because {reason}.'
