"""The records of a report have one JSON form, in which what was not measured is empty."""

from __future__ import annotations

import json

from transfer.spec.report import (
    CalibrationReport,
    EpochMetrics,
    PlanReport,
    ReliabilityBin,
    TrainReport,
    to_json,
)


def make_report(**parts: object) -> TrainReport:
    return TrainReport(0.9, (0.8, 1.0), 10, ('a', 'b'), 'linear', 'why', 'source', **parts)


def test_parts_that_were_not_measured_are_empty():
    values = json.loads(json.dumps(make_report().to_json()))
    assert values['interval'] == [0.8, 1.0]
    for part in ('forecast', 'plan', 'calibration', 'signature', 'engine', 'detection', 'seconds'):
        assert values[part] == {}
    for part in ('ranking', 'probes', 'per_class', 'confusion', 'misclassified', 'curve', 'notes'):
        assert values[part] == []


def test_records_within_records_are_written_by_field():
    bins = (ReliabilityBin(0.5, 0.6, 3, 0.55, 0.5),)
    calibration = CalibrationReport(1.5, 0.1, 0.05, 0.4, 0.3, bins, bins)
    values = make_report(calibration=calibration).to_json()
    assert values['calibration']['temperature'] == 1.5
    assert values['calibration']['bins'][0]['n'] == 3


def test_what_does_not_apply_to_a_plan_is_left_out():
    assert to_json(PlanReport('best probe', 'cpu', options={'steps': 5})) == {
        'source_why': 'best probe',
        'device': 'cpu',
        'options': {'steps': 5},
    }
    assert to_json(PlanReport('best probe', 'cpu', cached_layers=(), folds=3))['cached_layers'] == []


def test_an_epoch_survives_json():
    epoch = EpochMetrics(2, 0.5, accuracy=0.75, validation_loss=0.6, seconds=1.5)
    assert EpochMetrics.from_json(json.loads(json.dumps(epoch.to_json()))) == epoch
    assert EpochMetrics(2, 0.5).to_json() == {'epoch': 2, 'loss': 0.5, 'accuracy': None}
