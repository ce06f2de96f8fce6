"""One JSON form for the records that travel: frozen dataclasses, their fields by name. Standard library only.

`from_json` reads what `to_json` wrote, also what an earlier version wrote: a field may name its earlier keys.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from transfer.spec.errors import InvalidRecordError

Record = TypeVar('Record')

# Marks a field that is left out of the JSON where it is None.
OPTIONAL = {'optional': True}
# Marks a part that is {} in the JSON where it is None: it was not measured.
PART = {'part': True}


def renamed_from(*keys: str) -> dict[str, object]:
    """The metadata of a field that earlier versions wrote under one of these keys."""
    return {'earlier': keys}


def to_json(value: Any) -> Any:
    """A record as plain JSON types, its fields by name; see OPTIONAL and PART for those that are None."""
    if dataclasses.is_dataclass(value):
        return {
            each.name: {} if held is None and 'part' in each.metadata else to_json(held)
            for each in dataclasses.fields(value)
            if (held := getattr(value, each.name)) is not None or 'optional' not in each.metadata
        }
    if isinstance(value, Mapping):
        return {name: to_json(held) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(held) for held in value]
    return value


def from_json(record: type[Record], values: object, where: str = '') -> Record:
    """Read a record that `to_json` wrote. What is missing takes its default; what is unknown is ignored.

    `where`: what to call the values in an error. InvalidRecordError, naming the field, where one without a
    default is missing or a value has the wrong type.
    """
    if not isinstance(values, Mapping):
        raise InvalidRecordError(f'{where or record.__name__} must be an object, not {values!r:.80}')
    hints, read = typing.get_type_hints(record), {}
    for field in dataclasses.fields(record):  # type: ignore[arg-type]  # a dataclass
        path = f'{where}.{field.name}' if where else field.name
        key = next((key for key in (field.name, *field.metadata.get('earlier', ())) if key in values), None)
        if key is not None:
            is_empty = 'part' in field.metadata and values[key] == {}
            read[field.name] = None if is_empty else _convert(hints[field.name], values[key], path)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise InvalidRecordError(f'{path} is missing')
    return record(**read)


def _convert(hint: Any, value: object, where: str) -> Any:
    if hint is object:
        return value
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else _convert(arguments[0], value, where)
    if dataclasses.is_dataclass(hint):
        return from_json(typing.cast('type[Any]', hint), value, where)
    if origin is tuple and isinstance(value, list | tuple):
        return _convert_items(arguments, value, where)
    if origin is list and isinstance(value, list):
        return [_convert(arguments[0], item, f'{where}[{index}]') for index, item in enumerate(value)]
    if origin in (dict, Mapping) and isinstance(value, Mapping):
        return {str(key): _convert(arguments[1], item, f'{where}.{key}') for key, item in value.items()}
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float and is_number:
        return float(typing.cast('float', value))
    if (hint is int and isinstance(value, int) and is_number) or (
        hint in (bool, str) and isinstance(value, hint)
    ):
        return value
    raise InvalidRecordError(f'{where} must be {getattr(hint, "__name__", hint)}, not {value!r:.80}')


def _convert_items(hints: tuple[Any, ...], values: Sequence[object], where: str) -> tuple[Any, ...]:
    """The items of a tuple: of any number (`tuple[int, ...]`) or each of its own type."""
    if hints[-1] is Ellipsis:
        hints = (hints[0],) * len(values)
    if len(hints) != len(values):
        raise InvalidRecordError(f'{where} must have {len(hints)} values, not {len(values)}')
    return tuple(
        _convert(hint, item, f'{where}[{index}]')
        for index, (hint, item) in enumerate(zip(hints, values, strict=True))
    )
