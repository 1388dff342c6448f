"""The attendee report of a ticket shop (Eventbrite's CSV), read into rows and problems.

Bytes in, values out: no database, no web, no clock. What can't be read at all is refused by name; what a person has to
look at is a `Problem` with its row and column. Nothing is split, joined or guessed: a name is what its cell says.

Personal values are in the rows and in `Problem.value`, and nowhere else: not in a refusal, a message or a `repr`.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from itertools import islice

from domain.refusal import Invalid

MAX_BYTES = 10 * 1024 * 1024
MAX_ROWS = 20_000
MAX_COLUMNS = 500
MAX_NAME = 200
MAX_TEXT = 4_000
MAX_ANSWER_PROBLEMS = 5
"""Of one row. Without a bound a small hostile file makes millions of problems."""


class UnreadableFile(Invalid):
    """Not one row can be read from this file; a subclass says why, and what to do."""


class FileTooLarge(UnreadableFile):
    """More bytes, rows or columns than any attendee report has."""


class EmptyFile(UnreadableFile):
    """The file has no text in it."""


class NotCsv(UnreadableFile):
    """A workbook, a document or a web page was given instead of a CSV file."""


class NotTextFile(UnreadableFile):
    """The file is no text, or text whose encoding it doesn't tell."""


class BrokenQuotes(UnreadableFile):
    """A quotation mark opens a cell and none closes it, so the rows can't be told apart."""


class Status(StrEnum):
    """What the ticket shop says of an attendee."""

    ATTENDING = "attending"
    CHECKED_IN = "checked_in"
    UNPAID = "unpaid"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"
    TRANSFERRED = "transferred"
    DELETED = "deleted"
    UNKNOWN = "unknown"


