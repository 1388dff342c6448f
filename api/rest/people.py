"""People: who they are, what they are called, and how they are reached."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from flask import Response
from marshmallow import ValidationError, fields, validate, validates_schema

from api.answers import Page, json_answer
from api.asked import Asked, ListArguments, act
from api.blueprint import Blueprint
from api.fields import Answer, Body, Email, Line, Whole, WithReason
from api.here import office, reading
from api.private import opener
from domain.credential import BODIES
from domain.person import Witness
from projections import directory
from projections.directory import NAMES
from provider.commands import people as commands
from provider.log import NotFound, Receipt

blueprint = Blueprint("people", __name__, url_prefix="/v1/people", description=__doc__)

MOST_FOUND = 100
AT_ONCE = 500
"""How many people's values a search opens at once."""


class NamesBody(Body):
    """A person's names as they give them. Nothing is split, joined or guessed; at least one is needed."""

    given = Line(allow_none=True)
    family = Line(allow_none=True)
    certificate_name = Line(
        allow_none=True, metadata={"description": "The whole name as it shall be printed, where it is another."}
    )
    latin_given = Line(allow_none=True, metadata={"description": "For bodies that read no other script."})
    latin_family = Line(allow_none=True)


class PersonBody(NamesBody):
    """Somebody who becomes known."""

    email = Email(allow_none=True)
    phone = Line(allow_none=True, longest=60)


class NamesConfirmation(Answer):
    """That a witness has read the present names and says they are right."""

    by = fields.String(required=True, metadata={"description": "`person` or `registrar`."})
    at = fields.String(required=True)
    recorded_by = fields.String(required=True)


class PersonBodyEmailAnswer(Answer):
    """By which e-mail a body knows the person."""

    body = fields.String(required=True)
    email = fields.String(required=True)
    source = fields.String(required=True, metadata={"description": "Who says so: `person` or `registrar`."})


class PersonAnswer(Answer):
    """A person. What was erased reads “(erased)”; what was never said is null."""

    person = fields.String(required=True)
    given = fields.String(required=True, allow_none=True)
    family = fields.String(required=True, allow_none=True)
    certificate_name = fields.String(required=True, allow_none=True)
    latin_given = fields.String(required=True, allow_none=True)
    latin_family = fields.String(required=True, allow_none=True)
    names_version = fields.Integer(required=True, metadata={"description": "The version that set the names."})
    names_confirmed = fields.List(fields.Nested(NamesConfirmation), required=True)
    email = fields.String(required=True, allow_none=True)
    phone = fields.String(required=True, allow_none=True)
    body_emails = fields.List(fields.Nested(PersonBodyEmailAnswer), required=True)
    source = fields.String(required=True, metadata={"description": "How they came to us, as a code."})
    registered_at = fields.String(required=True)
    linked_to = fields.String(
        required=True, allow_none=True, metadata={"description": "The record that this one counts as, if any."}
    )
    version = fields.Integer(required=True)


@blueprint.command("", permission="people:write", body=PersonBody, creates=True, location="/v1/people/{id}")
def register(said: dict[str, Any]) -> Receipt:
    """Make somebody known.

    Nobody is looked up by name or e-mail: two people may share both. Search first.
    """
    return commands.register(office(), act(), **said)


@blueprint.query("", permission="people:read", answer=PersonAnswer, arguments=ListArguments, table=True)
def people(asked: Asked) -> Page:
    """List people in the order in which they became known."""
    after = None if asked.after is None else int(asked.after[0])
    page = Page.of(directory.people(reading(), after=after, limit=asked.limit, at=asked.at), asked.limit, "registered")
    return Page(shown(page.items), page.next)


@blueprint.query("/<uuid:person>", permission="people:read", answer=PersonAnswer, entity="person")
def person(asked: Asked, person: UUID) -> dict[str, Any]:
    """Show one person."""
    found = directory.person(reading(), person, at=asked.at)
    if found is None:
        raise NotFound(f"There is no person {person}.")
    return shown([found])[0]


class PeopleSearch(Body):
    """Whom to look for, by a part of their name, by a whole e-mail address, or by both."""

    class Meta:
        exclude = ("at", "on_behalf_of")

    name = Line(metadata={"description": "Words of the name in any order, each at least from its beginning."})
    email = Email(metadata={"description": "The whole address, as contact or as used with a body."})

    @validates_schema
    def _says_something(self, said: dict[str, Any], **_: Any) -> None:
        if not said:
            raise ValidationError("Say a name, an e-mail address, or both.")


class PeopleFound(Answer):
    """Who was found, in the order in which they became known."""

    items = fields.List(fields.Nested(PersonAnswer), required=True)
    more = fields.Boolean(required=True, metadata={"description": "Whether there are more than are shown."})


