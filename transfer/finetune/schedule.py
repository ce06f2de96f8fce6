"""Learning rate over a finetuning: linear warm-up, then a cosine to zero."""

from __future__ import annotations

import math

WARM_UP = 0.2  # share of the run: AdamW's first steps are its wildest, and there is a linear model to lose
MOST_EPOCHS, LEAST_EPOCHS = 20, 8


def scale_learning_rate(done: float) -> float:
    """What every group's rate is multiplied by when the share `done` (0 to 1) of the run is over."""
    if done < WARM_UP:
        return 0.1 + 0.9 * done / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - WARM_UP) / (1 - WARM_UP))))


def choose_epochs(images: int, batch: int, steps: float) -> int:
    """How many epochs give about that many steps, within limits."""
    return max(LEAST_EPOCHS, min(MOST_EPOCHS, round(steps * batch / images)))
