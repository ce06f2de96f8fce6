"""A detector on the pages: its report with curves and marked photos, what is tried, and what may be chosen
for its training."""

from __future__ import annotations

import pytest

from recognition.datasets.upload_results import IncomingFile
from recognition.datasets.uploads import add_images
from recognition.models import Image, TrainedModel
from recognition.models.project import Task
from recognition.pages.forms import TrainingForm
from recognition.pages.report import detector_charts
from tests.support.photos import draw_photo
from transfer.spec.report import ClassDetectionReport

pytestmark = pytest.mark.django_db


def figures(image_id: str) -> dict:
    """What transfer.detection.report tells."""
    return {
        'kind': 'rcnn',
        'ap11': 0.7,
        'ap': 0.72,
        'interval': [0.6, 0.8],
        'coco': {'ap': 0.4, 'ap50': 0.7, 'ap75': 0.35},
        'objects': 12,
        'train_images': 28,
        'test_images': 12,
        'seconds': 2.5,
        'classes': [
            {
                'label': 'bolt',
                'n': 12,
                'ap11': 0.7,
                'ap': 0.72,
                'interval': [0.6, 0.8],
                'curve': [[0.5, 1.0, 0.9], [1.0, 0.75, 0.3]],
            },
            {'label': '<b>nut', 'n': 0, 'ap11': None, 'ap': None, 'interval': None, 'curve': []},
        ],
        'mistakes': {'right': 9, 'localisation': 1, 'confusion': 0, 'background': 2, 'missed': 3},
        'proposals': {'boxes': 12, 'half': 1.0, 'seven': 0.9, 'proposals': 300.0},
        'score_threshold': 0.5,
        'worst': [
            {
                'id': image_id,
                'name': 'a.jpg',
                'width': 48,
                'height': 48,
                'missed': 1,
                'false': 1,
                'ground_truth': [{'label': 'bolt', 'box': [4, 4, 20, 20]}],
                'detections': [{'label': '<b>nut', 'box': [30, 30, 40, 44], 'score': 0.9}],
            }
        ],
    }


@pytest.fixture
def detector(alice, project):
    add_images(project, alice, [IncomingFile('a.jpg', lambda: draw_photo(1), 1000, None)])
    project.task = Task.DETECTION
    project.save()
    report = {
        'detection': figures(str(Image.objects.get().pk)),
        'why': 'It looks closely.',
        'engine': {'milliseconds': 2500.0},
    }
    return TrainedModel.objects.create(
        project=project,
        task=Task.DETECTION,
        version=1,
        artifact='x',
        digest='d' * 64,
        labels=['bolt', '<b>nut'],
        images=40,
        accuracy=0.7,
        accuracy_low=0.6,
        accuracy_high=0.8,
        report=report,
    )


def test_the_report_shows_figures_with_n_curves_mistakes_and_the_hardest_photos(browser_of, alice, detector):
    page = browser_of(alice).get(f'/models/{detector.pk}/').content.decode()
    for words in (
        'mean average precision',
        '12 held-out photos with 12 labelled boxes',
        'R-CNN',
        'Misplaced',
        '1 missed, 1 false',
        'labelled: bolt',
    ):
        assert words in page
    assert '<polyline class="line hue0" points="120.0,0.0 240.0,60.0"' in page
    assert '2.5 s per photo on one processor core for 300 regions' in page
    assert '<b>nut' not in page and '&lt;b&gt;nut' in page


def test_a_photo_deleted_since_is_named_without_being_shown(browser_of, alice, detector):
    Image.objects.all().delete()
    page = browser_of(alice).get(f'/models/{detector.pk}/').content.decode()
    assert 'a.jpg (deleted)' in page.replace('</span>', '').replace('<span class="soft">', '')
    assert '<image' not in page


def test_the_project_page_offers_to_try_the_detector_and_shows_its_api_address(browser_of, alice, detector):
    page = browser_of(alice).get(f'/projects/{detector.project_id}/').content.decode()
    assert f'data-detect="/api/v1/models/{detector.pk}/detect"' in page and 'data-classify' not in page
    assert f'/api/v1/models/{detector.pk}/detect?threshold=0.5' in page
    assert 'name="detector"' in page and 'name="crop"' not in page


def test_a_detectors_training_takes_its_own_options_and_no_others(browser_of, alice, detector):
    client = browser_of(alice)
    refused = client.post(f'/projects/{detector.project_id}/train/', {'detector': 'yolo'}, follow=True)
    assert 'Detector' in refused.content.decode()
    chosen = {'detector': 'rcnn', 'held_out': '0.2', 'source': 'auto'}
    assert options_of(detector, {**chosen, 'refit': 'on'}) == {'detector': 'rcnn', 'held_out': 0.2}
    assert options_of(detector, chosen) == {'detector': 'rcnn', 'held_out': 0.2, 'refit': False}
    assert options_of(detector, {}) == {}  # a plain Train button sends no field


def options_of(detector, sent):
    form = TrainingForm(sent, task='detection', sources=[])
    assert form.is_valid()
    return form.get_options()


def test_the_report_says_which_photos_made_the_detector_and_which_the_figures(browser_of, alice, detector):
    def page():
        return browser_of(alice).get(f'/models/{detector.pk}/').content.decode()

    assert (
        '28 photos; 12 were held out for testing.' in page()
    )  # sealed before there was a refit, or without one
    detector.provisional = True
    detector.save()
    assert 'A detector trained on all of them will replace it.' in page() and 'provisional' in page()
    detector.provisional = False
    detector.report['detection']['final_train_images'] = 40
    detector.save()
    assert 'all 40 photos. The figures come from a detector with the same settings' in page()
    assert 'trained on 28 of them and tested on the other 12' in page()
    assert (
        'the one that you use was trained on all 40'
        in browser_of(alice).get(f'/projects/{detector.project_id}/').content.decode()
    )


def test_a_class_without_things_has_a_row_and_no_figure():
    empty = detector_charts.lay_out_curves([ClassDetectionReport('x', 0, None, None, None, ())])
    assert (empty[0].points, empty[0].ap11, empty[0].low) == ('', None, None)


def test_its_owner_offers_it_as_a_source_where_it_can_be_one(browser_of, alice, bob, detector):
    address = f'/models/{detector.pk}/'
    assert (
        'Submit as a source model' not in browser_of(alice).get(address).content.decode()
    )  # of a time when there was no such part
    detector.report['detection'] |= {'backbone': '', 'final_train_images': 40}
    detector.save()
    page = browser_of(alice).get(address).content.decode()
    assert (
        'Submit as a source model' in page
        and 'the number of photos (40)' in page
        and 'separates your classes from the background' in page
    )
    assert 'Submit as a source model' not in browser_of(bob).get(address).content.decode()
