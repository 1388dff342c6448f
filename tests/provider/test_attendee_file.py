"""Attendee reports as ticket shops, spreadsheets and accidents make them."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.refusal import Invalid
from provider import attendee_file
from provider.attendee_file import (
    MAX_BYTES,
    MAX_ROWS,
    MESSAGES,
    AttendeeFile,
    AttendeeRow,
    BrokenQuotes,
    EmptyFile,
    FileTooLarge,
    NotCsv,
    NotTextFile,
    Problem,
    Status,
    UnreadableFile,
    read,
    table,
)

FILES = Path(__file__).parent / "attendee_files"
SAMPLE = Path(attendee_file.__file__).parent / "samples" / "eventbrite-cspo.csv"
HEADER = (
    *("Order #", "Order Date", "First Name", "Last Name", "Email", "Quantity", "Ticket Type"),
    *("Attendee #", "Currency", "Total Paid", "Attendee Status", "Job Title", "Company", "Diet?"),
)
ADA = {
    "Order #": "100",
    "Order Date": "2026-01-13 09:00:00",
    "First Name": "Ada",
    "Last Name": "Quantum",
    "Email": "ada@example.org",
    "Quantity": "1",
    "Ticket Type": "CSPO",
    "Attendee #": "1",
    "Currency": "EUR",
    "Total Paid": "1190.00",
    "Attendee Status": "Attending",
}
BERT = ADA | {"Attendee #": "2", "First Name": "Bert", "Email": "bert@example.org"}


def written(*records: Sequence[str], delimiter: str = ",", encoding: str = "utf-8", end: str = "\r\n") -> bytes:
    """Return the records as a CSV file, each cell in quotes."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(records)
    return text.getvalue().encode(encoding, "surrogatepass")


def report(*rows: dict[str, str], header: Sequence[str] = HEADER) -> AttendeeFile:
    """Read a file of these rows."""
    return read(written(header, *([row.get(name, "") for name in header] for row in rows)))


def codes(file: AttendeeFile, row: int | None = None) -> list[str]:
    return [problem.code for problem in file.problems if row in (None, problem.row)]


def only(file: AttendeeFile) -> Problem:
    assert len(file.problems) == 1, file.problems
    return file.problems[0]


def names(file: AttendeeFile) -> list[tuple[str, str]]:
    return [(row.given, row.family) for row in file.rows]


# The sample of the demo.


def test_the_sample_has_twelve_that_attend_and_nothing_that_stops_them() -> None:
    file = read(SAMPLE.read_bytes())
    assert len([row for row in file.accepted if row.attends]) == 12
    assert [row.status for row in file.rows if not row.attends] == [Status.REFUNDED]
    assert codes(file) == ["row_repeated"]
    assert not file.blocked
    assert all(row.email.casefold().split("@")[1].startswith("example.") for row in file.rows)
    assert SAMPLE.read_bytes().startswith(
        b"Order #,Order Date,First Name,Last Name,Email,Quantity,Price Tier,Ticket Type,Attendee #,Group,Order Type,"
        b"Currency,Total Paid,Fees Paid,Eventbrite Fees,Eventbrite Payment Processing,Attendee Status,"
    )


def test_a_row_says_what_its_cells_say() -> None:
    row = read(SAMPLE.read_bytes()).rows[1]
    assert row == AttendeeRow(
        row=3,
        order="10488219915",
        attendee="18441590018",
        ordered_on=date(2026, 1, 12),
        given="Piotr",
        family="Lewandowicz",
        email="PIOTR.LEWANDOWICZ@EXAMPLE.COM",
        quantity=1,
        ticket_type="Certified Scrum Product Owner (CSPO)",
        status=Status.ATTENDING,
        paid=Decimal("1190.00"),
        currency="EUR",
        job_title="Business Analyst",
        company="Fjordlight, Nordby & Co.",
        answers=(
            ("How did you hear about us?", "Search engine"),
            ("E-mail used with Scrum Alliance before", "p.lewandowicz@example.net"),
        ),
    )
    assert row.key == ("10488219915", "18441590018")
    assert row.folded_email == "piotr.lewandowicz@example.com"


