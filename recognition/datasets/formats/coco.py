"""COCO: one JSON file for a set. A box is x, y, width, height in pixels from zero."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from recognition.datasets.formats.records import (
    AnnotationCollector,
    Annotations,
    ImageSize,
    decode_text,
    parse_number,
)
from recognition.errors import InvalidInputError
from recognition.naming import make_printable


def read(data: bytes, uploaded: Mapping[str, ImageSize], where: str = 'the COCO file') -> Annotations:
    """Error: InvalidInputError when the file is not COCO; problems of single images and boxes are listed in
    the result.
    """
    document = parse(data, where)
    collector = AnnotationCollector(uploaded)
    categories = {
        _make_key(row.get('id')): row.get('name') for row in _read_rows(document, 'categories', where)
    }
    for name in categories.values():
        if not isinstance(name, str) or collector.label(name) is None:
            collector.reject(where, f'{make_printable(str(name))!r} cannot be a class name')
    images = {}
    for row in _read_rows(document, 'images', where):
        width, height = (_read_size(row.get(side)) for side in ('width', 'height'))
        name = collector.image(_read_text(row.get('file_name')), width, height, where=where)
        if name is not None:
            images[_make_key(row.get('id'))] = name
    for row in _read_rows(document, 'annotations', where):
        image, label = (
            images.get(_make_key(row.get('image_id'))),
            categories.get(_make_key(row.get('category_id'))),
        )
        if image is None:
            collector.reject(
                where,
                f'annotation {make_printable(str(row.get("id")))}: its image is not among those imported',
            )
        elif not isinstance(label, str):
            collector.reject(image, f'class {make_printable(str(row.get("category_id")))} is not declared')
        else:
            _read_box(row, image, label, collector)
    return collector.finish()


def parse(data: bytes, where: str) -> dict[str, object]:
    try:
        document = json.loads(decode_text(data, where))
    except RecursionError as error:
        raise InvalidInputError(f'{make_printable(where, 200)} is nested too deeply') from error
    except ValueError as error:
        raise InvalidInputError(f'{make_printable(where, 200)} is not JSON') from error
    if not isinstance(document, dict):
        raise InvalidInputError(
            f'{make_printable(where, 200)} must be a JSON object with images, annotations and categories'
        )
    return document


def _read_box(row: dict[str, object], image: str, label: str, collector: AnnotationCollector) -> None:
    box = row.get('bbox')
    if not isinstance(box, list) or len(box) != 4:
        return collector.reject(image, 'an annotation without a box of four numbers')
    x, y, width, height = (parse_number(side) for side in box)
    # A crowd is one box around many objects: it does not count, like a difficult object.
    difficult = any(row.get(mark) in (1, True) for mark in ('ignore', 'iscrowd'))
    return collector.box(image, label, (x, y, x + width, y + height), difficult)


def _read_rows(document: dict[str, object], name: str, where: str) -> list[dict[str, object]]:
    rows = document.get(name, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InvalidInputError(f'{make_printable(where, 200)}: {name} must be a list of objects')
    return rows


def _make_key(value: object) -> str:
    """Identifiers are numbers or strings; as strings, so that 1 and "1" are equal and a list is no error."""
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _read_text(value: object) -> str:
    return value if isinstance(value, str) else ''


def _read_size(value: object) -> float:
    size = parse_number(value)
    return size if size > 0 else 0


def write(annotations: Annotations) -> Iterator[tuple[str, bytes]]:
    """(annotations.json, bytes)."""
    categories = {label: index for index, label in enumerate(annotations.labels, 1)}
    document = {
        'images': [
            {'id': number, 'file_name': image.name, 'width': image.size.width, 'height': image.size.height}
            for number, image in enumerate(annotations.images, 1)
        ],
        'categories': [
            {'id': index, 'name': label, 'supercategory': ''} for label, index in categories.items()
        ],
        'annotations': _make_annotation_rows(annotations, categories),
    }
    yield 'annotations.json', json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1).encode()


def _make_annotation_rows(annotations: Annotations, categories: dict[str, int]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for image_number, image in enumerate(annotations.images, 1):
        for box in image.boxes:
            width, height = box.x1 - box.x0, box.y1 - box.y0
            rows.append(
                {
                    'id': len(rows) + 1,
                    'image_id': image_number,
                    'category_id': categories[box.label],
                    'bbox': [box.x0, box.y0, width, height],
                    'area': width * height,
                    'iscrowd': 0,
                    'ignore': int(box.difficult),
                    'segmentation': [],
                }
            )
    return rows
