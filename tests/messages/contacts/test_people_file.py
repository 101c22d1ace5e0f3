from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import every_case
from tidings.errors import InvalidInput, InvalidRows
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.files.people_file import LIMITS, HowToRead, PeopleFile, Person, read_people

DATA = Path(__file__).parents[2] / "data" / "people"
ADA = Person(name="Ada Lovelace", first_name="Ada", last_name="Lovelace", phone="+18105550123")


def read(text: str | bytes, region: str = "US") -> PeopleFile:
    return read_people(text, region=region, source="people.csv")


def only(text: str | bytes, region: str = "US") -> Person:
    (person,) = read(text, region).people
    return person


def outcome(text: str | bytes) -> PeopleFile | InvalidInput:
    try:
        return read(text)
    except InvalidInput as error:
        return error


def refusal(text: str | bytes) -> str:
    with pytest.raises(InvalidInput) as caught:
        read(text)
    return str(caught.value)


def test_every_column_is_read() -> None:
    text = (
        "name,first_name,last_name,phone,email,company_name,timezone,ghl_contact_id,ghl_location_id,sessions\n"
        "Dr. Ada Lovelace,Ada,Lovelace,(810) 555-0123,ada@Example.org,Engines Ltd.,Europe/London,c1,l1,a; b | c\n"
    )
    assert read(text).people == [
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
            sessions=("a", "b", "c"),
        )
    ]


@every_case(
    "header",
    [
        *("name,phone", "Name,Phone", "FULL NAME,Mobile", "full_name,Phone-Number", "Full  name , Cell "),
        *('"Name","Tel."', "Name (required),Phone *", "Vor- und Nachname,Handynummer", "Nombre completo,Teléfono"),
        *("What is your name?,Your phone number (with country code)", "Name,Phone (mobile)", "Name,Handy-Nr."),
        *(
            "Wie ist Ihr Name?,Telefon (privat)",
            "Ihr Name,Ihre Telefonnummer",
            "Your full name *,Mobile number [SMS]",
        ),
        *("Nom complet,Téléphone portable", "Namn,Mobilnummer", "Nome completo,Telemóvel", "Nom,N° de téléphone"),
    ],
)
def test_columns_are_known_by_their_usual_names_in_several_languages(header: str) -> None:
    assert read(f"{header}\nAda Lovelace,8105550123\n").people == [ADA]


@every_case(
    "header",
    [
        *(
            "First Name,Last Name,E-mail,Company",
            "Vorname;Nachname;E-Mail-Adresse;Firma",
            "Nombre;Apellidos;Correo;Empresa",
        ),
        *("Prénom;Nom;Courriel;Société", "Förnamn;Efternamn;E-post;Företag", "Nome;Sobrenome;E-mail;Empresa"),
        *("Voornaam,Achternaam,E-mailadres,Bedrijf", "Imię;Nazwisko;Adres e-mail;Firma"),
    ],
)
def test_names_in_two_columns_are_known_in_several_languages(header: str) -> None:
    sign = ";" if ";" in header else ","
    person = only(f"{header}\n{sign.join(['Ada', 'Lovelace', 'ada@example.org', 'Engines'])}\n")
    assert (person.name, person.first_name, person.email, person.company_name) == (
        *("Ada Lovelace", "Ada", "ada@example.org", "Engines"),
    )


def test_columns_may_come_in_any_order_and_those_not_used_are_named() -> None:
    text = (
        "Badge,E-Mail,Surname,Given name,Organisation,Time zone\n7,ada@example.org,Lovelace,Ada,Engines,Asia/Tokyo\n"
    )
    found = read(text)
    (person,) = found.people
    assert (person.name, person.email, person.company_name, person.timezone) == (
        *("Ada Lovelace", "ada@example.org", "Engines", "Asia/Tokyo"),
    )
    assert found.unused == ["Badge"]


