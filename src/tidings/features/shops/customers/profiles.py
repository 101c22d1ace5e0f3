"""Customers as webhooks tell of them: found again by id, mail address or number, and linked to a contact.

The contact is found by the phone number and the name: a family's phone is several contacts. A mail address that a
shop tells is not copied to it, because it may be another person's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.db.rows import locked_ids
from tidings.features.shops.customers.people import pick_for
from tidings.features.shops.kind import CHANNEL
from tidings.features.shops.models import Shop, ShopCustomer, ShopMessage
from tidings.features.shops.rules.contact_details import CONSENTED, PickedPhone, pick_phone, written_phone
from tidings.features.shops.rules.customers import CustomerDetails
from tidings.messages.contacts.addresses import contact_with, follow, known_by
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.identity import Known, find_person
from tidings.messages.contacts.names import words_of
from tidings.messages.contacts.numbers.canonical import canonical_address
from tidings.messages.gate.consents import Consent
from tidings.messages.statuses import Status
from tidings.messages.tenants import shop_tenant

SOURCE = "shopify"
_WORDS = {"subscribed": True, "unsubscribed": False, "redacted": False}
"""What Shopify's states say about consent; the others (not_subscribed, pending) say nothing."""


@dataclass(frozen=True, slots=True)
class SavedCustomer:
    """The row, and what could not be used, in sentences."""

    row: ShopCustomer
    missing: tuple[str, ...] = ()


async def save_customer(
    session: AsyncSession, shop: Shop, told: CustomerDetails, at: datetime, now: datetime
) -> SavedCustomer | None:
    """Stores what an event of the moment `at` tells about a customer; None when it names nobody.

    An older event than the last one only fills what is not known yet. Raises IntegrityError at the flush when
    another event adds the same customer or contact at this moment; then try again.
    """
    picked = pick_for(told, shop)
    phone = picked.number
    email = told.email.lower() if told.email else None
    key = told.id or (f"email:{email}"[:300] if email else f"phone:{phone}" if phone else None)
    if key is None:
        return None
    row = await _find(session, shop.id, told.id, email, phone)
    if row is None:
        row = ShopCustomer(
            shop_id=shop.id, customer_key=key, tags=[], former_contacts=[], as_of=at, created_at=now, updated_at=now
        )  # fmt: skip
        session.add(row)
        newer = True
    else:
        newer = at >= row.as_of
        if told.id:
            row.customer_key = told.id  # a guest who got an account
    values = {
        "first_name": told.first_name,
        "last_name": told.last_name,
        "email": email,
        "phone": phone,
        "country": told.country,
        "locale": told.locale,
        "tags": list(told.tags) or None,
        "orders_count": told.orders_count,
        "total_spent": None if told.total_spent is None else str(told.total_spent),
    }
    former_phone = row.phone
    for name, value in values.items():
        if value is not None and (newer or not getattr(row, name)):
            setattr(row, name, value)
    row.as_of, row.updated_at, row.redacted_at = max(row.as_of, at), now, None
    await session.flush()
    linked = await _link(session, row, now)
    if former_phone and row.phone != former_phone:
        await _readdress(session, row, now)
    heard = _hear(row, told, shop, at)
    if heard or linked:
        _write_consent(session, shop, row, at)
    await session.flush()
    return SavedCustomer(row, tuple(_passed_over(picked)))


def _passed_over(picked: PickedPhone) -> Iterator[str]:
    """Where numbers stand that nobody can have; not the numbers, which may be somebody's all the same."""
    if not picked.unusable:
        return
    places = " and of the ".join(picked.unusable)
    if picked.written is None:
        yield f"no usable phone: that of the {places} is no number that can exist"
    elif picked.written.place not in picked.unusable:
        yield f"the phone of the {places} is no number that can be used; that of the {picked.written.place} is"
    else:
        yield f"the phone of the {places} is more than a number; what can be used of it is taken"


async def _find(
    session: AsyncSession, shop_id: int, customer_id: str | None, email: str | None, phone: str | None
) -> ShopCustomer | None:
    """The customer with this id; else a guest, or with an event of a guest anybody, by mail address, then number."""
    query = select(ShopCustomer).where(ShopCustomer.shop_id == shop_id).with_for_update(key_share=True)
    if customer_id is not None:
        known = await session.scalar(query.where(ShopCustomer.customer_key == customer_id))
        if known is not None:
            return known
    guest = or_(ShopCustomer.customer_key.like("email:%"), ShopCustomer.customer_key.like("phone:%"))
    for column, value in ((ShopCustomer.email, email), (ShopCustomer.phone, phone)):
        if value is None:
            continue
        alike = query.where(column == value).order_by(ShopCustomer.id).limit(1)
        # Two accounts may share a number, so an account is only taken for one that has no id of its own.
        found = await session.scalar(alike.where(guest) if customer_id is not None else alike)
        if found is not None:
            return found
    return None


