"""A load generator: keep-alive connections over plain sockets, closed loop or at a steady rate."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass
class Result:
    """What a run saw: how long it took, and the seconds of each answer; other statuses than 2xx are failures."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def quantile(self, share: float) -> float:
        """Return the latency, in seconds, that this share of the answers stayed below."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


Request = bytes
Requests = Callable[[int], Iterator[Request]]
"""Given the number of a connection, gives its requests, ready to be sent."""


def http(method: str, path: str, *, token: str | None = None, body: bytes = b"", extra: str = "") -> Request:
    """Return the bytes of a request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\n{extra}"
    if token:
        head += f"Authorization: Bearer {token}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def run(port: int, requests: Requests, *, connections: int, seconds: float, rate: float | None = None) -> Result:
    """Send requests for some seconds, as fast as answers come, or `rate` a second in all.

    At a steady rate an answer's time counts from when its request was due, so that a server that stalls can't hide it.
    """
    result = Result()
    lock = threading.Lock()
    start = time.perf_counter() + 0.05
    end = start + seconds

    def connection(number: int) -> None:
        latencies: list[float] = []
        failures: list[int] = []
        wire = Wire(port)
        due = start + (number / rate if rate else 0.0)
        for request in requests(number):
            now = time.perf_counter()
            if rate:
                if due > now:
                    time.sleep(due - now)
                began = due
                due += connections / rate
            else:
                began = max(now, start)
            if began >= end:
                break
            status = wire.ask(request)
            latencies.append(time.perf_counter() - began)
            if not 200 <= status < 300:
                failures.append(status)
        wire.close()
        with lock:
            result.latencies += latencies
            result.failures += failures

    def guarded(number: int) -> None:
        try:
            connection(number)
        except BaseException as error:
            result.errors.append(error)

    threads = [threading.Thread(target=guarded, args=(n,)) for n in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if result.errors:
        raise result.errors[0]
    result.seconds = max(time.perf_counter(), start + 0.001) - start
    return result


class Wire:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket = self._connect()
        self.buffer = b""

    def _connect(self) -> socket.socket:
        wire = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return wire

    def ask(self, request: Request) -> int:
        """Send a request, read the whole answer, and return its status; connect again where the server let go."""
        for attempt in (1, 2):
            try:
                self.socket.sendall(request)
                return self._answer()
            except (ConnectionError, IndexError):
                if attempt == 2:
                    raise
                self.socket.close()
                self.buffer = b""
                self.socket = self._connect()
        raise AssertionError

    def _answer(self) -> int:
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            self._more()
        head = self.buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        while len(self.buffer) < end + 4 + length:
            self._more()
        self.buffer = self.buffer[end + 4 + length :]
        return int(head[9:12])

    def _more(self) -> None:
        chunk = self.socket.recv(65536)
        if not chunk:
            raise ConnectionResetError
        self.buffer += chunk

    def close(self) -> None:
        self.socket.close()
