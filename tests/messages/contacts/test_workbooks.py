"""Spreadsheets of people, as programs and people save them."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import date
from typing import Any

import openpyxl
import pytest

from tidings.errors import InvalidInput
from tidings.messages.contacts.files import workbooks
from tidings.messages.contacts.files.people_file import HowToRead, PeopleFile, read_people


def book(*rows: list[Any], others: dict[str, list[list[Any]]] | None = None) -> bytes:
    made = openpyxl.Workbook()
    for row in rows:
        made.active.append(row)
    for name, more in (others or {}).items():
        sheet = made.create_sheet(name)
        for row in more:
            sheet.append(row)
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


def read(data: bytes, sheet: str | None = None) -> PeopleFile:
    return read_people(data, source="people.xlsx", how=HowToRead(sheet=sheet))


def test_numbers_stay_numbers_and_dates_do_no_harm() -> None:
    data = book(
        ["Guests of May", None, None, None],
        ["Name", "Phone", "Email", "Created"],
        ["Łukasz Żak", 48512345678, "l@example.com", date(2026, 11, 1)],
        [None, None, None, None],
        ["Ben Boyd", 18105550102.0, None, None],
        ["Cyd Cole", "+1 810 555 0103 / +1 810 555 0104", "N/A", None],
    )
    people = read(data).people
    assert [(person.name, person.phone, person.line) for person in people] == [
        ("Łukasz Żak", "+48512345678", 3),
        ("Ben Boyd", "+18105550102", 5),
        ("Cyd Cole", "+18105550103", 6),
    ]


def test_a_formula_is_what_it_came_to() -> None:
    data = book(["Name", "Phone"], ["Ada", '=CONCATENATE("+1810555","0101")'])
    unpacked = zipfile.ZipFile(io.BytesIO(data))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as parts:
        for name in unpacked.namelist():
            content = unpacked.read(name)
            if name.endswith("sheet1.xml"):  # as a spreadsheet program saves it, with the value
                content = re.sub(rb"</f><v ?(/>|></v>)", b"</f><v>18105550101</v>", content)
            parts.writestr(name, content)
    (person,) = read(made.getvalue()).people
    assert person.phone == "+18105550101"


def test_the_first_sheet_is_read_or_the_one_that_is_named() -> None:
    data = book(
        ["Name", "Phone"], ["Ada", "8105550101"], others={"Speakers": [["Name", "Email"], ["Ben", "b@example.com"]]}
    )
    first = read(data)
    assert [person.name for person in first.people] == ["Ada"]
    assert first.said == ["read the sheet 'Sheet'; --sheet chooses another: Speakers"]
    assert [person.name for person in read(data, "speakers").people] == ["Ben"]
    with pytest.raises(InvalidInput, match="has no sheet 'Speaker'; did you mean Speakers"):
        read(data, "Speaker")


def test_a_workbook_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("xl/workbook.xml", "<workbook/>")
        parts.writestr("xl/sharedStrings.xml", b" " * 3_000_000)
    monkeypatch.setattr(workbooks, "MOST_BYTES", 2 * 1024**2)
    with pytest.raises(InvalidInput, match="unpacks to 2 MB, and 2 are the most; save it as CSV"):
        read(made.getvalue())


@pytest.mark.parametrize("content", [b"PK\x03\x04broken", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"])
def test_what_is_no_workbook_is_refused_in_a_sentence(content: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"people\.xlsx: .*save it"):
        read(content)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as parts:
        parts.writestr("content.xml", "")
    with pytest.raises(InvalidInput, match=r"is no \.xlsx workbook; save it as \.xlsx or CSV UTF-8"):
        read(made.getvalue())


def test_the_first_sheet_whose_columns_are_known_is_read() -> None:
    others = {"Totals": [["Sum", 2]], "Guests": [["Name", "Phone"], ["Ada", "+18105550101"]]}
    found = read(book(["How to fill this in"], others=others))
    assert [person.phone for person in found.people] == ["+18105550101"]
    assert found.said == ["read the sheet 'Guests', the first one whose columns are known"]
    with pytest.raises(InvalidInput, match="does not name the columns"):
        read(book(["How to fill this in"], others=others), sheet="Totals")