def test_single_and_non_latin_names_stay_as_they_are() -> None:
    found = names(read(SAMPLE.read_bytes()))
    assert ("", "Suryani") in found
    assert ("Ярослава", "Тимченко") in found
    assert ("みのり", "佐藤") in found
    assert ("ليلى", "المنصوري") in found


# Encodings, delimiters, line ends.


@pytest.mark.parametrize(
    ("name", "encoding", "delimiter"),
    [("utf8-bom-crlf", "utf-8-sig", ","), ("utf16-tab", "utf-16", "\t")],
)
def test_the_same_attendees_come_from_another_encoding_and_delimiter(name: str, encoding: str, delimiter: str) -> None:
    file = read((FILES / f"{name}.csv").read_bytes())
    assert (file.encoding, file.delimiter) == (encoding, delimiter)
    # Only the quoted line break is written as the file's own.
    same = read(SAMPLE.read_bytes())
    assert file.rows == same.rows
    assert codes(file) == codes(same)


def test_windows_1252_is_read_and_said_to_be_a_guess() -> None:
    file = read((FILES / "cp1252-semicolon.csv").read_bytes())
    assert (file.encoding, file.delimiter) == ("cp1252", ";")
    assert ("João", "d'Exemplo") in names(file)
    assert codes(file, row=1) == ["encoding_guessed"]


def test_lines_may_end_as_on_an_old_mac() -> None:
    assert len(read((FILES / "mac-lines.csv").read_bytes()).rows) == 12


def test_the_separator_line_of_excel_is_obeyed_and_not_counted() -> None:
    data = b"sep=;\r\n" + written(HEADER, [ADA.get(name, "") for name in HEADER], delimiter=";")
    file = read(data)
    assert file.delimiter == ";"
    assert file.rows[0].row == 2


def test_a_utf8_file_cut_off_within_a_letter_keeps_its_other_letters() -> None:
    data = written(HEADER, [(ADA | {"First Name": "Zoë Ünsal", "Diet?": ""}).get(name, "") for name in HEADER])
    file = read(data + "Ł".encode()[:1])
    assert file.encoding == "utf-8"
    assert names(file)[0][0] == "Zoë Ünsal"
    assert "encoding_damaged" in codes(file, row=1)


def test_utf16_with_a_byte_too_few_is_damaged_not_refused() -> None:
    file = read(written(HEADER, [ADA.get(name, "") for name in HEADER], encoding="utf-16") + b"\0")
    assert names(file) == [("Ada", "Quantum")]
    assert "encoding_damaged" in codes(file)


def test_quoted_commas_quotes_and_newlines_belong_to_the_cell_and_make_no_row() -> None:
    file = report(ADA | {"Job Title": 'Owner, "first"\nof all'}, BERT)
    assert file.rows[0].job_title == 'Owner, "first"\nof all'
    assert file.rows[1].row == 3


# Columns.


def test_columns_come_in_any_order_under_other_names_and_without_the_optional_ones() -> None:
    file = read((FILES / "few-columns.csv").read_bytes())
    same = {row.key: row for row in read(SAMPLE.read_bytes()).rows}
    assert [same[row.key].email for row in file.rows] == [row.email for row in file.rows]
    assert {row.status for row in file.rows} == {Status.ATTENDING, Status.REFUNDED}
    assert {(row.quantity, row.paid, row.ordered_on) for row in file.rows} == {(1, None, None)}
    assert codes(file) == ["row_repeated"]


def test_missing_columns_are_one_problem_that_names_them_and_what_was_found() -> None:
    file = report(ADA, header=("Order #", "First Name", "Last Name", "Ticket Type"))
    problem = only(file)
    assert (problem.code, problem.row, problem.blocking) == ("columns_missing", 1, True)
    assert problem.column == "Attendee #, Email"
    assert problem.value == "Order #, First Name, Last Name, Ticket Type"
    assert "Attendee #, Email" in problem.message
    assert file.rows == ()


