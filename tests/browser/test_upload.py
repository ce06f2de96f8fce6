"""Photos coming in by the browser: zips, folders and files, the result of each, lost connections, undo."""

from __future__ import annotations

import zipfile
from collections import Counter

import pytest

from recognition.models import Project
from tests.support.photos import draw_photo
from tests.support.reported_project import add_photos

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def settled(page, project: Project):
    """Opens the project's page and gives its upload panel."""
    page.goto(f'/projects/{project.pk}/')
    return page.locator('#upload')


def photos(folder, names: list[str]) -> list[str]:
    paths = []
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(draw_photo(number, side=32))
        paths.append(str(path))
    return paths


def counts(project) -> Counter:
    return Counter(project.images.values_list('label__name', flat=True))


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
    assert counts(project) == {'screw': 4, 'nut': 4}
    # What became of the files is told on the new page.
    results = page.locator('#upload .upload-results li').all_inner_texts()
    assert len(results) == 1
    assert 'broken.jpg' in results[0]
    assert 'is not a JPEG' in results[0]


def test_the_first_training_announces_itself_and_can_be_put_off(page_of, alice, project, tmp_path):
    page = page_of(alice)
    settled(page, project)
    folder = tmp_path / 'set'
    photos(folder, [f'{label}/{n}.jpg' for label in 'ab' for n in range(4)])
    page.set_input_files('#folder', str(folder))
    page.get_by_text('Training starts automatically').wait_for()
    page.get_by_role('button', name='Cancel').click()
    assert not page.locator('#countdown').is_visible()
    assert page.get_by_role('button', name='Train', exact=True).is_enabled()
    assert counts(project) == {'a': 4, 'b': 4}
    assert not project.jobs.exists()


def test_a_folder_labels_its_photos_across_many_requests(page_of, alice, project, tmp_path):
    page = page_of(alice)
    panel = settled(page, project)
    requests = []
    page.on('request', lambda request: requests.append(request.url) if request.method == 'POST' else None)
    folder = tmp_path / 'flowers'
    photos(folder, [f'{label}/{n}.jpg' for label in ('daisy', 'rose', 'tulip') for n in range(9)])
    (folder / 'daisy' / 'notes.txt').write_text('x')
    (folder / '.DS_Store').write_text('x')
    page.set_input_files('#folder', str(folder))
    panel.get_by_text('Done').wait_for()
    assert counts(project) == {'daisy': 9, 'rose': 9, 'tulip': 9}
    assert len(requests) == 4  # 28 files, 8 a request
    assert panel.locator('.tally').inner_text() == '27 added · 1 skipped'
    page.wait_for_function('() => document.querySelectorAll("#classes li").length === 3')
    assert page.locator('#classes').inner_text().count('9 photos') == 3


def test_boxes_dropped_where_none_are_taken_are_shown_the_way(page_of, alice, project, tmp_path):
    page = page_of(alice)
    panel = settled(page, project)
    folder = tmp_path / 'set'
    photos(folder, ['images/1.jpg', 'images/2.jpg'])
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


def test_one_flat_folder_names_the_class_of_its_photos(page_of, alice, project, tmp_path):
    page = page_of(alice)
    panel = settled(page, project)
    photos(tmp_path / 'tulips', ['1.jpg', '2.jpg'])
    page.set_input_files('#folder', str(tmp_path / 'tulips'))
    panel.get_by_text('Done').wait_for()
    assert counts(project) == {'tulips': 2}


def test_a_lost_connection_is_tried_again_and_nothing_is_lost(page_of, alice, project, tmp_path):
    page = page_of(alice)
    panel = settled(page, project)
    lost = []

    def lose_twice(route):
        if len(lost) < 2:
            lost.append(route.request.url)
            route.abort('connectionreset')
        else:
            route.continue_()

    page.route('**/images', lose_twice)
    page.set_input_files('#files', photos(tmp_path, [f'{n}.jpg' for n in range(10)]))
    panel.get_by_text('Done').wait_for()
    assert len(lost) == 2
    assert counts(project) == {None: 10}


