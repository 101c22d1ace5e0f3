"""What files say of somebody's coming, and of what they want to get: words in several languages."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from tidings.errors import InvalidInput
from tidings.messages.contacts.files.word_lists import read_lists
from tidings.messages.contacts.names import plain
from tidings.validation import offer


class Attendance(StrEnum):
    """Whether somebody comes, from the best to the worst: of several words about a ticket the worst counts.

    `WAITING` may come: no place yet, not paid, not approved. `UNKNOWN` is a word that nobody has explained.
    `OPTED_OUT` does not come and wants nothing any more.
    """

    REGISTERED = "registered"
    UNKNOWN = "unknown"
    WAITING = "waiting"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    OPTED_OUT = "opted_out"

    @property
    def is_off(self) -> bool:
        """Whether who was registered is so no longer."""
        return self in (Attendance.DECLINED, Attendance.CANCELLED, Attendance.OPTED_OUT)


ORDER = tuple(Attendance)

_KNOWN = {
    plain(word): Attendance(status) for status, words in read_lists("status_words.toml").items() for word in words
}

_YES = frozenset((
    "yes", "y", "true", "1", "x", "on", "checked", "enabled", "active", "dnd", "opted out", "opt out", "unsubscribed",
    "ja", "wahr", "si", "verdadero", "oui", "vrai", "sant", "sim", "verdadeiro", "tak", "permanent", "all", "alle",
    "todos",
))  # fmt: skip
_NO = frozenset((
    "no", "n", "false", "0", "off", "unchecked", "disabled", "inactive", "", "nein", "falsch", "falso", "non", "faux",
    "nej", "falskt", "nao", "nie", "nee", "none",
    "subscribed", "opted in", "null", "n a", "na", "not set", "unknown",
))  # fmt: skip
_CHANNELS = {
    **dict.fromkeys(("sms", "text", "texts", "phone", "call", "calls", "voice"), "sms"),
    **dict.fromkeys(("email", "mail", "e mail", "emails"), "email"),
    **dict.fromkeys(("whatsapp", "wa"), "whatsapp"),
}


_SAID_OF_MUCH = _YES | _NO | frozenset((
    "valid", "invalid", "manual", "test", "member", "free", "comp", "complimentary", "ok", "subscribed", "open",
    "offen", "aktiv", "inaktiv", "archived", "deleted", "absent", "absente", "present", "started", "draft",
    "submitted", "removed", "processing", "in progress", "success", "successful", "failed", "blocked",
    "in bearbeitung",     "virtual", "complete", "completed",
))  # fmt: skip
"""Words for a status that are said of other things, too."""


def _words(*listed: str) -> frozenset[str]:
    return frozenset(word.strip() for words in listed for word in words.split(","))


_AGREED = _words(
    "yes, y, true, 1, x, subscribed, opted in, opt in, optin, opted-in, active, granted, confirmed, consented",
    "allowed, single opt in, double opt in, explicit, explicit opt in, express, ja, si, sí, oui, sim, tak, wahr",
)
_DISAGREED = _words(
    "no, n, false, 0, unsubscribed, opted out, opt out, optout, opted-out, inactive, revoked, withdrawn, suppressed",
    "stopped, blocked, declined, denied, do not contact, dnd, globally unsubscribed, nein, non, nej, não, nie",
)
_SILENT = _words(
    ", never subscribed, not subscribed, never, pending, unconfirmed, unknown, invalid, redacted, none, null, n/a",
    "na, -, no consent, pending confirmation",
)


def yes_or_no(name: str, raw: str) -> bool | None:
    """Whether a column `name` says that consent was given or taken back; None: neither. Raises InvalidInput."""
    word = " ".join(raw.replace("_", " ").split()).casefold()
    if word in _SILENT:
        return None
    if word in _AGREED or word in _DISAGREED:
        return word in _AGREED
    raise InvalidInput(name, f"{raw[:40]!r} says neither yes nor no; write yes, no, or nothing where it is not known")


CHOICES = ("registered", "waiting", "declined", "cancelled")
"""What `--status` takes."""

_MAIL_STATES = {
    **dict.fromkeys(
        ("unsubscribed", "non subscribed", "opted out", "abgemeldet", "desinscrit", "avregistrerad"), False
    ),
    **dict.fromkeys(("subscribed", "opted in", "single opt in", "double opt in"), True),
}
_UNREACHABLE = frozenset((
    "bounced", "bounce", "hard bounce", "hard bounced", "cleaned", "invalid", "undeliverable", "complained",
    "complaint", "spam", "spam complaint", "suppressed",
    "do not mail", "blocked", "quarantined", "abuse", "unzustellbar",
))  # fmt: skip


def attendance_of(word: str, own: Mapping[str, str], told: Mapping[str, Attendance]) -> Attendance:
    """What a word says of somebody's coming; `own` are the exporter's words, `told` those of whoever imports."""
    said = plain(word).removeprefix("wc ")  # WooCommerce's own
    if not said:
        return Attendance.REGISTERED
    if said in told:
        return told[said]
    if said in own:
        return Attendance(own[said])
    return _KNOWN.get(said, Attendance.UNKNOWN)


def tells_of_coming(word: str) -> bool:
    """Whether a word is about somebody's coming, wherever it stands: confirmed, on the waiting list, no mere yes."""
    return plain(word) in _KNOWN and plain(word) not in _SAID_OF_MUCH


