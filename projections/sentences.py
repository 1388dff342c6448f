"""Each event as a sentence that a person understands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import Any

from eventsourcing.utils import get_topic

from domain.access import Access
from domain.basis import Aspect
from domain.certificate import Certificate
from domain.course import Course, Role, Standing
from domain.credential import BODIES
from domain.enrolment import Enrolment, MakeUp, MakeUpKind, Source
from domain.institution import Institution
from domain.person import Person
from domain.register import AttendanceRegister, Status
from domain.submission import Outcome, Sighting, Submission
from domain.trainer import Trainer

NAMED_AT_ONCE = 5
"""How many people a sentence names before it only counts them."""

Name = Callable[[Any], str]
Told = str | tuple[str, str]
"""What happened, in the passive; a second part goes behind who did it."""


def sentence(event: Any, name: Callable[[str], str]) -> str:
    """Return what happened, who did it and why, as one English sentence.

    `name` turns an id into what the reader may see, to be used within a sentence: a person, a trainer's or an access'
    stream into the person's name; a course into its title; an enrolment into “Ada's enrolment in …”; a register into
    “session 2 of …”; a certificate into its number and whose it is; a submission into “Scrum Alliance for …”; the
    institution into its name. A line of a submission (the stream's id, a slash, its number) becomes the learner's name,
    an authorisation of a trainer (likewise) its credential.
    """
    told = SENTENCES[event.TOPIC](event, lambda each: name(str(each)))
    what, more = told if isinstance(told, tuple) else (told, "")
    said = f"{what} by {name(str(event.by))}"
    if event.on_behalf_of is not None:
        said += f", on behalf of {name(str(event.on_behalf_of))}"
    if reason := getattr(event, "reason", None):
        said += f" (reason: {words(reason)})"
    return f"{said}{more}."


def words(code: str) -> str:
    """Return a code as words."""
    return str(code).replace("_", " ")


def body(code: str) -> str:
    """Return a body's name by its code."""
    return "the body" if code == "OTHER" else BODIES.get(code, code)


def listed(parts: Iterable[object]) -> str:
    """Return the parts as people list them: a, b and c."""
    said = [str(part) for part in parts]
    return " and ".join([", ".join(said[:-1]), said[-1]]) if len(said) > 1 else "".join(said)


def count(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: 1 seat, 2 seats."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def day(on: date) -> str:
    """Return a date as people write it: 4 May 2026."""
    return f"{on.day} {on:%B %Y}"


def moment(at: datetime) -> str:
    """Return a time, in UTC."""
    at = at.astimezone(UTC)
    return f"{day(at)} at {at:%H:%M} UTC"


def _period(valid_from: date, valid_until: date | None) -> str:
    return f"from {day(valid_from)}" + (f" to {day(valid_until)}" if valid_until is not None else " on")


def _sessions(sessions: Iterable[Any]) -> str:
    return listed(f"session {each.number} on {each}" for each in sessions)


def _warned(warnings: tuple[str, ...]) -> str:
    return f", in spite of {listed(words(each) for each in warnings)}" if warnings else ""


def _seats(capacity: Any) -> str:
    return "unlimited seats" if capacity.limit is None else count(capacity.limit, "seat")


def _marked(event: Any) -> str:
    """Return how somebody was marked, after “was marked”."""
    late = f"late by {count(event.late_minutes, 'minute')}" if event.late_minutes else "late"
    early = f"as leaving {count(event.left_early_minutes, 'minute')} early" if event.left_early_minutes else ""
    if event.status is Status.LATE:
        return f"{late} and {early}" if early else late
    if event.status is Status.LEFT_EARLY:
        early = early or "as leaving early"
        return f"{late} and {early}" if event.late_minutes else early
    return str(event.status.value)


def _mark(e: AttendanceRegister.Marked, name: Name) -> Told:
    more = ""
    if e.corrects is not None:
        more += ", in place of an earlier mark"
    if e.conflict:
        more += ", which contradicts another mark"
    elif e.stands != e.mark:
        more += ", while another mark stands"
    if e.skewed:
        more += ", by a device whose clock was off"
    return f"{name(e.person)} was marked {_marked(e)} in {name(e.originator_id)}", more


def _amendment(e: AttendanceRegister.AmendmentRequested, name: Name) -> Told:
    where = name(e.originator_id)
    if e.late:
        return f"{name(e.person)} was marked {_marked(e)} in {where} after its register was sealed", (
            f", which is to be decided as amendment {e.number}"
        )
    return f"That {name(e.person)} be marked {_marked(e)} in {where} was requested as amendment {e.number}"


def _held(e: Course.SessionHeld, name: Name) -> Told:
    others = [each for each in e.trainers if each != e.lead]
    with_them = f" with {listed(name(each) for each in others)}" if others else ""
    return (
        f"Session {e.session} of {name(e.originator_id)}, led by {name(e.lead)}{with_them}, was recorded as held",
        f", from {moment(e.started)} to {e.ended.astimezone(UTC):%H:%M} with {count(e.contact_minutes, 'minute')} of "
        "contact",
    )


def _requested(e: Enrolment.Requested, name: Name) -> Told:
    got = "confirmed" if e.standing is Standing.CONFIRMED else "put into the queue"
    how = f", {_WAYS[e.source]}"
    if e.substitutes is not None:
        return f"{name(e.originator_id)} was requested and {got} in place of {name(e.substitutes)}", how
    return f"{name(e.originator_id)} was requested and {got}", how


def _requested_again(e: Enrolment.RequestedAgain, name: Name) -> Told:
    got = "confirmed" if e.standing is Standing.CONFIRMED else "put into the queue"
    instead = f" in place of {name(e.substitutes)}" if e.substitutes is not None else ""
    return f"{name(e.originator_id)} was requested again and {got}{instead}", f", {_WAYS[e.source]}"


_WAYS = {
    "registrar": "",
    "founding": "as the first administrator",
    Source.API.value: "through the API",
    Source.IMPORT.value: "from an attendee file",
    Source.WALK_IN.value: "as a walk-in",
    Source.SUBSTITUTION.value: "as a substitute",
}
"""By which way somebody, or a request, came."""


def _make_up(e: Enrolment.MakeUpCredited, name: Name) -> Told:
    return (
        f"{count(e.minutes, 'minute')} missed in session {e.session} were credited to {name(e.originator_id)}",
        f", as made up {_elsewhere(e.elsewhere, name)} with {name(e.trainer)}, on the evidence of {e.evidence}",
    )


def _elsewhere(made_up: MakeUp, name: Name) -> str:
    if made_up.kind is MakeUpKind.TUTORIAL:
        return "in a tutorial"
    if made_up.course is None or made_up.session is None:
        return "in another session"
    return f"in session {made_up.session} of {name(made_up.course)}"


def _decided(e: Enrolment.CompletionDecided, name: Name) -> Told:
    what = "completed" if e.completed else "not completed"
    again = " anew" if e.supersedes is not None else ""
    more = ", against what the record proposed" if e.deviates else ", as the record proposed"
    if e.approved_by is not None:
        more += f", with the approval of {name(e.approved_by)}"
    elif e.solo:
        more += ", with no second person"
    return f"{name(e.originator_id)} was decided{again} as {what}", more


def _substituted(e: Enrolment.SubstitutedBy, name: Name) -> Told:
    return f"The seat of {name(e.originator_id)} was given to {name(e.person)}"


def _walk_in(e: Enrolment.WalkInAdmitted, name: Name) -> Told:
    more = f", beyond the capacity because of {words(e.override)}" if e.override is not None else ""
    return f"{name(e.originator_id)} was admitted as a walk-in to session {e.session}", more


def _listing(e: Course.ListedWithBody, name: Name) -> Told:
    address = f", at {e.address}" if e.address is not None else ""
    return f"{name(e.originator_id)} was noted to be listed with {body(e.body)} as {e.external_id}", address


def _drafted(e: Course.Drafted, name: Name) -> Told:
    copied = f" as a copy of {name(e.copied_from)}" if e.copied_from is not None else ""
    return (
        f"{name(e.originator_id)}, a course for {e.body}/{e.code} ({words(e.format)}), was drafted{copied}",
        f", under the rules of version {e.policy_version}",
    )


def _opened(e: Course.Opened, name: Name) -> Told:
    least = f", to take place if at least {count(e.minimum, 'person', 'people')} enrol" if e.minimum is not None else ""
    return f"{name(e.originator_id)} was opened for enrolment with {_seats(e.capacity)}", least


def _closed(e: Course.Closed, name: Name) -> Told:
    waived = f", in spite of {listed(words(each) for each in e.waived)}" if e.waived else ""
    return f"{name(e.originator_id)} was closed", waived


def _seat(e: Course.SeatTaken, name: Name) -> Told:
    more = f", beyond the capacity because of {words(e.override)}" if e.override is not None else ""
    return f"A seat in {name(e.originator_id)} was given to {name(e.person)}", more


def _role(role: Role) -> str:
    return "lead trainer" if role is Role.LEAD else "co-trainer"


def _since(since: datetime | None, otherwise: str) -> str:
    return f", from {moment(since)} on" if since is not None else otherwise


def _sought(e: Submission.Event, name: Name) -> str:
    return f"the submission to {name(e.originator_id)}"


def _part(e: Any, name: Name) -> str:
    return f"Part {e.part} of {_sought(e, name)}"


def _line(e: Any, name: Name, begin: str = "Line") -> str:
    return f"{begin} {e.line} ({name(f'{e.originator_id}/{e.line}')}) in {_sought(e, name)}"


def _whom(e: Any, name: Name) -> str:
    """Return whose lines they are, as long as those are few enough to be read."""
    if len(e.lines) > NAMED_AT_ONCE:
        return count(len(e.lines), "learner")
    return listed(name(f"{e.originator_id}/{line}") for line in e.lines)


def _step(e: Any, name: Name, done: str) -> Told:
    were = "was" if len(e.lines) == 1 else "were"
    return f"{_whom(e, name)} {were} recorded as {done} at the body in {_sought(e, name)}"


def _paid(e: Submission.Paid, name: Name) -> Told:
    paid = " ".join(str(each) for each in (e.amount, e.currency) if each is not None)
    amount = f", {paid} in all" if e.amount is not None else ""
    receipt = f", with receipt {e.receipt}" if e.receipt is not None else ""
    return f"The fee for {_whom(e, name)} in {_sought(e, name)} was recorded as paid", amount + receipt


def _validated(e: Submission.Validated, name: Name) -> Told:
    if not e.problems:
        return f"{_part(e, name)} was checked", f", for the template {e.template}, without a problem"
    found = listed(
        f"{words(each.code)} in line {each.line} ({name(f'{e.originator_id}/{each.line}')})" for each in e.problems
    )
    return f"{_part(e, name)} was checked", f", for the template {e.template}: {found}"


def _outcome(e: Submission.OutcomeRecorded, name: Name) -> Told:
    said = {
        Outcome.ACCEPTED: "accepted",
        Outcome.REJECTED: "rejected",
        Outcome.UNKNOWN: "without a clear answer",
    }[e.outcome]
    code = f", with the code {words(e.code).lower()}" if e.code is not None else ""
    return f"The body's answer to {_line(e, name, 'line')} was recorded as {said}", f"{code}, {_according(e.source)}"


def _observed(e: Submission.Observed, name: Name) -> Told:
    what = {
        Sighting.WELCOME_MAIL_RESENT: "Another welcome mail",
        Sighting.ACCOUNT_ACTIVATED: "The activation of the account",
        Sighting.LICENCE_ACCEPTED: "The acceptance of the licence",
        Sighting.CREDENTIAL_DATES: "The period of the credential",
        Sighting.MEMBER_ID: "The member id",
    }[e.what]
    more = f", as of {day(e.on)} and {_according(e.source)}"
    if e.agreement_version is not None:
        more += f", agreement version {e.agreement_version}"
    if e.valid_from is not None:
        more += f", {_period(e.valid_from, e.valid_until)}"
    elif e.valid_until is not None:
        more += f", up to {day(e.valid_until)}"
    return f"{what} was noted for {_line(e, name, 'line')}", more


def _according(source: str) -> str:
    known = {
        "body_page": "the body's page",
        "body_mail": "the body's mail",
        "body_support": "the body's support",
        "learner": "the learner",
        "api": "the body's API",
    }
    return f"according to {known.get(source, words(source))}"


_ASPECTS = {
    Aspect.NAMES: "the names of {}",
    Aspect.BODY_EMAIL: "the e-mail that the body knows of {}",
    Aspect.SCHEDULE: "the schedule of {}",
    Aspect.REGISTER: "the register of {}",
    Aspect.PARTICIPATION: "the participation in {}",
    Aspect.MAKE_UP: "the make-ups in {}",
    Aspect.DECISION: "the decision on {}",
    Aspect.LEARNER: "the standing of {}",
}


def _moved(e: Certificate.DiscrepancyResolved | Submission.DiscrepancyResolved, name: Name) -> str:
    """Return what has moved and what was made of it; version numbers are in the event itself."""
    return f", because of a change in {_ASPECTS[e.aspect].format(name(e.stream))}: {words(e.resolution)}"


def _issued(e: Certificate.Issued, name: Name) -> Told:
    instead = f", in place of {e.replaces}" if e.replaces is not None else ""
    return f"Certificate {e.number} for {name(e.facts.person)} in {name(e.facts.course)} was issued", instead


def _revoked(e: Certificate.Revoked, name: Name) -> Told:
    more = f", as {name(e.requested_by)} had requested" if e.requested_by != e.by else ""
    return f"Certificate {name(e.originator_id)} was revoked", more or ", with no second person"


def _token(e: Access.TokenIssued, name: Name) -> Told:
    until = f", until {moment(e.expires_on)}" if e.expires_on is not None else ""
    return f"A token of {name(e.originator_id)} for {listed(e.roles)} was issued", until


def _settings(e: Institution.SettingsChanged, _: Name) -> Told:
    settings = e.settings
    solo = [words(each.act) for each in settings.sign_off if each.mode == "solo"]
    return "The settings were changed", (
        f": the zone is {settings.zone}, the tolerance {count(settings.tolerance_minutes, 'minute')}, submissions are "
        f"due after {count(settings.submission_due_days, 'business day')}, "
        f"{f'one person alone does {listed(solo)}' if solo else 'every approval needs another person'}"
    )


def _authorised(e: Trainer.Authorised, name: Name) -> Told:
    return (
        f"{name(e.originator_id)} was noted to be authorised for {e.body}/{e.code} as {words(e.role)}",
        f", {_period(e.valid_from, e.valid_until)}, on the evidence of {e.evidence}",
    )


def _names(e: Person.NameChanged, name: Name) -> Told:
    evidence = f", on the evidence of {e.evidence}" if e.evidence is not None else ""
    return f"The names of {name(e.originator_id)} were changed", evidence


def _contact(e: Person.ContactChanged, name: Name) -> Told:
    known = [what for what, handle in (("an e-mail", e.email), ("a phone number", e.phone)) if handle is not None]
    return (
        f"The contact of {name(e.originator_id)} was changed",
        f", to {listed(known)}" if known else ", and there is none now",
    )


def _approved(e: AttendanceRegister.AmendmentApproved, name: Name) -> Told:
    return (
        f"Amendment {e.number} for {name(e.person)} in {name(e.originator_id)} was approved",
        f", which makes version {e.sealed_version} of the register{', with no second person' if e.solo else ''}",
    )


def _registered(e: Person.Registered, name: Name) -> Told:
    how = _WAYS.get(e.source, f"by way of {words(e.source)}")
    return f"{name(e.originator_id)} was registered", f", {how}" if how else ""


_OF: dict[type[Any], Callable[[Any, Name], Told]] = {
    Institution.Founded: lambda e, _: f"{e.name} was founded here",
    Institution.Renamed: lambda e, _: f"The institution was renamed to {e.name}",
    Institution.RegisteredWithBody: lambda e, _: (
        f"The institution was noted to be registered with {body(e.body)} as {e.external_id}",
        f", {_period(e.valid_from, e.valid_until)}",
    ),
    Institution.RegistrationEnded: lambda e, _: (
        f"The registration of the institution with {body(e.body)} was ended",
        f", from {day(e.on)} on",
    ),
    Institution.SettingsChanged: _settings,
    Institution.CredentialOverridden: lambda e, _: (
        f"The institution's own rules for {e.policy.credential} were set",
        f", as version {e.policy.version}, {_period(e.policy.valid_from, e.policy.valid_until)}",
    ),
    Person.Registered: _registered,
    Person.NameCorrected: lambda e, name: f"The names of {name(e.originator_id)} were corrected",
    Person.NameChanged: _names,
    Person.NamesConfirmed: lambda e, name: (
        f"The names of {name(e.originator_id)} were recorded as confirmed",
        ", as the person says" if e.confirmed_by == "person" else "",
    ),
    Person.ContactChanged: _contact,
    Person.BodyEmailStated: lambda e, name: (
        f"The e-mail by which {body(e.body)} knows {name(e.originator_id)} was recorded",
        f", as the {e.source.value} says",
    ),
    Person.LinkedTo: lambda e, name: f"{name(e.originator_id)} was found to be one person with {name(e.survivor)}",
    Person.Unlinked: lambda e, name: f"{name(e.originator_id)} was found to be somebody of their own after all",
    Trainer.Registered: lambda e, name: f"{name(e.person)} was registered as a trainer",
    Trainer.Authorised: _authorised,
    Trainer.AuthorisationEnded: lambda e, name: (
        f"The authorisation of {name(e.originator_id)} for {name(f'{e.originator_id}/{e.number}')} was ended",
        f", from {day(e.on)} on",
    ),
    Trainer.Booked: lambda e, name: (
        f"{name(e.originator_id)} was booked for {name(e.course)} as {_role(e.role)}",
        f", for {count(len(e.slots), 'session')}",
    ),
    Trainer.Released: lambda e, name: f"The booking of {name(e.originator_id)} for {name(e.course)} was given back",
    Access.Opened: lambda e, name: f"{name(e.person)} was let in to be given roles",
    Access.RoleGranted: lambda e, name: (
        f"{name(e.originator_id)} was made {'an' if e.role.value[0] == 'a' else 'a'} {e.role.value}"
    ),
    Access.RoleWithdrawn: lambda e, name: f"The role of {e.role.value} was withdrawn from {name(e.originator_id)}",
    Access.TokenIssued: _token,
    Access.TokenRevoked: lambda e, name: f"A token of {name(e.originator_id)} was revoked",
    Course.Drafted: _drafted,
    Course.Scheduled: lambda e, name: (
        f"{name(e.originator_id)} was scheduled",
        f"{_warned(e.warnings)}: {_sessions(e.sessions)}",
    ),
    Course.Rescheduled: lambda e, name: (
        f"{name(e.originator_id)} was rescheduled",
        f"{_warned(e.warnings)}: {_sessions(e.sessions)}",
    ),
    Course.TrainerAssigned: lambda e, name: (
        f"{name(e.trainer_person)} was assigned to {name(e.originator_id)} as {_role(e.role)}",
        _since(e.since, ""),
    ),
    Course.TrainerReleased: lambda e, name: (
        f"{name(e.trainer_person)} was released from {name(e.originator_id)}",
        _since(e.since, ", as if never assigned"),
    ),
    Course.Opened: _opened,
    Course.CapacityChanged: lambda e, name: (
        f"The capacity of {name(e.originator_id)} was changed to {_seats(e.capacity)}"
    ),
    Course.EnrolmentClosed: lambda e, name: f"{name(e.originator_id)} was closed for new enrolments",
    Course.EnrolmentReopened: lambda e, name: f"{name(e.originator_id)} was opened again for new enrolments",
    Course.Confirmed: lambda e, name: f"{name(e.originator_id)} was confirmed to take place",
    Course.ListedWithBody: _listing,
    Course.Cancelled: lambda e, name: f"{name(e.originator_id)} was cancelled",
    Course.SessionHeld: _held,
    Course.SessionCurtailed: lambda e, name: (
        f"Session {e.session} of {name(e.originator_id)} was curtailed to "
        f"{count(e.contact_minutes, 'minute')} of contact"
    ),
    Course.SessionAdded: lambda e, name: (
        f"Session {e.session.number} on {e.session} was added to {name(e.originator_id)}",
        _warned(e.warnings),
    ),
    Course.SessionCancelled: lambda e, name: f"Session {e.session} of {name(e.originator_id)} was cancelled",
    Course.Delivered: lambda e, name: f"{name(e.originator_id)} was recorded as delivered",
    Course.Closed: _closed,
    Course.Reopened: lambda e, name: f"{name(e.originator_id)} was reopened",
    Course.SeatTaken: _seat,
    Course.Queued: lambda e, name: (
        f"{name(e.person)} was put into the queue of {name(e.originator_id)} with ticket {e.ticket}"
    ),
    Course.SeatFreed: lambda e, name: f"The seat of {name(e.person)} in {name(e.originator_id)} was freed",
    Course.SeatHeld: lambda e, name: (
        f"A free seat in {name(e.originator_id)} was set aside for {name(e.person)}, who had ticket {e.ticket},"
    ),
    Course.QueueLeft: lambda e, name: f"{name(e.person)} was taken from the queue of {name(e.originator_id)}",
    Course.SkippedInQueue: lambda e, name: (
        f"{name(e.person)} was passed over in the queue of {name(e.originator_id)}",
        ", and keeps the ticket",
    ),
    Enrolment.Requested: _requested,
    Enrolment.RequestedAgain: _requested_again,
    Enrolment.Confirmed: lambda e, name: f"{name(e.originator_id)} was confirmed",
    Enrolment.Withdrawn: lambda e, name: f"{name(e.originator_id)} was withdrawn",
    Enrolment.Cancelled: lambda e, name: f"{name(e.originator_id)} was cancelled",
    Enrolment.SubstitutedBy: _substituted,
    Enrolment.WalkInAdmitted: _walk_in,
    Enrolment.WalkInConfirmed: lambda e, name: f"The walk-in of {name(e.originator_id)} was confirmed",
    Enrolment.NoShowDeclared: lambda e, name: f"{name(e.originator_id)} was declared a no-show",
    Enrolment.NoShowLifted: lambda e, name: f"{name(e.originator_id)} was declared no longer a no-show",
    Enrolment.BodyEmailAsked: lambda e, name: (
        f"For {name(e.originator_id)}, the e-mail used with {body(e.body)} was asked for",
        ", and answered" if e.answered else ", with no answer",
    ),
    Enrolment.PrerequisiteDeclared: lambda e, name: (
        f"For {name(e.originator_id)}, the prerequisite was declared to be met",
        f", on the evidence of {e.evidence}",
    ),
    Enrolment.ParticipationAttested: lambda e, name: (
        f"For {name(e.originator_id)}, participation was attested"
        if e.attested
        else f"For {name(e.originator_id)}, participation was attested to be lacking"
    ),
    Enrolment.MakeUpCredited: _make_up,
    Enrolment.MakeUpWithdrawn: lambda e, name: f"Make-up {e.number} of {name(e.originator_id)} was withdrawn",
    Enrolment.CompletionDecided: _decided,
    AttendanceRegister.Opened: lambda e, name: f"The register of session {e.session} of {name(e.course)} was opened",
    AttendanceRegister.Marked: _mark,
    AttendanceRegister.MarkSetAside: lambda e, name: (
        f"{name(e.person)} was marked {_marked(e)} in {name(e.originator_id)}",
        ", which waits for the registrar",
    ),
    AttendanceRegister.MarkAdmitted: lambda e, name: (
        f"A mark for {name(e.person)} in {name(e.originator_id)} that had been set aside was admitted",
        ", and contradicts another mark" if e.conflict else "",
    ),
    AttendanceRegister.MarkDismissed: lambda e, name: (
        f"A mark for {name(e.person)} in {name(e.originator_id)} that had been set aside was dismissed"
    ),
    AttendanceRegister.ConflictResolved: lambda e, name: (
        f"Of the marks that disagreed on {name(e.person)} in {name(e.originator_id)}, one was chosen"
    ),
    AttendanceRegister.Sealed: lambda e, name: (
        f"The register of {name(e.originator_id)} was sealed with {count(len(e.standing), 'mark')}"
    ),
    AttendanceRegister.Countersigned: lambda e, name: (
        f"Version {e.sealed_version} of the register of {name(e.originator_id)} was countersigned"
    ),
    AttendanceRegister.AmendmentRequested: _amendment,
    AttendanceRegister.AmendmentApproved: _approved,
    AttendanceRegister.AmendmentRejected: lambda e, name: (
        f"Amendment {e.number} for {name(e.person)} in {name(e.originator_id)} was rejected"
    ),
    Certificate.Issued: _issued,
    Certificate.Superseded: lambda e, name: f"Certificate {name(e.originator_id)} was replaced with {e.by_number}",
    Certificate.RevocationRequested: lambda e, name: (
        f"The revocation of certificate {name(e.originator_id)} was requested"
    ),
    Certificate.RevocationRejected: lambda e, name: (
        f"The revocation of certificate {name(e.originator_id)} was rejected"
    ),
    Certificate.Revoked: _revoked,
    Certificate.DiscrepancyResolved: lambda e, name: (
        f"A discrepancy of certificate {name(e.originator_id)} was resolved",
        _moved(e, name),
    ),
    Submission.Drafted: lambda e, name: (
        f"The submission to {body(e.body)} for {name(e.course)} was drafted with {count(len(e.lines), 'line')}",
        f", due on {day(e.due_on)}",
    ),
    Submission.PartDrafted: lambda e, name: f"{_part(e, name)} was drafted with {count(len(e.lines), 'line')}",
    Submission.LineExcluded: lambda e, name: f"{_line(e, name)} was left out",
    Submission.LineIncluded: lambda e, name: f"{_line(e, name)} was taken in again",
    Submission.LineRemade: lambda e, name: f"{_line(e, name)} was made anew",
    Submission.Validated: _validated,
    Submission.Approved: lambda e, name: (
        f"{_part(e, name)} was approved",
        ", with no second person" if e.solo else "",
    ),
    Submission.Exported: lambda e, name: (
        f"{_part(e, name)} was exported as a file of {count(e.rows, 'row')}",
        f", by the template {e.template}",
    ),
    Submission.Sent: lambda e, name: (
        f"{_part(e, name)} was recorded as sent",
        f", under the reference {e.reference}" if e.reference is not None else "",
    ),
    Submission.Loaded: lambda e, name: _step(e, name, "loaded"),
    Submission.Selected: lambda e, name: _step(e, name, "selected"),
    Submission.Paid: _paid,
    Submission.Activated: lambda e, name: _step(e, name, "activated"),
    Submission.OutcomeRecorded: _outcome,
    Submission.LineWithdrawn: lambda e, name: (
        f"{_line(e, name)} was withdrawn",
        f", under the case number {e.case}" if e.case is not None else "",
    ),
    Submission.Observed: _observed,
    Submission.DiscrepancyResolved: lambda e, name: (
        f"A discrepancy of {_line(e, name, 'line')} was resolved",
        _moved(e, name),
    ),
    Submission.Abandoned: lambda e, name: f"The submission to {name(e.originator_id)} was abandoned",
    Submission.Completed: lambda e, name: f"The submission to {name(e.originator_id)} was completed",
}

SENTENCES = {get_topic(kind): told for kind, told in _OF.items()}
"""How each event is told, by its topic."""
