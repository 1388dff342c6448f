"""The file for a body: its template, its rows, and what is wrong with a row before it is written."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.person import Names
from domain.private import Private
from domain.refusal import Invalid


class UnknownTemplate(Invalid):
    """There is no template of that version."""


class TemplateUnsound(Invalid):
    """A file couldn't be written by this template."""


class Unwritable(Invalid):
    """A row lacks a value, or has one that the template's encoding has no character for."""


# Templates, and the file that is made by them


class Value(StrEnum):
    """What a column of a template is filled with."""

    GIVEN = "given"
    FAMILY = "family"
    EMAIL = "email"
    FIXED = "fixed"


class Script(StrEnum):
    """What a body can read in a name."""

    ANY = "any"
    LATIN = "latin"


@dataclass(frozen=True)
class Column:
    """A column by its header as the body spells it; `fixed` is the text where that is the source.

    What is fixed is the body's own language, such as the + of an attendance column, and therefore
    no formula that a person smuggled in.
    """

    header: str
    source: Value
    fixed: str = ""


@dataclass(frozen=True)
class SubmissionTemplate:
    """How a body wants its file; a version never changes, so that old files can be made again.

    `encoding` is one that Python knows; `script` says which names the body reads; `unconfirmed`
    marks a layout that no official text was found for.

    :raises TemplateUnsound: no file could be written like this.
    """

    version: str
    columns: tuple[Column, ...]
    encoding: str = "utf-8"
    newline: str = "\r\n"
    delimiter: str = ","
    script: Script = Script.ANY
    unconfirmed: bool = False

    def __post_init__(self) -> None:
        headers = [column.header for column in self.columns]
        if not headers or len(set(headers)) < len(headers):
            raise TemplateUnsound("A template has one column or more, each with its own header.")
        if self.newline not in ("\r\n", "\n", "\r"):
            raise TemplateUnsound("A line ends with CR LF, LF or CR.")
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            raise TemplateUnsound("The delimiter is one character, and no quote or line end.")
        try:
            codecs.lookup(self.encoding)
        except LookupError as unknown:
            raise TemplateUnsound(f"There is no encoding {self.encoding!r}.") from unknown


_NAMES_AND_EMAIL = (Column("First Name", Value.GIVEN), Column("Last Name", Value.FAMILY), Column("Email", Value.EMAIL))

SA_LOAD = SubmissionTemplate("sa-load-1", _NAMES_AND_EMAIL, script=Script.LATIN, unconfirmed=True)

TEMPLATES = {
    "sa_load": SA_LOAD,
    "scrumorg": SubmissionTemplate("scrumorg-1", _NAMES_AND_EMAIL, unconfirmed=True),
    # The header row is the body's own and must stay as it is; what it fills username and account
    # with wasn't found, nor that attendance is said by a plus.
    "safe_roster": SubmissionTemplate(
        "safe-roster-1",
        (
            Column("username", Value.EMAIL),
            Column("first name", Value.GIVEN),
            Column("last name", Value.FAMILY),
            Column("email", Value.EMAIL),
            Column("attendance", Value.FIXED, "+"),
            Column("account", Value.FIXED),
        ),
        unconfirmed=True,
    ),
    "voucher": SubmissionTemplate("voucher-1", _NAMES_AND_EMAIL, unconfirmed=True),
    "custom": SubmissionTemplate("custom-1", _NAMES_AND_EMAIL, unconfirmed=True),
}
"""The template in use for each submission profile; the profile "none" has no file."""

_BY_VERSION = {template.version: template for template in TEMPLATES.values()}


def template_named(version: str) -> SubmissionTemplate:
    """Return the template that a file was or will be made by.

    :raises UnknownTemplate: there never was one of that version.
    """
    try:
        return _BY_VERSION[version]
    except KeyError as unknown:
        raise UnknownTemplate(
            f"There is no template {version!r}; there are {', '.join(sorted(_BY_VERSION))}.", field="template"
        ) from unknown


