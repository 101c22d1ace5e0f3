"""Consents as other programs export them: what each line says, and what is wrong with it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tidings.errors import InvalidInput
from tidings.messages.contacts.consents.consent_file import read_consents

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NEW_YORK = "America/New_York"

SHOPIFY = (
    "Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address Company,Default Address Address1,"
    "Default Address Phone,Phone,Accepts SMS Marketing,Total Spent,Tags"
)
KLAVIYO = (
    "Email,Phone Number,First Name,Email Marketing Consent,Email Marketing Consent Timestamp,SMS Marketing Consent,"
    "SMS Marketing Consent Timestamp,SMS Consent Method"
)
ATTENTIVE = "phone,email,subscription_type,status,subscribed_at,opt_in_source"
POSTSCRIPT = "Phone Number,Name,Opted In At,Opted Out At,Origin"
OWN = "phone,granted,at,source,wording"

LINES: dict[str, tuple[str, list[tuple[str, str, bool, str | None, str | None]], list[str]]] = {
    f"{SHOPIFY}\n'1,Ada,Abara,ada@example.com,yes,Acme,1 Main,'8105550199,'+18105550101,no,10.00,vip": (
        "Shopify, yes to mail and no to texts",
        [("+18105550101", "sms", False, None, None), ("ada@example.com", "email", True, None, None)],
        [],
    ),
    f"{SHOPIFY}\n'3,Cyd,Cole,,no,,,,,no,0.00,": ("Shopify, nobody to write to", [], []),
    f"{SHOPIFY}\n'4,Dee,Doe,,yes,,,,'+18105550104,yes,0.00,": (
        "Shopify, yes to mail without a mail address",
        [("+18105550104", "sms", True, None, None)],
        ["email"],
    ),
    f"{KLAVIYO}\nADA@Example.com,810-555-0101,Ada,SUBSCRIBED,2025-03-01T10:00:00+00:00,NEVER_SUBSCRIBED,,": (
        "Klaviyo, never asked for texts",
        [("ada@example.com", "email", True, "2025-03-01T10:00:00+00:00", None)],
        [],
    ),
    f"{KLAVIYO}\n,+4915112345678,Ada,,,UNSUBSCRIBED,2025-03-01 10:00:00,form": (
        "Klaviyo, a naive time is the shop's",
        [("+4915112345678", "sms", False, "2025-03-01T15:00:00+00:00", "form")],
        [],
    ),
    f"{ATTENTIVE}\n8105550101,ada@example.com,TEXT,Opted In,2025-03-01T10:00:00Z,Checkout": (
        "Attentive, one channel a line",
        [("+18105550101", "sms", True, "2025-03-01T10:00:00+00:00", "Checkout")],
        [],
    ),
    f"{ATTENTIVE}\n8105550101,,FAX,Opted In,2025-03-01T10:00:00Z,": ("a channel that is none", [], ["channel"]),
    f"{ATTENTIVE}\n8105550101,,WhatsApp,Opted In,2025-03-01T10:00:00Z,": (
        "WhatsApp by its channel",
        [("+18105550101", "whatsapp", True, "2025-03-01T10:00:00+00:00", None)],
        [],
    ),
    "phone,sms consent,whatsapp consent\n+18105550101,no,yes": (
        "WhatsApp in a column of its own",
        [("+18105550101", "sms", False, None, None), ("+18105550101", "whatsapp", True, None, None)],
        [],
    ),
    "Telefon;Kanal;Einwilligung;Quelle;Datum\n+4915112345678;SMS;ja;Formular;01.02.2025": (
        "German headers",
        [("+4915112345678", "sms", True, "2025-02-01T05:00:00+00:00", "Formular")],
        [],
    ),
    f"{POSTSCRIPT}\n+18105550101,Ada Abara,03/25/2025 10:30,,Keyword (VIP)": (
        "Postscript, no state but when they opted in",
        [("+18105550101", "sms", True, "2025-03-25T14:30:00+00:00", "Keyword (VIP)")],
        [],
    ),
    f'{POSTSCRIPT}\n+18105550101,Ada,"Mar 2, 2025","Apr 2, 2025",': (
        "Postscript, opted out later",
        [("+18105550101", "sms", False, "2025-04-02T04:00:00+00:00", None)],
        [],
    ),
    f"{OWN}\n+18105550101,yes,04/05/2025,,": ("a day that may be in two months", [], ["at"]),
    f"{OWN}\n+18105550101,yes,2030-01-01,,": ("a day to come", [], ["at"]),
    f"{OWN}\n+18105550101,yes,soon,,": ("no time", [], ["at"]),
    f"{OWN}\n+18105550101,maybe,,,": ("neither yes nor no", [], ["granted"]),
    f"{OWN}\n12,yes,,,": ("no number", [], ["phone"]),
    f"{OWN}\n+18105550101,yes": ("cells are missing", [("+18105550101", "sms", True, None, None)], []),
    f"{OWN}\n+1 810 555 0101 ext. 12,yes": ("an extension", [("+18105550101", "sms", True, None, None)], []),
    f"{OWN}\n810-555-0101 / 810-555-0102,yes": ("two numbers", [("+18105550101", "sms", True, None, None)], []),
    "email,granted\nAda Abara <ADA@example.com>,yes": (
        "a mail address with a name",
        [("ada@example.com", "email", True, None, None)],
        [],
    ),
    f"{OWN}\n+18105550101,yes,,,,more": ("too many cells", [], ["columns"]),
    f'{OWN}\n+18105550101,1,1740823200,form,"Yes, write to me"': (
        "seconds since 1970",
        [("+18105550101", "sms", True, "2025-03-01T10:00:00+00:00", "form")],
        [],
    ),
    "Mobile;Status\n0151 12345678;y\n": ("semicolons and a number without +", [], ["phone"]),
}


def test_what_each_export_says_is_read_and_what_is_wrong_with_a_part_of_a_line_is_told() -> None:
    def read(text: str) -> object:
        lines = list(read_consents(text, region="US", timezone=NEW_YORK, source="list.csv", now=NOW))
        said = [
            (one.person.address, one.channel, one.granted, one.at and one.at.isoformat(), one.source)
            for line in lines
            for one in line.said
        ]
        fields = ["state" if row.field == "granted" else row.field for line in lines for row in line.bad]
        return said, fields

    for text, (case, said, fields) in LINES.items():
        expected = said, ["state" if field == "granted" else field for field in fields]
        assert read(text) == expected, case


def test_every_mistake_is_a_sentence_with_its_line() -> None:
    text = f"{OWN}\n+18105550101,yes,,,\n\n+18105550102,perhaps,,,"
    [_, line] = read_consents(text, region="US", timezone=NEW_YORK, source="list.csv", now=NOW)
    assert str(line.bad[0]).startswith("line 4: state: 'perhaps' says neither yes nor no; write yes, no")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("phone,name\n+18105550101,Ada", "one that says whether consent was given"),
        ("granted,at\nyes,", "it needs a column phone or email"),
        ("phone,mobile,granted\n1,2,yes", "mean the same, phone"),
    ],
)
def test_a_file_that_says_nothing_about_consent_is_refused_with_what_it_needs(text: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        read_consents(text, region="US", timezone=NEW_YORK, source="list.csv", now=NOW)
