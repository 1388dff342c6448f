"""Importing an attendee file: looked at first, then confirmed."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import UUID

import click

from provider.cli import console

if TYPE_CHECKING:
    from provider.attendee_plan import Plan
    from provider.commands.imports import Preview

STEPS = {
    "enrol_new": "enrolled, as new people",
    "enrol_known": "enrolled, who are on record",
    "returned": "who had left the course, and attend again",
    "waiting": "who wait in the queue, and have a ticket",
    "unchanged": "as they are already",
    "changed": "changed since an earlier export",
    "refunded": "refunded or cancelled since an earlier export",
    "left_out": "left out: refunded, cancelled or unpaid",
    "blocked": "blocked, until the file is mended",
}


@click.command("import")
@click.argument("course", type=click.UUID)
@click.argument("file", type=click.File("rb"))
@click.option("--confirm", is_flag=True, help="Do it; without this it is only said what would be done.")
@click.option(
    "--plan", "seen", metavar="DIGEST", help="Only if it still comes to what the dry run of this digest said."
)
@click.option("--answer", "answers", multiple=True, metavar="QUESTION=OPTION", help="Once for each question.")
@console.acting
@console.as_json
def command(
    course: UUID,
    file: BinaryIO,
    confirm: bool,
    seen: str | None,
    answers: tuple[str, ...],
    person: UUID | None,
    as_json: bool,
) -> None:
    """Import the attendee report of a ticket shop, FILE (- for stdin), into the course with the id COURSE.

    First it is only read: it is said how many rows there are of each kind, what is wrong with which cell, and what has
    to be decided. With --confirm all of it is done, or nothing. Importing the same file again adds nothing.

    Questions are answered by --answer, or one after the other on a terminal.
    """
    from provider.commands import imports

    given = _given(answers)
    with console.opened() as office:
        content = file.read()
        preview = imports.stage(office, course=course, content=content)
        digest = _digest(preview, content)
        try:
            if seen is not None and seen != digest:
                raise imports.PlanMoved("The file comes to something else than in that dry run. Look at it again.")
            if not confirm:
                if as_json:
                    console.document(_document(preview, digest))
                else:
                    _print(preview, digest)
                return
            if sys.stdin.isatty() and file.name != "-":
                given = _asked(preview.plan, given)
            receipt = imports.confirm(
                office,
                console.act(office, person),
                course=course,
                staged=preview.staged.id,
                plan=preview.plan.digest,
                answers=given,
            )
        finally:
            # The file is still where it was; nothing of it needs to wait here.
            office.desk.discard(preview.staged.id)
        if as_json:
            console.document({**_document(preview, digest), "position": receipt.position, "enrolments": receipt.ids})
        else:
            count = len(receipt.ids)
            click.echo(f"{count} enrolment{'' if count == 1 else 's'} made or changed, at position {receipt.position}.")


def _given(answers: tuple[str, ...]) -> dict[str, str]:
    given = dict(answer.partition("=")[::2] for answer in answers)
    if wrong := [question for question, option in given.items() if not option]:
        raise click.BadParameter(f"{wrong[0]!r} is no answer; say QUESTION=OPTION.", param_hint="--answer")
    return given


def _asked(plan: Plan, given: dict[str, str]) -> dict[str, str]:
    """Return the answers with those to the questions that are still open, from the person at the terminal."""
    answers = dict(given)
    for row in plan.rows:
        while question := next(iter(row.open_questions(answers)), None):
            console.note(f"Row {question.row}: {console.cell(question.text)}")
            for number, option in enumerate(question.options, 1):
                console.note(f"  {number}  {console.cell(option.label)}")
            chosen = click.prompt("Which", type=click.IntRange(1, len(question.options)), err=True)
            answers[question.id] = question.options[chosen - 1].value
    return answers


def _digest(preview: Preview, content: bytes) -> str:
    """Return what `--plan` must name: the plan's own digest, which knows no names, together with the file's."""
    return hashlib.sha256(preview.plan.digest.encode() + content).hexdigest()[:32]


def _print(preview: Preview, digest: str) -> None:
    counts = preview.plan.count()
    click.echo(f"{counts['rows']} {'row' if counts['rows'] == 1 else 'rows'}, of which")
    for step, words in STEPS.items():
        if counts[step]:
            click.echo(f"{counts[step]:>6} {words}")
    for problem in preview.problems:
        where = f"Row {problem.row}, {console.cell(problem.column)}: “{console.cell(problem.value)}”."
        click.echo(f"{where} {problem.message}{' The row is blocked.' if problem.blocking else ''}")
    for question in preview.plan.questions:
        click.echo(f"\nRow {question.row}: {console.cell(question.text)}")
        for option in question.options:
            click.echo(f"  --answer {question.id}={option.value}\n      {console.cell(option.label)}")
    console.note(f"\nNothing was done yet. Do it with --confirm, exactly this with --plan {digest}")


def _document(preview: Preview, digest: str) -> dict[str, Any]:
    return {
        "plan": digest,
        "counts": preview.plan.count(),
        "problems": [
            {name: getattr(problem, name) for name in ("row", "column", "value", "code", "message", "blocking")}
            for problem in preview.problems
        ],
        "questions": [
            {
                "id": question.id,
                "row": question.row,
                "about": question.about.value,
                "text": question.text,
                "options": [{"value": option.value, "label": option.label} for option in question.options],
            }
            for question in preview.plan.questions
        ],
    }