SEATED = frozenset((Status.ATTENDING, Status.CHECKED_IN))


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that a person should look at, and where.

    `row` counts as a spreadsheet does (the header is 1, a quoted newline makes no new row), `column` is the header's
    text, `value` the cell's, cut to 200 characters and with invisible characters written out. A `blocking` one keeps
    its row (of the header: the whole file) from being imported; the others are asked or noted.
    """

    row: int
    column: str
    value: str = field(repr=False)
    code: str
    message: str
    blocking: bool


@dataclass(frozen=True, slots=True)
class AttendeeRow:
    """One attendee, as the ticket shop's file says it. What a cell doesn't say, or may not say, is empty.

    `answers` are pairs of question and answer from the organiser's own columns, without the empty ones.
    """

    row: int
    order: str
    attendee: str
    ordered_on: date | None
    given: str = field(repr=False)
    family: str = field(repr=False)
    email: str = field(repr=False)
    quantity: int
    ticket_type: str
    status: Status
    paid: Decimal | None
    currency: str
    job_title: str = field(repr=False)
    company: str = field(repr=False)
    answers: tuple[tuple[str, str], ...] = field(repr=False)

    @property
    def key(self) -> tuple[str, str]:
        """Return the order's and the attendee's number, which stay the same from export to export."""
        return self.order, self.attendee

    @property
    def folded_email(self) -> str:
        """Return the e-mail for comparison only; what is stored is `email`, as it was given."""
        return fold_email(self.email)

    @property
    def folded_name(self) -> str:
        """Return both names for comparison only, without regard to case, width and spaces."""
        return fold_name(self.given, self.family)

    @property
    def attends(self) -> bool:
        """Whether this row stands for a seat: neither refunded, cancelled nor still unpaid."""
        return self.status in SEATED


@dataclass(frozen=True, slots=True)
class AttendeeFile:
    """What an attendee report says, and what is wrong with it.

    `columns` is the header as written, `unknown_columns` those that are no part of the report itself: the organiser's
    questions. `shared_emails` are folded e-mails that stand by two different names; nobody's account with a body may
    be opened under one.
    """

    rows: tuple[AttendeeRow, ...]
    problems: tuple[Problem, ...]
    columns: tuple[str, ...] = field(repr=False)
    unknown_columns: tuple[str, ...] = field(repr=False)
    encoding: str
    delimiter: str
    shared_emails: frozenset[str] = field(repr=False)

    @property
    def blocked(self) -> frozenset[int]:
        """Return the numbers of the rows that a person has to settle first."""
        return frozenset(problem.row for problem in self.problems if problem.blocking)

    @property
    def accepted(self) -> tuple[AttendeeRow, ...]:
        """Return the rows that nothing blocks, whatever their status."""
        blocked = self.blocked
        return tuple(row for row in self.rows if row.row not in blocked)


@dataclass(frozen=True, slots=True)
class Table:
    """The texts of a CSV file, before anybody asks what they mean.

    `records` are pairs of row number and cells; rows without any text are left out, and still counted.
    """

    header_row: int
    header: tuple[str, ...] = field(repr=False)
    records: tuple[tuple[int, tuple[str, ...]], ...] = field(repr=False)
    encoding: str
    delimiter: str
    damaged: bool


def fold_email(email: str) -> str:
    """Return an e-mail as it is compared."""
    return unicodedata.normalize("NFC", email).strip().casefold()


def fold_name(given: str, family: str) -> str:
    """Return a name as it is compared: two that fold alike are asked about, never taken for one person."""
    return " ".join(unicodedata.normalize("NFKC", f"{given} {family}").casefold().split())


def read(data: bytes) -> AttendeeFile:
    """Read an attendee report. Raises a subclass of `UnreadableFile` where not one row can be read."""
    return _Reading(table(data)).result()


def table(data: bytes) -> Table:
    """Read the texts of a CSV file, in whatever of the usual encodings and with whatever delimiter.

    Raises a subclass of `UnreadableFile`.
    """
    if len(data) > MAX_BYTES:
        raise FileTooLarge(
            "This file is larger than 10 MB. An attendee report of one course is much smaller: "
            "please export the report of this course alone."
        )
    _refuse_other_formats(data)
    text, encoding, damaged = _decode(data)
    if not text.strip():
        raise EmptyFile("This file is empty. Please export the attendee report again.")
    named = SEPARATOR_LINE.match(text)
    if named is not None:
        # Excel writes this line for itself and doesn't show it, so it isn't counted either.
        text = text[named.end() :]
    delimiter = named["delimiter"] if named is not None else _delimiter(text.lstrip("\r\n"))
    header_row, header = 1, tuple[str, ...]()
    records: list[tuple[int, tuple[str, ...]]] = []
    for number, cells in _records(text, delimiter):
        if number > 10 * MAX_ROWS:
            raise FileTooLarge("This file consists almost only of empty rows. Please export it again.")
        if not any(cell.strip() for cell in cells):
            continue
        if not header:
            header_row, header = number, cells
            if len(header) > MAX_COLUMNS:
                raise FileTooLarge(f"This file has more than {MAX_COLUMNS} columns, which no attendee report has.")
            continue
        records.append((number, cells))
        if len(records) > MAX_ROWS:
            raise FileTooLarge(
                f"This file has more than {MAX_ROWS:,} rows. Please export the report of this course alone."
            )
    if not header:
        raise EmptyFile("This file has rows but no text. Please export the attendee report again.")
    return Table(header_row, header, tuple(records), encoding, delimiter, damaged)


# The file as bytes and as texts.

SEPARATOR_LINE = re.compile(r'"?sep=(?P<delimiter>[,;\t])"?(?:\r\n|\r|\n)', re.IGNORECASE)
DELIMITERS = (",", ";", "\t")
BEGINNINGS = (
    (b"PK\x03\x04", "an Excel workbook or another zipped file"),
    (b"PK\x05\x06", "a zipped file"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"%pdf", "a PDF document"),
    (b"{\\rtf", "a text document"),
    (b"\x1f\x8b", "a compressed file"),
    (b"<!doctype", "a web page"),
    (b"<html", "a web page"),
    (b"<head", "a web page"),
    (b"<body", "a web page"),
    (b"<table", "a web page"),
    (b"<?xml", "an XML document"),
)


def _refuse_other_formats(data: bytes) -> None:
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    # A web page saved as Unicode has a NUL beside every letter.
    beginning = data[:256].replace(b"\0", b"")[2:] if wide else data[:256]
    beginning = beginning.removeprefix(codecs.BOM_UTF8).lstrip().lower()
    for signature, kind in BEGINNINGS:
        if beginning.startswith(signature.lower()):
            raise NotCsv(
                f"This is {kind}, not a CSV file, even if its name says so. Please export the "
                "attendee report as CSV and upload that."
            )
    if not wide and b"\0" in data[:16]:
        raise NotTextFile(
            "This is not a text file, or one in an encoding that it doesn't name. Please export "
            "the attendee report as CSV (UTF-8)."
        )


def _decode(data: bytes) -> tuple[str, str, bool]:
    """Return the text, the encoding, and whether letters were lost on the way."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16", "surrogatepass"), "utf-16", False
        except UnicodeDecodeError:
            return data.decode("utf-16", "replace"), "utf-16", True
    marked = data.startswith(codecs.BOM_UTF8)
    encoding = "utf-8-sig" if marked else "utf-8"
    try:
        # Half a pair is let through here, so that its one cell can be refused, not the whole file.
        return data.decode(encoding, "surrogatepass"), encoding, False
    except UnicodeDecodeError:
        text = data.decode(encoding, "replace")
    lost = text.count(LOST)
    kept = sum(1 for letter in text if letter > "\x7f" and letter != LOST)
    if marked or kept > lost:
        # UTF-8 with a wound (cut off within a letter, say): as Windows-1252 every accent would go wrong.
        return text, encoding, True
    return data.decode("cp1252", "replace"), "cp1252", False


