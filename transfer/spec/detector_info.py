"""What is known of a kind of detector without training one. No torch: the web side reads this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Options = TypeVar('Options')


@dataclass(frozen=True)
class DetectorInfo(Generic[Options]):
    """One kind of detector: its options and the sentences that people read."""

    kind: str  # in TrainSpec.detector, reports, artifacts and REST: lower case, words joined by `-`
    options: type[Options]  # a frozen dataclass whose fields are transfer.spec.options.option, and `seed`
    name: str
    summary: str  # what to know when choosing; begins in lower case
    why: str  # the sentence of the report
    curve_note: str = 'The training loss after each epoch.'
    cost_note: str = ''  # beside what a photo costs
    # Each region goes through the whole network alone: any source fits, and every region costs a pass.
    # Its options have `cpu_proposals`.
    crops_regions: bool = False
    # It needs no proposals, and its own are not reported.
    proposes_regions: bool = False

    @property
    def field(self) -> str:
        """The key of its options in a TrainSpec, and its package in transfer.detection."""
        return self.kind.replace('-', '_')

    def read_options(self, values: Mapping[str, Any]) -> Options:
        """Options from an artifact's JSON, which has lists where there were tuples."""
        return self.options(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        )
