"""Taking in what a shop tells: who may tell it, and one row for each event, however often it is delivered."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.engine.jobs import Job
from tidings.errors import ConfigurationError, InvalidInput
from tidings.features.shops.jobs import EVENT_TYPES, EventData
from tidings.features.shops.lookup import find_shop
from tidings.features.shops.models import Shop, ShopWebhookEvent
from tidings.features.shops.rules.contexts import TOPICS, normalize_event_context, topic_of
from tidings.features.shops.schemas import Received
from tidings.features.shops.secrets import secret_context
from tidings.log import current_request_id, get_logger
from tidings.messages.dead_letters import storable_json
from tidings.vault import Vault
from tidings.work import Unit, Work

log = get_logger(__name__)

AFTER_UNINSTALLING = frozenset({"customers/data_request", "customers/redact", "shop/redact", "app/uninstalled"})
"""Topics that count for a shop that has left: Shopify sends `shop/redact` two days later."""

_LONGEST = 255


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """The row of an event, and whether it is new."""

    id: int
    is_new: bool


class Receiving:
    """What webhooks call. Bodies are judged as raw bytes, before anything in them is read."""

    _work: Work
    _vault: Vault

    async def webhook_secrets(self, domain: str) -> list[str]:
        """The secrets that a shop's webhooks may be signed with, none for an unknown shop."""
        async with self._work.read() as session:
            shop = await session.scalar(select(Shop).where(Shop.domain == domain.strip().lower()))
        if shop is None:
            return []
        sealed = {
            "webhook_secret": shop.webhook_secret,
            "previous_webhook_secret": shop.previous_webhook_secret,
        }
        try:
            return [
                self._vault.open(text, secret_context(column, shop.domain)) for column, text in sealed.items() if text
            ]
        except ConfigurationError as error:
            log.error("webhook secret cannot be opened", shop=shop.domain, error=str(error))
            return []

    async def receive_webhook(self, domain: str, topic: str, event_id: str | None, body: bytes) -> Received:
        """Takes in one webhook whose signature was checked; the same event again changes nothing.

        Raises NotFound for an unknown shop and InvalidInput for a body that is no JSON object.
        """
        topic = topic_of(topic)
        if topic not in TOPICS:
            log.warning("webhook of a topic that is not understood", shop=domain, topic=topic[:80])
            return Received(ignored=f"the topic {topic[:80]} is not one that is understood")
        raw = read_payload(body)
        async with self._work.begin() as unit:
            shop = await find_shop(unit.session, domain)
            if shop.uninstalled_at is not None and topic not in AFTER_UNINSTALLING:
                return Received(ignored="the shop has uninstalled the app")
            unique = event_id or f"body-{hashlib.sha256(topic.encode() + body).hexdigest()}"
            stored = await self.store_event(unit, shop, topic, unique, raw)
        return Received(duplicate=not stored.is_new)

    async def store_event(
        self,
        unit: Unit,
        shop: Shop,
        topic: str,
        event_id: str,
        raw: Mapping[str, Any],
        *,
        request_id: str | None = None,
    ) -> StoredEvent:
        """The row of an event, in the caller's unit of work, with its job; a known event keeps its row."""
        session = unit.session
        unique = event_id if len(event_id) <= _LONGEST else hashlib.sha256(event_id.encode()).hexdigest()
        query = select(ShopWebhookEvent).where(
            ShopWebhookEvent.shop_id == shop.id, ShopWebhookEvent.event_id == storable_json(unique)
        )
        row = await session.scalar(query)
        is_new = row is None
        if row is None:
            row = ShopWebhookEvent(
                shop_id=shop.id,
                event_id=storable_json(unique),
                topic=topic,
                object_id=normalize_event_context(topic, raw, shop.domain).object_id,
                raw=storable_json(raw),
                request_id=(request_id or current_request_id())[:100],
                received_at=self._work.clock.now(),
            )
            try:
                async with session.begin_nested():
                    session.add(row)
            except IntegrityError:  # the same event at the same moment
                row, is_new = (await session.scalars(query)).one(), False
        if row.processed_at is None and row.error is None:
            unit.arm(event_job(row, shop.domain))
        return StoredEvent(row.id, is_new)


def event_job(row: ShopWebhookEvent, domain: str) -> Job:
    """The job that works on a stored event."""
    data = EventData(
        id=row.id, topic=row.topic, shop_id=domain, object_id=row.object_id, request_id=row.request_id
    )  # fmt: skip
    return EVENT_TYPES[row.topic].job(data)


def read_payload(body: bytes) -> dict[str, Any]:
    """The JSON object (RFC 8259) in a body. Raises InvalidInput."""
    try:
        found = json.loads(body, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("", "the body is not JSON as shops send it") from error
    if not isinstance(found, dict):
        raise InvalidInput("", "the body must be a JSON object, as the shop sends it")
    return found


def payload_key(*parts: Any) -> str:
    """A key for an event or message that came without one: the same for the same content."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


async def shop_of(session: AsyncSession, row: ShopWebhookEvent) -> Shop:
    """The shop of a stored event."""
    return (await session.scalars(select(Shop).where(Shop.id == row.shop_id))).one()


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None
