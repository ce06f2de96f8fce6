"""Weights files made to run code, to eat memory or to pass for something else: refused with a reason, and
nothing is run."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from pickle import dumps

import pytest
import torch
from safetensors.torch import save, save_file

from transfer.spec.errors import UnusableSourceError
from transfer.zoo.fetch.inspect_weights import inspect_weights
from transfer.zoo.networks.registry import architecture

ROOT = Path(__file__).resolve().parents[3]


def state(classes: int = 3) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return architecture('lenet5').build(classes).state_dict()


def look(path: Path, name: str = 'lenet5') -> dict:
    return inspect_weights({'path': str(path), 'architecture': name, 'side': 0})


def look_apart(path: Path, memory: int) -> subprocess.CompletedProcess:
    request = {'path': str(path), 'architecture': 'lenet5', 'side': 0, 'memory': memory}
    return subprocess.run(
        [sys.executable, '-m', 'transfer.zoo.fetch.inspect_weights'],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        cwd=ROOT,
    )


def last_word(finished: subprocess.CompletedProcess) -> dict:
    """Behind the lines that tell of its stages."""
    return json.loads(finished.stdout.splitlines()[-1])


class Malice:
    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return (os.system, (f'touch {self.mark}',))


def header(path: Path, entries: dict, data: bytes = b'') -> Path:
    text = json.dumps(entries).encode()
    path.write_bytes(struct.pack('<Q', len(text)) + text + data)
    return path


def test_a_sound_file_is_described(tmp_path):
    save_file(state(), tmp_path / 'w.safetensors')
    found = look(tmp_path / 'w.safetensors')
    assert (found['classes'], found['side'], found['parameters']) == (
        3,
        32,
        sum(t.numel() for t in state().values()),
    )


@pytest.mark.parametrize('where', ['value', 'key', 'beside'])
def test_a_pickle_with_code_is_refused_and_the_code_is_not_run(tmp_path, where):
    mark = tmp_path / 'executed'
    values = {
        'value': state() | {'x': Malice(mark)},
        'key': {**state(), (Malice(mark),): 1},
        'beside': [state(), Malice(mark)],
    }
    torch.save(values[where], tmp_path / 'w.pth')
    with pytest.raises(UnusableSourceError, match='holds code'):
        look(tmp_path / 'w.pth')
    assert not mark.exists()


def test_a_bare_pickle_without_torchs_zip_is_refused_too(tmp_path):
    mark = tmp_path / 'executed'
    (tmp_path / 'w.pth').write_bytes(dumps(Malice(mark)))
    with pytest.raises(UnusableSourceError):
        look(tmp_path / 'w.pth')
    assert not mark.exists()


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('share', [0.0, 0.001, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, suffix, share):
    whole = tmp_path / f'whole{suffix}'
    save_file(state(), whole) if suffix == '.safetensors' else torch.save(state(), whole)
    data = whole.read_bytes()
    (tmp_path / f'w{suffix}').write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UnusableSourceError):
        look(tmp_path / f'w{suffix}')


def test_a_safetensors_file_that_is_called_pth_is_refused(tmp_path):
    (tmp_path / 'w.pth').write_bytes(save(state()))
    with pytest.raises(UnusableSourceError):
        look(tmp_path / 'w.pth')


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (
            lambda s: s | {'features.0.weight': s['features.0.weight'][:, :1]},
            r'features\.0\.weight has the shape',
        ),
        (lambda s: s | {'more': torch.zeros(1)}, 'unknown to it, the first is more'),
        (lambda s: {name: t for name, t in s.items() if name != 'features.0.bias'}, 'missing'),
        (
            lambda s: s | {'features.0.bias': s['features.0.bias'] * float('nan')},
            r'NaN or infinite numbers in features\.0\.bias',
        ),
        (lambda s: s | {'features.0.bias': s['features.0.bias'] / 0}, 'NaN or infinite'),
        (lambda s: s | {'features.0.bias': s['features.0.bias'].to(torch.complex64)}, 'unusual kind'),
        (lambda s: {name: t.to(torch.float32) * 1e38 for name, t in s.items()}, 'not numbers'),
        (lambda s: {}, 'names and tensors'),
        (lambda s: s | {'epoch': 3}, 'names and tensors'),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(tmp_path, change, reason):
    torch.save(change(state()), tmp_path / 'w.pth')
    with pytest.raises(UnusableSourceError, match=reason):
        look(tmp_path / 'w.pth')


def test_a_network_of_one_class_is_no_source(tmp_path):
    torch.save(state(1), tmp_path / 'w.pth')
    with pytest.raises(UnusableSourceError, match='1 classes'):
        look(tmp_path / 'w.pth')


@pytest.mark.parametrize(
    'entries',
    [
        {'a': {'dtype': 'F32', 'shape': [10**12], 'data_offsets': [0, 4 * 10**12]}},
        {'a': {'dtype': 'F32', 'shape': [-1], 'data_offsets': [0, 4]}},
        {
            'a': {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4]},
            'b': {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4]},
        },
        {'a': {'dtype': 'EVIL', 'shape': [1], 'data_offsets': [0, 4]}},
        {'a': {'dtype': 'F32', 'shape': 'x', 'data_offsets': [0, 4]}},
        {'a': 1},
    ],
)
def test_a_header_that_lies_is_refused(tmp_path, entries):
    with pytest.raises(UnusableSourceError):
        look(header(tmp_path / 'w.safetensors', entries, bytes(4)))


def test_a_header_of_absurd_length_is_not_read(tmp_path):
    (tmp_path / 'w.safetensors').write_bytes(struct.pack('<Q', 2**63) + b'{}')
    with pytest.raises(UnusableSourceError, match='not a safetensors file'):
        look(tmp_path / 'w.safetensors')


def test_a_small_file_that_stands_for_a_huge_network_meets_the_memory_limit(tmp_path):
    torch.save(
        state() | {'classifier.5.weight': torch.zeros(1).expand(4_000_000_000, 84)}, tmp_path / 'w.pth'
    )
    assert (tmp_path / 'w.pth').stat().st_size < 2**20
    finished = look_apart(tmp_path / 'w.pth', 2**31)
    assert finished.returncode == 0, finished.stderr[-300:]
    assert 'more than 2048 MiB of memory' in last_word(finished)['error']


def test_a_zip_bomb_meets_the_memory_limit(tmp_path):
    """Torch's own files are not compressed; one whose tensor is packed a thousandfold unpacks in memory."""
    torch.save({'a': torch.zeros(10)}, tmp_path / 'small.pth')
    with (
        zipfile.ZipFile(tmp_path / 'small.pth') as small,
        zipfile.ZipFile(tmp_path / 'w.pth', 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as bomb,
    ):
        for entry in small.infolist():
            if entry.filename.endswith('/data/0'):
                with bomb.open(entry.filename, 'w', force_zip64=True) as file:
                    for _ in range(1200):
                        file.write(bytes(2**20))
            else:
                bomb.writestr(entry.filename, small.read(entry))
    finished = look_apart(tmp_path / 'w.pth', 2**30)
    assert finished.returncode == 0, finished.stderr[-300:]
    assert 'error' in last_word(finished)


def test_weights_tell_their_network_by_themselves(tmp_path):
    torch.save(architecture('resnet18').build(4).state_dict(), tmp_path / 'w.pth')
    assert look(tmp_path / 'w.pth', '')['architecture'] == 'resnet18'
    with pytest.raises(UnusableSourceError, match=r'not of lenet5: .* They fit resnet18'):
        look(tmp_path / 'w.pth', 'lenet5')
    torch.save({'weight': torch.zeros(3)}, tmp_path / 'w.pth')
    with pytest.raises(UnusableSourceError, match='not clear: they fit no network'):
        look(tmp_path / 'w.pth', '')
