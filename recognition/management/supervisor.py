"""Run the web server and the workers as child processes: restart those that die, and stop all together."""

from __future__ import annotations

import ctypes
import http.client
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

from django.conf import settings

from recognition.errors import ConflictError, GraftError, InvalidInputError

logger = logging.getLogger(__name__)

STOP_TIMEOUT = 15.0  # seconds that a child has to stop: its job is requeued, its requests are answered
STABLE_AFTER = 60.0  # seconds after which a child's death no longer counts as a failure to start
MAX_RESTART_DELAY = 30.0  # seconds before a child that keeps dying is started again
MAX_START_FAILURES = 4  # deaths of the web server before it ever answered
# For glibc, in the web server only: one arena for all its threads and no pages given back between requests,
# which asked for 50 new ones each time. Measured: 23 MB less, 3 % less CPU time a prediction.
MALLOC_SETTINGS = ('MALLOC_ARENA_MAX=1', 'MALLOC_TRIM_THRESHOLD_=16777216', 'MALLOC_MMAP_THRESHOLD_=4194304')
PR_SET_PDEATHSIG = 1  # prctl(2)
LIBC = ctypes.CDLL(None) if sys.platform == 'linux' else None


@dataclass
class Child:
    name: str
    command: list[str]
    sockets: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    failures: int = field(default=0)

    def start(self) -> None:
        """Start it in its own session, so that a terminal's Ctrl-C reaches this process only, which stops the
        children in order.
        """
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(
            self.command,
            cwd=settings.BASE_DIR,
            pass_fds=self.sockets,
            start_new_session=True,
            preexec_fn=_set_parent_death_signal
            if LIBC
            else None,  # no thread runs in this process, so a fork is safe
        )

    def restart_if_dead(self) -> None:
        """Restart it when it has died, after a delay that doubles with each failure."""
        if self.process is not None and (status := self.process.poll()) is not None:
            self.failures = 1 if time.monotonic() - self.started_at > STABLE_AFTER else self.failures + 1
            logger.error('The %s ended with status %s; it will be restarted', self.name, status)
            self.process = None
        pause = min(MAX_RESTART_DELAY, 2.0 ** (self.failures - 2)) if self.failures else 0.0
        if self.process is None and time.monotonic() - self.started_at >= pause:
            self.start()

    def stop(self, kill: Callable[[], bool]) -> None:
        """Wait for it to exit; after STOP_TIMEOUT, or when `kill` returns True, kill everything in its
        session.
        """
        until = time.monotonic() + STOP_TIMEOUT
        while self.process is not None and self.process.poll() is None:
            if time.monotonic() > until or kill():
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            time.sleep(0.05)


def listen(host: str, port: int) -> socket.socket:
    """The web server's socket. It stays open while the server restarts, so that no connection is refused."""
    try:
        return socket.create_server((host, port), backlog=512)
    except OverflowError as error:
        raise InvalidInputError(f'{port} is no port.') from error
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise ConflictError(
            f'Port {port} of {host} cannot be used ({why}); choose another, as in PORT=8001.'
        ) from error


def supervise(listener: socket.socket, when_ready: Callable[[str], None]) -> None:
    """Run the web server and the workers until SIGINT or SIGTERM. GraftError when the web server does not
    come up.
    """
    signals: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        signals.append(number)

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    children = [
        Child('web server', make_web_command(listener), (listener.fileno(),)),
        Child('worker', make_worker_command()),
        Child('serving worker', make_serve_worker_command()),
    ]
    ready = False
    try:
        while not signals:
            for child in children:
                child.restart_if_dead()
            if not ready and children[0].failures >= MAX_START_FAILURES:
                raise GraftError('The web server does not start; its messages above say why.')
            if not ready and _responds(listener):
                ready = True
                when_ready(format_address(listener))
            time.sleep(0.1)
    finally:
        for child in children:
            if child.process is not None and child.process.poll() is None:
                child.process.terminate()
        for child in children:
            child.stop(lambda: len(signals) > 1)
        for number, previous in before.items():
            signal.signal(number, previous)


def make_web_command(listener: socket.socket) -> list[str]:
    """One process with many threads: they share the loaded models, and the engine releases the interpreter's
    lock.
    """
    return [
        *('env', *MALLOC_SETTINGS, sys.executable, '-m', 'gunicorn', 'recognition.wsgi:application'),
        *('--bind', f'fd://{listener.fileno()}', '--worker-class', 'gthread', '--no-control-socket'),
        *(
            '--workers',
            str(settings.WEB_PROCESSES),
            '--threads',
            '8',
            '--timeout',
            '120',
            '--graceful-timeout',
            '5',
        ),
        *('--log-level', 'warning'),
    ]


def make_worker_command() -> list[str]:
    return [
        *(sys.executable, '-m', 'celery', '--quiet', '-A', 'recognition', 'worker'),
        *('--queues', settings.WORKER_QUEUES, '--loglevel', 'WARNING'),
    ]


def make_serve_worker_command() -> list[str]:
    """A second worker, so that detection jobs and source imports never wait for a training. It does not
    preload torch.
    """
    return [
        *(
            'env',
            'WORKER_PRELOAD=0',
            sys.executable,
            '-m',
            'celery',
            '--quiet',
            '-A',
            'recognition',
            'worker',
        ),
        *('--queues', settings.SERVING_QUEUE, '--hostname', 'serve@%h', '--loglevel', 'WARNING'),
    ]


def format_address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f'http://{"127.0.0.1" if host == "0.0.0.0" else host}:{port}/'  # noqa: S104  compared, not bound


def _responds(listener: socket.socket) -> bool:
    host, port = listener.getsockname()[:2]
    connection = http.client.HTTPConnection('127.0.0.1' if host == '0.0.0.0' else host, port, timeout=1)  # noqa: S104
    try:
        connection.request('HEAD', '/')
        return connection.getresponse().status > 0
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _set_parent_death_signal() -> None:
    """When this process dies, even of a SIGKILL, Linux sends its children SIGTERM."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