def _records(text: str, delimiter: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Give each record with the number under which a spreadsheet shows it."""
    # Strict, because a stray quotation mark would otherwise swallow the attendees after it in silence.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 0
    try:
        for number, cells in enumerate(reader, start=1):
            yield number, tuple(cells)
    except csv.Error:
        raise BrokenQuotes(
            f'In row {number + 1} a quotation mark (") opens a cell and is not closed properly, or '
            "the cell is longer than any answer. Please export the report again, or correct that "
            "row in a text editor."
        ) from None


def _delimiter(text: str) -> str:
    """Return the delimiter that makes most sense of the header: most known columns, then most columns."""

    def sense(delimiter: str) -> tuple[int, int]:
        try:
            for _, cells in _records(text, delimiter):
                if any(cell.strip() for cell in cells):
                    known = sum(_plain(cell) in FIELDS for cell in cells[:MAX_COLUMNS])
                    return known, len(cells)
        except BrokenQuotes:
            return -1, 0
        return 0, len(text)  # nothing but delimiters

    return max(DELIMITERS, key=sense)


# What the columns are called. Eventbrite names some of them differently in Britain.

COLUMNS = {
    "order": ("Order #", "Order no.", "Order number", "Order ID"),
    "attendee": ("Attendee #", "Attendee no.", "Attendee number", "Attendee ID"),
    "given": ("First Name", "Given Name", "Forename"),
    "family": ("Last Name", "Surname", "Family Name"),
    "email": ("Email", "Email Address", "Attendee Email"),
    "ordered_on": ("Order Date",),
    "quantity": ("Quantity",),
    "ticket_type": ("Ticket Type",),
    "status": ("Attendee Status",),
    "paid": ("Total Paid",),
    "currency": ("Currency",),
    "job_title": ("Job Title",),
    "company": ("Company",),
}
REQUIRED = ("order", "attendee", "given", "family", "email")
DECISIVE = (*REQUIRED, "status", "quantity")

NOT_KEPT = (
    *("Price Tier", "Group", "Order Type", "Fees Paid", "Eventbrite Fees", "Barcode #"),
    *("Eventbrite Payment Processing", "Event Name", "Event ID", "Event Start Date", "Gender"),
    *("Event Start Time", "Event End Date", "Event End Time", "Age", "Birth Date", "Tax Paid"),
    *(
        f"{kind} {part}"
        for kind in ("Home", "Billing", "Shipping", "Work")
        for part in (
            *("Address 1", "Address 2", "Address", "City", "State", "Zip"),
            *("Postcode", "Country", "County", "Phone"),
        )
    ),
)
"""Columns of the report that running a course doesn't need: what isn't kept can't leak."""


def _plain(column: str) -> str:
    """Return a column's name without case, spaces and punctuation, but for the number sign."""
    folded = unicodedata.normalize("NFKC", column).casefold()
    return "".join(letter for letter in folded if letter.isalnum() or letter == "#")


FIELDS = {_plain(name): name_of for name_of, names in COLUMNS.items() for name in names}
IGNORED = frozenset(_plain(name) for name in NOT_KEPT)

STATUSES = {
    "attending": Status.ATTENDING,
    "checkedin": Status.CHECKED_IN,
    "unpaid": Status.UNPAID,
    "pending": Status.UNPAID,
    "refunded": Status.REFUNDED,
    "refundedcanceled": Status.REFUNDED,
    "refundedcancelled": Status.REFUNDED,
    "canceled": Status.CANCELLED,
    "cancelled": Status.CANCELLED,
    "notattending": Status.CANCELLED,
    "transferred": Status.TRANSFERRED,
    "deleted": Status.DELETED,
}
TOTALS = frozenset(("total", "totals", "grandtotal", "sum", "summe", "gesamt"))
PLACEHOLDER = "inforequested"
"""What the ticket shop writes into names and e-mail as long as the buyer hasn't said who comes."""

# What a cell may not hold. Right-to-left text is fine; to override its direction is not.

LOST = "\ufffd"
OVERRIDES = "\u202a-\u202e\u2066-\u2069"
SURROGATES = "\ud800-\udfff"
REFUSED_IN_TEXT = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{SURROGATES}{OVERRIDES}]")
REFUSED_IN_LINE = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029{SURROGATES}{OVERRIDES}]")
FORMULA = tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20")
EMAIL = re.compile(r"[^\s@,;:<>()\[\]\\\"]+@[^\s@,;:<>()\[\]\\\".]+(?:\.[^\s@,;:<>()\[\]\\\".]+)+")
KEY = re.compile(r"(?=.*[0-9])[0-9A-Za-z#][0-9A-Za-z._#-]*")
ROUNDED = re.compile(r"[0-9]+[.,][0-9]*(?:E\+?[0-9]+)?|[0-9]+E\+?[0-9]+", re.IGNORECASE)

