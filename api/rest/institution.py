"""The institution: whose back office this is, where it is registered, and how it works."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from marshmallow import Schema, fields, post_load, validate

from api.asked import Asked, act
from api.blueprint import Blueprint
from api.fields import Answer, Body, Code, Day, Line, Whole, WithReason, Yes, fit
from api.here import office, reading
from domain.credential import BODIES, CredentialPolicy, Source
from domain.institution import (
    MAX_SUBMISSION_DUE_DAYS,
    MAX_TOLERANCE_MINUTES,
    Act,
    Settings,
    SignOff,
    SignOffMode,
)
from projections import directory
from provider.commands import institution as commands
from provider.log import NotFound, Receipt

blueprint = Blueprint("institution", __name__, url_prefix="/v1/institution", description=__doc__)

MOST_MINUTES = 1_000_000
MOST_MONTHS = 1_200


class SignOffBody(Schema):
    """How one act is approved."""

    act = fields.Enum(Act, by_value=True, required=True)
    mode = fields.Enum(SignOffMode, by_value=True, required=True)

    @post_load
    def _made(self, said: dict[str, Any], **_: Any) -> SignOff:
        return SignOff(**said)


class SettingsBody(WithReason):
    """All settings as they shall be, and why they change."""

    zone = Line(required=True, longest=60, metadata={"description": "An IANA time zone, such as Europe/Zurich."})
    tolerance_minutes = Whole(
        low=0,
        high=MAX_TOLERANCE_MINUTES,
        required=True,
        metadata={"description": "How many minutes of one half-day a learner may miss."},
    )
    sign_off = fields.List(
        fields.Nested(SignOffBody),
        required=True,
        validate=validate.Length(max=len(Act)),
        metadata={"description": "An act that is not named here needs four eyes."},
    )
    certificate_prefix = fields.String(
        required=True,
        validate=validate.Regexp(r"^[A-Za-z0-9-]{0,12}\Z"),
        metadata={"description": "What the number of every certificate begins with; may be empty."},
    )
    submission_due_days = Whole(
        low=0,
        high=MAX_SUBMISSION_DUE_DAYS,
        required=True,
        metadata={"description": "Business days after the last session until a submission is due."},
    )
    holidays = fields.List(Day(), required=True, validate=validate.Length(max=1_000))


class SignOffAnswer(Answer):
    """How one act is approved."""

    act = fields.String(required=True)
    mode = fields.String(required=True)


class SettingsAnswer(Answer):
    """How the institution works."""

    zone = fields.String(required=True)
    tolerance_minutes = fields.Integer(required=True)
    sign_off = fields.List(fields.Nested(SignOffAnswer), required=True)
    certificate_prefix = fields.String(required=True)
    submission_due_days = fields.Integer(required=True)
    holidays = fields.List(fields.String(), required=True)


class RegistrationAnswer(Answer):
    """That a body lists the institution as a provider."""

    number = fields.Integer(required=True)
    body = fields.String(required=True)
    external_id = fields.String(required=True)
    valid_from = fields.String(required=True)
    valid_until = fields.String(
        required=True, allow_none=True, metadata={"description": "The last day; null for no end."}
    )
    ended = fields.String(
        required=True, allow_none=True, metadata={"description": "The first day without it, where it was ended."}
    )


class InstitutionAnswer(Answer):
    """The institution as of a moment."""

    institution = fields.String(required=True)
    name = fields.String(required=True)
    settings = fields.Nested(SettingsAnswer, required=True)
    registrations = fields.List(fields.Nested(RegistrationAnswer), required=True)
    version = fields.Integer(required=True)


def _stream() -> UUID:
    return office().institution


@blueprint.query("", permission="institution:read", answer=InstitutionAnswer, entity=_stream)
def institution(asked: Asked) -> dict[str, Any]:
    """Show the institution: its name, its settings, and where it is registered."""
    found = directory.institution(reading(), at=asked.at)
    if found is None:
        raise NotFound("There was no institution here yet.")
    del found["overrides"]
    return found


class InstitutionName(Body):
    """The institution's name."""

    name = Line(required=True, metadata={"description": "As certificates show it."})


@blueprint.command("/rename", permission="institution:write", body=InstitutionName)
def rename(said: dict[str, Any]) -> Receipt:
    """Let the institution go by another name.

    Certificates already issued keep the name they were issued under.
    """
    return commands.rename(office(), act(), **said)


