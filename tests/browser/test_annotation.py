"""Boxes are drawn, changed and undone by mouse, finger and keyboard, and saved whatever the network does."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from recognition import storage
from recognition.datasets import box_annotations
from recognition.models import Label, Project, TrainedModel
from recognition.serving import prelabels
from tests.support import sealed_detector
from tests.support.browser_waits import PATIENCE
from tests.support.detection_projects import boxed_project, detection_project, draw, photo
from tests.support.photos import draw_photo
from tests.support.reported_project import LONG_NAME, MALICIOUS_NAME

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def cells(alice, node_modules):
    """Three photos of 48 x 48 pixels; red and white are known."""
    project = detection_project(alice, 3)
    Label.objects.bulk_create(Label(project=project, name=name) for name in ('red', 'white'))
    return project


def open_editor(page, project, number=0):
    page.goto(f'/projects/{project.pk}/boxes/{photo(project, number).pk}/')
    page.locator('.box-overlay').wait_for(state='attached')
    page.get_by_text('of 3 done').wait_for()
    return page


def locate_pixel(page, x, y):
    """Return the position in the window of a pixel of the photo."""
    frame = page.locator('#stage img').bounding_box()
    return frame['x'] + frame['width'] * x / 48, frame['y'] + frame['height'] * y / 48


def drag(page, start, end):
    page.mouse.move(*locate_pixel(page, *start))
    page.mouse.down()
    page.mouse.move(*locate_pixel(page, *end), steps=4)
    page.mouse.up()


def list_boxes(project, number):
    found = box_annotations.get_boxes(project, photo(project, number).pk).boxes
    return sorted(
        (box.label, *(round(corner) for corner in (box.x0, box.y0, box.x1, box.y1))) for box in found
    )


def wait_until_saved(page, project, *expected, number=0):
    """Wait until exactly these boxes are in the database and the page says that they are saved."""
    for _ in range(PATIENCE // 50):
        if list_boxes(project, number) == sorted(expected):
            break
        page.wait_for_timeout(50)
    assert list_boxes(project, number) == sorted(expected)
    expect(page.locator('#saved')).to_have_text('All saved')


def test_boxes_are_drawn_moved_resized_named_and_undone_with_the_mouse(page_of, alice, cells):
    page = open_editor(page_of(alice), cells)
    drag(page, (5, 5), (20, 25))
    wait_until_saved(page, cells, ('red', 5, 5, 20, 25))
    drag(page, (30, 30), (60, 60))
    corner = ('red', 30, 30, 48, 48)
    wait_until_saved(page, cells, ('red', 5, 5, 20, 25), corner)
    page.mouse.click(*locate_pixel(page, 12, 15))
    # selecting shows the details of the box, which may move the photo
    page.locator('[data-id][aria-pressed=true]', has_text='15 × 20').wait_for()
    drag(page, (12, 15), (14, 18))
    wait_until_saved(page, cells, ('red', 7, 8, 22, 28), corner)
    drag(page, (22, 28), (25, 26))
    wait_until_saved(page, cells, ('red', 7, 8, 25, 26), corner)
    drag(page, (30, 2), (40, 12))  # beside the box that has handles
    wait_until_saved(page, cells, ('red', 7, 8, 25, 26), corner, ('red', 30, 2, 40, 12))
    page.get_by_role('button', name='white').first.click()
    wait_until_saved(page, cells, ('red', 7, 8, 25, 26), corner, ('white', 30, 2, 40, 12))
    for _ in range(2):
        page.get_by_role('button', name='Undo').click()
    wait_until_saved(page, cells, ('red', 7, 8, 25, 26), corner)
    page.get_by_role('button', name='Redo').click()
    for name in ('Zoom in', 'Zoom in', 'Move'):
        page.get_by_role('button', name=name, exact=True).click()
    before = page.locator('#stage').evaluate('stage => stage.scrollTop')
    drag(page, (24, 24), (24, 20))
    assert page.locator('#stage').evaluate('stage => stage.scrollTop') > before
    wait_until_saved(page, cells, ('red', 7, 8, 25, 26), corner, ('red', 30, 2, 40, 12))


def test_a_photo_is_annotated_by_keyboard_alone(page_of, alice, cells):
    page = open_editor(page_of(alice), cells)
    page.keyboard.press('2')
    page.keyboard.press('b')
    for key in ('ArrowRight', 'Shift+ArrowDown', 'Alt+ArrowLeft', 'x'):
        page.keyboard.press(key)
    wait_until_saved(page, cells, ('white', 20, 29, 29, 39))
    page.keyboard.press('n')
    page.get_by_text('2 of 3', exact=True).wait_for()
    page.keyboard.press('c')
    wait_until_saved(page, cells, ('white', 20, 29, 29, 39), number=1)
    page.keyboard.press('Tab')
    page.keyboard.press('Control+z')
    page.keyboard.press('e')
    wait_until_saved(page, cells, number=1)
    page.keyboard.press('u')
    page.get_by_text('3 of 3', exact=True).wait_for()
    page.get_by_text('2 of 3 done').wait_for()
    expect(page.locator('#saved')).to_have_text('All saved')
    assert box_annotations.get_boxes(cells, photo(cells, 1).pk).state == 'empty'
    assert box_annotations.get_boxes(cells, photo(cells).pk).boxes[0].difficult
    page.get_by_role('button', name='Delete photo').click()
    page.get_by_text('2 of 2', exact=True).wait_for()
    page.locator('#toasts').get_by_role('button', name='Undo').click()
    page.get_by_text('3 of 3', exact=True).wait_for()
    assert photo(cells, 2).deleted_at is None


def test_boxes_drawn_offline_survive_a_reload_and_are_saved_when_the_connection_is_back(
    page_of, alice, cells
):
    page = open_editor(page_of(alice), cells)
    page.wait_for_load_state('networkidle')
    page.context.set_offline(True)
    drag(page, (5, 5), (20, 25))
    page.get_by_text('No connection: the boxes of 1 photo').wait_for()
    page.keyboard.press('n')
    page.get_by_text('2 of 3', exact=True).wait_for()
    page.keyboard.press('e')
    page.get_by_text('No connection: the boxes of 2 photos').wait_for()
    page.context.set_offline(False)
    expect(page.locator('#saved')).to_have_text('All saved')
    session = next(cookie for cookie in page.context.cookies() if cookie['name'] == 'sessionid')
    page.context.clear_cookies(name='sessionid')
    page.keyboard.press('e')
    page.get_by_text('You are signed out').wait_for()
    page.context.add_cookies([session])
    page.keyboard.press('e')
    open_editor(page, cells)
    wait_until_saved(page, cells, ('red', 5, 5, 20, 25))
    wait_until_saved(page, cells, number=1)
    assert box_annotations.get_boxes(cells, photo(cells, 1).pk).state == 'empty'


def test_a_lost_answer_is_no_conflict_but_a_change_by_another_user_is(page_of, alice, bob, cells):
    page = open_editor(page_of(alice), cells)
    address = f'**/images/{photo(cells).pk}/boxes'

    def lose(route):
        if route.request.method != 'PUT':
            return route.continue_()
        route.fetch()
        return route.abort()

    page.route(address, lose)
    drag(page, (5, 5), (20, 25))
    page.get_by_text('No connection').wait_for()
    page.unroute(address, lose)
    page.route(
        address,
        lambda route: (
            route.fulfill(status=500, body='{}') if route.request.method == 'PUT' else route.continue_()
        ),
    )
    page.get_by_text('The server has a problem').wait_for()
    page.unroute_all()
    drag(page, (30, 30), (40, 40))
    wait_until_saved(page, cells, ('red', 5, 5, 20, 25), ('red', 30, 30, 40, 40))
    draw(cells, 0, ('white', 1, 1, 9, 9), user=bob)
    page.keyboard.press('Delete')
    page.get_by_role('button', name='Take theirs').click()
    page.get_by_text('1 box', exact=True).wait_for()
    wait_until_saved(page, cells, ('white', 1, 1, 9, 9))


def test_one_finger_draws_and_two_fingers_zoom(page_of, alice, cells):
    page = open_editor(page_of(alice, width=360, has_touch=True), cells)
    touch = page.context.new_cdp_session(page)

    def send(kind, *points):
        at = [
            dict(zip('xy', locate_pixel(page, *point), strict=True), id=index)
            for index, point in enumerate(points)
        ]
        touch.send('Input.dispatchTouchEvent', {'type': kind, 'touchPoints': at})

    page.locator('#stage').scroll_into_view_if_needed()
    for kind, points in (
        ('touchStart', [(6, 6)]),
        ('touchMove', [(12, 12)]),
        ('touchMove', [(24, 30)]),
        ('touchEnd', []),
    ):
        send(kind, *points)
    wait_until_saved(page, cells, ('red', 6, 6, 24, 30))
    for kind, points in (('touchStart', [(15, 18)]), ('touchEnd', [])):
        send(kind, *points)
    page.locator('.a9s-annotation.selected').wait_for(state='attached')
    for kind, points in (
        ('touchStart', [(15, 18)]),
        ('touchMove', [(17, 20)]),
        ('touchMove', [(19, 22)]),
        ('touchEnd', []),
    ):
        send(kind, *points)
    wait_until_saved(page, cells, ('red', 10, 10, 28, 34))
    page.locator('.selected [role=button]').nth(3).wait_for(state='attached')
    for kind, points in (
        ('touchStart', [(28, 34)]),
        ('touchMove', [(30, 35)]),
        ('touchMove', [(34, 36)]),
        ('touchEnd', []),
    ):
        send(kind, *points)
    wait_until_saved(page, cells, ('red', 10, 10, 34, 36))
    before = page.locator('#stage img').bounding_box()['width']
    for kind, points in (
        ('touchStart', [(3, 3)]),
        ('touchStart', [(3, 3), (6, 6)]),
        ('touchMove', [(3, 3), (16, 16)]),
        ('touchMove', [(3, 3), (36, 36)]),
        ('touchEnd', []),
    ):
        send(kind, *points)
    for _ in range(PATIENCE // 50):
        if page.locator('#stage img').bounding_box()['width'] > 1.5 * before:
            break
        page.wait_for_timeout(50)
    assert page.locator('#stage img').bounding_box()['width'] > 1.5 * before
    wait_until_saved(page, cells, ('red', 10, 10, 34, 36))


@pytest.mark.parametrize(('width', 'scheme'), [(1280, 'dark'), (360, 'light')])
def test_the_page_is_accessible_and_nothing_overflows(page_of, alice, node_modules, width, scheme):
    project = boxed_project(alice, 3)
    project.labels.filter(name='red').update(name=MALICIOUS_NAME)
    project.labels.filter(name='white').update(name=LONG_NAME[:120])
    page = page_of(alice, width=width, color_scheme=scheme, reduced_motion='reduce')
    page.on('dialog', lambda dialog: pytest.fail(f'a name was run: {dialog.message}'))
    open_editor(page, project)
    project.images.update(name=f'{LONG_NAME}.jpg')
    page.keyboard.press('n')
    page.get_by_text('2 of 3', exact=True).wait_for()
    page.locator('.boxes button').first.click()
    page.locator('.details').wait_for()
    page.evaluate((node_modules / 'axe-core' / 'axe.min.js').read_text())
    result = page.evaluate(
        "() => axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] })"
    )
    assert [f'{rule["id"]} {node["target"]}' for rule in result['violations'] for node in rule['nodes']] == []
    assert page.evaluate('document.documentElement.scrollWidth - innerWidth') <= 0
    assert page.locator('.box-overlay text', has_text=MALICIOUS_NAME).count() == 1


def test_a_viewer_sees_boxes_but_cannot_change_them(page_of, alice, charlie, node_modules):
    from recognition.datasets import projects

    project = boxed_project(alice, 3)
    projects.add_member(project, 'charlie', 'viewer')
    page = open_editor(page_of(charlie), project)
    drag(page, (2, 30), (15, 44))
    page.keyboard.press('e')
    page.keyboard.press('Delete')
    assert page.locator('.boxes li').count() == 2
    assert len(list_boxes(project, 0)) == 2


VOC = """<annotation><filename>{}</filename><object><name>red</name>
<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>{}</xmax><ymax>20</ymax></bndbox></object></annotation>"""


def test_photos_dropped_with_their_boxes_become_a_detection_project(page_of, alice, tmp_path):
    for number, right in enumerate((20, 30, 4)):  # the last one has no width
        (tmp_path / f'{number}.jpg').write_bytes(draw_photo(number))
        (tmp_path / f'{number}.xml').write_text(VOC.format(f'{number}.jpg', right))
    page = page_of(alice)
    page.goto('/')
    page.set_input_files(
        '#files', sorted(path for path in tmp_path.iterdir() if path.suffix in ('.jpg', '.xml'))
    )
    page.get_by_text('2 of 3 photos labelled').wait_for()
    page.get_by_text('2 boxes on 2 photos were imported.').wait_for()
    page.get_by_text('covers no pixel').or_(page.get_by_text('has no pixel on the image')).wait_for()
    page.get_by_role('button', name='Continue drawing').click()
    page.get_by_text('3 of 3', exact=True).wait_for()  # the one that has no box yet
    assert list_boxes(Project.objects.get(), 0) == [('red', 4, 4, 20, 20)]


@pytest.fixture
def detected(cells, tmp_path_factory, empty_model_cache):
    """Give the project a detector; return its prelabels of each of the three photos."""
    folder = tmp_path_factory.mktemp('models') / 'detector'
    fields = {
        'digest': sealed_detector.seal(folder),
        'labels': list(sealed_detector.LABELS),
        'images': 9,
        'task': 'detection',
    }
    storage.publish_artifact(folder, f'{cells.pk}/detector')
    TrainedModel.objects.create(project=cells, version=1, artifact=f'{cells.pk}/detector', **fields)
    Label.objects.bulk_create(Label(project=cells, name=name) for name in sealed_detector.LABELS)
    found_on = [prelabels.compute_prelabels(cells, photo(cells, number).pk) for number in range(3)]
    assert all(found.boxes for found in found_on), (
        'the random detector of the tests is meant to detect things'
    )
    return found_on


def test_prelabels_are_accepted_and_rejected_by_keyboard(page_of, alice, cells, detected):
    page = open_editor(page_of(alice), cells)
    page.locator('.box-overlay .prelabel').nth(len(detected[0].boxes) - 1).wait_for(state='attached')
    page.locator('.boxes button').first.click()
    page.keyboard.press('Enter')
    best = detected[0].boxes[0]
    wait_until_saved(
        page, cells, (best.label, *(round(side) for side in (best.x0, best.y0, best.x1, best.y1)))
    )
    page.keyboard.press('r')
    page.locator('.box-overlay .prelabel').first.wait_for(state='detached')
    page.get_by_text('2 of 2 unlabelled photos have prelabels.').wait_for()
    page.keyboard.press('u')
    first = max((1, 2), key=lambda number: detected[number].mistakes)
    page.get_by_text(f'{first + 1} of 3', exact=True).wait_for()
    page.locator('.box-overlay .prelabel').nth(len(detected[first].boxes) - 1).wait_for(state='attached')
    page.keyboard.press('a')
    expect(page.locator('#state')).to_have_text(re.compile(f'^{len(detected[first].boxes)} box'))
    expect(page.locator('#saved')).to_have_text('All saved')
    assert len(list_boxes(cells, first)) == len(detected[first].boxes)


def test_next_unlabelled_visits_every_photo_before_it_comes_back(page_of, alice, cells, detected):
    page = open_editor(page_of(alice), cells)
    page.get_by_text('3 of 3 unlabelled photos have prelabels.').wait_for()
    page.keyboard.press('r')
    expect(page.get_by_text('choose “Nothing here”')).to_be_visible()
    first = max((1, 2), key=lambda number: detected[number].mistakes)
    for number in (first, 3 - first, max((0, first), key=lambda number: detected[number].mistakes)):
        page.keyboard.press('u')
        expect(page.get_by_text(f'{number + 1} of 3', exact=True)).to_be_visible()