CLOCK = (
    r"(?:[T ,]+[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?"
    r"(?: ?[ap]\.?m\.?)?(?: ?(?:Z|[A-Z]{2,5}|[+-][0-9]{2}:?[0-9]{2}))?)?"
)
YEAR_FIRST = re.compile(rf"([0-9]{{4}})-([0-9]{{1,2}})-([0-9]{{1,2}}){CLOCK}", re.IGNORECASE)
DOTTED = re.compile(rf"([0-9]{{1,2}})\.([0-9]{{1,2}})\.([0-9]{{4}}|[0-9]{{2}}){CLOCK}", re.I)
SLASHED = re.compile(rf"([0-9]{{1,2}})/([0-9]{{1,2}})/([0-9]{{4}}|[0-9]{{2}}){CLOCK}", re.I)
NAMED = re.compile(rf"([A-Z]{{3}})[a-z]*\.? ([0-9]{{1,2}}),? ([0-9]{{4}}){CLOCK}", re.I)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

CURRENCY_MARK = re.compile(r"^[A-Z]{3}(?![A-Z])|(?<![A-Z])[A-Z]{3}$|[A-Z]{0,3}[$€£¥]|[\s'\u2019\u202f]")
AMOUNT = re.compile(r"[0-9]{1,12}(?:[.,][0-9]{1,2})?")
GROUPED = re.compile(r"[0-9]{1,3}(?:(?P<mark>[.,])[0-9]{3})(?:(?P=mark)[0-9]{3})*(?P<rest>.*)")

MESSAGES = {
    # of the header
    "columns_missing": "The first row lacks the column {missing}. It has {count} columns, shown as "
    "the value. Please export the attendee report again, with its header and all of its own columns.",
    "status_column_missing": "The file has no column Attendee Status, so refunds can't be seen; "
    "every row is read as attending.",
    "column_repeated": "{count} columns have this name. Where they differ, the row says so.",
    "question_repeated": "{count} columns have this name. All of their answers are kept.",
    "encoding_guessed": "The file is not UTF-8 and doesn't name its encoding; it was read as "
    "Windows-1252. Please look at the names with accents.",
    "encoding_damaged": "Some bytes of the file are no letters in its own encoding; it may be cut "
    "off. Please export it again.",
    "no_rows": "The file has a header and no attendees.",
    "date_ambiguous": "{count} order dates could have the day or the month first, and no other date "
    "of the file tells which; they were left out.",
    # of a row
    "header_repeated": "This is the header again; left out.",
    "totals_line": "This row is a total; left out.",
    "row_repeated": "This row says the same as row {earlier} and counts once.",
    "row_too_long": "This row has {count} cells and the header {width}, so values may stand in the wrong column.",
    "row_too_short": "This row has {count} cells and the header {width}; the others were taken as empty.",
    "columns_differ": "Two columns of this name say different things here.",
    "key_missing": "This row has no number here, so it can't be recognised in the next export. "
    "Please export the report again.",
    "key_rounded": "A spreadsheet has rounded or reformatted this number. Please use the file as the "
    "ticket shop exports it, without saving it in a spreadsheet first.",
    "key_unusual": "This is no order or attendee number, which has digits, and no spaces or accents. It is kept where "
    "nothing personal may stand, so please check that the column is the right one.",
    "key_repeated": "The same order and attendee number stands in {others} with other values. "
    "Please find out which is right, and who comes.",
    "status_unknown": "Nothing is known of this status, so it isn't clear whether the person attends.",
    "unpaid": "This place is not paid yet and isn't imported. Please enrol the person by hand if "
    "they attend all the same.",
    "quantity_invalid": "This is no number of seats.",
    "quantity_of_order": "The order has {count} seats and a row for each of them; this row was taken as one seat.",
    "names_needed": "This row stands for {count} seats and names one person. Please ask for the name "
    "and e-mail of each.",
    # of a cell
    "control_character": "This cell holds a control character, or a line break where none belongs.",
    "bidi_override": "This cell holds an invisible character that turns the direction of the text around.",
    "lone_surrogate": "This cell holds half a character; something broke it on the way.",
    "too_long": "This has {count} characters; at most {limit} are possible.",
    "formula": "This begins as a formula does (= + - @ or a tab) and was not taken. Please correct it "
    "in the ticket shop; a name that doesn't exist stays empty.",
    "answers_refused": "More answers of this row can't be taken; they were left out.",
    "name_missing": "This attendee has no name yet. Please ask who comes.",
    "name_without_letters": "This name has no letters. If the person has only one name, this cell should be empty.",
    "letters_lost": "Letters of this were lost before the file came here.",
    "letters_doubtful": "Letters of this name look as if another program had read them wrongly. "
    "Please check it with the person.",
    "email_missing": "This attendee has no e-mail. Please ask for it.",
    "email_invalid": "This is no complete e-mail address and was not taken. Please ask for it.",
    "date_invalid": "This is no date of an order; it was left out.",
    "amount_invalid": "This is no amount of money; it was left out.",
    "amount_ambiguous": "This could mean thousands or a fraction; it was left out.",
    "currency_invalid": "This is no currency code of three letters; it was left out.",
    # of people beside each other
    "person_repeated": "The same name and e-mail stand in row {earlier} under another number. Was it "
    "bought twice, or is somebody else meant?",
    "name_shared": "The same name stands in {others} with another e-mail or none. Is that one person or two?",
    "email_shared": "The same e-mail stands in {others}, by another name. It is never taken as "
    "anybody's e-mail with a body; please ask each for one of their own.",
}
"""What every code says to the registrar. A value never stands in a message."""