@dataclass(frozen=True)
class Row:
    """The opened values of one line, None where there is none. Never stored."""

    line: int
    given: str | None
    family: str | None
    email: str | None

    def value(self, source: Value) -> str | None:
        return {Value.GIVEN: self.given, Value.FAMILY: self.family, Value.EMAIL: self.email, Value.FIXED: ""}[source]


def render(template: SubmissionTemplate, rows: Iterable[Row]) -> bytes:
    """Return the file, in the order of the rows: the same rows give the same bytes.

    Fields are quoted as in RFC 4180, and only where they have to be. Values stand as they are, a
    leading = included: what the body gets is what a human approved.

    :raises Unwritable: a value is missing or has characters that the encoding lacks.
    """
    records = [[column.header for column in template.columns]]
    records += [[_cell(template, column, row) for column in template.columns] for row in rows]
    text = "".join(
        template.delimiter.join(_quoted(cell, template.delimiter) for cell in record) + template.newline
        for record in records
    )
    return text.encode(template.encoding)


def _cell(template: SubmissionTemplate, column: Column, row: Row) -> str:
    value = column.fixed if column.source is Value.FIXED else row.value(column.source)
    if value is None:
        raise Unwritable(f"Line {row.line} has no value for {column.header}.")
    if not _encodes(value, template.encoding):
        raise Unwritable(f"{column.header} of line {row.line} has characters that {template.encoding} lacks.")
    return value


def _quoted(cell: str, delimiter: str) -> str:
    if any(special in cell for special in (delimiter, '"', "\r", "\n")):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _encodes(value: str, encoding: str) -> bool:
    try:
        value.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


# Checks of what a person is called, on opened values


class ProblemCode(StrEnum):
    """What may be wrong with a row.

    All block the line, since the body would reject it or take it for another person, except a
    leading formula character: that is right in a rare name or address, so a human looks at it.
    """

    MISSING_GIVEN = "missing_given"
    MISSING_FAMILY = "missing_family"
    MISSING_EMAIL = "missing_email"
    EMAIL_SHARED = "email_shared"
    EMAIL_INVALID = "email_invalid"
    EMAIL_DUPLICATE_IN_PART = "email_duplicate_in_part"
    CONTROL_CHARACTERS = "control_characters"
    LEADING_FORMULA_CHARACTER = "leading_formula_character"
    SURROUNDING_SPACE = "surrounding_space"
    NOT_IN_CHARSET = "not_in_charset"

    @property
    def blocking(self) -> bool:
        return self is not ProblemCode.LEADING_FORMULA_CHARACTER


MESSAGES = {
    ProblemCode.MISSING_GIVEN: "There is no given name. Ask the person, correct their names, and remake the line.",
    ProblemCode.MISSING_FAMILY: "There is no family name. Ask the person, correct their names, and remake the line.",
    ProblemCode.MISSING_EMAIL: (
        "There is no e-mail by which the body could know the person. Ask which one they use with it, record that, and "
        "remake the line."
    ),
    ProblemCode.EMAIL_SHARED: (
        "Nobody said by which e-mail the body knows the person, and the contact e-mail isn't taken for it, since "
        "somebody else on record uses that too."
    ),
    ProblemCode.EMAIL_INVALID: "This is no e-mail address. Correct it, and remake the line.",
    ProblemCode.EMAIL_DUPLICATE_IN_PART: (
        "Another line has the same e-mail, so that the body would take both for one person. Ask for one of their own."
    ),
    ProblemCode.CONTROL_CHARACTERS: "It holds characters that can't be seen. Type it again, and remake the line.",
    ProblemCode.LEADING_FORMULA_CHARACTER: "It begins as a formula does. If it is right like this, go on.",
    ProblemCode.SURROUNDING_SPACE: "There is space before or behind it. Take it away, and remake the line.",
    ProblemCode.NOT_IN_CHARSET: "The body can't read these letters. Record the Latin form, and remake the line.",
}
"""What is wrong, and what to do about it, in words for a registrar."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with one field (given, family or email) of a row."""

    code: ProblemCode
    field: str

    @property
    def blocking(self) -> bool:
        return self.code.blocking


