"""What the rest of the house asks of any network: its stages, its layer groups, its feature, a new head, a
place to cut.

A network is described once, by its family (families.py), as a row of stages from input to output whose last
one, `head`, gives the class scores. Everything else is derived from that row, so that no two answers can
disagree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# ImageNet's channel statistics: what torchvision's networks were trained with.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

POOLED_STAGES = 4  # of the body, counted from its end, whose pooled outputs `embed_stages` puts side by side

# (stages of the body, then the modules behind them: pooling, dense layers, the head)
Layout = Callable[[Any], tuple[list[list[nn.Module]], list[nn.Module]]]


@dataclass(frozen=True)
class Architecture:
    """One network of the registry.

    Two features, not to be confused: `embed` is what the head sees (pooled, possibly negative): fit linear
    heads on it, for then their weights ARE a head. `features` is its positive part: what P2L compares. For
    most networks the two are equal (they end in a ReLU); for those with `has_negative_features` (ViT, Swin,
    ConvNeXt, MaxViT; hardly so EfficientNet and MobileNet v3, whose activations reach down to -0.38 only) the
    negative part is cut off, because a signature is normalised to sum one.
    """

    name: str
    builder: Callable[[int], nn.Module] = field(repr=False)
    layout: Layout = field(repr=False)
    side: int = 224  # pixels: the input it is usually trained at
    min_side: int = 32  # the smallest input it takes
    fixed_side: bool = False  # takes `side` and no other
    has_negative_features: bool = False
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD

    def build(self, classes: int) -> nn.Module:
        """A fresh network with random weights, without auxiliary heads."""
        model = self.builder(classes)
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.inplace = False  # or dropout would write into cached activations
        return model

    def stages(self, model: nn.Module) -> list[tuple[str, nn.Sequential]]:
        """The network in order: `stage1` ..., `dense1` ... where there are hidden dense layers, `head`.

        Run one after the other they give model(images). The modules are the model's own, not copies.
        """
        body, tail = self.layout(model)
        groups = _merge_without_parameters(body)
        dense = _cut_dense(tail, groups[-1])
        names = [f'stage{number}' for number in range(1, len(groups) + 1)]
        names += [f'dense{number}' for number in range(1, len(dense))] + ['head']
        return [(name, nn.Sequential(*modules)) for name, modules in zip(names, groups + dense, strict=True)]

    def layer_groups(self, model: nn.Module) -> list[tuple[str, list[nn.Parameter]]]:
        """(name, parameters) from input to output, every parameter exactly once; the last is `head`."""
        return [(name, list(stage.parameters())) for name, stage in self.stages(model)]

    def split(self, model: nn.Module, group: str) -> tuple[nn.Sequential, nn.Sequential]:
        """(prefix, suffix): suffix begins with `group` and ends in class scores; suffix(prefix(x)) is
        model(x).

        Both hold the model's own modules. A frozen prefix must be in eval() when its activations are cached.
        KeyError for a group that the network does not have.
        """
        stages = self.stages(model)
        names = [name for name, _ in stages]
        if group not in names:
            raise KeyError(f'{self.name} has no layer group {group!r}; it has {", ".join(names)}')
        place = names.index(group)
        return (
            nn.Sequential(*(stage for _, stage in stages[:place])),
            nn.Sequential(*(stage for _, stage in stages[place:])),
        )

    def embed(self, model: nn.Module, images: Tensor) -> Tensor:
        """Images (n, 3, side, side), normalised, to what the head sees: (n, feature_size)."""
        return pool(self.split(model, 'head')[0](images))

    def features(self, model: nn.Module, images: Tensor) -> Tensor:
        """Images (n, 3, side, side), normalised, to the non-negative penultimate feature (n,
        feature_size)."""
        return self.embed(model, images).clamp(min=0)

    def embed_stages(self, model: nn.Module, images: Tensor) -> Tensor:
        """Images (n, 3, side, side), normalised, to the pooled outputs of the last POOLED_STAGES stages side
        by side, (n, d). Their last `feature_size` columns are `embed`. Only where `pools_stages`.
        """
        found = []
        for _, stage in self.stages(model)[:-1]:
            images = stage(images)
            found.append(pool(images))
        return torch.cat(found[-POOLED_STAGES:], 1)

    def replace_head(self, model: nn.Module, classes: int) -> nn.Linear:
        """Put a fresh linear layer over the embedding in place of the last one; returns it (weights 0.01 x
        normal, bias 0).

        SqueezeNet's own head is a convolution with a ReLU before the pooling, which can give no score below
        zero; its new head is linear on the pooled map like everyone's.
        """
        old = self.head(model)
        head = nn.Linear(old.weight.shape[1], classes, device=old.weight.device, dtype=old.weight.dtype)
        # as for R-CNN's new layers: small scores, so even first probabilities
        nn.init.normal_(head.weight, std=0.01)
        nn.init.zeros_(head.bias)
        path = self.head_path(model)
        if isinstance(old, nn.Conv2d):
            fresh = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), head)
            model.set_submodule(path.rpartition('.')[0], fresh.train(model.training))
        else:
            model.set_submodule(path, head)
        return head

    def head(self, model: nn.Module) -> nn.Linear | nn.Conv2d:
        """The layer that has one row a class."""
        last = self.stages(model)[-1][1]
        return [module for module in last.modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]

    def head_path(self, model: nn.Module) -> str:
        """Its name within the model: `head_path + '.weight'` is the key in a state_dict."""
        head = self.head(model)
        return next(name for name, module in model.named_modules() if module is head)

    def skeleton(self, classes: int) -> nn.Module:
        """The network without memory for its weights (meta device): names and shapes only."""
        with _WithoutMemory():
            model = self.build(classes)
        return model.to('meta')

    @cached_property
    def outline(self) -> Outline:
        """What can be known without weights; the first question costs 0.1 to 1 s, the next ones nothing."""
        model = self.skeleton(2)
        return Outline(
            feature_size=int(self.head(model).weight.shape[1]),
            group_names=tuple(name for name, _ in self.stages(model)),
            head_path=self.head_path(model),
            pools_stages=any(isinstance(module, nn.BatchNorm2d) for module in model.modules()),
            shapes={name: tuple(value.shape) for name, value in model.state_dict().items()},
        )

    @property
    def feature_size(self) -> int:
        return self.outline.feature_size

    @property
    def pools_stages(self) -> bool:
        return self.outline.pools_stages

    @property
    def group_names(self) -> tuple[str, ...]:
        return self.outline.group_names


@dataclass(frozen=True)
class Outline:
    """A network's names and shapes, as built for two classes."""

    feature_size: int
    group_names: tuple[str, ...]
    head_path: str  # of the layer that has one row a class
    # Whether every stage gives a map (n, channels, h, w), which can be pooled: convolutional networks with
    # batch norms. Tokens and maps with channels last (ViT, Swin) are left out.
    pools_stages: bool
    shapes: dict[str, tuple[int, ...]]  # of every tensor of its state

    def shapes_for(self, classes: int) -> dict[str, tuple[int, ...]]:
        head = f'{self.head_path}.'
        return {
            name: (classes, *shape[1:]) if name.startswith(head) else shape
            for name, shape in self.shapes.items()
        }


