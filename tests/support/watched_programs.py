"""Real programs to watch: an HTTP server that leaks or has a bounded cache, and load for it."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
import time
from collections.abc import Iterator

_SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

KEPT = []
BOUND = int(sys.argv[1])


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        KEPT.append(bytearray(10 * 1024))
        if BOUND and len(KEPT) > BOUND:
            del KEPT[0]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


class Server:
    """An HTTP server in a process of its own.

    Args:
        bound: requests of which it keeps 10 KB each; 0 means all of them.
    """

    def __init__(self, bound: int = 0) -> None:
        """Start it."""
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-c", _SERVER, str(bound)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    @property
    def pid(self) -> int:
        """Number of its process."""
        return self.process.pid

    def load(self, seconds: float, pause: float = 0.004) -> int:
        """Send requests for some time, and return how many."""
        end, count = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            connection.request("GET", "/")
            connection.getresponse().read()
            connection.close()
            count += 1
            time.sleep(pause)
        return count

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextlib.contextmanager
def server(bound: int = 0) -> Iterator[Server]:
    """A server until the end of the block."""
    running = Server(bound)
    try:
        yield running
    finally:
        running.stop()


@contextlib.contextmanager
def sleeper(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that sleeps until the end of the block."""
    process = subprocess.Popen(["/bin/sleep", *(arguments or ("60",))])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(condition, seconds: float = 10.0) -> bool:
    """Wait for something to become true; return whether it has."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
