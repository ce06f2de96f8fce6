"""The part of a report that tells which images are near-duplicates of one another. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from transfer.data.manifests import BoxedImage, LabelledImage
from transfer.data.near_duplicates import MOST_IMAGES, DuplicateGroups
from transfer.spec.report import DuplicateImage, DuplicatePairReport, NearDuplicatesReport

MOST_PAIRS = 200  # in a report: a page shows some dozens


def report_near_duplicates(
    found: DuplicateGroups,
    images: Sequence[LabelledImage] | Sequence[BoxedImage],
    labels: Sequence[int],
    names: Sequence[str],
    folds: int = 2,
) -> NearDuplicatesReport:
    """`labels`: of each image, into `names`; of a detector's images all 0, and the one name is ''.

    `folds`: of the estimate.
    """
    sizes = [size for size in Counter(found.groups).values() if size > 1]
    is_contradictory = {pair: labels[pair.first] != labels[pair.second] for pair in found.pairs}
    ordered = sorted(found.pairs, key=lambda pair: (not is_contradictory[pair], -pair.similarity))

    def describe(row: int) -> DuplicateImage:
        return DuplicateImage(images[row].id, images[row].name, names[labels[row]])

    return NearDuplicatesReport(
        images=sum(sizes),
        groups=len(sizes),
        contradictory=sum(is_contradictory.values()),
        pairs=tuple(
            DuplicatePairReport(describe(pair.first), describe(pair.second), round(pair.similarity, 3))
            for pair in ordered[:MOST_PAIRS]
        ),
        sentences=(
            *_describe_groups(len(labels), sum(sizes), len(sizes)),
            *_describe_contradictions(sum(is_contradictory.values())),
            *_describe_separated(found, names),
            *_describe_few_groups(found, labels, names, folds),
        ),
    )


def _describe_groups(count: int, grouped: int, groups: int) -> Iterator[str]:
    if count > MOST_IMAGES:
        yield f'Among more than {MOST_IMAGES:,} photos near-duplicates are not searched.'
    if groups:
        yield (
            f'{grouped} photos are in {groups} group{"" if groups == 1 else "s"} of near-duplicates. '
            'Those of a group were kept together in every estimate: a model never learned from one and was '
            'tested on another.'
        )


def _describe_contradictions(pairs: int) -> Iterator[str]:
    if pairs:
        have = '1 pair has' if pairs == 1 else f'{pairs} pairs have'
        yield f'{have} different classes: check the labels.'


def _describe_separated(found: DuplicateGroups, names: Sequence[str]) -> Iterator[str]:
    for label in found.separated:
        photos = f'of the photos of “{names[label]}”' if names[label] else 'of all photos'
        yield (
            f'More than half {photos} are near-duplicates of one another, so some had to be separated: '
            'the accuracy may be overestimated.'
        )


def _describe_few_groups(
    found: DuplicateGroups, labels: Sequence[int], names: Sequence[str], folds: int
) -> Iterator[str]:
    photos = Counter(labels)
    groups = Counter(label for label, _ in set(zip(labels, found.groups, strict=True)))
    for label in sorted(photos):
        if names[label] and groups[label] < min(folds, photos[label]):
            yield (
                f'The {photos[label]} photos of “{names[label]}” are only {groups[label]} without '
                f'near-duplicates, fewer than the {folds} folds: its figures are uncertain.'
            )
