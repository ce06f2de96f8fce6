"""A photo to the network's square: our way against a full decode by Pillow, CPU time, alternately."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from statistics import median

from PIL import Image

from tests.benchmarks import _sealed
from transfer.data.decode import decode

SIDE = 224
ROUNDS = 5


def by_pillow(data: bytes) -> None:
    Image.open(io.BytesIO(data)).convert('RGB').resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def cpu_seconds(action: Callable[[bytes], object], photos: list[bytes]) -> float:
    started = time.process_time()
    for photo in photos:
        action(photo)
    return (time.process_time() - started) / len(photos)


def main() -> None:
    print('| photos | MB each | Pillow, all pixels (ms) | ours (ms) | ratio |')
    print('| --- | --- | --- | --- | --- |')
    for name, photos in (('12 megapixels', _sealed.phone_photos(4)), ('640 x 480', _sealed.photos(40))):
        pairs = [
            (cpu_seconds(by_pillow, photos), cpu_seconds(lambda data: decode(data, SIDE), photos))
            for _ in range(ROUNDS)
        ]
        theirs, ours = (median(column) for column in zip(*pairs, strict=True))
        size = sum(map(len, photos)) / len(photos) / 1e6
        print(
            f'| {name} | {size:.2f} | {1000 * theirs:.1f} | {1000 * ours:.1f} | {theirs / ours:.1f} x |',
            flush=True,
        )


if __name__ == '__main__':
    main()
