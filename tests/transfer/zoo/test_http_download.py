"""Weights over a bad line, and from the Hugging Face hub."""

from __future__ import annotations

import fcntl
import hashlib
import json
import sys
import types
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save
from torch import nn

from tests.support.weights_server import serve_weights
from transfer.spec.errors import UnusableSourceError
from transfer.zoo.fetch import huggingface
from transfer.zoo.fetch.http_download import download
from transfer.zoo.networks import registry, timm_networks

BODY = bytes(range(256)) * 8000  # 2 MB
DIGEST = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def mirror():
    with serve_weights() as server:
        server.files['/w.pth'] = BODY
        yield server


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'downloads').mkdir()
    return tmp_path / 'downloads'


@pytest.fixture
def fetch(mirror, folder):
    return lambda: download(f'{mirror.url}/w.pth', DIGEST[:8], folder / 'w.pth')


class TestDownload:
    def test_a_file_arrives_whole_under_its_name(self, fetch, folder):
        fetch()
        assert [path.name for path in folder.iterdir()] == ['w.pth']
        assert (folder / 'w.pth').read_bytes() == BODY

    def test_a_connection_that_breaks_is_taken_up_where_it_was(self, fetch, mirror, folder):
        mirror.breaks = 2
        fetch()
        assert (folder / 'w.pth').read_bytes() == BODY
        half = len(BODY) // 2
        assert mirror.asked == ['', f'bytes={half}-', f'bytes={half + half // 2}-']

    def test_what_breaks_too_often_is_kept_and_goes_on_the_next_time(self, fetch, mirror, folder):
        mirror.breaks = 3
        with pytest.raises(
            UnusableSourceError, match=r'broke off .*2 MiB are kept: the same command goes on'
        ) as refusal:
            fetch()
        assert '\n' not in refusal.value.message
        assert [path.name for path in folder.iterdir()] == ['w.pth.part']
        fetch()
        assert (folder / 'w.pth').read_bytes() == BODY
        assert mirror.asked[-1] == f'bytes={len(BODY) * 7 // 8}-'

    def test_a_server_that_knows_no_ranges_sends_it_all_again(self, fetch, mirror, folder):
        mirror.ranges, mirror.breaks = False, 1
        fetch()
        assert (folder / 'w.pth').read_bytes() == BODY

    def test_a_part_that_is_whole_already_is_only_checked(self, fetch, mirror, folder):
        (folder / 'w.pth.part').write_bytes(BODY)
        fetch()
        assert (folder / 'w.pth').read_bytes() == BODY

    def test_a_part_of_another_file_is_thrown_away(self, fetch, mirror, folder):
        (folder / 'w.pth.part').write_bytes(b'x' * 1000)
        with pytest.raises(UnusableSourceError, match='is not the published file'):
            fetch()
        assert list(folder.iterdir()) == []
        fetch()
        assert (folder / 'w.pth').read_bytes() == BODY

    def test_what_is_not_there_leaves_nothing(self, mirror, folder):
        with pytest.raises(UnusableSourceError, match=r'did not give the weights .*nothing was changed'):
            download(f'{mirror.url}/none.pth', DIGEST, folder / 'w.pth')
        assert list(folder.iterdir()) == []

    def test_two_do_not_write_one_part(self, fetch, folder):
        with (folder / 'w.pth.part').open('ab') as other:
            fcntl.flock(other.fileno(), fcntl.LOCK_EX)
            with pytest.raises(UnusableSourceError, match='by another process'):
                fetch()


