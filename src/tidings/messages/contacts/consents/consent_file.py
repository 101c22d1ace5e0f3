"""Consents in a CSV file (RFC 4180), as shops' and messaging programs export them.

A line may say something about text messages, about mail, or about both. What is wrong with a part of a line is told,
and the rest of it is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from tidings.errors import BadRow, InvalidInput
from tidings.messages.contacts.consents.consents import Newcomer
from tidings.messages.contacts.files.cells import Addresses
from tidings.messages.contacts.files.people_columns import Columns, Layout, read_layout
from tidings.messages.contacts.files.statuses import yes_or_no
from tidings.messages.contacts.files.tables import Line
from tidings.messages.contacts.files.text_files import OpenText, open_text

_SMS, _MAIL = ("sms", "text", "sms marketing", "text marketing"), ("email", "email marketing")


def _of(channels: tuple[str, ...], *ends: str) -> tuple[str, ...]:
    return tuple(f"{channel} {end}" for channel in channels for end in ends)


_STATE = (
    *("einwilligung", "zustimmung", "consentimiento", "consentement", "samtycke", "consentimento"),
    *("consent", "consent status", "consent state", "status", "state", "subscription status", "subscribed", "opt in"),
    *("opted in", "opt in status"),
)
_TIME = (
    "datum",
    "zeitpunkt",
    "fecha",
    "data",
    "consent timestamp",
    "consent date",
    "consent at",
    "consent updated at",
    "consent time",
    "timestamp",
)
_FROM = (
    "quelle",
    "herkunft",
    "fuente",
    "källa",
    "fonte",
    "consent source",
    "consent method",
    "source",
    "opt in source",
)

COLUMNS = Columns(
    {
        "phone": (
            *("phone", "phone number", "telephone", "telephone number", "tel", "mobile", "mobile number", "msisdn"),
            *("telefon", "telefonnummer", "handy", "handynummer", "mobilnummer", "teléfono", "móvil", "celular"),
            *("téléphone", "portable", "telefone", "telemóvel"),
            *("mobile phone", "cell", "cell phone", "sms number", "subscriber phone", "subscriber phone number"),
        ),
        "email": (
            "email",
            "e mail",
            "mail",
            "email address",
            "e mail address",
            "subscriber email",
            "e mail adresse",
            "correo",
            "correo electrónico",
            "courriel",
            "adresse e mail",
            "e post",
        ),
        "first_name": ("vorname", "förnamn", "prénom", "first name", "firstname", "given name"),
        "last_name": ("nachname", "efternamn", "last name", "lastname", "surname", "family name"),
        "name": ("name", "full name", "display name"),
        "channel": ("kanal", "canal", "channel", "subscription type", "subscription channel"),
        "sms_state": ("accepts sms marketing", "accepts sms", "sms marketing", *_of(_SMS, *_STATE)),
        "email_state": (
            *("accepts email marketing", "accepts marketing", "email marketing", "newsletter"),
            *_of(_MAIL, *_STATE),
        ),
        "whatsapp_state": ("accepts whatsapp marketing", *_of(("whatsapp", "whatsapp marketing"), *_STATE)),
        "state": (*("granted", "marketing consent", "subscriber status"), *_STATE),
        "sms_at": _of(_SMS, *_TIME),
        "email_at": _of(_MAIL, *_TIME),
        "at": ("at", *_TIME),
        "opted_in_at": (
            *("opted in at", "opt in date", "opt in at", "optin date", "opt in timestamp", "opt in time"),
            *("subscribed at", "subscribed date", "date subscribed", "subscription date", "consented at"),
            *("sign up date", "signup date", "signed up at", "sign up time"),
        ),
        "opted_out_at": (
            *("opted out at", "opt out date", "opt out at", "optout date", "opt out timestamp"),
            *("unsubscribed at", "unsubscribed date", "unsubscribe date", "date unsubscribed"),
        ),
        "sms_source": _of(_SMS, *_FROM),
        "email_source": _of(_MAIL, *_FROM),
        "source": (*_FROM, "subscriber source", "sign up source", "signup source", "acquisition source", "origin"),
        "wording": (
            *("wording", "consent wording", "consent text", "consent language", "disclosure", "disclaimer"),
            "legal text",
        ),
    },
    lambda found: (
        bool({"phone", "email"} & found)
        and bool({"sms_state", "email_state", "whatsapp_state", "state", "opted_in_at", "opted_out_at"} & found)
    ),
    "it needs a column phone or email and one that says whether consent was given, such as granted or status",
)
"""What Shopify, Klaviyo, Attentive and Postscript call them, and our own lists."""


_ABOUT = ("sms", "email", "whatsapp")
_CHANNELS = {
    "whatsapp": "whatsapp",
    "sms": "sms",
    "text": "sms",
    "mobile": "sms",
    "phone": "sms",
    "email": "email",
    "e mail": "email",
}

_NUMERIC = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(.*)", re.DOTALL)
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(.*)", re.DOTALL)
_WRITTEN = ("%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y %I:%M %p", "%B %d, %Y %I:%M %p")
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ConsentLine:
    """What one line says about one channel. `at` is UTC, None: it does not say when. `number` counts from 1."""

    number: int
    person: Newcomer
    channel: str
    granted: bool
    at: datetime | None
    source: str | None
    wording: str | None


@dataclass(frozen=True, slots=True)
class ReadLine:
    """What a line says, nothing where it says nothing, and what is wrong with it."""

    said: list[ConsentLine]
    bad: list[BadRow]


def read_consents(
    text: str | OpenText, *, region: str, timezone: str, source: str, now: datetime
) -> Iterator[ReadLine]:
    """The lines of a file, one after another. Phone numbers without + are read in `region`, times in `timezone`.

    Raises InvalidInput when the file as a whole cannot be read: before the first line, since that names the columns.
    """
    layout = read_layout(open_text(text, source).open if isinstance(text, str) else text, source, COLUMNS)
    reader = _LineReader(region, ZoneInfo(timezone), layout, now)
    return (reader.read(line) for line in layout.people)


class _LineReader:
    def __init__(self, region: str, zone: ZoneInfo, layout: Layout, now: datetime) -> None:
        self._region = region
        self._zone = zone
        self._columns = layout.columns
        self._fields: Set[str] = {name for name in layout.columns if name is not None}
        self._now = now

    def read(self, line: Line) -> ReadLine:
        if line.problem:
            return ReadLine([], [BadRow(line.number, "quotes", line.problem)])
        width = len(self._columns)
        if any(cell.strip() for cell in line.cells[width:]):
            sentence = f"there are {len(line.cells)} where the first line has {width}; quote what holds the separator"
            return ReadLine([], [BadRow(line.number, "columns", sentence)])
        values = {
            name: value
            for name, cell in zip(self._columns, line.cells, strict=False)
            if name is not None and (value := " ".join(cell.split()).removeprefix("'"))
        }
        found = ReadLine([], [])
        for channel in _ABOUT:
            try:
                said = self._said(line.number, channel, values)
            except InvalidInput as error:
                mistake = BadRow(line.number, error.field, error.message)
                if mistake not in found.bad:
                    found.bad.append(mistake)
            else:
                found.said.extend([said] if said is not None else [])
        return found

    def _said(self, number: int, channel: str, values: Mapping[str, str]) -> ConsentLine | None:
        """What a line says about a channel. Raises InvalidInput."""
        granted = self._state(channel, values)
        if granted is None:
            return None
        address = self._address(channel, values)
        if address is None:
            if not granted:
                return None  # nobody has agreed to nothing
            name = "email" if channel == "email" else "phone"
            raise InvalidInput(name, f"is missing, and the line says that {channel} was agreed to")
        first, last = values.get("first_name"), values.get("last_name")
        if first is None and last is None and "name" in values:
            first, _, last = values["name"].partition(" ")
        wording = values.get("wording")
        return ConsentLine(
            number,
            Newcomer(address, (first or "")[:100] or None, (last or "")[:100] or None),
            channel,
            granted,
            self._time(channel, granted, values),
            (values.get(f"{channel}_source") or values.get("source") or "")[:64] or None,
            wording[:10_000] if wording else None,
        )

    def _state(self, channel: str, values: Mapping[str, str]) -> bool | None:
        """Whether consent was given or taken back; None where the line says neither about this channel."""
        name = f"{channel}_state"
        if name not in self._fields:
            if not self._is_about(channel, values):
                return None
            name = "state"
        if name in self._fields:
            return yes_or_no(name, values.get(name, ""))
        if "opted_out_at" in values:
            return False
        return True if "opted_in_at" in values else None

    def _is_about(self, channel: str, values: Mapping[str, str]) -> bool:
        """Whether columns that name no channel are about this one: text messages, where there is a number."""
        if "channel" in self._fields:
            said = values.get("channel", "")
            known = _CHANNELS.get(_plain(said))
            if known is None and said:
                raise InvalidInput("channel", f"{said[:40]!r} is none; write sms, whatsapp or email")
            return known == channel
        by_column = {one for one in ("sms", "email") if f"{one}_state" in self._fields}
        rest = [
            one for one, name in (("sms", "phone"), ("email", "email")) if name in values and one not in by_column
        ]
        return bool(rest) and rest[0] == channel

    def _address(self, channel: str, values: Mapping[str, str]) -> str | None:
        found = Addresses()
        if channel != "email":
            found.take_phones(values.get("phone", ""), self._region)
            address = found.preferred_phone()
        else:
            found.take_emails(values.get("email", ""))
            address = next(iter(found.emails), None)
        if address is None and found.bad:
            raise InvalidInput(*found.bad[0])
        return address

    def _time(self, channel: str, granted: bool, values: Mapping[str, str]) -> datetime | None:
        own = "opted_in_at" if granted else "opted_out_at"
        for name in (f"{channel}_at", "at", own):
            if name in values:
                return self._moment(name, values[name])
        return None

    def _moment(self, name: str, raw: str) -> datetime:
        moment = _read_time(name, raw)
        moment = moment.replace(tzinfo=self._zone) if moment.tzinfo is None else moment
        moment = moment.astimezone(UTC)
        if not _EARLIEST < moment <= self._now:
            raise InvalidInput(name, f"{raw[:40]!r} is no time at which it can have been said; check it")
        return moment


def _plain(raw: str) -> str:
    return " ".join(raw.replace("_", " ").split()).casefold()


def _read_time(name: str, raw: str) -> datetime:
    """A time as exports write it, naive where it names no zone. Raises InvalidInput."""
    text = re.sub(r"\s*(?:UTC|GMT)$", "+00:00", raw.strip())
    if re.fullmatch(r"\d{10}(\d{3})?", text):
        return datetime.fromtimestamp(int(text[:10]), UTC)
    if dotted := _DOTTED.fullmatch(text):
        text = f"{dotted[3]}-{int(dotted[2]):02}-{int(dotted[1]):02}{dotted[4]}"
    elif numeric := _NUMERIC.fullmatch(text):
        first, second = int(numeric[1]), int(numeric[2])
        if first <= 12 and second <= 12 and first != second:
            raise InvalidInput(name, f"{raw[:40]!r} may be in two months; write the year first, like 2026-05-01")
        month, day = (second, first) if first > 12 else (first, second)
        text = f"{numeric[3]}-{month:02}-{day:02}{numeric[4]}"
    text = re.sub(r"^(\d{4}-\d\d-\d\d) (\d):", r"\1 0\2:", text)
    text = re.sub(r" ([+-]\d\d):?(\d\d)$", r"\1:\2", text)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for form in _WRITTEN:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007  # the zone is the tenant's
        except ValueError:
            continue
    raise InvalidInput(name, f"{raw[:40]!r} is no time; write it like 2026-05-01 or 2026-05-01T09:30:00Z")
