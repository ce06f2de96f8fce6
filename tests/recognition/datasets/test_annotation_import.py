"""Sets of annotations come in and go out; a round trip loses nothing, and what cannot be taken is listed."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from recognition.datasets import annotation_export, annotation_import, box_annotations, labels
from recognition.datasets.box_annotations import Box
from recognition.datasets.upload_results import IncomingFile
from recognition.datasets.uploads import add_images
from recognition.errors import ConflictError, GraftError, InvalidInputError
from recognition.management import local_annotations
from recognition.models import AuditEvent, Image, Project
from tests.support.detection_projects import boxed_project, detection_project, draw, photo
from tests.support.photos import draw_photo
from tests.support.zip_archives import write_zip

pytestmark = pytest.mark.django_db

VOC = """<annotation><filename>{}</filename><size><width>48</width><height>48</height></size>
<object><name>red</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>20</xmax><ymax>20</ymax></bndbox></object></annotation>"""


def exported(project, format, **options) -> io.BytesIO:
    target = io.BytesIO()
    annotation_export.write_zip(project, format, target, **options)
    target.seek(0)
    return target


def imported(project, archive, name='set.zip', **options):
    return annotation_import.import_files(project, None, [(name, archive)], **options)


def content(project):
    """Digest -> state and boxes of every image."""
    found = {}
    for image in Image.objects.present().filter(project=project):
        boxes = box_annotations.get_boxes(project, image.pk)
        found[image.digest] = (boxes.state, sorted(boxes.boxes, key=str))
    return found


@pytest.fixture
def cells(alice):
    """Boxes at fractions of a pixel, a difficult one, a photo that shows nothing, one that nobody looked at,
    equal names.
    """
    project = boxed_project(alice, 4)
    draw(project, 3)
    files = [
        IncomingFile(name, lambda n=n: draw_photo(70 + n), 1000, None)
        for n, name in enumerate(['0.JPG', 'no suffix'])
    ]
    add_images(project, alice, files)
    twin = Image.objects.get(project=project, name='0.JPG')
    box_annotations.set_boxes(project, twin.pk, [Box('old & <odd>', 0.125, 0, 47.333, 48, True)], version=0)
    return project


@pytest.mark.parametrize('format', annotation_export.FORMATS)
def test_a_round_trip_through_a_zip_makes_the_same_project(cells, alice, format):
    other = detection_project(alice)
    result = imported(other, exported(cells, format))
    before, after = content(cells), content(other)
    if format == 'yolo':  # it has no mark for difficult ones
        before = {
            key: (state, [Box(b.label, b.x0, b.y0, b.x1, b.y1) for b in boxes])
            for key, (state, boxes) in before.items()
        }
    assert (result.rejected, result.format) == ((), format)
    assert sorted(map(str, after.values())) == sorted(map(str, before.values()))
    assert (result.images, result.empty, result.boxes) == (5, 1, 7)
    assert AuditEvent.objects.get(action='import boxes').subject == f'5 photos of {other.name} ({other.pk})'


@pytest.mark.parametrize('format', annotation_export.FORMATS)
def test_annotations_alone_find_their_photos_again(cells, format):
    before = content(cells)
    archive = exported(cells, format, photos=False)
    for image in Image.objects.filter(boxed_at__isnull=False):
        box_annotations.set_boxes(cells, image.pk, [], version=image.boxes_version)
    result = imported(cells, archive)
    assert result.rejected == () and result.images == 5
    if format != 'yolo':
        assert content(cells) == before


@pytest.mark.parametrize('format', annotation_export.FORMATS)
def test_the_manifest_counts_what_was_written(cells, format):
    archive = zipfile.ZipFile(exported(cells, format))
    told = json.loads(archive.read('manifest.json'))
    assert (told['images'], told['empty'], told['boxes'], told['photos']) == (5, 1, 7, 6)
    assert told['boxes_per_label'] == {'old & <odd>': 1, 'red': 3, 'white': 3}
    assert (told['difficult'], told['difficult_kept']) == (1, format != 'yolo')
    photos = [name for name in archive.namelist() if name.startswith(annotation_export.IMAGE_FOLDERS[format])]
    assert len({name.casefold() for name in photos}) == 6 and archive.testzip() is None


def test_importing_the_same_again_changes_nothing(cells):
    archive = exported(cells, 'coco')
    versions = list(Image.objects.order_by('pk').values_list('boxes_version', flat=True))
    result = imported(cells, archive)
    assert (result.images, result.unchanged, result.not_overwritten) == (5, 5, 0)
    assert {verdict.outcome for verdict in result.results} == {'duplicate'}
    assert list(Image.objects.order_by('pk').values_list('boxes_version', flat=True)) == versions


def test_boxes_that_a_person_saved_stay_unless_told_otherwise(cells):
    archive = exported(cells, 'voc')
    draw(cells, 0, ('mine', 0, 0, 9, 9))
    assert (
        imported(cells, archive).not_overwritten,
        len(box_annotations.get_boxes(cells, photo(cells).pk).boxes),
    ) == (
        1,
        1,
    )
    result = imported(cells, archive, overwrite=True)
    assert (result.not_overwritten, result.images, result.unchanged) == (0, 5, 4)
    assert box_annotations.get_boxes(cells, photo(cells).pk).version == 3


def test_what_cannot_be_taken_is_listed_and_the_rest_is_imported(alice):
    cells = detection_project(alice)
    document = {
        'images': [
            {'id': 1, 'file_name': 'a.jpg'},
            {'id': 2, 'file_name': '../../etc/passwd'},
            {'id': 3, 'file_name': 'gone.jpg'},
        ],
        'categories': [{'id': 1, 'name': 'red'}],
        'annotations': [
            {'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [1, 1, 9, 9]},
            {'id': 2, 'image_id': 1, 'category_id': 9, 'bbox': [1, 1, 9, 9]},
            {'id': 3, 'image_id': 1, 'category_id': 1, 'bbox': [500, 500, 9, 9]},
            {'id': 4, 'image_id': 1, 'category_id': 1, 'bbox': [1, 1, -4, 9]},
        ],
    }
    result = imported(
        cells,
        write_zip(
            {'a.jpg': draw_photo(1), 'b.jpg': b'no image', 'labels.json': json.dumps(document).encode()}
        ),
    )
    assert (result.images, result.boxes, result.rejected_count) == (1, 1, 5)
    assert {refusal.where for refusal in result.rejected} == {'a.jpg', '../../etc/passwd', 'gone.jpg'}
    assert [(verdict.name, verdict.outcome) for verdict in result.results] == [
        ('a.jpg', 'created'),
        ('b.jpg', 'rejected'),
    ]


def test_equal_names_in_the_folders_of_a_set_are_told_apart_by_what_lies_beside(alice):
    cells = detection_project(alice)
    entries = {}
    for part, seed in (('train', 1), ('test', 2)):
        entries |= {
            f'set/{part}/images/1.jpg': draw_photo(seed),
            f'set/{part}/labels/1.txt': b'0 0.5 0.5 0.25 0.25\n',
        }
    entries |= {'set/data.yaml': b'names: [red]', 'set/README.dataset.txt': b'hello'}
    result = imported(cells, write_zip(entries))
    assert (result.images, result.boxes, result.rejected) == (2, 2, ())


def test_a_photo_that_lies_twice_in_a_set_takes_the_first_annotation(alice):
    cells = detection_project(alice)
    same = draw_photo(1)
    entries = {f'{n}.jpg': same for n in 'ab'} | {f'{n}.xml': VOC.format(f'{n}.jpg').encode() for n in 'ab'}
    result = imported(cells, write_zip(entries))
    assert (result.images, result.boxes, [refusal.where for refusal in result.rejected]) == (1, 1, ['b.jpg'])


@pytest.mark.parametrize(
    ('entries', 'said'),
    [
        ({'a.xml': b'<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>'}, 'document type'),
        ({'a.json': b'{"images": [], "annotations": 7}'}, 'annotations must be a list'),
        ({'a.txt': b'0 0.5 0.5 1 1', 'data.yaml': b'names: &a [*a]'}, 'references'),
    ],
)
def test_with_photos_a_bad_annotation_file_is_listed_and_the_photos_are_in(alice, entries, said):
    cells = detection_project(alice)
    result = imported(cells, write_zip({'a.jpg': draw_photo(1), **entries}))
    assert said in result.rejected[0].reason
    assert Image.objects.count() == 1 and content(cells).popitem()[1] == ('unlabelled', [])


def test_without_photos_a_bad_annotation_file_is_refused(cells):
    for entries in (
        {'a.json': b'{"images": [], "annotations": 7}'},
        {'notes.txt': b'hello'},
        {'a.xml': b'', 'classes.txt': b'red'},
    ):
        with pytest.raises(InvalidInputError):
            imported(cells, write_zip(entries))


def test_a_project_of_whole_photos_takes_no_boxes(project):
    with pytest.raises(ConflictError):
        imported(project, write_zip({'a.jpg': draw_photo(1)}))
    assert not Image.objects.exists()


def test_photos_in_the_trash_are_neither_written_nor_found(cells):
    archive = exported(cells, 'voc', photos=False)
    labels.delete_images(cells, [photo(cells, 1).pk])
    assert json.loads(zipfile.ZipFile(exported(cells, 'voc')).read('manifest.json'))['images'] == 4
    assert [refusal.where for refusal in imported(cells, archive).rejected] == ['1.jpg']


def test_from_a_shell_a_folder_becomes_a_project_and_a_project_a_zip(cells, tmp_path, capsys):
    from django.core.management import call_command

    zipfile.ZipFile(exported(cells, 'voc')).extractall(tmp_path / 'set')
    call_command('import_annotations', str(tmp_path / 'set'))
    made = Project.objects.get(name='set')
    assert sorted(map(str, content(made).values())) == sorted(map(str, content(cells).values()))
    call_command('export_annotations', str(made.pk), str(tmp_path / 'out.zip'), '--format', 'yolo')
    assert 'YOLO cannot mark' in capsys.readouterr().out
    assert (
        zipfile.ZipFile(tmp_path / 'out.zip').testzip() is None and len(list(tmp_path.glob('*out.zip*'))) == 1
    )


def test_from_a_shell_what_is_no_set_leaves_nothing_behind(db, tmp_path):
    (tmp_path / 'empty').mkdir()
    for path in (tmp_path / 'empty', tmp_path / 'missing'):
        with pytest.raises(GraftError):
            local_annotations.import_path(path, '', '')
    assert not Project.objects.exists()


def test_the_folders_of_a_set_do_not_come_back_twice(alice):
    cells = detection_project(alice)
    files = [(f'set/{part}/images/{n}.jpg', n) for n, part in enumerate(['train', 'train', 'test'])]
    add_images(cells, alice, [IncomingFile(name, lambda n=n: draw_photo(n), 1000, None) for name, n in files])
    assert sorted(annotation_export.assign_file_names(cells).values()) == [
        'test/2.jpg',
        'train/0.jpg',
        'train/1.jpg',
    ]
    for image in Image.objects.all():
        box_annotations.set_boxes(cells, image.pk, [Box('red', 1, 2, 30, 40)], version=0)
    archive = exported(cells, 'yolo')
    names = zipfile.ZipFile(archive).namelist()
    assert {'images/test/2.jpg', 'labels/test/2.txt', 'data.yaml', 'classes.txt'} < set(names)
    result = imported(detection_project(alice), archive)
    assert (result.images, result.rejected) == (3, ())


@pytest.mark.shared
def test_a_public_set_comes_in_whole(shared, alice):
    cells = detection_project(alice)
    result = annotation_import.import_folder(cells, alice, shared / 'detection' / 'fork_scissors')
    assert (result.images, result.boxes, result.rejected) == (40, 40, ())
