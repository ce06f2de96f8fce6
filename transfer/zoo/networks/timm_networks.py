"""Networks of the timm package, an extra that is installed on purpose (requirements-timm.txt).

timm has hundreds of networks and no common description of their parts. What Graft derives is generic: a
network whose parts, taken in the order in which it names them, are its forward pass (ResNets, RegNets,
EfficientNets, MobileNets, DenseNets, ConvNeXts, VGGs ...). Others (those with a class token or shortcuts
between their parts) are refused with a sentence.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import nn

from transfer.spec.errors import UnusableSourceError
from transfer.zoo.networks import torchvision_families
from transfer.zoo.networks.architecture import MEAN, STD, Architecture
from transfer.zoo.weights import TIMM_PREFIX

INSTALL = 'timm is not installed here; `uv pip install -r requirements-timm.txt` adds it'
CLOSE = 1e-4  # largest difference of two ways through a network with random weights


@cache
def architecture(name: str) -> Architecture:
    """The network that timm calls by the rest of `timm/NAME`. UnusableSourceError when it is not there, or
    cannot be derived."""
    timm, wanted = package(), name.removeprefix(TIMM_PREFIX)
    if wanted not in timm.list_models():
        raise UnusableSourceError(f'timm has no network {wanted!r}')
    facts = timm.get_pretrained_cfg(wanted, allow_unregistered=True)
    side = int(facts.input_size[-1]) if facts is not None and facts.input_size else 224
    network = Architecture(
        name,
        _builder(timm, wanted),
        partial(_layout, wanted),
        side=side,
        fixed_side=bool(facts is not None and facts.fixed_input_size),
        has_negative_features=True,
        mean=tuple(facts.mean) if facts is not None and facts.mean else MEAN,
        std=tuple(facts.std) if facts is not None and facts.std else STD,
    )
    _check_order(network, wanted)
    return network


def package() -> Any:
    try:
        return importlib.import_module('timm')
    except ImportError as error:
        raise UnusableSourceError(INSTALL) from error


def _builder(timm: Any, name: str) -> Callable[[int], nn.Module]:
    def build(classes: int) -> nn.Module:
        model: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes)
        return model

    return build


def _layout(name: str, model: Any) -> torchvision_families.Parts:
    """The body in stages that end where the map is halved, and what follows: from the pooling to the class
    scores."""
    rows = list(_list_parts(model))
    place = next((index for index, (part, _) in enumerate(rows) if part.endswith('global_pool')), None)
    if place is None:
        raise UnusableSourceError(_sentence(name))
    body = [piece for _, module in rows[:place] for piece in _pieces(module)]
    tail = [module for _, module in rows[place:]]
    if not body or not any(isinstance(module, nn.Linear | nn.Conv2d) for module in tail):
        raise UnusableSourceError(_sentence(name))
    return torchvision_families.at_halvings(body), tail


def _pieces(module: nn.Module) -> list[nn.Module]:
    """A plain row of modules is as good as its modules, and lets a stage begin inside it."""
    return (
        list(module)
        if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward
        else [module]
    )


def _list_parts(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Its parts by name; a head that is a module of its own is taken apart."""
    found: list[tuple[str, nn.Module]] = []
    for name, module in model.named_children():
        if name == 'head' and not isinstance(module, nn.Linear | nn.Conv2d):
            found += [(f'{name}.{inner}', part) for inner, part in module.named_children()]
        else:
            found.append((name, module))
    return found


@torch.inference_mode()
def _check_order(network: Architecture, name: str) -> None:
    """Its parts in a row must give what the network gives."""
    model = network.build(3).eval()
    images = torch.randn(1, 3, network.side, network.side, generator=torch.Generator().manual_seed(0))
    try:
        ours = nn.Sequential(*(stage for _, stage in network.stages(model)))(images)
        same = torch.allclose(ours, model(images), atol=CLOSE, rtol=CLOSE)
    except (
        RuntimeError,
        TypeError,
        ValueError,
        IndexError,
    ) as error:  # a part that wants more than its predecessor gives
        raise UnusableSourceError(_sentence(name)) from error
    if not same:
        raise UnusableSourceError(_sentence(name))


def _sentence(name: str) -> str:
    return (
        f'{name} is not a plain row of its parts, the only kind of timm network whose layers Graft can derive'
    )