class Plain(nn.Module):
    """As timm builds its plain networks: parts in the order of the forward pass, a pooling, a classifier."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2)
        self.stages = nn.Sequential(nn.Sequential(nn.Conv2d(4, 6, 3, 2), nn.ReLU()), nn.Conv2d(6, 8, 3, 2))
        self.global_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(8, classes)

    def forward(self, images):
        return self.fc(self.global_pool(self.stages(self.stem(images))))


class Twisted(Plain):
    def forward(self, images):
        return super().forward(images) + 1


@pytest.fixture
def timm(monkeypatch):
    """What Graft asks of timm, which is not among the packages that every installation has."""
    networks = {'plain': Plain, 'twisted': Twisted}
    package = types.ModuleType('timm')
    package.list_models = lambda: list(networks)
    package.create_model = lambda name, pretrained, num_classes: networks[name](num_classes)
    package.get_pretrained_cfg = lambda name, allow_unregistered: SimpleNamespace(
        input_size=(3, 64, 64), fixed_input_size=False, mean=(0.5,) * 3, std=(0.5,) * 3
    )
    monkeypatch.setitem(sys.modules, 'timm', package)
    timm_networks.architecture.cache_clear()
    yield package
    timm_networks.architecture.cache_clear()


@pytest.fixture
def repository(mirror):
    """timm/plain.a1_in1k on the hub."""
    weights = save(Plain(5).state_dict())
    listing = [{'path': 'model.safetensors', 'lfs': {'oid': hashlib.sha256(weights).hexdigest()}}]
    config = {
        'architecture': 'plain',
        'pretrained_cfg': {'input_size': [3, 96, 96], 'mean': [0.4] * 3, 'license': 'apache-2.0'},
    }
    home = '/timm/plain.a1_in1k/resolve/main'
    mirror.files |= {
        f'{home}/config.json': json.dumps(config).encode(),
        f'{home}/model.safetensors': weights,
        '/api/models/timm/plain.a1_in1k/tree/main': json.dumps(listing).encode(),
    }
    return mirror


def ask(mirror, folder, name: str = 'timm/plain.a1_in1k') -> dict:
    return huggingface.fetch_timm(
        {'name': name, 'folder': str(folder), 'url': mirror.url, 'taken': ['there-is']}
    )


class TestTimm:
    def test_a_plain_network_is_described_like_any_other(self, timm):
        network = registry.architecture('timm/plain')
        assert network.group_names == ('stage1', 'stage2', 'stage3', 'head')
        assert (network.side, network.feature_size, network.outline.head_path) == (64, 8, 'fc')
        model = network.build(3).eval()
        assert network.embed(model, torch.zeros(2, 3, 64, 64)).shape == (2, 8)
        network.replace_head(model, 7)
        assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 7)

    def test_one_whose_parts_are_no_row_is_refused_and_so_is_an_unknown_one(self, timm):
        with pytest.raises(UnusableSourceError, match='twisted is not a plain row of its parts'):
            registry.architecture('timm/twisted')
        with pytest.raises(UnusableSourceError, match="no network 'none'"):
            registry.architecture('timm/none')

    def test_without_the_extra_one_line_says_how_to_get_it(self, monkeypatch, folder, mirror):
        monkeypatch.setitem(sys.modules, 'timm', None)
        timm_networks.architecture.cache_clear()
        for action in (lambda: registry.architecture('timm/plain'), lambda: ask(mirror, folder)):
            with pytest.raises(
                UnusableSourceError, match=r'^timm is not installed here; .*requirements-timm\.txt'
            ):
                action()
        assert mirror.asked == []

    def test_its_weights_come_from_the_hub_with_what_is_known_of_them(self, timm, repository, folder):
        answer = ask(repository, folder)
        assert (answer['source'], answer['architecture'], answer['side'], answer['mean']) == (
            'plain-a1_in1k',
            'timm/plain',
            96,
            [0.4] * 3,
        )
        assert (answer['dataset'], answer['images'], answer['licence']) == (
            'ImageNet-1k',
            1_281_167,
            'apache-2.0',
        )
        assert [path.name for path in folder.iterdir()] == ['plain-a1_in1k.safetensors']

    def test_weights_that_are_not_the_hubs_own_are_refused(self, timm, repository, folder):
        repository.files['/timm/plain.a1_in1k/resolve/main/model.safetensors'] = b'other'
        with pytest.raises(UnusableSourceError, match='is not the published file'):
            ask(repository, folder)
        assert list(folder.iterdir()) == []

    @pytest.mark.parametrize(
        ('listing', 'reason'),
        [
            ([{'path': 'pytorch_model.bin'}], r'has no model\.safetensors on the hub; nothing else is taken'),
            ([{'path': 'model.safetensors'}], 'no digest'),
            ({'error': 'x'}, r'has no model\.safetensors'),
        ],
    )
    def test_only_safetensors_with_a_digest_are_taken(self, timm, repository, folder, listing, reason):
        repository.files['/api/models/timm/plain.a1_in1k/tree/main'] = json.dumps(listing).encode()
        with pytest.raises(UnusableSourceError, match=reason):
            ask(repository, folder)

    @pytest.mark.parametrize('name', ['timm/../../etc', 'timm/', 'timm/a/b', 'timm/a?x=1'])
    def test_a_name_that_is_none_is_not_asked_for(self, timm, mirror, folder, name):
        with pytest.raises(UnusableSourceError, match='no name of a timm model'):
            ask(mirror, folder, name)
        assert mirror.asked == []
