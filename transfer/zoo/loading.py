"""Source weights from disk into a network: no pickled code, nothing missing, nothing left over, no NaN."""

from __future__ import annotations

import re
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from transfer.spec.errors import UnusableSourceError
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.networks.architecture import Architecture
from transfer.zoo.networks.registry import architecture
from transfer.zoo.weights import file_digest, safetensors_shapes

State = dict[str, Tensor]

# the extra heads of GoogLeNet and Inception v3, which ours leave out
AUXILIARY = 'aux1.', 'aux2.', 'AuxLogits.'
# DenseNet's published weights write norm.1 where the network now says norm1.
OLD_DENSENET = re.compile(r'(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)')


def load(source: SourceModelSpec) -> nn.Module:
    """The network of a source model with its weights, in single precision and eval mode, on the CPU.

    UnusableSourceError, with the reason, when the file is missing, changed, damaged or not of that
    architecture.
    """
    path = Path(source.weights)
    if not path.is_file():
        raise UnusableSourceError(f'the weights of {source.name} are missing ({path.name})')
    if source.digest and file_digest(path) != source.digest:
        raise UnusableSourceError(
            f'the weights of {source.name} have changed since they were registered ({path.name})'
        )
    network = architecture(source.architecture)
    state = read_state(path)
    rows = class_count(state, network)
    if rows != source.classes:
        raise UnusableSourceError(
            f'{source.name} is registered with {source.classes} classes, but its last layer has {rows}'
        )
    return fill(network, state)


def fill(network: Architecture, state: State) -> nn.Module:
    """A network of that architecture with that state; UnusableSourceError unless every tensor fits."""
    if problem := misfit(network, state):
        raise UnusableSourceError(f'these weights are not of {network.name}: {problem}')
    model = network.build(class_count(state, network))
    model.load_state_dict(state)  # copies into single precision whatever the file's
    return model.eval()


def read_state(path: Path) -> State:
    """Names and tensors of a .safetensors file or a plain state_dict. UnusableSourceError for anything
    else."""
    values = _read_safetensors(path) if path.suffix == '.safetensors' else _read_state_dict(path)
    state = {_modern(name): value for name, value in values.items() if not name.startswith(AUXILIARY)}
    for name, value in state.items():
        if value.is_complex() or value.is_quantized or value.is_sparse or value.is_meta:
            raise UnusableSourceError(f'{path.name} holds numbers of an unusual kind in {name}')
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise UnusableSourceError(f'{path.name} holds NaN or infinite numbers in {name}')
    return state


def _read_safetensors(path: Path) -> State:
    safetensors_shapes(path)  # its refusals are clearer than the library's
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise UnusableSourceError(f'{path.name} cannot be read: {error}') from error


def _read_state_dict(path: Path) -> State:
    try:
        values = torch.load(path, map_location='cpu', weights_only=True)
    except UnpicklingError as error:
        raise UnusableSourceError(
            f'{path.name} is not a plain state_dict: it holds code or other objects, or is damaged'
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise UnusableSourceError(
            f'{path.name} cannot be read: {str(error).splitlines()[0] if str(error) else error!r}'
        ) from error
    if isinstance(values, dict) and isinstance(values.get('state_dict'), dict):
        values = values['state_dict']  # a training's checkpoint, as many publish them
    if (
        not isinstance(values, dict)
        or not values
        or not all(isinstance(value, Tensor) for value in values.values())
    ):
        raise UnusableSourceError(f'{path.name} is not a plain state_dict: names and tensors, nothing else')
    return {str(name).removeprefix('module.'): value for name, value in values.items()}


def _modern(name: str) -> str:
    match = OLD_DENSENET.fullmatch(name)
    return match[1] + match[2] if match else name


def class_count(state: State, network: Architecture) -> int:
    """How many classes the last layer of these weights has. UnusableSourceError when that layer is not
    there."""
    key = f'{network.outline.head_path}.weight'
    if key not in state or not state[key].dim():
        raise UnusableSourceError(f'these weights are not of {network.name}: there is no {key}')
    return int(state[key].shape[0])


def misfit(network: Architecture, state: State) -> str:
    """Why a state does not fit an architecture, in a few words; '' when it does."""
    wanted = network.outline.shapes_for(class_count(state, network))
    # Files older than PyTorch 0.4.1 do not count batches; the counter does not matter outside training from
    # scratch.
    missing = [name for name in wanted if name not in state and not name.endswith('num_batches_tracked')]
    unknown = [name for name in state if name not in wanted]
    reshaped = [name for name in wanted if name in state and tuple(state[name].shape) != wanted[name]]
    if missing:
        return f'{len(missing)} tensors are missing, the first is {missing[0]}'
    if unknown:
        return f'{len(unknown)} tensors are unknown to it, the first is {unknown[0]}'
    if reshaped:
        name = reshaped[0]
        return f'{name} has the shape {tuple(state[name].shape)}, not {wanted[name]}'
    return ''
