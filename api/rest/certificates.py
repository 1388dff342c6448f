"""Certificates: the institution's own numbered documents. The credential is the body's, and none of these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from flask import g
from marshmallow import fields, validate

from api.answers import Page
from api.asked import Asked, ListArguments, act
from api.auth import sees_all_courses
from api.blueprint import Blueprint
from api.fields import Answer, Body, Code, Uid, Whole, WithReason, Words
from api.here import office, reading
from api.private import opener
from api.rest.discrepancies import DiscrepancyAnswer
from api.rest.discrepancies import shown as shown_discrepancies
from domain.basis import Aspect
from domain.certificate import RESOLUTIONS, REVOKED_FOR, SUPERSEDED_FOR, Certificate, Stage
from projections import certificates as view
from projections import courses, discrepancies
from provider.commands import certificates as commands
from provider.log import NotFound, Receipt

blueprint = Blueprint("certificates", __name__, url_prefix="/v1", description=__doc__)

MOST_AT_ONCE = 500
"""Enrolments that one command can name."""

NAMES = ("certificate_name", "trainer_name")
NOTES = ("revocation_note", "ended_note")
"""The members that are handles in the view."""


class CertificateSummary(Answer):
    """A certificate: what it says, as it was frozen, and whether it is in force."""

    number = fields.String(required=True)
    year = fields.Integer(required=True)
    serial = fields.Integer(required=True)
    state = fields.String(required=True, validate=validate.OneOf([stage.value for stage in Stage]))
    certificate = fields.String(required=True)
    course = fields.String(required=True)
    enrolment = fields.String(required=True)
    person = fields.String(required=True)
    certificate_name = fields.String(required=True)
    course_title = fields.String(required=True)
    body = fields.String(required=True)
    code = fields.String(required=True)
    first_day = fields.String(required=True)
    last_day = fields.String(required=True)
    contact_minutes = fields.Integer(required=True)
    trainer = fields.String(required=True)
    trainer_name = fields.String(required=True, allow_none=True)
    institution_name = fields.String(required=True)
    place = fields.String(required=True, allow_none=True, metadata={"description": "Null for a course online."})
    issued_at = fields.String(required=True)
    issued_by = fields.String(required=True)
    replaces = fields.String(required=True, allow_none=True)
    replaced_by = fields.String(required=True, allow_none=True)
    ended_at = fields.String(
        required=True, allow_none=True, metadata={"description": "When it was superseded or revoked."}
    )
    ended_by = fields.String(required=True, allow_none=True)
    ended_reason = fields.String(required=True, allow_none=True)
    revocation_requested = fields.Boolean(
        required=True, metadata={"description": "Whether somebody asked for its revocation, and nobody answered yet."}
    )
    open_discrepancies = fields.Integer(required=True)
    version = fields.Integer(required=True)


class CertificateBasis(Answer):
    """One thing that the certificate rests on, as of that version."""

    stream = fields.String(required=True)
    version = fields.Integer(required=True)
    aspect = fields.String(required=True)


class CertificateAnswer(CertificateSummary):
    """A certificate, with what it rests on and what is at odds with that."""

    verification_code = fields.String(
        required=True, metadata={"description": "Random; printed on the document, so that anybody can check it."}
    )
    template_version = fields.String(required=True)
    rests_on = fields.List(fields.Nested(CertificateBasis), required=True)
    revocation_requested_by = fields.String(required=True, allow_none=True)
    revocation_requested_at = fields.String(required=True, allow_none=True)
    revocation_reason = fields.String(required=True, allow_none=True)
    revocation_note = fields.String(
        required=True, allow_none=True, metadata={"description": "Notes are shown to the office only."}
    )
    ended_note = fields.String(required=True, allow_none=True)
    solo = fields.Boolean(
        required=True,
        allow_none=True,
        metadata={"description": "Whether one person both requested and decided the revocation."},
    )
    discrepancies = fields.List(fields.Nested(DiscrepancyAnswer), required=True)


class CertificateArguments(ListArguments):
    """Which certificates are listed."""

    state = fields.Enum(Stage, by_value=True)


class CertificateRegisterArguments(CertificateArguments):
    """Which certificates of the register are listed."""

    year = fields.Integer(validate=validate.Range(min=2000, max=2099))


class CertificateYear(Answer):
    """How the numbers of one year were used."""

    year = fields.Integer(required=True)
    last_serial = fields.Integer(required=True)
    issued = fields.Integer(required=True, metadata={"description": "How many are in force."})
    superseded = fields.Integer(required=True)
    revoked = fields.Integer(required=True)
    gaps = fields.List(
        fields.Integer(), required=True, metadata={"description": "Serials that no certificate has: none, ever."}
    )


class CertificateYears(Answer):
    """How the institution's numbers were used, year by year."""

    items = fields.List(fields.Nested(CertificateYear), required=True)


