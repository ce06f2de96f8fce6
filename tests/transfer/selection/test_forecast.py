"""What is said before finetuning: the accuracy to expect, and what more photos would add."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from p2l.forecast import ExpectedAccuracy
from p2l.learning_curve import ExpectedGain
from tests.support.small_training import RecordingReport, source, write_photos
from transfer.pipeline import train
from transfer.selection.forecast import describe_forecast
from transfer.spec.train_spec import TrainSpec

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
    ears = RecordingReport()
    sealed = train(
        write_photos(tmp_path / 'photos', per_class, CLOSE), spec, tmp_path / 'work', ears, tmp_path / 'cache'
    )
    return sealed.report, ears


def test_a_report_tells_what_was_expected_and_what_more_photos_would_add(tmp_path):
    report, ears = trained(tmp_path, 60)
    forecast = report.forecast
    assert [point.images for point in forecast.points] == [30, 60, 120]
    assert forecast.points[-1].accuracy == report.probes[0].accuracy
    expected = forecast.expected
    assert 0 < expected.low < expected.middle < expected.high < 1
    assert (expected.level, expected.targets) == (0.9, 6)
    assert forecast.gain.images == 100
    assert forecast.sentence.startswith('Expected accuracy 0.')
    finetuning = [word for word in ears.recorded if word.phase == 'finetune']
    assert {word.forecast for word in finetuning} == {forecast.sentence}


def test_of_few_photos_no_curve_is_drawn_and_without_a_record_no_accuracy_foretold(tmp_path):
    report, ears = trained(tmp_path, 8, forecaster={})
    assert report.forecast.expected is None
    assert report.forecast.gain is None
    assert report.forecast.sentence == ''
    assert len(report.forecast.points) == 1
    assert {word.forecast for word in ears.recorded} == {''}


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
