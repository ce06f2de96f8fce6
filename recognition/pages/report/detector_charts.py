"""A detector's report: precision-recall curves, kinds of errors and the hardest photos as shapes for SVG
templates."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recognition.models import Image, TrainedModel
from recognition.pages.report.charts import SIDE
from recognition.serving import detection_jobs
from recognition.training.detectors import (
    BoxReport,
    ClassDetectionReport,
    DetectionReport,
    Mistakes,
    WorstImage,
    get_info,
    read_engine,
    read_figures,
)

# Colours of classes; the seventh class has the first colour again.
HUES = 6
# Kinds of errors (Hoiem et al. 2012) by their key in the report: name and explanation.
ERROR_KINDS = {
    'right': ('Correct', 'the class and the place are right'),
    'localisation': ('Misplaced', 'the right class, but the box fits badly or is a duplicate'),
    'confusion': ('Confused', 'a labelled box, but of another class'),
    'background': ('Background', 'nothing is labelled there'),
    'missed': ('Missed', 'labelled, but not detected'),
}


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """Precision over recall of one class. `points`: x,y in SVG user units, y down. None: not measured."""

    label: str
    hue: int
    points: str
    n: int
    ap11: float | None
    low: float | None  # of the 95 % interval of ap11
    high: float | None
    ap: float | None


@dataclass(frozen=True)
class ErrorBar:
    name: str
    explanation: str
    count: int
    width: float  # percent of the longest bar


@dataclass(frozen=True)
class BoxShape:
    """One box in pixels of its photo. `kind`: 'ground-truth' or 'detection'."""

    kind: str
    label: str
    hue: int
    x: float
    y: float
    width: float
    height: float
    score: float | None


@dataclass(frozen=True)
class HardPhoto:
    """A photo with its labelled and its detected boxes. `image` is None when it was deleted since."""

    image: Image | None
    name: str
    width: int
    height: int
    missed: int
    false: int
    boxes: tuple[BoxShape, ...]


def build_context(model: TrainedModel, report: Mapping[str, Any]) -> dict[str, object]:
    """The template variables of a detector's report that a classifier's does not have."""
    figures = read_figures(report)
    info = get_info(figures.kind)
    return {
        'figures': figures,
        'final_curve': [point.to_json() for point in figures.refit_curve or ()],
        'detector_name': info.name,
        'curve_note': info.curve_note,
        'cost': describe_cost(model, report),
        'training_photos': describe_training_photos(figures, provisional=model.provisional),
        'curves': lay_out_curves(figures.classes),
        'errors': lay_out_errors(figures.mistakes),
        'hard_photos': list_hard_photos(model, figures.worst),
    }


def lay_out_curves(classes: Sequence[ClassDetectionReport]) -> tuple[PrecisionRecallCurve, ...]:
    curves = []
    for number, row in enumerate(classes):
        low, high = row.interval or (None, None)
        points = ' '.join(
            f'{recall * SIDE:.1f},{(1 - precision) * SIDE:.1f}' for recall, precision, _ in row.curve
        )
        hue = number % HUES
        curves.append(PrecisionRecallCurve(row.label, hue, points, row.n, row.ap11, low, high, row.ap))
    return tuple(curves)


def lay_out_errors(mistakes: Mistakes) -> tuple[ErrorBar, ...]:
    counts = dataclasses.asdict(mistakes)
    longest = max([*counts.values(), 1])
    return tuple(
        ErrorBar(name, explanation, counts[kind], round(100 * counts[kind] / longest, 1))
        for kind, (name, explanation) in ERROR_KINDS.items()
    )


def list_hard_photos(model: TrainedModel, entries: Sequence[WorstImage]) -> tuple[HardPhoto, ...]:
    """The photos with the most missed and false boxes, worst first."""
    ids = [entry.id for entry in entries if entry.id]
    rows = Image.objects.present().filter(project=model.project, id__in=ids)
    images = {str(image.pk): image for image in rows}
    hues = {label: number % HUES for number, label in enumerate(model.labels)}
    return tuple(
        HardPhoto(
            image=images.get(entry.id),
            name=entry.name,
            width=entry.width,
            height=entry.height,
            missed=entry.missed,
            false=entry.false,
            boxes=(
                *(_lay_out_box('ground-truth', row, hues) for row in entry.ground_truth),
                *(_lay_out_box('detection', row, hues) for row in entry.detections),
            ),
        )
        for entry in entries
    )


def _lay_out_box(kind: str, row: BoxReport, hues: Mapping[str, int]) -> BoxShape:
    x0, y0, x1, y1 = row.box
    width, height = round(x1 - x0, 2), round(y1 - y0, 2)
    return BoxShape(kind, row.label, hues.get(row.label, 0), x0, y0, width, height, row.score)


def describe_training_photos(figures: DetectionReport, *, provisional: bool) -> str:
    """Which photos trained the detector that is served, and which measured it."""
    trained, tested = figures.train_images, figures.test_images
    final = trained if figures.final_train_images is None else figures.final_train_images
    if final > trained:
        return (
            f'all {final} photos. The figures come from a detector with the same settings, trained on '
            f'{trained} of them and tested on the other {tested}.'
        )
    text = f'{trained} photos; {tested} were held out for testing.'
    return f'{text} A detector trained on all of them will replace it.' if provisional else text


def describe_cost(model: TrainedModel, report: Mapping[str, Any]) -> str:
    """Seconds per photo as measured at export, and from how many photos on a request is answered by a job."""
    figures, engine = read_figures(report), read_engine(report)
    seconds = figures.serving_seconds or (engine.milliseconds or 1000 * figures.seconds) / 1000
    is_measured = figures.serving_seconds is not None
    sentences = [f'{seconds:.1f} {"s per photo" if is_measured else "s per photo on one processor core"}']
    info = get_info(figures.kind)
    if figures.proposals is None:
        sentences[0] += '.'
    else:
        regions = f'{round(figures.proposals.proposals):,} regions'
        if is_measured:
            sentences[0] += f', in which {regions} are proposed and classified.'
        else:
            sentences[0] += f' for {regions}, and about 0.2 s to propose them.'
    if info.cost_note:
        sentences.append(info.cost_note)
    most = detection_jobs.get_max_images_at_once(model)
    if most is not None:
        number = f'more than {most} photo{"" if most == 1 else "s"}' if most else 'a photo'
        sentences.append(
            f'A REST request with {number} is answered with a job (status 202) unless it sets wait=true.'
        )
    return ' '.join(sentences)
