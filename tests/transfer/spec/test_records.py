"""A record is read back from its JSON; what does not fit is refused by the name of its field."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from transfer.spec.errors import InvalidRecordError
from transfer.spec.records import OPTIONAL, PART, from_json, renamed_from, to_json


@dataclass(frozen=True)
class Corner:
    x: float
    y: float


@dataclass(frozen=True)
class Shape:
    name: str = field(metadata=renamed_from('title', 'label'))
    corners: tuple[Corner, ...]
    size: tuple[int, int]
    closed: bool = True
    centre: Corner | None = field(default=None, metadata=PART)
    note: str | None = field(default=None, metadata=OPTIONAL)
    weights: dict[str, float] = field(default_factory=dict)


SHAPE = Shape('square', (Corner(0.0, 1.0),), (3, 4), False, Corner(1.0, 1.0), 'a note', {'one': 1.0})
VALUES = {'name': 'line', 'corners': [{'x': 0, 'y': 1}], 'size': [3, 4]}


def test_a_record_is_read_as_it_was_written():
    assert from_json(Shape, to_json(SHAPE)) == SHAPE
    bare = Shape('line', (), (3, 4))
    assert to_json(bare)['centre'] == {} and 'note' not in to_json(bare)
    assert from_json(Shape, to_json(bare)) == bare


def test_missing_fields_take_their_defaults_and_unknown_ones_are_ignored():
    assert from_json(Shape, VALUES | {'colour': 'red'}) == Shape('line', (Corner(0.0, 1.0),), (3, 4))


@pytest.mark.parametrize('key', ['title', 'label'])
def test_a_field_is_read_under_its_earlier_names(key):
    values = {key if name == 'name' else name: value for name, value in VALUES.items()}
    assert from_json(Shape, values).name == 'line'
    assert from_json(Shape, values | {'name': 'the new name wins'}).name == 'the new name wins'


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        ({'name': 3}, 'name must be str, not 3'),
        ({'closed': 1}, 'closed must be bool, not 1'),
        ({'size': [3, 4.5]}, r'size\[1\] must be int, not 4.5'),
        ({'size': [3]}, 'size must have 2 values, not 1'),
        ({'size': [True, 4]}, r'size\[0\] must be int, not True'),
        ({'corners': [{'x': 1}]}, r'corners\[0\].y is missing'),
        ({'corners': {}}, 'corners must be'),
        ({'corners': [7]}, r'corners\[0\] must be an object, not 7'),
        ({'weights': {'one': None}}, 'weights.one must be float, not None'),
    ],
)
def test_what_does_not_fit_is_refused_by_the_name_of_its_field(change, sentence):
    with pytest.raises(InvalidRecordError, match=sentence):
        from_json(Shape, VALUES | change)


def test_a_missing_field_without_default_is_named():
    with pytest.raises(InvalidRecordError, match=r'in the row\.corners is missing'):
        from_json(Shape, {'name': 'line'}, 'in the row')
    with pytest.raises(InvalidRecordError, match='Shape must be an object'):
        from_json(Shape, ['line'])