@blueprint.command("/settings", permission="institution:write", body=SettingsBody)
def change_settings(said: dict[str, Any]) -> Receipt:
    """Replace all settings.

    They hold for what is decided from now on; each decision says what it used.
    """
    reason, note = said.pop("reason"), said.pop("note", None)
    said["sign_off"], said["holidays"] = tuple(said["sign_off"]), tuple(said["holidays"])
    return commands.change_settings(office(), act(), settings=Settings(**said), reason=reason, note=note)


class RegistrationBody(Body):
    """That a body lists the institution as a provider."""

    body = fields.String(required=True, validate=validate.OneOf(list(BODIES)))
    external_id = Line(required=True, metadata={"description": "The number under which the body knows it."})
    valid_from = Day(required=True)
    valid_until = Day(allow_none=True, metadata={"description": "The last day; left out or null for no end."})


@blueprint.command("/registrations", permission="institution:write", body=RegistrationBody)
def register_with_body(said: dict[str, Any]) -> Receipt:
    """Record that a body lists the institution as a provider.

    `ids` holds the registration's number. Registrations with one body never overlap.
    """
    return commands.register_with_body(office(), act(), **said)


class RegistrationEnd(WithReason):
    """That a body no longer lists the institution."""

    body = fields.String(required=True, validate=validate.OneOf(list(BODIES)))
    on = Day(required=True, metadata={"description": "The first day on which it no longer holds."})


@blueprint.command("/registrations/end", permission="institution:write", body=RegistrationEnd)
def end_registration(said: dict[str, Any]) -> Receipt:
    """End the registration with a body that holds on a day.

    One that was recorded in error ends on the day it began. Courses already scheduled keep their dates.
    """
    return commands.end_registration(office(), act(), **said)


class PolicySourceBody(Schema):
    """Where a value of a policy comes from."""

    field = fields.String(required=True, validate=[validate.Length(max=60), fit])
    reference = Line(required=True, longest=500)

    @post_load
    def _made(self, said: dict[str, Any], **_: Any) -> Source:
        return Source(**said)


class PolicyOverrideBody(WithReason):
    """The institution's own rules for a credential, complete, and why it knows better."""

    body = fields.String(required=True, validate=validate.OneOf(list(BODIES)))
    code = Code(required=True)
    name = Line(required=True)
    version = Code(required=True, metadata={"description": "A name for these rules that no others of it have."})
    valid_from = Day(required=True)
    valid_until = Day(load_default=None, allow_none=True)
    contact_minutes = Whole(low=1, high=MOST_MINUTES, load_default=None, allow_none=True)
    scheduled_minutes = Whole(low=1, high=MOST_MINUTES, load_default=None, allow_none=True)
    formats = fields.List(
        fields.String(validate=validate.Length(max=60)), required=True, validate=validate.Length(1, 9)
    )
    max_span_months = Whole(low=1, high=MOST_MONTHS, load_default=None, allow_none=True)
    exam = Line(load_default=None, allow_none=True, longest=500)
    attendance_rule = fields.String(required=True, validate=validate.Length(max=60))
    participation_required = Yes(required=True)
    prerequisite = Line(load_default=None, allow_none=True, longest=500)
    validity_months = Whole(low=1, high=MOST_MONTHS, load_default=None, allow_none=True)
    renewal_units = Whole(low=0, high=10_000, load_default=None, allow_none=True)
    renewal_unit = Line(load_default=None, allow_none=True, longest=60)
    renewal_add_on_units = Whole(low=0, high=10_000, load_default=None, allow_none=True)
    renewal_fee = Line(load_default=None, allow_none=True)
    student_fee = Line(load_default=None, allow_none=True)
    licence_required = Yes(required=True)
    submission_profile = fields.String(required=True, validate=validate.Length(max=60))
    sources = fields.List(fields.Nested(PolicySourceBody), load_default=list, validate=validate.Length(max=50))
    unconfirmed = fields.List(
        fields.String(validate=[validate.Length(max=60), fit]), load_default=list, validate=validate.Length(max=50)
    )


@blueprint.command("/overrides", permission="institution:write", body=PolicyOverrideBody)
def override_credential(said: dict[str, Any]) -> Receipt:
    """Put the institution's own rules for a credential before those of the catalogue.

    They hold from their first day to their last; before and after, what was known still holds.
    """
    reason, note = said.pop("reason"), said.pop("note", None)
    for name in ("formats", "sources", "unconfirmed"):
        said[name] = tuple(said[name])
    return commands.override_credential(office(), act(), policy=CredentialPolicy(**said), reason=reason, note=note)
