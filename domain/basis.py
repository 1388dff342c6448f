"""What a decision or a document rests on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from domain.refusal import Refused


class Aspect(StrEnum):
    """The side of a stream that a document depends on; other changes of the stream leave the document alone."""

    NAMES = "names"
    BODY_EMAIL = "body_email"
    SCHEDULE = "schedule"
    REGISTER = "register"
    PARTICIPATION = "participation"
    MAKE_UP = "make_up"
    DECISION = "decision"
    LEARNER = "learner"


@dataclass(frozen=True)
class Basis:
    """One aspect of one stream, as of the version of the last event that set it.

    Events refer to events by stream and version, never by position. When a later event sets the same aspect, the
    document that rests on this basis is at odds with the record: a discrepancy.
    """

    stream: UUID
    version: int
    aspect: Aspect


class DiscrepancyUnfounded(Refused):
    """The document doesn't rest on that, or rests on that version or a later one already."""
