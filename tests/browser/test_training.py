"""A training on its pages: progress, provisional model, history, stop, and the learning curve."""

from __future__ import annotations

import pytest

from recognition.models import Job
from tests.support.browser_pages import read_first_bar, write_red_photo
from tests.support.model_rows import publish_version
from tests.support.reported_project import add_photos
from transfer.spec.report import (
    DuplicateImage,
    DuplicatePairReport,
    NearDuplicatesReport,
    Progress,
    to_json,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_running_training_shows_its_progress_and_offers_the_provisional_model(
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
        'Accuracy',
        '75.0 %',
        'Time left',
        '42 s',
    ]
    assert page.locator('#live .curve .line').get_attribute('points').count(',') == 3
    publish_version(project, artifact, 1, provisional=True, job=job)
    page.get_by_text('A provisional model is ready to use').wait_for()
    page.set_input_files('#try-file', write_red_photo(tmp_path))
    assert read_first_bar(page) == 'red'
    job.models.update(provisional=False)
    job.succeed(job.attempt)
    page.get_by_role('button', name='Train again').wait_for()
    page.get_by_text('The model is ready.').wait_for()
    assert read_first_bar(page) == 'red'


def test_the_training_page_updates_its_state_and_history(page_of, alice, project, artifact):
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


def test_stopping_a_training_asks_for_confirmation(page_of, alice, project):
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


def test_the_report_shows_the_learning_curve(page_of, alice, project, artifact):
    curve = [{'epoch': n, 'loss': 1 / n, 'accuracy': 0.3 * n} for n in (1, 2, 3)]
    model = publish_version(project, artifact, 1, report={**artifact.report.to_json(), 'curve': curve})
    page = page_of(alice)
    page.goto(f'/models/{model.pk}/')
    page.get_by_text('How it was made').click()
    assert page.get_by_role('img', name='Validation accuracy after epoch 3: 90.0 %').is_visible()


def test_one_of_two_near_duplicates_is_deleted_and_restored(page_of, alice, project, artifact):
    add_photos(project, alice, ['daisy', 'daisy'])
    first, second = (
        DuplicateImage(str(row.pk), row.name, 'daisy') for row in project.images.order_by('name')
    )
    found = NearDuplicatesReport(
        2, 1, 0, (DuplicatePairReport(first, second, 0.99),), ('2 photos are alike.',)
    )
    report = {**artifact.report.to_json(), 'near_duplicates': to_json(found)}
    page = page_of(alice)
    page.goto(f'/models/{publish_version(project, artifact, 1, report=report).pk}/')
    page.get_by_text('Show the pairs').click()
    page.get_by_role('button', name=f'Delete {second.name}').click()
    page.get_by_text('The photo was moved to the trash.').wait_for()
    assert str(project.images.get(deleted_at=None).pk) == first.id
    assert not page.get_by_role('button', name=f'Delete {first.name}').is_visible()
    page.get_by_role('button', name='Undo').click()
    page.get_by_role('button', name=f'Delete {first.name}').wait_for()
    assert project.images.filter(deleted_at=None).count() == 2
