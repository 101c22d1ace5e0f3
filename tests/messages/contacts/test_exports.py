"""Exports of programs: that they are recognised, and that their statuses, opt-outs and consents are understood."""

from __future__ import annotations

from pathlib import Path

from support.cases import every_case
from tidings.messages.contacts.files.people_file import HowToRead, PeopleFile, Person, read_people
from tidings.messages.contacts.files.statuses import Attendance

DATA = Path(__file__).parents[2] / "data" / "people"

PRETIX = (
    "Event slug,Order code,Position ID,Status,Email,Phone number,Order date,Order time,Product,Variation,Price,"
    "Tax rate,Tax rule,Tax value,Attendee name,Attendee name: Given name,Attendee name: Family name,"
    "Attendee email,Company"
)
EVENTBRITE = "Order #,Order Date,First Name,Surname,Email,Quantity,Ticket Type,Attendee Status,Cell Phone"
LUMA = (
    "api_id,name,first_name,last_name,email,phone_number,created_at,approval_status,custom_source,checked_in_at,"
    "qr_code_url,amount,ticket_type_id,ticket_name"
)
TITO = (
    "Number,Ticket,Ticket Full Name,Ticket First Name,Ticket Last Name,Ticket Email,Ticket Company Name,"
    "Ticket Phone Number,Void Status,Ticket Reference,Order Name,Order Email"
)
HUBSPOT = (
    "Record ID,First Name,Last Name,Email,Phone Number,Mobile Phone Number,Unsubscribed from all email,Lead Status"
)
GHL = "Contact Id,First Name,Last Name,Business Name,Phone,Email,Created,Last Activity,Tags,DND"
ZOHO = "Contact Id,Contact Owner,First Name,Last Name,Email,Phone,Mobile,Account Name,Email Opt Out"
SHOPIFY = (
    "Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address Company,Default Address Phone,"
    "Phone,Accepts SMS Marketing,Total Spent,Tags"
)
SHOPIFY_ORDERS = (
    "Name,Email,Financial Status,Fulfillment Status,Billing Name,Billing Phone,Shipping Phone,Cancelled at,Phone"
)
GOOGLE_NEW = (
    "First Name,Middle Name,Last Name,File As,E-mail 1 - Label,E-mail 1 - Value,Phone 1 - Label,Phone 1 - Value,"
    "Phone 2 - Label,Phone 2 - Value,Organization Name,Notes"
)
GOOGLE_OLD = "Name,Given Name,Family Name,E-mail 1 - Type,E-mail 1 - Value,Phone 1 - Type,Phone 1 - Value"
LINKEDIN = "First Name,Last Name,URL,Email Address,Company,Position,Connected On"
OUTLOOK = "First Name,Last Name,Company,Business Phone,Home Phone,Mobile Phone,E-mail Address,E-mail 2 Address"

ADA = "Ada Abara ada@example.com"


def read(header: str, *rows: str) -> PeopleFile:
    return read_people("\n".join([header, *rows]) + "\n", source="export.csv")


