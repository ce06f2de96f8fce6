"""Export a detector's backbone as a source model: its source's architecture under a new linear head.

The backbone was trained on whole photos; the head is fitted to crops of the labelled boxes and of background,
on which the sources were compared before the detector was trained. So a detector becomes a source like any
other: its features can be probed, it can be finetuned, and it carries the signature of those crops. A stage
that the detector did not use stays its source's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import save_file
from torch import nn

from transfer.data.splits import assign_folds
from transfer.features.extract import extract_features_uncached, last_layer
from transfer.features.linear_probe import fit_probe
from transfer.features.network import Network
from transfer.finetune.cross_validation import attach_head
from transfer.selection.context import TrainingContext
from transfer.serving.artifacts import SOURCE
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.loading import State, load
from transfer.zoo.networks.architecture import Architecture
from transfer.zoo.networks.backbone import convolutional_body
from transfer.zoo.networks.registry import architecture

log = logging.getLogger(__name__)


def build_source_network(
    source: SourceModelSpec,
    stages: nn.ModuleDict,
    dense: nn.Module | None = None,
    find_dense: Callable[[Architecture, nn.Module, int], nn.Module | None] = lambda *_: None,
) -> nn.Module:
    """The source's network, as published, with the stages that a detector trained in place of its own.

    `dense`: trained dense layers, which take the place of those that `find_dense(network, model, channels)`
    finds.
    """
    network, model = architecture(source.architecture), load(source)
    body = convolutional_body(network, model)
    nn.ModuleDict(dict(body.stages)).load_state_dict(_on_cpu(stages))
    own = find_dense(network, model, body.channels) if dense is not None else None
    if own is not None and dense is not None:
        own.load_state_dict(_on_cpu(dense))
    # Built again as published: the backbone of a detector has strides taken out.
    published = network.build(source.classes)
    published.load_state_dict(model.state_dict())
    return published.eval()


def copy_stages(source: SourceModelSpec, trained: nn.Module) -> nn.Module:
    """The source's network with all layers but the head of one that was finetuned whole."""
    network, model = architecture(source.architecture), load(source)
    for (name, own), (_, stage) in zip(network.stages(model), network.stages(trained), strict=True):
        if name != 'head':
            own.load_state_dict(_on_cpu(stage))
    return model


def write_source(model: nn.Module, source: SourceModelSpec, context: TrainingContext, folder: Path) -> str:
    """Write the network under a linear head over the crops' classes; returns why it could not be made, or ''.

    It is an extra: a detector is whole without it.
    """
    try:
        network = Network(source, architecture(source.architecture), model)
        pixels = context.open_pixels(source.side)
        features = last_layer(network, extract_features_uncached(network, pixels, context.machine))
        folds = assign_folds(
            context.labels, context.group_images(pixels), context.spec.folds, context.spec.seed
        )
        model_state = attach_head(
            network, context.classes, fit_probe(features, context.labels, context.classes, folds).head
        )
    except (RuntimeError, ValueError) as error:
        log.warning('the detector could not be made a source', exc_info=True)
        return f'{type(error).__name__}: {str(error)[:200]}'
    save_file(
        {name: value.contiguous().clone() for name, value in _on_cpu(model_state).items()}, folder / SOURCE
    )
    return ''


def _on_cpu(module: nn.Module) -> State:
    return {
        name: value.detach().float().cpu() if value.is_floating_point() else value.cpu()
        for name, value in module.state_dict().items()
    }
