"""The product from a shell: train, predict, serve."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest
import torch
from django.core.management import CommandError, call_command
from safetensors.torch import save_file

from recognition import storage
from recognition.management.progress_bar import format_progress
from recognition.models import Image, Job, Project, SourceModel, TrainedModel
from recognition.zoo import catalog
from tests.support.photos import draw_photo
from transfer.spec.report import Progress
from transfer.zoo.networks.registry import architecture

ROOT = Path(__file__).resolve().parents[2]
TINTS = {'blue': (40, 40, 200), 'red': (200, 40, 40)}


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / 'photos'
    for name, tint in TINTS.items():
        (folder / name).mkdir(parents=True)
        for seed in range(6):
            (folder / name / f'{seed}.jpg').write_bytes(draw_photo(seed, tint=tint))
    return folder


@pytest.fixture
def sources(settings, tmp_path):
    """A starter zoo of two tiny networks, the first of them the reference."""
    folder = settings.STARTER_ZOO = tmp_path / 'starter'
    folder.mkdir()
    for seed, name in enumerate((settings.P2L_REFERENCE, 'graft-tiny')):
        torch.manual_seed(seed)
        save_file(architecture('lenet5').build(3).state_dict(), folder / f'{name}.safetensors')
        source = {
            'name': name,
            'title': name,
            'architecture': 'lenet5',
            'class_names': ['a', 'b', 'c'],
            'images': 90,
            'side': 32,
            'mean': [0.5, 0.5, 0.5],
            'std': [0.2, 0.2, 0.2],
            'sets': [{'name': 'tints', 'origin': 'drawn', 'licence': 'CC0-1.0'}],
            'licence': 'Apache-2.0',
        }
        (folder / f'{name}.json').write_text(json.dumps(source))


@pytest.fixture
def ready(db, sources):
    catalog.sync_starter()


def files_stored(settings):
    root = Path(settings.STORAGES['default']['OPTIONS']['location'])
    return [path for path in root.rglob('*') if path.is_file()]


def nothing_is_left(settings):
    rows = [model.objects.count() for model in (Project, Image, Job, TrainedModel)]
    trainings = list((Path(settings.DATA_DIR) / 'trainings').glob('*'))
    return (rows, trainings) == ([0, 0, 0, 0], []) and (
        bool(settings.S3_BUCKET) or files_stored(settings) == []
    )


# --- train and predict --------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)  # the heart beats in a thread, which must see the job's row
@pytest.mark.slow
def test_a_folder_becomes_a_model_that_tells_its_classes_apart(ready, photos, tmp_path):
    told = io.StringIO()
    call_command('train', photos, name='Tints', json=True, stdout=told, stderr=io.StringIO())
    answer = json.loads(told.getvalue().splitlines()[-1])
    assert set(answer) == {'model', 'source', 'ranking', 'probes', 'accuracy', 'interval', 'plan', 'seconds'}
    assert answer['source'] in SourceModel.objects.values_list('name', flat=True)
    assert answer['interval'][0] <= answer['accuracy'] <= answer['interval'][1]
    model = TrainedModel.objects.get(pk=answer['model'])
    assert (model.project.name, model.job.state, model.provisional) == ('Tints', 'succeeded', False)

    unseen = []
    for name, tint in TINTS.items():
        unseen.append(tmp_path / f'{name}.png')
        unseen[-1].write_bytes(draw_photo(99, tint=tint, format='PNG'))
    told = io.StringIO()
    call_command('predict', answer['model'], *unseen, json=True, stdout=told)
    predictions = json.loads(told.getvalue())
    assert [(said['file'], said['label']) for said in predictions] == [
        (str(path), path.stem) for path in unseen
    ]
    assert [{score['label'] for score in said['scores']} for said in predictions] == [{'blue', 'red'}] * 2
    assert all(abs(sum(score['score'] for score in said['scores']) - 1) < 1e-3 for said in predictions)
    told = io.StringIO()
    call_command('predict', 'Tints', unseen[0], stdout=told)  # a project's name is enough, as the README says
    assert told.getvalue().startswith(f'{unseen[0]}: blue')


def refused(command, *arguments, **options):
    with pytest.raises(CommandError) as error:
        call_command(command, *arguments, stdout=io.StringIO(), stderr=io.StringIO(), **options)
    message = str(error.value)
    assert '\n' not in message
    assert error.value.returncode == 1
    return message


def test_a_missing_folder_is_named(ready, tmp_path, settings):
    assert str(tmp_path / 'nowhere') in refused('train', tmp_path / 'nowhere')
    assert nothing_is_left(settings)


def test_one_class_alone_is_refused(ready, photos, settings):
    (photos / 'red').rename(photos.parent / 'red')
    assert 'at least 2 classes' in refused('train', photos)
    assert nothing_is_left(settings)


def test_an_empty_zip_is_refused(ready, tmp_path, settings):
    with zipfile.ZipFile(tmp_path / 'empty.zip', 'w'):
        pass
    assert 'no usable image' in refused('train', tmp_path / 'empty.zip')
    assert nothing_is_left(settings)


def test_a_file_that_is_no_zip_is_refused(ready, tmp_path, settings):
    (tmp_path / 'photos.zip').write_text('not a zip')
    (tmp_path / 'notes.txt').write_text('not a zip')
    assert 'not a zip' in refused('train', tmp_path / 'photos.zip')
    assert 'neither a folder nor a zip' in refused('train', tmp_path / 'notes.txt')
    assert nothing_is_left(settings)


def test_an_unknown_source_is_refused(ready, photos, settings):
    assert 'unheard-of' in refused('train', photos, source='unheard-of')
    assert nothing_is_left(settings)


def test_a_training_that_fails_says_why_and_leaves_nothing(ready, photos, settings):
    for row in SourceModel.objects.all():
        Path(row.weights).write_bytes(b'damaged')
    refused('train', photos)
    assert nothing_is_left(settings)


def test_without_a_zoo_a_training_says_what_to_do(db, photos, settings):
    assert 'zoo sync' in refused('train', photos)
    assert nothing_is_left(settings)


def test_predicting_with_an_unknown_model_or_file_is_refused(db, tmp_path):
    assert 'no model' in refused('predict', 'unheard-of', tmp_path / 'photo.jpg')
    assert 'no model' in refused('predict', '00000000-0000-0000-0000-000000000000', tmp_path / 'photo.jpg')


@pytest.mark.parametrize(
    ('database', 'told'),
    [
        ('', "There is no model 'unheard-of'"),  # the embedded database is made by the first command
        ('postgres://nobody@127.0.0.1:1/none', 'The database cannot be reached'),
    ],
)
def test_a_command_needs_no_server_to_have_run_before(tmp_path, database, told):
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ('DATABASE_URL', 'DJANGO_SETTINGS_MODULE')
    }
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', 'manage.py', 'predict', 'unheard-of', 'photo.jpg'],
        cwd=ROOT,
        env={**environment, 'GRAFT_DATA': str(tmp_path), **({'DATABASE_URL': database} if database else {})},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f'CommandError: {told}'), done.stderr


def test_predicting_names_the_file_that_is_missing_or_damaged(project, tmp_path):
    model = TrainedModel.objects.create(
        project=project, version=1, artifact='gone', digest='0' * 64, labels=['a', 'b'], images=8
    )
    assert 'photo.jpg' in refused('predict', str(model.pk), tmp_path / 'photo.jpg')
    (tmp_path / 'photo.jpg').write_bytes(draw_photo(1))
    assert 'photo.jpg' in refused('predict', str(model.pk), tmp_path / 'photo.jpg')
    assert not storage.artifact_folder('gone').exists()


def test_the_progress_line_says_what_is_known():
    told = format_progress(Progress('finetune', 0.5, epoch=3, epochs=10, accuracy=0.9, seconds_left=12.4))
    assert told == '[############............]  50% finetune, epoch 3 of 10, accuracy 90.0%, 12 s left'


# --- serve --------------------------------------------------------------------------------------------------


class Server:
    """`manage.py serve` on a free port, with a data folder of its own."""

    def __init__(self, folder):
        without = ('DATABASE_URL', 'CELERY_BROKER_URL', 'S3_BUCKET', 'CACHE_URL')
        environment = {name: value for name, value in os.environ.items() if name not in without}
        self.process = subprocess.Popen(
            [sys.executable, 'manage.py', 'serve', '--port', '0'],
            cwd=ROOT,
            env={
                **environment,
                'GRAFT_DATA': str(folder),
                'PYTHONPATH': str(ROOT / 'tests' / 'flows' / 'slow'),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.lines = []
        self.ready = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        assert self.ready.wait(180), self.lines
        self.address = next(told.split()[-1] for told in self.lines if 'ready' in told)

    def _read(self):
        for told in self.process.stdout:
            self.lines.append(told)
            if 'ready' in told:
                self.ready.set()

    def status(self):
        try:
            return urllib.request.urlopen(self.address, timeout=30).status
        except urllib.error.HTTPError as error:
            return error.code

    def children(self):
        return [
            int(pid)
            for pid in Path(f'/proc/{self.process.pid}/task/{self.process.pid}/children').read_text().split()
        ]


def living(pids):
    def state(pid):
        try:
            return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return 'X'

    return [pid for pid in pids if state(pid) not in 'ZX']


def wait_until(question, seconds=60):
    until = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path / 'data')
    yield server
    if server.process.poll() is None:
        server.process.terminate()
        server.process.wait(60)


@pytest.mark.slow
def test_serve_answers_survives_the_death_of_its_children_and_stops_them_on_ctrl_c(server):
    assert server.status() == 200
    assert any('with the password' in told for told in server.lines)
    first = server.children()
    assert len(first) == 3  # the web server, the worker for trainings, the one for answers
    for pid in first:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: living(first) == [])  # the kernel may take its time
    assert server.status() == 200  # the socket stayed open: this request waited for the new web server
    wait_until(lambda: len(set(living(server.children())) - set(first)) == 3)
    second = server.children()
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(60) == 0
    assert living(second) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='asks the kernel to tell the children')
def test_children_do_not_outlive_a_server_that_is_killed(server):
    children = server.children()
    server.process.kill()
    wait_until(lambda: living(children) == [])
    assert server.process.wait(10) == -signal.SIGKILL


def test_a_port_that_is_taken_is_named_in_one_line(tmp_path):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, 'manage.py', 'serve', '--port', port]
        environment = {**os.environ, 'GRAFT_DATA': str(tmp_path)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.count('\n') == 1
    assert f'Port {port}' in done.stderr
    assert list(tmp_path.glob('*.sqlite3')) == []
