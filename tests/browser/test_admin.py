"""The administration of the zoo: imports and signature jobs are followed while they run, a source model is
removed."""

from __future__ import annotations

import io
import zipfile

import pytest
from playwright.sync_api import expect

from recognition.models import Job, SourceModel
from recognition.models.job import JobKind
from recognition.zoo import signature_jobs
from tests.support.import_jobs import run_job
from tests.support.photos import draw_photo
from tests.support.source_rows import add_source
from tests.support.weights_files import upload_weights

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def archive() -> dict:
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as images:
        for number in range(3):
            images.writestr(f'{number}.jpg', draw_photo(number))
    return {'name': 'images.zip', 'mimeType': 'application/zip', 'buffer': file.getvalue()}


@pytest.fixture
def source(tmp_path, settings):
    settings.P2L_REFERENCE = 'reference'
    add_source(tmp_path, 'reference', 1)
    return add_source(tmp_path, 'mine', 2)


@pytest.fixture
def page(page_of, django_user_model, source):
    opened = page_of(django_user_model.objects.create_superuser('root', password='x'))
    opened.goto(f'/admin/recognition/sourcemodel/{source.pk}/change/')
    return opened


def test_a_signature_job_is_followed_to_its_end(page, source, archive):
    page.get_by_label('A zip').set_input_files(archive)
    page.get_by_role('button', name='Compute signature', exact=True).click()
    panel = page.locator('[data-follow]')
    expect(panel).to_contain_text('Queued')
    job = signature_jobs.find_latest(source)
    assert job.claim('someone')
    job.write_heartbeat(job.attempt, progress={'fraction': 0.5, 'message': 'Looking at image 2 of 3 of mine'})
    expect(panel).to_contain_text('Running Looking at image 2 of 3 of mine')
    expect(page.get_by_role('progressbar')).to_have_js_property('value', 0.5)
    job.succeed(job.attempt)
    expect(page.get_by_text('Last computation: succeeded')).to_be_visible()  # the page was loaded anew


def test_removing_a_source_model_asks_for_confirmation(page):
    expect(page.get_by_role('button', name='Remove mine')).to_be_hidden()
    page.get_by_text('Remove…').click()
    expect(page.get_by_text('its weights are deleted permanently')).to_be_visible()
    page.get_by_role('button', name='Remove mine').click()
    expect(page.get_by_text('“mine” was removed')).to_be_visible()
    assert not SourceModel.objects.filter(name='mine').exists()
    assert not Job.objects.exists()


def test_an_import_is_refused_corrected_and_then_succeeds(page):
    page.goto('/admin/recognition/sourcemodel/add/')
    page.get_by_label('Weights file').set_input_files(
        {'name': 'lenet5.pth', 'mimeType': '', 'buffer': upload_weights().read()}
    )
    page.get_by_label('Number of images').fill('60')
    page.get_by_label('Class names, typed').fill('one\ntwo')
    page.get_by_role('button', name='Upload and check').click()
    panel = page.locator('[data-follow]')
    expect(panel).to_contain_text('Queued It waits for a worker')
    job = Job.objects.get(kind=JobKind.SOURCE_IMPORT)
    assert job.claim('someone')
    job.write_heartbeat(job.attempt, progress={'fraction': 0.0, 'message': 'Reading its tensors'})
    expect(panel).to_contain_text('Running Reading its tensors')
    assert page.get_by_role('progressbar').evaluate('bar => bar.position') == -1  # it moves by itself
    job.fail(job.attempt, 'invalid', '2 class names were given.', result={'field': 'classes'})
    expect(page.get_by_text('Refused: 2 class names were given.')).to_be_visible()  # the page was loaded anew
    expect(page.locator('.field-classes .errorlist')).to_have_text('2 class names were given.')
    expect(page.get_by_label('Number of images')).to_have_value('60')
    page.get_by_label('Class names, typed').fill('one\ntwo\nthree')
    page.get_by_role('button', name='Check again').click()
    expect(panel).to_contain_text('Queued')
    run_job(job)
    expect(page.get_by_text('“lenet5” was added to the zoo.')).to_be_visible()
    assert SourceModel.objects.get(name='lenet5').class_names == ['one', 'two', 'three']


def test_an_import_is_cancelled_and_its_file_discarded(page):
    page.goto('/admin/recognition/sourcemodel/add/')
    page.get_by_label('Weights file').set_input_files(
        {'name': 'lenet5.pth', 'mimeType': '', 'buffer': upload_weights().read()}
    )
    page.get_by_label('Number of images').fill('60')
    page.get_by_role('button', name='Upload and check').click()
    page.get_by_role('button', name='Cancel').click()
    page.get_by_role('link', name='Later').click()
    page.get_by_label('Imports').get_by_role('link', name='lenet5').click()
    page.get_by_role('button', name='Discard the file').click()
    expect(page.get_by_text('“lenet5.pth” was discarded.')).to_be_visible()
    assert not Job.objects.exists()
