"""A program that answers another process: one JSON request on standard input, one JSON answer as the last
line of its output.

recognition.zoo.subprocess_call is the other side. Before the answer there may be lines {"progress": ...}.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from transfer.spec.errors import TrainingError

Json = dict[str, object]


def answer_request(answer: Callable[[Json], Json]) -> None:
    """Read the request, write the answer; a TrainingError becomes {"error": its message}."""
    try:
        result = answer(json.load(sys.stdin))
    except TrainingError as error:
        result = {'error': error.message}
    json.dump(result, sys.stdout)


def write_progress(**facts: object) -> None:
    """Write one line of progress, at once."""
    sys.stdout.write(json.dumps({'progress': facts}) + '\n')
    sys.stdout.flush()
