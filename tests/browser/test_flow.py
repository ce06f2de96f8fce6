"""From the first visit to a published model: upload, training, prediction. Real photos, a real training."""

from __future__ import annotations

import zipfile

import pytest
from playwright.sync_api import expect

from recognition.management.local_training import run_job
from recognition.models import Job, Project, SourceModel
from recognition.zoo import catalog

pytestmark = [
    pytest.mark.browser,
    pytest.mark.shared,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
]

CLASSES = ('daisy', 'roses', 'tulips')
EACH = 5
CLICKS = 5  # at most, to the first prediction


@pytest.fixture
def smallest_source(settings, db):
    """The starter zoo, all but its smallest source retired: one is enough to see the flow, and quick."""
    if not catalog.sync_starter():
        pytest.skip('needs the starter zoo (transfer/zoo/starter)')
    smallest, *others = SourceModel.objects.order_by('size')
    settings.P2L_REFERENCE = smallest.name
    for other in others:
        catalog.retire(other.name)
    return smallest


@pytest.fixture
def photos(shared, tmp_path):
    """A zip of a few photos with one folder for each class, and one photo that is not in it."""
    flowers = shared / 'classification' / 'flower'
    archive = tmp_path / 'flowers.zip'
    with zipfile.ZipFile(archive, 'w') as file:
        for label in CLASSES:
            for path in sorted((flowers / label).iterdir())[:EACH]:
                file.write(path, f'{label}/{path.name}')
    return archive, sorted((flowers / 'daisy').iterdir())[EACH]


def test_from_the_first_visit_to_a_published_model(page_of, alice, smallest_source, photos):
    archive, fresh = photos
    page = page_of(None)
    clicks = []

    def click(target) -> None:
        clicks.append(target)
        target.click()

    page.goto('/')
    page.get_by_label('User name').fill('alice')
    page.get_by_label('Password').fill('alice-password')
    click(page.get_by_role('button', name='Sign in'))

    with page.expect_file_chooser() as chooser:
        click(page.get_by_role('button', name='Choose files'))
    chooser.value.set_files(str(archive))
    page.wait_for_url('**/projects/*/')
    project = Project.objects.get()
    assert (project.name, project.images.count()) == ('flowers', EACH * len(CLASSES))

    # It starts by itself; the queue's own doorway runs it here, where a worker would take it.
    page.locator('#live').wait_for()
    job = run_job(Job.objects.get())
    assert (job.state, job.error_message) == ('succeeded', '')
    page.get_by_text('accuracy on photos held out of training').wait_for()

    with page.expect_file_chooser() as chooser:
        click(page.locator('#try-pick'))
    chooser.value.set_files(str(fresh))
    page.locator('#bars li').first.wait_for()
    assert sorted(bar.split('\n')[0] for bar in page.locator('#bars li').all_inner_texts()) == sorted(CLASSES)
    assert len(clicks) <= CLICKS

    page.get_by_role('button', name='Publish version 1').click()
    page.get_by_text('“flowers” now uses version 1.').wait_for()
    page.get_by_role('link', name='Read the report').click()
    page.get_by_role('heading', name='Accuracy per class').wait_for()
    model = project.models.get()
    assert not model.provisional
    assert page.locator('.matrix tbody tr').count() == len(CLASSES)
    assert model.images == EACH * len(CLASSES)


def test_a_button_that_needs_a_script_is_disabled_until_it_is_loaded(page_of, alice, project, model):
    """A press that nobody hears would look like a broken page."""
    page = page_of(alice, java_script_enabled=False)
    page.goto('/')
    for name in ('Choose files', 'Choose a folder'):
        expect(page.get_by_role('button', name=name)).to_be_disabled()
    page = page_of(alice)
    page.goto(f'/projects/{project.pk}/')
    for name in ('Choose files', 'Choose a folder', 'Choose', 'Camera'):
        expect(page.get_by_role('button', name=name, exact=True)).to_be_enabled()
