"""The roster of a course: who has a seat, and how they attended."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from operator import itemgetter
from typing import Any
from uuid import UUID

import orjson
from flask import current_app, g
from marshmallow import fields
from orjson import Fragment

from api.asked import Asked
from api.blueprint import Blueprint
from api.fields import Answer
from api.here import office, reading
from api.private import opener
from projections import courses, roster
from projections.roster import ROSTER_LINE, LineVersion
from provider.log import NotFound

blueprint = Blueprint("roster", __name__, url_prefix="/v1", description=__doc__)

MOST_LINES = 20_000
MOST_ROSTERS = 500
"""Lines and rosters that a process remembers: about 20 MB, and 10 MB."""


class RosterMark(Answer):
    """The mark that stands for a learner in one session."""

    status = fields.String(required=True)
    late = fields.Integer(required=True, metadata={"description": "Minutes."})
    left = fields.Integer(required=True, metadata={"description": "Minutes that they left early."})
    signed_in = fields.String(data_key="in", required=True, allow_none=True)
    signed_out = fields.String(data_key="out", required=True, allow_none=True)
    mark = fields.String(required=True, metadata={"description": "Its id, to be named by a correction."})
    conflict = fields.Boolean(required=True, metadata={"description": "Whether authors disagree on the status."})
    by = fields.String(required=True, metadata={"description": "Who marked."})


class RosterLine(Answer):
    """A learner on the roster. What was erased reads “(erased)”; what was never said is null."""

    enrolment = fields.String(required=True)
    person = fields.String(required=True)
    given = fields.String(required=True, allow_none=True)
    family = fields.String(required=True, allow_none=True)
    certificate_name = fields.String(required=True, allow_none=True)
    standing = fields.String(required=True, metadata={"description": "`confirmed` or `no_show`."})
    source = fields.String(required=True, metadata={"description": "By which way they came, such as `walk_in`."})
    order_reference = fields.String(required=True, allow_none=True)
    walk_in = fields.Integer(
        required=True, allow_none=True, metadata={"description": "The session to which they came without a seat."}
    )
    walk_in_confirmed = fields.Boolean(required=True, allow_none=True)
    override = fields.String(
        required=True, allow_none=True, metadata={"description": "Why they have a seat beyond the capacity, as a code."}
    )
    substitutes = fields.String(
        required=True, allow_none=True, metadata={"description": "The enrolment whose seat this was."}
    )
    participation = fields.Boolean(required=True, allow_none=True, metadata={"description": "The lead's word."})
    completed = fields.Boolean(required=True, allow_none=True, metadata={"description": "The lead's decision."})
    marks = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(RosterMark),
        required=True,
        metadata={"description": "By the session's number. Who has no mark is neither absent nor present."},
    )


class RosterAnswer(Answer):
    """The learners who have a seat, by family name."""

    course = fields.String(required=True)
    items = fields.List(fields.Nested(RosterLine), required=True)


@blueprint.query("/courses/<uuid:course>/roster", permission="roster:read", answer=RosterAnswer, table=True)
def show_roster(asked: Asked, course: UUID) -> dict[str, Any]:
    """Show the learners who have a seat on a course, and how they attended each session.

    Walk-ins and substitutes are among them, and no-shows. Who waits in the queue is in the list of enrolments.
    """
    if g.form == "text/csv":
        shown = sorted((name, line) for _, name, line in _shown(course, asked.at))
        _must_be_a_course(shown, course, asked.at)
        return {"course": str(course), "items": [line for _, line in shown]}
    return {"course": str(course), "items": Fragment(_known().items(course, asked))}


def _must_be_a_course(found: Sized, course: UUID, at: int | None) -> None:
    if not found and courses.course(reading(), course, at) is None:
        raise NotFound("There is no such course here.")


Name = tuple[str, str, str]
"""What lines are sorted by: family name, given name, enrolment."""


class Known:
    """Rosters as JSON, and their lines, until somebody is erased: by whichever process, that ends all that is known.

    A roster stays the same for as long as nothing is recorded. When something is, mostly one or two learners were
    marked; the lines of all others, each known by the versions of the rows that it was made of, are as they were.
    """

    def __init__(self, erasures: int) -> None:
        self.erasures = erasures
        self.rosters: dict[tuple[UUID, int], bytes] = {}
        self.lines: dict[LineVersion, tuple[Name, bytes]] = {}

    @property
    def full(self) -> bool:
        """Whether it holds as much as it should; whoever asks next begins anew."""
        return len(self.lines) > MOST_LINES or len(self.rosters) > MOST_ROSTERS

    def items(self, course: UUID, asked: Asked) -> bytes:
        """Return the lines of a roster, by family name, as a JSON list.

        :raises NotFound: there is no such course.
        """
        key = (course, asked.position if asked.at is None else asked.at)
        found = self.rosters.get(key)
        if found is None:
            versions = roster.line_versions(reading(), course, asked.at)
            _must_be_a_course(versions, course, asked.at)
            lines = sorted(self._lines(versions, course, asked.at), key=itemgetter(0))
            found = self.rosters[key] = b"[" + b",".join([line for _, line in lines]) + b"]"
        return found

    def _lines(self, versions: Sequence[LineVersion], course: UUID, at: int | None) -> list[tuple[Name, bytes]]:
        """Return the lines of these versions, in no order."""
        if any(version not in self.lines for version in versions):
            for version, name, line in _shown(course, at):
                self.lines[version] = name, orjson.dumps(line)
        return [self.lines[version] for version in versions]


def _known() -> Known:
    """Return what this process knows of rosters. Another thread may begin anew meanwhile; this one goes on with its
    own, which was read before the erasure that the other has seen."""
    extensions = current_app.extensions
    erasures = office().keys.erasures()
    known: Known | None = extensions.get("rosters")
    if known is None or known.erasures != erasures or known.full:
        known = extensions["rosters"] = Known(erasures)
    return known


def _shown(course: UUID, at: int | None) -> list[tuple[LineVersion, Name, dict[str, Any]]]:
    """Return the lines with their names opened, in no order."""
    rows = roster.lines(reading(), course, at)
    show = opener([handle for row in rows for handle in row[NAMES_BEGIN:]])
    return [_line(row, show) for row in rows]


NAMES_BEGIN = len(ROSTER_LINE) - 3
VERSION_ENDS = 3


def _line(row: tuple[Any, ...], show: Callable[[str | None], str | None]) -> tuple[LineVersion, Name, dict[str, Any]]:
    line = dict(zip(ROSTER_LINE[VERSION_ENDS:], row[VERSION_ENDS:], strict=True))
    enrolment = row[0]
    for part in ROSTER_LINE[NAMES_BEGIN:]:
        line[part] = show(line[part])
    family = line["family"] or line["certificate_name"] or line["given"] or ""
    name = (family.casefold(), (line["given"] or "").casefold(), enrolment)
    version: LineVersion = (enrolment, row[1], row[2])
    return version, name, {"enrolment": enrolment, **line, "marks": Fragment(line["marks"])}
