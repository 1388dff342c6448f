"""The history, as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from provider.cli import console

if TYPE_CHECKING:
    from provider.office import Office

PAGE = 500


@click.command("history")
@click.option("--subject", type=click.UUID, metavar="ID", help="Only what is about, or names, this thing or person.")
@click.option("--course", type=click.UUID, metavar="ID", help="Only what belongs to this course.")
@click.option("--kind", metavar="KIND", help="Only one kind (enrolment.withdrawn), or those of a noun (enrolment).")
@click.option("--from", "position_from", type=click.IntRange(0), metavar="POS", help="Begin at this position.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Stop after so many.")
@console.as_json
def command(
    subject: UUID | None,
    course: UUID | None,
    kind: str | None,
    position_from: int | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Tell what happened, an event a line, in the order in which it was recorded.

    A line has the position, when it happened (UTC), and a sentence. Whose name was erased is not named any more.
    """
    with console.opened() as office:
        told = _told(
            office, limit, {"subject": subject, "course": course, "kind": kind, "position_from": position_from}
        )
        if as_json:
            console.document(list(told))
            return
        for each in told:
            click.echo(f"{each['position']:>7}  {each['at'][:16].replace('T', ' ')}  {console.cell(each['sentence'])}")


def _told(office: Office, limit: int | None, wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the entries that are wanted with their sentences, a page at a time, so that the first come at once."""
    from projections import history
    from provider.history import tell

    after, left = None, limit
    while left is None or left > 0:
        with office.views.reading() as read:
            size = PAGE if left is None else min(left, PAGE)
            found = history.listing(read, **wanted, after=after, limit=size)
            page = found[:size]
            told = tell(office, read, [row["position"] for row in page])
        for row in page:
            said = told[row["position"]]
            yield {**row, "sentence": said.sentence, "note": said.note}
        if len(found) <= size:
            return
        after, left = page[-1]["position"], None if left is None else left - size
