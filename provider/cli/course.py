"""Courses, listed and shown."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

import click

from provider.cli import console

STAGES = ("draft", "scheduled", "open", "delivered", "closed", "cancelled")
COLUMNS = ("course", "title", "body", "code", "stage", "first_day", "last_day", "lead", "seats")
SESSIONS = ("number", "local_day", "starts", "ends", "zone", "contact_minutes", "place", "state")
LEARNERS = ("enrolment", "person", "name", "standing", "marks", "completed")


@click.group("course")
def command() -> None:
    """List and show courses."""


@command.command("list")
@click.option("--stage", type=click.Choice(STAGES), help="Only those that have come so far.")
@console.as_json
def listed(stage: str | None, as_json: bool) -> None:
    """List the courses, in the order in which they were drafted."""
    from projections import courses, roster

    with console.opened() as office, office.views.reading() as read:
        rows: list[dict[str, Any]] = []
        while page := courses.listing(read, after=rows[-1]["drafted"] if rows else None, limit=200, stage=stage):
            rows += page[:200]
            if len(page) <= 200:
                break
        for row in rows:
            row["seats"] = f"{len(roster.learners(read, row['course']))} of {_capacity(row['capacity'])}"
        names = console.names(office, read, [row["lead"] for row in rows])
    if not as_json:
        for row in rows:
            row["lead"] = names.get(row["lead"])
    console.listing(rows, COLUMNS, as_json=as_json)


@command.command("show")
@click.argument("course", type=click.UUID)
@console.as_json
def show(course: UUID, as_json: bool) -> None:
    """Show the course with the id COURSE: its sessions, and those who have a seat, with their marks."""
    from projections import courses, roster
    from provider.log import NotFound

    with console.opened() as office, office.views.reading() as read:
        found = courses.course(read, course)
        if found is None:
            raise NotFound(f"There is no course {course}. `provider course list` shows those there are.")
        learners = roster.learners(read, course)
        trainers = [found["lead"], *found["co_trainers"]]
        names = console.names(office, read, [*trainers, *(learner["person"] for learner in learners)])
    for learner in learners:
        learner["name"] = names.get(learner["person"])
    if as_json:
        console.document({**found, "learners": learners})
        return
    for name, value in (
        ("course", course),
        ("title", found["title"]),
        ("credential", f"{found['body']} {found['code']} ({found['policy_version']})"),
        ("stage", found["stage"]),
        ("days", f"{found['first_day']} to {found['last_day']}" if found["first_day"] else "none yet"),
        ("minutes", f"{found['contact_minutes']} with a trainer, {found['scheduled_minutes']} in all"),
        ("trainers", ", ".join(filter(None, map(names.get, trainers))) or "none yet"),
        ("seats", f"{len(learners)} of {_capacity(found['capacity'])}"),
    ):
        click.echo(f"{name}\t{value}")
    click.echo()
    console.listing([{**session, "state": _state(session)} for session in found["sessions"]], SESSIONS, as_json=False)
    click.echo()
    console.listing([{**each, "marks": _marks(each["marks"])} for each in learners], LEARNERS, as_json=False)


def _capacity(said: Any) -> str:
    if said is None:
        return "none yet"
    return "unlimited" if said["unlimited"] else str(said["limit"])


def _state(session: dict[str, Any]) -> str:
    if session["cancelled"]:
        return "cancelled"
    return "held" if session["held"] else "planned"


def _marks(marks: dict[str, dict[str, Any]]) -> list[str]:
    """Return how often each status was marked, as words."""
    return [f"{count} {status}" for status, count in Counter(mark["status"] for mark in marks.values()).items()]
