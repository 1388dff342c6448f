"""What the event log asks of a database, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from provider.receipt import IdempotencyKey, Receipt

Entry = tuple[int, str, int, str, bytes]
"""Position, stream, version, topic and state of one recorded event."""


class Recorder(Protocol):
    """The library's recorder of events, with reading by pages, and with the answers given to idempotency keys."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Record events, and with `answer` the receipt of a key, or nothing at all; return the events' positions.

        :raises IntegrityError: when a stream has that version already, or the key an answer.
        """

    def settle(self, upto: int | None = None) -> None:
        """Wait until everything that can be read, or what stands up to a position, can't be lost any more.

        What others record may be read a moment before that is so. Whoever tells of it, or keeps what follows from it,
        waits for it first.
        """

    def max_notification_id(self) -> int | None:
        """Return the greatest position up to which everything is known: nothing will be recorded before it."""

    def last(self) -> int:
        """Return the position of the last event, 0 when there is none; others may yet come before it."""

    def since(self, stream: UUID, version: int) -> list[tuple[str, int, str, bytes]]:
        """Return the events of a stream after a version: stream, version, topic and state of each."""

    def page(self, after: int, limit: int, upto: int | None = None) -> list[Entry]:
        """Return up to `limit` entries after a position, in order; none beyond `upto`, and none that another may
        still come before."""

    def at(self, positions: Sequence[int]) -> list[Entry]:
        """Return the entries at these positions, in order; those that there are none at are left out."""

    def answered(self, key: IdempotencyKey) -> Receipt | None:
        """Return the receipt given to this key before.

        :raises KeyReused: when it was given to another request.
        """

    def forget_keys(self, before: str) -> int:
        """Delete the answers recorded before this time (RFC 3339, UTC), and return how many."""
