"""What has happened in a back office before a test: played once in a run, and copied for each test."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar
from uuid import UUID, uuid4

from provider.bootstrap import bootstrap
from provider.office import Office
from provider.settings import Settings
from provider.work import Act
from tests.conftest import Clock, founded_in
from tests.postgres import copied

Acting = Callable[..., Act]


class Actor(Protocol):
    """Something that knows its office, and can go on in a copy of it."""

    def at(self, office: Office, act: Acting, clock: Clock) -> Self:
        """Return the same in a copy of the office that it was in."""


Played = TypeVar("Played", bound=Actor)


@dataclass(frozen=True)
class Stage(Generic[Played]):
    """A back office on the disk, to be copied, and who acted in it.

    `token` is the administrator's, `now` what the clock shows. An institution was founded in it, as by the fixtures.
    """

    data: Path
    admin: UUID
    token: str
    now: datetime
    played: Played

    @classmethod
    def of(cls, play: Callable[[Office, Acting, Clock], Played]) -> Stage[Played]:
        """Let it happen, in an office that lasts as long as the run."""
        data = Path(tempfile.mkdtemp(prefix="stage-"))
        atexit.register(shutil.rmtree, data, ignore_errors=True)
        clock = Clock()
        office = bootstrap(Settings.read({"PROVIDER_DATA": str(data)}), clock)
        admin, token = founded_in(office)

        def act(**said: Any) -> Act:
            said = {"by": admin, "now": clock(), "at": clock(), **said}
            return Act(channel="test", request=uuid4().hex, **said)

        played = play(office, act, clock)
        office.close()
        return cls(data, admin, token, clock(), played)

    def copied(self, settings: Settings, clock: Clock) -> Office:
        """Return a copy of the back office, at the time that it was left at."""
        copied(self.data, settings)
        clock.set(self.now)
        return bootstrap(settings, clock)
