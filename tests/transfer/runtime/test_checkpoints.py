"""A checkpoint holds network, optimizer and progress; one of another format is as none."""

from __future__ import annotations

import pytest

torch = pytest.importorskip('torch')
from safetensors.torch import save_file
from torch import nn

from transfer.runtime.checkpoints import Checkpoint


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model(torch.ones(2, 3)).square().sum().backward()
    optimizer.step()


def make() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(1)
    model = nn.Linear(3, 2)
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def test_network_momentum_progress_and_further_tensors_come_back(tmp_path):
    model, optimizer = make()
    step(model, optimizer)
    path = tmp_path / 'folder' / 'one.safetensors'
    Checkpoint(path).save(model, optimizer, {'step': 1}, {'logits': torch.arange(3)}, now=True)
    other, fresh = make()
    saved = Checkpoint(path).load(other, fresh)
    assert saved is not None and saved.progress == {'step': 1}
    assert saved.tensors['logits'].tolist() == [0, 1, 2]
    for pair in ((model, optimizer), (other, fresh)):
        step(*pair)
    assert torch.equal(model.weight, other.weight) and torch.equal(model.bias, other.bias)


def test_without_a_path_or_a_file_there_is_nothing_to_load(tmp_path):
    model, optimizer = make()
    Checkpoint(None).save(model, optimizer, {}, now=True)
    assert Checkpoint(None).load(model, optimizer) is None
    assert Checkpoint(tmp_path / 'none.safetensors').load(model, optimizer) is None


def test_it_is_not_saved_more_often_than_wanted(tmp_path):
    model, optimizer = make()
    path = tmp_path / 'one.safetensors'
    rare = Checkpoint(path, save_every=3600)
    rare.save(model, optimizer, {})
    assert not path.exists()
    Checkpoint(path, save_every=0).save(model, optimizer, {})
    assert path.exists()
    assert list(tmp_path.glob('*.part')) == []


def test_a_checkpoint_of_an_older_version_is_ignored(tmp_path):
    model, optimizer = make()
    path = tmp_path / 'old.safetensors'
    save_file({'network/weight': torch.zeros(2, 3)}, path, metadata={'progress': '{"step": 5, "loss": 1}'})
    assert Checkpoint(path).load(model, optimizer) is None
    assert model.weight.abs().sum() > 0
