"""A pooler between clients and a PostgreSQL server, which gives each transaction whichever connection is free."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

GSS_OR_TLS = {80877103, 80877104}
READY, TERMINATE, SYNC, QUERY = b"Z", b"X", b"S", b"Q"


def _exactly(connection: socket.socket, length: int) -> bytes:
    read = b""
    while len(read) < length:
        if not (more := connection.recv(length - len(read))):
            raise ConnectionError
        read += more
    return read


def _message(connection: socket.socket) -> tuple[bytes, bytes]:
    """Return the kind of the next message, and all of it."""
    kind = _exactly(connection, 1)
    length = _exactly(connection, 4)
    return kind, kind + length + _exactly(connection, struct.unpack("!I", length)[0] - 4)


class Pooler:
    """Speaks PostgreSQL's protocol, version 3, as far as it takes to hand on messages of a server that trusts all."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = str(Path(parse_qs(parts.query)["host"][0]) / ".s.PGSQL.5432")
        self._free: list[socket.socket] = []
        self._asked = self._greeting = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        for each in self._free:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                self._greet(client)
                while self._transaction(client):
                    pass
            except OSError:
                return

    def _greet(self, client: socket.socket) -> None:
        """Say to the client what a server says at its beginning; it gets one with its first transaction."""
        while True:
            length = _exactly(client, 4)
            said = _exactly(client, struct.unpack("!I", length)[0] - 4)
            if struct.unpack("!I", said[:4])[0] not in GSS_OR_TLS:
                break
            client.sendall(b"N")
        self._asked = length + said
        if not self._greeting:
            self._free.append(self._connect())
        client.sendall(self._greeting)

    def _connect(self) -> socket.socket:
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._server)
        server.sendall(self._asked)
        greeting = b""
        while greeting[-6:-5] != READY:
            greeting += _message(server)[1]
        # In one piece: another client may be greeted meanwhile.
        self._greeting = greeting
        return server

    def _transaction(self, client: socket.socket) -> bool:
        """Hand on one transaction, and say whether the client may have another."""
        kind, message = _message(client)
        if kind == TERMINATE:
            return False
        # Whoever gave theirs back last is the one whose connection is given out first, as others do it too.
        server = self._free.pop() if self._free else self._connect()
        while True:
            server.sendall(message)
            if kind in (SYNC, QUERY) and self._answer(client, server):
                return True
            kind, message = _message(client)
            if kind == TERMINATE:
                server.close()
                return False

    def _answer(self, client: socket.socket, server: socket.socket) -> bool:
        """Hand on what the server says until it is ready again, and say whether the transaction has ended."""
        while True:
            kind, message = _message(server)
            if ended := kind == READY and message.endswith(b"I"):
                # Before the client hears of it: whoever begins one then gets this server.
                self._free.append(server)
            client.sendall(message)
            if kind == READY:
                return ended


@contextmanager
def pooled(url: str) -> Iterator[str]:
    """Give the address of a pooler before a server that listens on a socket in a directory."""
    pooler = Pooler(url)
    try:
        yield pooler.url
    finally:
        pooler.close()