class _WithoutMemory(TorchFunctionMode):
    """What parameters are made of goes to the meta device. Unlike torch.device('meta') it leaves arange
    alone: RegNet computes its widths with real numbers while it is built."""

    MAKERS = (torch.empty, torch.zeros, torch.ones)

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if function in self.MAKERS and kwargs.get('device') is None:
            kwargs['device'] = 'meta'
        return function(*args, **kwargs)


def pool(activations: Tensor) -> Tensor:
    """A map (n, d, h, w) averaged to (n, d); what is flat already stays."""
    return activations.mean((2, 3)) if activations.dim() == 4 else activations


def _merge_without_parameters(groups: list[list[nn.Module]]) -> list[list[nn.Module]]:
    """Stages that learn nothing (pooling) go to the stage before them."""
    merged: list[list[nn.Module]] = []
    for modules in groups:
        if merged and not any(True for module in modules for _ in module.parameters()):
            merged[-1].extend(modules)
        else:
            merged.append(list(modules))
    return merged


def _cut_dense(tail: list[nn.Module], before: list[nn.Module]) -> list[list[nn.Module]]:
    """A stage for each dense layer of the tail; dropout goes with the dense layer it feeds.

    What comes ahead of the first one (pooling, flattening, a norm) joins the last stage of the body,
    `before`.
    """
    groups = [before]
    waiting: list[nn.Module] = []
    for module in tail:
        if isinstance(module, nn.Dropout):
            waiting.append(module)
        elif isinstance(module, nn.Linear | nn.Conv2d):
            groups.append([*waiting, module])
            waiting = []
        else:
            groups[-1].append(module)
    return groups[1:]
