"""What is asked before a discrepancy is resolved, of a certificate or of a line."""

from __future__ import annotations

from uuid import UUID

from domain.basis import Aspect, DiscrepancyUnfounded
from domain.refusal import Refused
from projections import discrepancies
from provider.work import Work


class MovedFurther(Refused):
    """What a document rests on has moved again since somebody looked at it."""


def must_be_looked_at(work: Work, document: UUID, *, stream: UUID, aspect: Aspect, version: int, line: int = 0) -> None:
    """Refuse to resolve what is not at odds, or has moved beyond the version that somebody looked at.

    :raises DiscrepancyUnfounded: nothing of that is open.
    :raises MovedFurther: the record has moved beyond that version.
    """
    work.office.views.catch_up()
    found = discrepancies.open_one(work.read, document, stream, aspect, line=line)
    if found is None:
        raise DiscrepancyUnfounded(
            f"Nothing that the document says of the {aspect.replace('_', ' ')} is at odds with the record.",
            field="stream",
        )
    if found["version"] != version:
        raise MovedFurther(
            f"What the document rests on stands at version {found['version']}, and you looked at version {version}. "
            "Look at what it says now, then decide.",
            field="version",
        )
