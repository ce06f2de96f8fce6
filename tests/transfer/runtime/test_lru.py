"""A cache bounded by bytes."""

from __future__ import annotations

import pytest

from transfer.runtime.lru import LruCache


def test_the_least_recently_used_value_leaves_first():
    cache: LruCache[str, bytes] = LruCache(6, len)
    for key in 'abc':
        cache.put(key, b'12')
    assert cache.get('a') == b'12'
    cache.put('d', b'12')
    assert [key in cache for key in 'abcd'] == [True, False, True, True]
    assert (len(cache), cache.size) == (3, 6)


def test_a_value_larger_than_the_limit_is_held_alone():
    cache: LruCache[str, bytes] = LruCache(3, len)
    cache.put('a', b'1')
    cache.put('b', b'12345')
    assert (cache.get('a'), cache.get('b'), cache.size) == (None, b'12345', 5)


def test_a_value_is_made_once_and_again_after_clearing():
    cache: LruCache[str, bytes] = LruCache(9, len)
    assert cache.get_or_make('a', lambda: b'1') == b'1'
    assert cache.get_or_make('a', lambda: pytest.fail('it is held')) == b'1'
    cache.clear()
    assert (cache.size, cache.get_or_make('a', lambda: b'22')) == (0, b'22')


def test_a_value_put_twice_counts_once():
    cache: LruCache[str, bytes] = LruCache(9, len)
    cache.put('a', b'123')
    cache.put('a', b'12')
    assert (cache.size, cache.get('a')) == (2, b'12')
