"""The directory: the institution, the people it knows, and who may teach what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select

from domain.catalogue import CATALOGUE
from domain.course import Course
from domain.credential import CredentialPolicy, Source
from domain.institution import Act, Institution, Settings, SignOff, SignOffMode
from domain.person import Person
from domain.refusal import Refused
from domain.trainer import Trainer
from projections.projection import (
    Lookup,
    Prepared,
    Projection,
    Reading,
    Rows,
    contents,
    expected,
    holds,
    json,
    number,
    plain,
    portions,
    text,
    uid,
    view_table,
)


class NotFoundedThen(Refused):
    """The institution wasn't founded by then, so that nothing was there."""


institution_rows = view_table(
    "directory_institution",
    uid("institution"),
    text("name"),
    json("settings"),
    json("registrations"),
    json("overrides"),
    number("version"),
    key=("institution",),
)
people_rows = view_table(
    "directory_people",
    uid("person"),
    number("registered"),
    text("registered_at"),
    text("source"),
    text("given"),
    text("family"),
    text("certificate_name"),
    text("latin_given"),
    text("latin_family"),
    number("names_version"),
    json("names_confirmed"),
    text("email"),
    text("phone"),
    json("body_emails"),
    json("body_email_versions"),
    json("body_email_sources"),
    uid("linked_to"),
    number("version"),
    key=("person",),
    indexes=[("registered",)],
)
"""One row per person. Names, e-mails and the phone are handles; `registered` is the position at which they came.

`names_confirmed` is a list of who vouched for the present names and when; the three `body_…` columns are by body.
"""
trainer_rows = view_table(
    "directory_trainers",
    uid("trainer"),
    uid("person"),
    number("registered"),
    json("authorisations"),
    number("version"),
    key=("trainer",),
    indexes=[("registered",)],
)

course_trainers = view_table(
    "directory_course_trainers", uid("course"), uid("person"), text("role"), key=("course", "person"), rarely=True
)
"""Who teaches which course, as `lead` or `co_trainer`: what decides which courses a trainer can see."""

FORMER = "former"
"""The role of somebody on a course who was released after they had taught a part of it."""

directory = Projection("directory", version=2, tables=(institution_rows, people_rows, trainer_rows, course_trainers))

NAMES = ("given", "family", "certificate_name", "latin_given", "latin_family")


@directory.on(Institution.Founded)
def _founded(rows: Rows, event: Institution.Founded) -> None:
    rows.add(
        institution_rows,
        institution=event.originator_id,
        name=event.name,
        settings=plain(event.settings),
        registrations=[],
        overrides=[],
        version=event.originator_version,
    )


@directory.on(Institution.Renamed)
def _renamed(rows: Rows, event: Institution.Renamed) -> None:
    rows.change(institution_rows, event.originator_id, name=event.name, version=event.originator_version)


@directory.on(Institution.RegisteredWithBody)
def _registered_with_body(rows: Rows, event: Institution.RegisteredWithBody) -> None:
    registration = {
        "number": event.number,
        "body": event.body,
        "external_id": event.external_id,
        "valid_from": event.valid_from,
        "valid_until": event.valid_until,
        "ended": None,
    }
    known = expected(rows, institution_rows, event.originator_id)["registrations"]
    rows.change(
        institution_rows,
        event.originator_id,
        registrations=[*known, plain(registration)],
        version=event.originator_version,
    )


@directory.on(Institution.RegistrationEnded)
def _registration_ended(rows: Rows, event: Institution.RegistrationEnded) -> None:
    known = expected(rows, institution_rows, event.originator_id)["registrations"]
    rows.change(
        institution_rows,
        event.originator_id,
        registrations=[
            {**each, "ended": plain(event.on)} if each["number"] == event.number else each for each in known
        ],
        version=event.originator_version,
    )


@directory.on(Institution.SettingsChanged)
def _settings_changed(rows: Rows, event: Institution.SettingsChanged) -> None:
    rows.change(institution_rows, event.originator_id, settings=plain(event.settings), version=event.originator_version)


