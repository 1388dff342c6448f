"""Who somebody is, what they are called, and how they are reached."""

from __future__ import annotations

from typing import TypedDict, Unpack
from uuid import UUID

from domain.person import Names, Person, Witness
from domain.private import Private
from provider.work import Receipt, Work, command


class Called(TypedDict, total=False):
    """What a person is called, as they give it."""

    given: str | None
    family: str | None
    certificate_name: str | None
    latin_given: str | None
    latin_family: str | None


class Reached(Called, total=False):
    """What a person is called, and how they are reached."""

    email: str | None
    phone: str | None


@command
def register(
    work: Work,
    *,
    source: str = "registrar",
    person: UUID | None = None,
    **said: Unpack[Reached],
) -> Receipt:
    """Make somebody known. `person` is an id that the caller has drawn at random, or None for a new one."""
    newly = newcomer(work, person=work.new_id() if person is None else person, source=source, **said)
    return work.record(newly)


@command
def correct_names(
    work: Work,
    *,
    person: UUID,
    reason: str,
    note: str | None = None,
    **said: Unpack[Called],
) -> Receipt:
    """Put right names that were wrong from the start; these replace all names on record."""
    known = work.addressed(Person, person)
    names = _renamed(work, known, said)
    known.correct_name(names=names, reason=reason, note=work.seal(person, note), **work.by)
    return work.record(known)


@command
def change_names(
    work: Work,
    *,
    person: UUID,
    reason: str,
    note: str | None = None,
    evidence: str | None = None,
    **said: Unpack[Called],
) -> Receipt:
    """Record that somebody is called otherwise from now on; these replace all names on record."""
    known = work.addressed(Person, person)
    names = _renamed(work, known, said)
    known.change_name(names=names, reason=reason, evidence=evidence, note=work.seal(person, note), **work.by)
    return work.record(known)


@command
def confirm_names(work: Work, *, person: UUID, confirmed_by: Witness, names_version: int) -> Receipt:
    """Record that the names are right; `names_version` is the version that the witness has read."""
    known = work.addressed(Person, person)
    known.confirm_names(confirmed_by=confirmed_by, names_version=names_version, **work.by)
    return work.record(known)


@command
def change_contact(work: Work, *, person: UUID, email: str | None = None, phone: str | None = None) -> Receipt:
    """Replace e-mail and phone, both; None says that there is none."""
    known = work.addressed(Person, person)
    known.change_contact(
        email=_same(work, known.email, email) or work.seal(person, email),
        phone=_same(work, known.phone, phone) or work.seal(person, phone),
        **work.by,
    )
    return work.record(known)


@command
def state_body_email(work: Work, *, person: UUID, body: str, email: str, source: Witness) -> Receipt:
    """Record by which e-mail a body knows the person, and who says so."""
    known = work.addressed(Person, person)
    handle = _same(work, known.body_email(body), email) or _same(work, known.email, email) or work.seal(person, email)
    known.state_body_email(body=body, email=handle, source=source, **work.by)
    return work.record(known)


def newcomer(work: Work, *, person: UUID, source: str, **said: Unpack[Reached]) -> Person:
    """Return somebody new, for a command that records them together with something else."""
    *names, mail, number = work.seal_all(person, *_in_order(said), said.get("email"), said.get("phone"))
    newly = Person.register(person=person, names=Names(*names), email=mail, source=source, **work.by)
    if number is not None:
        newly.change_contact(email=mail, phone=number, **work.by)
    return newly


def _renamed(work: Work, known: Person, said: Called) -> Names:
    """Return the names with the handles on record for those that stay the same."""
    values = work.office.vault.open(vars(known.names).values())
    by_value = {value: handle for handle, value in values.items() if value is not None}
    names = _in_order(said)
    sealed = iter(work.seal_all(known.id, *(each for each in names if each not in by_value)))
    return Names(*(by_value[each] if each in by_value else next(sealed) for each in names))


def _in_order(said: Called) -> list[str | None]:
    """Return the names in the order of `domain.person.Names`."""
    return [
        said.get("given"),
        said.get("family"),
        said.get("certificate_name"),
        said.get("latin_given"),
        said.get("latin_family"),
    ]


def _same(work: Work, held: Private | None, said: str | None) -> Private | None:
    """Return the handle on record where it stands for this very value, so that to say the same again is noticed."""
    if held is None or said is None or work.office.vault.open_one(held) != said:
        return None
    return held
