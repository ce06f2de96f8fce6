"""The mutants: a text of a source file, what replaces it, and the tests that must fail then.

A table, and not mutmut or cosmic-ray: those mutate every operator of a file, thousands of mutants for these
rooms, and run the whole suite for each (a training takes seconds to minutes), so they were for nights; most
of what they make changes a message or a default that no promise rests on. Here each mutant is a bug that
somebody could write, and names its tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mutant:
    file: str
    what: str  # is wrong then
    old: str  # once in the file
    new: str
    tests: tuple[str, ...]
    excuse: str = ''  # why it may survive


def mutants_of(file: str, tests: str, rows: Iterable[tuple[str, str, str]]) -> Iterator[Mutant]:
    for what, old, new in rows:
        yield Mutant(file, what, old, new, tuple(tests.split()))


def find_broken_anchors(mutants: Iterable[Mutant], root: Path) -> list[str]:
    """Texts that are not in their file exactly once, and tests that do not exist."""
    broken = []
    for mutant in mutants:
        count = (root / mutant.file).read_text().count(mutant.old) if (root / mutant.file).exists() else 0
        if count != 1:
            broken.append(f'{mutant.file}: {mutant.what}: {mutant.old!r} is there {count} times')
        if mutant.old == mutant.new:
            broken.append(f'{mutant.file}: {mutant.what}: changes nothing')
        broken += [f'{test} does not exist' for test in mutant.tests if not _exists(root, test)]
    return broken


def _exists(root: Path, test: str) -> bool:
    file, _, name = test.partition('::')
    return (root / file).exists() and (not name or f'def {name}(' in (root / file).read_text())


# A row is a mutant: what is wrong then, the text, what replaces it.
# fmt: off
MUTANTS = [
    *mutants_of('p2l/scores.py', 'tests/p2l/test_scores.py', [
        ('KL counts half of the cross entropy', 'negative_entropy - products, 0.0', 'negative_entropy - products / 2, 0.0'),
        ('the reversed KL is the forward one', 'kl_divergences(signature(stored), log_signatures(means)).T', 'kl_divergences(signature(means), log_signatures(stored))'),
        ('Jensen-Shannon is twice itself', 'np.maximum(both / 2, 0.0)', 'np.maximum(both, 0.0)'),
        ('cosine distance is cosine similarity', '1 - means @ stored.T', 'means @ stored.T'),
        ('squared distances lack a factor', '- 2 * a.means @ b.means.T', '- a.means @ b.means.T'),
        ('classes weigh alike in the earth mover\'s distance', 'a.images / a.images.sum()', 'np.ones(len(a.images)) / len(a.images)'),
        ('rounding noise is blown up to z = 1', 'deviation > 1e-12 * np', 'deviation > 0 * np'),
        ('a large divergence speaks for a source', 'standard_scores(-np.asarray', 'standard_scores(np.asarray'),
        ('size counts by images, not by their logarithm', 'standard_scores(np.log(counts))', 'standard_scores(counts)'),
    ]),
    *mutants_of('p2l/ranking.py', 'tests/p2l/test_ranking.py', [
        ('of equal scores the smaller network goes first', 'key=lambda source: -source.parameters', 'key=lambda source: source.parameters'),
        ('the worst source leads', '-round(item.score, DECIMALS)', 'round(item.score, DECIMALS)'),
        ('a shortlist takes one more of a data set', 'if same >= PER_DATASET', 'if same > PER_DATASET'),
        ('the largest source takes the first place of the shortlist', 'few[-1] = next(', 'few[0] = next('),
        ('the noise of two probes counts all images', 'NOISE * (ahead + behind) ** 0.5', 'NOISE * len(best) ** 0.5'),
        ('stability looks at similarity alone', 'np.round(parts + scorer.size_parts, DECIMALS)', 'np.round(parts, DECIMALS)'),
        ('the weight of similarity is forgotten', 'self.similarity_weight * similarity_scores(measured)', 'similarity_scores(measured)'),
        ('a negative signature passes', 'mean.min() < 0', 'mean.min() < -1e9'),
    ]),
    *mutants_of('p2l/forecast.py', 'tests/p2l/test_forecast.py', [
        ('the conformal quantile lacks the new target', 'SIDE * (len(largest) + 1)', 'SIDE * len(largest)'),
        ('a target is predicted by a fit that saw it', '_fit_ridge(record.select(~held_out))', '_fit_ridge(record)'),
        ('the lower side takes the bound of the upper', 'below=_conformal_bound(-relative, record)', 'below=_conformal_bound(relative, record)'),
        ('a perfect record gives no spread', 'spread = max(MIN_SPREAD,', 'spread = max(0.0,'),
        ('log odds lean to the right answers', '(right + 0.5) /', '(right + 1.5) /'),
        ('the noise of the test counts that of the probe', '1 / np.maximum(test_images * variance, 0.5)', '1 / np.maximum(probe_images * variance, 0.5)'),
    ]),
    *mutants_of('p2l/learning_curve.py', 'tests/p2l/test_forecast.py', [
        ('the curve is followed beyond twice the images', 'int(last.images * (MAX_GROWTH - 1))', 'int(last.images * 100)'),
        ('more images may make it worse', 'max(0.0, value) * doublings', 'value * doublings'),
        ('the band has no lower side', '(slope, slope - error, slope + error)', '(slope, slope, slope + error)'),
    ]),
    *mutants_of('p2l/transferability.py', 'tests/p2l/test_transferability.py', [
        ('an image is its own neighbour', 'np.fill_diagonal(similarity, -np.inf)', 'np.fill_diagonal(similarity, np.inf)'),
        ('LogME is twice itself', 'total / (2 * n)', 'total / n'),
        ('dimensions without rank hold nothing', '(d - len(squares)) * np.log(alpha)', '0 * np.log(alpha)'),
        ('LEEP divides by a mean', 'marginal = joint.sum(0)', 'marginal = joint.mean(0)'),
    ]),
    *mutants_of('p2l/benchmark/metrics.py', 'tests/p2l/test_benchmark_metrics.py tests/p2l/test_baselines.py', [
        ('the noise of means has too many degrees of freedom', '(len(whole) - 1) * (seeds - 1)', 'len(whole) * seeds'),
        ('within noise of the best is not the best', 'NOISE * _difference_errors(table) + 1e-12', '1e-12'),
        ('of the first three the worst is kept', 'tops].min(-1)', 'tops].max(-1)'),
    ]),
    *mutants_of('p2l/benchmark/fit_weights.py', 'tests/p2l/test_fit_weights.py', [
        ('the weights of a target are fitted to it as well', 'np.delete(np.arange(len(table.targets)), index)', 'np.arange(len(table.targets))'),
        ('of equal weights the farthest is taken', 'abs(size_weight - WEIGHTS[1])', '-abs(size_weight - WEIGHTS[1])'),
    ]),
    *mutants_of('p2l/benchmark/baselines.py', 'tests/p2l/test_baselines.py', [
        ('looking with the reference costs nothing', 'record.reference_seconds[target, seed] + each[probed].sum()', 'each[probed].sum()'),
        ('probes are free', '+ each[probed].sum()', '+ 0 * each[probed].sum()'),
        ('the smallest default', 'np.where(images == images.max(), record.parameters, -1).argmax()', 'np.where(images == images.max(), record.parameters, -1).argmin()'),
    ]),
    *mutants_of('transfer/data/splits.py', 'tests/transfer/data/test_splits.py', [
        ('copies of an image land in different folds', 'np.array([fold_of[group] for group in groups])', 'np.arange(len(groups)) % k'),
        ('classes are not dealt out evenly', 'key=lambda place: labels[first[members[place]]]', 'key=lambda place: 0'),
        ('a tiny set is not left out one by one', 'if len(members) <= tiny', 'if len(members) < 0'),
        ('a class of one image is kept', 'if count >= 2]', 'if count >= 1]'),
    ]),
    *mutants_of('transfer/data/augment.py', 'tests/transfer/data/test_augment.py', [
        ('every image is flipped', '< 0.5, -1.0, 1.0)', '< 1.5, -1.0, 1.0)'),
        ('crops leave the image', '* (1 - width)', '* (1 + width)'),
        ('the middles of pixels are off by half the image', '/ count - 1', '/ count - 0.5'),
    ]),
    *mutants_of('transfer/features/calibration.py', 'tests/transfer/features/test_calibration.py', [
        ('full confidence falls out of the bins', 'np.minimum((confidence * BINS).astype(int), BINS - 1)', '(confidence * BINS).astype(int)'),
        ('the calibration error forgets how many images a bin has', 'sum(row.n * abs(', 'sum(abs('),
        ('the diagram after calibration is that of before', 'bin_by_confidence(softmax(logits, temperature), labels)', 'bin_by_confidence(softmax(logits), labels)'),
    ]),
    *mutants_of('transfer/features/metrics.py', 'tests/transfer/features/test_metrics.py', [
        ("Wilson's interval is too wide", 'spread / (4 * n)', 'spread / n'),
        ('rows and columns of the confusion matrix are swapped', 'labels * classes + predicted', 'predicted * classes + labels'),
        ('the surest mistake comes last', '(-row.score, row.name)', '(row.score, row.name)'),
        ("McNemar's counts are swapped", '(a_right & ~b_right).sum()), int((b_right & ~a_right).sum())', '(b_right & ~a_right).sum()), int((a_right & ~b_right).sum())'),
    ]),
    *mutants_of('transfer/features/linear_probe.py', 'tests/transfer/features/test_linear_probe.py', [
        ('the scores of a fold come from the head that saw all', 'heads[fold + 1].logits(', 'heads[0].logits('),
        ('the intercept is penalised', 'np.append(np.ones(width - 1), 0.0)', 'np.append(np.ones(width - 1), 100.0)'),
        ('the head forgets the mean of the features', 'centred[-1] - weight @ basis.mean', 'centred[-1]'),
    ]),
    *mutants_of('transfer/finetune/trainer.py', 'tests/transfer/finetune/test_trainer.py tests/transfer/finetune/test_plan.py', [
        ('there is no warm-up', '0.1 + 0.9 * done / WARM_UP', '1.0'),
        ('the rate does not fall to nothing', '0.5 * (1 + math.cos(', '0.5 * (2 + math.cos('),
    ]),
    *mutants_of('transfer/finetune/plan.py', 'tests/transfer/finetune/test_plan.py', [
        ('rates begin to fall one group too early', ' = rate\n        rate *= FALL', ' = rate * FALL\n        rate *= FALL'),
        ('epochs forget the batch', 'steps * batch / images', 'steps / images'),
        ('little data counts as much', 'per_class >= ENOUGH', 'per_class >= 1'),
        ('a heavy network learns everything', 'macs > HEAVY and', 'macs < 0 and'),
        ('a similar source is taken for a distant one', 'skill >= SIMILAR', 'skill > 1'),
    ]),
    *mutants_of('transfer/finetune/trainer.py', 'tests/transfer/finetune/test_trainer.py', [
        ('the learning rate changes by epoch, not by step', '(epoch + start / len(order)) / run.epochs', 'epoch / run.epochs'),
        ('the schedule is that of a single epoch', '(epoch + start / len(order)) / run.epochs', 'start / len(order)'),
    ]),
    *mutants_of('transfer/finetune/cross_validation.py', 'tests/transfer/finetune/test_cross_validation.py', [
        ('a fold learns from its held-out images', 'np.flatnonzero(folds != fold)', 'np.arange(len(folds))'),
        ('a worse network than the first is kept', ' = gained > lost or (', ' = gained >= 0 or ('),
        ('a figure below the one that was told is kept', ' and right < instant_accuracy', ' and right < 0'),
        ('at equal accuracy the worse calibrated one is kept', 'calibrated_loss(finetuned, labels) < calibrated_loss(linear, labels)', 'calibrated_loss(finetuned, labels) > calibrated_loss(linear, labels)'),
    ]),
    *mutants_of('transfer/regions/boxes.py', 'tests/transfer/regions/test_boxes.py', [
        ('the union counts the overlap twice', '+ areas(others)[None, :] - overlap', '+ areas(others)[None, :]'),
        ('shifts are in sizes of the target', '(gx - x) / w', '(gx - x) / gw'),
        ('a wild size overflows', 'np.minimum(shifts[:, 2], LARGEST_LOG_SCALE)', 'shifts[:, 2]'),
        ('suppression keeps the worst', "np.argsort(-scores, kind='stable')\n    boxes", "np.argsort(scores, kind='stable')\n    boxes"),
        ('suppression is twice as strict', 'overlap <= threshold * (', 'overlap <= threshold / 2 * ('),
        ('mirrored boxes are inside out', 'width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0]', 'width - boxes[:, 0], boxes[:, 1], width - boxes[:, 2]'),
        ('heights are clipped by the width', 'boxes[:, 1].clip(0, height)', 'boxes[:, 1].clip(0, width)'),
        ('distinct boxes lose their order', 'return np.sort(first)', 'return first'),
    ]),
    *mutants_of('transfer/regions/roi_pooling.py', 'tests/transfer/regions/test_roi_pooling.py', [
        ('the last row of a region is left out', 'max(bottom - top + 1, 1)', 'max(bottom - top, 1)'),
        ('samples of a cell are added, not averaged', '/= rows * columns', '/= rows'),
        ('bilinear weights are swapped', 'upper * (1 - part_y) + lower * part_y', 'upper * part_y + lower * (1 - part_y)'),
    ]),
    *mutants_of('transfer/regions/selective_search/grouping.py', 'tests/transfer/regions/test_proposals.py', [
        ('large regions join first', 'np.float32(1) - np.float32(both) / np.float32(pixels)', 'np.float32(both) / np.float32(pixels)'),
        ('a union forgets one of its parts', 'sizes[one] + sizes[other]\n    boxes', 'sizes[one]\n    boxes'),
    ]),
    *mutants_of('transfer/detection/evaluation.py', 'tests/transfer/detection/test_evaluation.py', [
        ('a second detection of an object is right', 'elif not taken[best]', 'elif True'),
        ('finding a difficult object is false', '= IGNORED\n        elif', '= FALSE\n        elif'),
        ('the limit of overlap is excluded', 'overlaps[place, best] < at', 'overlaps[place, best] <= at'),
        ('precision is not made falling', 'np.maximum.accumulate(precision[::-1])[::-1]', 'precision'),
    ]),
    *mutants_of('transfer/detection/rcnn/svm.py', 'tests/transfer/detection/test_rcnn.py', [
        ('mining keeps the easy negatives and drops the hard ones', '> spec.hard_margin', '< spec.hard_margin'),
        ('half-covered regions are negatives', '< spec.negative_iou', '< 1.0'),
    ]),
    *mutants_of('transfer/detection/rcnn/regress.py', 'tests/transfer/detection/test_rcnn.py', [
        ('the targets are not centred', ' = targets - mean', ' = targets - 0 * mean'),
    ]),
    *mutants_of('transfer/detection/fast_rcnn/sampling.py', 'tests/transfer/detection/test_fast_rcnn.py', [
        ('background regions learn to move', '(labels > 0) & (', '(labels >= 0) | ('),
        ('a mirrored move keeps its direction', 'shifts[:, 0] *= -1', 'shifts[:, 0] *= 1'),
    ]),
]
# fmt: on
