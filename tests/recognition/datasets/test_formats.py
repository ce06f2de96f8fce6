"""Annotation files: a round trip loses nothing, and whatever a file says, it reaches the uploaded images
only.
"""

from __future__ import annotations

import json
import time
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition.datasets.formats import coco, csv_table, records, voc, yolo
from recognition.datasets.formats.records import AnnotatedImage, Annotations, Box, ImageSize
from recognition.errors import GraftError, InvalidInputError, TooLargeError

UPLOADED = {
    'cat.jpg': ImageSize(640, 480),
    'train/dog.png': ImageSize(100, 200),
    'val/dog.png': ImageSize(100, 200),
    'empty.jpg': ImageSize(50, 50),
}
SET = Annotations(
    ('cat', 'dog & <b>', '犬'),
    (
        AnnotatedImage(
            'cat.jpg',
            UPLOADED['cat.jpg'],
            (Box('cat', 0, 0, 640, 480), Box('dog & <b>', 10.25, 20.5, 30.75, 33.125, True)),
        ),
        AnnotatedImage('train/dog.png', UPLOADED['train/dog.png'], (Box('犬', 1, 2, 99, 198),)),
        AnnotatedImage('val/dog.png', UPLOADED['val/dog.png'], (Box('cat', 0, 0, 1, 1),)),
        AnnotatedImage('empty.jpg', UPLOADED['empty.jpg'], ()),
    ),
)


def through_voc(annotations: Annotations, uploaded: dict[str, ImageSize]) -> Annotations:
    return voc.read(voc.write(annotations), uploaded)


def through_coco(annotations: Annotations, uploaded: dict[str, ImageSize]) -> Annotations:
    ((_, data),) = coco.write(annotations)
    return coco.read(data, uploaded)


def through_yolo(annotations: Annotations, uploaded: dict[str, ImageSize]) -> Annotations:
    return yolo.read(yolo.write(annotations), uploaded)


def through_csv(annotations: Annotations, uploaded: dict[str, ImageSize]) -> Annotations:
    ((_, data),) = csv_table.write(annotations)
    return csv_table.read(data, uploaded)


THROUGH = [through_voc, through_coco, through_csv, through_yolo]


@pytest.mark.parametrize('through', THROUGH)
def test_a_round_trip_loses_nothing(through):
    found = through(SET, UPLOADED)
    assert found.rejected == ()
    assert set(found.labels) == set(SET.labels)
    assert [image.name for image in found.images] == [image.name for image in SET.images]
    for image, expected in zip(found.images, SET.images, strict=True):
        assert image.size == expected.size
        assert len(image.boxes) == len(expected.boxes)
        for box, wanted in zip(image.boxes, expected.boxes, strict=True):
            assert box.label == wanted.label
            assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx(
                (wanted.x0, wanted.y0, wanted.x1, wanted.y1), abs=1e-9
            )
            assert box.difficult == (wanted.difficult and through is not through_yolo)  # YOLO cannot say it


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_box_survives_every_format(data):
    size = ImageSize(data.draw(st.integers(2, 5000)), data.draw(st.integers(2, 5000)))
    x0, y0 = data.draw(st.floats(0, size.width - 1)), data.draw(st.floats(0, size.height - 1))
    x1, y1 = (
        data.draw(st.floats(min(x0 + 1.001, size.width), size.width)),
        data.draw(st.floats(min(y0 + 1.001, size.height), size.height)),
    )
    if x1 - x0 < 1.0005 or y1 - y0 < 1.0005:
        return
    label = data.draw(st.text(st.characters(categories=['L', 'N', 'P', 'S']), min_size=1, max_size=20))
    expected = Annotations((label,), (AnnotatedImage('a.jpg', size, (Box(label, x0, y0, x1, y1),)),))
    for through in THROUGH:
        found = through(expected, {'a.jpg': size})
        assert found.rejected == ()
        (box,) = found.images[0].boxes
        assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx(
            (x0, y0, x1, y1), abs=2e-6 * max(size.width, size.height)
        )


def test_voc_counts_from_one_and_includes_the_last_pixel():
    (_, data), *_ = voc.write(SET)
    frame = ElementTree.fromstring(data).find('object/bndbox')
    assert [child.text for child in frame] == ['1', '1', '640', '480']


def test_coco_tells_sizes_and_yolo_shares_of_the_image():
    ((_, data),) = coco.write(SET)
    assert json.loads(data)['annotations'][1]['bbox'] == [10.25, 20.5, 20.5, 12.625]
    files = dict(yolo.write(SET))
    assert files['labels/cat.txt'].splitlines()[0] == b'0 0.5 0.5 1 1'
    assert files['labels/empty.txt'] == b''


