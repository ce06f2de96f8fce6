"""Fetch weights that torchvision publishes; `python -m transfer.zoo.fetch.torchvision_weights` is a
json_process.

Request: name (an architecture, or architecture:WEIGHTS), folder, url (where torchvision's files lie), taken
(names of sources that are there). Answer: path, source, architecture, side, mean, std, class_names, dataset,
images, title, licence; or refused: the reason in one line. With the name empty the answer is `listed`: what
may be asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchvision.models import get_model_weights

from transfer.spec.errors import UnusableSourceError
from transfer.zoo.fetch.http_download import (
    OnBytes,
    check_name_is_free,
    download,
    ignore_progress,
    write_bytes_progress,
)
from transfer.zoo.fetch.json_process import answer_request
from transfer.zoo.networks import efficientnet_lite, registry

HOME = 'https://download.pytorch.org/models'
DIGEST_IN_NAME = re.compile(r'-([0-9a-f]{8,64})\.pth$')
FIRST = 'IMAGENET1K_V1'
OURS = ('lenet5', *efficientnet_lite.SCALES)  # networks that torchvision does not know
# Not a classifier: its last layers are NaN by intention.
FEATURES_ONLY = 'IMAGENET1K_FEATURES'
IMAGES = 1_281_167  # of the training part of ImageNet-1k


@dataclass(frozen=True)
class PublishedWeights:
    """One file of torchvision's, before it is fetched."""

    architecture: str
    weights: str  # torchvision's name of them
    url: str
    digest: str  # the first hexadecimal digits of its SHA-256
    class_names: tuple[str, ...]
    side: int
    mean: tuple[float, ...]  # () when they are the architecture's usual ones
    std: tuple[float, ...]
    licence: str
    megabytes: float

    @property
    def source(self) -> str:
        """What the source will be called."""
        return f'{self.architecture}_{"imagenet" if self.weights == FIRST else self.weights.lower()}'


def find_published(name: str, home: str = HOME) -> PublishedWeights:
    """What torchvision publishes under `architecture` (its first ImageNet weights) or `architecture:WEIGHTS`.

    UnusableSourceError where there is nothing of that name, with what there is.
    """
    wanted, _, weights = name.partition(':')
    registry.architecture(wanted)
    found = {entry.weights: entry for entry in _published_of(wanted, home)}
    chosen = found.get(weights.upper() or FIRST)
    if chosen is None:
        others = ', '.join(f'{wanted}:{other}' for other in found)
        raise UnusableSourceError(
            f'torchvision publishes no weights of {name} that Graft can use'
            + (f'; it has {others}' if others else '')
        )
    return chosen


def list_published(home: str = HOME) -> list[PublishedWeights]:
    return [entry for name in registry.names() for entry in _published_of(name, home)]


def _published_of(name: str, home: str) -> list[PublishedWeights]:
    if name in OURS:
        return []
    network = registry.architecture(name)
    entries = get_model_weights(name).__members__
    found = (
        _describe(name, weights, entry, home) for weights, entry in entries.items() if weights == entry.name
    )
    return [
        entry
        for entry in found
        if entry is not None and (entry.side == network.side or not network.fixed_side)
    ]


def _describe(name: str, weights: str, entry: Any, home: str) -> PublishedWeights | None:
    match = DIGEST_IN_NAME.search(entry.url)
    if match is None or weights == FEATURES_ONLY:
        return None
    how = entry.transforms.keywords
    licence = entry.meta.get('license', 'BSD-3-Clause (torchvision); ImageNet itself is for research')
    mean, std = (tuple(how.get(part) or ()) for part in ('mean', 'std'))
    names = tuple(entry.meta['categories'])
    return PublishedWeights(
        name,
        weights,
        entry.url.replace(HOME, home.rstrip('/')),
        match[1],
        names,
        int(how['crop_size']),
        mean,
        std,
        licence,
        float(entry.meta['_file_size']),
    )


def fetch_torchvision(request: dict[str, Any], on_bytes: OnBytes = ignore_progress) -> dict[str, object]:
    if not request['name']:
        return {'listed': [_to_row(entry) for entry in list_published(request['url'])]}
    found = find_published(request['name'], request['url'])
    check_name_is_free(found.source, request['taken'])
    path = Path(request['folder']) / f'{found.source}.pth'
    download(found.url, found.digest, path, on_bytes)
    return {
        'path': str(path),
        'source': found.source,
        'architecture': found.architecture,
        'side': found.side,
        'mean': list(found.mean),
        'std': list(found.std),
        'class_names': list(found.class_names),
        'dataset': 'ImageNet-1k',
        'images': IMAGES,
        'title': f'{found.architecture} on ImageNet, published by torchvision',
        'licence': found.licence,
    }


def _to_row(entry: PublishedWeights) -> list[str]:
    asked = entry.architecture if entry.weights == FIRST else f'{entry.architecture}:{entry.weights}'
    return [asked, str(entry.side), f'{entry.megabytes:.0f} MB']


def main() -> None:
    answer_request(lambda request: fetch_torchvision(request, write_bytes_progress))


if __name__ == '__main__':
    main()