@every_case(
    ("exporter", "header", "row", "person"),
    [
        ("pretix (orders)", PRETIX,
         "conf,Q1,1,Paid,ada@example.com,+18105550101,2026-11-01,10:00,Ticket,,10,0,,0,Ada Abara,Ada,Abara,,Acme",
         f"{ADA} +18105550101 registered"),
        ("pretix (orders)", PRETIX,
         "conf,Q1,2,Canceled,buyer@example.com,,2026-11,10:00,Ticket,,10,0,,0,Ada Abara,Ada,Abara,ada@example.com,",
         f"{ADA} cancelled"),
        ("pretix (orders)", PRETIX,
         "conf,Q1,2,Pending,buyer@example.com,,2026-11-01,10:00,Ticket,,10,0,,0,Ada Abara,Ada,Abara,ada@example.com,",
         f"{ADA} waiting"),
        ("pretix (orders)", PRETIX,
         "conf,Q1,2,Expired,buyer@example.com,,2026-11-01,10:00,Ticket,,10,0,,0,Ada Abara,Ada,Abara,ada@example.com,",
         f"{ADA} cancelled"),
        ("pretalx (speakers)", "name,email,confirmed", "Ada Abara,ada@example.com,True", f"{ADA} registered"),
        ("pretalx (speakers)", "name,email,confirmed", "Ada Abara,ada@example.com,False", f"{ADA} waiting"),
        *[("Eventbrite", EVENTBRITE, f"1001,2026-11-01,Ada,Abara,ada@example.com,1,General,{said},8105550101",
           f"{ADA} +18105550101 {means}")
          for said, means in (("Attending", "registered"), ("Checked In", "registered"),
                              ("Not Attending", "cancelled"),
                              ("Refunded", "cancelled"), ("Deleted", "cancelled"), ("Transferred", "cancelled"))],
        *[("Luma", LUMA, f"g1,Ada Abara,Ada,Abara,ada@example.com,,2026-11-01,{said},,,,,,Free", f"{ADA} {means}")
          for said, means in (("approved", "registered"), ("pending_approval", "waiting"), ("declined", "declined"),
                              ("waitlist", "waiting"), ("invited", "waiting"))],
        ("Luma", LUMA, 'g1,"Abara, Ada","Abara,",Ada,ada@example.com,,2026-11-01,approved,,,,,,Free',
         f"{ADA} registered"),
        ("Tito", TITO, "1,Full,Ada Abara,Ada,Abara,ada@example.com,Acme,,,T-1,Ben Boyd,ben@example.com",
         f"{ADA} registered"),
        ("Tito", TITO, "1,Full,Ada Abara,Ada,Abara,ada@example.com,Acme,,Voided,T-1,Ben Boyd,ben@example.com",
         f"{ADA} cancelled"),
        ("Tito", TITO, "1,Full,,,,,,,,T-1,Ben Boyd,ben@example.com", "Ben Boyd ben@example.com registered"),
        ("HubSpot", HUBSPOT, "51,Ada,Abara,ada@example.com,810 555 0199,+1 810 555 0101,false,Open",
         f"{ADA} +18105550101 registered +18105550199"),
        ("GoHighLevel", GHL, "AbC,Ada,Abara,Acme,+18105550101,ada@example.com,Nov 01 2026,,,false",
         f"{ADA} +18105550101 registered"),
        ("Zoho", ZOHO, "zcrm_1,Ben,Ada,Abara,ada@example.com,810 555 0199,810 555 0101,Acme,false",
         f"{ADA} +18105550101 registered +18105550199"),
        ("Shopify (customers)", SHOPIFY, "'1,Ada,Abara,ada@example.com,no,Acme,'8105550199,'+18105550101,no,10,",
         f"{ADA} +18105550101 registered +18105550199"),
        ("pretalx (speakers)", "ID,Name,E-Mail,Biography,Confirmed",
         "X,Ada Abara,ada@example.com,,False", f"{ADA} waiting"),
        ("Zoho", "Record Id,Contact Owner,First Name,Last Name,Email", "z1,Ben,Ada,Abara,ada@example.com",
         f"{ADA} registered"),
        ("Salesforce", "Salutation,First Name,Last Name,Account Name,Mobile,Phone,Email,Email Opt Out",
         "Ms.,Ada,Abara,Acme,8105550101,8105550199,ada@example.com,0", f"{ADA} +18105550101 registered +18105550199"),
        *[("Shopify (orders)", SHOPIFY_ORDERS, f"#1001,ada@example.com,{paid},,Ada Abara,'+18105550101,,{cancelled},",
           f"{ADA} +18105550101 {means}")
          for paid, cancelled, means in (("paid", "", "registered"), ("pending", "", "waiting"),
                                         ("refunded", "", "cancelled"), ("voided", "", "cancelled"),
                                         ("paid", "2026-11-02 10:00:00 +0100", "cancelled"))],
        ("Google Contacts", GOOGLE_NEW,
         "Ada,,Abara,,* Work,ada@example.com,Work,810 555 0199,Mobile,810 555 0101,Acme,",
         f"{ADA} +18105550101 registered +18105550199"),
        ("Google Contacts", GOOGLE_OLD,
         "Ada Abara,Ada,Abara,* Home,ada@example.com ::: a@work.example,Mobile,8105550101",
         f"{ADA} +18105550101 registered a@work.example"),
        ("LinkedIn", f"Notes:\n\"When exporting your connection data, mails may be missing\"\n\n{LINKEDIN}",
         "Ada,Abara,https://x,ada@example.com,Acme,F,12 Mar 2025", f"{ADA} registered"),
        ("Outlook", OUTLOOK, "Ada,Abara,Acme,810 555 0199,,810 555 0101,ada@example.com,",
         f"{ADA} +18105550101 registered +18105550199"),
        ("Outlook", "Vorname,Nachname,Firma,Telefon geschäftlich,Mobiltelefon,E-Mail-Adresse",
         "Ada,Abara,Acme,+49 30 901820,+49 151 12345678,ada@example.com",
         f"{ADA} +4915112345678 registered +4930901820"),
    ],
)  # fmt: skip
def test_an_export_is_recognised_and_read(exporter: str, header: str, row: str, person: str) -> None:
    found = read(header, row)
    assert found.exporter == exporter
    (one,) = found.people
    said = (one.name, one.email, one.phone, one.attendance, *one.addresses)
    assert " ".join(word for word in said if word) == person


