"""Labels, the trash, and the way back from both; always within one project."""

from __future__ import annotations

import uuid

import pytest

from recognition.datasets import deleted_labels, labels
from recognition.datasets.projects import create_project
from recognition.errors import ConflictError, InvalidInputError, NotFoundError
from recognition.models import Image, Label

pytestmark = pytest.mark.django_db


def put(project, number: int, label: str | None = None) -> str:
    named = Label.objects.get_or_create(project=project, name=label)[0] if label else None
    fields = {'digest': f'{number:064}', 'key': 'k', 'thumbnail_key': 't', 'width': 9, 'height': 9, 'size': 9}
    return str(Image.objects.create(project=project, name=f'{number}.jpg', label=named, **fields).pk)


def label_of(image_id: str) -> str | None:
    label = Image.objects.get(pk=image_id).label
    return label.name if label else None


@pytest.fixture
def others(charlie):
    """A project of charlie's with one image and one label."""
    project = create_project(charlie, 'Other')
    return project, put(project, 1, 'theirs'), Label.objects.get(project=project)


def test_images_move_to_a_label_that_is_made_when_it_is_new(project):
    one, two = put(project, 1, 'rose'), put(project, 2)
    before = labels.label_images(project, [one, two], 'tulip')
    assert before == {one: 'rose', two: None}
    assert label_of(one) == label_of(two) == 'tulip'


def test_moving_is_undone_with_what_it_returned(project):
    one, two, three = put(project, 1, 'rose'), put(project, 2), put(project, 3, 'oak')
    before = labels.label_images(project, [one, two, three], None)
    assert [label_of(key) for key in (one, two, three)] == [None, None, None]
    labels.restore_labels(project, before)
    assert [label_of(key) for key in (one, two, three)] == ['rose', None, 'oak']


@pytest.mark.parametrize(
    'action', [lambda p, i: labels.label_images(p, i, 'x'), labels.delete_images, labels.restore_images]
)
def test_an_image_of_another_project_does_not_exist_here_and_nothing_happens(project, others, action):
    mine, theirs = put(project, 2, 'rose'), others[1]
    for ids in ([theirs], [mine, theirs], [mine, str(uuid.uuid4())], ['no id'], [mine, '../' + mine]):
        with pytest.raises(NotFoundError):
            action(project, ids)
    assert (label_of(mine), label_of(theirs)) == ('rose', 'theirs')
    assert Image.objects.present().count() == 2 and not Label.objects.filter(name='x').exists()


def test_a_label_of_another_project_does_not_exist_here(project, others):
    theirs = others[2]
    with pytest.raises(NotFoundError):
        labels.rename_label(project, theirs.pk, 'mine')
    with pytest.raises(NotFoundError):
        deleted_labels.delete_label(project, theirs.pk)
    with pytest.raises(NotFoundError):
        labels.get_label(project, theirs.pk)
    assert Label.objects.get(pk=theirs.pk).name == 'theirs'


@pytest.mark.parametrize('ids', [[], [str(uuid.uuid4())] * 0])
def test_no_image_is_refused(project, ids):
    with pytest.raises(InvalidInputError):
        labels.label_images(project, ids, 'rose')


def test_far_too_many_images_are_refused(project):
    with pytest.raises(InvalidInputError):
        labels.delete_images(project, (uuid.uuid4() for _ in range(labels.MAX_IMAGES + 1)))


def test_thousands_of_images_move_at_once(project):
    fields = {'project': project, 'key': 'k', 'thumbnail_key': 't', 'width': 9, 'height': 9, 'size': 9}
    count = labels.CHUNK_SIZE + 10
    rows = Image.objects.bulk_create(Image(name=str(n), digest=f'{n:064}', **fields) for n in range(count))
    before = labels.label_images(project, [row.pk for row in rows], 'rose')
    assert len(before) == count
    assert Image.objects.filter(label__name='rose').count() == count


def test_a_label_is_made_once(project):
    assert labels.create_label(project, '  rose ').name == 'rose'
    with pytest.raises(ConflictError):
        labels.create_label(project, 'rose')


