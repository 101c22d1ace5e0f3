"""What Shopify calls, and what came of it. A body whose signature is not right is never read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.exceptions import HTTPException

from tidings.errors import InvalidInput
from tidings.features.shops.events.ignored import why_ignored
from tidings.features.shops.events.schemas import IgnoredTopicOut, ShopEventOut, WebhookReceipt
from tidings.features.shops.rules.contexts import topic_of
from tidings.features.shops.schemas import InPath
from tidings.features.shops.service import Shops
from tidings.fields import After, Limit
from tidings.web.routing import new_router, provided
from tidings.web.signatures import SHOPIFY_HEADER

Topic = Annotated[str | None, Query(max_length=64, description="Only this topic.")]
ShopDomain = Annotated[str, Header(alias="X-Shopify-Shop-Domain", max_length=255, description="Names the shop.")]
Signature = Annotated[str, Header(alias=SHOPIFY_HEADER, description="HMAC-SHA256 of the raw body, in base64.")]
EventId = Annotated[str, Header(alias="X-Shopify-Event-Id", description="The same for every delivery of an event.")]
WebhookId = Annotated[str, Header(alias="X-Shopify-Webhook-Id", description="Counts where there is no event id.")]
TriggeredAt = Annotated[
    str, Header(alias="X-Shopify-Triggered-At", description="Puts events without a time in order.")
]
NamedTopic = Annotated[str, Header(alias="X-Shopify-Topic", description="The topic; has to agree with the path.")]

Service = Annotated[Shops, provided(Shops)]

webhooks = new_router(strict=False)
own = new_router()


@dataclass(frozen=True, slots=True)
class Posted:
    """A webhook whose signature was checked."""

    domain: str
    event_id: str | None
    triggered_at: str
    topic: str
    body: bytes


async def signed(
    shops: Service,
    request: Request,
    shop_domain: ShopDomain = "",
    signature: Signature = "",
    event_id: EventId = "",
    webhook_id: WebhookId = "",
    triggered_at: TriggeredAt = "",
    named_topic: NamedTopic = "",
) -> Posted:
    """What a shop posts, `topic` as its header says. Nobody else gets in."""
    body = await request.body()
    if not await shops.events.is_signed(shop_domain, body, signature):
        raise HTTPException(401, f"{SHOPIFY_HEADER} is not the signature of this body for this shop.")
    return Posted(shop_domain, event_id or webhook_id or None, triggered_at, named_topic, body)


Signed = Annotated[Posted, Depends(signed)]


@webhooks.post("/webhooks/shopify", tags=["webhooks"])
@webhooks.post("/webhooks/shopify/", include_in_schema=False)
async def receive_any_shopify_webhook(shops: Service, posted: Signed) -> WebhookReceipt:
    """Takes in what happened in a shop, of whatever topic; the header says which. Each event counts once."""
    if not posted.topic.strip():
        raise InvalidInput("X-Shopify-Topic", "is missing; send it, or post to /webhooks/shopify/<topic>")
    return await shops.events.receive(posted.domain, posted.topic, posted.event_id, posted.body, posted.triggered_at)


@webhooks.post("/webhooks/shopify/{topic:path}", tags=["webhooks"])
async def receive_shopify_webhook(shops: Service, topic: str, posted: Signed) -> WebhookReceipt:
    """Takes in what happened in a shop; each event once. What follows from it is done by workers."""
    if posted.topic and topic_of(posted.topic) != topic_of(topic):
        raise InvalidInput("X-Shopify-Topic", f"is {posted.topic[:80]!r}, but the address says {topic[:80]!r}")
    return await shops.events.receive(posted.domain, topic, posted.event_id, posted.body, posted.triggered_at)


@own.get("/shops/{domain}/events", tags=["shops"])
async def list_shop_events(
    shops: Service, domain: InPath, topic: Topic = None, after_id: After = 0, limit: Limit = 100
) -> list[ShopEventOut]:
    """What the shop told, and what came of it."""
    rows = await shops.events.list(domain, topic=topic, after_id=after_id, limit=limit)
    return [ShopEventOut.model_validate(row) for row in rows]


@own.get("/shops/{domain}/ignored-topics", tags=["shops"])
async def list_ignored_topics(shops: Service, domain: InPath) -> list[IgnoredTopicOut]:
    """Topics that the shop tells and nobody uses, and how often each came."""
    rows = await shops.events.list_ignored(domain)
    return [
        IgnoredTopicOut(
            topic=row.topic,
            count=row.count,
            reason=why_ignored(row.topic),
            first_at=row.first_at,
            last_at=row.last_at,
        )
        for row in rows
    ]


router = APIRouter(routes=[*webhooks.routes, *own.routes])
