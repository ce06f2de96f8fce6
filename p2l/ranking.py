"""P2L ("predict to learn"): rank source models for a target by likeness of the data and size of the source.

score(S | T) = w_sim * z(-KL(p_T || p_S)) + w_size * z(log n_S), z over the candidates. After Bhattacharjee et al., CVPR
Workshops 2020 (arXiv 1908.07630), whose own equation was not published in a form we could read; docs/p2l.md says what is
known, and what is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from p2l.scores import (
    DIVERGENCES,
    WEIGHTS,
    divergences,
    earth_movers_distance,
    kl_divergences,
    similarity_scores,
    size_scores,
)
from p2l.signatures import Floats, Look, log_signatures, look_by_class, mean_feature, signature

BLOCK = 2**23  # numbers in a block of bootstrap divergences: 64 MiB, however large the zoo
DECIMALS = 9  # scores that agree to here are equal: networks of one data set differ by rounding only
EARTH_DRAWS = 20  # bootstraps of the earth mover's distance: each is a linear program for every candidate
NOISE = 1.0  # standard errors within which two probes are equal, and the higher score decides
PER_DATASET = 3  # of a shortlist: its members should not all be networks of one data set


@dataclass(frozen=True)
class Candidate:
    """A source model as the ranking sees it."""

    name: str
    images: int  # of the data set it was trained on
    signature: Sequence[float] | Floats | None = (
        None  # mean reference feature (d,) of that set; None: nobody has its images
    )
    dataset: str = ''  # '': not known
    parameters: int = 0  # of its network: of equal scores the larger network goes first; 0: not known
    look: Look | None = None  # the same set class by class; without it the set counts as one class (emd only)


@dataclass(frozen=True)
class Ranked:
    """A candidate with its score and the parts of it. Best first in every list."""

    name: str
    divergence: float | None  # in nats where it is KL or JS; None without a signature
    images: int
    similarity_part: float  # w_sim * z(-divergence); 0, the candidates' mean, without a signature
    size_part: float  # w_size * z(log images)
    score: float  # the sum of both
    stability: float  # share of bootstrap resamples of the target's images in which it comes first
    signed: bool  # whether its data set has a signature
    dataset: str = ''


def rank(
    target_features: ArrayLike,
    candidates: Sequence[Candidate],
    weights: tuple[float, float] = WEIGHTS,
    seed: int = 0,
    bootstraps: int = 200,
    divergence: str = 'kl',
    labels: ArrayLike | None = None,
) -> list[Ranked]:
    """The candidates, best first. target_features: (n, d), non-negative.

    Networks of one data set have equal scores: of those the one with more parameters goes first (the better networks of
    ImageNet transfer better, Kornblith et al. 2019), and after that the given order counts.

    divergence: one of p2l.scores.DIVERGENCES; `emd` looks at the classes, `labels` int (n,).
    ValueError naming the candidate whose signature is not one of d numbers, or an unknown divergence.
    """
    if not candidates:
        return []
    candidates = sorted(candidates, key=lambda candidate: -candidate.parameters)
    features = np.asarray(target_features, dtype=np.float64)
    mean_feature(features)  # refuses what is no feature matrix
    field = _Field(features, labels, candidates, weights, divergence)
    found = field.divergences(np.ones((1, len(features))))
    parts = field.similarity_parts(found)[0]
    scores = parts + field.size_parts
    stability = _share_of_first_places(field, seed, bootstraps)
    values = np.full(len(candidates), np.nan)
    values[field.signed] = found[0]
    ranked = [
        Ranked(
            name=candidate.name,
            divergence=None if np.isnan(values[index]) else float(values[index]),
            images=candidate.images,
            similarity_part=float(parts[index]),
            size_part=float(field.size_parts[index]),
            score=float(scores[index]),
            stability=float(stability[index]),
            signed=bool(field.signed[index]),
            dataset=candidate.dataset,
        )
        for index, candidate in enumerate(candidates)
    ]
    return sorted(ranked, key=lambda item: -round(item.score, DECIMALS))


def shortlist(ranked: Sequence[Ranked], count: int) -> list[Ranked]:
    """The first `count`, but at most PER_DATASET of one data set while others are left; what is passed over fills the end.

    Of two or more, one is of the largest data set, in the last place if need be: likeness may mislead, and a broad source is
    rarely far behind (docs/p2l.md).
    """
    taken: list[Ranked] = []
    passed: list[Ranked] = []
    for item in ranked:
        same = sum(1 for other in taken if item.dataset and other.dataset == item.dataset)
        (passed if same >= PER_DATASET else taken).append(item)
    few = (taken + passed)[:count]
    most = max((item.images for item in ranked), default=0)
    if len(few) > 1 and all(item.images < most for item in few):
        few[-1] = next(item for item in ranked if item.images == most)
    return few


def first_within_noise(hits: Sequence[NDArray[np.bool_]], worths: Sequence[tuple[float, ...]]) -> int:
    """Which of the probed sources is taken: `hits` says which of the same images each got right (n,), `worths` what else speaks
    for it, the weightiest first: its P2L score, then how little it costs.

    Of those behind the one with most hits by no more than NOISE standard errors (McNemar's: of the images that only one of the
    two gets right) the one worth most; of equal ones, most hits.
    """
    if not hits:
        raise ValueError('no source was probed')
    best = max(hits, key=lambda right: int(right.sum()))
    near = [place for place, right in enumerate(hits) if _within_noise(best, right)]
    return max(
        near,
        key=lambda place: (tuple(round(value, DECIMALS) for value in worths[place]), int(hits[place].sum())),
    )


def _within_noise(best: NDArray[np.bool_], right: NDArray[np.bool_]) -> bool:
    ahead, behind = int((best & ~right).sum()), int((right & ~best).sum())
    return bool(ahead - behind <= NOISE * (ahead + behind) ** 0.5)


class _Field:
    """Target and candidates laid out for arithmetic."""

    def __init__(
        self,
        features: Floats,
        labels: ArrayLike | None,
        candidates: Sequence[Candidate],
        weights: tuple[float, float],
        divergence: str,
    ) -> None:
        if divergence not in DIVERGENCES:
            raise ValueError(f'there is no divergence {divergence!r}; there are {", ".join(DIVERGENCES)}')
        self.features, self.kind = features, divergence
        self.labels = np.zeros(len(features), dtype=int) if labels is None else np.asarray(labels)
        width = features.shape[1]
        means = {
            index: _checked(candidate, width)
            for index, candidate in enumerate(candidates)
            if _has_signature(candidate)
        }
        self.signed = np.array([index in means for index in range(len(candidates))])
        self.means = np.stack(list(means.values())) if means else np.empty((0, width))
        self.looks = [candidates[index].look or Look(mean[None], np.ones(1)) for index, mean in means.items()]
        self.logs: Floats | None = None
        self.similarity_weight, size_weight = weights
        self.size_parts = size_weight * size_scores([candidate.images for candidate in candidates])

    def divergences(self, draws: Floats) -> Floats:
        """How often each of the target's images counts (b, n) to (b, signed candidates)."""
        if not len(self.means):
            return np.empty((len(draws), 0))
        if self.kind != 'emd':
            targets = draws @ self.features / draws.sum(1, keepdims=True)
            return (
                self._from_kept_logs(targets)
                if self.kind == 'kl'
                else divergences(self.kind, targets, self.means)
            )
        looks = [look_by_class(self.features, self.labels, draw) for draw in draws]
        return np.array([[earth_movers_distance(look, other) for other in self.looks] for look in looks])

    def _from_kept_logs(self, targets: Floats) -> Floats:
        if self.logs is None:
            self.logs = log_signatures(self.means)
        return kl_divergences(signature(targets), self.logs)

    def similarity_parts(self, found: Floats) -> Floats:
        """(b, signed candidates) to (b, candidates): an unsigned candidate stands at the mean, 0."""
        parts = np.zeros((len(found), len(self.signed)))
        if len(self.means):
            parts[:, self.signed] = self.similarity_weight * similarity_scores(found)
        return parts


def _has_signature(candidate: Candidate) -> bool:
    return candidate.signature is not None and len(candidate.signature) > 0


def _checked(candidate: Candidate, width: int) -> Floats:
    values = np.asarray(candidate.signature, dtype=np.float64)
    if values.shape != (width,) or not np.isfinite(values).all() or values.min() < 0:
        raise ValueError(f'the signature of {candidate.name} must be {width} finite numbers, none negative')
    return values


def _share_of_first_places(field: _Field, seed: int, bootstraps: int) -> Floats:
    """How often each candidate wins when the target's images are drawn anew, with replacement."""
    images, count = len(field.features), min(bootstraps, EARTH_DRAWS) if field.kind == 'emd' else bootstraps
    wins = np.zeros(len(field.signed))
    draws = (
        np.random.default_rng(seed)
        .multinomial(images, np.full(images, 1 / images), size=count)
        .astype(np.float64)
    )
    rows = max(1, BLOCK // len(field.signed))
    for start in range(0, count, rows):
        scores = field.similarity_parts(field.divergences(draws[start : start + rows])) + field.size_parts
        first = np.round(scores, DECIMALS).argmax(axis=1)
        wins += np.bincount(first, minlength=len(wins))
    return wins / max(1, count)
