"""Saving somebody of whom something was told: a new person, or one who is known and gets completed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import Conflict
from tidings.messages.contacts.addresses import follow, known_by, preferred_phone
from tidings.messages.contacts.contractors import Contractor, find_contractor
from tidings.messages.contacts.identity import find_person
from tidings.messages.contacts.names import says_less
from tidings.messages.contacts.numbers.canonical import canonical_address

NAMES = ("name", "first_name", "last_name")


async def save_contractor(
    session: AsyncSession, values: Mapping[str, Any], now: datetime, *, source: str = "api"
) -> tuple[Contractor, bool]:
    """Adds a person, or completes the one whom an address and the name show to be the same.

    Empty values never erase known ones. Returns the contractor and whether it is new. Raises Conflict when two people
    may be meant, and IntegrityError when somebody else adds the same address at this moment.
    """
    addresses = {canonical_address(one) for one in (values.get("phone"), values.get("email")) if one}
    known = await known_by(session, addresses) if addresses else []
    verdict = find_person(values.get("name"), addresses, known)
    if verdict.rivals is not None:
        raise Conflict(rivalry(verdict.rivals, values))
    if verdict.id is None:
        contact = Contractor(**values, created_at=now, updated_at=now)
        session.add(contact)
    else:
        contact = await find_contractor(session, verdict.id)
        contact.complete(news(values, contact.name, contact.phone), now)
    await session.flush()
    await follow(session, [contact.id], source=source, now=now, known=known)
    return contact, verdict.id is None


def news(values: Mapping[str, Any], name: str, phone: str | None) -> dict[str, Any]:
    """What of the told values is to replace the known ones of somebody with this name and phone.

    A name that says less than the known one is no news, and neither is a landline beside a mobile.
    """
    told = {key: value for key, value in values.items() if value is not None}
    if "phone" in told:
        told["phone"] = preferred_phone(phone, told["phone"])
    if says_less(told.get("name") or "", name):
        told = {key: value for key, value in told.items() if key not in NAMES}
    return told


def rivalry(ids: tuple[int, int], values: Mapping[str, Any]) -> str:
    """A sentence about two people of whom nobody knows whether they are one."""
    first, second = sorted(ids)
    return (
        f"{values.get('name')} may be contractor {first} or contractor {second}: phone {values.get('phone')} belongs "
        f"to the one and email {values.get('email')} to the other, under names that agree; merge them first"
    )