def _shown(value: str, limit: int = 200) -> str:
    """Return a cell's text for the eyes: cut short, what is invisible written out, and encodable."""
    cut = value[:limit] + ("…" if len(value) > limit else "")
    return REFUSED_IN_LINE.sub(lambda match: f"\\u{ord(match[0]):04x}", cut)


def _rows_besides(own: int, numbers: Sequence[int]) -> str:
    """Name the other rows of a group; the first few, since thousands may share an e-mail."""
    others = list(islice((number for number in numbers if number != own), 5))
    more = len(numbers) - 1 - len(others)
    named = ", ".join(str(number) for number in others)
    return f"row{'s' if len(others) > 1 else ''} {named}" + (f" and {more} more" if more else "")


def _refused(value: str, pattern: re.Pattern[str]) -> str | None:
    """Return a code if the text holds a character that nobody's name or answer needs."""
    found = pattern.search(value)
    if found is None:
        return None
    if re.match(f"[{SURROGATES}]", found[0]):
        return "lone_surrogate"
    return "bidi_override" if re.match(f"[{OVERRIDES}]", found[0]) else "control_character"


def _looks_recoded(name: str) -> bool:
    """Whether the letters look like UTF-8 that was once read as Windows-1252 (é become Ã©)."""
    if name.isascii():
        return False
    try:
        return name.encode("cp1252").decode("utf-8") != name
    except UnicodeError:
        return False


