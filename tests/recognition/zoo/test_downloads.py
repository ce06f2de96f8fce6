"""`zoo download`: published weights are fetched from a mirror that stands in for their publishers."""

from __future__ import annotations

import io
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from recognition.errors import InvalidInputError
from recognition.management.progress_bar import DownloadProgress, format_download
from recognition.models import SourceModel
from recognition.zoo import downloads, subprocess_call
from tests.support.import_jobs import list_zoo_file_names
from tests.support.weights_files import save_lenet
from tests.support.weights_server import serve_weights
from transfer.spec.errors import UnusableSourceError
from transfer.zoo.fetch import torchvision_weights

pytestmark = pytest.mark.django_db


@pytest.fixture
def mirror():
    with serve_weights() as server:
        yield server


def test_without_a_network_it_says_so_in_one_line_and_changes_nothing(settings):
    settings.TORCHVISION_URL = 'http://127.0.0.1:9/models'  # the discard port: refused
    with pytest.raises(
        InvalidInputError, match=r'^127\.0\.0\.1:9 cannot be reached .*nothing was changed\.$'
    ) as refusal:
        downloads.download('resnet18')
    assert '\n' not in refusal.value.message
    assert list_zoo_file_names(settings) == []
    assert not SourceModel.objects.exists()


def test_a_mirror_that_lacks_the_file_leaves_nothing_behind(settings, mirror):
    settings.TORCHVISION_URL = mirror.url
    with pytest.raises(InvalidInputError, match='did not give the weights'):
        downloads.download('resnet18')
    assert list_zoo_file_names(settings) == []


def test_it_tells_how_much_is_here_and_of_how_much(settings, mirror, monkeypatch):
    settings.TORCHVISION_URL = mirror.url
    mirror.files[urlsplit(torchvision_weights.find_published('squeezenet1_1', mirror.url).url).path] = bytes(
        3 * 2**20
    )
    calls = []
    with pytest.raises(InvalidInputError, match='is not the published file'):  # of course: these are zeros
        downloads.download('squeezenet1_1', on_bytes=lambda received, total: calls.append((received, total)))
    assert calls == [(part * 2**20, 3 * 2**20) for part in (1, 2, 3)]


def test_on_a_terminal_that_is_a_line_and_in_a_pipe_nothing():
    terminal, pipe = io.StringIO(), io.StringIO()
    terminal.isatty = lambda: True
    for stream in (terminal, pipe):
        drawn = DownloadProgress(stream, 'resnet50')
        drawn(2**20, 98 * 2**20)
        drawn(98 * 2**20, 98 * 2**20)
        drawn.close()
    assert pipe.getvalue() == ''
    assert terminal.getvalue().endswith('] 100% resnet50: 98 of 98 MiB\n')
    assert format_download('x', 2**21, 0) == 'x: 2 MiB'  # nobody said how much it is


def test_it_knows_torchvisions_files():
    found = torchvision_weights.find_published('resnet18', 'https://mirror.example/models/')
    assert found.url.startswith('https://mirror.example/models/resnet18-')
    assert found.digest in found.url
    assert (len(found.class_names), found.source, found.side) == (1000, 'resnet18_imagenet', 224)
    second = torchvision_weights.find_published('efficientnet_b1:imagenet1k_v2')
    assert (second.source, second.side) == ('efficientnet_b1_imagenet1k_v2', 240)
    with pytest.raises(UnusableSourceError, match=r'no weights of lenet5 that Graft can use$'):
        torchvision_weights.find_published('lenet5')
    with pytest.raises(
        UnusableSourceError, match=r'no weights of vit_h_14 .* it has vit_h_14:IMAGENET1K_SWAG_LINEAR_V1$'
    ):
        torchvision_weights.find_published('vit_h_14')
    with pytest.raises(UnusableSourceError, match='no weights of vgg16:IMAGENET1K_FEATURES'):
        torchvision_weights.find_published('vgg16:IMAGENET1K_FEATURES')
    asked = [
        line[0] for line in torchvision_weights.fetch_torchvision({'name': '', 'url': 'https://x'})['listed']
    ]
    assert len(asked) > 90 and {
        'resnet50',
        'resnet50:IMAGENET1K_V2',
        'vit_h_14:IMAGENET1K_SWAG_LINEAR_V1',
    } <= set(asked)


@pytest.mark.usefixtures('in_this_process')
def test_what_was_fetched_is_registered_and_its_download_is_gone(settings, mirror, monkeypatch):
    """The way of a whole pull, with a small network in the place of torchvision's: a process that tells where
    it lies."""
    settings.TORCHVISION_URL = mirror.url
    folder = Path(settings.ZOO_DIR) / '.downloads'
    fetched = {
        'source': 'lenet5_imagenet',
        'architecture': 'lenet5',
        'side': 32,
        'mean': [0.1] * 3,
        'std': [0.2] * 3,
        'class_names': ['a', 'b', 'c'],
        'dataset': 'ImageNet-1k',
        'images': 7,
        'title': 'T',
        'licence': 'L' * 300,
    }
    real = subprocess_call.call

    def ask(module, request, **options):
        if module != 'transfer.zoo.fetch.torchvision_weights':
            return real(module, request, **options)
        assert request['taken'] == []
        return {**fetched, 'path': str(save_lenet(folder / 'lenet5_imagenet.pth'))}

    monkeypatch.setattr(subprocess_call, 'call', ask)
    row = downloads.download('lenet5')
    assert (row.origin, row.mean, row.std, row.images, row.status) == (
        'torchvision',
        [0.1] * 3,
        [0.2] * 3,
        7,
        'usable',
    )
    assert list_zoo_file_names(settings) == [Path(row.weights).name]


def test_an_answer_that_does_not_describe_the_weights_names_the_field():
    answer = {
        'path': 'a.pth',
        'source': 'a',
        'architecture': 'resnet18',
        'side': 224,
        'mean': [0.5, 0.5, 0.5],
        'std': [0.2, 0.2, 0.2],
        'class_names': ['one', 'two'],
        'dataset': '',
        'images': 0,
        'title': 'A',
        'licence': '',
    }
    assert downloads._read_answer(answer).class_names == ('one', 'two')
    with pytest.raises(InvalidInputError, match='side must be int'):
        downloads._read_answer(answer | {'side': '224'})
