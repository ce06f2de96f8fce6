"""What a served prediction costs beside the work that no server can spare: decoding and the bare network.

A real gunicorn (one process, eight threads) on 127.0.0.1, eight clients that keep their connections, photos
of 640 pixels, API keys, the whole REST stack. CPU time, not wall time: of the server by the kernel's account,
of the bare work by ours. Both are taken alternately, and the medians of the rounds' ratios are told.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from recognition.management.supervisor import MALLOC_SETTINGS
from tests.benchmarks import _sealed

PORT = int(os.environ.get('BENCH_PORT', '8159'))
CLIENTS = 8
ROUNDS = 5
REQUESTS = 240  # of a round
BOUNDARY = 'photo-boundary'
TICK = os.sysconf('SC_CLK_TCK')
SERVER = [
    '-m',
    'gunicorn',
    'recognition.wsgi',
    '--worker-class',
    'gthread',
    '--workers',
    '1',
    '--threads',
    str(CLIENTS),
]

SEAL = """
import sys; from pathlib import Path; from tests.benchmarks import _sealed
_sealed.seal(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
"""
# Run in a process of its own: it makes the database, a person, her key, and the model's row.
PREPARE = """
import sys, django; django.setup()
from pathlib import Path
from django.core.management import call_command
call_command('migrate', verbosity=0)
from django.contrib.auth import get_user_model
from recognition import keys, projects, publishing, storage
from recognition.models import TrainedModel
from transfer.serving.artifacts import read_meta
user = get_user_model().objects.create_user('bench')
project = projects.create_project(user, 'Bench')
folder = Path(sys.argv[1])
storage.publish_artifact(folder, 'bench')
meta = read_meta(folder)
model = TrainedModel.objects.create(
    project=project, version=1, artifact='bench', digest=meta.digest, labels=list(meta.labels), images=0)
publishing.publish(model, 'bench', user)
print(keys.issue(user, 'bench', 'predict')[1])
"""


@dataclass(frozen=True)
class Server:
    key: str
    workers: tuple[int, ...]  # process ids

    def cpu_seconds(self) -> float:
        fields = [
            Path(f'/proc/{worker}/stat').read_text().rpartition(')')[2].split() for worker in self.workers
        ]
        return sum(int(row[11]) + int(row[12]) for row in fields) / TICK

    def memory(self) -> tuple[int, int]:
        """Resident and proportional set in MB, of all workers."""
        lines = [
            line
            for worker in self.workers
            for line in Path(f'/proc/{worker}/smaps_rollup').read_text().splitlines()
        ]
        return tuple(
            sum(int(line.split()[1]) for line in lines if line.startswith(name)) // 1000
            for name in ('Rss:', 'Pss:')
        )


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as data:
        environment = {
            **os.environ,
            'GRAFT_DATA': data,
            'DJANGO_SETTINGS_MODULE': 'recognition.settings',
            'API_RATE': '10000000/min',
            'LOG_LEVEL': 'WARNING',
            **dict(pair.split('=') for pair in MALLOC_SETTINGS),
        }
        run = [sys.executable, '-c', PREPARE, str(folder)]
        prepared = subprocess.run(run, env=environment, capture_output=True, text=True)
        if prepared.returncode:
            raise RuntimeError(prepared.stderr[-2000:])
        command = [sys.executable, *SERVER, '--bind', f'127.0.0.1:{PORT}']
        server = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_for_port(server)
            children = Path(f'/proc/{server.pid}/task/{server.pid}/children').read_text().split()
            yield Server(prepared.stdout.split()[-1], tuple(map(int, children)))
        finally:
            server.terminate()
            server.wait(30)


def wait_for_port(server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        connection = http.client.HTTPConnection('127.0.0.1', PORT, timeout=2)
        try:
            connection.request('GET', '/api/v1/sources')
            connection.getresponse().read()
            return
        except OSError:
            if server.poll() is not None:
                raise RuntimeError(f'the server ended; is port {PORT} free? (BENCH_PORT)') from None
            time.sleep(0.2)
        finally:
            connection.close()
    raise RuntimeError('the server does not answer')


def ask(server: Server, bodies: list[bytes], times: list[float]) -> None:
    """One client: each body once, over one connection."""
    connection = http.client.HTTPConnection('127.0.0.1', PORT, timeout=60)
    headers = {
        'Authorization': f'Bearer {server.key}',
        'Content-Type': f'multipart/form-data; boundary={BOUNDARY}',
    }
    for body in bodies:
        started = time.perf_counter()
        connection.request('POST', '/api/v1/models/bench/classify', body, headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f'{answer.status}: {content[:300]!r}')
        times.append(time.perf_counter() - started)
    connection.close()


def multipart(photo: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="photo.jpg"\r\n'
    return f'{head}Content-Type: image/jpeg\r\n\r\n'.encode() + photo + f'\r\n--{BOUNDARY}--\r\n'.encode()


def load(server: Server, photos: list[bytes]) -> list[float]:
    """REQUESTS requests by CLIENTS clients; returns the seconds each took."""
    bodies = [multipart(photos[index % len(photos)]) for index in range(REQUESTS)]
    times: list[float] = []
    threads = [
        threading.Thread(target=ask, args=(server, bodies[place::CLIENTS], times)) for place in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(times) != REQUESTS:
        raise RuntimeError(f'{REQUESTS - len(times)} requests failed')
    return times


def bare_seconds(folder: Path, photos: list[bytes]) -> float:
    """CPU time of decoding one photo and running the network on it, in this process, one thread, one at a
    time."""
    from transfer.data.decode import decode
    from transfer.serving.artifacts import read_meta
    from transfer.serving.openvino_engine import OpenVinoEngine

    meta = read_meta(folder)
    engine = OpenVinoEngine(folder / 'graph.xml', meta.engine.precision, streams=1)
    side = meta.preprocessing.side
    engine.logits(decode(photos[0], side)[None])
    started = time.process_time()
    for photo in photos:
        engine.logits(decode(photo, side)[None])
    return (time.process_time() - started) / len(photos)


def measure(architecture: str, side: int, folder: Path, photos: list[bytes]) -> str:
    with served(folder) as server:
        load(server, photos)
        bare, asked, waits = [], [], []
        for _ in range(ROUNDS):
            bare.append(bare_seconds(folder, photos))
            before = server.cpu_seconds()
            waits += load(server, photos)
            asked.append((server.cpu_seconds() - before) / REQUESTS)
        resident, proportional = server.memory()
    ratio = median(after / before for after, before in zip(asked, bare, strict=True))
    waits.sort()
    return (
        f'| {architecture} | {side} | {1000 * median(bare):.2f} | {1000 * median(asked):.2f} | {ratio:.2f} x '
        f'| {1000 * waits[len(waits) // 2]:.0f} / {1000 * waits[int(len(waits) * 0.95)]:.0f} | {resident} / '
        f'{proportional} |'
    )


def main() -> None:
    photos = _sealed.photos(40)
    print(f'{CLIENTS} clients, photos of {sum(map(len, photos)) / len(photos) / 1000:.0f} kB')
    print(
        '| network | side | decode + network (CPU ms) | request (CPU ms) | ratio | p50 / p95 (ms) | memory '
        'RSS / PSS (MB) |'
    )
    print('| --- | --- | --- | --- | --- | --- | --- |')
    for architecture, side in (
        ('resnet18', 224),
        ('mobilenet_v3_small', 224),
        ('resnet18', 128),
        ('mobilenet_v3_small', 128),
    ):
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent) / 'model'
            # Apart, so that torch does not weigh on what is measured here.
            subprocess.run(
                [sys.executable, '-W', 'ignore', '-c', SEAL, str(folder), architecture, str(side)], check=True
            )
            print(measure(architecture, side, folder, photos), flush=True)


if __name__ == '__main__':
    main()
