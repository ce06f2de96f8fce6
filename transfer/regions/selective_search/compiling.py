"""How the pixel loops are compiled: once, kept on disk for the next process, and without Python's lock while
they run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as machine code, made on its first call (all of the search: 20 s; 1 s from the disk
    afterwards)."""
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder that it may write to: it compiles in every process then
        return njit(nogil=True)(function)
