"""How the pixel loops are compiled.

Once, kept on disk for the next process, and without Python's lock while they run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compile_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as machine code, made on its first call.

    All of the search takes 20 s then, and 1 s from the disk in later processes.
    """
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder that it may write to: it compiles in every process then
        return njit(nogil=True)(function)