@every_case(
    ("status", "means"),
    [
        *[
            (word, "registered")
            for word in ("Attending", "Going", "Yes", "Confirmed", "Paid", "bezahlt", "Zugesagt", "")
        ],
        *[
            (word, "registered")
            for word in ("Inscrito", "Confirmé", "Anmäld", "Confirmada", "Sí", "Oui", "CHECKED-IN")
        ],
        *[
            (word, "waiting")
            for word in ("Wait-listed", "waiting list", "Awaiting approval", "pending_approval", "Unpaid")
        ],
        *[
            (word, "waiting")
            for word in ("Warteliste", "Pendiente de pago", "En liste d'attente", "Väntelista", "Pendente")
        ],
        *[
            (word, "declined")
            for word in ("Declined", "No", "Not going", "Abgesagt", "No asiste", "Refusée", "Tackat nej")
        ],
        *[
            (word, "cancelled")
            for word in ("Cancelled", "Canceled", "Refunded", "Expired", "Void", "Test order", "storniert")
        ],
        *[(word, "cancelled") for word in ("Cancelada", "Remboursé", "Avbokad", "Reembolsado", "Erstattet")],
        *[(word, "opted_out") for word in ("Do not contact", "Opted out")],
        *[(word, "unknown") for word in ("Gold", "Speaker", "7")],
    ],
)
def test_a_status_is_understood_in_several_languages(status: str, means: str) -> None:
    found = read("name,email,status", f"Ada,ada@example.com,{status}")
    assert found.people[0].attendance == means
    assert dict(found.unknown) == ({status: 1} if means == "unknown" else {})


@every_case(
    ("column", "cells", "means"),
    [
        ("Estado", ("Confirmado", "Cancelado", "Lista de espera"), ["registered", "cancelled", "waiting"]),
        ("Estado", ("Jalisco", "Puebla"), ["registered", "registered"]),
        ("Marital status", ("single", "no"), ["registered", "registered"]),
        ("Invitee Status", ("Accepted", "Declined", "Gold"), ["registered", "declined", "unknown"]),
        ("Registration state", ("registered", "cancelled"), ["registered", "cancelled"]),
        ("Stato", ("Confermato", "Annullato"), ["registered", "cancelled"]),
        ("Order status", ("wc-completed", "wc-refunded", "wc-on-hold"), ["registered", "cancelled", "waiting"]),
        ("Cancelled", ("No", "Yes", ""), ["registered", "cancelled", "registered"]),
        ("Refunded", ("0.00", "12.50"), ["registered", "cancelled"]),
        ("Cancelled at", ("", "2026-11-01"), ["registered", "cancelled"]),
        ("Waitlisted", ("false", "TRUE"), ["registered", "waiting"]),
        ("Angemeldet", ("ja", "nein", ""), ["registered", "waiting", "registered"]),
        ("Registered", ("2026-11-01 10:00",), ["registered"]),
        ("Bezahlt", ("ja", "nein"), ["registered", "waiting"]),
        ("Paid", ("25.00", "refunded"), ["registered", "cancelled"]),
        ("Approved", ("Pending", "Declined"), ["waiting", "declined"]),
    ],
)
def test_whatever_column_tells_who_comes_is_obeyed(column: str, cells: tuple[str, ...], means: list[str]) -> None:
    found = read(
        f"name,email,{column}",
        *(f"{name},{name}@example.com,{cell}" for name, cell in zip("ABC", cells, strict=False)),
    )
    assert [person.attendance for person in found.people] == means


def test_a_column_that_is_taken_for_a_status_is_named_and_may_be_ignored() -> None:
    found = read("name,email,Estado", "Ada,ada@example.com,Cancelado")
    assert found.said == ["the column 'Estado' is read as a status; --map \"Estado=ignore\" if it is none"]
    how = HowToRead(columns={"Estado": "ignore"})
    again = read_people("name,email,Estado\nAda,ada@example.com,Cancelado\n", source="export.csv", how=how)
    assert (again.people[0].attendance, again.said) == (Attendance.REGISTERED, [])


def test_the_further_items_of_an_order_say_nothing_of_its_status() -> None:
    first, further = "#1001,ada@example.com,refunded,,Ada,,,,", "#1001,ada@example.com,,,,,,,"
    for rows in ((first, further), (further, first)):
        assert [person.attendance for person in read(SHOPIFY_ORDERS, *rows).people] == [Attendance.CANCELLED]


