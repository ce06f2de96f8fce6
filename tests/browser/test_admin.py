"""The keeper of the zoo at work: a signing is followed while it runs, and a source is removed on purpose only."""

from __future__ import annotations

import io
import zipfile

import pytest
from playwright.sync_api import expect

from recognition import signing
from recognition.models import Job, SourceModel
from tests.conftest import draw_photo
from tests.recognition.test_signing import reference, source  # noqa: F401  fixtures

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def archive() -> dict:
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as images:
        for number in range(3):
            images.writestr(f'{number}.jpg', draw_photo(number))
    return {'name': 'images.zip', 'mimeType': 'application/zip', 'buffer': file.getvalue()}


@pytest.fixture
def page(page_of, django_user_model, source):  # noqa: F811
    opened = page_of(django_user_model.objects.create_superuser('root', password='x'))
    opened.goto(f'/admin/recognition/sourcemodel/{source.pk}/change/')
    return opened


def test_a_signing_is_followed_to_its_end(page, source, archive):  # noqa: F811
    page.get_by_label('A zip').set_input_files(archive)
    page.get_by_role('button', name='Send and sign').click()
    panel = page.locator('[data-signing]')
    expect(panel).to_contain_text('Queued')
    job = signing.latest(source)
    assert job.claim('someone')
    job.beat(job.attempt, progress={'fraction': 0.5, 'message': 'Looking at image 2 of 3 of mine'})
    expect(panel).to_contain_text('Running Looking at image 2 of 3 of mine')
    expect(page.get_by_role('progressbar')).to_have_js_property('value', 0.5)
    job.succeed(job.attempt)
    expect(page.get_by_text('Last time: succeeded')).to_be_visible()  # the page was loaded anew


def test_a_source_is_removed_after_a_second_thought(page):
    expect(page.get_by_role('button', name='Remove mine')).to_be_hidden()
    page.get_by_text('Remove …').click()
    expect(page.get_by_text('its weights are deleted for good')).to_be_visible()
    page.get_by_role('button', name='Remove mine').click()
    expect(page.get_by_text('“mine” is removed')).to_be_visible()
    assert not SourceModel.objects.filter(name='mine').exists()
    assert not Job.objects.exists()
