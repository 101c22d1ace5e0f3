"""Changing what is known of a person: their names, their place in time, and their addresses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.db.rows import locked_ids
from tidings.errors import InvalidInput, NotFound
from tidings.messages.contacts.addresses import (
    PREFERRED,
    AddressKind,
    ContactAddress,
    addresses_of,
    follow,
    insert_addresses,
)
from tidings.messages.contacts.contractors import Contractor, require_own
from tidings.messages.contacts.numbers.canonical import canonical_address, is_mobile
from tidings.messages.contacts.numbers.phones import parse_phone
from tidings.messages.gate.opt_outs import parse_address

LIMITS = {"name": 200, "first_name": 100, "last_name": 100, "company_name": 200, "timezone": 64}
EDITABLE = (*LIMITS, "phone", "email")


def read_address(raw: str, kind: str | None, region: str) -> tuple[AddressKind, str]:
    """What kind of address this is, as it is stored; without `kind` a mail address or a phone number.

    Raises InvalidInput with a sentence for what cannot be one.
    """
    if kind is None:
        kind = AddressKind.EMAIL if "@" in raw else AddressKind.PHONE
    try:
        known = AddressKind(kind)
    except ValueError as error:
        raise InvalidInput("kind", f"{kind!r} is none; there are {', '.join(AddressKind)}") from error
    match known:
        case AddressKind.EMAIL:
            if "@" not in raw:
                raise InvalidInput("address", f"{raw[:80]!r} is no mail address; write one like ada@example.com")
            return known, parse_address(raw, region)
        case AddressKind.WHATSAPP_ID:
            name = raw.strip()
            if not name or len(name) > 254 or "\0" in name or name.startswith("+") or "@" in name:
                raise InvalidInput("address", "is no user id of WhatsApp; write it as WhatsApp tells it")
            return known, name
        case _:
            return known, parse_phone(raw, region)


def read_changes(changes: Mapping[str, Any], region: str) -> dict[str, Any]:
    """The columns that somebody wants to change, checked. Raises InvalidInput for the first unusable one."""
    read: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in EDITABLE:
            near = get_close_matches(name, EDITABLE, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(EDITABLE)}"
            raise InvalidInput(name, f"cannot be changed; {hint}")
        read[name] = _read(name, value, region)
    return read


def _read(name: str, value: Any, region: str) -> Any:
    if value is not None and not isinstance(value, str):
        raise InvalidInput(name, "is no text")
    text = " ".join((value or "").split())
    if "\0" in text:
        raise InvalidInput(name, "holds a NUL character, which no database text can; leave it out")
    if name in ("phone", "email"):
        if not text:
            raise InvalidInput(name, "is empty; to take an address away, delete it among the person's addresses")
        return read_address(text, name, region)[1]
    if name == "name" and not text:
        raise InvalidInput(name, "is empty; everybody has a name")
    if len(text) > LIMITS[name]:
        raise InvalidInput(name, f"has {len(text)} characters; {LIMITS[name]} are the most")
    if name == "timezone" and text:
        try:
            ZoneInfo(text)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise InvalidInput(name, f"{text!r} is not an IANA timezone; write one like Europe/Berlin") from error
    return text or None


async def lock_contact(session: AsyncSession, contact_id: int) -> Contractor:
    """The contact, locked. Raises NotFound, and Conflict for an entry that was merged into another one."""
    contact = await session.get(Contractor, contact_id, with_for_update={"key_share": True}, populate_existing=True)
    if contact is None or contact.erased_at is not None:
        raise NotFound("contractor", contact_id)
    require_own(contact)
    return contact


async def change_contact(
    session: AsyncSession, contact: Contractor, changes: Mapping[str, Any], now: datetime, *, source: str
) -> None:
    """Writes read changes to a locked contact. A new phone or mail becomes the one that messages go to."""
    for name, value in changes.items():
        setattr(contact, name, value)
    contact.updated_at = now
    await follow(session, [contact.id], source=source, now=now)


async def add_address(
    session: AsyncSession,
    contact: Contractor,
    kind: AddressKind,
    value: str,
    now: datetime,
    *,
    source: str,
    prefer: bool,
) -> ContactAddress:
    """Adds an address to a locked contact, or finds it there; with `prefer` messages go to it.

    So they do without when there was none of its kind, or when it is a mobile and the phone is a landline.
    """
    same = canonical_address(value)
    if kind in PREFERRED:
        present = getattr(contact, kind)
        better = kind is AddressKind.PHONE and present and is_mobile(present) is False and is_mobile(value)
        if prefer or not present or better:
            setattr(contact, kind, value)
            contact.updated_at = now
    known = [row for row in (await addresses_of(session, [contact.id]))[contact.id] if row.kind == kind]
    if all(row.canonical != same for row in known):
        row = {"contact_id": contact.id, "kind": str(kind), "value": value, "canonical": same}
        preferred = kind not in PREFERRED and not known
        await insert_addresses(session, [{**row, "is_preferred": preferred}], source=source, now=now)
    await follow(session, [contact.id], source=source, now=now)
    rows = (await addresses_of(session, [contact.id]))[contact.id]
    return next(row for row in rows if row.kind == kind and row.canonical == same)


async def remove_address(session: AsyncSession, contact: Contractor, address_id: int, now: datetime) -> None:
    """Takes an address from a locked contact; the oldest other one of its kind takes its place, a mobile first.

    Raises NotFound.
    """
    rows = (await addresses_of(session, [contact.id]))[contact.id]
    gone = next((row for row in rows if row.id == address_id), None)
    if gone is None:
        raise NotFound("address", f"{address_id} of contractor {contact.id}")
    await session.execute(
        delete(ContactAddress)
        .where(ContactAddress.id.in_(locked_ids(ContactAddress, ContactAddress.id == address_id)))
        .execution_options(synchronize_session=False)
    )
    if gone.kind in PREFERRED and gone.is_preferred:
        left = [row.value for row in rows if row.kind == gone.kind and row.id != gone.id]
        mobiles = [value for value in left if gone.kind == AddressKind.PHONE and is_mobile(value)]
        setattr(contact, gone.kind, next(iter(mobiles or left), None))
        contact.updated_at = now
    await follow(session, [contact.id], source=gone.source, now=now)
