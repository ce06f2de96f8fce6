"""All photos of a class, and one photo large."""

from __future__ import annotations

import re

from recognition.datasets import labels
from tests.support.page_text import visible_text
from tests.support.reported_project import add_photos


def shown(answer) -> list[str]:
    return re.findall(r'data-image="([0-9a-f-]+)"', answer.content.decode())


def test_a_class_shows_its_photos_newest_first(browser, labelled, image):
    mine = labelled.images.filter(label=image.label).order_by('-created_at', 'id')
    answer = browser.get(f'/projects/{labelled.pk}/classes/{image.label_id}/')
    assert shown(answer) == [str(one.pk) for one in mine]


def test_many_photos_come_in_pages_that_miss_and_repeat_none(browser, project, alice):
    add_photos(project, alice, ['rose'] * 65)
    address = f'/projects/{project.pk}/classes/{project.labels.get().pk}/'
    first, second = browser.get(address), browser.get(f'{address}?page=2')
    assert (len(shown(first)), len(shown(second))) == (60, 5)
    assert len({*shown(first), *shown(second)}) == 65
    assert 'id="more"' in first.content.decode()
    assert 'id="more"' not in second.content.decode()


def test_photos_in_the_trash_are_not_shown(browser, labelled, image):
    labels.delete_images(labelled, [image.pk])
    assert str(image.pk) not in shown(browser.get(f'/projects/{labelled.pk}/classes/{image.label_id}/'))
    assert browser.get(f'/projects/{labelled.pk}/images/{image.pk}/').status_code == 404


def test_a_class_is_made_renamed_and_deleted(browser, labelled, image):
    browser.post(f'/projects/{labelled.pk}/classes/create/', {'name': 'tulip'})
    browser.post(f'/projects/{labelled.pk}/classes/{image.label_id}/rename/', {'name': 'marguerite'})
    assert sorted(labelled.labels.values_list('name', flat=True)) == ['marguerite', 'rose', 'tulip']
    answer = browser.post(f'/projects/{labelled.pk}/classes/{image.label_id}/delete/', follow=True)
    assert '4 photos are now without a class' in visible_text(answer) and 'Deleted classes' in visible_text(
        answer
    )
    [deleted] = labelled.deleted_labels.all()
    answer = browser.post(f'/projects/{labelled.pk}/classes/deleted/{deleted.pk}/restore/', follow=True)
    assert 'The class “marguerite” was restored.' in visible_text(
        answer
    ) and 'Deleted classes' not in visible_text(answer)
    assert labelled.images.filter(label__name='marguerite').count() == 4


def test_a_class_that_exists_already_is_refused(browser, labelled):
    answer = browser.post(
        f'/projects/{labelled.pk}/classes/create/',
        {'name': 'rose'},
        follow=True,
        headers={'referer': f'http://testserver/projects/{labelled.pk}/'},
    )
    assert 'There is already a label “rose”.' in visible_text(answer)


def test_renaming_onto_another_class_joins_the_two_and_says_so(browser, labelled, image):
    answer = browser.post(
        f'/projects/{labelled.pk}/classes/{image.label_id}/rename/', {'name': 'rose'}, follow=True
    )
    assert 'The two classes were merged into “rose”.' in visible_text(answer)
    assert len(shown(answer)) == 8


def test_a_photo_leads_to_its_neighbours_in_the_class(browser, labelled, image):
    order = list(
        labelled.images.filter(label=image.label).order_by('-created_at', 'id').values_list('pk', flat=True)
    )
    page = browser.get(f'/projects/{labelled.pk}/images/{order[1]}/').content.decode()
    links = dict(re.findall(r'href="/projects/[^/]+/images/([0-9a-f-]+)/"\s+id="(newer|older)"', page))
    assert links == {str(order[0]): 'newer', str(order[2]): 'older'}


def test_the_class_of_another_project_does_not_exist_here(browser, labelled, image, alice):
    from recognition.datasets import projects

    other = projects.create_project(alice, 'Other')
    assert browser.get(f'/projects/{other.pk}/classes/{image.label_id}/').status_code == 404
    assert browser.get(f'/projects/{other.pk}/images/{image.pk}/').status_code == 404