def test_a_file_without_a_header_doesnt_put_a_person_into_the_message() -> None:
    problem = only(read(b"1001,Ada,Quantum,ada@example.org\r\n"))
    assert problem.code == "columns_missing"
    assert "Quantum" not in problem.message


def test_without_the_status_column_it_is_said_that_refunds_cant_be_seen() -> None:
    file = report(ADA, header=[name for name in HEADER if name != "Attendee Status"])
    assert codes(file) == ["status_column_missing"]
    assert file.rows[0].attends


def test_questions_are_kept_and_addresses_are_not() -> None:
    header = (*HEADER, "Home Address 1", "Home City", "", "Age")
    file = report(
        ADA | {"Diet?": "vegan", "Home Address 1": "Musterweg 4", "Home City": "Graz", "Age": "40"}, header=header
    )
    assert file.unknown_columns == ("Diet?",)
    assert file.columns[-3:] == ("Home City", "(column 17)", "Age")
    assert file.rows[0].answers == (("Diet?", "vegan"),)


def test_a_question_that_sounds_like_a_column_of_the_report_is_a_question() -> None:
    file = report(ADA | {"Email Address": "private@example.net"}, header=(*HEADER, "Email Address"))
    assert file.rows[0].email == "ada@example.org"
    assert file.rows[0].answers == (("Email Address", "private@example.net"),)
    assert file.problems == ()


def test_columns_of_the_same_name_are_asked_about_only_where_they_differ() -> None:
    header = ("Order #", "Attendee #", "First Name", "Last Name", "Email", "Email", "Attendee Status")
    file = read(
        written(
            header,
            ("1", "1", "Ada", "Quantum", "", "ada@example.org", "Attending"),
            ("1", "2", "Bert", "Quantum", "bert@example.org", "bert@example.org", "Attending"),
            ("1", "3", "Cleo", "Quantum", "cleo@example.org", "other@example.org", "Attending"),
        )
    )
    assert codes(file, row=1) == ["column_repeated"]
    assert [row.email for row in file.rows] == ["ada@example.org", "bert@example.org", "cleo@example.org"]
    assert file.blocked == {4}


def test_answers_to_two_questions_of_one_name_are_both_kept() -> None:
    record = [ADA.get(name, "") for name in HEADER]
    file = read(written((*HEADER, "Diet?"), [*record[:-1], "vegan", "no nuts"]))
    assert file.rows[0].answers == (("Diet?", "vegan"), ("Diet?", "no nuts"))
    assert codes(file) == ["question_repeated"]


# Rows.


def test_every_trouble_is_named_in_its_row_and_column() -> None:
    file = read((FILES / "trouble.csv").read_bytes())
    found = [(problem.row, problem.column, problem.code, problem.blocking) for problem in file.problems]
    assert found == [
        (1, "Company", "column_repeated", False),
        (3, "Quantity", "names_needed", True),
        (4, "Email", "email_missing", False),
        (5, "Email", "person_repeated", True),
        (6, "Email", "email_shared", False),
        (7, "Email", "email_shared", False),
        (8, "First Name", "formula", True),
        (9, "First Name", "control_character", True),
        (10, "First Name", "bidi_override", True),
        (11, "First Name", "too_long", True),
        (12, "First Name, Last Name", "name_missing", True),
        (13, "First Name, Last Name", "name_missing", True),
        (13, "Email", "email_missing", False),
        (14, "Email", "email_invalid", False),
        (15, "Email", "formula", False),
        (16, "Order Date", "date_invalid", False),
        (17, "Total Paid", "amount_invalid", False),
        (17, "Currency", "currency_invalid", False),
        (18, "Attendee Status", "status_unknown", True),
        (19, "Attendee Status", "unpaid", False),
        (20, "Attendee #", "key_missing", True),
        (21, "Attendee #", "key_rounded", True),
        (22, "Order #, Attendee #", "key_repeated", True),
        (23, "Order #, Attendee #", "key_repeated", True),
        (24, "Attendee Status", "status_unknown", True),
        (24, "", "row_too_short", False),
        (24, "Attendee #", "key_missing", True),
        (25, "", "row_too_long", True),
        (26, "Company", "columns_differ", False),
        (27, "Diet", "control_character", False),
        (28, "Last Name", "formula", True),
        (28, "First Name", "name_without_letters", True),
        (29, "First Name", "letters_doubtful", False),
        (32, "", "totals_line", False),
    ]
    assert [row.row for row in file.accepted] == [2, 4, 6, 7, 14, 15, 16, 17, 19, 26, 27, 29, 30]


