"""Jobs that other programs add, in the specification's form, checked before they are in a queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.clock import to_milliseconds
from tidings.engine.jobs import Job
from tidings.engine.queues import Queues
from tidings.errors import InvalidInput, NotFound
from tidings.feature import parse
from tidings.features.shops.automations.evaluate import USEFUL
from tidings.features.shops.automations.models import ShopAutomation
from tidings.features.shops.campaigns.models import ShopCampaign
from tidings.features.shops.customers.people import phone_of
from tidings.features.shops.events.payloads import payload_key
from tidings.features.shops.events.store import store_event
from tidings.features.shops.jobs import EVENT_TYPES, JOB_TYPES, QUEUES, SendData
from tidings.features.shops.lookup import find_told_shop
from tidings.features.shops.models import Shop, ShopCustomer, ShopMessage
from tidings.features.shops.rules.contexts import topic_of
from tidings.features.shops.rules.customers import read_bare_customer, read_customer
from tidings.features.shops.rules.reading import identifier
from tidings.log import current_request_id
from tidings.messages.contacts.addresses import contact_with
from tidings.messages.contacts.numbers.phones import parse_phone
from tidings.messages.dead_letters import storable_json
from tidings.messages.gate.terms import Purpose
from tidings.messages.statuses import Reason, Status
from tidings.validation import nearest
from tidings.work import Work


async def enqueue_job(queues: Queues, queue: str, name: str, data: Mapping[str, Any]) -> None:
    """See `Shops.enqueue_job`."""
    names = [policy.name for policy in QUEUES]
    if queue not in names:
        raise NotFound("queue", f"{queue}; shops have {', '.join(names)}")
    kinds = {kind.name: kind for kind in JOB_TYPES if kind.queue.name == queue}
    kind = kinds.get(topic_of(name))
    if kind is None:
        raise NotFound("kind of job", f"{name} in {queue}; there are {', '.join(kinds)}")
    checked = parse(kind.model, data)
    dumped = checked.model_dump(mode="json", exclude_none=True)
    dumped.setdefault("requestId", current_request_id())
    job_id = kind.job_id(checked) if kind.job_id and getattr(checked, "id", None) is not None else None
    await queues.arm([Job(queue, kind.name, job_id, dumped)])


async def store_told_event(work: Work, topic: str, told: str, raw: Mapping[str, Any], request_id: str) -> int:
    """The row of an event that another program told in a job; the same content is the same event.

    Raises NotFound, and InvalidInput for a topic that is not understood.
    """
    topic = topic_of(topic.strip().lower())
    if topic not in EVENT_TYPES:
        likely = nearest(topic, tuple(EVENT_TYPES))
        raise InvalidInput("topic", f"{topic!r} is not understood" + (f"; did you mean {likely}?" if likely else ""))
    async with work.begin() as unit:
        shop = await find_told_shop(unit.session, told)
        unique = f"job-{payload_key(topic, raw, request_id)}"
        stored = await store_event(unit, shop, topic, unique, raw, work.clock.now(), request_id=request_id)
        unit.armed.clear()  # the job that told of it goes on with it
        return stored.id


async def store_told_message(work: Work, data: SendData, request_id: str) -> int:
    """The row of a message that another program told in a job; the same content is the same message.

    Raises NotFound, and InvalidInput for a recipient that is no phone number, or when nothing says who it is.
    """
    now = work.clock.now()
    async with work.begin() as unit:
        shop = await find_told_shop(unit.session, data.shop_id or "")
        customer, phone = await _find_recipient(unit.session, shop, data)
        purpose = Purpose(data.purpose) if data.purpose else await _purpose_of(unit.session, shop, data.automation_id)
        key = f"job-{payload_key(phone, data.template, data.context, purpose, request_id)}"
        known = await unit.session.scalar(
            select(ShopMessage.id).where(ShopMessage.shop_id == shop.id, ShopMessage.deduplication_key == key)
        )
        if known is not None:
            return known
        row = ShopMessage(
            shop_id=shop.id,
            customer_id=customer.id if customer else None,
            contractor_id=customer.contractor_id if customer else await contact_with(unit.session, phone),
            deduplication_key=key,
            purpose=purpose,
            recipient=phone,
            template=storable_json(data.template),
            context=storable_json(data.context),
            triggered_at=now,
            request_id=request_id[:100],
            scheduled_time=to_milliseconds(now),
            not_after=now + USEFUL[purpose],
            status=Status.SCHEDULED,
            status_reason=Reason.BY_REQUEST,
            created_at=now,
            updated_at=now,
        )
        unit.session.add(row)
        await unit.session.flush()
        return row.id


async def _find_recipient(session: AsyncSession, shop: Shop, data: SendData) -> tuple[ShopCustomer | None, str]:
    """Who a message is for: the number, and the customer where it names one. Raises NotFound and InvalidInput."""
    customer = None
    if data.contact_id is not None:
        customer = await _find_told_customer(session, shop, data.contact_id)
    if data.recipient:
        try:
            return customer, parse_phone(data.recipient, shop.region)
        except InvalidInput as error:
            raise InvalidInput("recipient", error.message) from error
    if customer is not None:
        if customer.phone is None:
            raise InvalidInput("contactId", f"{data.contact_id} has no number that messages can go to")
        return customer, customer.phone
    person = read_customer(data.context) or read_bare_customer(data.context)
    phone = phone_of(person, shop) if person else None
    if phone is None:
        raise InvalidInput("recipient", "is missing, and neither contactId nor the context has a number to use")
    return None, phone


async def _find_told_customer(session: AsyncSession, shop: Shop, told: int | str) -> ShopCustomer:
    """The shop's customer by the shop's own id, or by ours. Raises NotFound."""
    name = identifier(told)
    found = await session.scalar(
        select(ShopCustomer).where(ShopCustomer.shop_id == shop.id, ShopCustomer.customer_key == name)
    )
    if found is None and name is not None and name.isdecimal() and len(name) < 19:
        found = await session.scalar(
            select(ShopCustomer).where(ShopCustomer.shop_id == shop.id, ShopCustomer.id == int(name))
        )
    if found is None:
        raise NotFound("customer", told)
    return found


async def _purpose_of(session: AsyncSession, shop: Shop, automation: int | str | None) -> Purpose:
    """The purpose of the automation that a job names by its key or id; promotional where there is none."""
    if automation is None:
        return Purpose.PROMOTIONAL
    named = ShopAutomation.id == automation if isinstance(automation, int) else ShopAutomation.key == automation
    purpose = await session.scalar(select(ShopAutomation.purpose).where(ShopAutomation.shop_id == shop.id, named))
    return Purpose(purpose) if purpose else Purpose.PROMOTIONAL


async def find_campaign_of_job(work: Work, campaign: int | str, told: str | None) -> int:
    """The campaign that a job names by its row's id, or by its shop's key. Raises NotFound and InvalidInput."""
    named = identifier(campaign)
    async with work.read() as session:
        shop = await find_told_shop(session, told) if told is not None else None
        found: int | None = None
        if shop is not None:
            of_shop = select(ShopCampaign.id).where(ShopCampaign.shop_id == shop.id)
            found = await session.scalar(of_shop.where(ShopCampaign.key == named))
        elif isinstance(campaign, str) and not campaign.isdecimal():
            raise InvalidInput("shopId", f"is missing; campaignId {campaign!r} is a key, and each shop has its own")
        if found is None and named and named.isdecimal() and len(named) < 19:
            row = await session.get(ShopCampaign, int(named))
            found = row.id if row is not None and (shop is None or row.shop_id == shop.id) else None
        if found is None:
            raise NotFound("campaign", f"{campaign}" + (f" of {shop.domain}" if shop else ""))
        return found
