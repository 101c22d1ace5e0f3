from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import every_case
from tidings.errors import InvalidInput, InvalidRows
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.files.people_file import LIMITS, Person, read_people

ADA = Person(name="Ada Lovelace", first_name="Ada", last_name="Lovelace", phone="+18105550123")


def read(text: str | bytes, region: str = "US") -> list[Person]:
    return read_people(text, region=region, source="people.csv")


def outcome(text: str | bytes) -> list[Person] | InvalidInput:
    try:
        return read(text)
    except InvalidInput as error:
        return error


def bad_rows(text: str | bytes) -> list[tuple[int, str, str]]:
    with pytest.raises(InvalidRows) as caught:
        read(text)
    assert caught.value.field == "people.csv"
    return [(row.line, row.field, row.message) for row in caught.value.rows]


def refusal(text: str | bytes) -> str:
    with pytest.raises(InvalidInput) as caught:
        read(text)
    assert not isinstance(caught.value, InvalidRows)
    return str(caught.value)


def test_every_column_is_read() -> None:
    text = (
        "name,first_name,last_name,phone,email,company_name,timezone,ghl_contact_id,ghl_location_id\n"
        "Dr. Ada Lovelace,Ada,Lovelace,(810) 555-0123,ada@Example.org,Engines Ltd.,Europe/London,c1,l1\n"
    )
    assert read(text) == [
        Person(
            name="Dr. Ada Lovelace",
            first_name="Ada",
            last_name="Lovelace",
            phone="+18105550123",
            email="ada@example.org",
            company_name="Engines Ltd.",
            timezone="Europe/London",
            ghl_contact_id="c1",
            ghl_location_id="l1",
        )
    ]


@pytest.mark.parametrize(
    "header",
    ["name,phone", "Name,Phone", "FULL NAME,Mobile", "full_name,Phone-Number", "Full  name , Cell ", '"Name","Tel."'],
)
def test_columns_are_known_by_their_usual_names(header: str) -> None:
    assert read(f"{header}\nAda Lovelace,8105550123\n") == [ADA]


def test_columns_may_come_in_any_order_and_unknown_ones_are_left_out() -> None:
    text = (
        "Badge,E-Mail,Surname,Given name,Organisation,Time zone\n7,ada@example.org,Lovelace,Ada,Engines,Asia/Tokyo\n"
    )
    (person,) = read(text)
    assert (person.name, person.email, person.company_name, person.timezone) == (
        *("Ada Lovelace", "ada@example.org", "Engines", "Asia/Tokyo"),
    )