class _Reading:
    """One file on its way from texts to rows, with the problems found so far."""

    def __init__(self, texts: Table) -> None:
        self.texts = texts
        self.problems: list[Problem] = []
        self.columns = tuple(
            _shown(" ".join(name.split())) or f"(column {number})" for number, name in enumerate(texts.header, start=1)
        )
        plain = [_plain(name) for name in texts.header]
        self.places: dict[str, list[int]] = {}
        for name, called in COLUMNS.items():
            # The report's own name for a field comes first: beside it, another is a question.
            used = next((_plain(name) for name in called if _plain(name) in plain), None)
            if used is not None:
                self.places[name] = [place for place, name in enumerate(plain) if name == used]
        known = {place for places in self.places.values() for place in places}
        self.questions = [place for place, name in enumerate(plain) if place not in known and name not in IGNORED]
        self.day_first: bool | None = None
        self.undated = 0

    def result(self) -> AttendeeFile:
        rows: tuple[AttendeeRow, ...] = ()
        if self._header():
            self._learn_the_order_of_dates()
            found = [self._row(number, cells) for number, cells in self.texts.records]
            rows = self._once([row for row in found if row is not None])
            self._ask_about_quantities(rows)
            self._ask_about_people(rows)
            if self.undated:
                column = self._column("ordered_on")
                self._note_header(column, "", "date_ambiguous", count=self.undated)
            if not found:
                self._note_header("", "", "no_rows")
        return AttendeeFile(
            rows=rows,
            problems=tuple(sorted(self.problems, key=lambda problem: problem.row)),
            columns=self.columns,
            unknown_columns=tuple(self.columns[place] for place in self.questions if self.texts.header[place].strip()),
            encoding=self.texts.encoding,
            delimiter=self.texts.delimiter,
            shared_emails=_shared_emails(rows),
        )

    def _note(
        self,
        row: int,
        column: str,
        value: str,
        code: str,
        *,
        blocking: bool = False,
        **facts: object,
    ) -> None:
        message = MESSAGES[code].format(**facts)
        shown = _shown(value, 2_000 if code == "columns_missing" else 200)
        self.problems.append(Problem(row, column, shown, code, message, blocking))

    def _note_header(self, column: str, value: str, code: str, *, count: int = 0) -> None:
        self._note(self.texts.header_row, column, value, code, count=count)

    def _column(self, name: str) -> str:
        """Return a field's column as the file writes it, or as the report does if the file has none."""
        places = self.places.get(name)
        return self.columns[places[0]] if places else COLUMNS[name][0]

    # The header.

    def _header(self) -> bool:
        """Check the header, and say whether the rows can be read under it."""
        missing = ", ".join(COLUMNS[name][0] for name in REQUIRED if name not in self.places)
        if missing:
            # What was found stands in the value: where the header is missing, it is a person.
            self._note(
                self.texts.header_row,
                missing,
                ", ".join(self.columns),
                "columns_missing",
                blocking=True,
                missing=missing,
                count=len(self.columns),
            )
            return False
        if "status" not in self.places:
            self._note_header(COLUMNS["status"][0], "", "status_column_missing")
        for places in self.places.values():
            self._note_repeated(places, "column_repeated")
        questions: dict[str, list[int]] = defaultdict(list)
        for place in self.questions:
            if self.texts.header[place].strip():
                questions[_plain(self.texts.header[place])].append(place)
        for places in questions.values():
            self._note_repeated(places, "question_repeated")
        if self.texts.encoding == "cp1252":
            self._note_header("", "", "encoding_guessed")
        if self.texts.damaged:
            self._note_header("", "", "encoding_damaged")
        return True

    def _note_repeated(self, places: list[int], code: str) -> None:
        if len(places) > 1:
            names = ", ".join(self.columns[place] for place in places)
            self._note_header(self.columns[places[0]], names, code, count=len(places))

    # One row.

    def _row(self, number: int, cells: tuple[str, ...]) -> AttendeeRow | None:
        if cells == self.texts.header:
            self._note(number, "", "", "header_repeated")
            return None
        if self._totals(cells):
            self._note(number, "", "", "totals_line")
            return None
        status = self._status(number, cells)
        holds = status in SEATED
        self._width(number, cells, holds=holds)
        order, attendee = (self._key(number, cells, name) for name in ("order", "attendee"))
        if not order or not attendee:
            return None
        given, family = self._names(number, cells, holds=holds)
        return AttendeeRow(
            row=number,
            order=order,
            attendee=attendee,
            ordered_on=self._date(number, cells),
            given=given,
            family=family,
            email=self._email(number, cells, holds=holds),
            quantity=self._quantity(number, cells, holds=holds),
            ticket_type=self._text(number, cells, "ticket_type"),
            status=status,
            paid=self._amount(number, cells),
            currency=self._currency(number, cells),
            job_title=self._text(number, cells, "job_title"),
            company=self._text(number, cells, "company"),
            answers=self._answers(number, cells),
        )

    def _width(self, number: int, cells: tuple[str, ...], *, holds: bool) -> None:
        width = len(self.texts.header)
        surplus = ", ".join(cell for cell in cells[width:] if cell.strip())
        code, blocking = "row_too_long", True
        if not surplus:
            code = "row_too_short"
            blocking = holds and any(
                name in DECISIVE and places[0] >= len(cells) for name, places in self.places.items()
            )
        if surplus or len(cells) < width:
            self._note(number, "", surplus, code, blocking=blocking, count=len(cells), width=width)

    def _totals(self, cells: tuple[str, ...]) -> bool:
        """Whether the row is a sum below the attendees, and no attendee."""

        def empty(*names: str) -> bool:
            places = (place for name in names for place in self.places[name])
            return not any(cells[place].strip() for place in places if place < len(cells))

        if not empty("attendee", "email"):
            return False
        filled = [cell for cell in cells if cell.strip()]
        return _plain(filled[0]) in TOTALS or (
            empty("order", "given", "family") and all(isinstance(_amount(cell), Decimal) for cell in filled)
        )

    def _cell(self, number: int, cells: tuple[str, ...], name: str) -> str:
        """Return the field's cell as written; where columns of the same name differ, ask."""
        values = [cells[place] for place in self.places.get(name, ()) if place < len(cells)]
        given = list(dict.fromkeys(value for value in values if value.strip()))
        if len(given) > 1:
            column = self._column(name)
            both = " / ".join(given)
            self._note(number, column, both, "columns_differ", blocking=name in DECISIVE)
        return given[0] if given else ""

    def _line(self, number: int, cells: tuple[str, ...], name: str, *, limit: int, blocking: bool) -> str | None:
        """Return a one-line cell, trimmed, or None if it may not be taken as it is (which is noted)."""
        # A tab before the text is a sign of a formula, behind it only untidy.
        value = self._cell(number, cells, name).lstrip(" \u00a0").rstrip(" \u00a0\t\r\n")
        code = "formula" if value.startswith(FORMULA) else _refused(value, REFUSED_IN_LINE)
        if code is None and len(value) > limit:
            code = "too_long"
        if code is not None:
            facts = {"count": len(value), "limit": limit}
            self._note(number, self._column(name), value, code, blocking=blocking, **facts)
            return None
        return value.strip()

    def _text(self, number: int, cells: tuple[str, ...], name: str) -> str:
        return self._free(number, self._column(name), self._cell(number, cells, name))

    def _free(self, number: int, column: str, cell: str) -> str:
        """Return text that may have lines and begin with anything; nothing if it is refused."""
        value = cell.strip()
        code = _refused(cell, REFUSED_IN_TEXT)
        if code is None and len(value) > MAX_TEXT:
            code = "too_long"
        if code is not None:
            self._note(number, column, value, code, count=len(value), limit=MAX_TEXT)
            return ""
        return value

    def _key(self, number: int, cells: tuple[str, ...], name: str) -> str | None:
        value = self._line(number, cells, name, limit=100, blocking=True)
        code = None
        if value == "":
            code = "key_missing"
        elif value is not None and ROUNDED.fullmatch(value):
            code = "key_rounded"
        elif value is not None and not KEY.fullmatch(value):
            code = "key_unusual"
        if code is not None:
            self._note(number, self._column(name), value or "", code, blocking=True)
            return None
        return value

    def _status(self, number: int, cells: tuple[str, ...]) -> Status:
        if "status" not in self.places:
            return Status.ATTENDING
        value = self._cell(number, cells, "status")
        status = STATUSES.get(_plain(value), Status.UNKNOWN)
        if status is Status.UNKNOWN:
            self._note(number, self._column("status"), value, "status_unknown", blocking=True)
        elif status is Status.UNPAID:
            self._note(number, self._column("status"), value, "unpaid")
        return status

    def _names(self, number: int, cells: tuple[str, ...], *, holds: bool) -> tuple[str, str]:
        lines = [self._line(number, cells, name, limit=MAX_NAME, blocking=holds) for name in ("given", "family")]
        if PLACEHOLDER in {_plain("".join(line or "" for line in lines))} | {_plain(line or "") for line in lines}:
            lines = ["", ""]
        given, family = (
            self._name(number, self._column(name), line or "", holds=holds)
            for name, line in zip(("given", "family"), lines, strict=True)
        )
        if holds and lines == ["", ""]:
            both = f"{self._column('given')}, {self._column('family')}"
            self._note(number, both, "", "name_missing", blocking=True)
        return given, family

    def _name(self, number: int, column: str, name: str, *, holds: bool) -> str:
        if not name:
            return ""
        if LOST in name:
            self._note(number, column, name, "letters_lost", blocking=holds)
        elif not any(letter.isalpha() for letter in name):
            self._note(number, column, name, "name_without_letters", blocking=holds)
            return ""
        elif "?" in name or _looks_recoded(name):
            self._note(number, column, name, "letters_doubtful")
        return name

    def _email(self, number: int, cells: tuple[str, ...], *, holds: bool) -> str:
        column = self._column("email")
        value = self._line(number, cells, "email", limit=254, blocking=False)
        if value is None:
            return ""
        if not value or _plain(value) == PLACEHOLDER:
            if holds:
                self._note(number, column, "", "email_missing")
            return ""
        invisible = any(unicodedata.category(letter) == "Cf" for letter in value)
        if invisible or LOST in value or not EMAIL.fullmatch(value):
            self._note(number, column, value, "email_invalid")
            return ""
        return value

    def _quantity(self, number: int, cells: tuple[str, ...], *, holds: bool) -> int:
        value = self._cell(number, cells, "quantity").strip()
        if not value:
            return 1
        digits = re.fullmatch(r"([0-9]{1,4})(?:[.,]0+)?", value)
        if digits is None or (holds and int(digits[1]) == 0):
            column = self._column("quantity")
            self._note(number, column, value, "quantity_invalid", blocking=holds)
            return 1
        return int(digits[1])

    def _amount(self, number: int, cells: tuple[str, ...]) -> Decimal | None:
        value = self._cell(number, cells, "paid").strip()
        amount = _amount(value) if value else None
        if isinstance(amount, str):
            self._note(number, self._column("paid"), value, amount)
            return None
        return amount

    def _currency(self, number: int, cells: tuple[str, ...]) -> str:
        value = self._cell(number, cells, "currency").strip()
        if value and not re.fullmatch("[A-Za-z]{3}", value):
            self._note(number, self._column("currency"), value, "currency_invalid")
            return ""
        return value.upper()

    def _answers(self, number: int, cells: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        answers = []
        before = len(self.problems)
        for place in self.questions:
            if place >= len(cells):
                break
            if len(self.problems) - before == MAX_ANSWER_PROBLEMS:
                self._note(number, self.columns[place], "", "answers_refused")
                break
            answer = self._free(number, self.columns[place], cells[place])
            if answer:
                answers.append((self.columns[place], answer))
        return tuple(answers)

    # Dates. 03/04/2026 is two days, so the file's other dates have to say which comes first.

    def _learn_the_order_of_dates(self) -> None:
        day_first = month_first = False
        for place in self.places.get("ordered_on", ())[:1]:
            for _, cells in self.texts.records:
                parts = SLASHED.fullmatch(cells[place].strip()) if place < len(cells) else None
                if parts is not None:
                    day_first = day_first or 12 < int(parts[1]) <= 31
                    month_first = month_first or 12 < int(parts[2]) <= 31
        if day_first != month_first:
            self.day_first = day_first

    def _date(self, number: int, cells: tuple[str, ...]) -> date | None:
        value = self._cell(number, cells, "ordered_on").strip()
        if not value:
            return None
        day = self._day(value)
        if day == "date_ambiguous":
            self.undated += 1
        elif isinstance(day, str):
            self._note(number, self._column("ordered_on"), value, day)
        return day if isinstance(day, date) else None

    def _day(self, value: str) -> date | str:
        """Return the day of an order, or the code that says why it can't be told."""
        if found := YEAR_FIRST.fullmatch(value):
            return _date(found[1], found[2], found[3])
        if (found := NAMED.fullmatch(value)) and found[1].lower() in MONTHS:
            return _date(found[3], MONTHS.index(found[1].lower()) + 1, found[2])
        found = DOTTED.fullmatch(value) or SLASHED.fullmatch(value)
        if found is None:
            return "date_invalid"
        first, second = int(found[1]), int(found[2])
        year = int(found[3]) + (2000 if len(found[3]) == 2 else 0)
        if found.re is DOTTED or first > 12 or (self.day_first is True and second <= 12):
            return _date(year, second, first)
        if second > 12 or first == second or self.day_first is False:
            return _date(year, first, second)
        return "date_ambiguous"

    # Rows beside each other.

    def _once(self, rows: Sequence[AttendeeRow]) -> tuple[AttendeeRow, ...]:
        """Leave out rows that only repeat another; ask about those with its key that say otherwise."""
        by_key: dict[tuple[str, str], dict[AttendeeRow, int]] = defaultdict(dict)
        repeated: dict[int, int] = {}
        for row in rows:
            first = by_key[row.key].setdefault(replace(row, row=0), row.row)
            if first != row.row:
                repeated[row.row] = first
        # Of a row that is left out, nothing but this is worth saying.
        self.problems = [problem for problem in self.problems if problem.row not in repeated]
        for number, earlier in repeated.items():
            self._note(number, "", "", "row_repeated", earlier=earlier)
        column = f"{self._column('order')}, {self._column('attendee')}"
        for key, differing in by_key.items():
            numbers = list(differing.values())
            for number in numbers if len(numbers) > 1 else ():
                others = _rows_besides(number, numbers)
                value = " / ".join(key)
                self._note(number, column, value, "key_repeated", blocking=True, others=others)
        return tuple(row for row in rows if row.row not in repeated)

    def _ask_about_quantities(self, rows: Sequence[AttendeeRow]) -> None:
        orders: dict[str, dict[tuple[str, str], int]] = defaultdict(dict)
        for row in rows:
            if row.attends:
                orders[row.order][row.key] = row.quantity
        for row in rows:
            if row.attends and row.quantity > 1:
                # Some exports repeat the order's quantity beside each of its attendees.
                named = list(orders[row.order].values()) == [row.quantity] * row.quantity
                self._note(
                    row.row,
                    self._column("quantity"),
                    str(row.quantity),
                    "quantity_of_order" if named else "names_needed",
                    blocking=not named,
                    count=row.quantity,
                )

    def _ask_about_people(self, rows: Sequence[AttendeeRow]) -> None:
        column = self._column("email")
        attending = [row for row in rows if row.attends and row.folded_name]
        for group in _groups(attending, lambda row: row.folded_name):
            first: dict[str, AttendeeRow] = {}
            for row in group:
                twin = first.setdefault(row.folded_email, row) if row.email else row
                if twin.key != row.key:
                    value = row.email
                    code = "person_repeated"
                    self._note(row.row, column, value, code, blocking=True, earlier=twin.row)
            if len(first) + sum(not row.email for row in group) > 1:
                self._note_group(group, self._column("family"), "name_shared")
        shared = _shared_emails(rows)
        for group in _groups((row for row in rows if row.email), lambda row: row.folded_email):
            if group[0].folded_email in shared:
                self._note_group(group, column, "email_shared")

    def _note_group(self, group: Sequence[AttendeeRow], column: str, code: str) -> None:
        numbers = [row.row for row in group]
        for row in group:
            value = row.email if code == "email_shared" else f"{row.given} {row.family}".strip()
            others = _rows_besides(row.row, numbers)
            self._note(row.row, column, value, code, others=others)


def _groups(rows: Iterable[AttendeeRow], key: Callable[[AttendeeRow], str]) -> list[list[AttendeeRow]]:
    """Return the groups of two or more rows with the same key, in the order of the file."""
    groups: dict[str, list[AttendeeRow]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return [group for group in groups.values() if len(group) > 1]


def _shared_emails(rows: Iterable[AttendeeRow]) -> frozenset[str]:
    names: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.email and row.folded_name:
            names[row.folded_email].add(row.folded_name)
    return frozenset(email for email, by in names.items() if len(by) > 1)


def _date(year: str | int, month: str | int, day: str | int) -> date | str:
    try:
        made = date(int(year), int(month), int(day))
    except ValueError:
        return "date_invalid"
    return made if 1990 <= made.year <= 2100 else "date_invalid"


def _amount(cell: str) -> Decimal | str:
    """Return an amount of money, or the code that says why it is none."""
    value = CURRENCY_MARK.sub("", cell)
    negative = value.startswith(("-", "("))
    if value.startswith("(") != value.endswith(")"):
        return "amount_invalid"
    value = value.strip("()").removeprefix("-")
    grouped = GROUPED.fullmatch(value)
    if grouped is not None:
        mark, rest = grouped["mark"], grouped["rest"]
        if not rest and value.count(mark) == 1:
            return "amount_ambiguous"
        if rest.startswith(mark):
            return "amount_invalid"
        value = value.removesuffix(rest).replace(mark, "") + rest
    if not AMOUNT.fullmatch(value):
        return "amount_invalid"
    amount = Decimal(value.replace(",", "."))
    return -amount if negative else amount
