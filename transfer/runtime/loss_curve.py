"""The loss after each pass of a training, kept in a file beside its checkpoint. No torch."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

MOST = 100  # points that are told: R-CNN counts its hundreds of steps as passes


class LossCurve:
    """What was noted before a kill is there again; what is told again after it is told alike, and counts once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        known: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
        self._losses = {int(epoch): loss for epoch, loss in known.items()}

    def note(self, epoch: int, loss: float) -> None:
        """The last of a pass counts."""
        begins = epoch not in self._losses
        self._losses[epoch] = loss
        if begins:
            self.write()

    def write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        aside = self._path.with_suffix('.part')
        aside.write_text(json.dumps(self._losses))
        aside.replace(self._path)

    def points(self) -> list[dict[str, Any]]:
        """As TrainReport.curve, the last pass always among them."""
        epochs = sorted(self._losses)
        every = max(1, math.ceil(len(epochs) / MOST))
        chosen = epochs[::-1][::every][::-1]
        return [{'epoch': epoch, 'loss': round(self._losses[epoch], 5), 'accuracy': None} for epoch in chosen]