@every_case("delimiter", [",", ";", "\t"])
@every_case("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@every_case("newline", ["\n", "\r\n", "\r"])
def test_spreadsheets_exports_are_read(delimiter: str, encoding: str, newline: str) -> None:
    rows = [("name", "company", "phone"), ("Zoë Müller", "Café, Bar; Söhne", "+18105550123")]
    text = "".join(delimiter.join(f'"{cell}"' for cell in row) + newline for row in rows)
    (person,) = read(text.encode(encoding))
    assert (person.first_name, person.last_name, person.company_name) == ("Zoë", "Müller", "Café, Bar; Söhne")


def test_a_sep_line_of_excel_is_passed_over_and_still_counted() -> None:
    assert read("sep=;\nname;phone\nAda Lovelace;8105550123\n") == [ADA]
    assert bad_rows("sep=;\nname;phone\nAda Lovelace;12\n")[0][0] == 3


@pytest.mark.parametrize(
    ("columns", "values", "names"),
    [
        ("name", "Ada Lovelace", ("Ada Lovelace", "Ada", "Lovelace")),
        ("name", "Ludwig van Beethoven", ("Ludwig van Beethoven", "Ludwig", "van Beethoven")),
        ("name", "Plato", ("Plato", "Plato", None)),
        ("name", '"Lovelace, Ada"', ("Lovelace, Ada", None, None)),
        ("name", "  Ada \u00a0 Lovelace ", ("Ada Lovelace", "Ada", "Lovelace")),
        ("name", "'t Hooft", ("'t Hooft", "'t", "Hooft")),
        ("first name,last name", "Ada,Lovelace", ("Ada Lovelace", "Ada", "Lovelace")),
        ("first name,last name", "Ada,", ("Ada", "Ada", None)),
        ("name,first name", "Countess Lovelace,Ada", ("Countess Lovelace", "Ada", None)),
    ],
)
def test_a_name_is_made_of_its_parts_and_the_parts_of_a_name(
    columns: str, values: str, names: tuple[str, str | None, str | None]
) -> None:
    (person,) = read(f"{columns},phone\n{values},8105550123\n")
    assert (person.name, person.first_name, person.last_name) == names


@pytest.mark.parametrize("cell", ["'+18105550123", '"=""+18105550123"""', "18105550123.0", "=+18105550123"])
def test_phones_that_a_spreadsheet_dressed_up_are_read(cell: str) -> None:
    assert read(f"name,phone\nAda Lovelace,{cell}\n") == [ADA]


def test_phones_without_country_code_are_read_in_the_region() -> None:
    (person,) = read("name;phone\nAda;0170 1234567\n", region="DE")
    assert person.phone == "+491701234567"


def test_empty_lines_and_empty_trailing_columns_do_not_matter() -> None:
    assert read("\n\nname,phone,,\n\nAda Lovelace,8105550123,,\n,,,\n\n") == [ADA]


def test_people_know_their_lines() -> None:
    text = 'sep=,\n\nname,phone\n\n"Ada\nLovelace",8105550123\n,\nBob,8105550124\n'
    assert [(person.name, person.line) for person in read(text)] == [("Ada Lovelace", 5), ("Bob", 8)]


def test_a_file_with_only_a_header_has_no_people() -> None:
    assert read("name,phone\n") == []


@every_case(
    ("header", "row", "field", "message"),
    [
        ("name,phone", "Ada,12", "phone", "'12' is not a phone number that can exist in US"),
        ("name,phone", "Ada,1.81055E+10", "phone", "'1.81055E+10' has lost its digits to a spreadsheet"),
        ("name,phone", "Ada,810-555-0123 x9", "phone", "has the extension 9"),
        ("name,email", "Ada,ada@", "email", "'ada@' is not an email address: "),
        ("name,email", "Ada,Ada <ada@example.org>", "email", "is not an email address: "),
        ("name,phone,email", "Ada,,", "phone", "is missing, and so is an email; one of them is needed"),
        ("name,phone", ",8105550123", "name", "is missing"),
        ("name,phone", "Ada", "columns", "there are 1 where the first line has 2; fill it up with empty ones"),
        ("name,phone", "Lovelace,Ada,8105550123", "columns", "there are 3 where the first line has 2; quote values"),
        ("name,phone", "A" * 201 + ",8105550123", "name", "has 201 characters; 200 are the most"),
        ("name,phone,company", "Ada,8105550123," + "x" * 201, "company_name", "has 201 characters; 200 are the"),
        (
            "name,phone,contact id",
            "Ada,8105550123," + "x" * 65,
            "ghl_contact_id",
            "has 65 characters; 64 are the most",
        ),
        ("name,phone,timezone", "Ada,8105550123,Berlin", "timezone", "'Berlin' is not an IANA timezone; write one"),
        ("name,phone", "A\x07da,8105550123", "name", "holds a control character; delete it"),
        ("name,phone", "Zo\ufffd,8105550123", "name", "holds \ufffd where a letter was lost; write it again"),
        ("name,phone", '"Ada,8105550123', "quotes", "cannot be read: unexpected end of data; check its quotation"),
        ("name,phone", '"Ada"x,8105550123', "quotes", "cannot be read: "),
    ],
)
def test_a_bad_row_is_named_by_line_field_and_what_to_change(header: str, row: str, field: str, message: str) -> None:
    ((line, named, sentence),) = bad_rows(f"{header}\n{row}\n")
    assert (line, named) == (2, field)
    assert message in sentence


def test_a_phone_or_email_that_comes_twice_names_the_earlier_line() -> None:
    text = (
        "name,phone,email\n"
        "Ada,8105550123,ada@example.org\n"
        "Bob,,bob@example.org\n"
        "Ada Abara,+1 (810) 555-0123,\n"
        "Ada King,8105550124,ADA@Example.ORG\n"
    )
    assert bad_rows(text) == [
        (4, "phone", "+18105550123 stands in line 2 already; keep one of the two"),
        (5, "email", "ada@example.org stands in line 2 already; keep one of the two"),
    ]


def test_all_bad_rows_come_at_once_under_the_lines_an_editor_shows() -> None:
    text = (
        "name,company,phone\r\n"
        '"Ada\r\nLovelace","Engines,\r\nLtd.",8105550123\r\n'
        "\r\n"
        'Bob,"two\r\nlines",12\r\n'
        "Cid,,8105550124\r\n"
        ",,34\r\n"
    )
    assert [(line, field) for line, field, _ in bad_rows(text)] == [(6, "phone"), (9, "phone"), (9, "name")]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "people.csv: is empty; it needs a column name"),
        (b"\xef\xbb\xbf", "is empty"),
        ("\n,,\n \n", "is empty"),
        (
            "Ada Lovelace,8105550123\n",
            "its first line does not name the columns; it needs a column name (or first name",
        ),
        ("name,company\nAda,Engines\n", "and a column phone or email, but begins with 'name, company'"),
        ("name,Phone,Mobile\n", "the columns 'Phone' and 'Mobile' mean the same, phone; keep one of them"),
        ("name,phone\nAda,81\x0005550123\n", "line 2 holds a NUL byte; save the file as CSV UTF-8"),
        (b"PK\x03\x04\x14\x00\x06\x00", "is a spreadsheet workbook; save it as CSV UTF-8"),
        (b"name,phone\nZo\x81,8105550123\n", "line 2 is neither UTF-8 nor Windows-1252; save it as CSV UTF-8"),
        ("name,phone\n\ud800,8105550123\n", "half a character"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_says_what_it_needs(content: str | bytes, sentence: str) -> None:
    assert sentence in refusal(content)


def test_damaged_utf8_is_refused_and_not_turned_into_wrong_letters() -> None:
    damaged = "name,phone\nZoë,8105550123\n".encode() + b"Ren\xe9,8105550124\n"
    assert "line 3 is neither UTF-8 nor Windows-1252" in refusal(damaged)


def test_an_unknown_region_is_said_once_and_not_for_every_row() -> None:
    with pytest.raises(InvalidInput, match="region: 'XX' is not a country code"):
        read("name,phone\nAda,8105550123\nBob,8105550124\n", region="XX")


def test_the_limits_are_those_of_the_table() -> None:
    columns = Contractor.__table__.columns
    assert {name: columns[name].type.length for name in LIMITS} == LIMITS  # type: ignore[attr-defined]


_rows = st.lists(
    st.lists(st.text(max_size=12) | st.sampled_from(["8105550123", "ada@example.org", "Ada", "UTC"]), max_size=5),
    max_size=6,
)


@settings(deadline=None)
@given(st.text() | st.binary() | st.binary().map(lambda tail: b"name,phone,email\n" + tail))
def test_nothing_but_an_error_for_people_comes_of_any_content(content: str | bytes) -> None:
    found = outcome(content)
    assert isinstance(found, list) or found.message


@settings(deadline=None)
@given(rows=_rows, delimiter=st.sampled_from([",", ";", "\t"]))
def test_people_are_complete_and_unique_or_nobody_is_imported(rows: list[list[str]], delimiter: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(["name", "phone", "email", "company", "timezone"])
    writer.writerows(rows)
    lines = out.getvalue().count("\n") + out.getvalue().count("\r") + 1
    people = outcome(out.getvalue())
    if isinstance(people, InvalidRows):
        assert people.rows
        assert all(1 < row.line <= lines for row in people.rows)
    elif isinstance(people, InvalidInput):
        assert "NUL" in people.message
    else:
        assert all(person.name and (person.phone or person.email) for person in people)
        for known in ([p.phone for p in people if p.phone], [p.email for p in people if p.email]):
            assert len(known) == len(set(known))
