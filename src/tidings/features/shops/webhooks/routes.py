"""What Shopify calls. A body whose signature is not right is never read."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.exceptions import HTTPException

from tidings.errors import InvalidInput
from tidings.features.shops.rules.contexts import topic_of
from tidings.features.shops.schemas import Received
from tidings.features.shops.webhooks.receive import Receiving
from tidings.web.signatures import SHOPIFY_HEADER, is_shopify

_DUMMY = "no shop has this secret"

Domain = Annotated[str, Header(alias="X-Shopify-Shop-Domain", max_length=255, description="Names the shop.")]
Signature = Annotated[str, Header(alias=SHOPIFY_HEADER, description="HMAC-SHA256 of the raw body, in base64.")]
EventId = Annotated[str, Header(alias="X-Shopify-Event-Id", description="The same for every delivery of an event.")]
WebhookId = Annotated[str, Header(alias="X-Shopify-Webhook-Id", description="Counts where there is no event id.")]
Topic = Annotated[str, Header(alias="X-Shopify-Topic", max_length=255, description="Has to agree with the path.")]


def shopify_router(shops: Receiving) -> APIRouter:
    """POST /webhooks/shopify/<topic>, signed with the shop's webhook secret."""
    router = APIRouter(tags=["webhooks"])

    @router.post("/webhooks/shopify/{topic:path}")
    async def receive_shopify_webhook(
        topic: str,
        request: Request,
        shop_domain: Domain = "",
        signature: Signature = "",
        event_id: EventId = "",
        webhook_id: WebhookId = "",
        named_topic: Topic = "",
    ) -> Received:
        """Takes in what happened in a shop; each event once. What follows from it is done by workers."""
        body = await request.body()
        secrets = await shops.webhook_secrets(shop_domain)
        # An unknown shop takes as long as a wrong signature and gets the same answer.
        if not is_shopify(secrets or [_DUMMY], body, signature) or not secrets:
            raise HTTPException(401, f"{SHOPIFY_HEADER} is not the signature of this body for this shop.")
        if named_topic and topic_of(named_topic) != topic_of(topic):
            raise InvalidInput("X-Shopify-Topic", f"is {named_topic[:80]!r}, but the address says {topic[:80]!r}")
        return await shops.receive_webhook(shop_domain, topic, event_id or webhook_id or None, body)

    return router
