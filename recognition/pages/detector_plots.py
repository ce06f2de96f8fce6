"""What a detector's report shows: curves, mistakes and the worst photos, as shapes for SVG templates. No markup here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recognition.models import Image, TrainedModel
from recognition.pages.charts import SIDE
from recognition.serving import detection_jobs

HUES = 6  # colours of classes; the seventh begins again


@dataclass(frozen=True)
class ClassCurve:
    """One class's precision over recall. `points`: x,y in user units, y downwards."""

    label: str
    hue: int
    points: str
    n: int
    ap: float | None
    low: float | None
    high: float | None
    ap_all_points: float | None


@dataclass(frozen=True)
class Mistake:
    name: str
    meaning: str
    count: int
    share: float  # of the largest, percent


@dataclass(frozen=True)
class Mark:
    """One box on a photo, in its own pixels."""

    kind: str  # truth or found
    label: str
    hue: int
    x: float
    y: float
    width: float
    height: float
    score: float | None


@dataclass(frozen=True)
class Photo:
    """A photo with what is on it and what was found. `image` is None when it was deleted since."""

    image: Image | None
    name: str
    width: int
    height: int
    missed: int
    false: int
    marks: tuple[Mark, ...]


MEANINGS = {
    'right': ('Right', 'found where it is'),
    'localisation': ('Misplaced', 'the right thing, but the box fits badly or is the second on it'),
    'confusion': ('Confused', 'a thing, taken for one of another class'),
    'background': ('Background', 'nothing of what you boxed is there'),
    'missed': ('Missed', 'a thing that no box found'),
}


def curves(classes: Sequence[Mapping[str, Any]]) -> tuple[ClassCurve, ...]:
    return tuple(_curve(row, number) for number, row in enumerate(classes))


def _curve(row: Mapping[str, Any], number: int) -> ClassCurve:
    places = [(recall * SIDE, (1 - precision) * SIDE) for recall, precision, _ in row['curve']]
    low, high = row['interval'] or (None, None)
    points = ' '.join(f'{x:.1f},{y:.1f}' for x, y in places)
    return ClassCurve(row['label'], number % HUES, points, row['n'], row['ap11'], low, high, row['ap'])


def mistakes(counts: Mapping[str, int]) -> tuple[Mistake, ...]:
    most = max([*counts.values(), 1])
    known = [(name, counts[name]) for name in MEANINGS if name in counts]
    return tuple(Mistake(*MEANINGS[name], count, round(100 * count / most, 1)) for name, count in known)


def worst(model: TrainedModel) -> tuple[Photo, ...]:
    """The photos on which it erred most, worst first."""
    entries = model.report.get('detection', {}).get('worst', [])
    ids = [entry['id'] for entry in entries if entry.get('id')]
    present = {
        str(image.pk): image for image in Image.objects.present().filter(project=model.project, id__in=ids)
    }
    hues = {label: number % HUES for number, label in enumerate(model.labels)}
    return tuple(_photo(entry, present.get(entry.get('id', '')), hues) for entry in entries)


def _photo(entry: Mapping[str, Any], image: Image | None, hues: Mapping[str, int]) -> Photo:
    marks = [_mark('truth', row, hues) for row in entry['ground_truth']] + [
        _mark('found', row, hues) for row in entry['detections']
    ]
    return Photo(
        image, entry['name'], entry['width'], entry['height'], entry['missed'], entry['false'], tuple(marks)
    )


def _mark(kind: str, row: Mapping[str, Any], hues: Mapping[str, int]) -> Mark:
    x0, y0, x1, y1 = row['box']
    return Mark(
        kind,
        row['label'],
        hues.get(row['label'], 0),
        x0,
        y0,
        round(x1 - x0, 2),
        round(y1 - y0, 2),
        row.get('score'),
    )


NAMES = {'rcnn': 'R-CNN', 'fast-rcnn': 'Fast R-CNN', 'faster-rcnn': 'Faster R-CNN'}


def report_context(model: TrainedModel, report: Mapping[str, Any]) -> dict[str, Any]:
    """What the report of a detector needs beside that of any model."""
    found = report['detection']
    return {
        'found': found,
        'detector_name': NAMES.get(found['kind'], found['kind']),
        'cost': cost(model, report),
        'learned_from': learned_from(found, provisional=model.provisional),
        'curves': curves(found['classes']),
        'mistakes': mistakes(found['mistakes']),
        'worst': worst(model),
    }


def learned_from(found: Mapping[str, Any], *, provisional: bool) -> str:
    """Which photos made the detector that answers, and which made the figures."""
    learned, measured = found['train_images'], found['test_images']
    if found.get('final_train_images', learned) > learned:
        return (
            f'all {found["final_train_images"]} photos. The figures were measured on {measured} held-out photos, by a detector of the same '
            f'recipe that had learned from the other {learned}; the one that answers has learned from all of them.'
        )
    words = f'{learned} photos; {measured} were held out to measure'
    return f'{words}. One that learns from all of them takes its place.' if provisional else f'{words}.'


def cost(model: TrainedModel, report: Mapping[str, Any]) -> str:
    """What a photo costs, in words, as it was measured when the model was sealed, and when that is too much to wait for."""
    known, is_own = report['detection'], report['detection']['kind'] == 'faster-rcnn'
    seconds = (
        known.get('serving_seconds')
        or (report['engine'].get('milliseconds') or 1000 * known['seconds']) / 1000
    )
    words = [
        f'{seconds:.1f} s a photo'
        if 'serving_seconds' in known
        else f'{seconds:.1f} s of one processor core a photo'
    ]
    if is_own:
        words.append('. It is run by torch: 0.8 GB of memory in the web server.')
    else:
        regions = f'{round(known["proposals"]["proposals"]):,} regions'
        told = (
            f', {regions} found and looked at'
            if 'serving_seconds' in known
            else f' for {regions}, and about 0.2 s to propose them'
        )
        words.append(f'{told}.')
    if known['kind'] == 'rcnn':
        words.append(' R-CNN looks at every region alone; Fast R-CNN costs a fraction of it.')
    most = detection_jobs.get_max_images_at_once(model)
    if most is not None:
        few = f'more than {most} photo{"" if most == 1 else "s"} at once' if most else 'any photo'
        words.append(f' A program that sends {few} comes back for the answer (202), unless it asks to wait.')
    return ''.join(words)
