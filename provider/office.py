"""The composition root: one institution's back office, ready to be asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from uuid import UUID

from projections.projection import Projection
from provider.desk import Desk
from provider.durable import open_engine, upgrade
from provider.keys import Keys
from provider.locks import Locks
from provider.log import EventLog
from provider.settings import Settings
from provider.vault import Vault
from provider.views import Views

Clock = Callable[[], datetime]


class NotFounded(Exception):
    """The data directory holds no institution yet."""


def utc_now() -> datetime:
    """Return the time, aware and in UTC."""
    return datetime.now(UTC)


class Office:
    """Everything that runs for one institution. Make it after a fork, never before."""

    def __init__(self, settings: Settings, projections: Sequence[Projection], clock: Clock = utc_now) -> None:
        self.settings = settings
        self.clock = clock
        self._engines = {
            name: open_engine(settings.store(name), threads=settings.threads) for name in ("vault", "keys", "desk")
        }
        for name, engine in self._engines.items():
            upgrade(engine, name)
        self.log = EventLog(settings.store("events"))
        self.keys = Keys(self._engines["keys"], clock=self._seconds)
        self.vault = Vault(self._engines["vault"], self.keys, clock=self._seconds)
        self.desk = Desk(self._engines["desk"], self.keys, clock=self._seconds)
        self.locks = Locks(settings.data / "locks")
        self.views = Views(settings.store("views"), self.log, projections)
        self.views.open()
        self.views.catch_up()

    def _seconds(self) -> float:
        return self.clock().timestamp()

    @property
    def founded(self) -> bool:
        """Whether there is an institution yet."""
        return self.log.position() > 0

    @cached_property
    def institution(self) -> UUID:
        """The id of the institution whose back office this is.

        :raises NotFounded: before `provider init`.
        """
        first = self.log.entries.page(0, 1)
        if not first:
            raise NotFounded("There is no institution here yet. Run `provider init` first.")
        return UUID(first[0][1])

    def close(self) -> None:
        """Let go of all files."""
        self.views.close()
        self.log.close()
        self.keys.close()
        for engine in self._engines.values():
            engine.dispose()