@directory.on(Institution.CredentialOverridden)
def _credential_overridden(rows: Rows, event: Institution.CredentialOverridden) -> None:
    known = expected(rows, institution_rows, event.originator_id)["overrides"]
    rows.change(
        institution_rows,
        event.originator_id,
        overrides=[plain(event.policy), *known],
        version=event.originator_version,
    )


@directory.on(Person.Registered)
def _person_registered(rows: Rows, event: Person.Registered) -> None:
    rows.add(
        people_rows,
        person=event.originator_id,
        registered=rows.position,
        registered_at=event.at,
        source=event.source,
        **{name: getattr(event.names, name) for name in NAMES},
        names_version=event.originator_version,
        names_confirmed=[],
        email=event.email,
        body_emails={},
        body_email_versions={},
        body_email_sources={},
        version=event.originator_version,
    )


@directory.on(Person.NameCorrected, Person.NameChanged)
def _person_named(rows: Rows, event: Person.NameCorrected | Person.NameChanged) -> None:
    rows.change(
        people_rows,
        event.originator_id,
        **{name: getattr(event.names, name) for name in NAMES},
        names_version=event.originator_version,
        names_confirmed=[],
        version=event.originator_version,
    )


@directory.on(Person.NamesConfirmed)
def _names_confirmed(rows: Rows, event: Person.NamesConfirmed) -> None:
    known = expected(rows, people_rows, event.originator_id)["names_confirmed"]
    said = {"by": event.confirmed_by, "at": event.at, "recorded_by": event.by}
    rows.change(
        people_rows, event.originator_id, names_confirmed=[*known, plain(said)], version=event.originator_version
    )


@directory.on(Person.ContactChanged)
def _contact_changed(rows: Rows, event: Person.ContactChanged) -> None:
    rows.change(
        people_rows, event.originator_id, email=event.email, phone=event.phone, version=event.originator_version
    )


@directory.on(Person.BodyEmailStated)
def _body_email_stated(rows: Rows, event: Person.BodyEmailStated) -> None:
    known = expected(rows, people_rows, event.originator_id)
    rows.change(
        people_rows,
        event.originator_id,
        body_emails={**known["body_emails"], event.body: plain(event.email)},
        body_email_versions={**known["body_email_versions"], event.body: event.originator_version},
        body_email_sources={**known["body_email_sources"], event.body: plain(event.source)},
        version=event.originator_version,
    )


@directory.on(Person.LinkedTo)
def _linked_to(rows: Rows, event: Person.LinkedTo) -> None:
    rows.change(people_rows, event.originator_id, linked_to=event.survivor, version=event.originator_version)


@directory.on(Person.Unlinked)
def _unlinked(rows: Rows, event: Person.Unlinked) -> None:
    rows.change(people_rows, event.originator_id, linked_to=None, version=event.originator_version)


@directory.on(Trainer.Registered)
def _trainer_registered(rows: Rows, event: Trainer.Registered) -> None:
    rows.add(
        trainer_rows,
        trainer=event.originator_id,
        person=event.person,
        registered=rows.position,
        authorisations=[],
        version=event.originator_version,
    )


@directory.on(Trainer.Authorised)
def _authorised(rows: Rows, event: Trainer.Authorised) -> None:
    authorisation = {
        "number": event.number,
        "body": event.body,
        "code": event.code,
        "role": event.role,
        "valid_from": event.valid_from,
        "valid_until": event.valid_until,
        "evidence": event.evidence,
        "ended": None,
    }
    known = expected(rows, trainer_rows, event.originator_id)["authorisations"]
    rows.change(
        trainer_rows,
        event.originator_id,
        authorisations=[*known, plain(authorisation)],
        version=event.originator_version,
    )


@directory.on(Trainer.AuthorisationEnded)
def _authorisation_ended(rows: Rows, event: Trainer.AuthorisationEnded) -> None:
    known = expected(rows, trainer_rows, event.originator_id)["authorisations"]
    rows.change(
        trainer_rows,
        event.originator_id,
        authorisations=[
            {**each, "ended": plain(event.on)} if each["number"] == event.number else each for each in known
        ],
        version=event.originator_version,
    )


