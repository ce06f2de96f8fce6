"""Region proposals: our selective search beside OpenCV's, in time and in how many true boxes each covers.

Real photos of the development sets, alternately, processor time. Arguments: none; ../shared/data/detection
must be there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from recognition.datasets.formats import voc
from recognition.datasets.formats.records import ImageSize
from transfer.regions.boxes import iou
from transfer.regions.selective_search import presets
from transfer.regions.selective_search.search import search

DATA = Path(__file__).resolve().parents[3] / 'shared' / 'data' / 'detection'
PER_SET = 20
WAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    'ours': search,
    'OpenCV, the same setting': presets.opencv_girshick,
    'OpenCV, its own fast': presets.opencv_fast,
}


def annotated(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pixels and true boxes of some photos of a set, evenly spread."""
    uploaded = {
        path.name: ImageSize(*Picture.open(path).size) for path in sorted((folder / 'images').iterdir())
    }
    known = voc.read(
        ((path.name, path.read_bytes()) for path in sorted((folder / 'annotations').iterdir())), uploaded
    )
    chosen = known.images[:: max(1, len(known.images) // PER_SET)][:PER_SET]
    return [
        (
            np.array(Picture.open(folder / 'images' / image.name).convert('RGB')),
            np.array([(box.x0, box.y0, box.x1, box.y1) for box in image.boxes]).reshape(-1, 4),
        )
        for image in chosen
    ]


def main() -> None:
    if not DATA.is_dir():
        print(f'needs the development images in {DATA}')
        return
    search(np.zeros((64, 64, 3), np.uint8))  # compiles
    print('| set | way | boxes an image | s an image (cpu) | ratio | recall at 0.5 | at 0.7 |')
    print('| --- | --- | --- | --- | --- | --- | --- |')
    for folder in sorted(path for path in DATA.iterdir() if path.is_dir()):
        seconds, counts = dict.fromkeys(WAYS, 0.0), dict.fromkeys(WAYS, 0)
        covers: dict[str, list[np.ndarray]] = {name: [] for name in WAYS}
        photos = annotated(folder)
        for pixels, truth in photos:
            for name, way in WAYS.items():
                started = time.process_time()
                boxes = way(pixels)
                seconds[name] += time.process_time() - started
                counts[name] += len(boxes)
                covers[name].append(iou(truth, boxes[:2000]).max(1, initial=0.0))
        for name in WAYS:
            best, n = np.concatenate(covers[name]), len(photos)
            print(
                f'| {folder.name} | {name} | {counts[name] / n:.0f} | {seconds[name] / n:.3f} | '
                f'{seconds["ours"] / seconds[name]:.2f} | {(best >= 0.5).mean():.3f} | '
                f'{(best >= 0.7).mean():.3f} |',
                flush=True,
            )


if __name__ == '__main__':
    main()