async def _link(session: AsyncSession, row: ShopCustomer, now: datetime) -> bool:
    """Finds or makes the contact with the customer's number and name; whether it is another one than before."""
    if row.phone is None:
        return False
    name = " ".join(part for part in (row.first_name, row.last_name) if part)
    known = await known_by(session, {canonical_address(row.phone)})
    contact_id = await _contact_of(session, row.phone, name, row.contractor_id, known)
    if contact_id is None:
        contact = Contractor(
            name=(name or "Customer")[:200],
            first_name=row.first_name,
            last_name=row.last_name,
            phone=row.phone,
            created_at=now,
            updated_at=now,
        )
        session.add(contact)
        await session.flush()
        await follow(session, [contact.id], source=SOURCE, now=now, known=known)
        contact_id = contact.id
    if row.contractor_id == contact_id:
        return False
    if row.contractor_id is not None:
        row.former_contacts = [*(one for one in row.former_contacts if one != row.contractor_id), row.contractor_id]
    row.contractor_id = contact_id
    return True


async def _contact_of(
    session: AsyncSession, phone: str, name: str, present: int | None, known: Sequence[Known]
) -> int | None:
    """Who has the number under a name that is the customer's, too; their present contact goes before others."""
    known = sorted(known, key=lambda one: one.id != present)
    if not words_of(name) and len(known) > 1 and known[0].id != present:
        return await contact_with(session, phone)
    return find_person(name, {canonical_address(phone)}, known).id


async def _readdress(session: AsyncSession, row: ShopCustomer, now: datetime) -> None:
    """What waits for a customer follows them to their new number."""
    waiting = (ShopMessage.customer_id == row.id, ShopMessage.status.in_((Status.SCHEDULED, Status.WAITING)))
    await session.execute(
        update(ShopMessage)
        .where(ShopMessage.id.in_(locked_ids(ShopMessage, *waiting)))
        .values(recipient=row.phone, contractor_id=row.contractor_id, updated_at=now)
        .execution_options(synchronize_session=False)
    )


def _hear(row: ShopCustomer, told: CustomerDetails, shop: Shop, at: datetime) -> bool:
    """Takes over the state of SMS consent if it is news; consent for another number is none for this one."""
    consent = told.sms_consent
    if consent is None or consent.state not in (*_WORDS, "not_subscribed", "pending"):
        return False
    if consent.phone is not None and row.phone is not None:
        written = written_phone(consent.phone, CONSENTED)
        meant = pick_phone([written], (told.country, shop.region)).number if written else None
        if meant != row.phone:
            return False
    said = consent.at or at
    if row.sms_consent_at is not None and said < row.sms_consent_at:
        return False
    if (row.sms_consent, row.sms_consent_at) == (consent.state, said):
        return False
    is_repeated = row.sms_consent == consent.state and consent.at is None
    row.sms_consent, row.sms_consent_at = consent.state, said
    return not is_repeated


def _write_consent(session: AsyncSession, shop: Shop, row: ShopCustomer, at: datetime) -> None:
    granted = _WORDS.get(row.sms_consent or "")
    if row.contractor_id is None or granted is None:
        return
    session.add(
        Consent(
            contact_id=row.contractor_id,
            address=canonical_address(row.phone) if row.phone else None,
            channel=CHANNEL,
            tenant=shop_tenant(shop.id),
            granted=granted,
            at=row.sms_consent_at or at,
            source=SOURCE,
            proof=f"{shop.domain} told: sms_marketing_consent is {row.sms_consent}",
        )
    )


async def customers_alike(
    session: AsyncSession, shop_id: int, *, key: str | None, email: str | None, phone: str | None, lock: bool = True
) -> list[ShopCustomer]:
    """Every row about one person: the account, and guests with its mail address or number.

    Another account with the same number is somebody else, perhaps of the same household.
    """
    email = email.lower() if email else None
    pairs = ((ShopCustomer.customer_key, key), (ShopCustomer.email, email), (ShopCustomer.phone, phone))
    ways = [column == value for column, value in pairs if value is not None]
    if not ways:
        return []
    query = select(ShopCustomer).where(ShopCustomer.shop_id == shop_id, or_(*ways)).order_by(ShopCustomer.id)
    if lock:
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    rows = (await session.scalars(query)).all()
    return [row for row in rows if key is None or row.customer_key == key or is_guest(row.customer_key)]


def is_guest(customer_key: str) -> bool:
    """Whether a key is that of somebody without an account."""
    return customer_key.startswith(("email:", "phone:"))
