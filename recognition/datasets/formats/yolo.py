"""YOLO: one text file an image, a line a box: class number, then centre and size as shares of the image's."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

import yaml

from recognition.datasets.formats.records import (
    AnnotatedImage,
    AnnotationCollector,
    Annotations,
    ImageSize,
    assign_file_names,
    decode_text,
    format_number,
    parse_number,
)
from recognition.errors import InvalidInputError
from recognition.naming import make_printable

CLASS_FILES = ('classes.txt', 'obj.names')
DATA_FILES = ('data.yaml', 'data.yml', 'dataset.yaml')
MAX_DATA_FILE_BYTES = 64 * 1024
MAX_DATA_FILE_DEPTH = 8  # of lists within lists
OTHER_TEXT_FILES = {'readme', 'train', 'val', 'valid', 'test', 'license'}  # text files that lie beside


def read(files: Iterable[tuple[str, bytes]], uploaded: Mapping[str, ImageSize]) -> Annotations:
    """Text files (name, bytes) with the class names among them, as classes.txt, obj.names or data.yaml.

    Error: InvalidInputError without class names; problems of single files and lines are listed in the result.
    YOLO cannot mark difficult objects.
    """
    contents = [(name.replace('\\', '/'), data) for name, data in files]
    labels = _read_label_names(contents)
    collector = AnnotationCollector(uploaded)
    for label in labels:
        if collector.label(label) is None:
            collector.reject('the class names', f'{make_printable(label)!r} cannot be a class name')
    for name, data in contents:
        path = PurePosixPath(name)
        beside = (
            path.name.lower() in CLASS_FILES
            or path.stem.lower() in OTHER_TEXT_FILES
            or path.name.lower().startswith('readme')
        )
        if path.suffix.lower() != '.txt' or beside:
            continue
        try:
            _read_label_file(name, decode_text(data, name), labels, collector)
        except InvalidInputError as error:
            collector.reject(name, error.message)
    return collector.finish()


def _read_label_file(name: str, text: str, labels: list[str], collector: AnnotationCollector) -> None:
    image = collector.image(_find_image_name(name, collector))
    if image is None:
        return
    size = collector.uploaded[image]
    for line in text.splitlines():
        parts = line.split()
        if not parts:
            continue
        if len(parts) != 5:
            collector.reject(image, f'a line of {len(parts)} numbers; a box has 5')
            continue
        if not (
            parts[0].isascii() and parts[0].isdigit() and len(parts[0]) < 6 and int(parts[0]) < len(labels)
        ):
            collector.reject(
                image, f'class {make_printable(parts[0])} is not among the {len(labels)} declared'
            )
            continue
        x, y, width, height = (parse_number(part) for part in parts[1:])
        across = (_scale_to_pixels(x - width / 2, size.width), _scale_to_pixels(x + width / 2, size.width))
        down = (_scale_to_pixels(y - height / 2, size.height), _scale_to_pixels(y + height / 2, size.height))
        collector.box(image, labels[int(parts[0])], (across[0], down[0], across[1], down[1]))


def _scale_to_pixels(share: float, side: int) -> float:
    """Scale a relative coordinate; to a whole pixel where six digits of it mean one."""
    value = share * side
    return float(round(value)) if math.isfinite(value) and abs(value - round(value)) < 1e-6 * side else value


def _find_image_name(name: str, collector: AnnotationCollector) -> str:
    """labels/train/a.txt means images/train/a, train/a or a: the folder that holds labels is no part of an
    image's name.
    """
    parts = PurePosixPath(name).with_suffix('').parts
    places = [place for place, folder in enumerate(parts[:-1]) if folder.lower() == 'labels']
    beside = [str(PurePosixPath(*parts[:place], 'images', *parts[place + 1 :])) for place in places]
    without = PurePosixPath(*parts[1:]) if places[:1] == [0] else PurePosixPath(*parts)
    return next((other for other in beside if collector.has_unique(other)), str(without))


def _read_label_names(contents: list[tuple[str, bytes]]) -> list[str]:
    for name, data in contents:
        if PurePosixPath(name).name.lower() in CLASS_FILES:
            return [line.strip() for line in decode_text(data, name).splitlines() if line.strip()]
        if PurePosixPath(name).name.lower() in DATA_FILES:
            return _read_data_file(name, data)
    raise InvalidInputError(
        f'no class names: a YOLO set holds one of {", ".join((*CLASS_FILES, *DATA_FILES))}'
    )


def _read_data_file(name: str, data: bytes) -> list[str]:
    text = decode_text(data, name)
    if len(data) > MAX_DATA_FILE_BYTES:
        raise InvalidInputError(f'{make_printable(name, 200)} is longer than {MAX_DATA_FILE_BYTES:,} bytes')
    try:
        _reject_deep_yaml(text, name)
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidInputError(f'{make_printable(name, 200)} is not YAML') from error
    names = document.get('names') if isinstance(document, dict) else None
    if isinstance(names, dict):
        names = [names.get(index) for index in range(len(names))]
    if not isinstance(names, list) or not all(isinstance(label, str | int) for label in names):
        raise InvalidInputError(f'{make_printable(name, 200)} must list the class names under `names`')
    return [str(label) for label in names]


def _reject_deep_yaml(text: str, name: str) -> None:
    """Reject deep YAML by its text: merely scanning it would take the parser minutes."""
    depth = deepest = 0
    for letter in text:
        depth += (letter in '[{') - (letter in ']}')
        deepest = max(deepest, depth)
    if deepest > MAX_DATA_FILE_DEPTH or re.search(
        rf'^\s*([-?:]\s+){{{MAX_DATA_FILE_DEPTH}}}', text, re.MULTILINE
    ):
        raise InvalidInputError(f'{make_printable(name, 200)} has lists within lists, which are not read')
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
        raise InvalidInputError(f'{make_printable(name, 200)} uses references, which are not read')


def write(annotations: Annotations) -> Iterator[tuple[str, bytes]]:
    """(classes.txt, bytes) and (data.yaml, bytes) with the class names, for old programs and for new ones,
    then (labels/NAME.txt, bytes) for each image; an empty file says that nothing is there.
    """
    yield 'classes.txt', ''.join(f'{label}\n' for label in annotations.labels).encode()
    data = {'path': '.', 'train': 'images', 'val': 'images', 'names': dict(enumerate(annotations.labels))}
    yield 'data.yaml', yaml.safe_dump(data, allow_unicode=True, sort_keys=False).encode()
    numbers = {label: index for index, label in enumerate(annotations.labels)}
    for image, name in assign_file_names(annotations.images, '.txt'):
        yield f'labels/{name}', _make_label_file(image, numbers).encode()


def _make_label_file(image: AnnotatedImage, numbers: dict[str, int]) -> str:
    width, height = image.size.width, image.size.height
    lines = []
    for box in image.boxes:
        shares = (
            (box.x0 + box.x1) / 2 / width,
            (box.y0 + box.y1) / 2 / height,
            (box.x1 - box.x0) / width,
            (box.y1 - box.y0) / height,
        )
        lines.append(f'{numbers[box.label]} {" ".join(format_number(share) for share in shares)}\n')
    return ''.join(lines)
