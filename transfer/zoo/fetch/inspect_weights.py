"""Look at a weights file in a process of its own: `python -m transfer.zoo.fetch.inspect_weights` reads a JSON request, writes a JSON answer.

A file from outside may be made to eat memory or time; here it can take down only this process. Request: path, architecture
('': the one that the weights fit), side (0: the usual one), memory (bytes), and to sign it: reference (a SourceModelSpec),
images_from (a folder). Answer: architecture, classes, parameters, side, mean, std, signature, signature_images; or error: why, and
field: what of the request is to blame ('': the file). Before it, lines that tell the stage: read, fit, try.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from transfer.spec.errors import TrainingError, UnusableSourceError
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.fetch.fingerprints import candidates
from transfer.zoo.loading import State, fill, misfit, read_state
from transfer.zoo.networks import registry
from transfer.zoo.networks.architecture import Architecture
from transfer.zoo.signatures.compute import compute_signature, find_image_files, sample_evenly


class WronglySaid(UnusableSourceError):
    """The file may be sound, but it is not what was said of it: `field` names what is to be said otherwise."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


def examine(request: dict[str, Any], tell: Callable[[str], None] = lambda stage: None) -> dict[str, Any]:
    """The answer to one request; `tell` hears of each stage. Raises UnusableSourceError, UnreadableImageError."""
    tell('read')
    state = read_state(Path(request['path']))
    tell('fit')
    network = registry.architecture(request['architecture'] or recognised(state))
    side = request['side'] or network.side
    _check_side(network, side)
    model = _fitted(network, state)
    tell('try')
    with torch.inference_mode():
        scores = model(torch.zeros(1, 3, side, side))
    if scores.shape[1] < 2:
        raise UnusableSourceError(f'the network has {scores.shape[1]} classes; a source needs two at least')
    if not torch.isfinite(scores).all():
        raise UnusableSourceError('with these weights the network gives scores that are not numbers')
    answer = {
        'architecture': network.name,
        'classes': scores.shape[1],
        'parameters': sum(parameter.numel() for parameter in model.parameters()),
        'side': side,
        'mean': list(network.mean),
        'std': list(network.std),
        'signature': [],
        'signature_images': 0,
    }
    if request.get('images_from'):
        signature = compute_signature(
            SourceModelSpec(**request['reference']),
            sample_evenly(find_image_files(Path(request['images_from']))),
        )
        answer |= {'signature': list(signature.mean), 'signature_images': signature.images}
    return answer


def _check_side(network: Architecture, side: int) -> None:
    if network.fixed_side and side != network.side:
        raise WronglySaid(f'{network.name} takes images of {network.side} pixels only, not of {side}', 'side')
    if not network.min_side <= side <= 1024:
        raise WronglySaid(
            f'{network.name} takes images of {network.min_side} to 1024 pixels, not of {side}', 'side'
        )


def _fitted(network: Architecture, state: State) -> torch.nn.Module:
    try:
        return fill(network, state)
    except UnusableSourceError as error:
        others = fitting(state)
        if not others:
            raise
        raise WronglySaid(f'{error.message}. They fit {" and ".join(others)}.', 'architecture') from error


def recognised(state: State) -> str:
    """The one architecture that these weights fit. UnusableSourceError when there is none, or more than one."""
    found = fitting(state)
    unclear = 'the architecture of these weights is not clear: they fit'
    if not found:
        raise UnusableSourceError(f'{unclear} no network that Graft knows')
    if len(found) > 1:
        raise WronglySaid(f'{unclear} {" and ".join(found)}: say which', 'architecture')
    return found[0]


def fitting(state: State) -> list[str]:
    """The architectures that these weights do fit: what to answer to someone who named the wrong one."""
    found = []
    for name in candidates(state):
        try:
            problem = misfit(registry.architecture(name), state)
        except UnusableSourceError:
            continue
        if not problem:
            found.append(name)
    return found


def answer(request: dict[str, Any], tell: Callable[[str], None]) -> dict[str, Any]:
    """What `examine` finds, or why it refuses."""
    try:
        return examine(request, tell)
    except WronglySaid as error:
        return {'error': error.message, 'field': error.field}
    except TrainingError as error:
        return {'error': error.message}
    except MemoryError:
        return _too_much(int(request['memory']))
    except RuntimeError as error:
        if 'allocate' not in str(error):  # torch has no class of its own for memory that it does not get
            raise
        return _too_much(int(request['memory']))


def _too_much(limit: int) -> dict[str, Any]:
    return {'error': f'the network needs more than {limit >> 20} MiB of memory'}


def _tell(stage: str) -> None:
    sys.stdout.write(json.dumps({'progress': {'stage': stage}}) + '\n')
    sys.stdout.flush()


def main() -> None:
    request = json.load(sys.stdin)
    limit = int(request['memory'])
    # RLIMIT_DATA, not RLIMIT_AS: torch reserves gigabytes of addresses that it never touches.
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it reads; it has nothing to write
    json.dump(answer(request, _tell), sys.stdout)


if __name__ == '__main__':
    main()
