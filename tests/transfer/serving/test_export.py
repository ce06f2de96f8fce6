"""The sealed graph computes what torch computes, in a precision that was checked, and its failing fails no
training."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tests.support import sealed_classifier
from transfer.runtime.softmax import softmax
from transfer.serving import artifacts, export
from transfer.serving.openvino_engine import OpenVinoEngine
from transfer.spec.errors import UnusableSourceError
from transfer.zoo.networks import registry


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('models') / 'colours'
    sealed_classifier.seal(folder)
    return folder


def truth(images: np.ndarray) -> np.ndarray:
    """By hand: scale, subtract, divide, network."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).to(torch.float32) / 255
    normal = (pixels - torch.tensor(sealed_classifier.SOURCE.mean).view(1, 3, 1, 1)) / torch.tensor(
        sealed_classifier.SOURCE.std
    ).view(1, 3, 1, 1)
    with torch.inference_mode():
        return sealed_classifier.train_network()(normal).numpy()


def test_the_graph_takes_bytes_and_normalises_by_itself(folder):
    found = OpenVinoEngine(folder / 'graph.xml', 'float32', streams=1).logits(sealed_classifier.sample())
    np.testing.assert_allclose(found, truth(sealed_classifier.sample()), atol=0.02)


@pytest.mark.parametrize('count', [1, 2, 7])
def test_the_graph_takes_any_number_of_images(folder, count):
    engine = OpenVinoEngine(folder / 'graph.xml', 'float32', streams=1)
    np.testing.assert_allclose(
        engine.logits(sealed_classifier.sample()[:count]),
        truth(sealed_classifier.sample()[:count]),
        atol=0.02,
    )


def test_other_programs_run_the_onnx_file_with_the_same_result(folder):
    session = onnxruntime.InferenceSession(folder / 'model.onnx')
    [found] = session.run(['logits'], {'images': sealed_classifier.sample()[:3]})
    np.testing.assert_allclose(found, truth(sealed_classifier.sample()[:3]), atol=1e-3)


def test_the_weights_are_the_networks_own(folder):
    stored = load_file(folder / 'weights.safetensors')
    state = sealed_classifier.train_network().state_dict()
    assert stored.keys() == state.keys()
    assert all(torch.equal(stored[name], value) for name, value in state.items())


def test_every_precision_was_compared_and_the_chosen_one_agrees(folder):
    engine = artifacts.read_meta(folder).engine
    assert engine.checks[0].precision == 'float32'
    chosen = next(check for check in engine.checks if check.precision == engine.precision)
    assert chosen.agreement >= export.AGREEMENT
    assert engine.images == 30
    assert engine.torch_milliseconds > 0


@pytest.mark.parametrize(
    ('checks', 'chosen'),
    [
        ([('float32', 0.001, 1.0, 3.0), ('bfloat16', 0.04, 1.0, 2.0)], 'bfloat16'),
        ([('float32', 0.001, 1.0, 2.0), ('bfloat16', 0.04, 1.0, 1.9)], 'float32'),
        ([('float32', 0.001, 1.0, 3.0), ('bfloat16', 0.04, 0.98, 2.0)], 'float32'),
        ([('float32', 0.2, 1.0, 3.0), ('bfloat16', 0.04, 1.0, 2.0)], None),
        ([('float32', float('nan'), 1.0, 3.0)], None),
    ],
    ids=['faster and agreeing', 'agreeing but hardly faster', 'disagreeing', 'a wrong graph', 'not a number'],
)
def test_precision_is_chosen_by_agreement_and_time(checks, chosen):
    found = export._choose([export.PrecisionCheck(*check) for check in checks])
    assert (found.precision if found else None) == chosen


def test_a_check_tells_how_far_the_graph_is_from_the_network(folder):
    sample = sealed_classifier.sample()
    right = softmax(truth(sample).astype(np.float64), 1.5)
    same = export._check(folder / 'graph.xml', 'float32', 1.5, sample, right)
    assert (same.largest_difference < export.CLOSE, same.agreement) == (True, 1.0)
    turned = np.roll(right, 1, axis=1)
    other = export._check(folder / 'graph.xml', 'float32', 1.5, sample, turned)
    assert other.largest_difference == pytest.approx(np.abs(right - turned).max(), abs=export.CLOSE)
    assert other.agreement == 0