@blueprint.command(
    "/search", permission="people:read", body=PeopleSearch, versioned=False, keyed=False, answer=PeopleFound
)
def search(said: dict[str, Any]) -> Response:
    """Look for people by name or e-mail. Nothing is changed or recorded.

    It is a POST because no personal value may stand in an address. Upper and lower case are the same.
    """
    office().views.catch_up()
    found: list[dict[str, Any]] = []
    after: int | None = None
    with office().views.reading() as read:
        while len(found) <= MOST_FOUND:
            rows = directory.people(read, after=after, limit=AT_ONCE - 1)
            found += [row for row in shown(rows) if _is_meant(row, **said)]
            if len(rows) < AT_ONCE:
                break
            after = rows[-1]["registered"]
    return json_answer({"items": found[:MOST_FOUND], "more": len(found) > MOST_FOUND})


class NameCorrection(NamesBody, WithReason):
    """The right names, and why others were on record."""


@blueprint.command("/<uuid:person>/name-corrections", permission="people:write", body=NameCorrection)
def correct_names(said: dict[str, Any], person: UUID) -> Receipt:
    """Put right names that were wrong from the start.

    It is the same human, written wrongly. These replace all names on record: a name that is left out is gone. They
    have to be confirmed again, and what rests on the old names becomes a discrepancy. To send a colleague is a
    substitution, on the enrolment.
    """
    return commands.correct_names(office(), act(), person=person, **said)


class NameChange(NameCorrection):
    """The new names, and why they changed."""

    evidence = Line(metadata={"description": "A reference to the evidence, such as a file number. Never a name."})


@blueprint.command("/<uuid:person>/name-changes", permission="people:write", body=NameChange)
def change_names(said: dict[str, Any], person: UUID) -> Receipt:
    """Record that somebody is called otherwise from now on; the old names were right.

    These replace all names on record: a name that is left out is gone. They have to be confirmed again.
    """
    return commands.change_names(office(), act(), person=person, **said)


class NamesConfirmedBody(Body):
    """Who says that the names are right, and which they have read."""

    confirmed_by = fields.Enum(Witness, by_value=True, required=True)
    names_version = Whole(
        low=1, high=2**31, required=True, metadata={"description": "`names_version` of the names that were read."}
    )


@blueprint.command("/<uuid:person>/names-confirmed", permission="people:write", body=NamesConfirmedBody)
def confirm_names(said: dict[str, Any], person: UUID) -> Receipt:
    """Record that the person, or the registrar for them, has read the names and says they are right."""
    return commands.confirm_names(office(), act(), person=person, **said)


class PersonContact(Body):
    """How to reach somebody; null or left out where there is no such way."""

    email = Email(allow_none=True)
    phone = Line(allow_none=True, longest=60)


@blueprint.command("/<uuid:person>/contact", permission="people:write", body=PersonContact)
def change_contact(said: dict[str, Any], person: UUID) -> Receipt:
    """Replace e-mail and phone, both.

    The e-mail that a body knows stays what it was.
    """
    return commands.change_contact(office(), act(), person=person, **said)


class PersonBodyEmail(Body):
    """By which e-mail a body knows the person, and who says so."""

    body = fields.String(required=True, validate=validate.OneOf(list(BODIES)))
    email = Email(required=True)
    source = fields.Enum(Witness, by_value=True, required=True)


@blueprint.command("/<uuid:person>/body-email", permission="people:write", body=PersonBodyEmail)
def state_body_email(said: dict[str, Any], person: UUID) -> Receipt:
    """Record the e-mail that the person has used with a body before.

    Under another one the body would open a second account, so it is never assumed from the contact.
    """
    return commands.state_body_email(office(), act(), person=person, **said)


def shown(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return people as the API shows them, with all values opened in one go."""
    rows = list(rows)
    handles = [row[name] for row in rows for name in (*NAMES, "email", "phone")]
    handles += [handle for row in rows for handle in row["body_emails"].values()]
    value = opener(handles)
    return [
        {
            "person": row["person"],
            **{name: value(row[name]) for name in NAMES},
            "names_version": row["names_version"],
            "names_confirmed": row["names_confirmed"],
            "email": value(row["email"]),
            "phone": value(row["phone"]),
            "body_emails": [
                {"body": body, "email": value(handle), "source": row["body_email_sources"][body]}
                for body, handle in row["body_emails"].items()
            ],
            "source": row["source"],
            "registered_at": row["registered_at"],
            "linked_to": row["linked_to"],
            "version": row["version"],
        }
        for row in rows
    ]


def _folded(text: str) -> str:
    """Return the text as it is compared: neither case nor the way accents are put together matters."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _is_meant(row: Mapping[str, Any], name: str | None = None, email: str | None = None) -> bool:
    if email is not None:
        known = [row["email"], *(each["email"] for each in row["body_emails"])]
        if _folded(email) not in [_folded(each) for each in known if each is not None]:
            return False
    if name is not None:
        words = [word for part in NAMES if row[part] is not None for word in _folded(row[part]).split()]
        return all(any(word.startswith(wanted) for word in words) for wanted in _folded(name).split())
    return True
