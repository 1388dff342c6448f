"""What a command answers with, and how it is asked for again."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import orjson

from provider.keys import Key


class KeyReused(Exception):
    """An idempotency key came again with another request."""


@dataclass(frozen=True)
class IdempotencyKey:
    """An idempotency key: who said it, what it is, and the fingerprint of the request it came with."""

    principal: UUID
    key: str
    fingerprint: str

    @classmethod
    def of(cls, principal: UUID, key: str, *request: bytes, secret: Key) -> IdempotencyKey:
        """Return the key with the fingerprint of its request (method, path, body), made with a secret.

        A plain hash of a request that holds names would be as good as the names: they can be tried.
        """
        return cls(principal, key, secret.tag(*request, context=b"idempotency/v1"))


@dataclass(frozen=True)
class Receipt:
    """What a command did: to what, which version it has now, and the position of the last event recorded.

    `position` is None where nothing needed recording. `outcome` is a code; `ids` are the things made or touched.
    """

    id: UUID
    version: int
    position: int | None
    outcome: str | None = None
    ids: tuple[str, ...] = ()
    replayed: bool = False

    def stored(self) -> bytes:
        """Return what is kept of it beside its key."""
        return orjson.dumps([str(self.id), self.version, self.outcome, self.ids])

    @classmethod
    def again(cls, key: IdempotencyKey, fingerprint: str, stored: bytes, position: int | None) -> Receipt:
        """Return a receipt that was kept, for the same request.

        :raises KeyReused: when it was given to another request.
        """
        if fingerprint != key.fingerprint:
            raise KeyReused(
                "This Idempotency-Key was used for another request. Use a new key for a new request, "
                "and the same key only to send the very same request again."
            )
        stream, version, outcome, ids = orjson.loads(stored)
        return cls(UUID(stream), version, position, outcome, tuple(ids), replayed=True)
