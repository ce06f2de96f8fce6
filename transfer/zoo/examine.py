"""Look at a weights file in a process of its own: `python -m transfer.zoo.examine` reads a JSON request, writes a JSON answer.

A file from outside may be made to eat memory or time; here it can take down only this process. Request: path, architecture
('': the one that the weights fit), side (0: the usual one), memory (bytes), and to sign it: reference (a SourceCard),
images_from (a folder). Answer: architecture, classes, parameters, side, mean, std, signature, signed_with; or refused: why.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

import torch

from transfer.spec import SourceCard, TrainingError, UnusableSource
from transfer.zoo import registry
from transfer.zoo.architecture import Architecture
from transfer.zoo.fingerprints import candidates
from transfer.zoo.loading import State, fill, misfit, read_state
from transfer.zoo.sign import evenly, image_files, sign


def examine(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to one request. Raises UnusableSource, UnreadableImage."""
    state = read_state(Path(request['path']))
    network = registry.architecture(request['architecture'] or recognised(state))
    side = request['side'] or network.side
    _check_side(network, side)
    model = _fitted(network, state)
    with torch.inference_mode():
        scores = model(torch.zeros(1, 3, side, side))
    if scores.shape[1] < 2:
        raise UnusableSource(f'the network has {scores.shape[1]} classes; a source needs two at least')
    if not torch.isfinite(scores).all():
        raise UnusableSource('with these weights the network gives scores that are not numbers')
    answer = {
        'architecture': network.name,
        'classes': scores.shape[1],
        'parameters': sum(parameter.numel() for parameter in model.parameters()),
        'side': side,
        'mean': list(network.mean),
        'std': list(network.std),
        'signature': [],
        'signed_with': 0,
    }
    if request.get('images_from'):
        signed = sign(SourceCard(**request['reference']), evenly(image_files(Path(request['images_from']))))
        answer |= {'signature': list(signed.mean), 'signed_with': signed.images}
    return answer


def _check_side(network: Architecture, side: int) -> None:
    if network.fixed_side and side != network.side:
        raise UnusableSource(f'{network.name} takes images of {network.side} pixels only, not of {side}')
    if not network.min_side <= side <= 1024:
        raise UnusableSource(f'{network.name} takes images of {network.min_side} to 1024 pixels, not of {side}')


def _fitted(network: Architecture, state: State) -> torch.nn.Module:
    try:
        return fill(network, state)
    except UnusableSource as error:
        others = fitting(state)
        if not others:
            raise
        raise UnusableSource(f'{error.message}. They fit {" and ".join(others)}.') from error


def recognised(state: State) -> str:
    """The one architecture that these weights fit. UnusableSource when there is none, or more than one."""
    found = fitting(state)
    if len(found) != 1:
        more = f'they fit {" and ".join(found)}: say which' if found else 'they fit no network that Graft knows'
        raise UnusableSource(f'the architecture of these weights is not clear: {more}')
    return found[0]


def fitting(state: State) -> list[str]:
    """The architectures that these weights do fit: what to answer to someone who named the wrong one."""
    found = []
    for name in candidates(state):
        try:
            problem = misfit(registry.architecture(name), state)
        except UnusableSource:
            continue
        if not problem:
            found.append(name)
    return found


def _too_much(limit: int) -> dict[str, Any]:
    return {'refused': f'the network needs more than {limit >> 20} MiB of memory'}


def main() -> None:
    request = json.load(sys.stdin)
    limit = int(request['memory'])
    # RLIMIT_DATA, not RLIMIT_AS: torch reserves gigabytes of addresses that it never touches.
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it reads; it has nothing to write
    try:
        answer = examine(request)
    except TrainingError as error:
        answer = {'refused': error.message}
    except MemoryError:
        answer = _too_much(limit)
    except RuntimeError as error:
        if 'allocate' not in str(error):  # torch has no class of its own for memory that it does not get
            raise
        answer = _too_much(limit)
    json.dump(answer, sys.stdout)


if __name__ == '__main__':
    main()
