"""What one stored event means: facts to keep, messages to call off, data to hand out or to erase."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import select

from tidings.clock import Clock
from tidings.engine.jobs import Job
from tidings.features.shops.accounts.service import uninstall
from tidings.features.shops.automations.goals import GOALS, aims_at
from tidings.features.shops.automations.pointless import call_off_pointless
from tidings.features.shops.customers.orders import order_of, save_order
from tidings.features.shops.customers.profiles import save_customer
from tidings.features.shops.events.store import event_job, moment_of, shop_of, version_of
from tidings.features.shops.jobs import EVALUATE, EvaluateData
from tidings.features.shops.kind import ShopMessages
from tidings.features.shops.models import Shop, ShopCustomer, ShopOrder, ShopWebhookEvent
from tidings.features.shops.privacy.emptying import empty_shop
from tidings.features.shops.privacy.erasure import Mentions, erase_person, erase_shop, find_mentions
from tidings.features.shops.privacy.export import export_person
from tidings.features.shops.rules.contexts import EventContext, normalize_event_context
from tidings.log import get_logger
from tidings.messages.changes import cancel_where
from tidings.messages.dead_letters import storable_json
from tidings.messages.statuses import Reason
from tidings.work import Unit, Work

log = get_logger(__name__)

SETTLED = timedelta(seconds=15)
"""How long after its arrival an event must have had a job."""

PAGE = 1000

SHOP_ERASURE = "shop/redact"
ERASURES = (SHOP_ERASURE, "customers/redact", "customers/delete")


async def process_event(work: Work, row_id: int) -> str:
    """Works on a stored event once; returns what was done.

    This is the first half of an event's way: its facts. The second, asking the automations, is another job's.
    """
    mentions = await _prepare(work, row_id)
    # Another event about the same person or order may be worked on at the same moment.
    return await work.retry(partial(_process, row_id, work.clock, mentions))


async def _prepare(work: Work, row_id: int) -> Mentions | None:
    """What an erasure can do before its event is locked; where the person was found that it is about."""
    async with work.read() as session:
        event = await session.get(ShopWebhookEvent, row_id)
        if event is None or event.topic not in ERASURES or event.processed_at is not None or event.raw is None:
            return None
        shop = await shop_of(session, event)
        context = normalize_event_context(event.topic, event.raw, shop.domain)
    if context.topic == SHOP_ERASURE:
        await empty_shop(work, shop, row_id)
        return None
    return await find_mentions(work, shop, context)


async def fail_event(work: Work, row_id: int, error: str) -> None:
    """Notes that an event was given up; a dead letter may bring it back."""
    async with work.begin() as unit:
        event = await unit.session.get(ShopWebhookEvent, row_id, with_for_update=True)
        if event is not None:
            event.error = storable_json(error)


async def catch_up(work: Work) -> int:
    """Puts back the jobs of stored events that have none, as after a crash; returns how many there were."""
    before = work.clock.now() - SETTLED
    query = (
        select(ShopWebhookEvent, Shop.domain)
        .join(Shop, Shop.id == ShopWebhookEvent.shop_id)
        .where(
            ShopWebhookEvent.evaluated_at.is_(None),
            ShopWebhookEvent.error.is_(None),
            ShopWebhookEvent.received_at < before,
        )
        .order_by(ShopWebhookEvent.received_at)
        .limit(PAGE)
    )
    async with work.read() as session:
        rows = (await session.execute(query)).all()
    jobs = [evaluate_job(row, domain) if row.processed_at else event_job(row, domain) for row, domain in rows]
    missing = await work.queues.arm_missing(jobs)
    if missing:
        log.warning("events without a job put back", jobs=missing)
    return missing


async def _process(row_id: int, clock: Clock, mentions: Mentions | None, unit: Unit) -> str:
    now = clock.now()
    event = await unit.session.get(ShopWebhookEvent, row_id, with_for_update=True)
    if event is None:
        return "there is no such event any more"
    shop = await shop_of(unit.session, event)
    if event.processed_at is not None:
        done = "processed already"
    elif event.raw is None:
        event.processed_at = event.evaluated_at = now
        done = "its payload was erased"
    else:
        context = normalize_event_context(event.topic, event.raw, shop.domain)
        done = await _carry_out(unit, shop, event, context, mentions, now)
        if event.topic == "shop/redact":
            return done  # the event is gone with its shop
        event.processed_at, event.error = now, None
        if not context.topic.startswith(("orders/", "checkouts/", "fulfillments/", "refunds/", "customers")):
            event.evaluated_at = now
    if event.evaluated_at is None:
        unit.arm(evaluate_job(event, shop.domain))
    return done


async def _carry_out(
    unit: Unit, shop: Shop, event: ShopWebhookEvent, context: EventContext, mentions: Mentions | None, now: datetime
) -> str:
    match context.topic:
        case "app/uninstalled":
            cancelled = await uninstall(unit, shop, now)
            return f"uninstalled; {cancelled} messages cancelled"
        case "shop/redact":
            await erase_shop(unit, shop, now)
            return "erased the shop"
        case "customers/redact" | "customers/delete":
            erased = await erase_person(unit, shop, context, now, mentions)
            event.raw, event.object_id, event.evaluated_at = None, None, now
            return f"erased {erased} customers"
        case "customers/data_request":
            await export_person(unit.session, shop, event, context, now)
            event.evaluated_at = now
            return "exported"
        case _:
            return await _keep_facts(unit, shop, event, context, now)


async def _keep_facts(unit: Unit, shop: Shop, event: ShopWebhookEvent, context: EventContext, now: datetime) -> str:
    session = unit.session
    at = moment_of(event, context)
    known = await order_of(session, shop.id, context)
    customer: ShopCustomer | None = None
    missing = list(context.missing)
    if known is not None and known.customer_id is not None and not context.topic.startswith("orders/"):
        # A parcel names its addressee, who may be a friend of the buyer.
        customer = await session.get(ShopCustomer, known.customer_id, with_for_update={"key_share": True})
    elif context.customer is not None:
        saved = await save_customer(session, shop, context.customer, version_of(event, context), now)
        if saved is not None:
            customer = saved.row
            missing += saved.missing
    order = await save_order(session, shop, event, context, known, customer, now)
    event.customer_id = customer.id if customer else order.customer_id if order else None
    event.missing = [*missing, *_missing_of_refund(context, order, shop)]
    await session.flush()
    cancelled = 0
    if context.topic in GOALS:
        aimed = aims_at(context, shop.id, event.customer_id, at)
        cancelled = await cancel_where(unit, ShopMessages, aimed, Reason.GOAL_REACHED, now)
    cancelled += await call_off_pointless(unit, shop, context, order, now)
    return f"kept; {cancelled} messages cancelled" if cancelled else "kept"


def _missing_of_refund(context: EventContext, order: ShopOrder | None, shop: Shop) -> Iterator[str]:
    refund = context.refund
    if refund is None:
        return
    if order is None or order.as_of is None:
        yield f"no order: the shop has not told of order {context.order and context.order.id}"
    currency = (order and order.currency) or shop.currency
    if refund.amount is not None and refund.amount_in(currency) is None:
        yield f"no amount in {currency}: the refund is in {refund.currency}, so totals stay as they are"


def evaluate_job(event: ShopWebhookEvent, domain: str) -> Job:
    """The job that asks the automations about a stored event."""
    data = EvaluateData(id=event.id, trigger=event.topic, shop_id=domain, request_id=event.request_id)
    return EVALUATE.job(data)