class DataDependent(nn.Module):
    """No exporter can follow this: the number of rounds depends on the pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 3)

    def forward(self, images):
        scores = self.head(images.mean((2, 3)))
        return torch.from_numpy(np.sort(scores.detach().numpy(), axis=1)) + scores * int(scores.sum() > 0)


def test_a_conversion_that_fails_leaves_the_weights_and_its_reason(tmp_path):
    model = sealed_classifier.seal(tmp_path / 'model', model=DataDependent())
    assert model.report.engine.name == 'torch'
    assert model.report.engine.why_not
    assert {path.name for path in (tmp_path / 'model').iterdir()} == {'meta.json', 'weights.safetensors'}


def test_a_provisional_model_goes_without_onnx(tmp_path):
    sealed_classifier.seal(tmp_path / 'model', provisional=True)
    assert not (tmp_path / 'model' / 'model.onnx').exists()
    assert artifacts.read_meta(tmp_path / 'model').provisional


def test_the_network_given_is_not_changed(tmp_path):
    network = registry.architecture('lenet5').build(3).train().to(torch.float64)
    sealed_classifier.seal(tmp_path / 'model', model=network, provisional=True)
    assert network.training
    assert next(network.parameters()).dtype == torch.float64


@pytest.mark.parametrize('name', ['mobilenet_v3_small', 'squeezenet1_1', 'shufflenet_v2_x0_5'])
def test_networks_of_the_zoo_convert(name, tmp_path):
    torch.manual_seed(0)
    architecture = registry.architecture(name)
    network = architecture.build(3)
    nn.init.normal_(architecture.replace_head(network, 3).weight)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    engine = export.export(
        network, artifacts.Preprocessing(64, (0.5,) * 3, (0.25,) * 3), 1.0, pixels, tmp_path, keep_onnx=True
    )
    assert engine.name == 'openvino', engine.why_not


def test_softmax_stands_large_numbers_and_flattens_with_temperature():
    hot, cold = softmax(np.array([[1000.0, 0.0]]), 100.0), softmax(np.array([[1000.0, 0.0]]), 1.0)
    np.testing.assert_allclose(cold, [[1.0, 0.0]])
    np.testing.assert_allclose(hot, [[1 / (1 + np.exp(-10)), 1 / (1 + np.exp(10))]])


def test_an_unknown_architecture_is_named():
    with pytest.raises(UnusableSourceError, match='no_such_net'):
        registry.architecture('no_such_net')


@pytest.mark.skipif(not export.offers_bfloat16(), reason='this processor does not compute in bfloat16')
@pytest.mark.parametrize(
    ('bar', 'share'), [(export.AGREEMENT, 0.6), (1.1, 1.0)], ids=['agreeing', 'disagreeing']
)
def test_a_graph_in_bfloat16_keeps_half_the_bytes_where_it_still_agrees(bar, share, tmp_path, monkeypatch):
    monkeypatch.setattr(export, '_choose', lambda checks: export.PrecisionCheck('bfloat16', 0.0, 1.1, 1.0))
    monkeypatch.setattr(export, 'AGREEMENT', bar)
    sealed_classifier.seal(tmp_path / 'model')
    graph, weights = (tmp_path / 'model' / name for name in ('graph.bin', 'weights.safetensors'))
    assert graph.stat().st_size < 1.05 * share * weights.stat().st_size
    assert graph.stat().st_size > 0.9 * share * weights.stat().st_size or share < 1
    assert not list((tmp_path / 'model').glob('half*'))
    found = OpenVinoEngine(tmp_path / 'model' / 'graph.xml', 'bfloat16', streams=1).logits(
        sealed_classifier.sample()
    )
    assert (found.argmax(1) == truth(sealed_classifier.sample()).argmax(1)).mean() >= 0.99
