"""Published networks are imported and recognise what is on real photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from recognition.models import SourceModel
from recognition.zoo import catalog, registration
from transfer.data.decode import decode
from transfer.zoo.loading import load

pytestmark = pytest.mark.django_db


# Photos of the development images and what the networks should see in them, as words of their class names.
IMAGENET = {
    'classification/flower/daisy': ('daisy',),
    'classification/instrument/accordion': ('accordion',),
    'classification/instrument/banjo': ('banjo',),
    'classification/instrument/harp': ('harp',),
    'classification/instrument/saxophone': ('sax, saxophone',),
    'classification/instrument/violin': ('violin', 'cello'),
    'classification/instrument/piano': ('grand piano', 'upright piano'),
}


BIRDS = {'sources/object/flamingo': ('Flamingo',), 'sources/object/ibis': ('Ibis', 'Spoonbill')}


INSECTS = {
    'sources/object/butterfly': (
        'Monarch',
        'Admiral',
        'Buckeye',
        'Swallowtail',
        'Fritillary',
        'Checkerspot',
        'Purple',
        'Viceroy',
        'Lady',
        'Moth',
    ),
}


# Share of photos with a right name among the best five: measured 0.97, 1.0, 0.87, 0.89; the iNaturalist
# pictures are 128 pixels wide, a half of what those networks want.
LEAST = {
    'mobilenet_v2_imagenet': (IMAGENET, 0.9),
    'mobilenet_v3_small_imagenet': (IMAGENET, 0.9),
    'squeezenet1_0_imagenet': (IMAGENET, 0.8),
    'squeezenet1_1_imagenet': (IMAGENET, 0.8),
    'mobilenet_v2_inat_bird': (BIRDS, 0.5),
    'mobilenet_v2_inat_insect': (INSECTS, 0.7),
}


def read_photos(folder: Path, count: int) -> torch.Tensor:
    paths = sorted(folder.glob('*.jpg'))[:count]
    pixels = (
        torch.from_numpy(np.stack([decode(path, 224, 'centre') for path in paths])).permute(0, 3, 1, 2) / 255
    )
    return (pixels - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(3, 1, 1)


@torch.inference_mode()
def share_right(
    model: torch.nn.Module, names: list[str], root: Path, truth: dict[str, tuple[str, ...]]
) -> float:
    hits = []
    for folder, words in truth.items():
        scores = model(read_photos(root / folder, 12))
        if 'background' in names:
            scores[:, names.index('background')] = -torch.inf
        hits += [
            any(word in names[place] for word in words for place in row)
            for row in scores.topk(5).indices.tolist()
        ]
    return float(np.mean(hits))


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.usefixtures('in_this_process')
def test_the_six_real_networks_import_and_are_right_about_real_photos(shared, alice):
    for path in sorted((shared / 'weights').glob('*.pth')):
        registration.import_source(
            path, registration.SourceMetadata(dataset=path.stem.partition('_i')[2], images=1_281_167), alice
        )
    names = dict(SourceModel.objects.values_list('name', 'class_names'))
    assert set(names) == set(LEAST)
    for source in catalog.list_sources(alice):
        truth, least = LEAST[source.name]
        assert share_right(load(source), names[source.name], shared, truth) >= least, source.name
