"""Trying a photo, publishing, and watching a training, in a real browser."""

from __future__ import annotations

import base64

import pytest

from recognition.models import Job, Publication
from tests.support import sealed_classifier
from tests.support.model_rows import publish_version
from transfer.spec.report import Progress

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def red(tmp_path) -> str:
    path = tmp_path / 'red.jpg'
    path.write_bytes(sealed_classifier.photo('red', seed=99))
    return str(path)


def give(page, selector: str, event: str, photo: bytes) -> None:
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


def first_bar(page) -> str:
    page.locator('#bars li').first.wait_for()
    return page.locator('#bars li').first.inner_text().split('\n')[0]


def test_a_chosen_photo_is_answered_with_bars_surest_first(page_of, alice, project, model, tmp_path):
    page = page_of(alice)
    page.goto(f'/projects/{project.pk}/')
    page.set_input_files('#try-file', red(tmp_path))
    assert first_bar(page) == 'red'
    widths = [float(bar.get_attribute('width')) for bar in page.locator('#bars rect').all()]
    assert widths == sorted(widths, reverse=True)
    assert abs(sum(widths) - 100) < 2
    assert page.locator('#try .shown').is_visible()


@pytest.mark.parametrize('event', ['drop', 'paste'])
def test_a_dropped_and_a_pasted_photo_are_answered_too(page_of, alice, project, model, event):
    page = page_of(alice)
    page.goto(f'/projects/{project.pk}/')
    give(page, '#try-drop', event, sealed_classifier.photo('blue', seed=98))
    assert first_bar(page) == 'blue'


def test_the_camera_is_answered_until_it_is_stopped(page_of, alice, project, model):
    page = page_of(alice, permissions=['camera'])
    page.goto(f'/projects/{project.pk}/')
    page.get_by_role('button', name='Camera').click()
    assert first_bar(page) == 'green'  # Chromium's false camera shows a green card
    page.get_by_role('button', name='Stop the camera').click()
    assert not page.locator('#camera').is_visible()


def test_what_is_no_photo_is_refused_in_words(page_of, alice, project, model, tmp_path):
    page = page_of(alice)
    page.goto(f'/projects/{project.pk}/')
    (tmp_path / 'notes.jpg').write_bytes(b'no photo')
    page.set_input_files('#try-file', str(tmp_path / 'notes.jpg'))
    page.get_by_text('This photo is not a JPEG').wait_for()
    assert page.locator('#bars li').count() == 0


def test_a_published_model_is_shown_with_the_lines_that_call_it(page_of, alice, project, model):
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


def test_a_training_is_followed_live_and_a_first_model_is_offered_at_once(
    page_of, alice, project, artifact, tmp_path
):
    job = Job.objects.create(project=project, created_by=alice)
    page = page_of(alice)
    page.goto(f'/projects/{project.pk}/')
    page.get_by_text('It is next.').wait_for()
    job.claim('worker one')
    progress = Progress(
        'finetune', 0.5, 'Epoch 3 of 10', 3, 10, 0.4321, 0.75, 42.0, 'Expected accuracy 0.87 to 0.94.'
    )
    job.write_heartbeat(
        job.attempt,
        progress=progress.__dict__,
        curve=[{'epoch': n, 'loss': 1 / n, 'accuracy': 0.2 * n} for n in (1, 2, 3)],
    )
    page.get_by_text('Epoch 3 of 10 · loss 0.432').wait_for()
    assert page.locator('#live .forecast').inner_text() == 'Expected accuracy 0.87 to 0.94.'
    assert page.locator('#live .figures').inner_text().split('\n') == [
        'Epoch',
        '3 of 10',
        'Right',
        '75.0 %',
        'Left',
        '42 s',
    ]
    assert page.locator('#live .curve .line').get_attribute('points').count(',') == 3
    publish_version(project, artifact, 1, provisional=True, job=job)
    page.get_by_text('A provisional model is ready to use').wait_for()
    page.set_input_files('#try-file', red(tmp_path))
    assert first_bar(page) == 'red'
    job.models.update(provisional=False)
    job.succeed(job.attempt)
    page.get_by_role('button', name='Train again').wait_for()
    page.get_by_text('The model is ready.').wait_for()
    assert first_bar(page) == 'red'


def test_the_page_of_a_training_tells_its_state_and_history_as_they_change(page_of, alice, project, artifact):
    job = Job.objects.create(project=project, created_by=alice)
    page = page_of(alice)
    page.goto(f'/trainings/{job.pk}/')
    assert page.locator('#state').inner_text() == 'queued'
    job.claim('worker one')
    page.locator('#state', has_text='running').wait_for()
    assert page.locator('#history tbody tr').count() == 2
    publish_version(project, artifact, 1, provisional=True, job=job)
    page.get_by_role('link', name='Report of version 1').wait_for()
    job.succeed(job.attempt)
    page.locator('#state', has_text='succeeded').wait_for()


def test_stopping_asks_first(page_of, alice, project):
    job = Job.objects.create(project=project, created_by=alice)
    page = page_of(alice)
    page.goto(f'/projects/{project.pk}/')
    page.once('dialog', lambda dialog: dialog.dismiss())
    page.get_by_role('button', name='Stop').click()
    job.refresh_from_db()
    assert job.state == 'queued'
    page.once('dialog', lambda dialog: dialog.accept())
    page.get_by_role('button', name='Stop').click()
    page.get_by_text('The training is being stopped.').wait_for()
    job.refresh_from_db()
    assert job.state == 'cancelled'


def test_the_curve_is_drawn_on_the_report(page_of, alice, project, artifact):
    curve = [{'epoch': n, 'loss': 1 / n, 'accuracy': 0.3 * n} for n in (1, 2, 3)]
    model = publish_version(project, artifact, 1, report={**artifact.report.to_json(), 'curve': curve})
    page = page_of(alice)
    page.goto(f'/models/{model.pk}/')
    assert page.get_by_role('img', name='Validation accuracy after epoch 3: 90.0 %').is_visible()
