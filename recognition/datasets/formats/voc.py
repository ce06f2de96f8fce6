"""Pascal VOC: one XML file an image. Its pixels count from one and xmax, ymax are the last ones inside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from xml.etree.ElementTree import Element, ParseError, SubElement, indent, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from recognition.datasets.formats.records import (
    AnnotatedImage,
    AnnotationCollector,
    Annotations,
    ImageSize,
    assign_file_names,
    check_size,
    format_number,
    parse_number,
)
from recognition.errors import InvalidInputError
from recognition.naming import make_printable

SIDES = ('xmin', 'ymin', 'xmax', 'ymax')


def read(files: Iterable[tuple[str, bytes]], uploaded: Mapping[str, ImageSize]) -> Annotations:
    """XML files (name, bytes). A file that is not an annotation is rejected; the others are read."""
    collector = AnnotationCollector(uploaded)
    for name, data in files:
        try:
            _read_annotation(name, parse(data, name), collector)
        except InvalidInputError as error:
            collector.reject(name, error.message)
    return collector.finish()


def parse(data: bytes, where: str) -> Element:
    """The root of an annotation; InvalidInputError for anything but plain XML: no document type, no
    entities."""
    try:
        root = fromstring(
            check_size(data, where), forbid_dtd=True, forbid_entities=True, forbid_external=True
        )
    except DefusedXmlException as error:
        raise InvalidInputError(
            f'{make_printable(where, 200)} declares a document type or entities, which are not read'
        ) from error
    except (ParseError, ValueError, LookupError) as error:  # LookupError: an unknown encoding
        raise InvalidInputError(f'{make_printable(where, 200)} is not XML') from error
    if root.tag != 'annotation':
        raise InvalidInputError(f'{make_printable(where, 200)} is not a Pascal VOC annotation')
    return root


def _read_annotation(where: str, root: Element, collector: AnnotationCollector) -> None:
    own = PurePosixPath(where.replace('\\', '/')).stem
    name = root.findtext('filename') or own
    if len(collector.find(own)) == 1 and not collector.find(PurePosixPath(name).name):
        name = own  # the photo and its annotation file were renamed, the name in the file was not
    width, height = (_read_declared_size(root, side) for side in ('width', 'height'))
    image = collector.image(name, width, height, where=where)
    if image is None:
        return
    for thing in root.findall('object'):
        corners = [parse_number(thing.findtext(f'bndbox/{side}')) for side in SIDES]
        difficult = (thing.findtext('difficult') or '').strip() == '1'
        collector.box(
            image,
            thing.findtext('name') or '',
            (corners[0] - 1, corners[1] - 1, corners[2], corners[3]),
            difficult,
        )


def _read_declared_size(root: Element, side: str) -> float:
    size = parse_number(root.findtext(f'size/{side}'))
    # Some programs write 0 or nothing for a size that they do not know.
    return size if size > 0 else 0


def write(annotations: Annotations) -> Iterator[tuple[str, bytes]]:
    """(Annotations/NAME.xml, bytes) for each image."""
    for image, name in assign_file_names(annotations.images, '.xml'):
        yield f'Annotations/{name}', _make_xml(image)


def _make_xml(image: AnnotatedImage) -> bytes:
    root = Element('annotation')
    SubElement(root, 'filename').text = image.name
    size = SubElement(root, 'size')
    for tag, value in (('width', image.size.width), ('height', image.size.height), ('depth', 3)):
        SubElement(size, tag).text = str(value)
    SubElement(root, 'segmented').text = '0'
    for box in image.boxes:
        thing = SubElement(root, 'object')
        for tag, text in (
            ('name', box.label),
            ('pose', 'Unspecified'),
            ('truncated', '0'),
            ('difficult', str(int(box.difficult))),
        ):
            SubElement(thing, tag).text = text
        frame = SubElement(thing, 'bndbox')
        for side, corner in zip(SIDES, (box.x0 + 1, box.y0 + 1, box.x1, box.y1), strict=True):
            SubElement(frame, side).text = format_number(corner)
    indent(root)
    return tostring(root, encoding='utf-8', xml_declaration=True)
