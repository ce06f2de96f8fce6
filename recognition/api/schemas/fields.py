"""Fields that several schemas use."""

from __future__ import annotations

import math
from typing import Any

from rest_framework import serializers

Schema = serializers.Serializer[Any]


class FiniteField(serializers.FloatField):
    """A float that is neither NaN nor infinite.

    Python reads the text `nan`, and NaN passes every comparison with a limit.
    """

    def to_internal_value(self, data: Any) -> float:
        number = super().to_internal_value(data)
        if not math.isfinite(number):
            self.fail('invalid')
        return number
