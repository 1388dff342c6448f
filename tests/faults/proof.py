"""The proof after a fault: what was acknowledged is in the log, nothing is there twice, and the views agree with it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from uuid import UUID

import orjson

from domain.enrolment import Enrolment
from domain.person import Person
from domain.register import AttendanceRegister
from tests.faults.load import Load, Sent
from tests.faults.office import Office
from tests.postgres import looked_up


@dataclass
class Report:
    """What a drill did, and which promises it found broken."""

    name: str
    did: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def expect(self, true: bool, otherwise: str) -> None:
        """Note a broken promise unless something is true."""
        if not true:
            self.broken.append(otherwise)


@dataclass(frozen=True)
class Held:
    """What a log holds: how often each mark, which person and enrolment was made how often, and its last position."""

    marks: Counter[str]
    people: Counter[UUID]
    enrolments: Counter[UUID]
    end: int


def held_by(office: Office) -> Held:
    """Read a log that nobody has open, without the program that wrote it."""
    marks: Counter[str] = Counter()
    people: Counter[UUID] = Counter()
    enrolments: Counter[UUID] = Counter()
    end = 0
    position = "rowid" if office.database is None else "notification_id"
    asked = f"SELECT {position}, originator_id, topic, state FROM stored_events ORDER BY {position}"
    for end, stream, topic, state in looked_up(office.settings, "events", asked):  # noqa: B007
        if topic == AttendanceRegister.Marked.TOPIC:
            marks[orjson.loads(bytes(state))["mark"]] += 1
        elif topic == Person.Registered.TOPIC:
            people[UUID(str(stream))] += 1
        elif topic == Enrolment.Requested.TOPIC:
            enrolments[UUID(str(stream))] += 1
    return Held(marks, people, enrolments, end)


def prove(office: Office, load: Load, report: Report, before: Held) -> None:
    """See that an office which nobody serves any more kept every promise to these clients."""
    report.broken += load.lies
    held = held_by(office)
    prove_acknowledged(held, load.acknowledged, report)
    sent = [*load.acknowledged, *load.waiting]
    twice = [mark for mark, times in held.marks.items() if times > 1]
    report.expect(not twice, f"{len(twice)} marks are in the log twice, such as {twice[:1]}")
    asked = sum(each.key is not None for each in sent)
    known = sum(each.key is not None for each in load.acknowledged)
    made = sum(held.people.values()) - sum(before.people.values())
    report.expect(known <= made <= asked, f"{asked} people were sent, {known} acknowledged, and {made} are in the log")
    for store in ("events", "vault", "keys", "views") if office.database is None else ("keys",):
        with closing(sqlite3.connect(office.store(store))) as raw:
            said = raw.execute("PRAGMA integrity_check").fetchone()[0]
        report.expect(said == "ok", f"{store} is damaged: {said}")
    prove_views(office, report)
    told = ", ".join(f"{count} × {what}" for what, count in sorted(load.told.items()))
    report.did.append(
        f"{len(load.acknowledged):,} commands acknowledged ({told}; the slowest answer took {load.slowest:.1f} s); "
        f"the log holds {held.end - before.end:,} events more"
    )


def prove_acknowledged(held: Held, acknowledged: Sequence[Sent], report: Report) -> None:
    """See that each of these commands is in the log, once."""
    lost = [each for each in acknowledged if each.marks and any(held.marks[mark] != 1 for mark in each.marks)]
    report.expect(not lost, f"{len(lost)} acknowledged batches of marks are not in the log once each")
    answers = [each.answer for each in acknowledged if each.answer is not None and not each.marks]
    gone = [a for a in answers if held.enrolments[UUID(a["id"])] != 1 or held.people[UUID(a["ids"][0])] != 1]
    report.expect(not gone, f"{len(gone)} acknowledged enrolments are not in the log once each")
    last = max((each.answer["position"] or 0 for each in acknowledged if each.answer), default=0)
    report.expect(last <= held.end, f"position {last} was acknowledged, but the log ends at {held.end}")


def prove_views(office: Office, report: Report) -> None:
    """See that `provider views verify` is content."""
    status, said = office.run("views", "verify")
    report.expect(status == 0, f"`provider views verify` ended with {status}: {said[-400:]}")


__all__ = ["Held", "Report", "held_by", "prove", "prove_acknowledged", "prove_views"]
