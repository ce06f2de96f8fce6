"""Uploads by browser: zips, folders and files, the result of each, lost connections."""

from __future__ import annotations

import zipfile

import pytest

from recognition.models import Project
from tests.support.browser_pages import count_labels
from tests.support.photos import draw_photo

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def open_upload(page, project: Project):
    """Open the page of a project; return its upload panel."""
    page.goto(f'/projects/{project.pk}/')
    return page.locator('#upload')


def write_photos(folder, names: list[str]) -> list[str]:
    paths = []
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(draw_photo(number, side=32))
        paths.append(str(path))
    return paths


def test_a_zip_dropped_on_the_first_visit_becomes_a_project_that_labels_itself(page_of, alice, tmp_path):
    archive = tmp_path / 'Screws & nuts.zip'
    with zipfile.ZipFile(archive, 'w') as file:
        for number in range(8):
            file.writestr(
                f'wrapper/{"screw" if number % 2 else "nut"}/{number}.jpg', draw_photo(number, side=32)
            )
        file.writestr('wrapper/nut/broken.jpg', b'not a photo')
    page = page_of(alice)
    page.goto('/')
    page.set_input_files('#files', str(archive))
    page.wait_for_url('**/projects/*/')
    project = Project.objects.get()
    assert project.name == 'Screws & nuts'
    assert count_labels(project) == {'screw': 4, 'nut': 4}
    # What became of the files is told on the new page.
    results = page.locator('#upload .upload-results li').all_inner_texts()
    assert len(results) == 1
    assert 'broken.jpg' in results[0]
    assert 'is not a JPEG' in results[0]


def test_the_first_training_is_announced_and_can_be_cancelled(page_of, alice, project, tmp_path):
    page = page_of(alice)
    open_upload(page, project)
    folder = tmp_path / 'set'
    write_photos(folder, [f'{label}/{n}.jpg' for label in 'ab' for n in range(4)])
    page.set_input_files('#folder', str(folder))
    page.get_by_text('Training starts automatically').wait_for()
    page.get_by_role('button', name='Cancel').click()
    assert not page.locator('#countdown').is_visible()
    assert page.get_by_role('button', name='Train', exact=True).is_enabled()
    assert count_labels(project) == {'a': 4, 'b': 4}
    assert not project.jobs.exists()


def test_a_folder_labels_its_photos_across_many_requests(page_of, alice, project, tmp_path):
    page = page_of(alice)
    panel = open_upload(page, project)
    requests = []
    page.on('request', lambda request: requests.append(request.url) if request.method == 'POST' else None)
    folder = tmp_path / 'flowers'
    write_photos(folder, [f'{label}/{n}.jpg' for label in ('daisy', 'rose', 'tulip') for n in range(9)])
    (folder / 'daisy' / 'notes.txt').write_text('x')
    (folder / '.DS_Store').write_text('x')
    page.set_input_files('#folder', str(folder))
    panel.get_by_text('Done').wait_for()
    assert count_labels(project) == {'daisy': 9, 'rose': 9, 'tulip': 9}
    assert len(requests) == 4  # 28 files, 8 a request
    assert panel.locator('.tally').inner_text() == '27 added · 1 skipped'
    page.wait_for_function('() => document.querySelectorAll("#classes li").length === 3')
    assert page.locator('#classes').inner_text().count('9 photos') == 3


def test_annotations_dropped_into_a_classification_project_offer_to_change_its_task(
    page_of, alice, project, tmp_path
):
    page = page_of(alice)
    panel = open_upload(page, project)
    folder = tmp_path / 'set'
    write_photos(folder, ['images/1.jpg', 'images/2.jpg'])
    (folder / 'annotations').mkdir()
    for number in (1, 2):
        (folder / 'annotations' / f'{number}.xml').write_text(
            f'<annotation><filename>{number}.jpg</filename></annotation>'
        )
    page.set_input_files('#folder', str(folder))
    panel.get_by_text('2 files that were skipped may contain boxes').wait_for()
    panel.get_by_role('button', name='Change to object detection').click()
    page.get_by_text('Photos, or a zip or folder of photos with their boxes').wait_for()
    assert Project.objects.get().task == 'detection' and project.images.count() == 2


def test_a_single_flat_folder_names_the_class_of_its_photos(page_of, alice, project, tmp_path):
    page = page_of(alice)
    panel = open_upload(page, project)
    write_photos(tmp_path / 'tulips', ['1.jpg', '2.jpg'])
    page.set_input_files('#folder', str(tmp_path / 'tulips'))
    panel.get_by_text('Done').wait_for()
    assert count_labels(project) == {'tulips': 2}


def test_after_a_lost_connection_every_file_is_sent_again(page_of, alice, project, tmp_path):
    page = page_of(alice)
    panel = open_upload(page, project)
    lost = []

    def lose_twice(route):
        if len(lost) < 2:
            lost.append(route.request.url)
            route.abort('connectionreset')
        else:
            route.continue_()

    page.route('**/images', lose_twice)
    page.set_input_files('#files', write_photos(tmp_path, [f'{n}.jpg' for n in range(10)]))
    panel.get_by_text('Done').wait_for()
    assert len(lost) == 2
    assert count_labels(project) == {None: 10}


def test_a_refused_request_is_sent_again_file_by_file(page_of, alice, project, tmp_path):
    page = page_of(alice)
    panel = open_upload(page, project)

    def refuse_many(route):
        if route.request.post_data_buffer.count(b'name="files"') > 1:
            route.fulfill(status=413, json={'code': 'too_large', 'message': 'Too much at once.', 'field': ''})
        else:
            route.continue_()

    page.route('**/images', refuse_many)
    page.set_input_files('#files', write_photos(tmp_path, [f'{n}.jpg' for n in range(5)]))
    panel.get_by_text('Done').wait_for()
    assert count_labels(project) == {None: 5}


def test_every_file_gets_its_result_with_the_reason(page_of, alice, project, tmp_path):
    page = page_of(alice)
    panel = open_upload(page, project)
    good = write_photos(tmp_path, ['one.jpg', 'two.jpg'])
    copy = tmp_path / 'copy of one.jpg'
    copy.write_bytes((tmp_path / 'one.jpg').read_bytes())
    nasty = tmp_path / '<img src=x onerror=alert(1)>.jpg'
    nasty.write_bytes(b'no photo')
    page.set_input_files('#files', [*good, str(copy), str(nasty)])
    panel.get_by_text('Done; 1 could not be added').wait_for()
    told = {
        row.split('\n')[1]: row.split('\n')[2]
        for row in panel.locator('.upload-results li').all_inner_texts()
    }
    assert told['one.jpg'] == 'added'
    assert told['copy of one.jpg'] == 'is the same image as “one.jpg”'
    assert 'is not a JPEG' in told['<img src=x onerror=alert(1)>.jpg']


def test_a_stopped_upload_can_be_continued(page_of, alice, project, tmp_path):
    page = page_of(alice)
    panel = open_upload(page, project)
    held = []
    page.route('**/images', lambda route: held.append(route) if len(held) < 3 else route.continue_())
    page.set_input_files('#files', write_photos(tmp_path, [f'{n}.jpg' for n in range(30)]))
    page.wait_for_function('() => document.querySelectorAll("#upload .upload-results li").length === 30')
    panel.get_by_role('button', name='Stop').click()
    panel.get_by_text('could not be added').wait_for()
    assert project.images.count() == 0
    panel.get_by_role('button', name='Retry the failed ones').click()
    page.wait_for_function('() => document.querySelector("#upload .tally").textContent === "30 added"')
    assert project.images.count() == 30