@directory.on(Trainer.Booked, Trainer.Released)
def _trainer_moved(rows: Rows, event: Trainer.Booked | Trainer.Released) -> None:
    rows.change(trainer_rows, event.originator_id, version=event.originator_version)


@directory.on(Course.TrainerAssigned)
def _assigned_to_course(rows: Rows, event: Course.TrainerAssigned) -> None:
    rows.put(course_trainers, course=event.originator_id, person=event.trainer_person, role=event.role)


@directory.on(Course.TrainerReleased)
def _released_from_course(rows: Rows, event: Course.TrainerReleased) -> None:
    if event.since is None:
        rows.delete(course_trainers, event.originator_id, event.trainer_person)
        return
    # The sessions before that are still theirs to mark late and to seal.
    rows.change(course_trainers, event.originator_id, event.trainer_person, role=FORMER)


_INSTITUTION = Lookup(institution_rows)
_PERSON = Lookup(people_rows, "person")
_TRAINER = Lookup(trainer_rows, "trainer")


def institution(read: Reading, *, at: int | None = None) -> dict[str, Any] | None:
    """Return the institution: `institution`, `name`, `settings`, `registrations`, `overrides`, `version`; or None.

    `settings` has the members of `domain.institution.Settings`, `overrides` are the latest first.
    """
    return _INSTITUTION.first(read, at)


def settings(read: Reading, *, at: int | None = None) -> Settings:
    """Return the institution's settings.

    :raises NotFoundedThen: as of a position before it was founded.
    """
    known = institution(read, at=at)
    if known is None:
        raise NotFoundedThen("Before the institution was founded there was nothing here.")
    said = known["settings"]
    return Settings(
        zone=said["zone"],
        tolerance_minutes=said["tolerance_minutes"],
        sign_off=tuple(SignOff(Act(each["act"]), SignOffMode(each["mode"])) for each in said["sign_off"]),
        certificate_prefix=said["certificate_prefix"],
        submission_due_days=said["submission_due_days"],
        holidays=tuple(date.fromisoformat(day) for day in said["holidays"]),
    )


def policies(read: Reading, *, at: int | None = None) -> tuple[CredentialPolicy, ...]:
    """Return all rules for credentials: the institution's own, latest first, then the catalogue."""
    known = institution(read, at=at)
    return (*(_policy(each) for each in (known["overrides"] if known else ())), *CATALOGUE)


def person(read: Reading, person: UUID | str, *, at: int | None = None) -> dict[str, Any] | None:
    """Return one person, with handles for what is personal; None where there is none."""
    return _PERSON.first(read, at, person=str(person))


def people(read: Reading, *, after: int | None = None, limit: int = 50, at: int | None = None) -> list[dict[str, Any]]:
    """Return people in the order in which they became known, after a `registered` position: up to `limit + 1`."""
    found = select(people_rows).where(holds(people_rows, at)).order_by(people_rows.c.registered).limit(limit + 1)
    if after is not None:
        found = found.where(people_rows.c.registered > after)
    return _all(read, found)


def addresses(read: Reading, *, after: int | None = None, limit: int = 1_000) -> Sequence[Any]:
    """Return the e-mails of people, in the order in which they became known, after a `registered` position.

    Rows have `person`, `registered`, `linked_to`, `email` and `body_emails`, a handle by body; up to `limit` of them.
    """
    columns = (people_rows.c[name] for name in ("person", "registered", "linked_to", "email", "body_emails"))
    found = select(*columns).where(holds(people_rows, None)).order_by(people_rows.c.registered).limit(limit)
    return read.execute(found if after is None else found.where(people_rows.c.registered > after)).all()


# Statements that many requests run are made once: to make one costs more than to run it.
_BY_IDS = select(people_rows).where(people_rows.c.person.in_(bindparam("wanted", expanding=True)))
_NOW_BY_IDS = _BY_IDS.where(holds(people_rows, None))


