"""The report shows near-duplicates side by side, and editors may delete one of a pair."""

from __future__ import annotations

import dataclasses

import pytest

from recognition.datasets import labels
from recognition.models import Image
from tests.support.page_text import visible_text
from transfer.spec.report import DuplicateImage, DuplicatePairReport, NearDuplicatesReport, to_json


@pytest.fixture
def photos(labelled):
    return list(Image.objects.filter(project=labelled).order_by('name')[:3])


@pytest.fixture
def reported(model, photos):
    """The first two are near-duplicates of two classes, the first and the third of one."""
    first, second, third = (DuplicateImage(str(row.pk), row.name, row.label.name) for row in photos)
    pairs = (DuplicatePairReport(first, second, 0.97), DuplicatePairReport(first, third, 0.99))
    found = NearDuplicatesReport(3, 1, 1, pairs, ('3 photos are in 1 group of near-duplicates.',))
    model.report |= {'near_duplicates': to_json(found)}
    model.save()
    return model


def page_of(browser, model):
    return browser.get(f'/models/{model.pk}/')


def test_pairs_are_shown_side_by_side_with_their_similarity(browser, reported, photos):
    page = page_of(browser, reported)
    text = visible_text(page)
    assert '3 photos are in 1 group of near-duplicates.' in text
    assert 'Different classes. Similarity 97' in text
    pair = page.content.decode().split('class="pairs"')[1].split('</li>')[0]
    assert all(f'/images/{photo.pk}/thumbnail' in pair for photo in photos[:2])


def test_an_editor_may_delete_either_of_a_pair(browser, reported, photos):
    page = page_of(browser, reported).content.decode()
    assert page.count('data-image=') == 4
    assert f'data-delete="/api/v1/projects/{reported.project_id}/images/delete"' in page
    assert f'data-restore="/api/v1/projects/{reported.project_id}/images/restore"' in page


def test_a_viewer_sees_the_pairs_and_no_button(browser_of, viewer, reported):
    page = page_of(browser_of(viewer), reported).content.decode()
    assert 'class="pairs"' in page
    assert 'data-image=' not in page


def test_a_pair_of_which_one_was_deleted_keeps_the_other(browser, reported, labelled, photos):
    labels.delete_images(labelled, [photos[1].pk])
    page = page_of(browser, reported).content.decode()
    assert '(deleted)' in page
    assert page.count('data-image=') == 2  # of the pair that is whole
    labels.delete_images(labelled, [photos[0].pk])
    assert f'/images/{photos[1].pk}/thumbnail' not in page_of(browser, reported).content.decode()


def test_a_report_from_before_they_were_searched_has_no_section(browser, model):
    assert 'near-duplicates' not in page_of(browser, model).content.decode()


def test_a_set_without_any_has_no_section(browser, reported):
    nothing = dataclasses.asdict(NearDuplicatesReport(0, 0, 0, (), ()))
    reported.report |= {'near_duplicates': nothing}
    reported.save()
    assert 'id="near-duplicates"' not in page_of(browser, reported).content.decode()


def test_a_program_reads_the_pairs(browser, reported, photos):
    answer = browser.get(f'/api/v1/models/{reported.pk}').json()['near_duplicates']
    assert (answer['images'], answer['groups'], answer['contradictory']) == (3, 1, 1)
    assert answer['pairs'][0]['second']['id'] == str(photos[1].pk)
