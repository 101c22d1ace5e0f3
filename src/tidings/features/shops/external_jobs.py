"""Jobs that other programs add, in the specification's form, checked before they are in a queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from tidings.clock import to_milliseconds
from tidings.engine.jobs import Job
from tidings.engine.queues import Queues
from tidings.errors import InvalidInput, NotFound
from tidings.feature import parse
from tidings.features.shops.automations.evaluate import USEFUL
from tidings.features.shops.campaigns.models import ShopCampaign
from tidings.features.shops.events.payloads import payload_key
from tidings.features.shops.events.store import store_event
from tidings.features.shops.jobs import JOB_TYPES, QUEUES, SendData
from tidings.features.shops.lookup import find_shop
from tidings.features.shops.models import ShopMessage
from tidings.features.shops.rules.contexts import topic_of
from tidings.log import current_request_id
from tidings.messages.contacts.addresses import contact_with
from tidings.messages.contacts.numbers.phones import parse_phone
from tidings.messages.dead_letters import storable_json
from tidings.messages.gate.terms import Purpose
from tidings.messages.statuses import Reason, Status
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


async def store_told_event(work: Work, topic: str, domain: str, raw: Mapping[str, Any], request_id: str) -> int:
    """The row of an event that another program told in a job; the same content is the same event.

    Raises NotFound.
    """
    async with work.begin() as unit:
        shop = await find_shop(unit.session, domain)
        topic = topic_of(topic)
        unique = f"job-{payload_key(topic, raw, request_id)}"
        stored = await store_event(unit, shop, topic, unique, raw, work.clock.now(), request_id=request_id)
        unit.armed.clear()  # the job that told of it goes on with it
        return stored.id


async def store_told_message(work: Work, data: SendData, request_id: str) -> int:
    """The row of a message that another program told in a job; the same content is the same message.

    Raises NotFound, and InvalidInput for a recipient that is no phone number.
    """
    now = work.clock.now()
    async with work.begin() as unit:
        shop = await find_shop(unit.session, data.shop_id or "")
        try:
            phone = parse_phone(data.recipient or "", shop.region)
        except InvalidInput as error:
            raise InvalidInput("recipient", error.message) from error
        key = f"job-{payload_key(phone, data.template, data.context, data.purpose, request_id)}"
        known = await unit.session.scalar(
            select(ShopMessage.id).where(ShopMessage.shop_id == shop.id, ShopMessage.deduplication_key == key)
        )
        if known is not None:
            return known
        row = ShopMessage(
            shop_id=shop.id,
            contractor_id=await contact_with(unit.session, phone),
            deduplication_key=key,
            purpose=data.purpose,
            recipient=phone,
            template=storable_json(data.template),
            context=storable_json(data.context),
            triggered_at=now,
            request_id=request_id[:100],
            scheduled_time=to_milliseconds(now),
            not_after=now + USEFUL[Purpose(data.purpose)],
            status=Status.SCHEDULED,
            status_reason=Reason.BY_REQUEST,
            created_at=now,
            updated_at=now,
        )
        unit.session.add(row)
        await unit.session.flush()
        return row.id


async def find_campaign_of_job(work: Work, campaign: int | str, domain: str | None) -> int | None:
    """The campaign that a job names by its row's id, or by its shop's key for it; None when there is none."""
    async with work.read() as session:
        named = ShopCampaign.id == campaign if isinstance(campaign, int) else ShopCampaign.key == campaign
        query = select(ShopCampaign.id).where(named)
        if domain is not None:
            try:
                query = query.where(ShopCampaign.shop_id == (await find_shop(session, domain)).id)
            except NotFound:
                return None
        elif isinstance(campaign, str):
            return None  # keys are each shop's own
        found: int | None = await session.scalar(query)
        return found
