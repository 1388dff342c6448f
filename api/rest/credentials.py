"""What certifying bodies ask for before they grant a credential, each value with its source."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from marshmallow import fields, validate

from api.answers import Page
from api.asked import Asked, ListArguments, QueryArguments
from api.blueprint import Blueprint
from api.fields import Answer, Day
from api.here import office, reading
from domain.catalogue import CATALOGUE
from domain.credential import BODIES, CredentialPolicy
from projections import directory
from projections.projection import plain
from provider.log import NotFound

blueprint = Blueprint("credentials", __name__, url_prefix="/v1/credentials", description=__doc__)


class PolicySourceAnswer(Answer):
    """Where a value comes from."""

    field = fields.String(required=True)
    reference = fields.String(required=True)


class PolicyAnswer(Answer):
    """One dated version of a body's rules for one credential."""

    body = fields.String(required=True)
    code = fields.String(required=True)
    name = fields.String(required=True)
    version = fields.String(required=True)
    origin = fields.String(required=True, metadata={"description": "`catalogue` or `institution`."})
    in_force = fields.Boolean(required=True, metadata={"description": "Whether these are the rules on that day."})
    valid_from = fields.String(required=True)
    valid_until = fields.String(required=True, allow_none=True)
    contact_minutes = fields.Integer(required=True, allow_none=True)
    scheduled_minutes = fields.Integer(required=True, allow_none=True)
    formats = fields.List(fields.String(), required=True)
    max_span_months = fields.Integer(required=True, allow_none=True)
    exam = fields.String(required=True, allow_none=True)
    attendance_rule = fields.String(required=True)
    participation_required = fields.Boolean(required=True)
    prerequisite = fields.String(required=True, allow_none=True)
    validity_months = fields.Integer(required=True, allow_none=True)
    renewal_units = fields.Integer(required=True, allow_none=True)
    renewal_unit = fields.String(required=True, allow_none=True)
    renewal_add_on_units = fields.Integer(required=True, allow_none=True)
    renewal_fee = fields.String(required=True, allow_none=True)
    student_fee = fields.String(required=True, allow_none=True)
    licence_required = fields.Boolean(required=True)
    submission_profile = fields.String(required=True)
    sources = fields.List(fields.Nested(PolicySourceAnswer), required=True)
    unconfirmed = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "Values without an official text behind them: defaults, to be confirmed."},
    )


class CredentialArguments(QueryArguments):
    """The day on which rules are in force."""

    on = Day(metadata={"description": "The day; today, in the institution's zone, where it is left out."})


class CredentialsArguments(ListArguments, CredentialArguments):
    """Which credentials are asked for."""

    body = fields.String(validate=validate.OneOf(list(BODIES)))


@blueprint.query("", permission="credentials:read", answer=PolicyAnswer, arguments=CredentialsArguments, table=True)
def credentials(asked: Asked, body: str | None = None, on: date | None = None) -> Page:
    """List every version of the rules for every credential, the institution's own among them."""
    rows = [each for each in _shown(directory.policies(reading(), at=asked.at), on) if body in (None, each["body"])]
    rows.sort(key=_place)
    if asked.after is not None:
        rows = [each for each in rows if _place(each) > asked.after]
    return Page.of(rows[: asked.limit + 1], asked.limit, *PLACE)


class CredentialAnswer(Answer):
    """All that is known of one credential."""

    body = fields.String(required=True)
    body_name = fields.String(required=True)
    code = fields.String(required=True)
    version_in_force = fields.String(
        required=True, allow_none=True, metadata={"description": "The version that holds on that day; null for none."}
    )
    versions = fields.List(fields.Nested(PolicyAnswer), required=True)


@blueprint.query(
    "/<string:body>/<string:code>",
    permission="credentials:read",
    answer=CredentialAnswer,
    arguments=CredentialArguments,
)
def credential(asked: Asked, body: str, code: str, on: date | None = None) -> dict[str, Any]:
    """Show one credential: every version of its rules, and which is in force on a day."""
    policies = [each for each in directory.policies(reading(), at=asked.at) if (each.body, each.code) == (body, code)]
    if not policies:
        raise NotFound(f"There are no rules for a credential {body}/{code}.")
    versions = sorted(_shown(policies, on), key=_place)
    return {
        "body": body,
        "body_name": BODIES[body],
        "code": code,
        "version_in_force": next((each["version"] for each in versions if each["in_force"]), None),
        "versions": versions,
    }


PLACE = ("body", "code", "valid_from", "version")


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in PLACE)


def _shown(policies: Iterable[CredentialPolicy], on: date | None) -> list[dict[str, Any]]:
    day = _today() if on is None else on
    taken: set[tuple[str, str]] = set()
    shown = []
    for policy in policies:
        # The order decides where two are in force: the institution's own come first.
        holds = policy.in_force(day) and (policy.body, policy.code) not in taken
        if holds:
            taken.add((policy.body, policy.code))
        origin = "catalogue" if policy in CATALOGUE else "institution"
        shown.append({**plain(policy), "origin": origin, "in_force": holds})
    return shown


def _today() -> date:
    return office().clock().astimezone(ZoneInfo(directory.settings(reading()).zone)).date()
