"""The kinds of detectors: their names, their options and what sets them apart. No torch: the web side reads this.

A further kind takes one row here, a field of TrainSpec for its options and a folder in transfer/detection (see
transfer.detection.registry).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from transfer.spec.fast_rcnn import FastRcnnSpec
from transfer.spec.faster_rcnn import FasterRcnnSpec
from transfer.spec.rcnn import RcnnSpec

Options = TypeVar('Options')


@dataclass(frozen=True)
class DetectorInfo(Generic[Options]):
    """What is known of a kind without training one."""

    kind: str  # in TrainSpec.detector, reports, artifacts and REST
    field: str  # of TrainSpec that holds its options; also its package in transfer.detection
    options: type[Options]
    name: str  # shown to people
    summary: str  # half a sentence for whoever chooses
    why: str  # the sentence of the report
    curve_note: str = ''  # what a reader of its loss curve must know
    crops_regions: bool = (
        False  # each region goes through the whole network alone: any source fits, and every region costs
    )
    proposes_regions: bool = False  # by itself, so that it is given none

    def read_options(self, values: Mapping[str, Any]) -> Options:
        """Options from an artifact's JSON, which has lists where there were tuples."""
        return self.options(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        )


FAST_RCNN = DetectorInfo(
    kind='fast-rcnn',
    field='fast_rcnn',
    options=FastRcnnSpec,
    name='Fast R-CNN',
    summary='one pass of the network over a photo',
    why='Fast R-CNN looks at a photo once and reads every proposed region from it.',
    curve_note='In the first epochs only its new layers are trained; then the backbone joins.',
)
FASTER_RCNN = DetectorInfo(
    kind='faster-rcnn',
    field='faster_rcnn',
    options=FasterRcnnSpec,
    name='Faster R-CNN',
    summary='proposes its own regions; needs torch to answer',
    why='Faster R-CNN proposes its own regions.',
    proposes_regions=True,
)
RCNN = DetectorInfo(
    kind='rcnn',
    field='rcnn',
    options=RcnnSpec,
    name='R-CNN',
    summary='one pass of the network over every region, slow',
    why='R-CNN looks at each proposed region alone: slow to answer, and sparing with boxes.',
    curve_note='An epoch is a step of the network here; the SVMs that follow have no curve.',
    crops_regions=True,
)
DETECTORS: dict[str, DetectorInfo[Any]] = {info.kind: info for info in (FAST_RCNN, FASTER_RCNN, RCNN)}
DEFAULT = FAST_RCNN.kind  # what `auto` means
