"""How soon pages answer while a training has the processor, beside how soon they answer otherwise.

    python -m tests.benchmarks.pages [FOLDER]

A real `manage.py serve` with its worker; FOLDER has one sub-folder of photos a class (default: the public
trash photos). Every page is asked for in turn, first at rest, then until the training ends; wall
milliseconds, the photos' thumbnails included.
"""

from __future__ import annotations

import contextlib
import http.cookiejar
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks._sealed import SHARED

PORT = int(os.environ.get('BENCH_PORT', '8158'))
HOME = f'http://127.0.0.1:{PORT}'
PASSWORD = re.compile(r'password:?\s+(\S+)')
PAUSE = 0.05  # seconds between two questions: a person, not a load
ROUNDS = 40  # at rest


class Browser:
    """One signed-in person."""

    def __init__(self) -> None:
        self._cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies))

    def get(self, path: str) -> bytes:
        return bytes(self._opener.open(HOME + path, timeout=60).read())

    def post(self, path: str, body: bytes, content_type: str) -> bytes:
        token = next(cookie.value for cookie in self._cookies if cookie.name == 'csrftoken') or ''
        headers = {'Content-Type': content_type, 'X-CSRFToken': token, 'Referer': HOME}
        return bytes(
            self._opener.open(urllib.request.Request(HOME + path, body, headers), timeout=600).read()
        )

    def sign_in(self, password: str) -> None:
        self.get('/login/')
        form = urllib.parse.urlencode({'username': 'admin', 'password': password, 'next': '/'}).encode()
        self.post('/login/', form, 'application/x-www-form-urlencoded')

    def send(self, path: str, values: dict[str, Any]) -> dict[str, Any]:
        return dict(json.loads(self.post(path, json.dumps(values).encode(), 'application/json')))


@contextlib.contextmanager
def served() -> Iterator[str]:
    """A server with a worker on empty data; gives the administrator's password."""
    with tempfile.TemporaryDirectory() as data:
        environment = {**os.environ, 'GRAFT_DATA': data, 'PYTHONUNBUFFERED': '1'}
        command = [sys.executable, 'manage.py', 'serve', '--port', str(PORT)]
        server = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        said = ''
        try:
            assert server.stdout is not None
            for line in server.stdout:
                said += line
                if HOME in line:
                    break
            else:
                raise RuntimeError(f'the server ended:\n{said}')
            threading.Thread(target=server.stdout.read, daemon=True).start()  # or its pipe would fill
            found = PASSWORD.search(said)
            if found is None:
                raise RuntimeError(f'no password was printed:\n{said}')
            yield found[1]
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(60)


def packed(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        for path in sorted(folder.glob('*/*')):
            archive.write(path, path.relative_to(folder))
    return buffer.getvalue()


def upload(browser: Browser, project: str, archive: bytes) -> None:
    boundary = 'photos-boundary'
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="photos.zip"\r\n'
    body = (
        f'{head}Content-Type: application/zip\r\n\r\n'.encode() + archive + f'\r\n--{boundary}--\r\n'.encode()
    )
    browser.post(f'/api/v1/projects/{project}/images', body, f'multipart/form-data; boundary={boundary}')


def ask(browser: Browser, pages: dict[str, str], times: dict[str, list[float]]) -> None:
    for name, path in pages.items():
        started = time.perf_counter()
        browser.get(path)
        times[name].append(1000 * (time.perf_counter() - started))
        time.sleep(PAUSE)


def told(name: str, rest: list[float], busy: list[float]) -> str:
    def middle(values: list[float], share: float) -> str:
        return f'{sorted(values)[int(share * (len(values) - 1))]:.0f}'

    cells = [f'{middle(values, 0.5)} / {middle(values, 0.95)}' for values in (rest, busy)]
    return f'| {name} | {cells[0]} | {cells[1]} | {len(busy)} |'


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SHARED / 'classification' / 'trash'
    with served() as password:
        browser = Browser()
        browser.sign_in(password)
        project = browser.send('/api/v1/projects', {'name': 'Pages'})['id']
        upload(browser, project, packed(folder))
        image = json.loads(browser.get(f'/api/v1/projects/{project}/images?limit=1'))['results'][0]['id']
        pages = {
            'projects': '/',
            'project': f'/projects/{project}/',
            'photo': f'/projects/{project}/images/{image}/',
            'thumbnail': f'/api/v1/projects/{project}/images/{image}/thumbnail',
            'zoo': '/zoo/',
            'keys': '/keys/',
        }
        rest: dict[str, list[float]] = defaultdict(list)
        busy: dict[str, list[float]] = defaultdict(list)
        for _ in range(ROUNDS):
            ask(browser, pages, rest)
        job = browser.send(f'/api/v1/projects/{project}/trainings', {})['id']
        pages |= {'training': f'/trainings/{job}/', 'progress (REST)': f'/api/v1/trainings/{job}'}
        while (state := json.loads(browser.get(f'/api/v1/trainings/{job}')))['state'] in (
            'queued',
            'running',
        ):
            ask(browser, pages, busy)
        print(f'the training ended {state["state"]}; median / 95 % in ms')
        print('| page | at rest | during a training | n |')
        print('| --- | --- | --- | --- |')
        for name in pages:
            print(told(name, rest.get(name) or [0.0], busy[name]))


if __name__ == '__main__':
    main()