@pytest.mark.parametrize('name', ['', '   ', 'x' * 121, 'a\0b', 'a\nb', '\ud800', 'evil\u202egpj', None, 5])
def test_a_name_that_cannot_be_shown_is_refused(project, name):
    with pytest.raises(InvalidInputError):
        labels.create_label(project, name)


@pytest.mark.parametrize(
    'name', ['<img src=x onerror=alert(1)>', '=HYPERLINK("x")', "Robert'); DROP TABLE", 'שלום', '日本', '🌹']
)
def test_a_name_may_hold_anything_that_can_be_shown(project, name):
    assert Label.objects.get(pk=labels.create_label(project, name).pk).name == name


def test_a_label_takes_a_new_name(project):
    one = put(project, 1, 'rose')
    renamed = labels.rename_label(project, Label.objects.get().pk, 'Rosa')
    assert renamed.name == 'Rosa' and label_of(one) == 'Rosa'
    assert labels.rename_label(project, renamed.pk, 'Rosa').pk == renamed.pk


def test_renaming_onto_another_label_merges_the_two(project):
    one, two = put(project, 1, 'rose'), put(project, 2, 'roses')
    kept = labels.rename_label(project, Label.objects.get(name='roses').pk, 'rose')
    assert kept.name == 'rose' and label_of(one) == label_of(two) == 'rose'
    assert Label.objects.count() == 1


def test_deleting_a_label_leaves_its_images_and_can_be_undone(project):
    one, two = put(project, 1, 'rose'), put(project, 2, 'oak')
    deleted = deleted_labels.delete_label(project, Label.objects.get(name='rose').pk)
    assert (label_of(one), label_of(two)) == (None, 'oak')
    labels.restore_labels(project, deleted_labels.get_labels_before_deletion(deleted))
    assert label_of(one) == 'rose'


def test_a_deleted_label_comes_back_on_photos_that_got_no_other_meanwhile(project):
    one, two = put(project, 1, 'rose'), put(project, 2, 'rose')
    labels.delete_images(project, [one])
    deleted = deleted_labels.delete_label(project, Label.objects.get(name='rose').pk)
    assert deleted_labels.get_labels_before_deletion(deleted) == {str(two): 'rose'}
    labels.label_images(project, [two], 'oak')
    deleted_labels.restore_label(project, deleted.pk)
    labels.restore_images(project, [one])
    assert (label_of(one), label_of(two)) == ('rose', 'oak')


def test_images_go_to_the_trash_and_come_back_with_their_labels(project):
    one, two = put(project, 1, 'rose'), put(project, 2)
    assert labels.delete_images(project, [one, two]) == 2
    assert not Image.objects.present().exists()
    with pytest.raises(NotFoundError):
        labels.get_image(project, one)
    assert labels.get_image(project, one, deleted=True).name == '1.jpg'
    assert labels.restore_images(project, [one]) == 1
    assert labels.restore_images(project, [one]) == 0
    assert [str(image.pk) for image in Image.objects.present()] == [one] and label_of(one) == 'rose'


def test_an_image_in_the_trash_is_neither_labelled_nor_deleted_again(project):
    one = put(project, 1)
    labels.delete_images(project, [one])
    with pytest.raises(NotFoundError):
        labels.label_images(project, [one], 'rose')
    with pytest.raises(NotFoundError):
        labels.delete_images(project, [one])


def test_lists_are_filtered_by_label_by_having_one_and_by_the_trash(project, others):
    one, two, three = put(project, 1, 'rose'), put(project, 2, 'oak'), put(project, 3)
    labels.delete_images(project, [two])

    def found(**how):
        return {str(image.pk) for image in labels.filter_images(project, **how)}

    assert found() == {one, three}
    assert found(label='rose') == {one} and found(label='theirs') == set()
    assert found(labelled=True) == {one} and found(labelled=False) == {three}
    assert found(deleted=True) == {two}


def test_labels_are_counted_without_the_trash(project):
    one, two = put(project, 1, 'rose'), put(project, 2, 'rose')
    labels.delete_images(project, [two])
    labels.create_label(project, 'empty')
    assert [(label.name, label.present) for label in labels.list_labels_with_counts(project)] == [
        ('empty', 0),
        ('rose', 1),
    ]
    assert one