@every_case("delimiter", [",", ";", "\t", "|"])
@every_case("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@every_case("newline", ["\n", "\r\n", "\r"])
def test_spreadsheets_exports_are_read(delimiter: str, encoding: str, newline: str) -> None:
    rows = [("name", "company", "phone"), ("Zoë Müller", "Café, Bar; Söhne | Co", "+18105550123")]
    text = "".join(delimiter.join(f'"{cell}"' for cell in row) + newline for row in rows)
    person = only(text.encode(encoding))
    assert (person.first_name, person.last_name, person.company_name) == ("Zoë", "Müller", "Café, Bar; Söhne | Co")


@every_case(
    ("text", "line"),
    [
        ("sep=;\nname;phone\nAda Lovelace;8105550123\n", 3),
        ("My guests\n\nname,phone\nAda Lovelace,8105550123\n", 4),
        ('Notes:\n"When exporting, some mails, may be missing"\n\nname,phone\nAda Lovelace,8105550123\n', 5),
        ("Exported by Ben,on Monday,,\n,,,\nname,phone,,\nAda Lovelace,8105550123,,\n", 4),
        ('An odd "title" line,"x"y\nname,phone\nAda Lovelace,8105550123\n', 3),
        ("name,phone\nname,phone\nAda Lovelace,8105550123\n", 3),
        ("name,phone\nAda Lovelace,8105550123\nTotal,1\n", 2),
        ("name,phone\nAda Lovelace,8105550123\nTotal: 1\n", 2),
        ("name,phone\nAda Lovelace,8105550123\nSumme,,\n", 2),
        ("\n\nname,phone,,\n\nAda Lovelace,8105550123,,\n,,,\n\n", 5),
        ("name,phone\nAda Love\0lace,8105550123\n", 2),
        ("name,name,phone,phone\n,Ada Lovelace,,8105550123\n", 2),
        ('name,phone\n"Ada\nLovelace",8105550123\n', 2),
    ],
)
def test_what_stands_around_the_people_does_not_matter(text: str, line: int) -> None:
    found = read(text)
    assert found.people == [ADA]
    assert found.people[0].line == line
    assert not found.bad


@every_case(
    ("columns", "values", "names"),
    [
        ("name", "Ada Lovelace", ("Ada Lovelace", "Ada", "Lovelace")),
        ("name", "Ludwig van Beethoven", ("Ludwig van Beethoven", "Ludwig", "van Beethoven")),
        ("name", "Plato", ("Plato", "Plato", None)),
        ("name", '"Lovelace, Ada"', ("Ada Lovelace", "Ada", "Lovelace")),
        ("name", "  Ada \u00a0 Lovelace ", ("Ada Lovelace", "Ada", "Lovelace")),
        ("name", "A\u200bda\x07 Lovelace", ("Ada Lovelace", "Ada", "Lovelace")),
        ("first name,last name", "Ada,Lovelace", ("Ada Lovelace", "Ada", "Lovelace")),
        ("first name,last name", "Ada,", ("Ada", "Ada", None)),
        ("first name,last name", "Ada,N/A", ("Ada", "Ada", None)),
        ("first name,last name", ",Lovelace", ("Lovelace", "Lovelace", None)),
        ("first name,last name", "ADA,LOVELACE", ("Ada Lovelace", "Ada", "Lovelace")),
        ("name,first name,last name", '"Sample, Bob","Sample,",Bob', ("Bob Sample", "Bob", "Sample")),
        ("name,first name", "Countess Lovelace,Ada", ("Countess Lovelace", "Ada", None)),
        ("nombre", "Ada Lovelace", ("Ada Lovelace", "Ada", "Lovelace")),
        ("name", "ada@example.org", ("", None, None)),
        ("name", "", ("", None, None)),
        ("name", "-", ("", None, None)),
    ],
)
def test_a_name_is_made_of_its_parts_and_the_parts_of_a_name(
    columns: str, values: str, names: tuple[str, str | None, str | None]
) -> None:
    person = only(f"{columns},phone\n{values},8105550123\n")
    assert (person.name, person.first_name, person.last_name) == names


@every_case(
    ("cell", "phone", "further"),
    [
        ("'+18105550123", "+18105550123", ()),
        ('"=""+18105550123"""', "+18105550123", ()),
        ("18105550123.0", "+18105550123", ()),
        ("=+18105550123", "+18105550123", ()),
        ("+49 (0) 151 12345678", "+4915112345678", ()),
        ("+1 810 555 0123 ext. 12", "+18105550123", ()),
        ("(810) 555-0123 x5", "+18105550123", ()),
        ("810 555 0123 #5", "+18105550123", ()),
        ('"810 555 0123,12"', "+18105550123", ()),
        ("+49 30 901820 Durchwahl 12", "+4930901820", ()),
        ("+33 1 42 68 53 00 poste 12", "+33142685300", ()),
        ("810-555-0123 / 810-555-0124", "+18105550123", ("+18105550124",)),
        ("+1 810 555 0123; +1 810 555 0124", "+18105550123", ("+18105550124",)),
        ("8105550123 or 8105550124", "+18105550123", ("+18105550124",)),
        ("8105550123 | 8105550124", "+18105550123", ("+18105550124",)),
        ('"8105550123\n8105550124"', "+18105550123", ("+18105550124",)),
        ('"mobile: 8105550123, work: 8105550124 ext 3"', "+18105550123", ("+18105550124",)),
        ("+49 30 901820 / +49 151 12345678", "+4915112345678", ("+4930901820",)),
        ("+18105550123 ::: +18105550124", "+18105550123", ("+18105550124",)),
        ("none / +18105550123", "+18105550123", ()),
        ("12345 or 8105550123 or 8105550124", "+18105550123", ("+18105550124",)),
        ("8105550123 / 8105550123", "+18105550123", ()),
    ],
)
def test_phones_are_read_as_people_and_spreadsheets_write_them(
    cell: str, phone: str, further: tuple[str, ...]
) -> None:
    person = only(f"name,phone\nAda Lovelace,{cell}\n")
    assert (person.phone, person.addresses) == (phone, further)


def test_an_extension_that_is_left_away_is_noted() -> None:
    (note,) = read("name,phone\nAda,+1 810 555 0123 ext. 12\n").notes
    assert str(note) == "line 2: phone: +18105550123 has the extension 12, which messages cannot reach"


def test_phones_without_country_code_are_read_in_the_region() -> None:
    assert only("name;phone\nAda;0170 1234567\n", region="DE").phone == "+491701234567"


@every_case(
    ("header", "row", "phone", "further"),
    [
        ("phone,mobile", "810 555 0199,810 555 0101", "+18105550101", ("+18105550199",)),
        ("work phone,cell phone", "810 555 0199,810 555 0101", "+18105550101", ("+18105550199",)),
        ("mobile,phone", "N/A,810 555 0101", "+18105550101", ()),
        ("phone 1 - label,phone 1 - value,phone 2 - label,phone 2 - value",
         "Work,810 555 0199,Mobile,810 555 0101", "+18105550101", ("+18105550199",)),
        ("mobile,phone", "+49 30 901820,+49 151 12345678", "+4915112345678", ("+4930901820",)),
        ("home phone,other phone", ",810 555 0101", "+18105550101", ()),
    ],
)  # fmt: skip
def test_the_mobile_is_written_to_and_the_others_are_kept(
    header: str, row: str, phone: str, further: tuple[str, ...]
) -> None:
    person = only(f"name,{header}\nAda,{row}\n")
    assert (person.phone, person.addresses) == (phone, further)


@every_case(
    ("cell", "email", "further"),
    [
        ("Ada Abara <ADA@EXAMPLE.COM>", "ada@example.com", ()),
        ("mailto:ada@example.com", "ada@example.com", ()),
        ("MAILTO:Ada@example.com?subject=Hi", "ada@example.com", ()),
        ('"""Abara, Ada"" <ada@example.com>"', "ada@example.com", ()),
        ("<ada@example.com>", "ada@example.com", ()),
        ("[ada@example.com](mailto:ada@example.com)", "ada@example.com", ()),
        ("ada@example.com; ada@work.example", "ada@example.com", ("ada@work.example",)),
        ('"ada@example.com, ada@work.example"', "ada@example.com", ("ada@work.example",)),
        ('"ada@example.com\nada@work.example"', "ada@example.com", ("ada@work.example",)),
        ("ada@example.com.", "ada@example.com", ()),
        ("'ada@example.com", "ada@example.com", ()),
        ("ada@example.com / nonsense@", "ada@example.com", ()),
    ],
)
def test_mail_addresses_are_read_as_programs_write_them(cell: str, email: str, further: tuple[str, ...]) -> None:
    found = only(f"name,email\nAda,{cell}\n")
    assert (found.email, found.addresses) == (email, further)


def test_the_name_of_a_mail_address_is_taken_where_there_is_no_other() -> None:
    assert only('email\n"""Abara, Ada"" <ada@example.com>"\n').name == "Ada Abara"


@every_case(
    "nothing",
    [
        *(
            "N/A",
            "n/a",
            "-",
            "--",
            "none",
            "(none)",
            "None",
            "0",
            "null",
            "NULL",
            "unknown",
            "n.a.",
            "k.A.",
            "x",
            "NaN",
        ),
        *("#N/A", "?", ".", "unbekannt", "aucun", "undefined", "'-", " - "),
    ],
)
def test_what_stands_for_nothing_is_nothing_in_every_column(nothing: str) -> None:
    cells = ",".join(["Ada", nothing, "a@example.com", *[nothing] * 4])
    person = only(f"name,phone,email,company,timezone,contact id,sessions\n{cells}\n")
    assert person == Person(name="Ada", first_name="Ada", email="a@example.com")
    person = only(f"name,phone,email\n{nothing},8105550123,{nothing}\n")
    assert person == Person(name="", phone="+18105550123")


@every_case("name", ["Na", "Nan", "Nil", "Ka"])
def test_a_name_that_others_write_for_nothing_is_one(name: str) -> None:
    person = only(f"first name,last name,phone,email\n{name},Boyd,{name},a@example.com\n")
    assert (person.name, person.first_name, person.phone) == (f"{name} Boyd", name, None)


def test_people_know_their_lines() -> None:
    text = 'sep=,\n\nname,phone\n\n"Ada\nLovelace",8105550123\n,\nBob,8105550124\n'
    assert [(person.name, person.line) for person in read(text).people] == [("Ada Lovelace", 5), ("Bob", 8)]


def test_a_file_with_only_a_header_has_no_people() -> None:
    assert read("name,phone\n").people == []


@every_case(
    ("header", "row", "field", "message"),
    [
        ("name,phone", "Ada,12", "phone", "'12' is not a phone number that can exist in US"),
        ("name,phone", "Ada,4.915112E+12", "phone", "has lost its digits to a spreadsheet"),
        ("name,phone", "Ada,4.915112E+12", "phone", "export the file once more from where it comes from"),
        ("name,email", "Ada,ada@", "email", "'ada@' is not an email address: "),
        ("name,phone,email", "Ada,,", "phone", "is missing, and so is an email; one of them is needed"),
        ("name,phone", "Ada", "phone", "is missing, and so is an email; one of them is needed"),
        ("name,phone", '"Ada,8105550123', "quotes", "cannot be read: unexpected end of data; check its quotation"),
        ("name,phone", '"Ada"x,8105550123', "quotes", "cannot be read: "),
    ],
)
def test_a_line_that_cannot_be_used_is_named_with_what_to_change_and_the_others_are_read(
    header: str, row: str, field: str, message: str
) -> None:
    before = "Bob" + ",bob@example.org" * header.count(",") if "email" in header else "Bob,8105550199"
    found = read(f"{header}\n{before}\n{row}\n{before.replace('Bob', 'Cyd').replace('bob', 'cyd')}\n")
    assert [person.line for person in found.people] == [2, 4]
    assert {(row.line, row.field) for row in found.left_out} == {(3, field)}
    assert message in found.left_out[0].message


@every_case(
    ("header", "row", "field", "message"),
    [
        ("name,phone,email", "Ada,12,ada@example.org", "phone", "'12' is not a phone number that can exist in US"),
        ("name,phone,email", "Ada,8105550123,ada@", "email", "'ada@' is not an email address"),
        ("name,email", "Ada,ada@example.org,ada,x", "columns", "there are 4 where the first line has 2, and what is"),
        ("name,email", "A" * 201 + ",ada@example.org", "name", "has 201 characters; 200 are the most"),
        ("name,email,company", "Ada,ada@example.org," + "x" * 201, "company_name", "has 201 characters; 200 are the"),
        ("name,email,contact id", "Ada,ada@example.org," + "x" * 65, "ghl_contact_id", "has 65 characters; 64 are"),
        ("name,email,timezone", "Ada,ada@example.org,Berlin", "timezone", "'Berlin' is not an IANA timezone; write"),
        ("name,email", "Zo\ufffd,ada@example.org", "name", "holds \ufffd where a letter was lost; write it again"),
        (
            "email,accepts sms marketing",
            "ada@example.org,perhaps",
            "sms_consent",
            "'perhaps' says neither yes nor no",
        ),
    ],
)
def test_a_part_that_cannot_be_used_is_named_and_the_rest_of_the_line_is(
    header: str, row: str, field: str, message: str
) -> None:
    found = read(f"{header}\n{row}\n")
    assert len(found.people) == 1
    ((line, named, sentence),) = [(row.line, row.field, row.message) for row in found.dropped]
    assert (line, named) == (2, field)
    assert message in sentence


def test_strictly_everything_that_cannot_be_used_refuses_the_file() -> None:
    text = "name,phone,email\nAda,12,ada@example.org\nBob,,\nCyd,8105550123,\n"
    with pytest.raises(InvalidRows) as refused:
        read_people(text, source="people.csv", strict=True)
    assert [(row.line, row.field) for row in refused.value.rows] == [(2, "phone"), (3, "phone")]
    assert refused.value.field == "people.csv"


def test_somebody_who_stands_there_twice_is_one_person_with_all_that_is_said_of_them() -> None:
    text = (
        "name,phone,email,company,sessions\n"
        "Ada,8105550123,ada@example.org,,a\n"
        "Bob,,bob@example.org,,\n"
        "Ada Abara,+1 (810) 555-0123,ada@work.example,Engines,b\n"
        "Ada Abara,,ADA@Example.ORG,,a\n"
    )
    found = read(text)
    assert found.said_twice == 2
    ada, bob = found.people
    assert bob.name == "Bob"
    assert ada == Person(
        name="Ada Abara",
        first_name="Ada",
        last_name="Abara",
        phone="+18105550123",
        email="ada@example.org",
        company_name="Engines",
        addresses=("ada@work.example",),
        sessions=("a", "b"),
    )


def test_a_family_with_one_phone_is_several_people_and_who_has_no_name_is_whoever_has_the_address() -> None:
    text = "name,phone\nAda Abara,8105550123\nBen Abara,8105550123\nEve Eklund,8105550124\n,8105550124\n"
    found = read(text)
    assert [person.name for person in found.people] == ["Ada Abara", "Ben Abara", "Eve Eklund"]
    assert found.said_twice == 1


def test_a_line_that_may_be_about_either_of_two_people_is_left_out() -> None:
    text = (
        "name,phone,email\nAda Abara,8105550123,\nA. Abara,,ada@example.org\nAda Abara,8105550123,ada@example.org\n"
    )
    (row,) = read(text).left_out
    assert str(row) == "line 4: name: may be the person of line 2 or 3; keep one of them"


def test_all_bad_rows_come_at_once_under_the_lines_an_editor_shows() -> None:
    text = (
        "name,company,phone\r\n"
        '"Ada\r\nLovelace","Engines,\r\nLtd.",8105550123\r\n'
        "\r\n"
        'Bob,"two\r\nlines",12\r\n'
        "Cid,,8105550124\r\n"
        ",,34\r\n"
    )
    assert [(row.line, row.field) for row in read(text).left_out] == [(6, "phone"), (9, "phone")]


def test_a_quotation_mark_that_is_never_closed_costs_one_line_and_not_the_rest_of_the_file() -> None:
    lines = [f"Person {number},810555{number:04}" for number in range(500)]
    text = "\n".join(["name,phone", '"Ada,8105550123', *lines])
    found = read(text)
    assert len(found.people) == 500
    assert [row.line for row in found.left_out] == [2]
    assert found.people[-1].line == 502


@every_case(
    ("content", "sentence"),
    [
        ("", "people.csv: is empty; it needs a column phone or email"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"BEGIN:VCARD\nTEL:+18105550101\nEND:VCARD\n", "is an address book of vCards, not a table; save it as CSV"),
        (b"\xef\xbb\xbf<html><table><tr><td>Phone</td></tr></table></html>", "is a web page, whatever it is called"),
        ('[{"phone": "+18105550101"}]', "is JSON, not a table"),
        ("\n,,\n \n", "is empty"),
        ("Ada Lovelace,8105550123\n", "its first line does not name the columns; it needs a column phone or email"),
        ("name,company\nAda,Engines\n", "but begins with 'name, company'; see --map"),
        (b"PK\x03\x04\x14\x00\x06\x00", "cannot be read as a workbook"),
        (b"\xd0\xcf\x11\xe0rest", "is an old or a protected workbook; save it without a password as .xlsx"),
        ("name,phone\n\ud800,8105550123\n", "half a character"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_says_what_it_needs(content: str | bytes, sentence: str) -> None:
    assert sentence in refusal(content)


def test_letters_that_are_damaged_are_not_turned_into_wrong_ones() -> None:
    found = read("name,phone\nZoë,8105550123\n".encode() + b"Ren\xe9,8105550124\n")
    assert [person.name for person in found.people] == ["Zoë", ""]
    assert [(row.line, row.field) for row in found.dropped] == [(3, "name")]


def test_an_unknown_region_is_said_once_and_not_for_every_row() -> None:
    with pytest.raises(InvalidInput, match="region: 'XX' is not a country code"):
        read("name,phone\nAda,8105550123\nBob,8105550124\n", region="XX")


def test_the_limits_are_those_of_the_table() -> None:
    columns = Contractor.__table__.columns
    assert {name: columns[name].type.length for name in LIMITS} == LIMITS  # type: ignore[attr-defined]


def test_a_column_may_be_mapped_and_ignored() -> None:
    how = HowToRead(columns={"Handy privat": "mobile", "Status": "ignore"})
    found = read_people("Name,Handy privat,Status\nAda,8105550123,Gold\n", source="people.csv", how=how)
    assert [person.phone for person in found.people] == ["+18105550123"]
    assert (found.unknown, found.unused) == ({}, ["Status"])


@every_case(
    ("name", "people"),
    [
        ("angle-mailto.csv", ["Ada Abara ada@example.com", "Ben Boyd ben@example.com"]),
        ("cp1250-polish.csv", ["Łukasz Żak +48512345678"]),
        ("de-plus-stripped.csv", ["Ada Abara +4915112345678"]),
        ("eventbrite-buyer-of-two.csv", ["Ada Abara +18105550101 ada@example.com",
                                         "Ben Boyd +18105550102 ben@example.com"]),
        ("family-one-phone.csv", ["Ada Abara +18105550101 ada@example.com",
                                  "Ben Abara +18105550101 ben@example.com"]),
        ("german-headers.csv", ["Ada Abara +4915112345678 ada@example.com"]),
        ("hubspot-two-phones.csv", ["Ada Abara +18105550101 ada@example.com",
                                    "Ben Boyd +18105550102 ben@example.com +18105550199"]),
        ("linkedin-blank-emails.csv", ["Ada Abara ada@example.com"]),
        ("luma-nameless.csv", ["Ada Abara +18105550101 ada@example.com", " anon@example.com"]),
        ("na.csv", [f"{name} {name.lower()}@example.com" for name in ("Ada", "Ben", "Cyd", "Dan")]),
        ("names.csv", ["Ada Abara +18105550101 ada@example.com", "Dr. Ben Boyd +18105550102 ben@example.com",
                       "Ada Abara +18105550103 c@example.com", "Cyd Cole +18105550104 d@example.com",
                       " +18105550105 e@example.com"]),
        ("phone-ext.csv", ["Ada +18105550101", "Ben +18105550102"]),
        ("pretix-checkin-list.csv", ["Ada Abara +4915112345678 ada@example.com"]),
        ("ragged.csv", ["Ada ada@example.com", "Ben ben@example.com", "Cyd cyd@example.com"]),
        ("two-phones-in-cell.csv", ["Ada +18105550101 +18105550102", "Ben +18105550103 +18105550104"]),
    ],
)  # fmt: skip
def test_files_as_others_export_them(name: str, people: list[str]) -> None:
    found = read_people(DATA / name, source=name)
    said = [
        " ".join([person.name, *filter(None, (person.phone, person.email)), *person.addresses])
        for person in found.people
    ]
    assert said == people


_rows = st.lists(
    st.lists(st.text(max_size=12) | st.sampled_from(["8105550123", "ada@example.org", "Ada", "UTC"]), max_size=5),
    max_size=6,
)


@settings(deadline=None)
@given(st.text() | st.binary() | st.binary().map(lambda tail: b"name,phone,email\n" + tail))
def test_nothing_but_an_error_for_people_comes_of_any_content(content: str | bytes) -> None:
    found = outcome(content)
    assert isinstance(found, PeopleFile) or found.message


@settings(deadline=None)
@given(rows=_rows, delimiter=st.sampled_from([",", ";", "\t"]))
def test_every_line_is_somebody_or_told_and_nobody_lacks_an_address(rows: list[list[str]], delimiter: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(["name", "phone", "email", "company", "timezone"])
    writer.writerows(rows)
    lines = out.getvalue().count("\n") + out.getvalue().count("\r") + 1
    found = outcome(out.getvalue())
    if isinstance(found, InvalidInput):
        assert "surrogate" in found.message
        return
    told = {row.line for row in (*found.left_out, *found.dropped, *found.notes)}
    assert all(1 < line <= lines for line in told)
    assert all(person.phone or person.email for person in found.people)
    keys = [(person.name, person.phone, person.email) for person in found.people]
    assert len(keys) == len(set(keys))
