"""Seal a trained classifier into an artifact folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import nn

from transfer.runtime.atomic_write import replace_folder
from transfer.serving import export
from transfer.serving.artifacts import (
    ArtifactMeta,
    EnsembleMember,
    Preprocessing,
    omit_signature,
    omit_signatures,
    write_meta,
)
from transfer.spec.report import SealedModel, TrainReport
from transfer.spec.train_spec import SourceModelSpec, TrainSpec


def seal(
    folder: Path,
    model: nn.Module,
    *,
    labels: Sequence[str],
    preprocessing: Preprocessing,
    temperature: float,
    source: SourceModelSpec,
    members: Sequence[EnsembleMember] = (),
    stage_features: int = 0,
    why: str,
    spec: TrainSpec,
    report: TrainReport,
    sample: np.ndarray,
    provisional: bool = False,
) -> SealedModel:
    """Write a whole artifact beside `folder`, then rename it there, replacing what an earlier attempt left.

    `model` is what `transfer.serving.ensemble.build_network` builds from the description: a network with
    its head over the last stage or (`stage_features`) over several, or an ensemble of `members`. It takes
    normalised float (n, 3, side, side) and gives logits (n, classes); normalisation is added here, inside
    the graph. `sample` is uint8 (n, side, side, 3): real images (about 32) on which the graph is checked
    against torch. `provisional` marks the instant model; its folder goes without the ONNX file, which
    nobody will download. The returned report is the given one with `engine` filled in. A conversion that
    fails is recorded there, never raised.
    """
    with replace_folder(folder) as aside:
        engine = export.export(model, preprocessing, temperature, sample, aside, keep_onnx=not provisional)
        report = dataclasses.replace(report, engine=engine)
        meta = ArtifactMeta(
            labels=tuple(labels),
            architecture=source.architecture,
            preprocessing=preprocessing,
            temperature=float(temperature),
            engine=engine,
            source=omit_signature(source),
            stage_features=stage_features,
            members=tuple(members),
            why=why,
            provisional=provisional,
            spec=omit_signatures(spec),
            data_digest=report.data_digest,
            seed=spec.seed,
            versions=export.versions(),
            report=report.to_json(),
        )
        digest = write_meta(aside, meta)
    return SealedModel(str(folder), digest, report)
