from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

from transfer.spec.errors import UnusableSourceError
from transfer.zoo import weights
from transfer.zoo.fetch.inspect_weights import find_by_fingerprint
from transfer.zoo.networks import registry, torchvision_families
from transfer.zoo.networks.architecture import Architecture

# Above it a network is checked on the meta device only (names, shapes, parameters); its smaller siblings
# share its layout.
REAL_PARAMETERS = 9_000_000
# the smallest of their layouts
REAL_TOO = {'resnet18', 'swin_t', 'swin_v2_t', 'convnext_tiny', 'inception_v3'}


def count_parameters(network: Architecture) -> int:
    """By the outline, which is built without memory; buffers of batch norms left out."""
    counters = ('running_mean', 'running_var', 'num_batches_tracked')
    shapes = network.outline.shapes.items()
    return sum(math.prod(shape) for name, shape in shapes if not name.endswith(counters))


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize('name', registry.names())
def test_every_network_answers_the_same_questions(name):
    network = registry.architecture(name)
    is_small = count_parameters(network) < REAL_PARAMETERS or name in REAL_TOO
    device = 'cpu' if is_small else 'meta'
    model = (network.build(7) if is_small else network.skeleton(7)).eval()
    images = torch.randn(2, 3, network.min_side, network.min_side, device=device)

    groups = network.layer_groups(model)
    assert sorted(id(parameter) for _, group in groups for parameter in group) == sorted(
        map(id, model.parameters())
    )
    assert all(group for _, group in groups)
    assert len(groups) >= 4
    assert groups[-1][0] == 'head'
    assert tuple(group for group, _ in groups) == network.group_names
    assert name in find_by_fingerprint(network.outline.shapes), (
        'run python -m transfer.zoo.fetch.inspect_weights --write-fingerprints'
    )
    assert groups[-1][1][0] is model.get_submodule(network.head_path(model)).weight

    with torch.inference_mode():
        embedded = network.embed(model, images)
        assert embedded.shape == (2, network.feature_size)
        # On the meta device the model's own forward pass is tried below, with its new head: a pass costs half
        # a second.
        whole = model(images) if is_small else None
        if is_small:
            features = network.features(model, images)
            assert whole.shape == (2, 7)
            assert features.shape == embedded.shape
            assert features.min() >= 0
            assert network.has_negative_features or torch.equal(features, embedded)
        for group in {groups[0][0], groups[len(groups) // 2][0], 'head'} if is_small else {groups[-2][0]}:
            prefix, suffix = network.split(model, group)
            again = suffix(prefix(images))
            assert again.shape == (2, 7)
            if is_small:
                torch.testing.assert_close(again, whole, rtol=1e-4, atol=1e-5 * float(whole.abs().max()))

        head = network.replace_head(model, 3)
        assert head.weight.shape == (3, network.feature_size)
        assert network.head(model) is head
        assert model(images).shape == (2, 3)
        if is_small:
            torch.testing.assert_close(head(embedded), model(images), rtol=1e-4, atol=1e-5)
    regrouped = network.layer_groups(model)
    assert {id(parameter) for _, group in regrouped for parameter in group} == set(
        map(id, model.parameters())
    )
    assert [len(group) for _, group in regrouped[:-1]] == [len(group) for _, group in groups[:-1]]


def test_the_layout_of_a_vit_is_its_forward_pass():
    # Every ViT of torchvision is too large for a quick test with real numbers; this one has the same class.
    torch.manual_seed(0)
    model = VisionTransformer(
        image_size=32, patch_size=8, num_layers=5, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=7
    ).eval()
    nn.init.normal_(model.heads.head.weight)  # torchvision's starts at zero, which would hide any difference
    network = Architecture(
        'small_vit', lambda classes: model, torchvision_families.vit, side=32, has_negative_features=True
    )
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        for group, _ in network.layer_groups(model):
            prefix, suffix = network.split(model, group)
            torch.testing.assert_close(suffix(prefix(images)), model(images))
        assert network.embed(model, images).min() < 0 <= network.features(model, images).min()


def test_plain_networks_with_batch_norm_and_dense_layers_split_where_they_say():
    network = registry.architecture('alexnet')
    assert network.group_names == ('stage1', 'stage2', 'stage3', 'dense1', 'dense2', 'head')
    model = network.skeleton(5)
    images = torch.empty(1, 3, 224, 224, device='meta')
    assert network.split(model, 'dense1')[0](images).shape == (1, 256 * 6 * 6)


def test_all_classification_networks_of_torchvision_and_lenet_are_there():
    families_wanted = {
        'alexnet',
        'vgg16',
        'vgg16_bn',
        'googlenet',
        'inception_v3',
        'resnet50',
        'resnext50_32x4d',
        'wide_resnet50_2',
        'densenet121',
        'squeezenet1_1',
        'shufflenet_v2_x1_0',
        'mobilenet_v2',
        'mobilenet_v3_small',
        'mnasnet1_0',
        'efficientnet_b0',
        'efficientnet_v2_s',
        'regnet_y_400mf',
        'convnext_tiny',
        'swin_t',
        'swin_v2_t',
        'vit_b_16',
        'maxvit_t',
        'lenet5',
    }
    assert families_wanted <= set(registry.names())
    assert len(registry.names()) >= 80
    assert registry.architecture('inception_v3').side == 299
    assert registry.architecture('vit_b_16').fixed_side


def test_the_torch_free_list_of_names_is_the_registrys():
    assert registry.names() == weights.ARCHITECTURE_NAMES


def test_registering_a_name_twice_is_an_error():
    with pytest.raises(ValueError, match="'resnet18' is registered twice"):
        registry.register(registry.architecture('resnet18'))


def test_an_unknown_architecture_is_named():
    with pytest.raises(UnusableSourceError, match="no architecture 'resnet19'"):
        registry.architecture('resnet19')


def test_an_unknown_layer_group_is_answered_with_the_known_ones():
    network = registry.architecture('lenet5')
    with pytest.raises(KeyError, match='stage1, stage2, dense1, dense2, head'):
        network.split(network.build(2), 'layer9')


def test_training_the_suffix_on_cached_activations_trains_the_network_itself():
    network = registry.architecture('mobilenet_v3_small')
    model = network.build(4)
    network.replace_head(model, 2)
    prefix, suffix = network.split(model, 'dense1')
    cached = prefix.eval()(torch.randn(4, 3, 64, 64)).detach()
    kept = cached.clone()
    suffix.train()(cached).sum().backward()
    assert torch.equal(cached, kept)  # no dropout in place
    learned = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert learned == {'classifier.0.weight', 'classifier.0.bias', 'classifier.3.weight', 'classifier.3.bias'}


def test_no_torch_is_needed_to_list_names_and_read_headers():
    code = 'import sys; import transfer.zoo.weights; sys.exit("torch" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0


def test_a_squeezenet_as_finetuning_leaves_it_is_a_network_too():
    base, network = registry.architecture('squeezenet1_1'), registry.architecture('squeezenet1_1+linear')
    model = base.build(5)
    base.replace_head(model, 2)
    other = network.build(2)
    other.load_state_dict(model.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(other.eval()(images), model.eval()(images))
    network.replace_head(other, 7)
    assert other(images).shape == (1, 7)
    assert network.group_names == base.group_names and network.name not in registry.names()
