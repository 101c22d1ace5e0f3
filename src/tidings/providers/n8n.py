"""n8n: messages leave through a webhook of a workflow that knows how to send them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Annotated, Any

from pydantic import AliasChoices, Field, SecretStr

from tidings.clock import SystemClock
from tidings.errors import ConfigurationError
from tidings.providers.base import Outgoing, Provider, ProviderParts, Receipt
from tidings.providers.http import HttpClient
from tidings.providers.n8n_answers import read_answer
from tidings.settings import Optional, SettingsGroup, secret

_TOKEN = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, section 5.6.2
_OURS = frozenset({"content-type", "content-length", "host", "idempotency-key", "connection", "transfer-encoding"})

_USER_AGENT = f"tidings/{version('tidings')} (messages)"
"""A bare name and version pass for a crawler's, which a Webhook node with "Ignore Bots" turns away."""


class N8nSettings(SettingsGroup):
    """Where n8n is, and the secrets that it shows and asks for."""

    n8n_inbound_secret: SecretStr | None = Field(
        None,
        validation_alias="N8N_INBOUND_SECRET",
        description="Shared secret of replies and delivery reports that n8n posts. Unset: they are refused.",
    )
    n8n_outbound_webhook_url: Annotated[str | None, Optional] = Field(
        None,
        validation_alias=AliasChoices("N8N_OUTBOUND_WEBHOOK_URL", "N8N_WEBHOOK_URL"),
        description="n8n webhook that sends text messages, with user:password@ where it asks for basic "
        "authentication. Unset: the simulator keeps them.",
    )
    n8n_outbound_header_name: Annotated[str | None, Optional] = Field(
        None,
        validation_alias="N8N_OUTBOUND_HEADER_NAME",
        description="Header that n8n's webhook asks for (header authentication), like X-Api-Key; for a JWT it is "
        "Authorization.",
    )
    n8n_outbound_header_value: SecretStr | None = Field(
        None,
        validation_alias="N8N_OUTBOUND_HEADER_VALUE",
        description="Secret value of that header; for a JWT, Bearer and the token.",
    )


class N8n:
    """Posts `{"phone": …, "message": …}` and the message's metadata to the n8n webhook at `url`, with `headers`.

    `name` is what we call the message, as in event-message-8, and `kind` its first part; delivery reports may name it
    so. A promotional mail also has `unsubscribe`, the address for its List-Unsubscribe header.

    Every attempt at one message has the same header Idempotency-Key, so that a workflow can drop what it
    has already sent (draft-ietf-httpapi-idempotency-key-header; the key is sent bare, without the
    draft's quotes, so that a workflow reads it as it is).
    """

    name = "n8n"
    drops_repetitions = True

    def __init__(self, http: HttpClient, url: str, headers: Mapping[str, str] | None = None) -> None:
        self._http = http
        self._url = url
        self._headers = {"user-agent": _USER_AGENT, **(headers or {})}

    async def send(self, outgoing: Outgoing) -> Receipt:
        """Hands the message to the workflow.

        The receipt has the id that the workflow's own provider gave it, where the answer says one; a webhook that
        answers at once says none. Raises SendError as `HttpClient.post_json` and `read_answer` say.
        """
        payload: dict[str, Any] = {"phone": outgoing.to, "message": outgoing.text}
        if outgoing.name is not None:
            payload |= {"kind": outgoing.name.rpartition("-")[0], "name": outgoing.name}
        payload |= {name: value for name, value in outgoing.metadata.items() if name not in ("phone", "message")}
        if outgoing.unsubscribe is not None:
            payload["unsubscribe"] = outgoing.unsubscribe
        key = outgoing.idempotency_key
        response = await self._http.post_json(
            self._url, payload, {**self._headers, "idempotency-key": key}, repeatable=self.drops_repetitions
        )
        # A date in Retry-After is on the world's clock, also when Tidings runs on a faster one.
        return Receipt(self.name, read_answer(self.name, response, payload, (key,), SystemClock().now()))

    async def close(self) -> None:
        """Nothing to release: the HTTP client belongs to whoever made it."""


def _header(settings: N8nSettings) -> Mapping[str, str]:
    name, value = settings.n8n_outbound_header_name, secret(settings.n8n_outbound_header_value)
    if not name and not value:
        return {}
    if not name or not value:
        raise ConfigurationError(
            f"{'N8N_OUTBOUND_HEADER_NAME' if value else 'N8N_OUTBOUND_HEADER_VALUE'} is missing; set both, or neither"
        )
    name = name.strip().lower()
    if not _TOKEN.fullmatch(name) or name in _OURS:
        raise ConfigurationError(
            f"N8N_OUTBOUND_HEADER_NAME is {name!r}; set it to the header that n8n's webhook asks for, like X-Api-Key"
        )
    if not (value.isascii() and value.isprintable()):
        raise ConfigurationError(
            "N8N_OUTBOUND_HEADER_VALUE has characters that no header takes; use ASCII on one line"
        )
    return {name: value}


def open_provider(parts: ProviderParts) -> Mapping[str, Provider]:
    """n8n for SMS, once its webhook is known. Raises ConfigurationError for a header that cannot be sent."""
    settings = parts.settings_of(N8nSettings)
    url, headers = settings.n8n_outbound_webhook_url, _header(settings)
    return {"sms": N8n(parts.http, url, headers)} if url else {}
