"""The records of a report have one JSON form, in which what was not measured is empty."""

from __future__ import annotations

import dataclasses
import json

from transfer.spec.rcnn import RcnnSpec
from transfer.spec.records import from_json, to_json
from transfer.spec.report import (
    BoxReport,
    CalibrationReport,
    ClassDetectionReport,
    CocoFigures,
    DetectionReport,
    EngineInfo,
    EpochMetrics,
    Mistakes,
    PlanReport,
    PrecisionCheck,
    Recall,
    ReliabilityBin,
    TrainReport,
    WorstImage,
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
    plan = to_json(PlanReport('best probe', 'cpu', options=RcnnSpec(steps=5)))
    assert plan.keys() == {'source_why', 'device', 'options'} and plan['options']['steps'] == 5
    assert to_json(PlanReport('best probe', 'cpu', cached_layers=(), folds=3))['cached_layers'] == []


def test_an_epoch_survives_json():
    epoch = EpochMetrics(2, 0.5, accuracy=0.75, validation_loss=0.6, seconds=1.5)
    assert from_json(EpochMetrics, json.loads(json.dumps(epoch.to_json()))) == epoch
    assert EpochMetrics(2, 0.5).to_json() == {'epoch': 2, 'loss': 0.5, 'accuracy': None}


FIGURES = DetectionReport(
    kind='fast-rcnn',
    ap11=0.7,
    ap=0.72,
    interval=(0.6, 0.8),
    coco=CocoFigures(0.4, 0.7, 0.35),
    objects=12,
    classes=(
        ClassDetectionReport('bolt', 12, 0.7, 0.72, (0.6, 0.8), ((0.5, 1.0, 0.9), (1.0, 0.75, 0.3))),
        ClassDetectionReport('nut', 0, None, None, None, ()),
    ),
    mistakes=Mistakes(9, 1, 0, 2, 3),
    proposals=Recall(12, 1.0, 0.9, 300.0),
    score_threshold=0.5,
    worst=(
        WorstImage(
            'an id',
            'a.jpg',
            48,
            40,
            missed=1,
            false=1,
            ground_truth=(BoxReport('bolt', (4.0, 4.0, 20.0, 20.0)),),
            detections=(BoxReport('nut', (30.0, 30.0, 40.0, 40.0), 0.9),),
        ),
    ),
    seconds=2.5,
    train_images=28,
    test_images=12,
)


def test_the_figures_of_a_detector_survive_json():
    served = dataclasses.replace(
        FIGURES,
        final_train_images=40,
        serving_seconds=0.5,
        refit_curve=(EpochMetrics(1, 0.5),),
        backbone='',
        proposals=None,
    )
    for figures in (FIGURES, served):
        assert from_json(DetectionReport, json.loads(json.dumps(to_json(figures)))) == figures
    values = to_json(served)
    assert values['proposals'] == {} and values['refit_curve'] == [
        {'epoch': 1, 'loss': 0.5, 'accuracy': None}
    ]
    assert 'score' not in values['worst'][0]['ground_truth'][0]


def test_figures_that_an_earlier_version_stored_are_read():
    values = to_json(FIGURES)
    for old, new in (
        ('at_score', 'score_threshold'),
        ('learned', 'train_images'),
        ('measured', 'test_images'),
    ):
        values[old] = values.pop(new)
    values['worst'] = [
        {
            {'ground_truth': 'truth', 'detections': 'found'}.get(name, name): value
            for name, value in image.items()
        }
        for image in values['worst']
    ]
    assert from_json(DetectionReport, values) == FIGURES
    values |= {'answer_seconds': 0.5, 'as_source': '', 'served': 40, 'known_to_no_version': 1}
    assert from_json(DetectionReport, values) == dataclasses.replace(
        FIGURES, serving_seconds=0.5, backbone='', final_train_images=40
    )


def test_an_engine_is_written_without_what_was_not_measured():
    engine = EngineInfo(
        'openvino', 'bfloat16', 0.01, 1.0, 32, (PrecisionCheck('bfloat16', 0.01, 1.0, 3.5),), 9.0
    )
    values = json.loads(json.dumps(to_json(engine)))
    assert from_json(EngineInfo, values) == engine
    assert values['checks'][0]['milliseconds'] == 3.5 and 'milliseconds' not in values
    assert to_json(EngineInfo(why_not='no graph')) == {
        'name': 'torch',
        'precision': 'float32',
        'why_not': 'no graph',
    }
    assert from_json(EngineInfo, {'milliseconds': 12}) == EngineInfo(milliseconds=12.0)
