"""Who somebody is, what they are called, and how they are reached."""

from __future__ import annotations

from uuid import UUID

from domain.person import Names, Person, Witness
from domain.private import Private
from provider.work import Receipt, Work, command


@command
def register(
    work: Work,
    *,
    given: str | None = None,
    family: str | None = None,
    certificate_name: str | None = None,
    latin_given: str | None = None,
    latin_family: str | None = None,
    email: str | None = None,
    phone: str | None = None,
    source: str = "registrar",
    person: UUID | None = None,
) -> Receipt:
    """Make somebody known. `person` is an id that the caller has drawn at random, or None for a new one."""
    newly = newcomer(
        work,
        person=work.new_id() if person is None else person,
        given=given,
        family=family,
        certificate_name=certificate_name,
        latin_given=latin_given,
        latin_family=latin_family,
        email=email,
        phone=phone,
        source=source,
    )
    return work.record(newly)


@command
def correct_names(
    work: Work,
    *,
    person: UUID,
    reason: str,
    note: str | None = None,
    given: str | None = None,
    family: str | None = None,
    certificate_name: str | None = None,
    latin_given: str | None = None,
    latin_family: str | None = None,
) -> Receipt:
    """Put right names that were wrong from the start; these replace all names on record."""
    known = work.addressed(Person, person)
    names = _renamed(
        work,
        known,
        given=given,
        family=family,
        certificate_name=certificate_name,
        latin_given=latin_given,
        latin_family=latin_family,
    )
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
    given: str | None = None,
    family: str | None = None,
    certificate_name: str | None = None,
    latin_given: str | None = None,
    latin_family: str | None = None,
) -> Receipt:
    """Record that somebody is called otherwise from now on; these replace all names on record."""
    known = work.addressed(Person, person)
    names = _renamed(
        work,
        known,
        given=given,
        family=family,
        certificate_name=certificate_name,
        latin_given=latin_given,
        latin_family=latin_family,
    )
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


def newcomer(
    work: Work,
    *,
    person: UUID,
    given: str | None = None,
    family: str | None = None,
    certificate_name: str | None = None,
    latin_given: str | None = None,
    latin_family: str | None = None,
    email: str | None = None,
    phone: str | None = None,
    source: str,
) -> Person:
    """Return somebody new, for a command that records them together with something else."""
    *names, mail, number = work.seal_all(
        person, given, family, certificate_name, latin_given, latin_family, email, phone
    )
    newly = Person.register(person=person, names=Names(*names), email=mail, source=source, **work.by)
    if number is not None:
        newly.change_contact(email=mail, phone=number, **work.by)
    return newly


def _renamed(
    work: Work,
    known: Person,
    *,
    given: str | None,
    family: str | None,
    certificate_name: str | None,
    latin_given: str | None,
    latin_family: str | None,
) -> Names:
    """Return the names with the handles on record for those that stay the same."""
    held = known.names
    values = work.office.vault.open(
        [held.given, held.family, held.certificate_name, held.latin_given, held.latin_family]
    )
    by_value = {value: handle for handle, value in values.items() if value is not None}
    said = (given, family, certificate_name, latin_given, latin_family)
    sealed = iter(work.seal_all(known.id, *(each for each in said if each not in by_value)))
    return Names(*(by_value[each] if each in by_value else next(sealed) for each in said))


def _same(work: Work, held: Private | None, said: str | None) -> Private | None:
    """Return the handle on record where it stands for this very value, so that to say the same again is noticed."""
    if held is None or said is None or work.office.vault.open_one(held) != said:
        return None
    return held
