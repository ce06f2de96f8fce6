"""Near-duplicates: which copies are found, which other photos are taken for copies, and what that does to the
accuracy that a report states.

    python -m tests.benchmarks.near_duplicates [--sets a,b] [--seeds 0,1,2] [--part search|accuracy|time]

search: 40 photos of each development set get one copy of each kind, and the set is searched; recall is the
share of copies that share a group with their original. Beside it, what is found among the set's own photos.
accuracy: 80 photos, and none, one or two copies of each: the out-of-fold accuracy of an instant model
(transfer.pipeline.train) and its accuracy on all other photos of the set, with groups by digest alone and
with near-duplicates.
time: the search among 5,000 photos of all sets.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from PIL import Image as Picture
from PIL import ImageEnhance

from tests.benchmarks.accuracy import Silent, judge_served
from tests.support.photos import SHARED
from transfer.data import near_duplicates
from transfer.data.decode import decode
from transfer.data.manifests import LabelledImage, Manifest
from transfer.data.near_duplicates import find_near_duplicates
from transfer.pipeline import train
from transfer.spec.train_spec import SourceModelSpec, TrainSpec
from transfer.zoo.fetch import package

PICKED, SIDE, PHOTOS = 40, 224, 80
MANY = 5_000

Photo = Picture.Image
Change = Callable[[Photo, np.random.Generator], Photo]


def again(photo: Photo, rng: np.random.Generator, low: int = 60, high: int = 90) -> Photo:
    buffer = io.BytesIO()
    photo.save(buffer, 'JPEG', quality=int(rng.integers(low, high + 1)))
    return Picture.open(io.BytesIO(buffer.getvalue())).convert('RGB')


def crop(photo: Photo, rng: np.random.Generator, low: float, high: float) -> Photo:
    """Without `low` to `high` of its width and of its height."""
    left, top, right_, bottom = rng.uniform(low / 2, high / 2, 4) * (photo.size * 2)
    return photo.crop((round(left), round(top), round(photo.width - right_), round(photo.height - bottom)))


def light(photo: Photo, rng: np.random.Generator, by: float) -> Photo:
    photo = ImageEnhance.Brightness(photo).enhance(rng.uniform(1 - by, 1 + by))
    return ImageEnhance.Contrast(photo).enhance(rng.uniform(1 - by, 1 + by))


def speckle(photo: Photo, rng: np.random.Generator, deviation: float) -> Photo:
    pixels = np.asarray(photo) + rng.normal(0, deviation, (*photo.size[::-1], 3))
    return Picture.fromarray(pixels.clip(0, 255).astype(np.uint8))


def shrink(photo: Photo, rng: np.random.Generator) -> Photo:
    factor = rng.uniform(0.5, 0.9)
    return photo.resize((max(8, round(photo.width * factor)), max(8, round(photo.height * factor))))


def turn(photo: Photo, rng: np.random.Generator) -> Photo:
    return photo.rotate(rng.uniform(-10, 10), Picture.Resampling.BICUBIC)


def flip(photo: Photo) -> Photo:
    return photo.transpose(Picture.Transpose.FLIP_LEFT_RIGHT)


def augment(photo: Photo, rng: np.random.Generator) -> Photo:
    """As an augmented export: flip, crop up to a fifth, rotation, brightness, noise."""
    photo = crop(flip(photo) if rng.random() < 0.5 else photo, rng, 0, 0.2)
    return again(speckle(light(turn(photo, rng), rng, 0.2), rng, 6), rng)


KINDS: dict[str, Change] = {
    'saved again': again,
    'cropped 3 %': lambda photo, rng: again(crop(photo, rng, 0.03, 0.06), rng),
    'cropped 10 %': lambda photo, rng: again(crop(photo, rng, 0.1, 0.2), rng),
    'smaller': lambda photo, rng: again(shrink(photo, rng), rng),
    'mirrored': lambda photo, rng: again(flip(photo), rng),
    'turned': lambda photo, rng: again(turn(photo, rng), rng),
    'brightness': lambda photo, rng: again(light(photo, rng, 0.25), rng),
    'noise': lambda photo, rng: again(speckle(photo, rng, 12), rng),
    'sent by phone': lambda photo, rng: again(
        light(crop(shrink(photo, rng), rng, 0.02, 0.1), rng, 0.08), rng
    ),
    'augmented': augment,
}


def files(name: str) -> list[tuple[Path, int]]:
    folders = sorted(path for path in (SHARED / 'classification' / name).iterdir() if path.is_dir())
    return [(path, label) for label, folder in enumerate(folders) for path in sorted(folder.iterdir())]


def set_names() -> list[str]:
    return sorted(path.name for path in (SHARED / 'classification').iterdir() if path.is_dir())


def pixels(photo: Photo) -> np.ndarray:
    buffer = io.BytesIO()
    photo.save(buffer, 'PNG')
    return decode(buffer.getvalue(), SIDE)


def search(name: str) -> dict[str, float]:
    """Print a row; return the recall by kind."""
    rng = np.random.default_rng(0)
    rows = files(name)
    array = np.stack([decode(str(path), SIDE) for path, _ in rows])
    digests = [f'{row:05d}' for row in range(len(rows) + PICKED)]
    found = find_near_duplicates(array, digests[: len(rows)])
    sizes = Counter(found.groups).values()
    mixed = sum(rows[pair.first][1] != rows[pair.second][1] for pair in found.pairs)
    picked = rng.permutation(len(rows))[:PICKED]
    recall = {}
    for kind, change in KINDS.items():
        copies = [pixels(change(Picture.open(rows[row][0]).convert('RGB'), rng)) for row in picked]
        groups = np.array(find_near_duplicates(np.concatenate([array, copies]), digests).groups)
        recall[kind] = float((groups[picked] == groups[len(rows) :]).mean())
    own = f'{len(rows)} | {sum(size for size in sizes if size > 1)} | {max(sizes)} | {mixed}'
    print(f'| {name} | {own} | {" | ".join(f"{share:.0%}" for share in recall.values())} |', flush=True)
    return recall


def write_copies(rows: Sequence[tuple[Path, int]], copies: int, change: Change, folder: Path) -> Manifest:
    """80 photos, each with so many copies."""
    rng = np.random.default_rng(1)
    images = []
    for number, (path, label) in enumerate(rows):
        whole = Picture.open(path).convert('RGB')
        for copy in range(copies + 1):
            to = folder / f'{number}-{copy}.png'
            (whole if not copy else change(whole, rng)).save(to)
            digest = hashlib.sha256(to.read_bytes()).hexdigest()
            images.append(LabelledImage(str(to), label, digest, to.name))
    return Manifest(tuple(str(label) for label in range(1 + max(label for _, label in rows))), tuple(images))


def compare_accuracy(
    name: str, seed: int, copies: int, change: Change, source: SourceModelSpec
) -> tuple[float, float, float]:
    """(stated with groups by digest, stated with near-duplicates, held-out accuracy)."""
    rng = np.random.default_rng(seed)
    rows = files(name)
    turns = {
        label: iter(rng.permutation([row for row, (_, own) in enumerate(rows) if own == label]))
        for label in sorted({label for _, label in rows})
    }
    each = -(-PHOTOS // len(turns))
    chosen = [int(next(turns[label])) for _ in range(each) for label in turns][:PHOTOS]
    rest = [
        LabelledImage(str(path), label, '', '') for row, (path, label) in enumerate(rows) if row not in chosen
    ]
    spec = TrainSpec(sources=(source,), reference=source, source=source.name, seed=seed, instant_only=True)
    stated = []
    for most in (0, near_duplicates.MOST_IMAGES):  # 0: as if there were too many to be searched
        near_duplicates.MOST_IMAGES, before = most, near_duplicates.MOST_IMAGES
        with tempfile.TemporaryDirectory() as folder:
            manifest = write_copies([rows[row] for row in chosen], copies, change, Path(folder))
            sealed = train(manifest, spec, Path(folder) / 'work', Silent(), Path(folder) / 'cache')
            held = judge_served(Path(sealed.folder), Manifest(manifest.labels, tuple(rest)))
            stated.append(sealed.report.accuracy)
        near_duplicates.MOST_IMAGES = before
    return stated[0], stated[1], held


def measure_time() -> None:
    paths = [path for name in set_names() for path, _ in files(name)]
    chosen = np.random.default_rng(0).permutation(len(paths))[:MANY]
    array = np.stack([decode(str(paths[row]), SIDE) for row in chosen])
    started = time.perf_counter(), time.process_time()
    find_near_duplicates(array, [f'{row:05d}' for row in range(len(array))])
    wall, cpu = time.perf_counter() - started[0], time.process_time() - started[1]
    print(f'{len(array)} photos: {wall:.1f} s, {cpu:.1f} s of a core ({torch.get_num_threads()} threads)')


def measure_accuracy(names: Sequence[str], seeds: Sequence[int]) -> None:
    print('| set | copies | kind | stated, by digest | stated, near-duplicates | held out |')
    print('| --- | --- | --- | --- | --- | --- |')
    with tempfile.TemporaryDirectory() as folder:
        source = package.unpack(package.REFERENCE, Path(folder))
        for name in names:
            for copies, kind in (
                (0, 'saved again'),
                (1, 'cropped 3 %'),
                (2, 'cropped 3 %'),
                (3, 'augmented'),
            ):
                cells = [compare_accuracy(name, seed, copies, KINDS[kind], source) for seed in seeds]
                shares = ' | '.join(f'{mean(column):.1%}' for column in zip(*cells, strict=True))
                print(f'| {name} | {copies} | {kind if copies else ""} | {shares} |', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--sets', default=','.join(set_names()))
    parser.add_argument('--seeds', default='0,1,2')
    parser.add_argument('--part', choices=('search', 'accuracy', 'time'))
    options = parser.parse_args()
    names = options.sets.split(',')
    if options.part in (None, 'search'):
        print(f'| set | photos | grouped | largest | of two classes | {" | ".join(KINDS)} |')
        print(f'| --- |{" --- |" * (4 + len(KINDS))}')
        shares = [search(name) for name in names]
        print(
            '| mean | | | | |', ' | '.join(f'{mean(row[kind] for row in shares):.0%}' for kind in KINDS), '|'
        )
    if options.part in (None, 'accuracy'):
        measure_accuracy(names, [int(seed) for seed in options.seeds.split(',')])
    if options.part in (None, 'time'):
        measure_time()


if __name__ == '__main__':
    main()
