"""EfficientNet-Lite gives what TensorFlow's gives, from the weights of a package."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from transfer.data.decode import decode
from transfer.spec.errors import UnusableSourceError
from transfer.zoo.fetch import package
from transfer.zoo.loading import load
from transfer.zoo.networks import efficientnet_lite
from transfer.zoo.networks.efficientnet_lite import rename_weights
from transfer.zoo.networks.registry import architecture
from transfer.zoo.signatures.compute import find_image_files

SOURCE = 'efficientnet_lite0_imagenet'
INSTRUMENTS = {
    'accordion': 'accordion',
    'banjo': 'banjo',
    'drums': 'drum',
    'harp': 'harp',
    'saxophone': 'sax',
    'violin': 'violin',
}


# parameters in millions, as the paper's repository lists them
MILLIONS = {'efficientnet_lite0': 4.7, 'efficientnet_lite1': 5.4, 'efficientnet_lite2': 6.1}


@pytest.fixture
def network():
    """A network with weights as they are published: strided kernels of the usual width, and names of their
    own."""
    torch.manual_seed(0)
    model = efficientnet_lite.build('efficientnet_lite0', 4).eval()
    state = {}
    for name, value in model.state_dict().items():
        layer = model.get_submodule(name.rpartition('.')[0])
        strided = isinstance(layer, torch.nn.Conv2d) and layer.stride[0] > 1
        state[f'_{len(state)}'] = value[:, :, 2:, 2:].clone() if strided else value
    model.load_state_dict(rename_weights('efficientnet_lite0', state))
    return model, list(state.values())


@pytest.mark.parametrize(
    ('place', 'before'), [((0, 0), 0), ((2, 'layers', 1, 0), 0), ((4, 'layers', 1, 0), 1)]
)
def test_a_strided_convolution_pads_at_the_right_and_bottom_as_tensorflow_does(network, place, before):
    model, _ = network
    layer = model.features.get_submodule('.'.join(map(str, place)))
    kernel = layer.weight[:, :, 2:, 2:]
    images = torch.randn(2, layer.in_channels, 16, 16)
    padded = functional.pad(images, (before, before + 1, before, before + 1))
    wanted = functional.conv2d(padded, kernel, stride=2, groups=layer.groups)
    assert not layer.weight[:, :, :2].any() and not layer.weight[:, :, :, :2].any()
    torch.testing.assert_close(layer(images), wanted)


@pytest.mark.parametrize('name', MILLIONS)
def test_width_and_depth_grow_as_published(name):
    model = architecture(name).skeleton(1000)
    assert round(sum(values.numel() for values in model.parameters()) / 1e6, 1) == MILLIONS[name]


def test_a_state_of_another_network_is_no_published_one(network):
    _, state = network
    with pytest.raises(ValueError, match='tensors instead of'):
        rename_weights('efficientnet_lite0', dict(enumerate(state[1:])))
    state[0] = torch.zeros(32, 3, 9, 9)
    with pytest.raises(ValueError, match='has the shape'):
        rename_weights('efficientnet_lite0', dict(enumerate(state)))


def test_what_no_package_brings_is_refused(tmp_path):
    with pytest.raises(UnusableSourceError, match="no package brings a source called 'resnet50'"):
        package.read_package({'name': 'resnet50', 'folder': str(tmp_path)})


def test_a_package_with_another_file_is_refused(tmp_path, monkeypatch):
    other = dataclasses.replace(package.PACKAGED[SOURCE], digest='0' * 64)
    monkeypatch.setitem(package.PACKAGED, SOURCE, other)
    with pytest.raises(UnusableSourceError, match='does not hold the file that was tried'):
        package.read_package({'name': SOURCE, 'folder': str(tmp_path)})


def test_without_the_package_the_refusal_names_it(tmp_path, monkeypatch):
    missing = dataclasses.replace(package.PACKAGED[SOURCE], package='no_such_package')
    monkeypatch.setitem(package.PACKAGED, SOURCE, missing)
    with pytest.raises(UnusableSourceError, match='no_such_package is not installed'):
        package.read_package({'name': SOURCE, 'folder': str(tmp_path)})


@pytest.mark.shared
@pytest.mark.parametrize('packaged', package.PACKAGED)
def test_the_packages_network_knows_instruments_by_name(packaged, tmp_path, shared):
    description, source = (
        package.read_package({'name': packaged, 'folder': str(tmp_path)}),
        package.unpack(packaged, tmp_path),
    )
    model = load(source)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (source.mean, source.std))
    for folder, name in INSTRUMENTS.items():
        paths = find_image_files(shared / 'classification' / 'instrument' / folder)[:8]
        pixels = (
            torch.from_numpy(np.stack([decode(path, source.side) for path in paths])).permute(0, 3, 1, 2)
            / 255
        )
        with torch.inference_mode():
            predicted = [
                description['class_names'][place] for place in model((pixels - mean) / std).argmax(1)
            ]
        assert predicted.count(name) >= 6, (folder, predicted)
