"""The convolutional body of a network: images in, a map of features out; what Fast R-CNN pools its regions
from."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transfer.spec.errors import UnusableSourceError
from transfer.zoo.networks.architecture import Architecture

STRIDE = 16  # image pixels a cell: the published one for CaffeNet and VGG16
PROBE = 256  # pixels of the square that finds out strides and channels; divisible by every stride


@dataclass(frozen=True)
class Body:
    """The front of a network, by its own stages; the modules are the model's own, not copies."""

    stages: tuple[tuple[str, nn.Sequential], ...]  # from input to output
    stride: int  # image pixels a cell of the map
    channels: int

    def module(self) -> nn.Sequential:
        return nn.Sequential(*(stage for _, stage in self.stages))


def convolutional_body(network: Architecture, model: nn.Module, stride: int = STRIDE) -> Body:
    """Everything ahead of the pooling, with cells of `stride` pixels, or of what the network has if that is
    finer.

    A stage that would halve the map once more keeps it instead: a pooling at its end is left out (as the
    published networks leave out the last), and strided convolutions step by one pixel, those behind them
    reaching twice as far ("a trous"). The learned weights stay in use. A stage that halves in another way
    ends the body. UnusableSourceError for a network whose features are no map: transformers, and those that
    want one size of input.
    """
    groups, _ = network.layout(model)
    if network.fixed_side:
        raise UnusableSourceError(
            f'{network.name} takes one size of image; a detector needs a network without that limit'
        )
    found: list[tuple[str, nn.Sequential]] = []
    reached, channels, spread = 1, 3, 1
    for number, modules in enumerate(groups, 1):
        step, width = _outline(network, nn.Sequential(*modules), channels)
        if reached * step > stride or spread > 1:
            if step > 1 and not _can_dilate(modules):
                break
            modules = _without_last_pooling(modules)
            spread = _dilate(modules, spread)
            step = 1
        if not modules:
            continue
        found.append((f'stage{number}', nn.Sequential(*modules)))
        reached, channels = reached * step, width
    return Body(tuple(found), reached, channels)


def _outline(network: Architecture, stage: nn.Sequential, channels: int) -> tuple[int, int]:
    """(how much the stage divides the side of its input, channels of its output)."""
    # On the meta device: shapes without numbers, hence without their cost.
    made: Tensor = (
        copy.deepcopy(stage).to('meta').eval()(torch.zeros(1, channels, PROBE, PROBE, device='meta'))
    )
    if made.dim() != 4 or made.shape[2] != made.shape[3] or made.shape[2] > PROBE:
        raise UnusableSourceError(f'{network.name} has no map of features to pool regions from')
    return round(PROBE / made.shape[2]), int(made.shape[1])


def _can_dilate(modules: list[nn.Module]) -> bool:
    """Whether all halving within is done by convolutions, or by one pooling at the end."""
    inner = [layer for module in _without_last_pooling(modules) for layer in module.modules()]
    return not any(
        isinstance(layer, nn.MaxPool2d | nn.AvgPool2d) and layer.stride not in (1, (1, 1)) for layer in inner
    )


def _without_last_pooling(modules: list[nn.Module]) -> list[nn.Module]:
    return modules[:-1] if isinstance(modules[-1], nn.MaxPool2d | nn.AvgPool2d) else modules


def _dilate(modules: list[nn.Module], spread: int) -> int:
    """Take the strides of a stage out of its convolutions, in place; those behind reach `spread` times as
    far, and twice that once a former stride lies ahead of them. Returns the spread behind the stage.

    Parallel branches are strided side by side (the shortcut of a residual block too): the spread grows once a
    stage.
    """
    before = spread
    for layer in (layer for module in modules for layer in module.modules() if isinstance(layer, nn.Conv2d)):
        strided, wide = layer.stride[0] > 1, layer.kernel_size[0] > 1
        reach = before if strided else spread
        if wide and reach > 1:
            layer.dilation = (reach * layer.dilation[0], reach * layer.dilation[1])
            layer.padding = tuple(
                d * (k - 1) // 2 for d, k in zip(layer.dilation, layer.kernel_size, strict=True)
            )
        if strided:
            layer.stride = (1, 1)
            spread = 2 * before if wide else spread
    return spread