def test_a_refused_request_is_sent_again_file_by_file_so_that_one_bad_file_stops_no_other(
    page_of, alice, project, tmp_path
):
    page = page_of(alice)
    panel = settled(page, project)

    def refuse_many(route):
        if route.request.post_data_buffer.count(b'name="files"') > 1:
            route.fulfill(status=413, json={'code': 'too_large', 'message': 'Too much at once.', 'field': ''})
        else:
            route.continue_()

    page.route('**/images', refuse_many)
    page.set_input_files('#files', photos(tmp_path, [f'{n}.jpg' for n in range(5)]))
    panel.get_by_text('Done').wait_for()
    assert counts(project) == {None: 5}


def test_every_file_gets_its_result_with_the_reason(page_of, alice, project, tmp_path):
    page = page_of(alice)
    panel = settled(page, project)
    good = photos(tmp_path, ['one.jpg', 'two.jpg'])
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


def test_a_stopped_upload_keeps_what_came_in_and_goes_on_when_asked(page_of, alice, project, tmp_path):
    page = page_of(alice)
    panel = settled(page, project)
    held = []
    page.route('**/images', lambda route: held.append(route) if len(held) < 3 else route.continue_())
    page.set_input_files('#files', photos(tmp_path, [f'{n}.jpg' for n in range(30)]))
    page.wait_for_function('() => document.querySelectorAll("#upload .upload-results li").length === 30')
    panel.get_by_role('button', name='Stop').click()
    panel.get_by_text('could not be added').wait_for()
    assert project.images.count() == 0
    panel.get_by_role('button', name='Retry the failed ones').click()
    page.wait_for_function('() => document.querySelector("#upload .tally").textContent === "30 added"')
    assert project.images.count() == 30


def test_photos_are_chosen_moved_deleted_and_brought_back(page_of, alice, project, tmp_path):
    add_photos(project, alice, ['daisy'] * 5 + ['rose'])
    page = page_of(alice)
    daisy = project.labels.get(name='daisy')
    page.goto(f'/projects/{project.pk}/classes/{daisy.pk}/')
    boxes = page.get_by_role('checkbox')
    boxes.nth(0).click()
    boxes.nth(2).click(modifiers=['Shift'])
    page.get_by_text('3 selected').wait_for()
    page.get_by_role('combobox').select_option('rose')
    page.get_by_text('3 photos moved to rose.').wait_for()
    assert counts(project) == {'daisy': 2, 'rose': 4}
    page.get_by_role('button', name='Undo').click()
    page.wait_for_function('() => document.getElementById("count").textContent === "5"')
    assert counts(project) == {'daisy': 5, 'rose': 1}
    page.get_by_role('button', name='Select all shown').click()
    page.get_by_role('button', name='Delete', exact=True).click()
    page.get_by_text('5 photos deleted.').wait_for()
    assert project.images.filter(deleted_at=None).count() == 1
    page.get_by_role('button', name='Undo').click()
    page.wait_for_function('() => document.getElementById("count").textContent === "5"')
    assert project.images.filter(deleted_at=None).count() == 6


def test_photos_go_to_a_new_class_whose_name_is_asked_for(page_of, alice, project):
    add_photos(project, alice, [None, None])
    page = page_of(alice)
    page.goto(f'/projects/{project.pk}/classes/none/')
    page.on('dialog', lambda dialog: dialog.accept('marigold'))
    page.get_by_role('button', name='Select all shown').click()
    page.get_by_role('combobox').select_option(label='New class …')
    page.get_by_text('2 photos moved to marigold.').wait_for()
    assert counts(project) == {'marigold': 2}


def test_more_photos_come_as_one_scrolls(page_of, alice, project):
    add_photos(project, alice, ['daisy'] * 70)
    page = page_of(alice)
    page.goto(f'/projects/{project.pk}/classes/{project.labels.get().pk}/')
    page.mouse.wheel(0, 20_000)
    page.wait_for_function('() => document.querySelectorAll("#gallery > li").length === 70')
    assert not page.locator('#more').is_visible()
