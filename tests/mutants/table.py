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


def mutants_of(file: str, tests: str, rows: Iterable[tuple[str, ...]]) -> Iterator[Mutant]:
    for what, old, new, *excuse in rows:
        yield Mutant(file, what, old, new, tuple(tests.split()), *excuse)


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
    name = name.rpartition('::')[2]  # without the class of a method
    return (root / file).exists() and (not name or f'def {name}(' in (root / file).read_text())


# A row is a mutant: what is wrong then, the text, what replaces it; and why it may survive, if it may.
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
        ('classes are not dealt out evenly', 'key=lambda fold: (filled[fold, own], filled[fold].sum())', 'key=lambda fold: 0'),
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
    ]),
    *mutants_of('transfer/classification/portfolio.py', 'tests/transfer/classification/test_portfolio.py', [
        ('a dearer candidate replaces a better one', 'float(gain.mean()) > STANDARD_ERRORS', 'float(gain.mean()) > -99 * STANDARD_ERRORS'),
        ('losses are compared the wrong way round', '_calibrated_losses(others, labels) - _calibrated_losses(logits, labels)', '_calibrated_losses(logits, labels) - _calibrated_losses(others, labels)'),
        ('losses are compared without calibration', 'image_losses(logits, labels, fit_temperature(logits, labels))', 'image_losses(logits, labels, 1.0)'),
        ('members answer without their temperatures', 'softmax(each, t) for', 'softmax(each, 1.0) for'),
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
    *mutants_of('p2l/signatures.py', 'tests/p2l/test_signatures.py', [
        ('signatures keep their zeros', 'dtype=np.float64) + EPSILON', 'dtype=np.float64)'),
        ('a negative feature passes', 'values.min() < 0:', 'values.min() < -1e9:'),
        ('an image that was drawn twice counts once', '[classes].T * counts', '[classes].T'),
        ('a class mean is divided by the images, not by their weights', 'totals = membership[present].sum(1)', 'totals = (membership[present] > 0).sum(1)'),
        ('stored features lose what tells data sets apart', 'DIGITS = 6', 'DIGITS = 1'),
    ]),
    *mutants_of('p2l/scores.py', 'tests/p2l/test_scores.py', [
        ('cosine forgets the length of the target', 'np.linalg.norm(means, axis=1)[:, None] * np', '1 * np'),
        ('a source trained on nothing passes', '(counts < 1).any()', '(counts < 0).any()'),
    ]),
    *mutants_of('p2l/ranking.py', 'tests/p2l/test_ranking.py', [
        ('all probes are compared with the worst one', 'best = max(correct', 'best = min(correct'),
        ('of equally preferred sources the worse probe is taken', 'int(correct[place].sum()),', '-int(correct[place].sum()),'),
        ('the images are never drawn anew', 'draws = generator.multinomial(images, np.full(images, 1 / images), size=count)', 'draws = np.ones((count, images))'),
        ('stability counts the last block alone', 'wins += np.bincount', 'wins = np.bincount'),
        ('a signature of another width passes', 'mean.shape != (width,) or ', ''),
        ('a source without a signature is the least similar', 'parts = np.zeros((len(measured)', 'parts = -9 + np.zeros((len(measured)'),
        ('the weight of size is forgotten', 'self.size_parts = size_weight * size_scores', 'self.size_parts = size_scores'),
        ('the earth mover sees one class', 'np.zeros(len(features), dtype=int) if labels is None else np.asarray(labels)', 'np.zeros(len(features), dtype=int)'),
        ('two ranks of one training differ', 'generator = np.random.default_rng(seed)', 'generator = np.random.default_rng()'),
    ]),
    *mutants_of('p2l/forecast.py', 'tests/p2l/test_forecast.py', [
        ('a seldom chosen source counts like any other in the interval', 'np.cumsum(weight[order])', 'np.cumsum(np.ones(len(order)))'),
        ('and in the regression', 'sample_weight=weight)', 'sample_weight=None)'),
        ('the interval reaches up as far as down', 'middle + self.above * unit', 'middle + self.below * unit'),
        ('the images of the test do not count', 'counted = probe_images if test_images is None else test_images', 'counted = probe_images'),
        ('an old forecast has no lower side', "{'below': tail, 'above': tail}", "{'below': 0.0, 'above': tail}"),
        ('two targets are enough', 'len(targets) < MIN_TARGETS', 'len(targets) < 2'),
        ('intervals are validated on targets that they were fitted to', 'record.select(record.target != target)', 'record.select(record.target >= 0)'),
        ('the spread holds the counting noise as well', 'np.average(residuals**2 - noise,', 'np.average(residuals**2,'),
        ('a side that nothing reached turns inside out', 'max(0.0, float(largest[rank - 1]))', 'float(largest[rank - 1])', 'a guard: residuals of a regression with an intercept have both signs, so the largest is above 0'),
        ('the penalty flattens the regression', 'PENALTY = 1.0', 'PENALTY = 1000.0'),
    ]),
    *mutants_of('p2l/learning_curve.py', 'tests/p2l/test_forecast.py', [
        ('the curve goes on from its smallest set', 'last = max(points', 'last = min(points'),
        ('a doubling is an e-fold', 'sizes = np.log2(', 'sizes = np.log('),
        ('a point of few images weighs like one of many', 'weights = counts * np.maximum', 'weights = np.maximum'),
        ('one size is a curve', 'for point in points}) < 2', 'for point in points}) < 1'),
    ]),
    *mutants_of('p2l/transferability.py', 'tests/p2l/test_transferability.py', [
        ('an opposite neighbour votes against its class', '+= 1 + similarity[rows, column]', '+= similarity[rows, column]'),
        ('a small set asks the image itself', 'min(neighbours, len(classes) - 1)', 'min(neighbours, len(classes))'),
        ('what no linear model reaches is forgotten', 'max(0.0, length - float(z @ z))', '0.0'),
        ('the fixed point is left at once', '<= TOLERANCE * ratio', '<= 1e6 * ratio'),
        ('long features are nearer', 'unit = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)', 'unit = matrix'),
        ('outputs that are no probabilities pass', 'theta.min() < 0 or not', 'theta.min() < 0 and not'),
    ]),
    *mutants_of('p2l/benchmark/metrics.py', 'tests/p2l/test_benchmark_metrics.py', [
        ('ties go to the source listed first', 'np.random.default_rng(seed).random((TIE_BREAKS, *scores.shape))', 'np.tile(np.linspace(0, 1, scores.shape[-1]), (TIE_BREAKS, *scores.shape[:-1], 1))'),
        ('the static baseline looks at its own target', 'others = np.delete(ranks, index, axis=0)', 'others = ranks'),
        ('a source run on no other target comes first', 'np.maximum(known.sum(0), 1), -1.0)', 'np.maximum(known.sum(0), 1), 1.0)'),
        ('ties are no half rank', '0.5 * ((values[None] ==', '0.0 * ((values[None] =='),
        ('chance counts sources that were not run', 'hits.sum(1) / table.known.sum(1)', 'hits.sum(1) / hits.shape[1]'),
        ('the error of a difference is that of one mean', 'np.sqrt(2 * variance / seeds)', 'np.sqrt(variance / seeds)'),
        ('a seed without scores counts as no regret', '.sum(1) / scored.sum(1))', '.sum(1) / scored.shape[1])'),
        ('a source without a score stands first', 'np.nanmin(row) - 1', 'np.nanmax(row) + 1'),
        ('the better of two baselines is the worse', 'np.array(b.by_target) - np.array(a.by_target)', 'np.array(a.by_target) - np.array(b.by_target)'),
        ('the interval is that of half the draws', '(2.5, 97.5)', '(25, 75)'),
        ('the relative accuracy is the regret', '_bootstrap(1 - regrets / best, seed)', '_bootstrap(1 - regrets, seed)'),
        ('a pair that was not run is picked', 'usable = np.where(table.known[:, None], by_seed, np.nan)', 'usable = np.where(True, by_seed, np.nan)'),
        ('costs of all targets are one choice', 'seconds=float(np.mean(seconds))', 'seconds=float(np.sum(seconds))'),
    ]),
    *mutants_of('p2l/benchmark/fit_weights.py', 'tests/p2l/test_fit_weights.py', [
        ('weights that are no better are taken', 'better = enough and after', 'better = enough or after'),
        ('two targets are enough', 'enough = len(table.targets) >= MIN_TARGETS', 'enough = True'),
        ('the worst weights are taken', '(round(regrets[size_weight], 6)', '(-round(regrets[size_weight], 6)'),
    ]),
    *mutants_of('p2l/benchmark/baselines.py', 'tests/p2l/test_baselines.py', [
        ('of one data set the smaller network goes first', '+ 1e-6 * order)', '- 1e-6 * order)'),
        ('a source without a signature is the least similar', 'scores[key] = 0.0', 'scores[key] = -9.0'),
        ('every zoo is the whole one', '.random((RANDOM_ZOOS, len(available))) < 0.5', '.random((RANDOM_ZOOS, len(available))) < 2'),
        ('a forecast has seen its target', 'fit_forecaster(rows.select(rows.target != target))', 'fit_forecaster(rows)'),
        ('the forecast looks at sources that were not probed', 'if by_choice[key] > -count:', 'if True:'),
        ('the best probe decides, within noise or not', 'order = [chosen, *(place for place in by_probe if place != chosen)]', 'order = by_probe'),
        ('a seed half run is compared', 'np.where(record.complete[:, :, None], by_seed, np.nan)', 'by_seed'),
        ('finetuning everything costs no finetuning', "_cost(record, 'features', 'probe', 'finetune')", "_cost(record, 'features', 'probe')"),
        ('a probe counts the test images', 'probe_images=record.train_images[target]', 'probe_images=record.test_images[target]'),
        ('the earth mover sees one class of a source', 'source.class_means or ClassMeans(', 'ClassMeans('),
    ]),
    *mutants_of('p2l/benchmark/records.py', 'tests/p2l/test_baselines.py', [
        ('paired errors count what both got right', '(one ^ other).sum()', '(one | other).sum()'),
        ('paired errors are variances', 'np.sqrt(differing) / max(1', 'differing / max(1'),
        ('pairs are with the worst source', 'np.nanmean(accuracy, 1).argmax(1)', 'np.nanmean(accuracy, 1).argmin(1)'),
        ('means run over different seeds', 'if not partial.all():', 'if False:'),
        ('a target that was only begun is compared', 'if count == len(sources)}', 'if count > 0}'),
        ('one source with a signature is a comparison', 'if not 2 <= len(chosen)', 'if not 1 <= len(chosen)'),
        ('the sources of a part cost what all of them do', "seconds={name: values[..., chosen] for name", "seconds={name: values for name"),
    ]),
    *mutants_of('transfer/runtime/softmax.py', 'tests/transfer/serving/test_export.py::test_softmax_stands_large_numbers_and_flattens_with_temperature', [
        ('temperature sharpens', 'logits / temperature', 'logits * temperature'),
        ('large scores overflow', 'scaled - scaled.max(-1, keepdims=True)', 'scaled'),
    ]),
    *mutants_of('transfer/data/splits.py', 'tests/transfer/data/test_splits.py', [
        ('the seed decides nothing', 'np.random.default_rng(seed).permutation(len(members))', 'np.arange(len(members))'),
        ('labels keep their old numbers', 'position[image.label], image.digest', 'image.label, image.digest'),
    ]),
    *mutants_of('transfer/data/detection_splits.py', 'tests/transfer/data/test_detection_splits.py', [
        ('a copy of a training photo is held out', 'in rows if group not in held)', 'in rows if group not in held or len(held) > 1)'),
        ('a class is on one side only', 'if all(group in held for group in showing):', 'if False:'),
        ('a class is never tested', 'elif not any(group in held for group in showing):', 'elif False:'),
        ('the order of the images decides', 'names = sorted(sizes)', 'names = list(sizes)'),
        ('difficult objects are enough to learn from', 'box.label == label and not box.difficult for box', 'box.label == label for box'),
        ('one photo is enough', 'if len(images) >= 2]', 'if len(images) >= 1]'),
    ]),
    *mutants_of('transfer/data/augment.py', 'tests/transfer/data/test_augment.py', [
        ('every image of a batch is jittered alike', 'brightness = _uniform(count,', 'brightness = _uniform(1,'),
        ('values leave their range', 'return images.clamp(0, 1)', 'return images'),
    ]),
    *mutants_of('transfer/features/linear_probe.py', 'tests/transfer/features/test_linear_probe.py', [
        ('a fold is fitted with its own images', 'outer = [folds != fold for fold in range(k)]', 'outer = [folds >= 0 for fold in range(k)]'),
        ('the penalty of a fold is chosen with that fold', 'inside = folds != fold\n', 'inside = folds >= 0\n'),
        ('the worst penalty is chosen', 'penalty = PENALTIES[int(losses.argmin())]', 'penalty = PENALTIES[int(losses.argmax())]'),
        ('a feature that hardly varies is blown up', 'SMALLEST_SPREAD * spread.mean() + 1e-9', '1e-9'),
    ]),
    *mutants_of('transfer/features/extract.py', 'tests/transfer/features/test_extract.py', [
        ('other weights read the same cache', "f'{source.digest or source.name} {source.mean}", "f'{source.mean}"),
        ('fresh features go to other images', '{pixels.digests[index]: fresh[place] for place, index in enumerate(sorted(missing))}', '{pixels.digests[index]: fresh[place] for place, index in enumerate(sorted(missing)[::-1])}'),
    ]),
    *mutants_of('transfer/features/calibration.py', 'tests/transfer/features/test_calibration.py', [
        ('the loss is that without the best temperature', 'return log_loss(logits, labels, fit_temperature(logits, labels))', 'return log_loss(logits, labels)'),
    ]),
    *mutants_of('transfer/features/metrics.py', 'tests/transfer/features/test_metrics.py', [
        ('precision is recall', 'int(table[:, index].sum())', 'int(table[index].sum())'),
        ('the log loss forgets the temperature', 'scaled = logits / temperature', 'scaled = logits'),
    ]),
    *mutants_of('transfer/finetune/trainer.py', 'tests/transfer/finetune/test_trainer.py', [
        ('a frozen group learns', 'parameter.requires_grad_(rate > 0)', 'parameter.requires_grad_(True)'),
        ('biases decay', "'peak': rate, 'weight_decay': 0.0}", "'peak': rate}"),
        ('every epoch has the same order', 'return run.seed * 1_000_003 + epoch', 'return run.seed * 1_000_003'),
        ('a run stops in its first half', 'len(history.logits) < run.epochs / 2', 'len(history.logits) < 0'),
        ('a run never stops', '>= run.patience', '> 10**9'),
        ('validation sees augmented images', 'inputs.clean(torch.from_numpy(rows[start:stop]))', 'inputs.training(torch.from_numpy(rows[start:stop]), 0, torch.Generator())'),
        ('labels are those of other images', 'targets[rows.to(targets.device)]', 'targets[start:stop]'),
    ]),
    *mutants_of('transfer/finetune/cross_validation.py', 'tests/transfer/finetune/test_cross_validation.py', [
        ('the head of all images starts each fold', 'runner.make_fold(one, folds, probe.fold_heads[one],', 'runner.make_fold(one, folds, probe.head,'),
        ('the first fold starts from the head of all images', 'runner.make_fold(0, folds, probe.fold_heads[0],', 'runner.make_fold(0, folds, probe.head,'),
        ('the worst epoch is taken', 'return int(np.argmin([calibrated_loss', 'return int(np.argmax([calibrated_loss'),
        ('the worse scale of the rates is taken', 'best = int(np.argmin(losses))', 'best = int(np.argmax(losses))'),
        ('nothing is given up early', 'return lost - gained > GIVE_UP_ERRORS', 'return lost - gained > 1e9'),
        ('everything is given up early', 'return lost - gained > GIVE_UP_ERRORS', 'return lost - gained > -1e9'),
        ('rates that were given are scaled', '(1.0,) if task.spec.rates else RATE_SCALES', 'RATE_SCALES'),
        ('the final run leaves a fold out', "rows, spec = np.arange(len(self.task.labels))", "rows, spec = np.arange(len(self.task.labels) - 2)"),
        ('a new head starts from the bias of another class', 'layer.bias.copy_(torch.from_numpy(head.bias))', 'layer.bias.copy_(torch.from_numpy(head.bias[::-1].copy()))'),
    ]),
    *mutants_of('transfer/finetune/inputs.py', 'tests/transfer/finetune/test_inputs.py', [
        ('the first view is augmented as well', 'batch = images.training(rows, 0, generator) if view else images.clean(rows)', 'batch = images.training(rows, 0, generator)'),
        ('views do not take turns', '(epoch + rows) % len(self.views)', 'rows % len(self.views)'),
        ('validation takes a view', 'self.views[0, rows]', 'self.views[-1, rows]'),
    ]),
    *mutants_of('transfer/selection/choose.py', 'tests/transfer/selection/test_choose.py', [
        ('the reference sees the first classes alone', "by_class = np.argsort(labels, kind='stable')", 'by_class = np.arange(len(labels))'),
        ('negative features reach P2L', 'np.maximum(last_layer(network, features), 0)', 'last_layer(network, features)'),
        ('labels of other rows', 'labels=context.labels[rows]', 'labels=context.labels[: len(rows)]'),
        ('a signature of another reference is compared', 'signature = source.signature if len(source.signature) == width else None', 'signature = source.signature or None'),
        ('the last of the ranking serves first', 'for item in ranked:\n        if probed', 'for item in reversed(ranked):\n        if probed'),
        ('every source is probed', 'shortlist(ranked, context.spec.shortlist)', 'shortlist(ranked, len(ranked))'),
        ('of equal networks the heavier one is taken', "return scores[item.network.source.name], -macs", "return scores[item.network.source.name], macs"),
        ('weight counts on a GPU too', "if context.device.type == 'cpu' else 0.0\n        return scores", "if True else 0.0\n        return scores"),
        ('a source is compared with the worst probe', 'best = max(probed, key', 'best = min(probed, key'),
        ('the reason told is another one', 'if round(mine, DECIMALS) != round(its, DECIMALS))', 'if round(mine, DECIMALS) == round(its, DECIMALS) or True)'),
        ('networks that were only probed stay in memory', 'context.release_others(best.network.source, *(other.network.source for other in others))', 'None'),
        ('a source that was asked for is not taken', "if context.spec.source != 'auto':\n        return context.probe", "if context.spec.source == '':\n        return context.probe"),
        ('a source that is not there may be asked for', "context.spec.source not in ('auto', *names)", "context.spec.source not in ('auto', *names, context.spec.source)"),
    ]),
    *mutants_of('transfer/selection/context.py', 'tests/transfer/selection/test_context.py', [
        ('a note is told twice', 'if sentence not in self.notes:', 'if True:'),
        ('any source signs the images', 'source.digest == self.spec.reference.digest', 'source.digest'),
        ('the signature holds negative parts', 'positive = np.maximum(last_layer(network, features), 0)', 'positive = last_layer(network, features)'),
        ('a probe is made twice', 'if source.name not in self._probed:', 'if True:'),
        ('the folds of a probe are others than the seed says', 'self.spec.folds, self.spec.seed)', 'self.spec.folds, self.spec.seed + 1)'),
        ('a probe takes five folds, whatever was asked for', 'self.group_images(pixels), self.spec.folds', 'self.group_images(pixels), 5'),
        ('every image is seen where some were asked for', 'pixels if rows is None else pixels.rows(rows)', 'pixels'),
        ('the others are kept', 'self._probed = {source.name: self._probed[source.name] for source in kept}', 'pass'),
    ]),
    *mutants_of('transfer/selection/forecast.py', 'tests/transfer/selection/test_forecast.py', [
        ('counting noise counts twice', 'test_images=math.inf', 'test_images=len(context.labels)'),
        ('a part that is tiny makes a point', 'len(labels) / parts > TINY and ', ''),
        ('a class of one image makes a point', ' and counts.min() >= LEAST_PER_CLASS', ''),
        ('the right ones of a part are a share of all', 'right / len(labels), len(labels))', 'right / len(labels) / parts, len(labels))'),
        ('the score is that of the first source', 'for row in choice.ranking if row.name == choice.source.name)', 'for row in choice.ranking)'),
        ('a large set measures its curve too', 'if len(labels) <= CURVE_UP_TO', 'if True'),
        ('a head of a part has seen it', 'fit_probe(probed.features[rows], own, classes, fold_of).logits.argmax(1)', 'fit_probe(probed.features[rows], own, classes, fold_of).head.logits(probed.features[rows]).argmax(1)'),
    ]),
    *mutants_of('transfer/selection/benchmark/targets.py', 'tests/transfer/selection/test_benchmark.py::test_a_split_draws_so_many_of_each_class_and_leaves_a_third_to_judge_by tests/transfer/selection/test_benchmark.py::test_copies_of_a_photo_are_left_out_and_one_in_two_classes_altogether tests/transfer/selection/test_benchmark.py::test_a_folder_that_is_no_target_is_named', [
        ('a third of a class is not kept', 'int(len(rows) * TRAIN_SHARE)', 'len(rows)'),
        ('what was learned is tested on', 'np.flatnonzero(~mask)', 'np.arange(len(mask))'),
        ('every seed draws the same images', 'generator = np.random.default_rng(seed)', 'generator = np.random.default_rng(0)'),
        ('a photo in two classes is kept', 'if len(homes[digest]) == 1)', 'if len(homes[digest]) >= 1)'),
        ('a class of few images passes', 'if count < LEAST_IMAGES:', 'if count < 1:'),
    ]),
    *mutants_of('transfer/selection/benchmark/cell.py', 'tests/transfer/selection/test_benchmark.py::test_a_cell_holds_the_accuracy_on_held_out_photos_and_what_was_known_before tests/transfer/selection/test_benchmark.py::test_the_accuracy_is_of_the_finetuned_network_and_that_of_the_linear_head_stands_beside_it tests/transfer/selection/test_benchmark.py::test_leep_is_of_the_probabilities_that_the_source_itself_gives', [
        ('the accuracy is that of the linear head', "'accuracy': accuracy(logits, test_labels)", "'accuracy': accuracy(linear, test_labels)"),
        ('right ones are counted wrong', "'1' if hit else '0'", "'0' if hit else '1'"),
        ('the measure of probabilities gets scores', 'leep(softmax(predict_scores(network.model, network.source, pixels, machine)), labels)', 'leep(softmax(predict_scores(network.model, network.source, pixels, machine), 1e9), labels)'),
    ]),
    *mutants_of('transfer/selection/benchmark/matrix.py', 'tests/transfer/selection/test_benchmark.py::test_what_the_reference_sees_is_kept_for_each_target_and_seed tests/transfer/selection/test_benchmark.py::test_a_source_that_changed_under_its_name_is_refused tests/transfer/selection/test_benchmark.py::test_a_cell_that_somebody_else_is_at_is_left_to_them tests/transfer/selection/test_benchmark.py::test_more_seeds_may_be_added_but_nothing_else_changed', [
        ('cells of another setup are continued', 'if known and {key: known[key] for key in wanted} != wanted:', 'if False:'),
        ('a source that changed is continued', 'if changed := [key for key in new if key in old and old[key] != new[key]]:', 'if changed := []:'),
        ('the seeds begin anew', 'range(setup.first_seed, setup.first_seed + setup.seeds)', 'range(setup.seeds)'),
        ('class means are of all images', 'mean_feature(features[labels == label])', 'mean_feature(features)'),
        ('two processes fill one cell', 'if not is_ours:', 'if False:'),
    ]),
    *mutants_of('transfer/classification/report.py', 'tests/transfer/classification/test_report.py', [
        ('scores of mistakes are not calibrated', 'softmax(inputs.logits, calibration.temperature)', 'softmax(inputs.logits)'),
        ('the interval is that of the mistakes', 'interval=wilson_interval(right, len(labels))', 'interval=wilson_interval(len(labels) - right, len(labels))'),
        ('the confusion is upside down', 'confusion_matrix(predicted, labels, context.classes)', 'confusion_matrix(labels, predicted, context.classes)'),
        ('the calibration is left out', 'return report, calibration.temperature', 'return report, 1.0'),
    ]),
    *mutants_of('transfer/classification/train.py', 'tests/transfer/classification/test_train.py::test_a_linear_model_is_sealed_as_the_instant_one_was_and_serves_calibrated_scores tests/transfer/classification/test_train.py::test_a_class_of_one_image_is_left_out_of_the_model tests/transfer/classification/test_train.py::test_a_linear_head_without_a_mistake_is_not_finetuned tests/transfer/classification/test_train.py::test_a_finetuned_network_that_is_better_is_sealed_with_its_own_figures tests/transfer/classification/test_train.py::test_the_sealed_linear_model_has_learned_from_every_image tests/transfer/classification/test_train.py::TestEnsemble::test_it_answers_with_the_calibrated_mean_of_its_members', [
        ('a faultless linear head is finetuned', "if mistakes < LEAST_MISTAKES and context.spec.plan == 'auto':", 'if False:'),
        ('the report of the linear head is kept with the finetuned one', '        candidate.logits,\n', '        choice.probed.probe.logits,\n'),
        ('the sealed head has not seen the first fold', 'network, head = probed.network, probed.probe.head', 'network, head = probed.network, probed.probe.fold_heads[0]'),
        ('the members of an ensemble are not calibrated', 'temperature=temperature,\n            stage_features', 'temperature=1.0,\n            stage_features'),
        ('the finetuned network is thrown away', 'ServedModel(result.model) if result.model else', 'None or'),
        ('scores are served as they were trained', 'temperature=temperature,\n        source=source,', 'temperature=1.0,\n        source=source,'),
        ('a class of one image stays', 'manifest, notes = keep_trainable_labels(manifest)', 'manifest, notes = keep_trainable_labels(manifest)[0] and (manifest, ())'),
        ('the graph is checked on one image', 'CHECKED_IMAGES = 32', 'CHECKED_IMAGES = 1'),
        ('the instant model is the last word', 'provisional=not context.spec.instant_only', 'provisional=False'),
    ]),
    *mutants_of('transfer/serving/export.py', 'tests/transfer/serving/test_export.py', [
        ('the graph takes values from 0 to 1', '(1 / (255 * std)).view', '(1 / std).view'),
        ('the mean is added', '(-mean / std).view', '(mean / std).view'),
        ('the network is sealed while it drops out', "copy.deepcopy(network).to('cpu', torch.float32).eval()", "copy.deepcopy(network).to('cpu', torch.float32)", 'the network is put into eval mode a second time, as part of ServedNetwork'),
        ('the caller loses its network', "network = copy.deepcopy(network).to(", "network = network.to("),
        ('a wrong graph is served', 'if not exact.largest_difference <= CLOSE:', 'if False:'),
        ('a graph that is not a number is served', 'if not exact.largest_difference <= CLOSE:', 'if exact.largest_difference > CLOSE:'),
        ('a precision that disagrees is taken', 'if check.agreement >= AGREEMENT and', 'if'),
        ('a precision that is hardly faster is taken', '<= GAIN * exact.milliseconds', '<= exact.milliseconds'),
        ('the slowest precision is taken', 'return min([exact, *worth]', 'return max([exact, *worth]'),
        ('the graph is compared with itself', 'float(np.abs(found - truth).max())', 'float(np.abs(found - found).max())'),
        ('a failed conversion leaves its files', 'if path.name != WEIGHTS:', 'if False:'),
    ]),
    *mutants_of('transfer/serving/sealing.py', 'tests/transfer/serving/test_artifacts.py tests/transfer/serving/test_export.py', [
        ('the temperature is not stored', 'temperature=float(temperature)', 'temperature=1.0'),
        ('a provisional model has an ONNX file', 'keep_onnx=not provisional', 'keep_onnx=True'),
        ('the report does not know the engine', 'report = dataclasses.replace(report, engine=engine)', 'report = dataclasses.replace(report)'),
    ]),
    *mutants_of('transfer/serving/classifier.py', 'tests/transfer/serving/test_classifier.py', [
        ('scores are not calibrated', '.astype(np.float64), self.meta.temperature)', '.astype(np.float64), 1.0)'),
        ('another model under the same name is served', 'if digest and self.meta.digest != digest:', 'if False:'),
        ('damaged files are loaded', 'verify(folder, self.meta)', 'None'),
    ]),
    *mutants_of('transfer/serving/batching.py', 'tests/transfer/serving/test_batching.py', [
        ('a caller gets the answers of another', 'start += len(ticket.images)', 'start += 0'),
        ('a queue without end', 'self._queued + len(images) > self._max_queued', 'False'),
    ]),
    *mutants_of('transfer/regions/postprocess.py', 'tests/transfer/detection/test_evaluation.py', [
        ('a class keeps its worst', 'np.argsort(-scores[chosen, label], kind', 'np.argsort(scores[chosen, label], kind'),
        ('the worst detection comes first', 'order = np.argsort(-all_scores, kind', 'order = np.argsort(all_scores, kind'),
        ('boxes leave the photo', 'clipped = clip(boxes[chosen, label], width, height)', 'clipped = boxes[chosen, label]'),
    ]),
    *mutants_of('transfer/detection/matching.py', 'tests/transfer/detection/test_matching.py', [
        ('a difficult object is learned from', 'easy = [box for box in image.boxes if not box.difficult]', 'easy = list(image.boxes)'),
        ('a region has the label of the object it overlaps least', 'best = table.argmax(1)', 'best = table.argmin(1)'),
        ('a region on nothing has a class', 'np.where(overlaps > 0,', 'np.where(overlaps >= 0,'),
        ('empty proposals stay', 'proposed[areas(proposed) > 0]', 'proposed'),
        ('a class knows the overlaps of every class', 'if box.label == label and not box.difficult]', 'if not box.difficult]'),
    ]),
    *mutants_of('transfer/detection/sgd.py', 'tests/transfer/detection/test_sgd.py', [
        ('the rate does not fall', 'DROP = 0.1', 'DROP = 1.0'),
        ('the rate does not rise again when the backbone joins', 'since = joined if joined >= 0 else step', 'since = step'),
        ('biases decay', "'weight_decay': 0.0 if is_bias else spec.decay", "'weight_decay': spec.decay"),
        ('new layers learn like old ones', '(spec.new_rate if is_new else 1)', '1'),
        ('gradients are not cut', 'nn.utils.clip_grad_norm_(model.parameters(), spec.clip)', 'None'),
        ('a resumed training draws what the first one drew', 'np.random.default_rng((spec.seed, step))', 'np.random.default_rng((spec.seed, step - first))'),
        ('a training that diverged goes on', 'if not math.isfinite(mean_loss):', 'if False:'),
        ('every epoch has the same order', '(seed, 1, place // images)', '(seed, 1)'),
    ]),
    *mutants_of('transfer/detection/evaluation.py', 'tests/transfer/detection/test_evaluation.py', [
        ('an interval drawn from one image', 'rng.multinomial(len(truths), np.full', 'rng.multinomial(1, np.full'),
        ('difficult objects are to be found', '((truth.labels == label) & ~truth.difficult).sum()', '(truth.labels == label).sum()'),
        ('detections are ranked image by image', "order = np.argsort(-scores, kind='stable')", 'order = np.arange(len(scores))'),
        ('a mistake on another class is background', "'confusion' if overlaps[~same].max(initial=0.0) >= TOUCHES else", "'confusion' if False else"),
    ]),
    *mutants_of('transfer/detection/rcnn/svm.py', 'tests/transfer/detection/test_rcnn.py', [
        ('easy negatives are never dropped', 'negatives = negatives[svm.scores(negatives) >= spec.easy_margin]', 'pass'),
        ('positives are regions of any class', '[entry.labels[truth] == label + 1]', '[entry.labels[truth] > 0]'),
        ('features are not scaled', 'return spec.feature_norm / mean if mean > 0 else 1.0', 'return 1.0'),
        ('a class without an example is found', 'NEVER = -1e9', 'NEVER = 1e9'),
    ]),
    *mutants_of('transfer/detection/rcnn/regress.py', 'tests/transfer/detection/test_rcnn.py', [
        ('shifts stay white', '(vectors * roots) @ vectors.T, mean)', 'np.eye(4), mean)'),
        ('the ridge is forgotten where images are few', 'spec.ridge * np.eye(len(given))', '1e-9 * np.eye(len(given))'),
        ('far regions learn to move', '& (entry.overlaps > spec.regress_iou)', ''),
    ]),
    *mutants_of('transfer/detection/rcnn/finetune.py', 'tests/transfer/detection/test_rcnn.py', [
        ('half-covered regions are background', 'np.where(entry.overlaps >= spec.foreground_iou, entry.labels, 0)', 'np.where(entry.overlaps >= 0.9, entry.labels, 0)'),
        ('a batch has as many objects as background', 'round(spec.batch * spec.foreground_share)', 'round(spec.batch * 0.5)'),
    ]),
    *mutants_of('transfer/detection/fast_rcnn/sampling.py', 'tests/transfer/detection/test_fast_rcnn.py', [
        ('regions on nothing are background too', 'regions.overlaps >= spec.background_low)', 'regions.overlaps >= 0)'),
        ('an empty photo teaches nothing', 'background = np.flatnonzero(regions.overlaps < spec.background_high)', 'pass'),
        ('a rare class is drawn as rarely as it is', 'if not balance or not len(labels):', 'if True:'),
        ('targets are not normalised', '- statistics.mean[labels]) / statistics.std[labels]', '- statistics.mean[labels])'),
    ]),
    *mutants_of('transfer/detection/fast_rcnn/loss.py', 'tests/transfer/detection/test_fast_rcnn.py', [
        ('boxes weigh more where there are few', 'max(1, len(labels))', 'max(1, int(moves.sum()))'),
        ('background moves', 'smooth_l1_loss(own[moves], targets[moves]', 'smooth_l1_loss(own, targets'),
    ]),
    *mutants_of('transfer/detection/fast_rcnn/infer.py', 'tests/transfer/detection/test_fast_rcnn.py tests/transfer/detection/test_inference.py', [
        ('RoIAlign merges what it can tell apart', 'if align:\n', 'if False:\n'),
    ]),
    *mutants_of('transfer/detection/crops.py', 'tests/transfer/detection/test_crops.py', [
        ('background shows objects', '.max(1, initial=0.0) <= APART]', '.max(1, initial=0.0) <= 2]'),
        ('difficult objects are cut out', 'if box.label == label and not box.difficult', 'if box.label == label'),
        ('a crop is cut without its surroundings', 'CONTEXT = 0.1', 'CONTEXT = 0.0'),
    ]),
    *mutants_of('transfer/detection/report.py', 'tests/transfer/detection/test_report.py', [
        ('the threshold hangs on the last detection', 'return float((scores[order][place] + after) / 2)', 'return float(scores[order][place])'),
        ('the threshold is that of the highest precision', 'quality = 2 * hits / (count + sum(kind.objects for kind in kinds))', 'quality = hits / count'),
        ('a faultless test has no error', 'if low < high:', 'if True:'),
    ]),
]
# fmt: on
