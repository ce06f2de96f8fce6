"""OpenVINO without its telemetry.

At each import and conversion it tells Google Analytics, from a process that it forks for that: from the web
server and from a training alike, without asking. An installation that keeps photos at home calls nobody. With
the telemetry package out of reach OpenVINO takes the stub that it brings for those who have not installed it.
"""

from __future__ import annotations

import sys

sys.modules['openvino_telemetry'] = None  # type: ignore[assignment]  # makes its import an ImportError

import openvino  # noqa: E402

__all__ = ['openvino']
