"""Fetch the weights that torchvision publishes: `python -m transfer.zoo.published` reads one JSON request, writes one answer.

Request: name (of an architecture), folder, url (where torchvision's files lie). Answer: path, class_names, dataset, images,
title, licence; or refused: the reason in one line. What arrives is checked against the digest in its own name.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchvision.models import get_model_weights

from transfer.spec import TrainingError, UnusableSource
from transfer.zoo import registry

HOME = 'https://download.pytorch.org/models'
SILENCE = 10  # seconds without a byte after which the other side counts as unreachable
LARGEST = 4 * 2**30  # bytes; the largest that torchvision publishes is 2.5 GiB
BLOCK = 2**20
DIGEST_IN_NAME = re.compile(r'-([0-9a-f]{8,64})\.pth$')


@dataclass(frozen=True)
class Published:
    """One file of torchvision's, before it is fetched."""

    url: str
    digest: str  # the first hexadecimal digits of its SHA-256
    class_names: tuple[str, ...]


def published(name: str, home: str = HOME) -> Published:
    """Where the first published ImageNet weights of an architecture lie. UnusableSource where there are none."""
    registry.architecture(name)
    weights = get_model_weights(name) if name != 'lenet5' else None
    if weights is None or 'IMAGENET1K_V1' not in weights.__members__:
        raise UnusableSource(f'torchvision publishes no weights of {name} that Graft can use')
    entry = weights['IMAGENET1K_V1']
    match = DIGEST_IN_NAME.search(entry.url)
    if match is None:
        raise UnusableSource(f'torchvision publishes no digest of its weights of {name}')
    return Published(entry.url.replace(HOME, home.rstrip('/')), match[1], tuple(entry.meta['categories']))


def download(url: str, digest: str, target: Path) -> None:
    """Fetch a file beside `target`, check the beginning of its SHA-256, rename it. UnusableSource in one line, else."""
    host = urllib.parse.urlsplit(url).netloc
    aside = target.with_name(f'{target.name}.part')
    try:
        with urllib.request.urlopen(url, timeout=SILENCE) as answer, aside.open('wb') as file:  # noqa: S310 the administrator's own setting
            found = _copy(answer, file)
        if not found.startswith(digest):
            raise UnusableSource(f'what came from {host} is not the published file: its digest is {found[:8]}, not {digest[:8]}')
        aside.replace(target)
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, 'reason', error)
        raise UnusableSource(f'{host} did not give the weights ({reason}); nothing was changed') from error
    finally:
        aside.unlink(missing_ok=True)


def _copy(source: Any, target: Any) -> str:
    """Copy a stream to a file; its SHA-256."""
    digest = hashlib.sha256()
    size = 0
    while block := source.read(BLOCK):
        size += len(block)
        if size > LARGEST:
            raise ValueError('it is larger than any that torchvision publishes')
        digest.update(block)
        target.write(block)
    return digest.hexdigest()


def fetch(request: dict[str, str]) -> dict[str, Any]:
    found = published(request['name'], request['url'])
    path = Path(request['folder']) / f'{request["name"]}_imagenet.pth'
    download(found.url, found.digest, path)
    return {
        'path': str(path),
        'class_names': list(found.class_names),
        'dataset': 'ImageNet-1k',
        'images': 1_281_167,  # its training part
        'title': f'{request["name"]} on ImageNet, published by torchvision',
        'licence': 'BSD-3-Clause (torchvision); ImageNet itself is for research',
    }


def main() -> None:
    try:
        answer = fetch(json.load(sys.stdin))
    except TrainingError as error:
        answer = {'refused': error.message}
    json.dump(answer, sys.stdout)


if __name__ == '__main__':
    main()
