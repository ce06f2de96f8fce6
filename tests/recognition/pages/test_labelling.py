"""The page where boxes are drawn: where it begins, and who comes in."""

from __future__ import annotations

import json
import re

import pytest
from django.urls import reverse

from recognition.datasets import labels
from tests.support.detection_projects import detection_project, draw, photo

pytestmark = pytest.mark.django_db


@pytest.fixture
def cells(alice, bob):
    from recognition.datasets import projects

    project = detection_project(alice, 3)
    projects.add_member(project, 'bob', 'viewer')
    return project


def images_in(answer):
    return json.loads(re.search(r'<script id="images"[^>]*>(.*?)</script>', answer.content.decode())[1])


def test_it_begins_at_the_first_unlabelled_photo(browser, cells):
    draw(cells, 0)
    answer = browser.get(reverse('label-boxes', args=(cells.pk,)))
    assert f'data-start="{photo(cells, 1).pk}"' in answer.content.decode()
    states = ('empty', 'unlabelled', 'unlabelled')
    assert images_in(answer) == [[str(photo(cells, n).pk), state] for n, state in enumerate(states)]


def test_it_may_begin_at_any_photo_that_is_not_in_the_trash(browser, cells):
    address = reverse('label-image', args=(cells.pk, photo(cells, 2).pk))
    assert f'data-start="{photo(cells, 2).pk}"' in browser.get(address).content.decode()
    labels.delete_images(cells, [photo(cells, 2).pk])
    assert browser.get(address).status_code == 404


def test_a_photo_of_such_a_project_opens_with_its_boxes(browser, cells):
    answer = browser.get(reverse('image', args=(cells.pk, photo(cells, 2).pk)))
    assert answer.url == reverse('label-image', args=(cells.pk, photo(cells, 2).pk))


def test_a_viewer_looks_a_stranger_finds_nothing(browser_of, cells, bob, charlie):
    address = reverse('label-boxes', args=(cells.pk,))
    assert 'data-may-edit="no"' in browser_of(bob).get(address).content.decode()
    assert browser_of(charlie).get(address).status_code == 404


def test_without_photos_it_leads_back_and_in_a_project_of_whole_photos_it_does_not_exist(
    browser, alice, project
):
    empty = detection_project(alice, name='Empty')
    assert browser.get(reverse('label-boxes', args=(empty.pk,))).url == reverse('project', args=(empty.pk,))
    assert browser.get(reverse('label-boxes', args=(project.pk,))).status_code == 404


def test_what_a_project_learns_may_be_changed_while_nothing_is_labelled(browser, alice, cells):
    address = reverse('project', args=(cells.pk,))
    assert 'Change to image classification' in browser.get(address).content.decode()
    browser.post(reverse('change-task', args=(cells.pk,)), {'task': 'classification'})
    assert 'Change to object detection' in browser.get(address).content.decode()
    browser.post(reverse('change-task', args=(cells.pk,)), {'task': 'detection'})
    draw(cells, 0)
    answer = browser.get(address).content.decode()
    assert 'Change to' not in answer and '1 of 3 photos labelled' in answer
    response = browser.post(reverse('change-task', args=(cells.pk,)), {'task': 'classification'}, follow=True)
    assert 'make another project' in response.content.decode()


def test_a_class_shows_the_photos_that_have_a_box_of_it(browser, cells):
    draw(cells, 0, ('red', 1, 1, 20, 20))
    answer = browser.get(reverse('class', args=(cells.pk, cells.labels.get().pk))).content.decode()
    assert (
        reverse('label-image', args=(cells.pk, photo(cells).pk)) in answer
        and 'Its boxes are deleted too' in answer
    )
    left = browser.get(reverse('unlabelled', args=(cells.pk,))).content.decode()
    assert 'Unlabelled' in left and str(photo(cells, 1).pk) in left and str(photo(cells).pk) not in left
