"""WhatsApp through Meta's Cloud API: POST /{version}/{phone number ID}/messages of the Graph API."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from tidings.clock import SystemClock
from tidings.errors import ConfigurationError, SendError
from tidings.providers.base import Outgoing, Provider, ProviderParts, Receipt
from tidings.providers.http import HttpClient
from tidings.providers.whatsapp_cloud.errors import CloudError, refusal, without_token
from tidings.providers.whatsapp_fields import as_list, as_object, identifier, json_object, line, phone
from tidings.settings import SettingsGroup

URL = "https://graph.facebook.com"
VERSION = "v18.0"
"""The Graph API's version. Meta answers an expired one as its oldest version that is still alive."""

MAX_TEXT = 4096
"""Characters of a text message (Cloud API, Text messages)."""

MAX_PARAMETER = 1024
"""Characters of a template's parameter (Cloud API, template messages)."""

_USER_ID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")


class WhatsAppCloudSettings(SettingsGroup):
    """Where Meta's Graph API is."""

    whatsapp_api_version: str = Field(
        "v18.0",
        pattern=r"^v\d+\.\d+$",
        validation_alias="WHATSAPP_API_VERSION",
        description="Version of Meta's Graph API for WhatsApp.",
    )
    whatsapp_graph_url: str = Field(
        "https://graph.facebook.com",
        validation_alias="WHATSAPP_GRAPH_URL",
        description="Address of Meta's Graph API.",
    )


@dataclass(frozen=True, slots=True)
class CloudAccount:
    """A business phone number: its ID at Meta, which is not the number, and a token that may send from it."""

    phone_number_id: str
    access_token: str = field(repr=False)

    @property
    def key(self) -> str:
        return self.phone_number_id