def test_what_can_be_taken_from_a_troubled_row_is_taken_and_the_rest_is_empty() -> None:
    rows = {row.row: row for row in read((FILES / "trouble.csv").read_bytes()).rows}
    assert (rows[8].given, rows[8].family) == ("", "Formula")
    assert (rows[14].email, rows[15].email) == ("", "")
    assert (rows[17].paid, rows[17].currency) == (None, "")
    assert rows[26].company == "One Ltd"
    assert rows[27].answers == ()
    assert rows[30].answers == (("Diet", "-none, thanks"),)


def test_a_row_cut_short_after_what_counts_is_only_noted() -> None:
    file = read(written(HEADER, [ADA[name] for name in HEADER[:11]]))
    assert codes(file) == ["row_too_short"]
    assert file.accepted == file.rows != ()


def test_empty_cells_beyond_the_header_and_empty_lines_are_nothing() -> None:
    record = [ADA.get(name, "") for name in HEADER]
    other = [BERT.get(name, "") for name in HEADER]
    file = read(written([], HEADER, ["", ""], [*record, "", " "], [], other))
    assert file.problems == ()
    assert [row.row for row in file.rows] == [4, 6]


def test_a_header_repeated_among_the_rows_is_left_out() -> None:
    file = read(written(HEADER, [ADA.get(name, "") for name in HEADER], HEADER))
    assert codes(file) == ["header_repeated"]
    assert len(file.rows) == 1


def test_a_line_of_sums_without_a_word_is_a_total_too() -> None:
    file = report(ADA, {"Quantity": "1", "Total Paid": "€ 1,190.00"})
    assert codes(file) == ["totals_line"]


def test_somebody_with_an_email_is_no_total_whatever_the_name() -> None:
    file = report({"First Name": "Total", "Email": "total@example.org"})
    assert codes(file) == ["status_unknown", "key_missing", "key_missing"]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("Attending", Status.ATTENDING),
        ("checked in", Status.CHECKED_IN),
        ("CHECKED-IN", Status.CHECKED_IN),
        ("Refunded", Status.REFUNDED),
        ("Canceled", Status.CANCELLED),
        ("Cancelled", Status.CANCELLED),
        ("Not Attending", Status.CANCELLED),
        ("Transferred", Status.TRANSFERRED),
        ("Deleted", Status.DELETED),
        ("Unpaid", Status.UNPAID),
    ],
)
def test_statuses_are_known_in_any_spelling(said: str, status: Status) -> None:
    row = report(ADA | {"Attendee Status": said}).rows[0]
    assert row.status is status
    assert row.attends is (status in (Status.ATTENDING, Status.CHECKED_IN))


def test_a_refunded_row_needs_neither_name_nor_email() -> None:
    gone = {"Attendee Status": "Refunded", "First Name": "=1", "Last Name": "", "Email": "", "Quantity": "0"}
    assert report(ADA | gone).blocked == frozenset()


# Names and e-mails.


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\uff1d", " ="])
def test_a_name_that_begins_as_a_formula_blocks_its_row(first: str) -> None:
    problem = only(report(ADA | {"First Name": first + "1+1"}))
    assert (problem.code, problem.blocking) == ("formula", True)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Nul\0", "control_character"),
        ("Bell\x07", "control_character"),
        ("Next\x85line", "control_character"),
        ("Two\nlines", "control_character"),
        ("Over\u202eride", "bidi_override"),
        ("Iso\u2066late", "bidi_override"),
        ("Half\ud83d", "lone_surrogate"),
        ("x" * 201, "too_long"),
        ("Lo\ufffdst", "letters_lost"),
        ("...", "name_without_letters"),
    ],
)
@pytest.mark.parametrize("column", ["First Name", "Last Name"])
def test_a_name_nobody_has_blocks_its_row(column: str, name: str, code: str) -> None:
    problem = only(report(ADA | {column: name}))
    assert (problem.column, problem.code, problem.blocking) == (column, code, True)
    problem.value.encode()
    assert not {"\0", "\n", "\u202e", "\x07"} & set(problem.value)


