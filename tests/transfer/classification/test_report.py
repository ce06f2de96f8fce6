"""The report of a classifier, from out-of-fold scores that are surer than they are right."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.small_training import RecordingReport
from transfer.classification.report import ReportInputs, write_report
from transfer.data.manifests import LabelledImage, Manifest
from transfer.features.metrics import wilson_interval
from transfer.runtime.progress import ProgressTracker
from transfer.runtime.softmax import softmax
from transfer.selection.context import TrainingContext
from transfer.spec.train_spec import SourceModelSpec, TrainSpec

LABELS = np.repeat([0, 1], [30, 20])
PREDICTED = np.where(np.arange(50) < 12, 1, LABELS)  # twelve of the first class are taken for the second


@pytest.fixture
def written(tmp_path):
    images = tuple(
        LabelledImage('', int(label), str(row), f'{row}.jpg', str(row)) for row, label in enumerate(LABELS)
    )
    context = TrainingContext(
        Manifest(('a', 'b'), images),
        TrainSpec(),
        torch.device('cpu'),
        tmp_path,
        ProgressTracker(RecordingReport()),
        ['A note.'],
    )
    scores = np.random.default_rng(0).uniform(5, 9, 50)[:, None] * np.eye(2)[PREDICTED]
    source = SourceModelSpec('tiny', 'lenet5', '', '', 7, 10)
    inputs = ReportInputs(source, scores, 'linear', 'it was asked for', ())
    return scores, *write_report(context, inputs)


def test_every_figure_is_of_the_scores_given(written):
    _, report, _ = written
    assert (report.accuracy, report.images, report.winner, report.source) == (0.76, 50, 'linear', 'tiny')
    assert report.interval == wilson_interval(38, 50)
    assert report.confusion == [[18, 12], [0, 20]]  # rows are the truth
    assert [(row.label, row.recall, row.precision) for row in report.per_class] == [
        ('a', 0.6, 1.0),
        ('b', 1.0, 0.625),
    ]
    assert report.notes == ('A note.',)


def test_the_scores_of_mistakes_are_the_calibrated_ones_that_serving_will_show(written):
    scores, report, temperature = written
    assert temperature == report.calibration.temperature > 2
    wrong = softmax(scores, temperature).max(1)[:12]
    assert [row.score for row in report.misclassified] == pytest.approx(sorted(wrong, reverse=True))
    assert {(row.label, row.prediction) for row in report.misclassified} == {('a', 'b')}
