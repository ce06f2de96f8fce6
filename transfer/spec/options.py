"""A typed option with its limits, and the reading of frozen dataclasses of options from JSON. Standard
library only."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any, Literal

from transfer.spec.errors import InvalidSpecError

Kind = Literal[
    'integer', 'number', 'boolean', 'choice', 'text', 'integers', 'numbers', 'numbers by name', 'object'
]
KINDS: dict[Any, Kind] = {
    bool: 'boolean',
    int: 'integer',
    float: 'number',
    str: 'text',
    tuple[int, ...]: 'integers',
    tuple[float, ...]: 'numbers',
    dict[str, float]: 'numbers by name',
}


@dataclass(frozen=True)
class Option:
    """One option: what OpenAPI, a form and `read_spec` need to know of it."""

    name: str
    kind: Kind
    default: Any
    description: str  # one sentence, for OpenAPI and forms
    low: float | None = None  # inclusive; of each value where there are several
    high: float | None = None  # inclusive
    choices: tuple[str, ...] = ()
    unit: str = ''
    task: str = ''  # 'classification' or 'detection' where only that task uses it
    options: Mapping[str, Option] = field(default_factory=dict)  # of an 'object', by name

    @property
    def has_limits(self) -> bool:
        return self.low is not None and self.high is not None


def option(
    default: Any,
    description: str,
    low: float | None = None,
    high: float | None = None,
    *,
    choices: tuple[str, ...] = (),
    unit: str = '',
    task: str = '',
) -> Any:
    """A dataclass field that is an option; see Option.

    A default that can be changed, as a dict, is given as its type.
    """
    known = {
        'description': description,
        'low': low,
        'high': high,
        'choices': choices,
        'unit': unit,
        'task': task,
    }
    if isinstance(default, type):
        return field(default_factory=default, metadata=known)
    return field(default=default, metadata=known)


def list_options(spec: type[Any]) -> dict[str, Option]:
    """The fields of a dataclass that `option` made, by name, in the order of their definition."""
    hints = typing.get_type_hints(spec)
    return {
        each.name: Option(
            each.name,
            'choice' if each.metadata['choices'] else KINDS[hints[each.name]],
            each.default_factory() if each.default_factory is not MISSING else each.default,
            **each.metadata,
        )
        for each in dataclasses.fields(spec)
        if each.metadata
    }


def read_spec(spec: type[Any], values: object, where: str = 'spec') -> Any:
    """Build a frozen dataclass from JSON.

    InvalidSpecError, naming the field, for an unknown key, a wrong type, or a value outside its option's
    limits or choices.
    """
    if not isinstance(values, dict):
        raise InvalidSpecError(f'{where} must be an object')
    hints = typing.get_type_hints(spec)
    if unknown := sorted(set(values) - set(hints)):
        raise InvalidSpecError(f'{where} has no field {unknown[0]!r}', str(unknown[0]))
    made = spec(**{name: _convert(hints[name], value, f'{where}.{name}') for name, value in values.items()})
    for name, allowed in list_options(spec).items():
        check_option(allowed, getattr(made, name), f'{where}.{name}')
    return made


def check_option(allowed: Option, value: Any, where: str) -> None:
    """InvalidSpecError when the value, or a number in it, lies outside the limits or is none of the
    choices."""
    path = where.removeprefix('spec.')
    if allowed.choices and value not in allowed.choices:
        raise InvalidSpecError(f'{path} must be one of {", ".join(allowed.choices)}', path)
    if not allowed.has_limits:
        return
    for name, number in _numbers(value):
        if not allowed.low <= number <= allowed.high:  # type: ignore[operator]  # NaN is refused too
            raise InvalidSpecError(f'{path}{name} must be between {allowed.low:g} and {allowed.high:g}', path)


def _numbers(value: Any) -> list[tuple[str, float]]:
    if isinstance(value, Mapping):
        return [(f'.{name}', number) for name, number in value.items()]
    return [('', number) for number in value] if isinstance(value, tuple) else [('', value)]


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else _convert(arguments[0], value, where)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_convert(arguments[0], item, f'{where}[{index}]') for index, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {str(key): _convert(arguments[1], item, f'{where}.{key}') for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return read_spec(typing.cast('type[Any]', hint), value, where)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float and is_number:
        return float(value)
    if (hint is int and is_number and isinstance(value, int)) or (
        hint in (bool, str) and isinstance(value, hint)
    ):
        return value
    raise InvalidSpecError(
        f'{where} must be {getattr(hint, "__name__", hint)}, not {value!r}', where.removeprefix('spec.')
    )