@pytest.mark.parametrize("name", ["x" * 200, "ליאורה", "سارة\u200cزاده", "O'Neill-Ørsted", "李", "Jr.", "Ñ"])
def test_a_name_somebody_has_is_taken(name: str) -> None:
    file = report(ADA | {"First Name": name})
    assert file.problems == ()
    assert file.rows[0].given == name


def test_spaces_around_a_name_go_and_those_within_stay() -> None:
    assert names(report(ADA | {"First Name": "\u00a0Ada  Maria \t"})) == [("Ada  Maria", "Quantum")]


def test_letters_that_another_program_read_wrongly_are_asked_about() -> None:
    problem = only(report(ADA | {"Last Name": "MÃ¼ller"}))
    assert (problem.code, problem.blocking) == ("letters_doubtful", False)


@pytest.mark.parametrize(
    "email",
    [
        "ada",
        "ada@",
        "@example.org",
        "ada@example",
        "a b@example.org",
        "a@example.org, b@example.org",
        "ada@exa\u200bmple.org",
        "ada@@example.org",
        "ada@example..org",
    ],
)
def test_an_incomplete_email_is_not_taken(email: str) -> None:
    file = report(ADA | {"Email": email})
    assert only(file).code in ("email_invalid", "formula")
    assert file.rows[0].email == ""
    assert not file.blocked


def test_an_email_is_trimmed_and_keeps_its_case() -> None:
    row = report(ADA | {"Email": "  Ada@Example.ORG "}).rows[0]
    assert (row.email, row.folded_email) == ("Ada@Example.ORG", "ada@example.org")


# Rows beside each other.


def test_a_row_that_says_the_same_again_counts_once() -> None:
    file = report(ADA | {"Email": ""}, BERT, ADA | {"Email": ""})
    assert [(problem.row, problem.code) for problem in file.problems] == [(2, "email_missing"), (4, "row_repeated")]
    assert [row.row for row in file.rows] == [2, 3]


def test_the_same_key_with_other_values_is_asked_about_in_both_rows() -> None:
    file = report(ADA, BERT | {"Attendee #": "1"}, ADA)
    assert [(problem.row, problem.code) for problem in file.problems] == [
        (2, "key_repeated"),
        (3, "key_repeated"),
        (4, "row_repeated"),
    ]
    assert file.accepted == ()


def test_the_same_person_under_another_number_is_asked_about() -> None:
    again = {"First Name": "ADA", "Last Name": " quantum", "Email": "ADA@EXAMPLE.ORG"}
    file = report(ADA, BERT | again)
    assert [(problem.row, problem.code) for problem in file.problems] == [(3, "person_repeated")]
    assert [row.row for row in file.accepted] == [2]


def test_somebody_who_was_refunded_and_booked_again_is_not_asked_about() -> None:
    assert report(ADA | {"Attendee Status": "Refunded"}, ADA | {"Attendee #": "2"}).problems == ()


def test_the_same_name_with_another_email_is_one_person_or_two() -> None:
    file = report(ADA, BERT | {"First Name": "Ada"})
    assert codes(file) == ["name_shared", "name_shared"]
    assert len(file.accepted) == 2


def test_an_email_of_two_people_is_known_as_shared() -> None:
    file = report(ADA, BERT | {"Email": "Ada@Example.org"})
    assert codes(file) == ["email_shared", "email_shared"]
    assert file.shared_emails == {"ada@example.org"}
    assert len(file.accepted) == 2


def test_seats_without_names_are_asked_for() -> None:
    problem = only(report(ADA | {"Quantity": "3"}))
    assert (problem.code, problem.value, problem.blocking) == ("names_needed", "3", True)