class WhatsAppCloud:
    """Sends text and template messages for any number of accounts.

    Meta drops no repetition. The idempotency key travels as `biz_opaque_callback_data` and comes back in every status
    callback, which names the message even when the answer with Meta's id was lost; a message that is sent again
    after that may reach the recipient twice.

    A recipient is an E.164 phone number or the user ID by which Meta names somebody who hides the number (a
    business-scoped user ID such as US.13491208655302741918).

    Raises ConfigurationError for a version that cannot work.
    """

    name = "whatsapp_cloud"
    drops_repetitions = False

    def __init__(self, http: HttpClient, base_url: str = URL, version: str = VERSION) -> None:
        if not re.fullmatch(r"v[0-9]{1,3}\.[0-9]{1,2}", version):
            raise ConfigurationError(f"the Graph API has no version {version!r}; write it like {VERSION}")
        self._http = http
        self._url = f"{base_url.rstrip('/')}/{version}"

    async def send(self, outgoing: Outgoing) -> Receipt:
        """Sends the text, or the template in the metadata where the user wrote too long ago.

        The metadata are `window_open`, whether the user wrote within 24 hours, and `template` (name, language,
        with_text), None when there is none. Raises SendError as `send_text` does; final when the 24 hours are over
        and there is no template.
        """
        account = outgoing.account
        if not isinstance(account, CloudAccount):
            raise SendError("the message names no phone number ID to send it from", retryable=False)
        try:
            if not outgoing.metadata["window_open"]:
                return await self._send_instead(account, outgoing)
            try:
                return await self.send_text(
                    account, outgoing.to, outgoing.text, idempotency_key=outgoing.idempotency_key
                )
            except CloudError as error:
                if not error.needs_template:
                    raise
                return await self._send_instead(account, outgoing)
        except CloudError as error:
            if error.limit != "recipient":
                raise
            # Only this person gets too much; the number's other messages need not slow down.
            raise SendError(str(error), retryable=True, retry_after=error.retry_after) from error

    async def close(self) -> None:
        """Nothing to release: the HTTP client belongs to whoever made it."""

    async def _send_instead(self, account: CloudAccount, outgoing: Outgoing) -> Receipt:
        """Sends the template in the place of the text."""
        template = outgoing.metadata["template"]
        if not template:
            raise SendError(
                "the user wrote more than 24 hours ago, so WhatsApp takes no free text; "
                "set the chatbot's whatsapp_template to an approved template",
                retryable=False,
            )
        components: list[dict[str, Any]] = []
        if template.get("with_text"):
            # A parameter takes no line ends and no runs of spaces.
            text = " ".join(outgoing.text.split())[:MAX_PARAMETER]
            components = [{"type": "body", "parameters": [{"type": "text", "text": text}]}]
        return await self.send_template(
            account,
            outgoing.to,
            template["name"],
            template["language"],
            components,
            idempotency_key=outgoing.idempotency_key,
        )

    async def send_text(
        self,
        account: CloudAccount,
        to: str,
        text: str,
        *,
        reply_to: str | None = None,
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Sends a text, quoting the message `reply_to` (a wamid) if there is one; the receipt's id is the wamid.

        WhatsApp takes a text only within 24 hours of the recipient's last message; later it is refused with a
        CloudError whose `needs_template` is true, at once or in a status callback.

        Raises SendError as `HttpClient.post_json` says; final for a recipient, text or account that cannot be sent at
        all; CloudError for what Meta refuses. After an answer without an id the outcome is unknown, and trying again
        could send the message once more with every attempt.
        """
        if not text.strip():
            raise SendError("the message is empty; WhatsApp takes no empty text", retryable=False)
        # Meta does not say how it counts emoji, so only what is too long in any way of counting is refused here.
        if len(text) > MAX_TEXT:
            raise SendError(
                f"the text has {len(text):,} characters; WhatsApp takes {MAX_TEXT:,}, so shorten it", retryable=False
            )
        content: dict[str, Any] = {"type": "text", "text": {"body": text}}
        if reply_to:
            content["context"] = {"message_id": reply_to}
        return await self._send(account, to, content, idempotency_key)

    async def send_template(
        self,
        account: CloudAccount,
        to: str,
        name: str,
        language: str,
        components: Sequence[Mapping[str, Any]] = (),
        *,
        idempotency_key: str | None = None,
    ) -> Receipt:
        """Sends an approved template in `language`, e.g. en_US; `components` are its parameters as Meta writes them.

        Needs no recent message of the recipient. Returns and raises as `send_text` does.
        """
        template: dict[str, Any] = {"name": name, "language": {"code": language}}
        if components:
            template["components"] = [dict(component) for component in components]
        return await self._send(account, to, {"type": "template", "template": template}, idempotency_key)

    async def _send(
        self, account: CloudAccount, to: str, content: Mapping[str, Any], idempotency_key: str | None
    ) -> Receipt:
        number, token = account.phone_number_id.strip(), account.access_token.strip()
        if not (number.isascii() and number.isdigit()):
            raise SendError(
                f"{account.phone_number_id!r} is no phone number ID; copy the digits that WhatsApp Manager shows",
                retryable=False,
            )
        if not (token and token.isascii() and token.isprintable()):
            raise SendError(
                f"the access token of phone number ID {number} is malformed; set it again", retryable=False
            )
        response = await self._http.post_json(
            f"{self._url}/{number}/messages",
            {
                "messaging_product": "whatsapp",
                "recipient_type": "individual",
                **_recipient(to),
                **content,
                **({"biz_opaque_callback_data": idempotency_key} if idempotency_key else {}),
            },
            {"authorization": f"Bearer {token}"},
        )
        # A date in Retry-After is on the world's clock, also when Tidings runs on a faster one.
        if error := refusal(self.name, number, token, response, SystemClock().now()):
            raise error
        return Receipt(self.name, _message_id(response.body, token))


def is_recipient(to: str) -> bool:
    """Whether a text can be addressed to `to`, a phone number or a business-scoped user ID."""
    return phone(to) is not None or _USER_ID.fullmatch(to) is not None


def _recipient(to: str) -> dict[str, str]:
    if number := phone(to):
        return {"to": number.removeprefix("+")}
    if _USER_ID.fullmatch(to):
        return {"recipient": to}
    raise SendError(
        f"{line(to, 40) or 'nothing'} is no recipient; write a phone number with + and country code", retryable=False
    )


def _message_id(body: bytes, token: str) -> str:
    for message in as_list(json_object(body).get("messages")):
        if found := identifier(as_object(message).get("id")):
            return found
    shown = line(without_token(token, body).decode(errors="replace")) or "it is empty"
    raise SendError(
        f"whatsapp_cloud's answer does not say whether the message left, and it is not sent again: {shown}",
        retryable=False,
        unknown=True,
    )


def open_provider(parts: ProviderParts) -> Mapping[str, Provider]:
    """The Cloud API, for every number that is connected."""
    settings = parts.settings_of(WhatsAppCloudSettings)
    cloud = WhatsAppCloud(parts.http, settings.whatsapp_graph_url, settings.whatsapp_api_version)
    return {WhatsAppCloud.name: cloud}
