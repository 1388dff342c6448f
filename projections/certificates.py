"""The certificate register: every number the institution has given out, what it says, and whether it is in force."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select, tuple_

from domain.certificate import Certificate, Stage
from projections.directory import course_trainers
from projections.projection import (
    Projection,
    Reading,
    Rows,
    flag,
    holds,
    json,
    number,
    plain,
    portions,
    text,
    uid,
    view_table,
)

certificate_rows = view_table(
    "certificates_certificates",
    uid("certificate"),
    text("number"),
    number("year"),
    number("serial"),
    uid("course"),
    uid("enrolment"),
    uid("person"),
    text("certificate_name"),
    text("course_title"),
    text("body"),
    text("code"),
    text("first_day"),
    text("last_day"),
    number("contact_minutes"),
    uid("trainer"),
    text("trainer_name"),
    text("institution_name"),
    text("place"),
    json("rests_on"),
    text("verification_code"),
    text("template_version"),
    text("state"),
    text("issued_at"),
    uid("issued_by"),
    text("replaces"),
    uid("revocation_requested_by"),
    text("revocation_requested_at"),
    text("revocation_reason"),
    text("revocation_note"),
    text("ended_at"),
    uid("ended_by"),
    text("ended_reason"),
    text("ended_note"),
    flag("solo"),
    number("version"),
    key=("certificate",),
    indexes=[("number",), ("year", "serial"), ("course",), ("replaces",)],
)
"""One row per certificate. The two names and the notes are handles.

