"""Erasing people and shops, as `customers/redact` and `shop/redact` demand.

Erased are profiles, orders, payloads, texts, contexts, recipients, exports and dead letters. The contact goes too
when no other shop or feature knows them. Messages stay as rows without anybody's data, so that figures keep adding
up.

Opt-outs stay with their number: they are what keeps a person who said STOP from being written to again, and the law
asks for that for longer than the shop's business with them lasts (47 CFR 64.1200(d)(6); GDPR article 17(3)(b)).

The event that asks for it is the note of what is to be done: until all is erased it is not done with, and its job
comes back. So what takes long is done before the last transaction: what a shop has told is looked through without a
lock (`find_mentions`), and a shop is emptied a portion at a time (`emptying.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, false, null, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.db.rows import locked_ids
from tidings.features.shops.automations.models import ShopAutomation
from tidings.features.shops.campaigns.models import ShopCampaign
from tidings.features.shops.customers.people import PersonKeys, phone_of
from tidings.features.shops.customers.profiles import customers_alike
from tidings.features.shops.jobs import QUEUES, SHOP_MESSAGE
from tidings.features.shops.kind import ShopMessages
from tidings.features.shops.models import (
    Shop,
    ShopCustomer,
    ShopIgnoredTopic,
    ShopMessage,
    ShopOrder,
    ShopWebhookEvent,
)
from tidings.features.shops.privacy.contacts import forget_consents, pages, release_contacts
from tidings.features.shops.privacy.models import ShopDataExport
from tidings.features.shops.reports.models import ShopDailyReport
from tidings.features.shops.rules.contexts import EventContext
from tidings.features.shops.segments.models import ShopSegment
from tidings.features.shops.sign_ups.models import ShopSignUp
from tidings.features.shops.test_numbers.models import ShopTestNumber
from tidings.messages.changes import cancel_where
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.dead_letters import DeadLetter
from tidings.messages.gate.opt_outs import canonical
from tidings.messages.gate.standing import Admission
from tidings.messages.inbound.stored import StoredReply
from tidings.messages.ledger import LedgerEntry
from tidings.messages.statuses import Reason
from tidings.messages.tenants import shop_tenant
from tidings.work import Unit, Work

LOOKED_AT = 100
"""Events that are read at once where nothing is locked: 10 ms of work."""

_PAGE = 500
_IN_BULK = {"synchronize_session": False}


@dataclass(frozen=True, slots=True)
class Mentions:
    """Events of a shop that are about a person, of those up to `last_id`."""

    person: PersonKeys
    ids: frozenset[int]
    last_id: int


async def find_mentions(work: Work, shop: Shop, context: EventContext) -> Mentions:
    """Looks through everything that the shop has told, without a lock and beside the loop."""
    async with work.read() as session:
        rows = await _customers(session, shop, context, lock=False)
        person = await _person(session, shop, context, rows, (await contacts_of(session, rows)).values())
    found: set[int] = set()
    last_id = 0
    while True:
        async with work.read() as session:
            events = await _told_after(session, shop, last_id, LOOKED_AT)
        if not events:
            return Mentions(person, frozenset(found), last_id)
        found.update(await asyncio.to_thread(_about, events, person, shop))
        last_id = events[-1].id


async def erase_person(
    unit: Unit, shop: Shop, context: EventContext, now: datetime, mentions: Mentions | None = None
) -> int:
    """Erases the person that an event names; returns how many customers that were.

    `mentions` are where the person was found beforehand; only what was told since is looked at here.
    """
    session = unit.session
    rows, known = await _customers(session, shop, context, lock=False), None
    # Events and orders are locked before customers, so whose they are is found before, and looked at again when the
    # customers are locked: what came in between may have changed it.
    while (names := [(row.id, row.customer_key, row.email, row.phone) for row in rows]) != known:
        known, contacts, ids = names, await contacts_of(session, rows), [row.id for row in rows]
        person = await _person(session, shop, context, rows, contacts.values())
        signing_up = (
            ShopSignUp.shop_id == shop.id,
            ShopSignUp.address.in_([canonical(one) for one in person.phones]),
        )
        looked_at = mentions if mentions and mentions.person == person else Mentions(person, frozenset(), 0)
        await _erase_events(session, shop, looked_at, ids)
        await session.execute(delete(ShopSignUp).where(ShopSignUp.id.in_(locked_ids(ShopSignUp, *signing_up))))
        theirs = _any(ShopOrder.customer_id.in_(ids), ShopOrder.order_key.in_(person.orders))
        await session.execute(
            delete(ShopOrder).where(ShopOrder.id.in_(locked_ids(ShopOrder, ShopOrder.shop_id == shop.id, theirs)))
        )
        rows = await _customers(session, shop, context, lock=True)
    exports = (ShopDataExport.shop_id == shop.id, ShopDataExport.customer_id.in_(ids))
    await session.execute(delete(ShopDataExport).where(ShopDataExport.id.in_(locked_ids(ShopDataExport, *exports))))
    await _erase_dead_letters(session, shop, person)
    await forget_consents(session, shop, contacts)
    to_a_number = and_(ShopMessage.customer_id.is_(None), ShopMessage.recipient.in_(person.phones))
    messages = await erase_messages(unit, _any(ShopMessage.customer_id.in_(ids), to_a_number), shop, now)
    for row in rows:
        _forget(row, now)
    await session.flush()
    await release_contacts(session, contacts)
    await erase_replies(session, messages)
    return len(rows)


async def erase_shop(unit: Unit, shop: Shop, now: datetime) -> None:
    """Erases a shop with everybody in it, and everything that is its own."""
    session = unit.session
    # Everything is locked before anything is deleted, which goes the other way: what refers to others first.
    for first in (ShopWebhookEvent, ShopIgnoredTopic):
        await session.execute(locked_ids(first, first.shop_id == shop.id))
    await session.get(Shop, shop.id, with_for_update=True)
    for table in (
        ShopAutomation, ShopSegment, ShopCampaign, ShopSignUp, ShopTestNumber, ShopOrder, ShopCustomer,
        ShopDataExport, ShopDailyReport,
    ):  # fmt: skip
        await session.execute(locked_ids(table, table.shop_id == shop.id))
    customers = (await session.scalars(select(ShopCustomer).where(ShopCustomer.shop_id == shop.id))).all()
    contacts = await contacts_of(session, customers)
    for letter in await _dead_letters(session, shop):
        await session.delete(letter)
    await session.flush()
    await forget_consents(session, shop, contacts)
    messages = await erase_messages(unit, ShopMessage.shop_id == shop.id, shop, now)
    for model in (
        ShopDataExport, ShopDailyReport, ShopMessage, ShopWebhookEvent, ShopOrder, ShopCustomer, ShopAutomation,
        ShopCampaign, ShopSegment, ShopSignUp, ShopTestNumber, ShopIgnoredTopic,
    ):  # fmt: skip
        await session.execute(delete(model).where(model.shop_id == shop.id).execution_options(**_IN_BULK))
    await release_contacts(session, contacts)
    await session.execute(delete(Admission).where(Admission.tenant == shop_tenant(shop.id)))
    await erase_replies(session, messages)
    await session.execute(delete(Shop).where(Shop.id == shop.id).execution_options(**_IN_BULK))


async def _customers(session: AsyncSession, shop: Shop, context: EventContext, *, lock: bool) -> list[ShopCustomer]:
    """The rows about the person that an event names, but for those that are erased already."""
    told = context.customer
    rows = await customers_alike(
        session,
        shop.id,
        key=told.id if told else None,
        email=told.email if told else None,
        phone=phone_of(told, shop) if told else None,
        lock=lock,
    )
    return [row for row in rows if row.redacted_at is None]


async def _person(
    session: AsyncSession,
    shop: Shop,
    context: EventContext,
    rows: Sequence[ShopCustomer],
    phones: Iterable[str],
) -> PersonKeys:
    """By what the person is recognised: what the event tells, what the rows have, and their contacts' `phones`."""
    told = context.customer
    phone = phone_of(told, shop) if told else None
    orders = await session.scalars(
        select(ShopOrder.order_key).where(ShopOrder.customer_id.in_([row.id for row in rows]))
    )
    return PersonKeys(
        keys={row.customer_key for row in rows} | ({told.id} if told and told.id else set()),
        emails={row.email for row in rows if row.email} | ({told.email.lower()} if told and told.email else set()),
        phones={*phones, *(row.phone for row in rows if row.phone), *([phone] if phone else [])},
        orders={*orders, *context.order_ids},
    )


