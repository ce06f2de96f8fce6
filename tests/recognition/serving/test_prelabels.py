"""Assisted labelling: the newest detector proposes, photos with the most to mend come first."""

from __future__ import annotations

import pytest

from recognition import storage
from recognition.datasets import deleted_labels
from recognition.errors import NotFoundError, NotReadyError
from recognition.models import Label, TrainedModel
from recognition.models.project import Task
from recognition.serving import prediction, prelabels
from recognition.serving.prediction_results import DetectedBox
from tests.support import sealed_detector
from tests.support.detection_projects import detection_project, photo

pytestmark = pytest.mark.django_db


@pytest.fixture(scope='module')
def sealed_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('models') / 'detector'
    return folder, sealed_detector.seal(folder, score_threshold=0.35)


@pytest.fixture
def parts(alice, empty_model_cache):
    project = detection_project(alice, 2, 'Parts', side=96)
    Label.objects.bulk_create(Label(project=project, name=name) for name in sealed_detector.LABELS)
    return project


def trained(project, sealed_folder, version=1, **fields):
    folder, digest = sealed_folder
    storage.publish_artifact(folder, f'{project.pk}/detector')
    values = {
        'artifact': f'{project.pk}/detector',
        'digest': digest,
        'labels': list(sealed_detector.LABELS),
        'images': 10,
    }
    return TrainedModel.objects.create(
        project=project, task=Task.DETECTION, version=version, **{**values, **fields}
    )


def test_without_a_detector_it_says_what_to_do(parts):
    with pytest.raises(NotReadyError, match='train one'):
        prelabels.compute_prelabels(parts, photo(parts).pk)


def test_boxes_are_proposed_from_the_models_own_threshold_on_and_kept(parts, sealed_folder):
    model = trained(parts, sealed_folder)
    first = prelabels.compute_prelabels(parts, photo(parts).pk)
    assert (first.model, first.threshold) == (model, 0.35)
    assert all(box.score >= 0.35 and 0 <= box.x0 < box.x1 <= 96 for box in first.boxes)
    storage.delete_artifact(model.artifact)
    prediction._cache = None
    assert prelabels.compute_prelabels(parts, photo(parts).pk) == first


def test_classes_that_are_gone_are_not_proposed(parts, sealed_folder):
    trained(parts, sealed_folder)
    assert prelabels.compute_prelabels(parts, photo(parts).pk).mistakes > 0
    for label in list(parts.labels.all()):
        deleted_labels.delete_label(parts, label.pk)
    assert prelabels.compute_prelabels(parts, photo(parts).pk).boxes == ()


def test_the_newest_finished_detector_proposes(parts, sealed_folder):
    trained(parts, sealed_folder, 1)
    finished = trained(parts, sealed_folder, 2)
    trained(parts, sealed_folder, 3, provisional=True)
    assert prelabels.find_detector(parts) == finished


def test_the_expected_mistakes_are_wrong_boxes_and_missing_ones():
    scores = [DetectedBox('a', score, 0, 0, 1, 1) for score in (0.9, 0.6, 0.3, 0.1)]
    assert prelabels.count_expected_mistakes(scores, 0.5) == pytest.approx(0.1 + 0.4 + 0.3 + 0.1)
    assert prelabels.count_expected_mistakes([], 0.5) == 0


def test_of_another_projects_photo_nothing_is_proposed(parts, sealed_folder, charlie):
    trained(parts, sealed_folder)
    with pytest.raises(NotFoundError):
        prelabels.compute_prelabels(detection_project(charlie), photo(parts).pk)
