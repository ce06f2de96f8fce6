"""P2L ("predict to learn"): rank source models for a target by the similarity of their data and the size of
their data set.

score(S | T) = w_sim * z(-KL(p_T || p_S)) + w_size * z(log n_S), z over the sources. After Bhattacharjee et
al., CVPR Workshops 2020 (arXiv 1908.07630), whose own equation was not published in a form we could read;
docs/p2l.md says what is known, and what is ours.
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
from p2l.signatures import ClassMeans, Floats, compute_class_means, log_signatures, mean_feature, signature

BLOCK = 2**23  # numbers in a block of bootstrap divergences: 64 MiB, however large the zoo
DECIMALS = 9  # scores that agree to here are equal: networks of one data set differ by rounding only
EMD_BOOTSTRAPS = 20  # of the earth mover's distance: each is a linear program for every source
NOISE = 1.0  # standard errors within which two probes are equal, and the higher score decides
PER_DATASET = 3  # of a shortlist: its members should not all be networks of one data set


@dataclass(frozen=True)
class SourceProfile:
    """What the ranking knows of a source model."""

    name: str
    images: int  # of the data set it was trained on
    # The mean reference feature (d,) of that set; None where nobody has its images.
    signature: Sequence[float] | Floats | None = None
    dataset: str = ''  # '': not known
    parameters: int = 0  # of its network: of equal scores the larger network goes first; 0: not known
    class_means: ClassMeans | None = None  # of that set; without them it counts as one class (`emd` only)


@dataclass(frozen=True)
class RankedSource:
    """A source model with its P2L score and the parts of it. Best first in every list."""

    name: str
    divergence: float | None  # in nats where it is KL or JS; None without a signature
    images: int
    similarity_part: float  # w_sim * z(-divergence); 0, the sources' mean, without a signature
    size_part: float  # w_size * z(log images)
    score: float  # the sum of both
    stability: float  # share of bootstrap resamples of the target's images in which it comes first
    has_signature: bool
    dataset: str = ''


def rank_sources(
    target_features: ArrayLike,
    sources: Sequence[SourceProfile],
    weights: tuple[float, float] = WEIGHTS,
    seed: int = 0,
    bootstraps: int = 200,
    divergence: str = 'kl',
    labels: ArrayLike | None = None,
) -> list[RankedSource]:
    """Rank the sources for a target, best first. target_features: (n, d), none negative.

    Networks of one data set have equal scores: of those the one with more parameters goes first (the better
    networks of ImageNet transfer better, Kornblith et al. 2019), and after that the given order counts.

    divergence: one of p2l.scores.DIVERGENCES; `emd` compares class by class, `labels` int (n,).
    ValueError naming the source whose signature is not one of d numbers, or an unknown divergence.
    """
    if not sources:
        return []
    sources = sorted(sources, key=lambda source: -source.parameters)
    features = np.asarray(target_features, dtype=np.float64)
    mean_feature(features)  # refuses what is no feature matrix
    scorer = _Scorer(features, labels, sources, weights, divergence)
    measured = scorer.divergences(np.ones((1, len(features))))
    parts = scorer.similarity_parts(measured)[0]
    scores = parts + scorer.size_parts
    stability = _bootstrap_stability(scorer, seed, bootstraps)
    values = np.full(len(sources), np.nan)
    values[scorer.has_signature] = measured[0]
    ranked = [
        RankedSource(
            name=source.name,
            divergence=None if np.isnan(values[index]) else float(values[index]),
            images=source.images,
            similarity_part=float(parts[index]),
            size_part=float(scorer.size_parts[index]),
            score=float(scores[index]),
            stability=float(stability[index]),
            has_signature=bool(scorer.has_signature[index]),
            dataset=source.dataset,
        )
        for index, source in enumerate(sources)
    ]
    return sorted(ranked, key=lambda item: -round(item.score, DECIMALS))


def shortlist(ranked: Sequence[RankedSource], count: int) -> list[RankedSource]:
    """Take the first `count`, at most PER_DATASET of one data set while others are left; those passed over
    fill the end.

    Of two or more, one is of the largest data set, in the last place if need be: similarity may mislead, and
    a broad source is rarely far behind (docs/p2l.md).
    """
    taken: list[RankedSource] = []
    passed: list[RankedSource] = []
    for item in ranked:
        same = sum(1 for other in taken if item.dataset and other.dataset == item.dataset)
        (passed if same >= PER_DATASET else taken).append(item)
    few = (taken + passed)[:count]
    most = max((item.images for item in ranked), default=0)
    if len(few) > 1 and all(item.images < most for item in few):
        few[-1] = next(item for item in ranked if item.images == most)
    return few


def choose_within_noise(
    correct: Sequence[NDArray[np.bool_]], preferences: Sequence[tuple[float, ...]]
) -> int:
    """Choose among probed sources by their probes, and within noise by a preference: the place of the source
    chosen.

    correct: for each source, which of the same images its probe got right, bool (n,). preferences: for each
    source what else speaks for it, the weightiest number first (its P2L score, then how little it costs).

    Of the sources behind the one with most correct images by no more than NOISE standard errors the most
    preferred one is taken; of equally preferred ones, that with most correct images. The standard error of
    the difference is McNemar's: the square root of the number of images that only one of the two gets right.
    ValueError where no source was probed.
    """
    if not correct:
        raise ValueError('no source was probed')
    best = max(correct, key=lambda each: int(each.sum()))
    near = [place for place, each in enumerate(correct) if _is_within_noise(best, each)]
    return max(
        near,
        key=lambda place: (
            tuple(round(value, DECIMALS) for value in preferences[place]),
            int(correct[place].sum()),
        ),
    )


def _is_within_noise(best: NDArray[np.bool_], other: NDArray[np.bool_]) -> bool:
    ahead, behind = int((best & ~other).sum()), int((other & ~best).sum())
    return bool(ahead - behind <= NOISE * (ahead + behind) ** 0.5)


class _Scorer:
    """Target and sources as arrays: scores of many resamples of the target at once."""

    def __init__(
        self,
        features: Floats,
        labels: ArrayLike | None,
        sources: Sequence[SourceProfile],
        weights: tuple[float, float],
        divergence: str,
    ) -> None:
        if divergence not in DIVERGENCES:
            raise ValueError(f'there is no divergence {divergence!r}; there are {", ".join(DIVERGENCES)}')
        self.features, self.kind = features, divergence
        self.labels = np.zeros(len(features), dtype=int) if labels is None else np.asarray(labels)
        width = features.shape[1]
        means = {
            index: _check_signature(source.name, source.signature, width)
            for index, source in enumerate(sources)
            if source.signature is not None and len(source.signature) > 0
        }
        self.has_signature = np.array([index in means for index in range(len(sources))])
        self.means = np.stack(list(means.values())) if means else np.empty((0, width))
        self.class_means = [
            sources[index].class_means or ClassMeans(mean[None], np.ones(1)) for index, mean in means.items()
        ]
        self._log_signatures: Floats | None = None  # computed once, for all resamples
        self.similarity_weight, size_weight = weights
        self.size_parts = size_weight * size_scores([source.images for source in sources])

    def divergences(self, draws: Floats) -> Floats:
        """From how often each of the target's images counts, (b, n), to (b, sources with a signature)."""
        if not len(self.means):
            return np.empty((len(draws), 0))
        if self.kind == 'emd':
            targets = [compute_class_means(self.features, self.labels, draw) for draw in draws]
            return np.array(
                [[earth_movers_distance(target, other) for other in self.class_means] for target in targets]
            )
        means = draws @ self.features / draws.sum(1, keepdims=True)
        if self.kind != 'kl':
            return divergences(self.kind, means, self.means)
        if self._log_signatures is None:
            self._log_signatures = log_signatures(self.means)
        return kl_divergences(signature(means), self._log_signatures)

    def similarity_parts(self, measured: Floats) -> Floats:
        """(b, sources with a signature) to (b, sources): one without a signature stands at the mean, 0."""
        parts = np.zeros((len(measured), len(self.has_signature)))
        if len(self.means):
            parts[:, self.has_signature] = self.similarity_weight * similarity_scores(measured)
        return parts


def _check_signature(name: str, values: Sequence[float] | Floats, width: int) -> Floats:
    mean = np.asarray(values, dtype=np.float64)
    if mean.shape != (width,) or not np.isfinite(mean).all() or mean.min() < 0:
        raise ValueError(f'the signature of {name} must be {width} finite numbers, none negative')
    return mean


def _bootstrap_stability(scorer: _Scorer, seed: int, bootstraps: int) -> Floats:
    """How often each source comes first when the target's images are drawn anew, with replacement:
    (sources,), 0 to 1."""
    images = len(scorer.features)
    count = min(bootstraps, EMD_BOOTSTRAPS) if scorer.kind == 'emd' else bootstraps
    wins = np.zeros(len(scorer.has_signature))
    generator = np.random.default_rng(seed)
    draws = generator.multinomial(images, np.full(images, 1 / images), size=count).astype(np.float64)
    rows = max(1, BLOCK // len(wins))
    for start in range(0, count, rows):
        parts = scorer.similarity_parts(scorer.divergences(draws[start : start + rows]))
        first = np.round(parts + scorer.size_parts, DECIMALS).argmax(axis=1)
        wins += np.bincount(first, minlength=len(wins))
    return np.asarray(wins / max(1, count))
