"""The register of a session: who was there, as marked, sealed and amended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import Response, g
from marshmallow import Schema, fields, post_load, validate

from api.answers import json_answer
from api.asked import Asked, act
from api.blueprint import Blueprint
from api.fields import Answer, Body, Line, Moment, Uid, Whole, WithReason
from api.here import office, reading
from api.private import opener
from domain.access import Role
from domain.completion import UNMARKED
from domain.register import BATCH_LIMIT, REFUSALS, AttendanceRegister, Marker, MarkRequest, Outcome, Status
from projections import directory, history
from projections import registers as view
from provider.commands import registers as commands
from provider.commands.registers import Marked
from provider.log import NotFound, Receipt
from provider.work import Act

blueprint = Blueprint(
    "registers",
    __name__,
    url_prefix="/v1/courses/<uuid:course>/sessions/<int(min=1,max=100000):session>/register",
    description=__doc__,
)

LONGEST = 24 * 60
"""Minutes that a mark may name; whether they fit the session is for the register to say."""
LARGEST_SEQ = 2**53 - 1

STATUSES = [status.value for status in Status]


class MarkSaid(Schema):
    """What a device says of one learner."""

    mark = Uid(required=True, metadata={"description": "The client's own random id of this mark."})
    person = Uid(required=True)
    status = fields.Enum(Status, by_value=True, required=True)
    late_minutes = Whole(low=0, high=LONGEST, load_default=0, metadata={"description": "With `late` at least 1."})
    left_early_minutes = Whole(
        low=0, high=LONGEST, load_default=0, metadata={"description": "With `left_early` at least 1."}
    )
    signed_in = Moment(allow_none=True, load_default=None)
    signed_out = Moment(allow_none=True, load_default=None)
    evidence = Line(
        allow_none=True, load_default=None, metadata={"description": "A reference, such as the number of a sheet."}
    )
    marked_at = Moment(required=True, metadata={"description": "When it was marked, by the device's clock."})
    device = Uid(allow_none=True, load_default=None)
    seq = Whole(
        low=0,
        high=LARGEST_SEQ,
        allow_none=True,
        load_default=None,
        metadata={"description": "Counts the marks of one device: its highest stands."},
    )
    corrects = Uid(
        allow_none=True,
        load_default=None,
        metadata={"description": "The mark that the author has seen and openly replaces."},
    )

    @post_load
    def _request(self, said: dict[str, Any], **_: Any) -> MarkRequest:
        return MarkRequest(**said)


class MarksSaid(fields.List[Any]):
    """Marks. What is plainly right is read at once; whatever is not goes to the schema, which says what is wrong.

    A class of 30 takes a fifth of the time so.
    """

    def __init__(self, *, low: int, **kwargs: Any) -> None:
        super().__init__(fields.Nested(MarkSaid), validate=validate.Length(min=low, max=BATCH_LIMIT), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        try:
            return _plain_marks(value)
        except UNUSUAL:
            return super()._deserialize(value, attr, data, **kwargs)


UNUSUAL = (AttributeError, KeyError, TypeError, ValueError)
"""What comes of reading something as if it were plain that is not."""
_MEMBERS = frozenset(MarkSaid().fields)
_STATUS = {status.value: status for status in Status}


def _plain_marks(said: Any) -> list[MarkRequest]:
    """Return the marks, or raise one of `UNUSUAL`."""
    if not isinstance(said, list) or len(said) > BATCH_LIMIT:
        raise ValueError
    return [_plain_mark(each) for each in said]


def _plain_mark(said: Any) -> MarkRequest:
    """Return the mark, or raise one of `UNUSUAL` where a member is absent, wrong, or written as no device does."""
    if not said.keys() <= _MEMBERS:
        raise ValueError
    get = said.get
    return MarkRequest(
        mark=_uuid(said["mark"]),
        person=_uuid(said["person"]),
        status=_STATUS[said["status"]],
        late_minutes=_whole(get("late_minutes", 0), LONGEST),
        left_early_minutes=_whole(get("left_early_minutes", 0), LONGEST),
        signed_in=_moment(get("signed_in")),
        signed_out=_moment(get("signed_out")),
        evidence=None if (evidence := get("evidence")) is None else _line(evidence),
        marked_at=_utc(said["marked_at"]),
        device=None if (device := get("device")) is None else _uuid(device),
        seq=None if (seq := get("seq")) is None else _whole(seq, LARGEST_SEQ),
        corrects=None if (corrects := get("corrects")) is None else _uuid(corrects),
    )


def _uuid(said: str) -> UUID:
    if len(said) != 36:
        raise ValueError
    return UUID(said)


def _line(said: str) -> str:
    # What needs a closer look than that gets it from the schema.
    if not (said.isascii() and said.isprintable() and len(said) <= 200 and (text := said.strip())):
        raise ValueError
    return text


def _whole(said: int, high: int) -> int:
    if type(said) is not int or not 0 <= said <= high:
        raise ValueError
    return said


def _moment(said: str | None) -> datetime | None:
    return None if said is None else _utc(said)


def _utc(said: str) -> datetime:
    # The form that devices send; the schema reads all others.
    if len(said) not in (20, 24, 27) or (said[4], said[7], said[10], said[-1]) != ("-", "-", "T", "Z"):
        raise ValueError
    moment = datetime.fromisoformat(said)
    if moment.tzinfo is not UTC or not 2000 <= moment.year < 2100:
        raise ValueError
    return moment


class Marks(Body):
    """A batch of marks from one device. What is plainly right is read past the schema, as each mark is."""

    class Meta:
        exclude = ("at",)

    sent_at = Moment(required=True, metadata={"description": "The device's clock when it sends them."})
    marks = MarksSaid(low=1, required=True)

    def load(self, data: Any, **how: Any) -> Any:
        try:
            if data.keys() == {"sent_at", "marks"} and data["marks"]:
                return {"sent_at": _utc(data["sent_at"]), "marks": _plain_marks(data["marks"])}
        except UNUSUAL:
            pass
        return super().load(data, **how)


class AllPresent(Body):
    """Who was not simply there."""

    except_ = MarksSaid(
        low=0, data_key="except", load_default=list, metadata={"description": "The marks of those who were not."}
    )


class MarkResultAnswer(Answer):
    """What became of one mark."""

    mark = fields.String(required=True)
    outcome = fields.String(
        required=True,
        validate=validate.OneOf([outcome.value for outcome in Outcome]),
        metadata={"description": "All but a `rejected` one are on record; a `task` waits for the registrar."},
    )
    code = fields.String(
        required=True,
        allow_none=True,
        validate=validate.OneOf([*REFUSALS, None]),
        metadata={"description": "Why it was rejected."},
    )
    message = fields.String(required=True, allow_none=True)


class MarksAnswer(Answer):
    """What became of the marks, in the order in which they were sent."""

    results = fields.List(fields.Nested(MarkResultAnswer), required=True)
    version = fields.Integer(required=True, metadata={"description": "The register's; 0 while it was never opened."})
    position = fields.Integer(
        required=True, allow_none=True, metadata={"description": "The last event recorded; null where none was needed."}
    )


class MarkAnswer(Answer):
    """A mark on record."""

    mark = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    late_minutes = fields.Integer(required=True)
    left_early_minutes = fields.Integer(required=True)
    signed_in = fields.String(required=True, allow_none=True)
    signed_out = fields.String(required=True, allow_none=True)
    evidence = fields.String(required=True, allow_none=True)
    marked_at = fields.String(required=True, metadata={"description": "When it was made, by the device's clock."})
    recorded_at = fields.String(required=True, metadata={"description": "When it reached us, by ours."})
    author = fields.String(required=True)
    on_behalf_of = fields.String(required=True, allow_none=True)
    authority = fields.String(required=True, validate=validate.OneOf([marker.value for marker in Marker]))
    device = fields.String(required=True, allow_none=True)
    seq = fields.Integer(required=True, allow_none=True)
    corrects = fields.String(required=True, allow_none=True)
    skewed = fields.Boolean(required=True, metadata={"description": "The clock was off by more than five minutes."})
    version = fields.Integer(required=True, metadata={"description": "The version of the event that recorded it."})


class PersonsMarkAnswer(MarkAnswer):
    """A mark, and whose it is."""

    person = fields.String(required=True)


class SetAsideAnswer(PersonsMarkAnswer):
    """A mark that waits for the registrar."""

    reason = fields.String(required=True)


class AttendanceAnswer(Answer):
    """A learner in the register."""

    enrolment = fields.String(required=True)
    person = fields.String(required=True)
    given = fields.String(required=True, allow_none=True)
    family = fields.String(required=True, allow_none=True)
    standing = fields.String(required=True)
    walk_in_open = fields.Boolean(required=True, metadata={"description": "A walk-in whom nobody has confirmed yet."})
    status = fields.String(
        required=True,
        validate=validate.OneOf([*STATUSES, UNMARKED]),
        metadata={"description": "As marked, and as sealed and amended once it is; unmarked is neither."},
    )
    conflict = fields.Boolean(required=True, metadata={"description": "Authors disagree; the lead chooses."})
    mark = fields.Nested(MarkAnswer, required=True, allow_none=True, metadata={"description": "The one that holds."})
    marks = fields.List(fields.Nested(MarkAnswer), required=True, metadata={"description": "All that were made."})


class AmendmentAnswer(Answer):
    """That another mark is to stand in the sealed register."""

    number = fields.Integer(required=True)
    person = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(["pending", "approved", "rejected"]))
    reason = fields.String(required=True)
    note = fields.String(required=True, allow_none=True)
    late = fields.Boolean(required=True, metadata={"description": "A mark that came after the seal."})
    mark = fields.Nested(MarkAnswer, required=True)
    requested_by = fields.String(required=True)
    requested_at = fields.String(required=True)
    decided_by = fields.String(required=True, allow_none=True)
    decided_at = fields.String(required=True, allow_none=True)
    decision_reason = fields.String(required=True, allow_none=True)
    decision_note = fields.String(required=True, allow_none=True)
    sealed_version = fields.Integer(required=True, allow_none=True)


class SealedVersionAnswer(Answer):
    """The register as it was sealed, or as it was amended then; it stays readable for ever."""

    sealed_version = fields.Integer(required=True)
    version = fields.Integer(required=True)
    sealed_by = fields.String(required=True)
    sealed_at = fields.String(required=True)
    lead = fields.String(required=True)
    attestation = fields.String(required=True)
    amendment = fields.Integer(required=True, allow_none=True, metadata={"description": "The one that made it."})
    solo = fields.Boolean(required=True, metadata={"description": "Requested and approved by the same hand."})
    countersigned_by = fields.String(required=True, allow_none=True)
    countersigned_at = fields.String(required=True, allow_none=True)
    marks = fields.List(fields.Nested(PersonsMarkAnswer), required=True)


class RegisterAnswer(Answer):
    """The register of a session."""

    course = fields.String(required=True)
    session = fields.Integer(required=True)
    register = fields.String(required=True)
    version = fields.Integer(required=True, metadata={"description": "For If-Match; 0 while it was never opened."})
    starts = fields.String(required=True)
    ends = fields.String(required=True)
    zone = fields.String(required=True)
    place = fields.String(required=True, allow_none=True)
    started = fields.String(required=True, allow_none=True)
    ended = fields.String(required=True, allow_none=True)
    cancelled = fields.Boolean(required=True)
    lead = fields.String(
        required=True, allow_none=True, metadata={"description": "Who held the session, or is to: they seal it."}
    )
    sealed_version = fields.Integer(required=True, metadata={"description": "0 before the seal."})
    items = fields.List(fields.Nested(AttendanceAnswer), required=True)
    set_aside = fields.List(fields.Nested(SetAsideAnswer), required=True)
    amendments = fields.List(fields.Nested(AmendmentAnswer), required=True)
    sealed_versions = fields.List(fields.Nested(SealedVersionAnswer), required=True)


class Choice(WithReason):
    """Which mark stands, and why."""

    mark = Uid(required=True, metadata={"description": "One of those that disagree."})


class Attestation(Body):
    """What the lead signs."""

    attestation = Line(
        longest=1_000, required=True, metadata={"description": "The sentence that the lead attests. Not private."}
    )


class Countersignature(Body):
    """Which version is signed."""

    sealed_version = Whole(low=1, high=100_000, required=True)


class Amendment(WithReason):
    """What is to stand in the sealed register, and why."""

    mark = fields.Nested(MarkSaid, required=True)


@blueprint.query(
    "",
    permission="registers:read",
    answer=RegisterAnswer,
    table=True,
    entity=AttendanceRegister.create_id,
)
def register(asked: Asked, course: UUID, session: int) -> dict[str, Any]:
    """Get the register of a session.

    It shows every learner with the mark that holds, all marks that were made, those set aside, the amendments, and each
    sealed version. One that was never opened has the version 0.
    """
    found = view.register(reading(), course, session, at=asked.at)
    if found is None:
        raise NotFound("There is no such session.")
    known = directory.people_by_ids(reading(), [row["person"] for row in found["learners"]], at=asked.at)
    show = opener(_handles(known.values(), found["amendments"]))
    learners = [
        {
            **row,
            "given": show(known[row["person"]]["given"]),
            "family": show(known[row["person"]]["family"]),
        }
        for row in found.pop("learners")
    ]
    return {
        **found,
        "version": history.version_of(reading(), found["register"], at=asked.at) or 0,
        "items": learners,
        "amendments": [
            {**row, "note": show(row["note"]), "decision_note": show(row["decision_note"])}
            for row in found["amendments"]
        ],
    }


@blueprint.command("/marks", permission="marks:write", body=Marks, answer=MarksAnswer, versioned=False)
def mark(said: dict[str, Any], course: UUID, session: int) -> Response:
    """Send marks, up to 200, in any order and as often as needed.

    Each has the client's own id, so that neither If-Match nor Idempotency-Key is needed: a mark that is known answers
    `duplicate`. One mark refused does not hold up the others. `applied`: it stands, or agrees with the one that does.
    `superseded`: a later one of the same author or an open correction stands. `conflict`: authors disagree blindly; the
    earliest stands until the lead chooses. `amendment_requested`: the register was sealed. `task`: the learner has no
    seat now; a registrar decides. `rejected`: it is not on record; `code` and `message` say why, and the device keeps
    it. Authority is judged at `marked_at`.
    """
    done = commands.mark(office(), _unkeyed(), course=course, session=session, registrar=_registrar(), **said)
    return _results(done)


@blueprint.command("/mark-all-present", permission="marks:write", body=AllPresent, answer=MarksAnswer, versioned=False)
def mark_all_present(said: dict[str, Any], course: UUID, session: int) -> Response:
    """Mark everybody present who has a seat and no mark yet, except some.

    All or nothing. Sent again it changes nothing, so that it needs no Idempotency-Key.
    """
    done = commands.mark_all_present(
        office(), _unkeyed(), course=course, session=session, registrar=_registrar(), **said
    )
    return _results(done)


@blueprint.command("/conflicts/<uuid:person>/resolve", permission="registers:seal", body=Choice)
def resolve_conflict(said: dict[str, Any], course: UUID, session: int, person: UUID) -> Receipt:
    """Choose, as the lead, which of the marks stands that disagree on a learner."""
    return commands.resolve_conflict(office(), act(), course=course, session=session, person=person, **said)


@blueprint.command("/set-aside/<uuid:mark>/admit", permission="enrolments:write", body=WithReason)
def admit_set_aside(said: dict[str, Any], course: UUID, session: int, mark: UUID) -> Receipt:
    """Let a mark count that was set aside because its learner had no seat."""
    return commands.admit_set_aside(office(), act(), course=course, session=session, mark=mark, **said)


@blueprint.command("/set-aside/<uuid:mark>/dismiss", permission="enrolments:write", body=WithReason)
def dismiss_set_aside(said: dict[str, Any], course: UUID, session: int, mark: UUID) -> Receipt:
    """Leave out a mark that was set aside. It stays on record."""
    return commands.dismiss_set_aside(office(), act(), course=course, session=session, mark=mark, **said)


@blueprint.command("/seal", permission="registers:seal", body=Attestation)
def seal(said: dict[str, Any], course: UUID, session: int) -> Receipt:
    """Seal the register, as the trainer who led the session.

    Refused while somebody with a seat is unmarked, or a conflict is open. What is to be different afterwards is an
    amendment.
    """
    return commands.seal(office(), act(), course=course, session=session, **said)


@blueprint.command("/countersign", permission="registers:countersign", body=Countersignature)
def countersign(said: dict[str, Any], course: UUID, session: int) -> Receipt:
    """Sign a sealed version as the second pair of eyes: never whoever sealed it or approved its amendment."""
    return commands.countersign(office(), act(), course=course, session=session, **said)


@blueprint.command("/amendments", permission="registers:amend", body=Amendment, creates=True)
def request_amendment(said: dict[str, Any], course: UUID, session: int) -> Receipt:
    """Ask for another mark in the sealed register. `ids` holds the amendment's number."""
    return commands.request_amendment(office(), act(), course=course, session=session, registrar=_registrar(), **said)