@dataclass(frozen=True)
class LineProblem:
    """A problem of a line, as events keep it: without the value."""

    line: int
    code: ProblemCode
    field: str
    blocking: bool


_FORMULA = tuple("=+-@\t\r")
_UNSEEN = {"Cc", "Cs", "Zl", "Zp"}
# Letters joined by the invisible U+200C and U+200D are ordinary in some scripts; these are not.
_OVERRIDES = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(
    rf"(?=.{{1,64}}@){_ATOM}(?:\.{_ATOM})*@"
    rf"(?:{_LABEL}\.)+[A-Za-z](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])"
)
_LONGEST_EMAIL = 254


def email_key(email: str) -> str:
    """Return what two addresses have in common that are the same account to a body."""
    return email.strip().casefold()


def check_row(
    given: str | None,
    family: str | None,
    email: str | None,
    *,
    template: SubmissionTemplate = SA_LOAD,
    other_emails: Collection[str] = (),
) -> tuple[Problem, ...]:
    """Return what is wrong with a row, by field; nothing is repaired.

    `other_emails` are the addresses of the part's other rows, as `email_key` gives them.
    """
    problems = [
        *_check_text("given", given, ProblemCode.MISSING_GIVEN, template),
        *_check_text("family", family, ProblemCode.MISSING_FAMILY, template),
        *_check_text("email", email, ProblemCode.MISSING_EMAIL, template),
    ]
    if email and email.strip():
        address = email.strip()
        if len(address) > _LONGEST_EMAIL or not _EMAIL.fullmatch(address):
            problems.append(Problem(ProblemCode.EMAIL_INVALID, "email"))
        if email_key(email) in other_emails:
            problems.append(Problem(ProblemCode.EMAIL_DUPLICATE_IN_PART, "email"))
    return tuple(problems)


def check_rows(template: SubmissionTemplate, rows: Sequence[Row]) -> tuple[LineProblem, ...]:
    """Return what is wrong with the rows of one part, each against all the others."""
    keys = [email_key(row.email or "") for row in rows]
    shared = {key for key in keys if key and keys.count(key) > 1}
    return tuple(
        LineProblem(row.line, problem.code, problem.field, problem.blocking)
        for row in rows
        for problem in check_row(row.given, row.family, row.email, template=template, other_emails=shared)
    )


def _check_text(name: str, value: str | None, missing: ProblemCode, template: SubmissionTemplate) -> Iterable[Problem]:
    if value is None or not value.strip():
        yield Problem(missing, name)
        return
    if any(unicodedata.category(c) in _UNSEEN or c in _OVERRIDES for c in value):
        yield Problem(ProblemCode.CONTROL_CHARACTERS, name)
    if value.startswith(_FORMULA):
        yield Problem(ProblemCode.LEADING_FORMULA_CHARACTER, name)
    if value != value.strip():
        yield Problem(ProblemCode.SURROUNDING_SPACE, name)
    latin = template.script is Script.ANY or all(map(_reads_as_latin, value))
    if not latin or not _encodes(value, template.encoding):
        yield Problem(ProblemCode.NOT_IN_CHARSET, name)


def _reads_as_latin(character: str) -> bool:
    """Tell whether the character is no letter, or one of the Latin script."""
    if not unicodedata.category(character).startswith("L"):
        return True
    # The Hawaiian okina, for one, is a letter of its own kind within Latin names.
    return unicodedata.name(character, "").startswith(("LATIN ", "MODIFIER LETTER "))


def names_for_body(names: Names) -> tuple[Private | None, Private | None]:
    """Return the given and the family name for a body: in Latin letters where they are given."""
    return names.latin_given or names.given, names.latin_family or names.family
