"""Find near-duplicates: photos saved again, cropped, mirrored, turned a little or brightened, and bursts.

Each photo's nearest ones by a histogram of gradient directions (HOG: Dalal and Triggs 2005) are candidates;
a pair is a near-duplicate when the two thumbnails, aligned, agree better than a bar. The bar rises with how
alike unrelated photos of the same set are: two letters of one alphabet agree by 0.9, two photos of cats by
0.4. Only pixels count, so the answer depends on no network, and is the same for classifiers and detectors.
Measured by tests/benchmarks/near_duplicates.py; figures in docs/performance.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from transfer.data.alignment import SIDE, Pyramid, build_pyramid, compare_aligned

CANDIDATES = 4  # of each photo: a burst longer than that is one group all the same, link by link
DIRECTIONS = 8  # of the gradient histograms, in 8 x 8 overlapping cells
BLOCK = 512  # rows of the matrix of similarities at once
RANDOM_PAIRS = 400  # by which a set's bar is found
TYPICAL = 0.9  # quantile of their agreement
# The bar is 1 - SLACK (1 - typical)^2, at most HIGHEST_BAR: a photo saved again is a copy in every set.
SLACK = 0.3
HIGHEST_BAR = 0.96
# Largest difference of the mean share of red, green or blue: a ripe and a green fruit may be the same shape.
COLOUR_APART = 0.06
MOST_IMAGES = 20_000  # beyond, comparing each with each costs minutes
LARGEST_SHARE = 0.5  # of a class in one group: with more, a fold would learn the class from next to nothing


@dataclass(frozen=True)
class DuplicatePair:
    """Two near-duplicates by their rows, first < second."""

    first: int
    second: int
    similarity: float  # correlation of the aligned thumbnails' gradients, up to 1


@dataclass(frozen=True)
class DuplicateGroups:
    """Which images belong together."""

    groups: tuple[str, ...]  # of each image: images of one group have one key, the least digest among them
    pairs: tuple[DuplicatePair, ...]  # that join the groups, most alike first; not the copies of one digest
    separated: tuple[int, ...]  # labels of which near-duplicates had to be separated (LARGEST_SHARE)


@dataclass(frozen=True)
class Thumbnails:
    """What photos are compared by."""

    gray: Tensor  # float (n, SIDE, SIDE), 0 to 1
    colour: Tensor  # float (n, 3), the mean share of red, green and blue


def find_near_duplicates(
    array: np.ndarray, digests: Sequence[str], labels: np.ndarray | None = None
) -> DuplicateGroups:
    """Group images, uint8 RGB (n, side, side, 3) with their digests; `labels` as `group_duplicates`.

    The order of the images does not matter. Above MOST_IMAGES only images of one digest are grouped.
    """
    if len(array) > MOST_IMAGES:
        return group_duplicates((), digests, labels)
    order = sorted(range(len(digests)), key=lambda row: digests[row])
    found = find_pairs(make_thumbnails(array, order))
    pairs = [_in_order(order[pair.first], order[pair.second], pair.similarity) for pair in found]
    return group_duplicates(pairs, digests, labels)


def _in_order(one: int, other: int, similarity: float) -> DuplicatePair:
    return DuplicatePair(min(one, other), max(one, other), similarity)


def make_thumbnails(array: np.ndarray, order: Sequence[int]) -> Thumbnails:
    """From uint8 RGB (n, side, side, 3) at any side, those rows in that order."""
    gray = np.empty((len(order), SIDE, SIDE), np.float32)
    colour = np.empty((len(order), 3), np.float32)
    for row, place in enumerate(order):
        small = Image.fromarray(array[place]).resize(
            (SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0
        )
        mean = np.asarray(small, np.float32).mean((0, 1)) + 1
        gray[row], colour[row] = np.asarray(small.convert('L'), np.float32) / 255, mean / mean.sum()
    return Thumbnails(torch.from_numpy(gray), torch.from_numpy(colour))


@torch.inference_mode()
def find_pairs(thumbnails: Thumbnails) -> list[DuplicatePair]:
    """All near-duplicates among the candidates, most alike first."""
    count = len(thumbnails.gray)
    if count < 2:
        return []
    pyramid = build_pyramid(thumbnails.gray)
    mirrored = pyramid.mirror()
    bar = _find_bar(pyramid)
    rows, columns, is_mirrored = _find_candidates(pyramid, mirrored)
    alike = torch.zeros(len(rows))
    for wanted, second in ((False, pyramid), (True, mirrored)):
        some = torch.nonzero(is_mirrored == wanted)[:, 0]
        alike[some] = compare_aligned(pyramid, second, rows[some], columns[some], bar)
    apart = (thumbnails.colour[rows] - thumbnails.colour[columns]).abs().amax(1)
    chosen = torch.nonzero((alike >= bar) & (apart <= COLOUR_APART))[:, 0].tolist()
    pairs = [DuplicatePair(int(rows[at]), int(columns[at]), float(alike[at])) for at in chosen]
    return sorted(pairs, key=lambda pair: (-pair.similarity, pair.first, pair.second))


def _find_bar(pyramid: Pyramid) -> float:
    """The agreement from which on a pair is a near-duplicate in this set."""
    count = len(pyramid.levels[0])
    generator = np.random.default_rng(0)
    rows = generator.integers(0, count, RANDOM_PAIRS)
    others = (rows + generator.integers(1, count, RANDOM_PAIRS)) % count  # never the photo itself
    alike = compare_aligned(pyramid, pyramid, torch.from_numpy(rows), torch.from_numpy(others))
    typical = float(alike.quantile(TYPICAL).clamp(0, 1))
    return min(HIGHEST_BAR, 1 - SLACK * (1 - typical) ** 2)


def _find_candidates(pyramid: Pyramid, mirrored: Pyramid) -> tuple[Tensor, Tensor, Tensor]:
    """(rows, columns, whether the column is to be mirrored), each pair once, row < column."""
    straight, turned = _describe(pyramid), _describe(mirrored)
    count = len(straight)
    most = min(CANDIDATES, count - 1)
    codes = []
    for start in range(0, count, BLOCK):
        part = straight[start : start + BLOCK]
        as_is, flipped = part @ straight.T, part @ turned.T
        alike = torch.maximum(as_is, flipped)
        rows = torch.arange(start, start + len(part))
        alike[rows - start, rows] = -1
        columns = alike.topk(most, 1).indices
        wanted = (flipped > as_is).gather(1, columns)
        low, high = torch.minimum(rows[:, None], columns), torch.maximum(rows[:, None], columns)
        codes.append(((low * count + high) * 2 + wanted).flatten())
    code = torch.cat(codes).unique()
    return code // 2 // count, code // 2 % count, code % 2 == 1


def _describe(pyramid: Pyramid) -> Tensor:
    """Histograms of gradient directions, float (n, 512) of length 1."""
    return torch.cat([_describe_block(part) for part in pyramid.levels[1].split(BLOCK)])


def _describe_block(images: Tensor) -> Tensor:
    dx, dy = functional.pad(images[:, :, 2:] - images[:, :, :-2], (1, 1)), torch.zeros_like(images)
    dy[:, 1:-1] = images[:, 2:] - images[:, :-2]
    strength = (dx**2 + dy**2).sqrt()
    direction = torch.atan2(dy, dx) / (2 * torch.pi) * DIRECTIONS
    share = direction - direction.floor()
    bins = torch.arange(DIRECTIONS)[:, None, None]
    lower = (direction.floor() % DIRECTIONS)[:, None] == bins
    upper = ((direction.floor() + 1) % DIRECTIONS)[:, None] == bins
    weights = lower * (1 - share)[:, None] + upper * share[:, None]
    cells = functional.avg_pool2d(weights * strength[:, None], 8, 4, padding=2)
    return functional.normalize(cells.sqrt().flatten(1))


def group_duplicates(
    pairs: Sequence[DuplicatePair], digests: Sequence[str], labels: np.ndarray | None = None
) -> DuplicateGroups:
    """Join pairs to groups; images of one digest are always of one group.

    With `labels`, int (n,), no group gets more than LARGEST_SHARE of a class: the least alike pairs are then
    not joined. Groups do not depend on the order of the images.
    """
    groups = _Groups(digests, labels)
    joined: list[DuplicatePair] = []
    separated: set[int] = set()
    for pair in pairs:
        if groups.find(pair.first) == groups.find(pair.second):
            continue
        if too_many := groups.find_overfull_labels(pair.first, pair.second):
            separated.update(too_many)
        else:
            groups.join(pair.first, pair.second)
            joined.append(pair)
    return DuplicateGroups(groups.keys(), tuple(joined), tuple(sorted(separated)))


class _Groups:
    """Disjoint sets of images, with the number of images of each label in each."""

    def __init__(self, digests: Sequence[str], labels: np.ndarray | None) -> None:
        self._digests = digests
        self._parent = list(range(len(digests)))
        classes = 0 if labels is None or not len(labels) else int(labels.max()) + 1
        self._counts = np.zeros((len(digests), classes), int)
        if labels is not None:
            self._counts[np.arange(len(digests)), labels] = 1
        self._most = LARGEST_SHARE * self._counts.sum(0)
        first: dict[str, int] = {}
        for row, digest in enumerate(digests):
            if first.setdefault(digest, row) != row:
                self.join(first[digest], row)

    def find(self, row: int) -> int:
        while self._parent[row] != row:
            self._parent[row] = self._parent[self._parent[row]]
            row = self._parent[row]
        return row

    def find_overfull_labels(self, first: int, second: int) -> list[int]:
        """The labels of which the two groups together would have too many images."""
        counts, other = self._counts[self.find(first)], self._counts[self.find(second)]
        return [int(label) for label in np.flatnonzero((counts + other) * (counts * other > 0) > self._most)]

    def join(self, first: int, second: int) -> None:
        first, second = self.find(first), self.find(second)
        self._parent[second] = first
        self._counts[first] += self._counts[second]

    def keys(self) -> tuple[str, ...]:
        roots = [self.find(row) for row in range(len(self._digests))]
        least: dict[int, str] = {}
        for root, digest in zip(roots, self._digests, strict=True):
            least[root] = min(digest, least.get(root, digest))
        return tuple(least[root] for root in roots)