def people_by_ids(read: Reading, ids: Iterable[UUID | str], *, at: int | None = None) -> dict[str, dict[str, Any]]:
    """Return people by their ids; those unknown are left out."""
    wanted = {str(each) for each in ids}
    query = _NOW_BY_IDS if at is None else _BY_IDS.where(holds(people_rows, at))
    found: dict[str, dict[str, Any]] = {}
    for some in portions(wanted):
        for row in read.execute(query, {"wanted": some}):
            found[row.person] = contents(row)
    return found


def trainer(read: Reading, person: UUID | str, *, at: int | None = None) -> dict[str, Any] | None:
    """Return one trainer by their person id: `trainer`, `person`, `authorisations`, `version`; or None."""
    stream = Trainer.create_id(UUID(str(person)))
    return _TRAINER.first(read, at, trainer=str(stream))


def trainers(
    read: Reading, *, after: int | None = None, limit: int = 50, at: int | None = None
) -> list[dict[str, Any]]:
    """Return trainers in the order in which they were registered, after a `registered` position: up to `limit + 1`."""
    found = select(trainer_rows).where(holds(trainer_rows, at)).order_by(trainer_rows.c.registered).limit(limit + 1)
    if after is not None:
        found = found.where(trainer_rows.c.registered > after)
    return _all(read, found)


def trainers_of(read: Reading, course: UUID | str, *, at: int | None = None) -> dict[str, str]:
    """Return who teaches a course: person → `lead` or `co_trainer`."""
    found = select(course_trainers.c.person, course_trainers.c.role).where(
        course_trainers.c.course == str(course), course_trainers.c.role != FORMER, holds(course_trainers, at)
    )
    return {row.person: row.role for row in read.execute(found.order_by(course_trainers.c.person))}


_NAMES_BY_IDS = select(people_rows.c.person, *(people_rows.c[name] for name in NAMES)).where(
    people_rows.c.person.in_(bindparam("wanted", expanding=True))
)
_NOW_NAMES_BY_IDS = _NAMES_BY_IDS.where(holds(people_rows, None))


def names_by_ids(
    read: Reading, ids: Iterable[UUID | str], *, at: int | None = None
) -> dict[str, dict[str, str | None]]:
    """Return the handles of people's names by their ids; a third of the cost of `people_by_ids`."""
    wanted = {str(each) for each in ids}
    query = _NOW_NAMES_BY_IDS if at is None else _NAMES_BY_IDS.where(holds(people_rows, at))
    found: dict[str, dict[str, str | None]] = {}
    for some in portions(wanted):
        for person, *names in read.execute(query, {"wanted": some}):
            found[person] = dict(zip(NAMES, names, strict=True))
    return found


_TEACHES = select(course_trainers.c.role).where(
    course_trainers.c.course == bindparam("course"), course_trainers.c.person == bindparam("person")
)
_TEACHES_NOW = Prepared(_TEACHES.where(holds(course_trainers, None)))


def is_trainer_of(read: Reading, person: UUID | str, course: UUID | str, at: int | None = None) -> bool:
    """Tell whether somebody teaches a course, or taught a part of it before they were released."""
    said = {"course": str(course), "person": str(person)}
    if at is None:
        return _TEACHES_NOW.first(read, **said) is not None
    return read.execute(_TEACHES.where(holds(course_trainers, at)), said).first() is not None


def lead_on(read: Reading, course: UUID | str, at: int | None = None) -> str | None:
    """Return the person who leads a course, None while nobody does."""
    return next((person for person, role in trainers_of(read, course, at=at).items() if role == "lead"), None)


def _policy(said: Mapping[str, Any]) -> CredentialPolicy:
    until = said["valid_until"]
    return CredentialPolicy(
        **{
            **said,
            "valid_from": date.fromisoformat(said["valid_from"]),
            "valid_until": None if until is None else date.fromisoformat(until),
            "formats": tuple(said["formats"]),
            "sources": tuple(Source(each["field"], each["reference"]) for each in said["sources"]),
            "unconfirmed": tuple(said["unconfirmed"]),
        }
    )


def _all(read: Reading, query: Any) -> list[dict[str, Any]]:
    return [contents(row) for row in read.execute(query)]
