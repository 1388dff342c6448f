"""How a command is carried out: looked up, decided, recorded, and decided again when somebody else was first."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from random import random
from time import sleep
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypedDict, TypeVar, TypeVarTuple, Unpack, overload
from uuid import UUID, uuid4

from eventsourcing.persistence import IntegrityError

from domain.aggregate import Aggregate
from domain.private import Private
from projections.projection import Reading
from provider import figures
from provider.locks import AdvisoryLock, Held
from provider.log import IdempotencyKey, NotFound, Receipt

if TYPE_CHECKING:
    from provider.office import Office

LOGGER = logging.getLogger(__name__)
Said = ParamSpec("Said")
Kind = TypeVar("Kind", bound=Aggregate)
Asked = TypeVarTuple("Asked")
Answer = TypeVar("Answer")
ATTEMPTS = 12
ENOUGH = 10
"""Events of one command from which on the views catch up before it is answered."""


class Stale(Exception):
    """The thing has another version than the one the caller had seen."""

    def __init__(self, version: int) -> None:
        super().__init__(f"Somebody changed this in the meantime: it is at version {version} now. Load it again.")
        self.version = version


class Busy(Exception):
    """Too many people are changing the same thing at once."""


@dataclass(frozen=True)
class Act:
    """Who asks for a command, when it happened, by which channel and request, and under which conditions.

    `version` is the one the caller has seen (If-Match), of the addressed aggregate only. `now` is when the request
    came in, `at` when the thing happened, both aware UTC.
    """

    by: UUID
    now: datetime
    at: datetime
    channel: str = "api"
    request: str = ""
    on_behalf_of: UUID | None = None
    version: int | None = None
    key: IdempotencyKey | None = None


class By(TypedDict):
    """The part of an act that every method of an aggregate takes."""

    by: UUID
    at: datetime
    on_behalf_of: UUID | None


class Work:
    """One command under way: what its function may use.

    Private values are sealed, and new ids drawn, once for all attempts.
    """

    def __init__(self, office: Office, act: Act) -> None:
        self.office = office
        self.act = act
        self.recorded = 0
        """How many events were recorded."""
        self._sealed: dict[tuple[UUID, str], Private] = {}
        self._ids: list[UUID] = []
        self._drawn = 0
        self._reading: Reading | None = None

    @property
    def by(self) -> By:
        """Who did it, for whom, and when it happened, to be passed on: `enrolment.withdraw(..., **work.by)`."""
        return {"by": self.act.by, "at": self.act.at, "on_behalf_of": self.act.on_behalf_of}

    @property
    def read(self) -> Reading:
        """A connection to the views, for what is read without a lock."""
        if self._reading is None or not self._reading.begun:
            # To catch up ends it. A quick command goes on with what its request was let in by; of others it was let go.
            self._reading = self.office.views.lend(as_it_is=True)
        return self._reading

    def known(self, ask: Callable[[Reading, Unpack[Asked]], Answer], *said: *Asked) -> Answer:
        """Return what a function reads from tables of views that are written rarely, and from no others."""
        return self.office.views.known(lambda: self.read, ask, *said)

    def get(self, kind: type[Kind], stream: UUID) -> Kind:
        """Return an aggregate.

        :raises NotFound: when there is none of this kind under that id.
        """
        return self.office.log.get(kind, stream)

    def find(self, kind: type[Kind], stream: UUID) -> Kind | None:
        """Return an aggregate, or None where there is none yet."""
        return self.office.log.find(kind, stream)

    def addressed(self, kind: type[Kind], stream: UUID) -> Kind:
        """Return the aggregate that the command is about; its version must be the one the caller has seen.

        :raises NotFound: when there is none of this kind under that id.
        :raises Stale: when If-Match named another version.
        """
        found = self.get(kind, stream)
        if self.act.version is not None and found.version != self.act.version:
            raise Stale(found.version)
        return found

    @overload
    def seal(self, owner: UUID, value: str) -> Private: ...
    @overload
    def seal(self, owner: UUID, value: str | None) -> Private | None: ...
    def seal(self, owner: UUID, value: str | None) -> Private | None:
        """Put a private value into the vault under its owner's key, and return its handle."""
        if value is None:
            return None
        if (owner, value) not in self._sealed:
            self._sealed[owner, value] = self.office.vault.seal(owner, value)
        return self._sealed[owner, value]

    def seal_all(self, owner: UUID, *values: str | None) -> list[Private | None]:
        """Put several values of one owner into the vault in one go."""
        missing = list({v: None for v in values if v is not None and (owner, v) not in self._sealed})
        if missing:
            handles = self.office.vault.seal_many([(owner, value) for value in missing])
            self._sealed.update({(owner, value): handle for value, handle in zip(missing, handles, strict=True)})
        return [None if v is None else self._sealed[owner, v] for v in values]

    def seal_many(self, items: Iterable[tuple[UUID, str]]) -> None:
        """Put values of several owners into the vault in one go; `seal` and `seal_all` then return their handles."""
        missing = list({item: None for item in items if item not in self._sealed})
        self._sealed.update(zip(missing, self.office.vault.seal_many(missing), strict=True))

    def note(self, text: str | None) -> Private | None:
        """Seal free text that is about no one person, under the institution's key."""
        return None if text is None else self.seal(self.office.institution, text)

    def new_id(self) -> UUID:
        """Draw a random id: the same one in each attempt."""
        if self._drawn == len(self._ids):
            self._ids.append(uuid4())
        self._drawn += 1
        return self._ids[self._drawn - 1]

    def alone(self, name: str) -> Held | AdvisoryLock:
        """Hold the lock of a hot stream, in a `with`; take it before loading."""
        return self.office.locks.hold(name)

    def record(
        self, addressed: Aggregate, *others: Aggregate, outcome: str | None = None, ids: Sequence[object] = ()
    ) -> Receipt:
        """Save all of these together with the answer to the idempotency key, or nothing at all."""
        events = [(_noun(each), len(each.pending_events)) for each in (addressed, *others)]
        receipt = self.office.log.record(
            addressed,
            *others,
            asked={"id": self.act.request, "channel": self.act.channel},
            key=self.act.key,
            outcome=outcome,
            ids=[str(each) for each in ids],
        )
        for noun, number in events:
            self.recorded += number
            figures.recorded(noun, number)
        return receipt

    def again(self) -> None:
        """Forget what was read, for another attempt."""
        self._drawn = 0
        if self._reading is not None:
            self._reading.end()
            self._reading = None