class CertificateIssue(Body):
    """Who gets a certificate, where it isn't everybody who completed the course."""

    enrolments = fields.List(
        Uid(),
        validate=validate.Length(min=1, max=MOST_AT_ONCE),
        metadata={
            "description": "Only these; by default everybody who completed the course and never had a certificate. "
            "Whose certificate was revoked has to be named."
        },
    )


class Superseding(WithReason):
    """Why a certificate is replaced."""

    reason = Code(required=True, metadata={"description": f"Usually one of {', '.join(SUPERSEDED_FOR)}."})


class RevocationRequest(WithReason):
    """Why a certificate is to be revoked."""

    reason = Code(required=True, metadata={"description": f"Usually one of {', '.join(REVOKED_FOR)}."})


class CertificateRevocation(Body):
    """Why a certificate is revoked, where that is another reason than was requested, or nobody requested it."""

    reason = Code(metadata={"description": f"By default the requested one. Usually one of {', '.join(REVOKED_FOR)}."})
    note = Words(metadata={"description": "Why, in words. Kept in the vault, never in the log."})


class CertificateDiscrepancyResolution(WithReason):
    """What came of a discrepancy: the certificate stays as it is."""

    stream = Uid(required=True)
    aspect = fields.Enum(Aspect, by_value=True, required=True)
    version = Whole(
        low=1,
        high=2**31 - 1,
        required=True,
        metadata={"description": "`version` of the discrepancy, as looked at."},
    )
    resolution = Code(required=True, metadata={"description": f"Usually one of {', '.join(RESOLUTIONS)}."})


def _stream(number: str) -> UUID:
    """Return the stream of a certificate, whose version is the ETag."""
    return Certificate.create_id(office().institution, number)


@blueprint.command(
    "/courses/<uuid:course>/certificates/issue",
    permission="certificates:write",
    body=CertificateIssue,
    creates=True,
    location="/v1/certificates/{ids[0]}",
)
def issue(said: dict[str, Any], course: UUID) -> Receipt:
    """Issue certificates to those who completed a course: all of them, or none.

    `ids` are their numbers, which have no gaps within the institution's year. A certificate bears the person's
    certificate name; where none was given, the given and the family name as the person gave them, in this order. What
    it says is frozen: a later correction makes it a discrepancy, and never changes it.
    """
    return commands.issue(office(), act(), course=course, **said)


@blueprint.query(
    "/courses/<uuid:course>/certificates",
    permission="certificates:read",
    answer=CertificateSummary,
    arguments=CertificateArguments,
    table=True,
)
def certificates_of_course(asked: Asked, course: UUID, state: Stage | None = None) -> Page:
    """List the certificates of a course in the order of their numbers."""
    if courses.course(reading(), course, asked.at) is None:
        raise NotFound(f"There is no course {course}.")
    return _listed(asked, course=course, state=state)


@blueprint.query(
    "/certificates",
    permission="certificates:read",
    answer=CertificateSummary,
    arguments=CertificateRegisterArguments,
    table=True,
)
def certificates(asked: Asked, year: int | None = None, state: Stage | None = None) -> Page:
    """List the certificate register in the order of the numbers; a trainer sees only their own courses'."""
    return _listed(asked, year=year, state=state)


@blueprint.query("/certificates/numbering", permission="certificates:read", answer=CertificateYears, table=True)
def numbering(asked: Asked) -> dict[str, Any]:
    """Show how the numbers of each year were used, and whether any is missing.

    A trainer, who sees only some certificates, can't tell that and finds nothing here.
    """
    if not sees_all_courses(g.principal, "certificates:read"):
        raise NotFound("There is no such thing here.")
    return {"items": view.numbering(reading(), at=asked.at)}