def xml(objects: str, filename: str = 'cat.jpg', size: tuple[int, int] = (640, 480)) -> bytes:
    return (
        f'<annotation><filename>{filename}</filename><size><width>{size[0]}</width><height>{size[1]}</height></size>'
        f'{objects}</annotation>'
    ).encode()


def thing(x0: object, y0: object, x1: object, y1: object, name: str = 'cat') -> str:
    box = f'<xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>'
    return f'<object><name>{name}</name><bndbox>{box}</bndbox></object>'


BILLION = (
    '<!DOCTYPE lolz [<!ENTITY lol "lol">'
    + ''.join(f'<!ENTITY lol{n} "{f"&lol{n - 1 or str()};" * 10}">' for n in range(1, 10))
    + ']><annotation><filename>&lol9;</filename></annotation>'
)


@pytest.mark.parametrize(
    'text',
    [
        BILLION,
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><filename>&x;</filename></annotation>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/evil.dtd"><annotation/>',
        '<annotation><filename>cat.jpg',
        '<svg/>',
        '',
        '<?xml version="1.0" encoding="nobody-knows"?><annotation/>',
        '<a>' * 100_000,
        '\x00\x01',
    ],
)
def test_xml_that_is_no_plain_annotation_is_refused_at_once(text):
    started = time.process_time()  # the processor's, for tests share it
    with pytest.raises(InvalidInputError):
        voc.parse(text.encode(), 'evil.xml')
    assert time.process_time() - started < 1
    found = voc.read([('evil.xml', text.encode()), ('good.xml', xml(thing(1, 1, 10, 10)))], UPLOADED)
    assert [refusal.where for refusal in found.rejected] == ['evil.xml']
    assert len(found.images[0].boxes) == 1


def test_very_deep_xml_is_no_crash():
    deep = ('<annotation>' + '<a>' * 100_000 + '</a>' * 100_000 + '</annotation>').encode()
    found = voc.read([('deep.xml', deep)], UPLOADED)
    assert found.images == ()
    assert found.rejected_count == 1