@blueprint.command("/amendments/<int(min=1,max=100000):amendment>/approve", permission="registers:amend")
def approve_amendment(said: dict[str, Any], course: UUID, session: int, amendment: int) -> Receipt:
    """Make a new sealed version in which the requested mark stands. `ids` holds its number.

    Never whoever requested it, unless the institution works solo for amendments. That somebody becomes present takes
    the lead who sealed the register, as one of the two.
    """
    return commands.approve_amendment(office(), act(), course=course, session=session, number=amendment, **said)


@blueprint.command(
    "/amendments/<int(min=1,max=100000):amendment>/reject", permission="registers:amend", body=WithReason
)
def reject_amendment(said: dict[str, Any], course: UUID, session: int, amendment: int) -> Receipt:
    """Leave the sealed register as it is."""
    return commands.reject_amendment(office(), act(), course=course, session=session, number=amendment, **said)


def _unkeyed() -> Act:
    """Return the act without a key: marks are their own, and a receipt would not hold what became of each."""
    return replace(act(), key=None)


def _registrar() -> bool:
    """Whether the caller may mark as a registrar where they don't teach."""
    return Role.REGISTRAR in g.principal.roles


def _results(done: Marked) -> Response:
    said = {
        "results": [
            {"mark": each.mark, "outcome": each.outcome, "code": each.code, "message": each.message}
            for each in done.results
        ],
        "version": done.version,
        "position": done.position,
    }
    response = json_answer(said, position=done.position)
    response.headers["ETag"] = f'"{done.version}"'
    return response


def _handles(people: Iterable[Mapping[str, Any]], amendments: Iterable[Mapping[str, Any]]) -> Iterable[str | None]:
    for person in people:
        yield person["given"]
        yield person["family"]
    for amendment in amendments:
        yield amendment["note"]
        yield amendment["decision_note"]
