"""Extract features with one forward pass, cached by image: photos added later cost only their own pass."""

from __future__ import annotations

import hashlib
import time
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from transfer.data.cache import Pixels
from transfer.features.network import Machine, Network
from transfer.runtime.atomic_write import replace_file
from transfer.runtime.device import (
    FORWARD_BATCH,
    autocast,
    choose_precision,
    normalise,
    run_in_batches,
    to_float_images,
)
from transfer.zoo.networks.architecture import POOLED_STAGES

TIMED_SECONDS = (
    0.1  # seconds of a pass that is timed for the choice of a precision, about; at least one image
)
MOST_CACHED = 50_000  # images of one network whose features stay on disk: 200 MB at 1,000 numbers


def extract_features(network: Network, pixels: Pixels, machine: Machine) -> np.ndarray:
    """The features of each image, float32 (n, d), in the order of the pixels: the pooled outputs of several
    stages where the network has them (Architecture.embed_stages), else the input of its head
    (Architecture.embed), which `last_layer` cuts out of either.

    Cached by (weights, side, policy, precision, image).
    """
    source = network.source
    model = _move_to_device(network, machine)
    precision = forward_precision(network, pixels, machine)
    key = (
        f'{source.digest or source.name} {source.mean} {source.std} '
        f'{pixels.side} {pixels.policy} {precision} {machine.device.type} '
        f'{POOLED_STAGES if network.architecture.pools_stages else 1}'
    )
    path = machine.cache / 'features' / f'{hashlib.sha256(key.encode()).hexdigest()[:40]}.npz'
    known = _read_cache(path)
    first = {digest: index for index, digest in reversed(list(enumerate(pixels.digests)))}
    missing = [index for digest, index in first.items() if digest not in known]
    if missing:
        fresh = _extract_rows(network, model, pixels.array, sorted(missing), precision, machine)
        known |= {pixels.digests[index]: fresh[place] for place, index in enumerate(sorted(missing))}
        _write_cache(path, known)
    return np.stack([known[digest] for digest in pixels.digests])


def extract_features_uncached(network: Network, pixels: Pixels, machine: Machine) -> np.ndarray:
    """As `extract_features`, without the cache, for measurements of cost."""
    model = _move_to_device(network, machine)
    precision = forward_precision(network, pixels, machine)
    return _extract_rows(network, model, pixels.array, list(range(len(pixels.array))), precision, machine)


def last_layer(network: Network, features: np.ndarray) -> np.ndarray:
    """Of features (n, d), those that the network's own head sees: (n, feature_size). Their positive part is
    P2L's feature."""
    return features[:, -network.architecture.feature_size :]


def _move_to_device(network: Network, machine: Machine) -> nn.Module:
    return network.model.to(machine.device).to(memory_format=torch.channels_last).eval()


@torch.inference_mode()
def _extract_rows(
    network: Network, model: nn.Module, array: np.ndarray, rows: list[int], precision: str, machine: Machine
) -> np.ndarray:
    found: list[np.ndarray] = []

    def work(start: int, stop: int) -> None:
        found.append(_embed_batch(network, model, array[rows[start:stop]], precision, machine.device))
        machine.on_progress(stop / len(rows))

    run_in_batches(len(rows), FORWARD_BATCH[machine.device.type], work, machine.note)
    return np.concatenate(found)


@torch.inference_mode()
def _embed_batch(
    network: Network, model: nn.Module, array: np.ndarray, precision: str, device: torch.device
) -> np.ndarray:
    images = normalise(
        to_float_images(torch.from_numpy(array), device), network.source.mean, network.source.std
    )
    with autocast(device, precision):
        known = network.architecture
        embed = known.embed_stages if known.pools_stages else known.embed
        return embed(model, images).float().cpu().numpy()


def forward_precision(network: Network, pixels: Pixels, machine: Machine) -> str:
    """The precision of passes without gradients through this network, by timing one of a batch as large as
    theirs: with eight images on a CPU bfloat16 hardly gains, with sixteen it takes two thirds (MobileNet v3).
    """
    model = _move_to_device(network, machine)

    def embed(images: int, precision: str) -> None:
        _embed_batch(network, model, pixels.array[:images], precision, machine.device)

    @cache
    def affordable() -> int:
        embed(1, 'float32')
        start = time.perf_counter()
        embed(1, 'float32')
        return max(
            1, min(int(TIMED_SECONDS / (time.perf_counter() - start)), FORWARD_BATCH[machine.device.type])
        )

    key = f'features {network.architecture.name} {pixels.side}'
    memory = machine.cache / 'precision.json'
    return choose_precision(
        machine.precision, key, machine.device, lambda wanted: embed(affordable(), wanted), memory, rounds=1
    )


def _read_cache(path: Path) -> dict[str, np.ndarray]:
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as file:
        return dict(zip(file['digests'].tolist(), file['features'], strict=True))


def _write_cache(path: Path, known: dict[str, np.ndarray]) -> None:
    latest = list(known.items())[-MOST_CACHED:]
    with replace_file(path) as aside, aside.open('wb') as file:
        np.savez(
            file,
            digests=np.array([digest for digest, _ in latest]),
            features=np.stack([row for _, row in latest]),
        )
