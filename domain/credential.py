"""What a certifying body asks for before it grants a credential, as dated data."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from domain.refusal import Invalid

BODIES = {
    "SA": "Scrum Alliance",
    "SCRUMORG": "Scrum.org",
    "PMI": "Project Management Institute",
    "SAFE": "Scaled Agile",
    "SCRUMSTUDY": "SCRUMstudy",
    "SCRUMINC": "Scrum Inc.",
    "OTHER": "another body, as the institution defines it",
}
"""The certifying bodies by their codes; the code is what events hold."""

FORMATS = ("in_person", "live_online", "live_online_self_paced")

ATTENDANCE_RULES = (
    "all_sessions",
    "all_sessions_and_components",  # also the work before and after the class
    "contact_hours",  # the body asks for hours, which the certificate states
    "marked_by_trainer",  # the trainer's click at the body is the whole rule
    "institution",  # the body asks for none, so the institution's own holds
)

SUBMISSION_PROFILES = ("sa_load", "scrumorg", "none", "safe_roster", "voucher", "custom")

RULES = (
    "name",
    "valid_from",
    "contact_minutes",
    "scheduled_minutes",
    "formats",
    "max_span_months",
    "exam",
    "attendance_rule",
    "participation_required",
    "prerequisite",
    "validity_months",
    "renewal_units",
    "renewal_unit",
    "renewal_add_on_units",
    "renewal_fee",
    "student_fee",
    "licence_required",
    "submission_profile",
)
"""The fields of a policy that somebody outside decides, and that therefore need a source."""

_CODE = re.compile(r"[A-Z0-9][A-Z0-9-]{0,31}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


class UnknownCredential(Invalid):
    """Neither the catalogue nor the institution knows this credential of this body."""


class NoPolicyInForce(Invalid):
    """The credential is known, but no version of its rules covers that day."""


class UnknownPolicyVersion(Invalid):
    """The credential is known, but its rules never had a version of that name."""


class UnsoundPolicy(Invalid):
    """A policy contradicts itself or says what no part of the system understands."""


class UnknownBody(Invalid):
    """There is no certifying body of that code."""


@dataclass(frozen=True)
class Source:
    """Where a value of a policy comes from: the policy's field, and a text somebody can look up."""

    field: str
    reference: str


@dataclass(frozen=True, kw_only=True)
class CredentialPolicy:
    """One dated version of a body's rules for one credential.

    A credential is known by body and code together, never by the code alone. The policy is in force
    from `valid_from` to `valid_until`, both days included; `valid_until` None means until further
    notice.

    A None in any other field means "there is none" (no exam, no expiry) where a source says so, and
    "not known" where `unconfirmed` names the field. A value that `unconfirmed` names is a default
    without an official text behind it, for the institution to confirm or override.

    `contact_minutes` is teaching time without lunch and listed breaks; `scheduled_minutes` runs
    from the first start to the last end of each day. `renewal_add_on_units` are those for each
    further track renewed together with this one. `licence_required` says whether the learner has to
    accept the body's licence before the credential is theirs. Fees are text, currency first
    ("USD 100").
    """

    body: str
    code: str
    name: str
    version: str
    valid_from: date
    valid_until: date | None
    contact_minutes: int | None
    scheduled_minutes: int | None
    formats: tuple[str, ...]
    max_span_months: int | None
    exam: str | None
    attendance_rule: str
    participation_required: bool
    prerequisite: str | None
    validity_months: int | None
    renewal_units: int | None
    renewal_unit: str | None
    renewal_add_on_units: int | None = field(default=None, kw_only=True)
    renewal_fee: str | None
    student_fee: str | None
    licence_required: bool
    submission_profile: str
    sources: tuple[Source, ...]
    unconfirmed: tuple[str, ...]

    @property
    def credential(self) -> str:
        """Body and code as people write them, "SA/CSPO"."""
        return f"{self.body}/{self.code}"

    def in_force(self, on: date) -> bool:
        return self.valid_from <= on and (self.valid_until is None or on <= self.valid_until)

    def confirmed(self, name: str) -> bool:
        """Return whether an official text, or the institution, stands behind that field."""
        return name not in self.unconfirmed

    def references(self, name: str) -> tuple[str, ...]:
        """Return where the value of the field of that name comes from, best first."""
        return tuple(source.reference for source in self.sources if source.field == name)


def policy_on(policies: Iterable[CredentialPolicy], *, body: str, code: str, on: date) -> CredentialPolicy:
    """Return the rules for the credential on that day: the first of `policies` that is in force.

    The order of `policies` decides, so the institution's overrides come before the catalogue.
    Raises UnknownCredential, or NoPolicyInForce where the rules known begin later or have ended.
    """
    versions = _versions(policies, body=body, code=code)
    for policy in versions:
        if policy.in_force(on):
            return policy
    known = ", ".join(f"{p.version} ({_period(p)})" for p in versions)
    raise NoPolicyInForce(
        f"No rules for {body}/{code} are in force on {on}; known are {known}. "
        "Choose another date, or record the institution's own rules for that time."
    )


