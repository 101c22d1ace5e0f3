"""n8n: messages leave through a webhook of a workflow that knows how to send them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AliasChoices, Field, SecretStr

from tidings.clock import SystemClock
from tidings.providers.base import Outgoing, Provider, ProviderParts, Receipt
from tidings.providers.http import HttpClient
from tidings.providers.responses import raise_for_response
from tidings.settings import Optional, SettingsGroup

_ID_FIELDS = ("message_id", "messageId", "id")
_MAX_ID_LENGTH = 255


class N8nSettings(SettingsGroup):
    """Where n8n is, and the secret that it shows."""

    n8n_inbound_secret: SecretStr | None = Field(
        None,
        validation_alias="N8N_INBOUND_SECRET",
        description="Shared secret of replies and delivery reports that n8n posts. Unset: they are refused.",
    )
    n8n_outbound_webhook_url: Annotated[str | None, Optional] = Field(
        None,
        validation_alias=AliasChoices("N8N_OUTBOUND_WEBHOOK_URL", "N8N_WEBHOOK_URL"),
        description="n8n webhook that sends text messages. Unset: the simulator keeps them.",
    )


class N8n:
    """Posts `{"phone": …, "message": …}` and the message's metadata to the n8n webhook at `url`.

    A promotional mail also has `unsubscribe`, the address for its List-Unsubscribe header.

    Every attempt at one message has the same header Idempotency-Key, so that a workflow can drop what it
    has already sent (draft-ietf-httpapi-idempotency-key-header; the key is sent bare, without the
    draft's quotes, so that a workflow reads it as it is).
    """

    name = "n8n"
    drops_repetitions = True

    def __init__(self, http: HttpClient, url: str) -> None:
        self._http = http
        self._url = url

    async def send(self, outgoing: Outgoing) -> Receipt:
        """Hands the message to the workflow.

        The receipt has an id if the answer is a JSON object with `message_id`, `messageId` or `id`. A
        webhook that answers at once only says {"message": "Workflow was started"}, which is fine too.
        Raises SendError as `raise_for_response` and `HttpClient.post_json` say.
        """
        extra: dict[str, Any] = {
            name: value for name, value in outgoing.metadata.items() if name not in ("phone", "message")
        }
        if outgoing.unsubscribe is not None:
            extra["unsubscribe"] = outgoing.unsubscribe
        response = await self._http.post_json(
            self._url,
            {"phone": outgoing.to, "message": outgoing.text, **extra},
            {"idempotency-key": outgoing.idempotency_key},
            repeatable=self.drops_repetitions,
        )
        # A date in Retry-After is on the world's clock, also when Tidings runs on a faster one.
        raise_for_response(self.name, response, SystemClock().now())
        return Receipt(self.name, _message_id(response.body))

    async def close(self) -> None:
        """Nothing to release: the HTTP client belongs to whoever made it."""


def _message_id(body: bytes) -> str | None:
    # The workflow has the message by now, so nothing in its answer may turn into an error.
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict):
        return None
    for field in _ID_FIELDS:
        value = answer.get(field)
        if isinstance(value, str | int) and not isinstance(value, bool):
            found = str(value)
            if 0 < len(found) <= _MAX_ID_LENGTH and found.isprintable():
                return found
    return None


def open_provider(parts: ProviderParts) -> Mapping[str, Provider]:
    """n8n for SMS, once its webhook is known."""
    url = parts.settings_of(N8nSettings).n8n_outbound_webhook_url
    return {"sms": N8n(parts.http, url)} if url else {}