def test_a_quantity_that_the_orders_rows_repeat_is_one_seat_each() -> None:
    file = report(ADA | {"Quantity": "2"}, BERT | {"Quantity": "2"})
    assert codes(file) == ["quantity_of_order"] * 2
    assert len(file.accepted) == 2


def test_two_rows_of_which_one_stands_for_two_seats_lack_a_name() -> None:
    assert codes(report(ADA | {"Quantity": "2"}, BERT)) == ["names_needed"]


@pytest.mark.parametrize("quantity", ["0", "-1", "two", "1.5", "99999", "٣"])
def test_a_quantity_that_is_no_number_of_seats_blocks(quantity: str) -> None:
    problem = only(report(ADA | {"Quantity": quantity}))
    assert (problem.code, problem.blocking) == ("quantity_invalid", True)


# Numbers and dates.


@pytest.mark.parametrize("number", ["1.84416E+10", "1,84416E+10", "18441583423.0", "2e5"])
def test_a_number_that_a_spreadsheet_has_rounded_is_refused(number: str) -> None:
    file = report(ADA | {"Attendee #": number})
    assert only(file).code == "key_rounded"
    assert file.rows == ()


@pytest.mark.parametrize("number", ["ada@example.org", "Ada Quantum", "Quantum", "Ünal-4", "-4", "٣٤"])
def test_what_may_be_personal_is_no_key_for_keys_are_kept_in_clear(number: str) -> None:
    file = report(ADA | {"Order #": number})
    assert file.rows == ()
    assert file.problems[0].blocking


@pytest.mark.parametrize("number", ["10488213307", "ORD-2026.17", "A7B9K", "#1234", "18_2"])
def test_other_shops_have_letters_in_their_numbers(number: str) -> None:
    assert report(ADA | {"Order #": number}).rows[0].order == number


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2026-01-13", date(2026, 1, 13)),
        ("2026-01-13 18:43:13+01:00", date(2026, 1, 13)),
        ("2026-01-13T18:43:13Z", date(2026, 1, 13)),
        ("01/13/26 22:28", date(2026, 1, 13)),
        ("13/01/2026 22:28", date(2026, 1, 13)),
        ("05/05/2026", date(2026, 5, 5)),
        ("3.4.2026", date(2026, 4, 3)),
        ("Jan 13, 2026 7:05 PM", date(2026, 1, 13)),
    ],
)
def test_dates_of_orders_are_read_as_exports_write_them(said: str, meant: date) -> None:
    file = report(ADA | {"Order Date": said})
    assert file.problems == ()
    assert file.rows[0].ordered_on == meant


@pytest.mark.parametrize(
    "said",
    ["2026-02-30", "13/13/2026", "0001-01-01", "9999-12-31", "Foo 1, 2026", "yesterday", "00/00/2026", "2026-01-13x"],
)
def test_a_date_that_is_none_is_left_out(said: str) -> None:
    file = report(ADA | {"Order Date": said})
    assert only(file).code == "date_invalid"
    assert file.rows[0].ordered_on is None
    assert file.accepted == file.rows


@pytest.mark.parametrize(
    ("other", "meant"), [("25/03/2026", date(2026, 4, 3)), ("03/25/2026", date(2026, 3, 4)), ("04/03/2026", None)]
)
def test_whether_the_day_comes_first_is_learnt_from_the_file_or_left_open(other: str, meant: date | None) -> None:
    file = report(ADA | {"Order Date": "03/04/2026"}, BERT | {"Order Date": other})
    assert file.rows[0].ordered_on == meant
    assert codes(file) == ([] if meant else ["date_ambiguous"])


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("0", "0"),
        ("1190.00", "1190.00"),
        ("1,190.00", "1190.00"),
        ("1.190,00", "1190.00"),
        ("1190,5", "1190.5"),
        ("1 190,00", "1190.00"),
        ("1'190.00", "1190.00"),
        ("€1,190.00", "1190.00"),
        ("CA$30.00", "30.00"),
        ("USD30", "30"),
        ("30.00 EUR", "30.00"),
        ("1,234,567", "1234567"),
        ("-12.00", "-12.00"),
        ("(12.00)", "-12.00"),
    ],
)
def test_amounts_are_read_as_exports_write_them(said: str, meant: str) -> None:
    file = report(ADA | {"Total Paid": said})
    assert file.problems == ()
    assert file.rows[0].paid == Decimal(meant)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("1,190", "amount_ambiguous"),
        ("free", "amount_invalid"),
        ("1.190.00,0.0", "amount_invalid"),
        ("NaN", "amount_invalid"),
        ("1e5", "amount_invalid"),
        ("()", "amount_invalid"),
        ("(5", "amount_invalid"),
        ("9" * 13, "amount_invalid"),
        ("1,234,56", "amount_invalid"),
    ],
)
def test_an_amount_that_is_none_is_left_out(said: str, code: str) -> None:
    file = report(ADA | {"Total Paid": said})
    assert only(file).code == code
    assert file.rows[0].paid is None


