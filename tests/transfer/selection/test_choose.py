"""A source model is chosen: all are ranked by one pass of the reference, the first few are probed, and the
best probe or a preferred source within its noise is taken."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from p2l.ranking import RankedSource
from p2l.scores import earth_movers_distance
from p2l.signatures import ClassMeans, compute_class_means
from tests.support.small_training import RecordingReport
from transfer.data.manifests import LabelledImage, Manifest
from transfer.features.linear_probe import Probe
from transfer.features.network import Network
from transfer.runtime.progress import ProgressTracker
from transfer.selection.choose import (
    choose_reference_rows,
    choose_source,
    probe_first_usable,
    rank_sources,
)
from transfer.selection.context import ProbedSource, TrainingContext
from transfer.spec.errors import TrainingError, UnusableSourceError
from transfer.spec.train_spec import SourceModelSpec, TrainSpec
from transfer.zoo.networks.registry import architecture

REFERENCE = SourceModelSpec('reference', 'lenet5', '', 'digest', 7, 1000, side=32)
LABELS = np.arange(100) % 2


class KnownFeatures(TrainingContext):
    """A training whose networks have run already: their features and probes are given."""

    features = np.empty((0, 0))

    def open_pixels(self, side):
        return None

    def extract_features(self, source, rows=None):
        network = SimpleNamespace(architecture=SimpleNamespace(feature_size=self.features.shape[1]))
        return network, None, self.features[rows]

    def probe(self, source):
        if source.name == 'damaged':
            raise UnusableSourceError('the file is damaged')
        return self._probed[source.name]


def known(names, labels=LABELS, device='cpu', **options) -> KnownFeatures:
    """A training with these sources, all alike."""
    images = tuple(LabelledImage('', int(label), str(row), '', '') for row, label in enumerate(labels))
    sources = tuple(
        SourceModelSpec(name, 'lenet5', '', name, 7, 1000, side=32, dataset=name) for name in names
    )
    spec = dataclasses.replace(TrainSpec(sources=sources, reference=REFERENCE), **options)
    tracker = ProgressTracker(RecordingReport())
    return KnownFeatures(Manifest(('a', 'b', 'c'), images), spec, torch.device(device), None, tracker)


def remember_probe(context: KnownFeatures, name: str, wrong: int, network: str = 'lenet5') -> None:
    """The probe of that source gets the first so many images wrong."""
    source = next(source for source in context.spec.sources if source.name == name)
    source = dataclasses.replace(source, architecture=network)
    built = architecture(network)
    shown = np.where(np.arange(len(context.labels)) < wrong, 1 - context.labels, context.labels)
    probe = Probe(None, np.eye(3)[shown], (), 1.0)
    context._probed[name] = ProbedSource(Network(source, built, built.build(2)), None, None, probe, None)


def ranked_as(**scores) -> list[RankedSource]:
    return [RankedSource(name, None, 1000, 0.0, 0.0, score, 0.0, False) for name, score in scores.items()]


def test_the_reference_sees_every_class_by_its_share_in_whatever_order_the_images_come():
    labels = np.random.default_rng(0).permutation(np.repeat([2, 0, 1], [900, 90, 10]))
    rows = choose_reference_rows(labels)
    assert len(rows) == 200
    assert rows.tolist() == sorted(set(rows))
    assert np.bincount(labels[rows]).tolist() == pytest.approx([18, 2, 180], abs=1)
    assert choose_reference_rows(np.array([1, 0, 1])).tolist() == [0, 1, 2]


def test_class_by_class_the_labels_are_those_of_the_images_that_the_reference_saw():
    labels = np.random.default_rng(1).permutation(np.arange(500) % 3)
    context = known(['a'], labels, divergence='emd')
    context.features = 1 + 3 * np.eye(3)[labels]
    mean = np.array([1.0, 2.0, 4.0])
    signed = dataclasses.replace(context.spec.sources[0], signature=tuple(mean))
    context.spec = dataclasses.replace(context.spec, sources=(signed,))
    (found,) = rank_sources(context)
    rows = choose_reference_rows(labels)
    seen = compute_class_means(context.features[rows], labels[rows])
    assert found.divergence == pytest.approx(earth_movers_distance(seen, ClassMeans(mean[None], np.ones(1))))


def test_of_features_below_zero_the_positive_part_is_compared():
    context = known(['a', 'b'])
    context.features = np.tile([2.0, -5.0, 1.0], (len(LABELS), 1))
    near, far = (
        dataclasses.replace(source, signature=mean)
        for source, mean in zip(context.spec.sources, ((2.0, 0.0, 1.0), (1.0, 5.0, 1.0)), strict=True)
    )
    context.spec = dataclasses.replace(context.spec, sources=(far, near))
    ranked = rank_sources(context)
    assert ranked[0].name == near.name
    assert ranked[0].divergence == pytest.approx(0, abs=1e-6)


def test_a_signature_of_another_reference_is_left_out_and_named():
    context = known(['a', 'b'])
    context.features = np.ones((len(LABELS), 3))
    narrow, wide = (
        dataclasses.replace(source, signature=(1.0,) * width)
        for source, width in zip(context.spec.sources, (3, 5), strict=True)
    )
    context.spec = dataclasses.replace(context.spec, sources=(narrow, wide))
    signed = {item.name: item.has_signature for item in rank_sources(context)}
    assert signed == {'a': True, 'b': False}
    assert context.notes == ['The signature of b is of another reference model and was left out.']


def test_a_source_that_is_not_there_cannot_be_asked_for():
    with pytest.raises(TrainingError, match="'c' is not among"):
        rank_sources(known(['a', 'b'], source='c'))
    with pytest.raises(TrainingError, match='no source model'):
        rank_sources(known([]))


def test_the_first_of_the_ranking_that_can_be_used_serves_first():
    context = known(['damaged', 'first', 'second'])
    remember_probe(context, 'first', 9)
    remember_probe(context, 'second', 0)
    ranked = ranked_as(damaged=3.0, first=2.0, second=1.0)
    assert probe_first_usable(context, ranked).network.source.name == 'first'
    assert context.notes == ['The source damaged was left out: the file is damaged.']
    with pytest.raises(UnusableSourceError, match='None of the source models can be used'):
        probe_first_usable(context, ranked[:1])


def test_a_source_that_was_asked_for_is_taken_without_probing_the_others():
    context = known(['good', 'bad'], source='bad')
    remember_probe(context, 'bad', 30)
    ranked = ranked_as(good=2.0, bad=1.0)
    choice = choose_source(context, ranked, probe_first_usable(context, ranked))
    assert (choice.source.name, choice.why) == ('bad', 'bad was asked for.')
    assert [(row.name, row.accuracy) for row in choice.probes] == [('bad', 0.7)]


def test_as_many_are_probed_as_the_spec_says_and_the_best_probe_is_taken():
    context = known(['a', 'b', 'c', 'd'], shortlist=3)
    for name, wrong in (('a', 30), ('b', 10), ('c', 40), ('d', 0)):
        remember_probe(context, name, wrong)
    ranked = ranked_as(a=4.0, b=3.0, c=2.0, d=1.0)
    choice = choose_source(context, ranked, context.probe(context.spec.sources[0]))
    assert [(row.name, row.accuracy) for row in choice.probes] == [('a', 0.7), ('b', 0.9), ('c', 0.6)]
    low, high = choice.probes[1].interval
    assert 0.8 < low < 0.9 < high < 0.96
    assert choice.why == 'b gave the best linear model of the 3 probed: 90.0 % out-of-fold.'
    assert list(context._probed) == ['b']  # the networks that were only probed are let go of


def test_within_noise_the_source_ranked_higher_is_taken_and_the_sentence_names_the_best_probe():
    context = known(['a', 'b', 'c'])
    for name, wrong in (('a', 11), ('b', 10), ('c', 50)):
        remember_probe(context, name, wrong)
    ranked = ranked_as(a=4.0, b=3.0, c=2.0)
    choice = choose_source(context, ranked, context.probe(context.spec.sources[0]))
    assert choice.source.name == 'a'
    assert choice.why == (
        'a is ranked higher by P2L, and its linear model (89.0 % out-of-fold) differs from the best one '
        '(b, 90.0 %) by no more than chance.'
    )


@pytest.mark.parametrize(
    ('device', 'taken', 'why'),
    [('cpu', 'light', 'light is the lighter network, and its'), ('cuda', 'heavy', 'heavy gave the best')],
)
def test_of_equal_scores_a_cpu_takes_the_lighter_network_and_a_gpu_the_better_probe(device, taken, why):
    context = known(['light', 'heavy'], device=device)
    remember_probe(context, 'light', 11)
    remember_probe(context, 'heavy', 10, 'mobilenet_v3_small')
    ranked = ranked_as(heavy=1.0, light=1.0)
    choice = choose_source(context, ranked, context.probe(context.spec.sources[0]))
    assert choice.source.name == taken
    assert choice.why.startswith(why)