def command(
    function: Callable[Concatenate[Work, Said], Receipt],
) -> Callable[Concatenate[Office, Act, Said], Receipt]:
    """Make a command of a function that loads, decides and records.

    A used idempotency key is answered before each attempt; a version conflict decides again; the views catch up
    afterwards, and their failure never fails what is recorded.

    :raises Busy: when somebody else was first each time.
    """
    return _carried_out(function, _catch_up)


def quick_command(
    function: Callable[Concatenate[Work, Said], Receipt],
) -> Callable[Concatenate[Office, Act, Said], Receipt]:
    """Make a command as `command` does, for what many do at once: a server's views catch up a moment later.

    Its first attempt reads the views as they were when its request was let in. Only for what nobody's permission hangs
    on; other commands that decide by it bring the views to the end first.
    """
    return _carried_out(function, _catch_up_soon, quick=True)


def _carried_out(
    function: Callable[Concatenate[Work, Said], Receipt],
    catch_up: Callable[[Work, int], None],
    *,
    quick: bool = False,
) -> Callable[Concatenate[Office, Act, Said], Receipt]:
    # An alarm sees no change from nothing to one, so each begins at zero.
    name = f"{function.__module__.rpartition('.')[2]}.{function.__name__.lstrip('_')}"
    conflicts, retries = figures.CONFLICTS.labels(name), figures.RETRIES.labels(name)
    busy, stale = figures.BUSY.labels(name), figures.STALE.labels(name)

    @wraps(function)
    def carry_out(office: Office, act: Act, *args: Said.args, **said: Said.kwargs) -> Receipt:
        work = Work(office, act)
        if not quick:
            # A reader that hangs about while the views are written keeps their journal from beginning anew.
            office.views.let_go()
        for attempt in range(ATTEMPTS):
            if attempt:
                retries.inc()
            try:
                if act.key is not None and (receipt := office.log.answered(act.key)) is not None:
                    return receipt
                receipt = function(work, *args, **said)
            except IntegrityError:
                conflicts.inc()
                sleep(random() * attempt / 100)  # noqa: S311
            except Exception as error:
                if isinstance(error, Stale):
                    stale.inc()
                # It may be refused because of what somebody else recorded a moment ago.
                office.log.entries.settle()
                raise
            else:
                # Nor may it hang about while the views follow.
                work.again()
                if receipt.position is not None:
                    _afterwards(catch_up, work, receipt.position)
                else:
                    # What it found to be so already may have been recorded by somebody else a moment ago.
                    office.log.entries.settle()
                return receipt
            finally:
                work.again()
        busy.inc()
        raise Busy("Too many people are changing this at once. Please try again in a moment.")

    return carry_out  # type: ignore[return-value]


def _noun(aggregate: Aggregate) -> str:
    return str(getattr(type(aggregate), "TOPIC", type(aggregate).__name__.lower()))


def _afterwards(catch_up: Callable[[Work, int], None], work: Work, position: int) -> None:
    try:
        catch_up(work, position)
    except Exception:
        LOGGER.exception("the views could not catch up; the next request will try again")


def _catch_up(work: Work, position: int) -> None:
    work.office.views.catch_up(position)


def _catch_up_soon(work: Work, position: int) -> None:
    # What is many by itself gains nothing from waiting for more.
    if (follower := work.office.follower) is None or work.recorded >= ENOUGH:
        _catch_up(work, position)
    else:
        follower.tell(position)


__all__ = ["Act", "Busy", "By", "NotFound", "Receipt", "Stale", "Work", "command", "quick_command"]
