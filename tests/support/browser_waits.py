"""How long a test in the browser waits."""

from __future__ import annotations

PATIENCE = 20_000  # ms; the machine may be busy
