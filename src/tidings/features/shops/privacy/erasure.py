"""Erasing people and shops, as `customers/redact` and `shop/redact` demand.

Erased are profiles, orders, payloads, texts, contexts, recipients, exports and dead letters. The contact goes too
when no other shop or feature knows them. Messages stay as rows without anybody's data, so that figures keep adding
up.

Opt-outs stay with their number: they are what keeps a person who said STOP from being written to again, and the law
asks for that for longer than the shop's business with them lasts (47 CFR 64.1200(d)(6); GDPR article 17(3)(b)).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, false, null, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.features.shops.cancellation import cancel_messages
from tidings.features.shops.customers import customers_alike
from tidings.features.shops.jobs import QUEUES
from tidings.features.shops.kind import KIND, scope_of
from tidings.features.shops.models import (
    Shop,
    ShopAutomation,
    ShopCampaign,
    ShopCustomer,
    ShopDailyReport,
    ShopDataExport,
    ShopMessage,
    ShopOrder,
    ShopSegment,
    ShopWebhookEvent,
)
from tidings.features.shops.privacy.contacts import release_contacts
from tidings.features.shops.rules.contexts import EventContext
from tidings.features.shops.webhooks.people import Person, phone_of
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.dead_letters import DeadLetter
from tidings.messages.gate.standing import Admission
from tidings.messages.inbound.stored import StoredReply
from tidings.messages.ledger import Delivery
from tidings.messages.statuses import Reason
from tidings.work import Unit

_PAGE = 500
_IN_BULK = {"synchronize_session": False}


async def erase_person(unit: Unit, shop: Shop, context: EventContext, now: datetime) -> int:
    """Erases the person that an event names; returns how many customers that were."""
    session, told = unit.session, context.customer
    phone = phone_of(told, shop) if told else None
    rows = await customers_alike(
        session,
        shop.id,
        key=told.id if told else None,
        email=told.email if told else None,
        phone=phone,
    )
    rows = [row for row in rows if row.redacted_at is None]
    ids = [row.id for row in rows]
    contacts = await _contacts_of(session, rows)
    orders = await session.scalars(
        select(ShopOrder.order_key).where(ShopOrder.customer_id.in_(ids))
    )  # fmt: skip
    person = Person(
        keys={row.customer_key for row in rows} | ({told.id} if told and told.id else set()),
        emails={row.email for row in rows if row.email} | ({told.email.lower()} if told and told.email else set()),
        phones={*contacts.values(), *(row.phone for row in rows if row.phone), *([phone] if phone else [])},
        orders={*orders, *context.order_ids},
    )
    to_a_number = and_(ShopMessage.customer_id.is_(None), ShopMessage.recipient.in_(person.phones))
    await _erase_messages(unit, _any(ShopMessage.customer_id.in_(ids), to_a_number), shop, now)
    await _erase_events(session, shop, person, ids)
    await session.execute(
        delete(ShopDataExport).where(ShopDataExport.shop_id == shop.id, ShopDataExport.customer_id.in_(ids))
    )
    await _erase_dead_letters(session, shop, person)
    await session.execute(
        delete(ShopOrder).where(
            ShopOrder.shop_id == shop.id,
            _any(ShopOrder.customer_id.in_(ids), ShopOrder.order_key.in_(person.orders)),
        )
    )
    for row in rows:
        _forget(row, now)
    await session.flush()
    await release_contacts(session, shop, contacts)
    return len(rows)


async def erase_shop(unit: Unit, shop: Shop, now: datetime) -> None:
    """Erases a shop with everybody in it, and everything that is its own."""
    session = unit.session
    mine = ShopMessage.shop_id == shop.id
    customers = (await session.scalars(select(ShopCustomer).where(ShopCustomer.shop_id == shop.id))).all()
    contacts = await _contacts_of(session, customers)
    await _erase_messages(unit, mine, shop, now)
    await session.execute(delete(Admission).where(Admission.scope == scope_of(shop.id)))
    for letter in await _dead_letters(session, shop):
        await session.delete(letter)
    await session.flush()
    for model in (
        ShopDataExport, ShopDailyReport, ShopMessage, ShopWebhookEvent, ShopOrder, ShopCustomer, ShopAutomation,
        ShopCampaign, ShopSegment,
    ):  # fmt: skip
        await session.execute(delete(model).where(model.shop_id == shop.id).execution_options(**_IN_BULK))
    await release_contacts(session, shop, contacts)
    await session.execute(delete(Shop).where(Shop.id == shop.id).execution_options(**_IN_BULK))


async def _contacts_of(session: AsyncSession, rows: Sequence[ShopCustomer]) -> dict[int, str]:
    """The contacts that customers are or were linked to, and their numbers."""
    ids = {one for row in rows for one in (row.contractor_id, *row.former_contacts) if one is not None}
    found = await session.execute(select(Contractor.id, Contractor.phone).where(Contractor.id.in_(ids)))
    return {contact_id: phone for contact_id, phone in found if phone is not None}


async def _erase_messages(unit: Unit, which: ColumnElement[bool], shop: Shop, now: datetime) -> None:
    session = unit.session
    which = which & (ShopMessage.shop_id == shop.id)
    await cancel_messages(unit, which, Reason.REDACTED, now)
    ids = select(ShopMessage.id).where(which)
    theirs = (Delivery.kind == KIND, Delivery.message_id.in_(ids))
    await session.execute(
        update(Delivery).where(*theirs).values(contact_id=None, error=None, inputs={}).execution_options(**_IN_BULK)
    )
    await session.execute(
        delete(StoredReply)
        .where(StoredReply.kind == KIND, StoredReply.message_id.in_(ids))
        .execution_options(**_IN_BULK)
    )
    await session.execute(
        update(ShopMessage)
        .where(which)
        .values(
            recipient=None, contractor_id=None, context=null(), text=None, goal_key=None, error_message=None,
            updated_at=now,
        )
        .execution_options(**_IN_BULK)
    )  # fmt: skip


async def _erase_events(session: AsyncSession, shop: Shop, person: Person, customer_ids: Sequence[int]) -> None:
    """Empties every payload that is about the person, also those that were never linked to a customer."""
    last_id = 0
    while True:
        events = (
            await session.execute(
                select(
                    ShopWebhookEvent.id, ShopWebhookEvent.topic, ShopWebhookEvent.raw, ShopWebhookEvent.customer_id
                )
                .where(ShopWebhookEvent.shop_id == shop.id, ShopWebhookEvent.id > last_id)
                .order_by(ShopWebhookEvent.id)
                .limit(_PAGE)
            )
        ).all()
        if not events:
            return
        last_id = events[-1].id
        theirs = [
            event.id
            for event in events
            if event.customer_id in customer_ids
            or (event.raw is not None and person.is_in(event.topic, event.raw, shop))
        ]
        await session.execute(
            update(ShopWebhookEvent)
            .where(ShopWebhookEvent.id.in_(theirs))
            .values(raw=null(), object_id=None, missing=[], evaluation={}, customer_id=None)
            .execution_options(**_IN_BULK)
        )


async def _erase_dead_letters(session: AsyncSession, shop: Shop, person: Person) -> None:
    for letter in await _dead_letters(session, shop):
        raw: Any = next((letter.data[key] for key in ("raw", "originalEvent", "context") if letter.data.get(key)), {})
        topic = str(letter.data.get("topic") or letter.data.get("trigger") or "")
        about = isinstance(raw, dict) and person.is_in(topic, raw, shop)
        if about or person.is_mentioned_in([letter.data, letter.error]):
            await session.delete(letter)


async def _dead_letters(session: AsyncSession, shop: Shop) -> list[DeadLetter]:
    """Those of the shops' queues that name this shop; few, because somebody looks after them."""
    names = [queue.name for queue in QUEUES]
    found = await session.scalars(select(DeadLetter).where(DeadLetter.queue.in_(names)))
    return [letter for letter in found if str(letter.data.get("shopId") or "").lower() == shop.domain]


def _forget(row: ShopCustomer, now: datetime) -> None:
    empty: dict[str, Any] = dict.fromkeys(
        ("first_name", "last_name", "email", "phone", "country", "locale", "first_order_at", "last_order_at")
    )
    for name, value in empty.items():
        setattr(row, name, value)
    row.customer_key, row.contractor_id, row.former_contacts, row.tags = f"redacted:{row.id}", None, [], []
    row.orders_count, row.total_spent, row.sms_consent, row.sms_consent_at = 0, "0", None, None
    row.redacted_at = row.updated_at = now


def _any(*ways: ColumnElement[bool]) -> ColumnElement[bool]:
    return or_(false(), *ways)
