"""A person as a file or another program tells of them, before it is known who they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidings.messages.contacts.files.statuses import Attendance

LIMITS = {
    "name": 200,
    "first_name": 100,
    "last_name": 100,
    "email": 254,
    "company_name": 200,
    "timezone": 64,
    "ghl_contact_id": 64,
    "ghl_location_id": 64,
}
"""How many characters the columns of the contractors table hold."""


@dataclass(frozen=True, slots=True)
class Person:
    """One person. `phone` is E.164, `timezone` an IANA name; a phone or an email is there, and `name` may be empty.

    `addresses` are further ones. `sessions` are keys or titles, `attendance` says whether they come.
    `stops` are the channels on which they want nothing, `*` all of them, and what says so; `consents` whether
    they agreed to promotional messages on a channel, and which column says so. `line` is where they begin in the
    file, counted from 1; 0 for people of another origin.
    """

    name: str
    first_name: str | None = None
    last_name: str | None = None
    phone: str | None = None
    email: str | None = None
    company_name: str | None = None
    timezone: str | None = None
    ghl_contact_id: str | None = None
    ghl_location_id: str | None = None
    addresses: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    attendance: Attendance = Attendance.REGISTERED
    stops: Mapping[str, str] = field(default_factory=dict)
    consents: Mapping[str, tuple[bool, str]] = field(default_factory=dict)
    line: int = field(default=0, compare=False)
