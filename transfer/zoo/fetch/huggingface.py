"""Fetch a timm model's weights from the Hugging Face hub; `python -m transfer.zoo.fetch.huggingface` is a
json_process.

Request: name (timm/NAME or timm/NAME.TAG, as the hub calls it), folder, url (of the hub), taken (names of
sources). Answer: as transfer.zoo.fetch.torchvision_weights; or error: the reason in one line. Only
safetensors are taken, and only with the digest that the hub keeps of them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from transfer.spec.errors import UnusableSourceError
from transfer.zoo.fetch.http_download import (
    OnBytes,
    check_name_is_free,
    download,
    fetch_json,
    ignore_progress,
    write_bytes_progress,
)
from transfer.zoo.fetch.json_process import answer_request
from transfer.zoo.networks import timm_networks
from transfer.zoo.weights import TIMM_PREFIX

WEIGHTS = 'model.safetensors'
NAME = re.compile(r'timm/[A-Za-z0-9_]+(\.[A-Za-z0-9_.-]+)?')
SHA_256 = re.compile(r'[0-9a-f]{64}')
# How many images the sets have that the tags of timm name, the set of the last training first.
SETS = {
    'in1k': ('ImageNet-1k', 1_281_167),
    'in12k': ('ImageNet-12k', 12_129_687),
    'in22k': ('ImageNet-22k', 14_197_122),
    'in21k': ('ImageNet-21k', 14_197_122),
}


def fetch_timm(request: dict[str, Any], on_bytes: OnBytes = ignore_progress) -> dict[str, object]:
    name, home = request['name'], request['url'].rstrip('/')
    if not NAME.fullmatch(name):
        raise UnusableSourceError(f'{name} is no name of a timm model: ask for timm/NAME or timm/NAME.TAG')
    timm_networks.package()
    config = fetch_json(f'{home}/{name}/resolve/main/config.json')
    network = timm_networks.architecture(TIMM_PREFIX + _text(config, 'architecture'))
    digest = _digest(fetch_json(f'{home}/api/models/{name}/tree/main'), name)
    source = re.sub(r'[^A-Za-z0-9_-]', '-', name.removeprefix(TIMM_PREFIX))
    check_name_is_free(source, request['taken'])
    path = Path(request['folder']) / f'{source}.safetensors'
    download(f'{home}/{name}/resolve/main/{WEIGHTS}', digest, path, on_bytes)
    facts = config.get('pretrained_cfg') or {}
    dataset, images = _dataset(name)
    return {
        'path': str(path),
        'source': source,
        'architecture': network.name,
        'side': network.side
        if network.fixed_side
        else int((facts.get('input_size') or [3, network.side])[-1]),
        'mean': list(facts.get('mean') or network.mean),
        'std': list(facts.get('std') or network.std),
        'class_names': [],
        'dataset': dataset,
        'images': images,
        'title': f'{name.removeprefix(TIMM_PREFIX)}, published by timm',
        'licence': str(facts.get('license') or ''),
    }


def _text(config: Any, key: str) -> str:
    value = config.get(key) if isinstance(config, dict) else None
    if not isinstance(value, str) or not value:
        raise UnusableSourceError(f'its config.json names no {key}')
    return value


def _digest(listing: Any, name: str) -> str:
    """SHA-256 of the weights, by the hub's own listing of the files."""
    files = listing if isinstance(listing, list) else []
    entry = next((file for file in files if isinstance(file, dict) and file.get('path') == WEIGHTS), None)
    if entry is None:
        raise UnusableSourceError(f'{name} has no {WEIGHTS} on the hub; nothing else is taken')
    digest = str((entry.get('lfs') or {}).get('oid', ''))
    if not SHA_256.fullmatch(digest):
        raise UnusableSourceError(f'the hub gives no digest of the weights of {name}')
    return digest


def _dataset(name: str) -> tuple[str, int]:
    """What it was last trained on, as far as its tag tells; 0 images: the person who fetches it must say."""
    tag = name.partition('.')[2]
    found = [(tag.rfind(key), *known) for key, known in SETS.items() if key in tag]
    _, dataset, images = max(found, default=(0, '', 0))
    return dataset, images


def main() -> None:
    answer_request(lambda request: fetch_timm(request, write_bytes_progress))


if __name__ == '__main__':
    main()
