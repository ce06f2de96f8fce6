"""The images of a class: selected, moved, deleted, restored, and loaded as one scrolls."""

from __future__ import annotations

import pytest

from tests.support.browser_pages import count_labels
from tests.support.reported_project import add_photos

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_photos_are_selected_moved_deleted_and_restored(page_of, alice, project, tmp_path):
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
    assert count_labels(project) == {'daisy': 2, 'rose': 4}
    page.get_by_role('button', name='Undo').click()
    page.wait_for_function('() => document.getElementById("count").textContent === "5"')
    assert count_labels(project) == {'daisy': 5, 'rose': 1}
    page.get_by_role('button', name='Select all shown').click()
    page.get_by_role('button', name='Delete', exact=True).click()
    page.get_by_text('5 photos deleted.').wait_for()
    assert project.images.filter(deleted_at=None).count() == 1
    page.get_by_role('button', name='Undo').click()
    page.wait_for_function('() => document.getElementById("count").textContent === "5"')
    assert project.images.filter(deleted_at=None).count() == 6


def test_photos_are_moved_to_a_new_class(page_of, alice, project):
    add_photos(project, alice, [None, None])
    page = page_of(alice)
    page.goto(f'/projects/{project.pk}/classes/none/')
    page.on('dialog', lambda dialog: dialog.accept('marigold'))
    page.get_by_role('button', name='Select all shown').click()
    page.get_by_role('combobox').select_option(label='New class …')
    page.get_by_text('2 photos moved to marigold.').wait_for()
    assert count_labels(project) == {'marigold': 2}


def test_scrolling_loads_more_photos(page_of, alice, project):
    add_photos(project, alice, ['daisy'] * 70)
    page = page_of(alice)
    page.goto(f'/projects/{project.pk}/classes/{project.labels.get().pk}/')
    page.mouse.wheel(0, 20_000)
    page.wait_for_function('() => document.querySelectorAll("#gallery > li").length === 70')
    assert not page.locator('#more').is_visible()