# Files that can't be read.


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("xl/workbook.xml"), "<workbook/>")
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        zipped(),
        b"%PDF-1.7\n",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        b"<!DOCTYPE html><html>",
        b"\xef\xbb\xbf\r\n  <HTML><table>",
        b"<table><tr><td>Order #",
        "<html>".encode("utf-16"),
        b"<?xml version='1.0'?>",
        b"{\\rtf1\\ansi",
        gzip.compress(b"Order #", mtime=0),
    ],
)
def test_another_kind_of_file_is_recognised_by_its_beginning(data: bytes) -> None:
    with pytest.raises(NotCsv, match="as CSV"):
        read(data)


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "Order #,Email".encode("utf-16-le")])
def test_what_is_no_text_or_doesnt_say_which_is_refused(data: bytes) -> None:
    with pytest.raises(NotTextFile):
        read(data)


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", b"\r\n \r\n\t", b"\xff\xfe", b",,,\r\n,,,", b"sep=;\r\n"])
def test_an_empty_file_is_refused(data: bytes) -> None:
    with pytest.raises(EmptyFile):
        read(data)


def test_a_file_of_only_a_header_has_no_rows() -> None:
    file = report()
    assert only(file).code == "no_rows"
    assert file.rows == ()


def test_ten_megabytes_are_the_limit() -> None:
    record = [ADA.get(name, "") for name in HEADER]
    data = written(HEADER, record)
    filled = data + b"\n" * (MAX_BYTES - len(data))
    with pytest.raises(FileTooLarge, match="10 MB"):
        read(filled + b"\n")
    with pytest.raises(FileTooLarge, match="empty rows"):
        read(filled)


@pytest.mark.slow
def test_twenty_thousand_rows_are_the_limit() -> None:
    def rows(count: int) -> bytes:
        # All of them share an e-mail and a name, which is the most that there is to say about them.
        lines = "".join(f"1,{number},Ada,Quantum,a@b.example\n" for number in range(count))
        return b"Order #,Attendee #,First Name,Last Name,Email\n" + lines.encode()

    file = read(rows(MAX_ROWS))
    assert len(file.rows) == MAX_ROWS
    assert len(codes(file)) == MAX_ROWS
    with pytest.raises(FileTooLarge, match="20,000 rows"):
        read(rows(MAX_ROWS + 1))


@pytest.mark.slow
def test_problems_are_bounded_where_every_answer_is_refused() -> None:
    header = ["Order #", "Attendee #", "First Name", "Last Name", "Email", *(f"Q{n}" for n in range(400))]
    rows = [["1", str(n), "Ada", f"Quantum{'abcdefghij'[n]}", f"a{n}@example.org", *["\x01"] * 400] for n in range(10)]
    file = read(written(header, *rows))
    assert codes(file, row=2) == ["control_character"] * 5 + ["answers_refused"]


def test_more_columns_than_any_report_has_are_refused() -> None:
    with pytest.raises(FileTooLarge, match="columns"):
        read(written([*HEADER, *(f"Q{number}" for number in range(500))]))


