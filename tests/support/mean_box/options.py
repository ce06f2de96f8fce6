"""The options of a detector that predicts the mean box and the commonest class on every photo."""

from __future__ import annotations

from dataclasses import dataclass

from transfer.spec.detector_info import DetectorInfo
from transfer.spec.options import option


@dataclass(frozen=True)
class MeanBoxSpec:
    stretch: float = option(1.0, 'Factor that the mean box is stretched by.', 0.5, 2)
    seed: int = 0


MEAN_BOX = DetectorInfo(
    kind='mean-box',
    options=MeanBoxSpec,
    name='Mean box',
    summary='a baseline',
    why='The mean box is the least that a detector must beat.',
    proposes_regions=True,
)
