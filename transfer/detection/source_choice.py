"""Which source a detector starts from.

As for a classifier, by crops of the labelled boxes and of background.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch

from transfer.data.manifests import DetectionManifest
from transfer.data.near_duplicates import DuplicateGroups
from transfer.detection.context import DetectionContext
from transfer.detection.crops import cut_crops
from transfer.features.network import count_multiply_adds
from transfer.finetune.plan import HEAVY
from transfer.selection.choose import (
    Preference,
    SourceChoice,
    choose_source,
    probe_first_usable,
    rank_sources,
)
from transfer.selection.context import ProbedSource, TrainingContext
from transfer.spec.errors import UnusableSourceError
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.networks.backbone import convolutional_body
from transfer.zoo.networks.registry import architecture


def choose_detector_source(
    context: DetectionContext,
    manifest: DetectionManifest,
    proposals: Sequence[np.ndarray],
    group_of: Mapping[str, str],
) -> SourceChoice:
    """Rank the sources, probe the best of them and choose one; `proposals` in the manifest's order.

    `group_of`: by the digest of a photo; crops of one group are in one fold.
    """
    with context.tracker.phase('decode', 'Cutting out the labelled boxes'):
        crops = cut_crops(
            manifest, proposals, context.workdir / 'crops', context.spec.seed, context.tracker.update
        )
    spec = dataclasses.replace(context.spec, sources=_usable_sources(context))
    context.crops = TrainingContext(
        crops,
        spec,
        context.device,
        context.cache,
        context.tracker,
        context.notes,
        duplicates=DuplicateGroups(tuple(group_of[crop.photo] for crop in crops.images), (), ()),
    )
    ranked = rank_sources(context.crops)
    with context.tracker.phase('instant', 'Extracting their features with the first source'):
        first = probe_first_usable(context.crops, ranked)
    preference = Preference(('looks at a photo more thoroughly',), partial(_work, device=context.device))
    # Where every region costs a pass of the network, the lighter of two equal sources is the better one.
    return choose_source(context.crops, ranked, first, None if context.info.crops_regions else preference)


def _work(probed: ProbedSource, device: torch.device) -> tuple[float]:
    """Multiply-adds of an image, by which sources with equal probes are ordered.

    Telling crops apart says little of detection.

    Every source tells raccoons from their surroundings, yet MobileNetV3-Small (0.06 G) came to a mAP of 0.55
    where MobileNetV2 (0.3 G) had come to 0.82; on blood cells it came to 0.65, SqueezeNet 1.1 (0.3 G) to
    0.71. Of those too heavy for a CPU, the lighter the better.
    """
    macs = count_multiply_adds(probed.network)
    return (-macs if device.type == 'cpu' and macs > HEAVY else macs,)


def _usable_sources(context: DetectionContext) -> tuple[SourceModelSpec, ...]:
    """The sources that can become a detector of this kind; the others are named in the notes."""
    if context.info.crops_regions:
        return context.spec.sources
    usable = []
    for source in context.spec.sources:
        if why := _why_unusable(source):
            context.notes.append(f'The source {source.name} was left out: {why}.')
        else:
            usable.append(source)
    return tuple(usable)


def _why_unusable(source: SourceModelSpec) -> str:
    """Why the network has no feature map to pool regions from, or ''."""
    try:
        network = architecture(source.architecture)
        convolutional_body(network, network.skeleton(2))
    except UnusableSourceError as error:
        return error.message
    return ''