@pytest.mark.parametrize("row", ['1,"Ada', '1,"Ada"x,2', '1,"' + "x" * 140_000 + '"'])
def test_a_quote_that_would_swallow_the_attendees_after_it_is_refused_with_its_row(row: str) -> None:
    with pytest.raises(BrokenQuotes, match="row 3"):
        read(f"Order #,First Name\n1,Ok\n{row}\n4,Bert\n".encode())


def test_refusals_messages_and_reprs_never_say_a_private_value() -> None:
    with pytest.raises(BrokenQuotes) as refusal:
        read(b'Order #,First Name\n1,"Secretname\n')
    assert "Secretname" not in str(refusal.value)
    file = report(
        ADA | {"First Name": "Secretname?", "Last Name": "=Secretname", "Email": "secretname", "Diet?": "Secretname\0"}
    )
    assert len(file.problems) >= 3
    assert "ecretname" not in repr(file)
    assert not any("ecretname" in problem.message for problem in file.problems)


def test_every_refusal_is_an_invalid_one() -> None:
    for refusal in (FileTooLarge, EmptyFile, NotCsv, NotTextFile, BrokenQuotes):
        assert issubclass(refusal, UnreadableFile)
    assert issubclass(UnreadableFile, Invalid)


# Any file at all.

ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])
DELIMITERS = st.sampled_from([",", ";", "\t"])
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SAFE_TEXT = st.text(
    st.characters(
        exclude_categories=["Cs", "Cc"], exclude_characters="\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    ),
    max_size=20,
) | st.sampled_from(["a\r\nb", "x\ny", '"', ",;\t|", "=1+1", "''"])


@given(
    st.lists(st.lists(ANY_TEXT, min_size=len(HEADER), max_size=len(HEADER)), max_size=6),
    ENCODINGS,
    DELIMITERS,
    st.sampled_from(["\r\n", "\n", "\r"]),
)
@settings(deadline=None)
def test_any_table_is_read_as_it_was_written(records: list[list[str]], encoding: str, delimiter: str, end: str) -> None:
    texts = table(written(HEADER, *records, encoding=encoding, delimiter=delimiter, end=end))
    assert (texts.header, texts.encoding, texts.delimiter) == (HEADER, encoding, delimiter)
    assert texts.records == tuple(
        (number, tuple(record))
        for number, record in enumerate(records, start=2)
        if any(cell.strip() for cell in record)
    )


@given(st.lists(SAFE_TEXT, min_size=1, max_size=6), ENCODINGS, DELIMITERS)
@settings(deadline=None)
def test_any_answer_is_read_as_it_was_written(answers: list[str], encoding: str, delimiter: str) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)  # quotes only where it must
    writer.writerow(HEADER)
    for number, answer in enumerate(answers):
        row = ADA | {"Attendee #": str(number), "Email": f"a{number}@example.org", "Diet?": answer}
        writer.writerow([row.get(name, "") for name in HEADER])
    file = read(text.getvalue().encode(encoding))
    assert [dict(row.answers).get("Diet?", "") for row in file.rows] == [answer.strip() for answer in answers]
    assert not file.blocked


@given(
    st.binary(max_size=300)
    | st.builds(lambda noise: written(HEADER) + noise, st.binary(max_size=300))
    | st.builds(
        lambda cells, encoding: written(HEADER, *cells, encoding=encoding),
        st.lists(st.lists(st.text(max_size=12), max_size=len(HEADER) + 1), max_size=4),
        st.sampled_from(["utf-8", "utf-16"]),
    )
    | st.text(st.sampled_from('",;\t\r\n=ab1/.@\ufffd\0'), max_size=200).map(
        lambda text: (",".join(HEADER) + "\n" + text).encode()
    )
)
@settings(max_examples=400, deadline=None)
def test_no_bytes_at_all_raise_anything_but_a_named_refusal(data: bytes) -> None:
    try:
        file = read(data)
    except UnreadableFile:
        return
    assert all(problem.code in MESSAGES and problem.row >= 1 for problem in file.problems)
    for problem in file.problems:
        f"{problem.column}{problem.value}{problem.message}".encode()
    for row in file.rows:
        f"{row.order}{row.given}{row.family}{row.email}{row.job_title}{row.answers}".encode()
