"""A web server in this process that stands for those from which weights are fetched."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class WeightsServer:
    """What it has, how it behaves, and what it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.ranges = True  # whether it answers with a part when asked for one
        self.breaks = 0  # how many of the next answers it breaks off in the middle
        self.asked: list[str] = []  # the Range of each request for a file
        self.url = ''


@contextmanager
def serve_weights() -> Iterator[WeightsServer]:
    weights_server = WeightsServer()

    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(404)
            self.end_headers()

        def do_GET(self):
            body = weights_server.files.get(self.path)
            if body is None:
                self.send_error(404)
                return
            wanted = self.headers.get('Range', '')
            weights_server.asked.append(wanted)
            start = int(wanted[6:-1]) if wanted and weights_server.ranges else 0
            if start and start >= len(body):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header('Content-Range', f'bytes {start}-{len(body) - 1}/{len(body)}')
            self.send_header('Content-Length', str(len(body) - start))
            self.end_headers()
            rest = body[start:]
            if weights_server.breaks:
                weights_server.breaks -= 1
                rest = rest[: len(rest) // 2]
            self.wfile.write(rest)

        def log_message(self, *arguments):
            """Silent."""

    server = ThreadingHTTPServer(('127.0.0.1', 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    weights_server.url = f'http://127.0.0.1:{server.server_port}'
    try:
        yield weights_server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
