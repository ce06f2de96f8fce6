"""Weights files of small networks, as uploads and as a starter zoo."""

from __future__ import annotations

import io
import json
from pathlib import Path

import torch
from django.core.files.uploadedfile import SimpleUploadedFile
from safetensors.torch import save_file

from transfer.zoo.networks.registry import architecture


def upload_weights(
    classes: int = 3, name: str = 'lenet5_digits.pth', seed: int = 1, **changes
) -> SimpleUploadedFile:
    torch.manual_seed(seed)
    file = io.BytesIO()
    torch.save(architecture('lenet5').build(classes).state_dict() | changes, file)
    return SimpleUploadedFile(name, file.getvalue())


def save_lenet(path: Path, classes: int = 3, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    state = architecture('lenet5').build(classes).state_dict()
    save_file(state, path) if path.suffix == '.safetensors' else torch.save(state, path)
    return path


def write_starter_model(folder: Path, name: str, **changes) -> Path:
    save_lenet(folder / f'{name}.safetensors', seed=len(name))
    source = {
        'name': name,
        'title': f'The {name}',
        'architecture': 'lenet5',
        'class_names': ['a', 'b', 'c'],
        'images': 90,
        'side': 32,
        'mean': [0.5, 0.5, 0.5],
        'std': [0.2, 0.2, 0.2],
        'sets': [{'name': 'tints', 'origin': 'drawn', 'licence': 'CC0-1.0'}],
        'licence': 'Apache-2.0',
        **changes,
    }
    (folder / f'{name}.json').write_text(json.dumps(source))
    return folder / f'{name}.json'
