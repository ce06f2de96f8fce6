"""What is said before finetuning: the accuracy to expect, and what more photos would add."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from p2l.forecast import ExpectedAccuracy, Forecaster
from p2l.learning_curve import ExpectedGain
from p2l.ranking import RankedSource
from tests.support.small_training import RecordingReport, source, write_photos
from transfer.data.cache import Pixels
from transfer.data.manifests import LabelledImage, Manifest
from transfer.data.near_duplicates import DuplicateGroups
from transfer.data.splits import assign_folds
from transfer.features.linear_probe import fit_probe
from transfer.features.network import Network
from transfer.pipeline import train
from transfer.runtime.progress import ProgressTracker
from transfer.selection import forecast
from transfer.selection.choose import SourceChoice, report_ranking
from transfer.selection.context import ProbedSource, TrainingContext
from transfer.selection.forecast import describe_forecast, measure_learning_curve
from transfer.spec.train_spec import SourceModelSpec, TrainSpec

CLOSE = {'a': (124, 118, 118), 'b': (118, 124, 118)}  # near enough that more photos help
FORECAST = {
    'intercept': 0.3,
    'probe': 1.0,
    'score': 0.0,
    'spread': 0.3,
    'tail': 1.8,
    'targets': 6.0,
    'rows': 78.0,
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trained(tmp_path, per_class, forecaster=FORECAST):
    source_model = source(tmp_path / 'zoo')
    spec = TrainSpec(
        sources=(source_model,),
        reference=source_model,
        precision='float32',
        epochs=1,
        plan='last',
        folds=3,
        forecaster=forecaster,
    )
    recorder = RecordingReport()
    sealed = train(
        write_photos(tmp_path / 'photos', per_class, CLOSE),
        spec,
        tmp_path / 'work',
        recorder,
        tmp_path / 'cache',
    )
    return sealed.report, recorder


def test_a_report_holds_the_forecast_and_what_more_photos_would_add(tmp_path):
    report, recorder = trained(tmp_path, 60)
    forecast = report.forecast
    assert [point.images for point in forecast.points] == [30, 60, 120]
    assert forecast.points[-1].accuracy == report.probes[0].accuracy
    expected = forecast.expected
    assert 0 < expected.low < expected.middle < expected.high < 1
    assert (expected.level, expected.targets) == (0.9, 6)
    assert forecast.gain.images == 100
    assert forecast.sentence.startswith('Expected accuracy 0.')
    finetuning = [progress for progress in recorder.recorded if progress.phase == 'finetune']
    assert {progress.forecast for progress in finetuning} == {forecast.sentence}


def test_few_photos_give_no_curve_and_without_a_track_record_there_is_no_forecast(tmp_path):
    report, recorder = trained(tmp_path, 8, forecaster={})
    assert report.forecast.expected is None
    assert report.forecast.gain is None
    assert report.forecast.sentence == ''
    assert len(report.forecast.points) == 1
    assert {progress.forecast for progress in recorder.recorded} == {''}


def test_the_sentence():
    both = describe_forecast(ExpectedAccuracy(0.9, 0.87, 0.94), ExpectedGain(100, 0.02, 0.0, 0.05))
    assert (
        both
        == 'Expected accuracy 0.87 to 0.94; collecting 100 more photos would add about 0.02 (0.00 to 0.05).'
    )
    assert (
        describe_forecast(None, ExpectedGain(40, 0.1, 0.0, 0.2))
        == 'Collecting 40 more photos would add about 0.10 (0.00 to 0.20).'
    )
    assert describe_forecast(None, None) == ''


def test_a_spec_with_weights_and_a_forecast_survives_json():
    spec = dataclasses.replace(TrainSpec(), weights=(1.5, 0.25), divergence='emd', forecaster=FORECAST)
    assert TrainSpec.from_json(spec.to_json()) == spec
    assert np.isclose(spec.weights[1], 0.25)


def probed(features, labels) -> ProbedSource:
    """A source whose features of these images are known."""
    pixels = Pixels(np.empty(0), tuple(str(row) for row in range(len(labels))), 32)
    classes = int(labels.max()) + 1
    folds = assign_folds(labels, list(pixels.digests), 5, 0)
    source_model = SourceModelSpec('b', 'lenet5', '', '', 7, 1000)
    network = Network(source_model, None, None)
    return ProbedSource(network, pixels, features, fit_probe(features, labels, classes, folds), folds)


def measured(features, labels):
    known = probed(features, labels)
    return measure_learning_curve(known, labels, int(labels.max()) + 1, known.pixels.digests, 5, 0)


def test_the_curve_of_features_that_tell_the_classes_apart_is_right_at_every_size():
    labels = np.arange(120) % 2
    points = measured(np.eye(2)[labels].astype(np.float32), labels)
    assert [(point.images, point.accuracy, point.test_images) for point in points] == [
        (30, 1.0, 120),
        (60, 1.0, 120),
        (120, 1.0, 120),
    ]


def test_on_random_labels_no_point_of_the_curve_knows_its_own_images():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(200, 300)).astype(np.float32)
    points = measured(features, generator.permutation(np.arange(200) % 2))
    assert all(point.accuracy < 0.65 for point in points)


@pytest.mark.parametrize(
    ('images', 'rare', 'sizes'),
    [(100, 0, [25, 50, 100]), (96, 0, [48, 96]), (120, 7, [60, 120]), (40, 0, [40])],
    ids=['enough', 'a quarter is tiny', 'a quarter has one image of a class', 'every part is tiny'],
)
def test_a_part_that_cannot_be_cross_validated_makes_no_point(images, rare, sizes):
    labels = np.arange(images) % 2
    labels[:rare] = 2
    points = measured(np.eye(3)[labels].astype(np.float32), labels)
    assert [point.images for point in points] == sizes


def test_of_a_large_set_no_curve_is_measured(monkeypatch):
    labels = np.arange(120) % 2
    monkeypatch.setattr(forecast, 'CURVE_UP_TO', 100)
    assert [point.images for point in measured(np.eye(2)[labels].astype(np.float32), labels)] == [120]


def test_the_expected_accuracy_is_by_the_score_of_the_chosen_source_and_counts_the_photos_once(tmp_path):
    labels = np.arange(40) % 2
    shown = np.where(np.arange(40) < 10, 1 - labels, labels)
    learned = probed(np.eye(2)[labels].astype(np.float32), labels)
    learned = dataclasses.replace(learned, probe=dataclasses.replace(learned.probe, logits=np.eye(2)[shown]))
    ranked = [
        RankedSource(name, None, 1000, 0.0, 0.0, score, 0.0, False) for name, score in (('a', 2), ('b', 1))
    ]
    known = FORECAST | {'score': 0.7}
    images = tuple(LabelledImage('', int(label), str(row), '', '') for row, label in enumerate(labels))
    context = TrainingContext(
        Manifest(('a', 'b'), images),
        TrainSpec(forecaster=known),
        torch.device('cpu'),
        tmp_path,
        ProgressTracker(RecordingReport()),
        duplicates=DuplicateGroups(learned.pixels.digests, (), ()),
    )
    choice = SourceChoice(learned.network.source, learned, '', report_ranking(ranked), ())
    expected = forecast.forecast_accuracy(context, choice).expected
    wanted = Forecaster.from_json(known).predict(0.75, 40, 1.0, test_images=np.inf)
    assert (expected.middle, expected.low, expected.high) == pytest.approx(
        (wanted.middle, wanted.low, wanted.high)
    )
