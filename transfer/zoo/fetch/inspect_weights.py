"""Inspect a weights file in a process of its own; `python -m transfer.zoo.fetch.inspect_weights` is a
json_process.

A file from outside may be made to eat memory or time; here it can take down only this process. Request: path,
architecture ('': the one that the weights fit), side (0: the usual one), memory (bytes), and to compute its
signature: reference (a SourceModelSpec), images_from (a folder). Answer: architecture, classes, parameters,
side, mean, std, signature, signature_images; or error: why, and field: what of the request is to blame ('':
the file). Before it, progress with the stage: read, fit, try.

    python -m transfer.zoo.fetch.inspect_weights --write-fingerprints     after the registry has changed
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from transfer.spec.errors import TrainingError, UnusableSourceError
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.fetch.json_process import answer_request, write_progress
from transfer.zoo.loading import State, fill, misfit, read_state
from transfer.zoo.networks import registry
from transfer.zoo.networks.architecture import Architecture
from transfer.zoo.signatures.compute import compute_signature, find_image_files, sample_evenly

# Architecture -> fingerprint of its tensors' names: so that a file is recognised without building eighty
# networks.
FINGERPRINTS = Path(__file__).with_name('fingerprints.json')


class WrongDescriptionError(UnusableSourceError):
    """The file may be sound, but it is not what the request says of it: `field` names what is wrong there."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


def inspect_weights(
    request: dict[str, Any], on_stage: Callable[[str], None] = lambda stage: None
) -> dict[str, object]:
    """Load the file into its network and try it once. Errors: UnusableSourceError, UnreadableImageError."""
    on_stage('read')
    state = read_state(Path(request['path']))
    on_stage('fit')
    network = registry.architecture(request['architecture'] or recognise_architecture(state))
    side = request['side'] or network.side
    _check_side(network, side)
    model = _fill_network(network, state)
    on_stage('try')
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
        raise WrongDescriptionError(
            f'{network.name} takes images of {network.side} pixels only, not of {side}', 'side'
        )
    if not network.min_side <= side <= 1024:
        raise WrongDescriptionError(
            f'{network.name} takes images of {network.min_side} to 1024 pixels, not of {side}', 'side'
        )


def _fill_network(network: Architecture, state: State) -> torch.nn.Module:
    try:
        return fill(network, state)
    except UnusableSourceError as error:
        others = find_fitting_architectures(state)
        if not others:
            raise
        raise WrongDescriptionError(
            f'{error.message}. They fit {" and ".join(others)}.', 'architecture'
        ) from error


def recognise_architecture(state: State) -> str:
    """Find the one architecture that these weights fit. UnusableSourceError where none or several do."""
    found = find_fitting_architectures(state)
    unclear = 'the architecture of these weights is not clear: they fit'
    if not found:
        raise UnusableSourceError(f'{unclear} no network that Graft knows')
    if len(found) > 1:
        raise WrongDescriptionError(f'{unclear} {" and ".join(found)}: say which', 'architecture')
    return found[0]


def find_fitting_architectures(state: State) -> list[str]:
    """Find all architectures that these weights fit, by the names of their tensors and then by the shapes."""
    found = []
    for name in find_by_fingerprint(state):
        try:
            problem = misfit(registry.architecture(name), state)
        except UnusableSourceError:
            continue
        if not problem:
            found.append(name)
    return found


def answer(request: dict[str, Any], on_stage: Callable[[str], None]) -> dict[str, object]:
    """What `inspect_weights` finds, or the error."""
    try:
        return inspect_weights(request, on_stage)
    except WrongDescriptionError as error:
        return {'error': error.message, 'field': error.field}
    except TrainingError as error:
        return {'error': error.message}
    except MemoryError:
        return _out_of_memory(int(request['memory']))
    except RuntimeError as error:
        if 'allocate' not in str(error):  # torch has no class of its own for memory that it does not get
            raise
        return _out_of_memory(int(request['memory']))


def _out_of_memory(limit: int) -> dict[str, object]:
    return {'error': f'the network needs more than {limit >> 20} MiB of memory'}


def compute_fingerprint(names: Iterable[str]) -> str:
    """Hash the names of a state's tensors; counters of batches do not count, for older files lack them."""
    counted = sorted(name for name in names if not name.endswith('num_batches_tracked'))
    return hashlib.sha256('\n'.join(counted).encode()).hexdigest()[:16]


def find_by_fingerprint(names: Iterable[str]) -> list[str]:
    """The architectures of the registry whose tensors are named so; their shapes may still differ."""
    wanted = compute_fingerprint(names)
    return [name for name, known in json.loads(FINGERPRINTS.read_text()).items() if known == wanted]


def write_fingerprints() -> None:
    values = {
        name: compute_fingerprint(registry.architecture(name).outline.shapes) for name in registry.names()
    }
    FINGERPRINTS.write_text(json.dumps(values, indent=1) + '\n')


def answer_within_limits(request: dict[str, Any]) -> dict[str, object]:
    """As `answer`, in a process that may not take more memory than the request says, nor write a file."""
    limit = int(request['memory'])
    # RLIMIT_DATA, not RLIMIT_AS: torch reserves gigabytes of addresses that it never touches.
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it reads; it has nothing to write
    return answer(request, lambda stage: write_progress(stage=stage))


def main() -> None:
    if '--write-fingerprints' in sys.argv:
        write_fingerprints()
    else:
        answer_request(answer_within_limits)


if __name__ == '__main__':
    main()
