from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from transfer.spec.errors import UnusableSourceError
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.loading import load
from transfer.zoo.networks.registry import architecture
from transfer.zoo.weights import file_digest, safetensors_shapes

CLASSES = 4


@pytest.fixture
def state():
    torch.manual_seed(0)
    return architecture('squeezenet1_1').build(CLASSES).state_dict()


def source_model(
    path: Path, network: str = 'squeezenet1_1', classes: int = CLASSES, digest: str = ''
) -> SourceModelSpec:
    return SourceModelSpec('tiny', network, str(path), digest, classes, images=10)


def refused(source_model: SourceModelSpec) -> str:
    with pytest.raises(UnusableSourceError) as refusal:
        load(source_model)
    assert '\n' not in refusal.value.message
    return refusal.value.message


def test_both_formats_give_the_same_network(state, tmp_path):
    save_file(state, tmp_path / 'a.safetensors')
    torch.save(state, tmp_path / 'a.pth')
    images = torch.randn(2, 3, 64, 64)
    first, second = (load(source_model(tmp_path / name)) for name in ('a.safetensors', 'a.pth'))
    assert not first.training
    assert torch.equal(first(images), second(images))


def test_half_precision_is_widened(state, tmp_path):
    save_file({name: value.half() for name, value in state.items()}, tmp_path / 'a.safetensors')
    model = load(source_model(tmp_path / 'a.safetensors', digest=file_digest(tmp_path / 'a.safetensors')))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    torch.testing.assert_close(model.state_dict(), state, rtol=1e-3, atol=1e-3)


def test_a_checkpoint_of_a_parallel_training_is_understood(state, tmp_path):
    torch.save(
        {'state_dict': {f'module.{name}': value for name, value in state.items()}, 'epoch': 3},
        tmp_path / 'a.pth',
    )
    assert load(source_model(tmp_path / 'a.pth')) is not None


def test_auxiliary_heads_are_left_out(tmp_path):
    network = architecture('googlenet')
    state = network.build(3).state_dict()
    state['aux1.fc1.weight'] = torch.zeros(2, 2)
    save_file(state, tmp_path / 'g.safetensors')
    assert load(source_model(tmp_path / 'g.safetensors', 'googlenet', 3)) is not None


def test_densenet_weights_with_the_names_of_old_are_understood(tmp_path):
    state = architecture('densenet121').build(3).state_dict()
    old = {
        name.replace('norm1.', 'norm.1.').replace('conv2.', 'conv.2.'): value for name, value in state.items()
    }
    old = {name: value for name, value in old.items() if not name.endswith('num_batches_tracked')}
    torch.save(old, tmp_path / 'd.pth')
    model = load(source_model(tmp_path / 'd.pth', 'densenet121', 3))
    assert torch.equal(
        model.features.denseblock1.denselayer1.norm1.weight,
        state['features.denseblock1.denselayer1.norm1.weight'],
    )


class Malice:
    def __reduce__(self):
        return (os.system, ('touch executed',))


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({'features.0.weight': Malice()}, tmp_path / 'a.pth')
    assert 'holds code' in refused(source_model(tmp_path / 'a.pth'))
    assert not (tmp_path / 'executed').exists()


def test_a_whole_module_is_refused(tmp_path):
    torch.save(architecture('lenet5').build(2), tmp_path / 'a.pth')
    assert 'not a plain state_dict' in refused(source_model(tmp_path / 'a.pth', 'lenet5', 2))


def test_things_other_than_tensors_are_refused(state, tmp_path):
    torch.save({**state, 'epoch': 3}, tmp_path / 'a.pth')
    assert 'names and tensors, nothing else' in refused(source_model(tmp_path / 'a.pth'))


def test_nan_is_found_and_its_tensor_named(state, tmp_path):
    state['features.3.squeeze.weight'][0, 0] = float('nan')
    save_file(state, tmp_path / 'a.safetensors')
    assert 'NaN or infinite numbers in features.3.squeeze.weight' in refused(
        source_model(tmp_path / 'a.safetensors')
    )


def test_a_missing_an_unknown_and_a_reshaped_tensor_are_named(state, tmp_path):
    save_file(
        {name: value for name, value in state.items() if name != 'features.0.bias'},
        tmp_path / 'a.safetensors',
    )
    assert '1 tensors are missing, the first is features.0.bias' in refused(
        source_model(tmp_path / 'a.safetensors')
    )
    save_file({**state, 'extra': torch.zeros(1)}, tmp_path / 'a.safetensors')
    assert '1 tensors are unknown to it, the first is extra' in refused(
        source_model(tmp_path / 'a.safetensors')
    )
    save_file({**state, 'features.0.weight': torch.zeros(64, 3, 5, 5)}, tmp_path / 'a.safetensors')
    assert 'features.0.weight has the shape (64, 3, 5, 5), not (64, 3, 3, 3)' in refused(
        source_model(tmp_path / 'a.safetensors')
    )


def test_another_architectures_weights_are_refused_by_name(state, tmp_path):
    save_file(state, tmp_path / 'a.safetensors')
    assert 'not of resnet18: there is no fc.weight' in refused(
        source_model(tmp_path / 'a.safetensors', 'resnet18')
    )
    assert 'not of squeezenet1_0' in refused(source_model(tmp_path / 'a.safetensors', 'squeezenet1_0'))


def test_a_head_of_another_size_is_refused(state, tmp_path):
    save_file(state, tmp_path / 'a.safetensors')
    assert 'registered with 5 classes, but its last layer has 4' in refused(
        source_model(tmp_path / 'a.safetensors', classes=5)
    )


@pytest.mark.parametrize('name', ['a.safetensors', 'a.pth'])
def test_a_file_cut_short_is_refused_at_any_length(state, tmp_path, name):
    path = tmp_path / name
    save_file(state, path) if name.endswith('safetensors') else torch.save(state, path)
    whole = path.read_bytes()
    for length in (0, 5, 8, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert name in refused(source_model(path))


def test_a_changed_file_and_a_missing_file_raise_different_errors(state, tmp_path):
    path = tmp_path / 'a.safetensors'
    save_file(state, path)
    digest = file_digest(path)
    save_file({name: value + 1 for name, value in state.items()}, path)
    assert 'have changed' in refused(source_model(path, digest=digest))
    path.unlink()
    assert 'are missing' in refused(source_model(path, digest=digest))


def test_a_header_says_the_shapes_without_torch(state, tmp_path):
    save_file(state, tmp_path / 'a.safetensors')
    assert safetensors_shapes(tmp_path / 'a.safetensors') == {
        name: tuple(value.shape) for name, value in state.items()
    }
