"""Who may teach what."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.trainer import AlreadyAuthorised, Authority, Trainer, UnknownAuthorisation
from projections import directory
from provider.commands import trainers
from provider.commands.trainers import AlreadyTrainer
from provider.log import NotFound
from provider.office import Office
from provider.work import Act

Acting = Callable[..., Act]
CSPO: dict[str, Any] = {"body": "SA", "code": "CSPO", "valid_from": date(2026, 1, 1), "evidence": "letter of 2025"}


def test_a_person_becomes_a_trainer_once(office: Office, act: Acting, person: Callable[..., UUID]) -> None:
    who = person("Tina", "Trainer")
    receipt = trainers.register(office, act(), person=who)
    assert receipt.id == Trainer.create_id(who)
    assert receipt.ids == (str(who),)
    with pytest.raises(AlreadyTrainer):
        trainers.register(office, act(), person=who)


def test_only_somebody_known_becomes_a_trainer(office: Office, act: Acting) -> None:
    with pytest.raises(NotFound):
        trainers.register(office, act(), person=uuid4())


def test_authorisations_are_numbered_and_end(office: Office, act: Acting, person: Callable[..., UUID]) -> None:
    who = person("Tina", "Trainer")
    trainers.register(office, act(), person=who)
    assert trainers.authorise(office, act(version=1), person=who, role=Authority.CANDIDATE, **CSPO).ids == ("1",)
    assert trainers.authorise(office, act(version=2), person=who, role=Authority.LEAD, **CSPO).ids == ("2",)
    with pytest.raises(AlreadyAuthorised):
        trainers.authorise(office, act(), person=who, role=Authority.LEAD, **CSPO)
    receipt = trainers.end_authorisation(office, act(), person=who, number=1, on=date(2026, 3, 1), reason="promoted")
    assert (receipt.outcome, receipt.ids) == (None, ())
    with pytest.raises(UnknownAuthorisation):
        trainers.end_authorisation(office, act(), person=who, number=3, on=date(2026, 3, 1), reason="promoted")
    with office.views.reading() as read:
        known = directory.trainer(read, who)
    assert known is not None
    assert [(each["role"], each["ended"]) for each in known["authorisations"]] == [
        ("candidate", "2026-03-01"),
        ("lead", None),
    ]


def test_who_is_no_trainer_is_not_authorised(office: Office, act: Acting, person: Callable[..., UUID]) -> None:
    with pytest.raises(NotFound):
        trainers.authorise(office, act(), person=person("Tina", "Trainer"), role=Authority.LEAD, **CSPO)