`state` is issued, superseded or revoked; the four `ended_…` say when, by whom and why it ceased to be in force, `solo`
that one person both requested and decided the revocation. A request that waits is in the four `revocation_…`.
"""

certificates = Projection("certificates", version=2, tables=(certificate_rows,))


@certificates.on(Certificate.Issued)
def _issued(rows: Rows, event: Certificate.Issued) -> None:
    facts = event.facts
    rows.add(
        certificate_rows,
        certificate=event.originator_id,
        number=event.number,
        year=event.year,
        serial=event.serial,
        course=facts.course,
        enrolment=facts.enrolment,
        person=facts.person,
        certificate_name=facts.certificate_name,
        course_title=facts.course_title,
        body=facts.body,
        code=facts.code,
        first_day=facts.first_day,
        last_day=facts.last_day,
        contact_minutes=facts.contact_minutes,
        trainer=facts.trainer,
        trainer_name=facts.trainer_name,
        institution_name=facts.institution_name,
        place=facts.place,
        rests_on=plain(event.rests_on),
        verification_code=event.verification_code,
        template_version=event.template_version,
        state=Stage.ISSUED,
        issued_at=event.at,
        issued_by=event.by,
        replaces=event.replaces,
        version=event.originator_version,
    )


@certificates.on(Certificate.Superseded)
def _superseded(rows: Rows, event: Certificate.Superseded) -> None:
    _ended(rows, event, Stage.SUPERSEDED)


@certificates.on(Certificate.RevocationRequested)
def _revocation_requested(rows: Rows, event: Certificate.RevocationRequested) -> None:
    rows.change(
        certificate_rows,
        event.originator_id,
        revocation_requested_by=event.by,
        revocation_requested_at=event.at,
        revocation_reason=event.reason,
        revocation_note=event.note,
        version=event.originator_version,
    )


@certificates.on(Certificate.RevocationRejected)
def _revocation_rejected(rows: Rows, event: Certificate.RevocationRejected) -> None:
    rows.change(certificate_rows, event.originator_id, **_NO_REQUEST, version=event.originator_version)


@certificates.on(Certificate.Revoked)
def _revoked(rows: Rows, event: Certificate.Revoked) -> None:
    rows.change(certificate_rows, event.originator_id, solo=event.solo)
    _ended(rows, event, Stage.REVOKED)


@certificates.on(Certificate.DiscrepancyResolved)
def _discrepancy_resolved(rows: Rows, event: Certificate.DiscrepancyResolved) -> None:
    rows.change(certificate_rows, event.originator_id, version=event.originator_version)


_NO_REQUEST = dict.fromkeys(
    ("revocation_requested_by", "revocation_requested_at", "revocation_reason", "revocation_note")
)


def _ended(rows: Rows, event: Certificate.Superseded | Certificate.Revoked, stage: Stage) -> None:
    # A request that nobody answered has come to nothing, where a replacement was issued instead.
    left = _NO_REQUEST if stage is Stage.SUPERSEDED else {}
    rows.change(
        certificate_rows,
        event.originator_id,
        state=stage,
        ended_at=event.at,
        ended_by=event.by,
        ended_reason=event.reason,
        ended_note=event.note,
        version=event.originator_version,
        **left,
    )


def course_of(read: Reading, number: str) -> str | None:
    """Return the course that a certificate is about, None where there is no certificate of that number."""
    found = select(certificate_rows.c.course).where(certificate_rows.c.number == number).limit(1)
    return read.execute(found).scalar()


def last_serial(read: Reading, year: int) -> int:
    """Return the last serial that was given out in a year, 0 where there is none."""
    found = select(func.max(certificate_rows.c.serial)).where(certificate_rows.c.year == year)
    return int(read.execute(found).scalar() or 0)


def certificate(read: Reading, number: str, *, at: int | None = None) -> dict[str, Any] | None:
    """Return one certificate by its number; None where there is none.

    It has the columns of its row, and `replaced_by`: the number of the certificate in place of this one, or None.
    """
    found = select(certificate_rows).where(certificate_rows.c.number == number, holds(certificate_rows, at))
    return next(iter(_shown(read, found, at)), None)


def listing(
    read: Reading,
    *,
    course: UUID | str | None = None,
    year: int | None = None,
    state: str | None = None,
    person: UUID | str | None = None,
    after: tuple[int, int] | None = None,
    limit: int = 50,
    at: int | None = None,
) -> list[dict[str, Any]]:
    """Return certificates as `certificate` does, in the order of their numbers: up to `limit + 1`.

    `after` are the year and the serial of the last one known; with `person`, only those of courses that they teach now.
    """
    column = certificate_rows.c
    found = select(certificate_rows).where(holds(certificate_rows, at)).order_by(column.year, column.serial)
    if course is not None:
        found = found.where(column.course == str(course))
    if year is not None:
        found = found.where(column.year == year)
    if state is not None:
        found = found.where(column.state == state)
    if person is not None:
        # Who may look is judged now, whatever the moment that is looked at.
        own = select(course_trainers.c.course).where(
            course_trainers.c.person == str(person), holds(course_trainers, None)
        )
        found = found.where(column.course.in_(own))
    if after is not None:
        found = found.where(tuple_(column.year, column.serial) > tuple_(*after))
    return _shown(read, found.limit(limit + 1), at)


def of_enrolments(read: Reading, course: UUID | str, *, at: int | None = None) -> dict[str, dict[str, Any]]:
    """Return the last certificate of each enrolment of a course that has one: `number` and `state`, by enrolment."""
    column = certificate_rows.c
    found = (
        select(column.enrolment, column.number, column.state)
        .where(column.course == str(course), holds(certificate_rows, at))
        .order_by(column.year, column.serial)
    )
    return {row.enrolment: {"number": row.number, "state": row.state} for row in read.execute(found)}


def numbering(read: Reading, *, at: int | None = None) -> list[dict[str, Any]]:
    """Return for each year how its numbers were used, the first year first.

    That is `year`, `last_serial`, how many are `issued` (in force), `superseded` and `revoked`, and `gaps`: the serials
    up to the last one that no certificate has. There should be none.
    """
    column = certificate_rows.c
    found = select(column.year, column.serial, column.state).where(holds(certificate_rows, at))
    years: dict[int, dict[int, str]] = {}
    for row in read.execute(found.order_by(column.year, column.serial)):
        years.setdefault(row.year, {})[row.serial] = row.state
    return [
        {
            "year": year,
            "last_serial": max(used),
            **{stage.value: sum(state == stage.value for state in used.values()) for stage in Stage},
            "gaps": [serial for serial in range(1, max(used)) if serial not in used],
        }
        for year, used in years.items()
    ]


def _shown(read: Reading, query: Select[Any], at: int | None) -> list[dict[str, Any]]:
    """Return the rows without the positions between which they hold, with what replaced them."""
    found = [dict(row._mapping) for row in read.execute(query)]
    replaced = _replacements(read, [row["number"] for row in found], at)
    for row in found:
        del row["since"], row["until"]
        row["replaced_by"] = replaced.get(row["number"])
    return found


def _replacements(read: Reading, numbers: Iterable[str], at: int | None) -> dict[str, str]:
    column = certificate_rows.c
    found: dict[str, str] = {}
    for wanted in portions(numbers):
        chunk = select(column.replaces, column.number).where(column.replaces.in_(wanted), holds(certificate_rows, at))
        found.update((row.replaces, row.number) for row in read.execute(chunk))
    return found
