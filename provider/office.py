"""The composition root: one institution's back office, ready to be asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, cast
from uuid import UUID

from projections.projection import Projection
from provider.beforehand import opening
from provider.desk import Desk
from provider.durable import open_engine, upgrade
from provider.follower import Follower
from provider.keys import Keys
from provider.locks import AdvisoryLocks, Locks
from provider.log import EventLog, Progress
from provider.settings import Settings
from provider.vault import Vault
from provider.views import Views

if TYPE_CHECKING:
    from provider.postgres import PostgresRecorder

Clock = Callable[[], datetime]


KEPT = timedelta(days=1)
"""For how long an answer to an idempotency key is kept, and a value in the vault that no event names."""


class NotFounded(Exception):
    """The data directory holds no institution yet."""


@dataclass(frozen=True)
class Swept:
    """How much a sweep has destroyed.

    That are staged files, answers to idempotency keys, values that no event names, and sets of views that belong to
    another version of the program.
    """

    files: int
    answers: int
    values: int
    views: int


def utc_now() -> datetime:
    """Return the time, aware and in UTC."""
    return datetime.now(UTC)


class Office:
    """Everything that runs for one institution. Make it after a fork, never before."""

    def __init__(
        self,
        settings: Settings,
        projections: Sequence[Projection],
        clock: Clock = utc_now,
        progress: Progress | None = None,
        *,
        serving: bool = False,
    ) -> None:
        """Open all stores; `progress` is told how far the views are where they have to be made first.

        `serving` says that many will ask at once, for as long as this process lives.
        """
        self.settings = settings
        self.clock = clock
        self.follower: Follower | None = None
        """What brings the views to marks that were answered already; None where a command does it before it answers."""
        self._closing: list[Callable[[], object]] = []
        try:
            self._open(projections, progress)
        except BaseException:
            # Who tries again and again, until a disk has room, would have more files open each time.
            self.close()
            raise
        if serving:
            self.follower = Follower(self.views)

    def _open(self, projections: Sequence[Projection], progress: Progress | None) -> None:
        settings = self.settings
        with opening(settings):
            self._engines = {
                name: open_engine(settings.place(name), threads=settings.threads) for name in ("vault", "keys", "desk")
            }
            self._closing += [engine.dispose for engine in self._engines.values()]
            upgrade(self._engines)
            self.log = EventLog(settings.place("events"))
        self._closing.append(self.log.close)
        self.keys = Keys(self._engines["keys"], clock=self._seconds)
        self._closing.append(self.keys.close)
        self.vault = Vault(self._engines["vault"], self.keys, clock=self._seconds)
        self.desk = Desk(self._engines["desk"], self.keys, clock=self._seconds)
        self.locks: Locks | AdvisoryLocks = (
            AdvisoryLocks(cast("PostgresRecorder", self.log.recorder).lend)
            if settings.database_url
            else Locks(settings.data / "locks")
        )
        self.views = Views(settings.place("views"), self.log, projections)
        self._closing += [self.locks.close, self.views.close]
        self.views.open(progress)
        self.views.catch_up(patient=True)

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

    def sweep(self, progress: Progress | None = None) -> Swept:
        """Destroy what was only to be kept for a day, and say how much of it there was.

        That are attendee files which nobody confirmed, answers to idempotency keys, and values in the vault which no
        event names: those of commands that were refused; and the views of other versions of the program that nobody
        uses any more. May be done while the office works, and again at any time.

        :raises NothingInUse: the vault holds values, and the log names none; it is not the right log.
        :raises JournalInUse: what was deleted still lies in a journal; do it again.
        """
        files = self.desk.sweep()
        yesterday = (self.clock() - KEPT).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        answers = self.log.entries.forget_keys(yesterday)
        values = self.vault.sweep(self.log.handles(progress), older_than=KEPT)
        return Swept(files, answers, values, self.views.drop_others())

    def close(self) -> None:
        """Let go of all files."""
        if self.follower is not None:
            self.follower.close()
        for close in reversed(self._closing):
            close()