def test_of_two_columns_the_worse_word_counts_and_of_two_tickets_the_better_one() -> None:
    header = "name,email,order status,attendee status"
    assert read(header, "Ada,ada@example.com,Completed,Refunded").people[0].attendance is Attendance.CANCELLED
    two = read(header, "Ada,ada@example.com,Refunded,Refunded", "Ada,ada@example.com,Completed,Attending")
    assert two.people[0].attendance is Attendance.REGISTERED


@every_case(
    ("column", "cell", "stops", "consents"),
    [
        ("DND", "true", {"*"}, {}),
        ("DND", "Yes", {"*"}, {}),
        ("DND", "x", {"*"}, {}),
        ("DND", "false", set(), {}),
        ("DND", "", set(), {}),
        ("DND", "0", set(), {}),
        ("DND", "SMS; Email", {"sms", "email"}, {}),
        ("DND", "for a while", {"*"}, {}),
        ("DND SMS", "true", {"sms"}, {}),
        ("Unsubscribed", "2026-11-01", {"*"}, {}),
        ("Unsubscribed", "No", set(), {}),
        ("Blocked", "true", {"*"}, {}),
        ("Unsubscribed from emails", "true", {"email"}, {}),
        ("UNSUB_TIME", "2026-11-01 10:00:00", {"email"}, {}),
        ("Email Subscriber Status", "Unsubscribed", set(), {"email": False}),
        ("SMS Subscriber Status", "Subscribed", set(), {"sms": True}),
        ("Do not contact", "yes", {"*"}, {}),
        ("Do not call", "yes", {"sms"}, {}),
        ("Opted out", "1", {"*"}, {}),
        ("Email Opt Out", "true", {"email"}, {}),
        ("Unsubscribed from all email", "true", {"email"}, {}),
        ("WhatsApp opt-out", "yes", {"whatsapp"}, {}),
        ("Nicht kontaktieren", "ja", {"*"}, {}),
        ("Email status", "bounced", {"email"}, {}),
        ("Email status", "unsubscribed", set(), {"email": False}),
        ("Email status", "subscribed", set(), {"email": True}),
        ("Accepts SMS Marketing", "no", set(), {"sms": False}),
        ("Accepts SMS Marketing", "yes", set(), {"sms": True}),
        ("Accepts Email Marketing", "no", set(), {"email": False}),
        ("Accepts Marketing", "yes", set(), {"email": True}),
        ("Newsletter", "ja", set(), {"email": True}),
        ("Marketing consent", "no", set(), {"sms": False, "email": False}),
        ("SMS consent", "pending", set(), {}),
        ("Status", "do not contact", {"*"}, {}),
    ],
)
def test_what_people_want_is_understood(column: str, cell: str, stops: set[str], consents: dict[str, bool]) -> None:
    (person,) = read(f"name,phone,email,{column}", f"Ada,8105550101,ada@example.com,{cell}").people
    assert set(person.stops) == stops
    assert {channel: said for channel, (said, _) in person.consents.items()} == consents


def test_what_says_so_is_kept_as_it_is_written() -> None:
    (person,) = read("phone,DND,Accepts SMS Marketing", "8105550101,TRUE,yes").people
    assert person.stops == {"*": "DND: TRUE"}
    assert person.consents == {"sms": (True, "Accepts SMS Marketing")}


def test_a_test_order_is_nobody_who_comes() -> None:
    (person,) = read("name,email,test order", "Ada,ada@example.com,yes").people
    assert person.attendance is Attendance.CANCELLED


def _attendance(people: list[Person]) -> list[str]:
    return [person.attendance for person in people]


def test_statuses_of_files_as_others_export_them() -> None:
    refunded = read_people(DATA / "eventbrite-refunded.csv", source="f.csv").people
    assert _attendance(refunded) == ["registered", "cancelled", "cancelled"]
    declined = read_people(DATA / "luma-declined.csv", source="f.csv").people
    assert _attendance(declined) == ["registered", "declined", "waiting"]
    silent = read_people(DATA / "ghl-dnd.csv", source="f.csv").people
    assert [set(person.stops) for person in silent] == [set(), {"*"}, set()]
    shop = read_people(DATA / "shopify-customers.csv", source="f.csv")
    assert [{one: said for one, (said, _) in person.consents.items()} for person in shop.people] == [
        {"sms": False, "email": True},
        {"sms": True, "email": False},
    ]
    assert [row.line for row in shop.left_out] == [4]
