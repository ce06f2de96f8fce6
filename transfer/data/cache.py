"""The pixel cache: images decoded once into one contiguous uint8 array on disk, mapped into memory by a
training."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transfer.data.decode import decode
from transfer.data.manifests import Manifest
from transfer.runtime.atomic_write import replace_file

LIMIT = 8 * 2**30  # bytes of decoded pixels kept for later trainings; what was used longest ago goes first


@dataclass(frozen=True)
class Pixels:
    """The images of a manifest as a network of that side sees them."""

    array: np.ndarray  # uint8 (n, side, side, 3), mapped from disk; changes stay in memory
    digests: tuple[str, ...]  # of the images, in the same order
    side: int
    policy: str = 'squash'

    def rows(self, chosen: np.ndarray) -> Pixels:
        """Some of them, int (k,), in memory."""
        return Pixels(
            np.asarray(self.array)[chosen], tuple(self.digests[row] for row in chosen), self.side, self.policy
        )


def open_pixels(
    manifest: Manifest,
    side: int,
    folder: Path,
    on_progress: Callable[[float], None],
    policy: str = 'squash',
    threads: int | None = None,
) -> Pixels:
    """The manifest's images in its order, decoded now unless an earlier training did so with the same images.

    `on_progress` is called with the share that is done. Raises UnreadableImageError naming the file.
    """
    digests = tuple(image.digest for image in manifest.images)
    path = folder / f'{_key(digests, side, policy)}.npy'
    if not path.exists():
        _make_room(folder, len(digests) * side * side * 3)
        _decode_all(manifest, side, policy, path, on_progress, threads or min(8, os.cpu_count() or 1))
    os.utime(path)
    return Pixels(np.load(path, mmap_mode='c'), digests, side, policy)


def _key(digests: tuple[str, ...], side: int, policy: str) -> str:
    return hashlib.sha256('\n'.join([*digests, policy, str(side)]).encode()).hexdigest()[:40]


def _decode_all(
    manifest: Manifest, side: int, policy: str, path: Path, on_progress: Callable[[float], None], threads: int
) -> None:
    """The decoders release the GIL, so threads use every core."""
    count = len(manifest.images)
    with replace_file(path) as aside:
        array = np.lib.format.open_memmap(aside, 'w+', np.uint8, (count, side, side, 3))

        def fill(index: int) -> None:
            array[index] = decode(manifest.images[index].path, side, policy)

        with ThreadPoolExecutor(threads) as pool:
            for start in range(0, count, 64):  # in parts, so that cancelling need not wait for all of them
                list(pool.map(fill, range(start, min(start + 64, count))))
                on_progress(min(start + 64, count) / count)
        array.flush()


def _make_room(folder: Path, needed: int) -> None:
    files = sorted(folder.glob('*.npy'), key=lambda file: file.stat().st_mtime)
    held = sum(file.stat().st_size for file in files)
    for file in files:
        if held + needed <= LIMIT:
            break
        held -= file.stat().st_size
        file.unlink(missing_ok=True)  # a training that has it mapped keeps it until it ends
