"""Torch runs a sealed model: on a GPU, and on a CPU where its graph could not be converted."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from transfer.serving.artifacts import WEIGHTS, ArtifactMeta
from transfer.serving.ensemble import build_network
from transfer.serving.export import ServedNetwork
from transfer.spec.errors import CorruptArtifactError, IncompatibleArtifactError, UnusableSourceError


class TorchEngine:
    """The network rebuilt from its description with the artifact's weights, one batch at a time."""

    streams = 1
    largest = 32  # a GPU takes many images in the time of one

    def __init__(self, folder: Path, meta: ArtifactMeta, device: str) -> None:
        try:
            network = build_network(meta)
        except UnusableSourceError as error:
            raise IncompatibleArtifactError(
                f'the model in {folder.name} cannot be rebuilt here: {error.message}'
            ) from error
        try:
            network.load_state_dict(load_file(folder / WEIGHTS), strict=True)
        except RuntimeError as error:
            raise CorruptArtifactError(
                f'the weights of {folder.name} do not fit {meta.architecture}'
            ) from error
        self._device = torch.device(device)
        # Half the memory traffic on a GPU, and tensor cores; a CPU computes as the check at sealing did.
        self._type = torch.float16 if self._device.type == 'cuda' else torch.float32
        network = ServedNetwork(network, meta.preprocessing).eval().to(self._device)
        self._network = network.to(memory_format=torch.channels_last)
        self._lock = threading.Lock()

    @torch.inference_mode()
    def logits(self, images: np.ndarray) -> np.ndarray:
        """uint8 (n, side, side, 3) -> float32 (n, classes)."""
        pixels = torch.from_numpy(np.ascontiguousarray(images))
        with self._lock, torch.autocast(self._device.type, self._type, enabled=self._device.type == 'cuda'):
            return self._network(pixels.to(self._device)).float().cpu().numpy()
