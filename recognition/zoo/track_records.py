"""Track records: how often source models were ranked first and used in the trainings here, and how their
probes compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev

from recognition.models import TrainedModel

# Student's t, 97.5 %, for 1 to 30 degrees of freedom; beyond, the normal distribution's 1.96 is within 4 %.
T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


@dataclass(frozen=True)
class Margin:
    """Accuracy of a source's probe minus that of the best other source probed in the same training."""

    n: int  # trainings in which it and another source were probed
    best: int  # of those, where no other probe was better
    mean: float
    interval: tuple[float, float] | None  # 95 %, Student's t over trainings; None for a single one


@dataclass(frozen=True)
class TrackRecord:
    recommended: int  # trainings in which P2L ranked it first
    chosen: int  # models that are based on it
    margin: Margin | None  # None: never probed together with another source


EMPTY_RECORD = TrackRecord(0, 0, None)


def compute_track_records() -> dict[str, TrackRecord]:
    """Compute them by source name from the finished models that still exist. Only the needed parts of the
    reports are read.
    """
    recommended: defaultdict[str, int] = defaultdict(int)
    chosen: defaultdict[str, int] = defaultdict(int)
    margins: defaultdict[str, list[float]] = defaultdict(list)
    rows = TrainedModel.objects.filter(provisional=False).order_by()
    for source, first, probes in rows.values_list(
        'source_name', 'report__ranking__0__name', 'report__probes'
    ).iterator():
        chosen[source] += 1
        if first:
            recommended[first] += 1
        for name, margin in _compute_margins({each['name']: each['accuracy'] for each in probes or ()}):
            margins[name].append(margin)
    names = {*recommended, *chosen, *margins}
    return {name: TrackRecord(recommended[name], chosen[name], _summarize(margins[name])) for name in names}


def _compute_margins(reached: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Each probed source and its lead over the best other one; `reached`: the accuracy of each."""
    if len(reached) < 2:
        return
    for name, accuracy in reached.items():
        yield name, accuracy - max(other for rival, other in reached.items() if rival != name)


def _summarize(margins: list[float]) -> Margin | None:
    if not margins:
        return None
    n, middle = len(margins), mean(margins)
    interval = None
    if n > 1:
        half = (T_975[n - 2] if n - 2 < len(T_975) else 1.96) * stdev(margins) / sqrt(n)
        interval = (middle - half, middle + half)
    return Margin(n, sum(margin >= 0 for margin in margins), middle, interval)
