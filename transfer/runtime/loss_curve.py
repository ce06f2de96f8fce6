"""The loss after each epoch of a detector's training, in a file beside its checkpoint. No torch."""

from __future__ import annotations

import json
import math
from pathlib import Path

from transfer.runtime.atomic_write import write_json
from transfer.spec.report import EpochMetrics

MOST_POINTS = 100  # that are reported: R-CNN counts its hundreds of steps as epochs


class LossCurve:
    """Losses by epoch.

    They survive an interruption; an epoch that is trained again afterwards replaces its first loss.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        known: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
        self._losses = {int(epoch): loss for epoch, loss in known.items()}

    def add(self, epoch: int, loss: float) -> None:
        """The last loss reported of an epoch counts."""
        is_new = epoch not in self._losses
        self._losses[epoch] = loss
        if is_new:
            self.write()

    def write(self) -> None:
        write_json(self._path, self._losses)

    def points(self) -> tuple[EpochMetrics, ...]:
        """As TrainReport.curve: at most MOST_POINTS, the last epoch always among them."""
        epochs = sorted(self._losses)
        every = max(1, math.ceil(len(epochs) / MOST_POINTS))
        chosen = epochs[::-1][::every][::-1]
        return tuple(EpochMetrics(epoch, round(self._losses[epoch], 5)) for epoch in chosen)
