"""A cache bounded by bytes: the least recently used values leave first.

Not locked: one thread, or the caller's lock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar('Key', bound=Hashable)
Value = TypeVar('Value')


class LruCache(Generic[Key, Value]):
    """Values by key. One value larger than the limit is held alone, so the newest is always there."""

    def __init__(self, limit: int, size_of: Callable[[Value], int]) -> None:
        """`limit`: bytes. `size_of`: bytes of a value, asked once for each."""
        self._limit, self._size_of = limit, size_of
        self._values: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self.size = 0  # bytes held

    def get(self, key: Key) -> Value | None:
        """The value, which counts as just used; None when it is not held."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key][0]

    def get_or_make(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value held, or one made now and held from now on."""
        value = self.get(key)
        if value is None:
            value = make()
            self.put(key, value)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Hold a value; others leave while all of them together are larger than the limit."""
        if key in self._values:
            self.size -= self._values.pop(key)[1]
        self._values[key] = value, self._size_of(value)
        self.size += self._values[key][1]
        while self.size > self._limit and len(self._values) > 1:
            self.size -= self._values.popitem(last=False)[1][1]

    def clear(self) -> None:
        self._values.clear()
        self.size = 0

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)
