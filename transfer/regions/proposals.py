"""Region proposals: where on an image something may be, whatever it is.

One name for each way; cached by the image's digest.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from transfer.data.decode import decode_image
from transfer.data.manifests import BoxedImage
from transfer.regions.boxes import iou
from transfer.regions.selective_search import presets
from transfer.regions.selective_search.search import search
from transfer.regions.selective_search.setting import FAST
from transfer.runtime.atomic_write import replace_file
from transfer.spec.report import Recall

LIMIT = 2000  # boxes an image, as R-CNN and Fast R-CNN use (about 2,000 and the top 2,000)
VERSION = 1  # of the boxes in the cache: raised when any way gives others for the same image
# Proposals are made on images 500 pixels wide; decoding a JPEG to fewer would blur what is segmented.
LEAST = FAST.width

METHODS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    'selective-search': search,
    'opencv-girshick': presets.opencv_girshick,
    'opencv-single': presets.opencv_single,
    'opencv-fast': presets.opencv_fast,
    'opencv-quality': presets.opencv_quality,
}


def propose(pixels: np.ndarray, method: str = 'selective-search', limit: int = LIMIT) -> np.ndarray:
    """(n, 4) float32 boxes in pixels of `pixels` (h, w, 3) uint8 RGB, most promising first, at most `limit`
    (0: all).
    """
    boxes = METHODS[method](pixels)
    return boxes[:limit] if limit else boxes


def propose_for_photo(
    data: bytes | str | Path, method: str = 'selective-search', limit: int = LIMIT
) -> np.ndarray:
    """The same from an encoded photo.

    Boxes in pixels of the photo itself, though a big one is decoded reduced.
    """
    photo = decode_image(data, LEAST)
    height, width, _ = photo.pixels.shape
    back = np.array([photo.width / width, photo.height / height] * 2, np.float32)
    return propose(photo.pixels, method, limit) * back


def propose_all(
    images: Sequence[BoxedImage],
    cache: Path,
    method: str = 'selective-search',
    limit: int = LIMIT,
    threads: int = 0,
    done: Callable[[int], None] = lambda count: None,
) -> list[np.ndarray]:
    """Proposals of every image, in order. Each is computed once and kept under its digest in `cache`.

    Searching leaves Python's lock alone, so threads share the cores (0: as many as there are). `done` hears
    how many are ready; what it raises (JobCancelledError) stops the rest.
    """
    folder = cache / 'proposals' / _cache_key(method, limit)
    pool = ThreadPoolExecutor(threads or os.cpu_count() or 1)
    try:
        waiting = [pool.submit(_propose_cached, image, folder, method, limit) for image in images]
        found = []
        for future in waiting:
            found.append(future.result())
            done(len(found))
        return found
    finally:
        pool.shutdown(cancel_futures=True)


def measure_recall(truths: Sequence[np.ndarray], proposals: Sequence[np.ndarray]) -> Recall:
    """How much of the truth, (m, 4) boxes an image, the proposals cover."""
    best = [
        iou(truth, boxes).max(1, initial=0.0)
        for truth, boxes in zip(truths, proposals, strict=True)
        if len(truth)
    ]
    covers = np.concatenate(best) if best else np.zeros(0)
    mean = float(np.mean([len(boxes) for boxes in proposals])) if proposals else 0.0
    if not len(covers):
        return Recall(0, 0.0, 0.0, mean)
    return Recall(len(covers), float((covers >= 0.5).mean()), float((covers >= 0.7).mean()), mean)


def _propose_cached(image: BoxedImage, folder: Path, method: str, limit: int) -> np.ndarray:
    path = folder / f'{image.digest}.npy'
    if (known := _read_cached(path)) is not None:
        return known
    boxes = propose_for_photo(image.path, method, limit)
    with replace_file(path) as aside, aside.open('wb') as file:
        np.save(file, boxes, allow_pickle=False)
    return boxes


def _read_cached(path: Path) -> np.ndarray | None:
    """What the cache holds; None when it holds nothing whole."""
    try:
        boxes = np.load(path, allow_pickle=False)
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return boxes if boxes.ndim == 2 and boxes.shape[1] == 4 and np.isfinite(boxes).all() else None


def _cache_key(method: str, limit: int) -> str:
    wanted = repr((VERSION, method, limit, dataclasses.astuple(FAST)))
    return hashlib.sha256(wanted.encode()).hexdigest()[:16]