async def contacts_of(session: AsyncSession, rows: Sequence[ShopCustomer]) -> dict[int, str]:
    """The contacts that customers are or were linked to, and their numbers."""
    ids = {one for row in rows for one in (row.contractor_id, *row.former_contacts) if one is not None}
    found = await session.execute(select(Contractor.id, Contractor.phone).where(Contractor.id.in_(ids)))
    return {contact_id: phone for contact_id, phone in found if phone is not None}


async def erase_messages(unit: Unit, which: ColumnElement[bool], shop: Shop, now: datetime) -> Sequence[int]:
    """Calls off what waits and empties every message and its lines; returns their ids."""
    session = unit.session
    which = which & (ShopMessage.shop_id == shop.id)
    ids = (await session.scalars(locked_ids(ShopMessage, which))).all()
    await cancel_where(unit, ShopMessages, which, Reason.REDACTED, now)
    nothing = dict.fromkeys(("recipient", "contractor_id", "text", "goal_key", "order_key", "error_message"))
    for some in pages(ids):
        await session.execute(
            update(ShopMessage)
            .where(ShopMessage.id.in_(some))
            .values(**nothing, context=null(), updated_at=now)
            .execution_options(**_IN_BULK)
        )
    for some in pages(ids):
        await session.execute(
            update(LedgerEntry)
            .where(LedgerEntry.kind == SHOP_MESSAGE, LedgerEntry.message_id.in_(some))
            .values(contact_id=None, error=None, inputs={})
            .execution_options(**_IN_BULK)
        )
    return ids


