"""What has happened in a back office before a test: played once in a run, and copied for each test."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar
from uuid import UUID, uuid4

from domain.access import Role
from provider.bootstrap import bootstrap
from provider.commands import access, people
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


def hired(
    office: Office, act: Acting, role: Role, given: str, family: str, email: str | None = None
) -> tuple[UUID, str]:
    """Register somebody who has a role, and return them and their token."""
    somebody = people.register(office, act(), given=given, family=family, email=email).id
    access.grant(office, act(), person=somebody, role=role)
    return somebody, access.issue_token(office, act(), person=somebody, roles=(role,), label="test")[1]


Played = TypeVar("Played", bound=Actor)


@dataclass(frozen=True)
class Stage(Generic[Played]):
    """A back office on the disk, to be copied, and who acted in it.

    `token` is the administrator's, `now` what the clock shows. An institution was founded in it, as by the fixtures,
    and has a registrar and an auditor.
    """

    data: Path
    admin: UUID
    token: str
    registrar: UUID
    registrar_token: str
    auditor_token: str
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

        registrar, registrar_token = hired(office, act, Role.REGISTRAR, "Rita", "Registrar", "rita@academy.example")
        _, auditor_token = hired(office, act, Role.AUDITOR, "Otto", "Auditor")
        played = play(office, act, clock)
        office.close()
        return cls(data, admin, token, registrar, registrar_token, auditor_token, clock(), played)

    def copied(self, settings: Settings, clock: Clock) -> Office:
        """Return a copy of the back office, at the time that it was left at."""
        copied(self.data, settings)
        clock.set(self.now)
        return bootstrap(settings, clock)


class Nobody:
    """Who acted where nothing has happened."""

    def at(self, *_: object) -> Nobody:
        return self


@cache
def staffed() -> Stage[Nobody]:
    """Let nothing happen but that there is a registrar and an auditor."""
    return Stage.of(lambda *_: Nobody())