def policy_named(policies: Iterable[CredentialPolicy], *, body: str, code: str, version: str) -> CredentialPolicy:
    """Return the rules that a decision named by their version, whether still in force or not.

    Raises UnknownCredential or UnknownPolicyVersion.
    """
    versions = _versions(policies, body=body, code=code)
    for policy in versions:
        if policy.version == version:
            return policy
    raise UnknownPolicyVersion(
        f"The rules for {body}/{code} have no version {version!r}; "
        f"known are {', '.join(policy.version for policy in versions)}."
    )


def _versions(policies: Iterable[CredentialPolicy], *, body: str, code: str) -> list[CredentialPolicy]:
    every = tuple(policies)
    versions = [policy for policy in every if (policy.body, policy.code) == (body, code)]
    if not versions:
        known = sorted({policy.code for policy in every if policy.body == body})
        where = f"Known of {body}: {', '.join(known)}." if known else f"No body {body!r} is known."
        raise UnknownCredential(f"There are no rules for a credential {body}/{code}. {where}", field="code")
    return versions


def _period(policy: CredentialPolicy) -> str:
    until = f"to {policy.valid_until}" if policy.valid_until else "on"
    return f"from {policy.valid_from} {until}"


def check_body(body: str) -> None:
    """Refuse a code that stands for no certifying body."""
    if body not in BODIES:
        raise UnknownBody(f"There is no certifying body {body!r}; known are {', '.join(BODIES)}.", field="body")


def check_policy(policy: CredentialPolicy) -> None:
    """Refuse rules that contradict themselves or that nothing understands.

    Raises UnknownBody or UnsoundPolicy, whose `field` names the culprit. What was once recorded is
    never checked again.
    """
    check_body(policy.body)
    if not _CODE.fullmatch(policy.code):
        raise UnsoundPolicy(
            f"{policy.code!r} can't be a credential's code: use 1 to 32 capital letters, digits and hyphens.",
            field="code",
        )
    if not policy.name.strip():
        raise UnsoundPolicy("Say what the credential is called.", field="name")
    if not _VERSION.fullmatch(policy.version):
        raise UnsoundPolicy(
            f"{policy.version!r} can't name a version: use 1 to 32 letters, digits, dots, hyphens and underscores.",
            field="version",
        )
    if policy.valid_until is not None and policy.valid_until < policy.valid_from:
        raise UnsoundPolicy(
            f"The rules would end on {policy.valid_until}, before they begin on {policy.valid_from}.",
            field="valid_until",
        )
    _check_numbers(policy)
    _check_words(policy)


def _check_numbers(policy: CredentialPolicy) -> None:
    for name in ("contact_minutes", "scheduled_minutes", "max_span_months", "validity_months"):
        value = getattr(policy, name)
        if value is not None and value < 1:
            raise UnsoundPolicy(
                f"The {name.replace('_', ' ')} can't be {value}; leave them open where the body asks for none.",
                field=name,
            )
    for name in ("renewal_units", "renewal_add_on_units"):
        value = getattr(policy, name)
        if value is not None and value < 0:
            raise UnsoundPolicy(f"The {name.replace('_', ' ')} can't be below zero.", field=name)
    if policy.renewal_units and not policy.renewal_unit:
        raise UnsoundPolicy("Say in which unit the renewal is counted.", field="renewal_unit")
    contact, scheduled = policy.contact_minutes, policy.scheduled_minutes
    if contact is not None and scheduled is not None and contact > scheduled:
        raise UnsoundPolicy(
            f"{contact} contact minutes don't fit into {scheduled} scheduled minutes.",
            field="contact_minutes",
        )


def _check_words(policy: CredentialPolicy) -> None:
    unknown = [each for each in policy.formats if each not in FORMATS]
    if unknown or not policy.formats or len(set(policy.formats)) < len(policy.formats):
        raise UnsoundPolicy(f"Name at least one format, each once, from: {', '.join(FORMATS)}.", field="formats")
    if policy.attendance_rule not in ATTENDANCE_RULES:
        raise UnsoundPolicy(
            f"The attendance rule is one of: {', '.join(ATTENDANCE_RULES)}.",
            field="attendance_rule",
        )
    if policy.submission_profile not in SUBMISSION_PROFILES:
        raise UnsoundPolicy(
            f"The submission profile is one of: {', '.join(SUBMISSION_PROFILES)}.",
            field="submission_profile",
        )
    names = {*RULES, "valid_until"}
    for source in policy.sources:
        if source.field not in names or not source.reference.strip():
            raise UnsoundPolicy(
                "A source names one of the policy's values and where it comes from; that for "
                f"{source.field!r} does not.",
                field="sources",
            )
    for name in policy.unconfirmed:
        if name not in names:
            raise UnsoundPolicy(
                f"{name!r} is not one of the policy's values, so it can't be unconfirmed.",
                field="unconfirmed",
            )