@pytest.mark.parametrize(
    'name',
    [
        '../../etc/passwd',
        '/etc/passwd',
        'C:\\windows\\cat.jpg',
        'file:///etc/passwd',
        'https://example.org/cat.jpg',
        'a/../../cat.jpg',
        '..\\cat.jpg',
        '',
        'cat\n.jpg',
        'x' * 2000,
        'unknown.jpg',
        'dog.png',  # two uploads are called so
    ],
)
def test_a_name_reaches_nothing_but_one_upload(name):
    document = {'images': [{'id': 1, 'file_name': name}], 'categories': [{'id': 1, 'name': 'cat'}]}
    document['annotations'] = [{'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [1, 1, 5, 5]}]
    found = coco.read(json.dumps(document).encode(), UPLOADED)
    assert found.images == ()
    assert found.rejected_count == 2  # the image, and its box


def test_folders_that_an_upload_does_not_have_are_no_obstacle():
    found = voc.read([('x.xml', xml(thing(1, 1, 9, 9), 'some/where/cat.jpg'))], UPLOADED)
    assert found.images[0].name == 'cat.jpg'


@pytest.mark.parametrize(
    'corners',
    [
        ('nan', 1, 9, 9),
        (1, 1, 'inf', 'inf'),
        ('-inf', 1, 9, 9),
        (9, 9, 1, 1),
        (5, 5, 4, 9),  # xmax is the last pixel inside: this one has no width
        (700, 1, 800, 9),
        (-50, -50, -1, -1),
        ('', 1, 2, 3),
        ('ten', 1, 2, 3),
        ('1e999', 1, 2, 3),
        ('9' * 5000, 1, 2, 3),
    ],
)
def test_a_box_that_is_none_is_listed_with_its_image_and_the_rest_is_read(corners):
    found = voc.read([('a.xml', xml(thing(*corners) + thing(1, 1, 10, 10)))], UPLOADED)
    assert found.images[0].boxes == (Box('cat', 0, 0, 10, 10),)
    assert [refusal.where for refusal in found.rejected] == ['cat.jpg']


def test_a_box_that_reaches_over_the_edge_is_cut_to_the_image():
    found = voc.read([('a.xml', xml(thing(-20, 0, 1000, 100)))], UPLOADED)
    assert found.images[0].boxes == (Box('cat', 0, 0, 640, 100),)


def test_boxes_drawn_on_the_photo_before_it_was_turned_are_refused():
    found = voc.read([('a.xml', xml(thing(1, 1, 9, 9), size=(480, 640)))], UPLOADED)
    assert found.images == ()
    assert '480 x 640' in found.rejected[0].reason


@pytest.mark.parametrize('name', ['', '  ', 'x' * 121, 'a\x07b', 'a\u202eb'])
def test_a_class_name_that_is_none_is_refused(name):
    document = {'images': [{'id': 1, 'file_name': 'cat.jpg'}], 'categories': [{'id': 1, 'name': name}]}
    document['annotations'] = [{'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [1, 1, 5, 5]}]
    found = coco.read(json.dumps(document).encode(), UPLOADED)
    assert found.labels == ()
    assert found.images == ()  # whether nothing is on it nobody has said
    assert found.rejected_count == 2


@pytest.mark.parametrize(
    'data',
    [
        b'[' * 100_000 + b']' * 100_000,
        b'{"images":' * 100_000,
        b'[]',
        b'null',
        b'{"images": 5}',
        b'{"images": [5]}',
        b'not json',
        b'\xff\xfe\x00',
        b'',
        b'{"images": [' + b'9' * 5000 + b']}',
    ],
)
def test_json_that_is_no_coco_is_refused_at_once(data):
    started = time.process_time()
    with pytest.raises(InvalidInputError):
        coco.read(data, UPLOADED)
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    'box',
    [
        [float('nan')] * 4,
        [1, 1, float('inf'), 5],
        [1, 1, 0, 5],
        [1, 1, -5, 5],
        [1, 2, 3],
        'box',
        None,
        [[], {}, True, ''],
    ],
)
def test_a_coco_box_that_is_none_is_listed_and_the_rest_is_read(box):
    document = {'images': [{'id': 1, 'file_name': 'cat.jpg'}], 'categories': [{'id': 'c', 'name': 'cat'}]}
    rows = [
        {'id': n, 'image_id': 1, 'category_id': 'c', 'bbox': b} for n, b in enumerate([box, [1, 1, 5, 5]])
    ]
    found = coco.read(json.dumps({**document, 'annotations': rows}).encode(), UPLOADED)
    assert found.images[0].boxes == (Box('cat', 1, 1, 6, 6),)
    assert found.rejected_count == 1


def test_unknown_classes_and_images_of_coco_are_listed():
    document = {
        'images': [{'id': 1, 'file_name': 'cat.jpg', 'width': 640, 'height': 480}],
        'categories': [{'id': 1, 'name': 'cat'}],
        'annotations': [
            {'id': 1, 'image_id': 1, 'category_id': 2, 'bbox': [1, 1, 5, 5]},
            {'id': 2, 'image_id': 9, 'category_id': 1, 'bbox': [1, 1, 5, 5]},
            {'id': 3, 'image_id': [1], 'category_id': {}, 'bbox': [1, 1, 5, 5]},
            {'id': 4, 'image_id': 1, 'category_id': 1, 'bbox': [1, 1, 5, 5], 'iscrowd': 1},
        ],
    }
    found = coco.read(json.dumps(document).encode(), UPLOADED)
    assert found.images[0].boxes == (Box('cat', 1, 1, 6, 6, difficult=True),)
    assert found.rejected_count == 3


def test_too_many_boxes_on_one_image_are_cut_off_and_counted():
    lines = b'0 0.5 0.5 0.5 0.5\n' * (records.MAX_BOXES_PER_IMAGE + 1_500)
    found = yolo.read([('classes.txt', b'cat'), ('cat.txt', lines)], UPLOADED)
    assert len(found.images[0].boxes) == records.MAX_BOXES_PER_IMAGE
    assert found.rejected_count == 1_500
    assert len(found.rejected) == records.MAX_LISTED_REJECTIONS


def test_a_million_boxes_in_one_import_are_too_many():
    lines = b'0 0.5 0.5 0.5 0.5\n' * 250_001
    files = [('classes.txt', b'cat'), ('cat.txt', lines), ('empty.txt', lines)]
    with pytest.raises(TooLargeError):
        yolo.read(files, UPLOADED)


def test_a_huge_document_is_refused_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr(records, 'MAX_DOCUMENT_BYTES', 100)
    with pytest.raises(TooLargeError):
        coco.read(b' ' * 101, UPLOADED)
    with pytest.raises(GraftError):
        voc.parse(b' ' * 101, 'a.xml')


@pytest.mark.parametrize(
    'line',
    [
        '0 1 1',
        '5 0.5 0.5 0.1 0.1',
        '-1 0.5 0.5 0.1 0.1',
        '² 0.5 0.5 0.1 0.1',
        '0 nan 0.5 0.1 0.1',
        '0 0.5 0.5 0 0',
        '0 5 5 1 1',
        '9' * 5000,
    ],
)
def test_a_yolo_line_that_is_none_is_listed_and_the_rest_is_read(line):
    found = yolo.read(
        [('classes.txt', b'cat'), ('labels/cat.txt', f'{line}\n0 .5 .5 .5 .5'.encode())], UPLOADED
    )
    assert found.images[0].boxes == (Box('cat', 160, 120, 480, 360),)
    assert [refusal.where for refusal in found.rejected] == ['cat.jpg']


def test_yolo_classes_come_from_any_of_its_files():
    for name, data in [
        ('obj.names', b'a\nb\n'),
        ('data.yaml', b'names: [a, b]'),
        ('data.yaml', b'names:\n  0: a\n  1: b\n'),
    ]:
        assert yolo.read([(name, data)], UPLOADED).labels == ('a', 'b')


@pytest.mark.parametrize(
    'data',
    [
        b'a: {' * 15_000,
        b'- ' * 30_000,
        b'? ' * 30_000,
        b'names: !!python/object/apply:os.system [id]',
        b'a: &a [x, x]\nnames: [*a, *a]',
        b'names: 5',
        b'- names',
        b'[' * 20_000,
        b'names: [a, [b]]',
        b'\xff',
    ],
)
def test_a_yolo_data_file_that_is_no_plain_list_of_names_is_refused_at_once(data):
    started = time.process_time()
    with pytest.raises(InvalidInputError):
        yolo.read([('data.yaml', data)], UPLOADED)
    assert time.process_time() - started < 1


def test_yolo_without_class_names_is_refused():
    with pytest.raises(InvalidInputError, match='class names'):
        yolo.read([('cat.txt', b'')], UPLOADED)


def test_a_class_that_looks_like_a_formula_is_quoted_and_guarded_and_comes_back():
    names = ('=HYPERLINK("http://x","y")', '@SUM(A1)', '+1', '-1', "'quoted", 'plain, "comma"')
    boxes = tuple(Box(name, 0, 0, 9, 9) for name in names)
    annotations = Annotations(names, (AnnotatedImage('cat.jpg', UPLOADED['cat.jpg'], boxes),))
    ((_, data),) = csv_table.write(annotations)
    cells = [line.split('","')[1] for line in data.decode().splitlines()[1:]]
    assert all(cell.startswith("'") for cell in cells[:5])
    assert csv_table.read(data, UPLOADED).images == annotations.images


@pytest.mark.parametrize('data', [b'', b'a,b\n1,2', b'image,label,x0,y0,x1,y1\n"' + b'x' * 200_000])
def test_a_table_that_is_none_is_refused(data):
    with pytest.raises(InvalidInputError):
        csv_table.read(data, UPLOADED)


def test_files_are_written_under_safe_names_of_their_own():
    names = ['a.jpg', 'A.png', 'a.png', '../../evil.jpg', '/abs.jpg', 'b/c.jpg']
    images = tuple(AnnotatedImage(name, ImageSize(9, 9), ()) for name in names)
    written = [path for path, _ in voc.write(Annotations((), images))]
    assert written == [f'Annotations/{n}.xml' for n in ('a', 'A.png', 'a.png-3', 'image-4', 'image-5', 'b/c')]


@pytest.mark.shared
@pytest.mark.parametrize('name', ['blood_cells', 'fork_scissors', 'fruit', 'raccoon'])
def test_the_public_sets_are_read_whole_and_survive_every_format(shared, name):
    from PIL import Image as Picture

    folder = shared / 'detection' / name
    uploaded = {
        path.name: ImageSize(*Picture.open(path).size) for path in sorted((folder / 'images').iterdir())
    }
    found = voc.read(
        ((path.name, path.read_bytes()) for path in sorted((folder / 'annotations').iterdir())), uploaded
    )
    assert found.rejected == ()
    assert len(found.images) == len(uploaded)
    counts = {'blood_cells': 1613, 'fork_scissors': 40, 'fruit': 302, 'raccoon': 213}
    assert sum(len(image.boxes) for image in found.images) == counts[name]
    for through in THROUGH:
        again = through(found, uploaded)
        assert again.rejected == ()
        assert [len(image.boxes) for image in again.images] == [len(image.boxes) for image in found.images]