def worst(one: Attendance, other: Attendance) -> Attendance:
    """Of two words about one ticket that which lets fewer messages go."""
    return max(one, other, key=ORDER.index)


def best(one: Attendance, other: Attendance) -> Attendance:
    """Of the words about two tickets of one person: one of them lets them in, and whoever opted out has done so."""
    if Attendance.OPTED_OUT in (one, other):
        return Attendance.OPTED_OUT
    return min(one, other, key=ORDER.index)


def read_statuses(told: list[str]) -> dict[str, Attendance]:
    """`["VIP=registered"]`, as a person says them. Raises InvalidInput."""
    found: dict[str, Attendance] = {}
    for one in told:
        word, sign, status = one.rpartition("=")
        if not sign or status.strip().lower() not in CHOICES:
            known = status.strip() or one
            raise InvalidInput("status", f"{one!r} is not VALUE=STATUS{offer(known, CHOICES, taker='STATUS')}")
        found[plain(word)] = Attendance(status.strip().lower())
    return found


def stopped_channels(cell: str, channel: str) -> set[str] | None:
    """The channels that a column of opt-outs says no more about, `*` all of them; None where nobody can read it.

    `channel` is the one of the column: yes means it. A cell may also name them: `SMS, Email`.
    """
    said = plain(cell)
    if said in _YES:
        return {channel}
    if said in _NO:
        return set()
    named = {_CHANNELS.get(plain(part)) for part in cell.replace(";", ",").replace("|", ",").split(",")}
    return None if None in named else {one for one in named if one}


def mail_state(cell: str) -> tuple[bool | None, bool]:
    """What a mail address's status says: consent given or taken back, and whether nothing arrives there."""
    said = plain(cell)
    return _MAIL_STATES.get(said), said in _UNREACHABLE


_REFUSED = frozenset(("no", "n", "false", "0", "nein", "falsch", "falso", "non", "faux", "nej", "nao", "nie", "nee"))


def is_no(cell: str) -> bool:
    """Whether a cell says no; an empty one says nothing."""
    return plain(cell) in _REFUSED


def is_marked(cell: str) -> bool:
    """Whether a column named by what happened says that it did: with yes, or when. An amount of nothing is none."""
    return plain(cell) not in _NO and bool(plain(cell).replace(" ", "").strip("0"))


def is_yes(cell: str) -> bool:
    """Whether a cell says yes."""
    return plain(cell) in _YES
