"""Who may teach what."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from domain.person import Person
from domain.refusal import Refused
from domain.trainer import Authority, Trainer
from provider.work import Receipt, Work, command


class AlreadyTrainer(Refused):
    """The person is on record as a trainer."""


@command
def register(work: Work, *, person: UUID) -> Receipt:
    """Let somebody be authorised to teach; `ids` holds their person id."""
    work.get(Person, person)
    if work.find(Trainer, Trainer.create_id(person)) is not None:
        raise AlreadyTrainer("This person is already on record as a trainer.", field="person")
    return work.record(Trainer.register(person=person, **work.by), ids=[person])


@command
def authorise(
    work: Work,
    *,
    person: UUID,
    body: str,
    code: str,
    role: Authority,
    valid_from: date,
    valid_until: date | None = None,
    evidence: str,
) -> Receipt:
    """Record what a body allows the trainer; `ids` holds the authorisation's number."""
    trainer = work.addressed(Trainer, Trainer.create_id(person))
    number = trainer.authorise(
        body=body,
        code=code,
        role=role,
        valid_from=valid_from,
        valid_until=valid_until,
        evidence=evidence,
        **work.by,
    )
    return work.record(trainer, ids=[number])


@command
def end_authorisation(work: Work, *, person: UUID, number: int, on: date, reason: str) -> Receipt:
    """End an authorisation; `ids` are the courses that the trainer is booked for without authority now."""
    trainer = work.addressed(Trainer, Trainer.create_id(person))
    courses = trainer.end_authorisation(number=number, on=on, reason=reason, **work.by)
    return work.record(trainer, outcome="courses_without_authority" if courses else None, ids=courses)
