"""Cut out of a classifier's artifact the weights that make it a source model: of one network, under its own
names, with a head over its last stage. No torch here."""

from __future__ import annotations

from pathlib import Path

from safetensors.numpy import load_file, save_file

from transfer.serving.artifacts import WEIGHTS, ArtifactMeta

MEMBER = 'members.0.'  # the chosen source's network, in transfer.serving.ensemble.EnsembleNetwork
NETWORK = 'network.'  # the network under a head over several stages, in transfer.zoo.networks.multi_stage


def has_own_names(meta: ArtifactMeta) -> bool:
    """Whether the weights file is that of a single network with a head over its last stage already."""
    return not meta.members and not meta.stage_features


def write_source_weights(folder: Path, meta: ArtifactMeta, path: Path) -> None:
    """Write them to `path`. Of an ensemble it is the network of the chosen source."""
    stage_features = meta.members[0].stage_features if meta.members else meta.stage_features
    prefix = (MEMBER if meta.members else '') + (NETWORK if stage_features else '')
    state = {
        name.removeprefix(prefix): values
        for name, values in load_file(folder / WEIGHTS).items()
        if name.startswith(prefix)
    }
    save_file(state, path)
