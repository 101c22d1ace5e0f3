"""The channel of customers' webhooks: signs one event and posts it, and knows an endpoint that is gone."""

from __future__ import annotations

from tidings.customer_webhooks.events import DISABLED, EndpointStatus
from tidings.customer_webhooks.kind import WEBHOOK_CHANNEL, disable
from tidings.customer_webhooks.secrets import signing_secrets
from tidings.errors import ConfigurationError, SendError
from tidings.providers.base import Outgoing, Receipt
from tidings.providers.webhooks.send import Delivery, EndpointGone, Webhooks
from tidings.vault import Vault
from tidings.work import Work

GONE = "its server answered 410: it wants no more webhooks"


class WebhookChannel:
    """Delivers events through `webhooks`, at most `attempts` times each.

    Whatever is not a 2xx is tried again, since a server may answer 404 or 401 while it is being mended; a wait that
    it asks for is honoured, and costs an attempt. One customer's server never slows another's down, so nothing here
    is `throttled`.
    """

    name = WEBHOOK_CHANNEL

    def __init__(self, webhooks: Webhooks, vault: Vault, work: Work, *, attempts: int) -> None:
        self._webhooks = webhooks
        self._vault = vault
        self._work = work
        self._attempts = attempts

    async def send(self, outgoing: Outgoing) -> Receipt:
        """Posts one event. Raises SendError: final after the last attempt, on 410, and for a disabled endpoint."""
        facts = outgoing.metadata
        endpoint_id, attempt = facts["endpoint_id"], facts["tries"]
        if facts["endpoint_status"] == EndpointStatus.DISABLED:
            raise SendError(DISABLED, retryable=False)
        try:
            secrets = signing_secrets(self._vault, endpoint_id, facts["secrets"], self._work.clock.now())
            await self._webhooks.deliver(
                Delivery(
                    url=outgoing.to,
                    event=facts["event"],
                    id=outgoing.idempotency_key,
                    attempt=attempt,
                    payload=facts["payload"],
                    secrets=secrets,
                )
            )
        except EndpointGone:
            await self._disable(endpoint_id)
            raise
        except (SendError, ConfigurationError) as error:
            again = attempt < self._attempts
            wait = error.retry_after if again and isinstance(error, SendError) else None
            raise SendError(str(error), retryable=again, retry_after=wait) from error
        return Receipt(self.name)

    async def close(self) -> None:
        """Drops every connection."""
        await self._webhooks.close()

    async def _disable(self, endpoint_id: int) -> None:
        async with self._work.begin() as unit:
            connection = await unit.session.connection()
            for job in await disable(connection, endpoint_id, GONE, self._work.clock.now()):
                unit.arm(job)