async def erase_replies(session: AsyncSession, message_ids: Sequence[int]) -> None:
    for some in pages(message_ids):
        await session.execute(
            delete(StoredReply)
            .where(StoredReply.kind == SHOP_MESSAGE, StoredReply.message_id.in_(some))
            .execution_options(**_IN_BULK)
        )


async def _erase_events(session: AsyncSession, shop: Shop, mentions: Mentions, customer_ids: Sequence[int]) -> None:
    """Empties every payload that is about the person, also those that were never linked to a customer."""
    theirs, last_id = set(mentions.ids), mentions.last_id
    while events := await _told_after(session, shop, last_id, _PAGE):
        theirs.update(_about(events, mentions.person, shop))
        last_id = events[-1].id
    linked = ShopWebhookEvent.customer_id.in_(customer_ids)
    theirs.update(
        await session.scalars(select(ShopWebhookEvent.id).where(ShopWebhookEvent.shop_id == shop.id, linked))
    )
    for some in pages(sorted(theirs)):
        await session.execute(
            update(ShopWebhookEvent)
            .where(ShopWebhookEvent.id.in_(locked_ids(ShopWebhookEvent, ShopWebhookEvent.id.in_(some))))
            .values(raw=null(), object_id=None, missing=[], evaluation={}, customer_id=None)
            .execution_options(**_IN_BULK)
        )


async def _told_after(session: AsyncSession, shop: Shop, last_id: int, most: int) -> Sequence[Any]:
    rows = await session.execute(
        select(ShopWebhookEvent.id, ShopWebhookEvent.topic, ShopWebhookEvent.raw)
        .where(ShopWebhookEvent.shop_id == shop.id, ShopWebhookEvent.id > last_id)
        .order_by(ShopWebhookEvent.id)
        .limit(most)
    )
    return rows.all()


def _about(events: Sequence[Any], person: PersonKeys, shop: Shop) -> list[int]:
    return [event.id for event in events if event.raw is not None and person.is_in(event.topic, event.raw, shop)]


async def _erase_dead_letters(session: AsyncSession, shop: Shop, person: PersonKeys) -> None:
    for letter in await _dead_letters(session, shop):
        raw: Any = next((letter.data[key] for key in ("raw", "originalEvent", "context") if letter.data.get(key)), {})
        topic = str(letter.data.get("topic") or letter.data.get("trigger") or "")
        about = isinstance(raw, dict) and person.is_in(topic, raw, shop)
        if about or person.is_mentioned_in([letter.data, letter.error]):
            await session.delete(letter)
    await session.flush()


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
