"""The kind of customers' webhooks: what is loaded for a claimed event, and what its end says of the endpoint.

A webhook is delivered as messages are, so the claim, the ledger, recovery and the story of `tidings why` are
the same. Its address is the URL, its channel `webhook`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tidings.clock import Clock
from tidings.customer_webhooks.endpoints import disable, failed_events, took_event
from tidings.customer_webhooks.events import DISABLED, EndpointStatus
from tidings.customer_webhooks.jobs import DELIVER_WEBHOOK, WEBHOOK_EVENT
from tidings.customer_webhooks.models import WebhookEndpoint, WebhookEvent
from tidings.customer_webhooks.secrets import signing_secrets
from tidings.engine.jobs import Job
from tidings.errors import ConfigurationError
from tidings.messages.kind import Content, Ended, Message, MessageKind
from tidings.messages.statuses import Status
from tidings.messages.tenants import customer_tenant
from tidings.providers.webhooks.send import EndpointGone, WebhookAccount, Webhooks
from tidings.vault import Vault

_EVENT, _ENDPOINT = WebhookEvent.__table__.c, WebhookEndpoint.__table__.c

_LOADED = select(
    *(_EVENT[name] for name in ("id", "endpoint_id", "webhook_id", "event", "payload", "tries")),
    *(_EVENT[name] for name in ("scheduled_time", "attempts")),
    *(_ENDPOINT[name] for name in ("customer_id", "url", "secrets")),
    _ENDPOINT.status.label("endpoint_status"),
).join(_ENDPOINT.id.table, _ENDPOINT.id == _EVENT.endpoint_id)

GONE = "its server answered 410: it wants no more webhooks"


class WebhookEvents(MessageKind):
    """Events for customers' servers, each with at most `attempts` tries. `vault` opens the endpoints' secrets."""

    name = WEBHOOK_EVENT
    noun = "webhook event"
    model = WebhookEvent
    job_type = DELIVER_WEBHOOK
    loaded = _LOADED

    def __init__(self, clock: Clock, vault: Vault, *, attempts: int) -> None:
        self.clock = clock
        self._vault = vault
        self._attempts = attempts

    @classmethod
    def contact_of(cls, row: Any) -> int | None:
        """A server is nobody's contact."""
        return None

    @classmethod
    def tenant_of(cls, row: Any) -> str | None:
        """Rows do not know the customer whose endpoint they are for."""
        return None

    @classmethod
    def columns_when_claimed(cls) -> dict[str, Any]:
        """Every taking counts as a try, also one that ends in a wait or a crash."""
        return {"tries": _EVENT.tries + 1}

    def message(self, row: Mapping[str, Any]) -> Message:
        account, trouble = None, DISABLED if row["endpoint_status"] == EndpointStatus.DISABLED else None
        try:
            secrets = signing_secrets(self._vault, row["endpoint_id"], row["secrets"], self.clock.now())
            account = WebhookAccount(str(row["endpoint_id"]), secrets)
        except ConfigurationError as error:
            trouble = trouble or str(error)
        return Message(
            id=row["id"],
            contact_id=None,
            scheduled_time=row["scheduled_time"],
            attempt=row["attempts"],
            channel=Webhooks.name,
            address=row["url"],
            idempotency_key=row["webhook_id"],
            row=row,
            tenant=customer_tenant(row["customer_id"]),
            account=account,
            undeliverable=trouble,
        )

    async def compose(self, message: Message) -> Content:
        """The event for the provider of webhooks."""
        row = message.row
        return Content(
            text=row["event"],
            metadata={
                "event": row["event"],
                "payload": row["payload"],
                "attempt": row["tries"],
                "last": row["tries"] >= self._attempts,
            },
        )

    def columns_when_sent(self, message: Message, content: Content, moment: datetime) -> dict[str, Any]:
        """When the customer's server took it."""
        return {"delivered_at": moment}

    async def on_ended(self, connection: AsyncConnection, ended: Sequence[Ended]) -> list[Job]:
        """Resets the endpoints that took an event, and warns about or disables those that take none or want none.

        What is lost of it is made good by the next events: the first one that is taken ends the row of failures, a
        server that wants no more says so each time, and one that takes none is warned about an event later.
        """
        now = self.clock.now()
        gone = {one.message.row["endpoint_id"] for one in ended if isinstance(one.refusal, EndpointGone)}
        took = {one.message.row["endpoint_id"] for one in ended if one.status is Status.SENT}
        failed = Counter(
            one.message.row["endpoint_id"]
            for one in ended
            if one.status is Status.FAILED and one.message.row["endpoint_status"] != EndpointStatus.DISABLED
        )
        jobs: list[Job] = []
        for endpoint_id in sorted(took | failed.keys() | gone):  # in the order in which everybody locks
            if endpoint_id in gone:
                jobs += await disable(connection, endpoint_id, GONE, now)
            elif endpoint_id in took:
                await took_event(connection, endpoint_id, now)
            else:
                jobs += await failed_events(connection, endpoint_id, failed[endpoint_id], now)
        return jobs
