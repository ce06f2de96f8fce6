"""A table, one row a box: image, label, x0, y0, x1, y1, difficult. An image without boxes has one row with
empty cells.

A spreadsheet evaluates cells that begin like a formula, so such a text gets an apostrophe in front, which
reading removes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping

from recognition.datasets.formats.records import (
    AnnotationCollector,
    Annotations,
    ImageSize,
    decode_text,
    format_number,
    parse_number,
)
from recognition.errors import InvalidInputError

COLUMNS = ('image', 'label', 'x0', 'y0', 'x1', 'y1', 'difficult')
# The apostrophe too, so that reading the file again is exact.
FORMULA_PREFIXES = (
    '=',
    '+',
    '-',
    '@',
    '\t',
    '\r',
    '\n',
    "'",
)


def read(data: bytes, uploaded: Mapping[str, ImageSize], where: str = 'the table') -> Annotations:
    """Error: InvalidInputError unless the first row names the columns; problems of single rows are listed in
    the result.
    """
    rows = csv.DictReader(io.StringIO(decode_text(data, where), newline=''))
    collector = AnnotationCollector(uploaded)
    try:
        if not set(COLUMNS[:6]) <= set(rows.fieldnames or ()):
            raise InvalidInputError(
                f'{where} must begin with a row that names its columns: {", ".join(COLUMNS)}'
            )
        for row in rows:
            image = collector.image(unescape_formula(row['image'] or ''))
            if image is None or not any(row[column] for column in COLUMNS[1:6]):
                continue
            x0, y0, x1, y1 = (parse_number(row[column]) for column in COLUMNS[2:6])
            collector.box(
                image, unescape_formula(row['label'] or ''), (x0, y0, x1, y1), row.get('difficult') == '1'
            )
    except csv.Error as error:
        raise InvalidInputError(f'{where} is not a table of comma-separated values: {error}') from error
    return collector.finish()


def write(annotations: Annotations) -> Iterator[tuple[str, bytes]]:
    """(annotations.csv, bytes), every cell quoted."""
    text = io.StringIO(newline='')
    table = csv.writer(text, quoting=csv.QUOTE_ALL)
    table.writerow(COLUMNS)
    for image in annotations.images:
        for box in image.boxes:
            corners = [format_number(corner) for corner in (box.x0, box.y0, box.x1, box.y1)]
            table.writerow(
                [escape_formula(image.name), escape_formula(box.label), *corners, int(box.difficult)]
            )
        if not image.boxes:
            table.writerow([escape_formula(image.name), *[''] * 6])
    yield 'annotations.csv', text.getvalue().encode()


def escape_formula(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA_PREFIXES) else text


def unescape_formula(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA_PREFIXES) else text
