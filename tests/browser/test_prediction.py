"""Photos for a classifier: chosen, dropped, pasted and from the camera; and a model that is published."""

from __future__ import annotations

import base64

import pytest

from recognition.models import Publication
from tests.support import sealed_classifier
from tests.support.browser_pages import read_first_bar, write_red_photo

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def give_photo(page, selector: str, event: str, photo: bytes) -> None:
    """Drop or paste a photo: the browser builds the event as it would from the mouse or the clipboard."""
    page.evaluate(
        """([selector, event, text]) => {
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], 'photo.jpg', { type: 'image/jpeg' }));
            const made = event === 'paste'
              ? new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true })
              : new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true });
            document.querySelector(selector).dispatchEvent(made);
        }""",
        [selector, event, base64.b64encode(photo).decode()],
    )


def test_a_chosen_photo_gets_bars_with_the_highest_score_first(page_of, alice, project, model, tmp_path):
    page = page_of(alice)
    page.goto(f'/projects/{project.pk}/')
    page.set_input_files('#try-file', write_red_photo(tmp_path))
    assert read_first_bar(page) == 'red'
    widths = [float(bar.get_attribute('width')) for bar in page.locator('#bars rect').all()]
    assert widths == sorted(widths, reverse=True)
    assert abs(sum(widths) - 100) < 2
    assert page.locator('#try .shown').is_visible()


@pytest.mark.parametrize('event', ['drop', 'paste'])
def test_a_dropped_or_pasted_photo_is_predicted(page_of, alice, project, model, event):
    page = page_of(alice)
    page.goto(f'/projects/{project.pk}/')
    give_photo(page, '#try-drop', event, sealed_classifier.photo('blue', seed=98))
    assert read_first_bar(page) == 'blue'


def test_the_camera_is_predicted_until_it_is_stopped(page_of, alice, project, model):
    page = page_of(alice, permissions=['camera'])
    page.goto(f'/projects/{project.pk}/')
    page.get_by_role('button', name='Camera').click()
    assert read_first_bar(page) == 'green'  # Chromium's false camera shows a green card
    page.get_by_role('button', name='Stop the camera').click()
    assert not page.locator('#camera').is_visible()


def test_a_file_that_is_no_photo_gets_an_error_message(page_of, alice, project, model, tmp_path):
    page = page_of(alice)
    page.goto(f'/projects/{project.pk}/')
    (tmp_path / 'notes.jpg').write_bytes(b'no photo')
    page.set_input_files('#try-file', str(tmp_path / 'notes.jpg'))
    page.get_by_text('This photo is not a JPEG').wait_for()
    assert page.locator('#bars li').count() == 0


def test_a_published_model_is_shown_with_code_that_calls_it(page_of, alice, project, model):
    page = page_of(alice)
    page.goto(f'/projects/{project.pk}/')
    page.get_by_label('Programs call this name').fill('colours')
    page.get_by_role('button', name='Publish version 1').click()
    page.get_by_text('“colours” now uses version 1.').wait_for()
    assert Publication.objects.get().model == model
    assert '/api/v1/models/colours/classify' in page.locator('#lines-curl').inner_text()
    page.get_by_role('tab', name='curl').press('ArrowRight')
    assert 'import requests' in page.locator('#lines-python').inner_text()
    assert not page.locator('#lines-curl').is_visible()