@blueprint.query("/certificates/<number>", permission="certificates:read", answer=CertificateAnswer, entity=_stream)
def certificate(asked: Asked, number: str) -> dict[str, Any]:
    """Show one certificate: what it says, what it rests on, and what is at odds with that now."""
    found = view.certificate(reading(), number, at=asked.at)
    if found is None:
        raise NotFound(f"There is no certificate {number}.")
    opened = discrepancies.open_of(reading(), found["certificate"], at=asked.at)
    notes = sees_all_courses(g.principal, "certificates:read")
    return {
        **_shown([found], asked.at, CertificateAnswer, notes=notes)[0],
        "discrepancies": shown_discrepancies(opened, asked.at),
    }


@blueprint.command("/certificates/<number>/supersede", permission="certificates:write", body=Superseding)
def supersede(said: dict[str, Any], number: str) -> Receipt:
    """Issue a certificate with what is on record now, in place of this one.

    `ids` holds its number. Where completion was decided otherwise since, revoke the certificate instead.
    """
    return commands.supersede(office(), act(), number=number, **said)


@blueprint.command("/certificates/<number>/request-revocation", permission="certificates:write", body=RevocationRequest)
def request_revocation(said: dict[str, Any], number: str) -> Receipt:
    """Ask that a certificate be withdrawn without a replacement."""
    return commands.request_revocation(office(), act(), number=number, **said)


@blueprint.command("/certificates/<number>/revoke", permission="certificates:write", body=CertificateRevocation)
def revoke(said: dict[str, Any], number: str) -> Receipt:
    """Withdraw a certificate, as somebody else than whoever requested it.

    An institution that works solo in this needs neither the request nor another person; then give a reason.
    """
    return commands.revoke(office(), act(), number=number, **said)


@blueprint.command("/certificates/<number>/reject-revocation", permission="certificates:write", body=WithReason)
def reject_revocation(said: dict[str, Any], number: str) -> Receipt:
    """Decline the request for a revocation, or take it back: the certificate stays in force."""
    return commands.reject_revocation(office(), act(), number=number, **said)


@blueprint.command(
    "/certificates/<number>/discrepancies/resolve",
    permission="discrepancies:write",
    body=CertificateDiscrepancyResolution,
)
def resolve_discrepancy(said: dict[str, Any], number: str) -> Receipt:
    """Say that a certificate stays, though what it rests on has changed since.

    `stream`, `aspect` and `version` are those of the discrepancy. A later change is a new one.
    """
    return commands.resolve_discrepancy(office(), act(), number=number, **said)


def _listed(asked: Asked, *, course: UUID | None = None, year: int | None = None, state: Stage | None = None) -> Page:
    principal = g.principal
    page = Page.of(
        view.listing(
            reading(),
            course=course,
            year=year,
            state=None if state is None else state.value,
            person=None if sees_all_courses(principal, "certificates:read") else principal.person,
            after=None if asked.after is None else (int(asked.after[0]), int(asked.after[1])),
            limit=asked.limit,
            at=asked.at,
        ),
        asked.limit,
        "year",
        "serial",
    )
    return Page(_shown(page.items, asked.at, CertificateSummary), page.next)


def _shown(
    rows: Iterable[Mapping[str, Any]], at: int | None, answer: type[Answer], *, notes: bool = False
) -> list[dict[str, Any]]:
    """Return certificates with the members of an answer, all values opened in one go; notes only where they may be."""
    rows = list(rows)
    value = opener(row[name] for row in rows for name in (*NAMES, *NOTES))
    at_odds = discrepancies.open_counts(reading(), [row["certificate"] for row in rows], at=at)
    members = answer().fields
    found = []
    for row in rows:
        said = {
            **row,
            **{name: value(row[name]) for name in NAMES},
            **{name: value(row[name]) if notes else None for name in NOTES},
            "revocation_requested": row["state"] == Stage.ISSUED and row["revocation_requested_by"] is not None,
            "open_discrepancies": at_odds.get(row["certificate"], 0),
        }
        found.append({name: said[name] for name in members if name in said})
    return found
