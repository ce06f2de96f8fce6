"""Photos for a detector: boxes lie over the photo, and the list beside it highlights them."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from recognition.jobs import queue
from recognition.models import Job
from tests.support import sealed_detector
from tests.support.photos import draw_photo
from transfer.worker import execute

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def detector(project, tmp_path):
    folder = tmp_path / 'detector'
    return sealed_detector.row_of(project, folder, sealed_detector.seal(folder))


@pytest.mark.parametrize('width', [1280, 360])
def test_a_chosen_photo_is_shown_with_its_detections_and_a_list_that_highlights_them(
    page_of, alice, detector, tmp_path, width
):
    (tmp_path / 'photo.jpg').write_bytes(draw_photo(3, side=96))
    page = page_of(alice, width=width)
    page.goto(f'/projects/{detector.project_id}/')
    page.set_input_files('#try-file', str(tmp_path / 'photo.jpg'))
    page.locator('#detections li').first.wait_for()
    boxes, entries = page.locator('.detected g'), page.locator('#detections li')
    assert boxes.count() == entries.count() > 0
    assert page.locator('.detected svg').get_attribute('viewBox') == '0 0 96 96'
    assert not page.locator('#try .shown').is_visible()
    entries.first.hover()
    assert page.locator('.detected g.chosen').get_attribute('data-index') == '0'
    assert page.evaluate('document.documentElement.scrollWidth') <= width


@pytest.mark.parametrize('width', [1280, 360])
def test_a_slow_detection_shows_its_progress_and_another_photo_cancels_it(
    page_of, alice, detector, tmp_path, width, settings
):
    settings.MAX_DETECTION_SECONDS = 0.1
    for name in ('first.jpg', 'second.jpg'):
        (tmp_path / name).write_bytes(draw_photo(len(name), side=96))
    page = page_of(alice, width=width)
    page.goto(f'/projects/{detector.project_id}/')
    page.set_input_files('#try-file', str(tmp_path / 'first.jpg'))
    waiting = page.locator('#try-wait')
    expect(waiting).to_contain_text('Waiting for a worker: it is next')
    page.set_input_files('#try-file', str(tmp_path / 'second.jpg'))
    first, second = wait_for_two_jobs(page)
    assert (first.state, second.state) == ('cancelled', 'queued')
    assert page.evaluate('document.documentElement.scrollWidth') <= width
    execute.run_attempt(queue.claim_next('serve'))
    page.locator('#detections li').first.wait_for()
    expect(waiting).to_be_hidden()
    assert page.locator('.detected g').count() > 0


def wait_for_two_jobs(page):
    for _ in range(100):
        jobs = list(Job.objects.order_by('created_at'))
        if len(jobs) == 2 and jobs[0].state == 'cancelled':
            return jobs
        page.wait_for_timeout(100)
    raise AssertionError(jobs)
