"""Rows of source models whose weights file is a small network."""

from __future__ import annotations

from pathlib import Path

import torch
from django.utils import timezone
from safetensors.torch import save_file

from recognition.models import SourceModel
from transfer.zoo.networks.registry import architecture
from transfer.zoo.weights import file_digest


def add_source(folder: Path, name: str, seed: int, **fields) -> SourceModel:
    torch.manual_seed(seed)
    path = folder / f'{name}.safetensors'
    save_file(architecture('lenet5').build(3).state_dict(), path)
    return add_row(name, weights=str(path), digest=file_digest(path), **{'size': 1, 'side': 32, **fields})


def add_row(name: str, **fields) -> SourceModel:
    """The row of an approved source model without a file."""
    known = {
        'architecture': 'lenet5',
        'weights': f'/nowhere/{name}.pth',
        'digest': name,
        'size': 1000,
        'mean': [0.5] * 3,
        'std': [0.2] * 3,
        'images': 9,
        'classes': 3,
        'origin': 'imported',
        'approved_at': timezone.now(),
    }
    return SourceModel.objects.create(name=name, **{**known, **fields})
