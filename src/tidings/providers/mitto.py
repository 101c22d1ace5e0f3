"""Mitto: SMS through its REST API, and the callbacks with which it tells of deliveries and replies.

Requests and answers follow docs.mitto.ch (SMS API Reference, SMS Use Cases), status codes Mitto's SMS Developers
Guide. The callbacks of Mitto's SMS API and of its messages API differ; each field is found under the names of
both, in any case.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import Field, SecretStr

from tidings.clock import SystemClock
from tidings.errors import ConfigurationError, SendError
from tidings.providers.base import Outgoing, Provider, ProviderParts, Receipt
from tidings.providers.http import HttpClient
from tidings.providers.reports import DeliveryReport, InboundMessage, read_status
from tidings.providers.responses import EXCERPT, raise_for_response
from tidings.settings import CoreSettings, Optional, SettingsGroup, group_of, secret

URL = "https://rest.mittoapi.net/sms"
"""The address that resolves to Mitto's nearest site; it answers in JSON."""

REFUSED_KEY = 60.0
"""Seconds until a message tries again whether the account's key is taken now."""

_SENT = "0"
_FINAL = frozenset({"2", "3", "4", "7", "8"})
"""Status codes that the same message gets every time. Code 1 is an internal error of Mitto's."""

_ACCOUNT_HINTS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "set the account's API key to one that Mitto takes",
    HTTPStatus.PAYMENT_REQUIRED: "fill up the account's balance",
    HTTPStatus.FORBIDDEN: "let Mitto allow the address of Tidings, or set the account's API key",
}
"""By statuses that the account gets for every message."""

_HINTS = {"5": "; set MITTO_SENDER", "6": "; set MITTO_SENDER to a sender that Mitto has approved"}

_LONGEST_ID = 255
_PHONE = re.compile(r"(?:\+|00)?([1-9][0-9]{6,14})")


class MittoSettings(SettingsGroup):
    """The installation's own account at Mitto, and where Mitto is."""

    mitto_api_key: SecretStr | None = Field(
        None,
        validation_alias="MITTO_API_KEY",
        description="Key of the Mitto account for text messages; shops may have their own. Unset: n8n or simulator.",
    )
    mitto_sender: Annotated[str | None, Optional] = Field(
        None,
        validation_alias="MITTO_SENDER",
        description="Sender of text messages through Mitto: a number or 3 to 11 letters.",
    )
    mitto_callback_token: SecretStr | None = Field(
        None,
        validation_alias="MITTO_CALLBACK_TOKEN",
        description="Secret end of the address for Mitto's callbacks: /webhooks/mitto/<token>.",
    )
    mitto_url: str = Field(
        URL,
        validation_alias="MITTO_URL",
        description="Address of Mitto's SMS API.",
    )


@dataclass(frozen=True, slots=True)
class MittoAccount:
    """An account at Mitto, named `key`. Its SMS come from `sender`: 3 to 11 characters, or 3 to 14 digits.

    `callback` is where delivery reports of these messages go, instead of the address in Mitto's account.
    Raises ConfigurationError for an API key or a sender that cannot work.
    """

    key: str
    api_key: str = field(repr=False)
    sender: str
    callback: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.api_key.strip():
            raise ConfigurationError("MITTO_API_KEY is empty; set it to the API key of your Mitto account")
        object.__setattr__(self, "api_key", self.api_key.strip())
        object.__setattr__(self, "sender", _sender(self.sender))


class Mitto:
    """Sends every message as an SMS, through the account that it names or else through `account`.

    Mitto drops no repetition. The idempotency key is the message's `reference`, which comes back in its delivery
    reports, so a report tells of a message whose answer was lost; sent again it may reach the recipient twice.
    """

    name = "mitto"
    drops_repetitions = False

    def __init__(self, http: HttpClient, account: MittoAccount | None = None, url: str = URL) -> None:
        self._http = http
        self._account = account
        self._url = url

    async def send(self, outgoing: Outgoing) -> Receipt:
        """Hands the message to Mitto, which chooses its encoding and cuts it into parts where it is long.

        Raises SendError as `HttpClient.post_json` and `raise_for_response` say; when Mitto refuses the key (401,
        403), the balance (402) or the sender (codes 5 and 6), the account is away until it is put right. Also for a
        status code other than 0 in an answer with a 2xx status: final for codes 2 to 4, 7 and 8, which the message
        gets every time, retryable for code 1 and codes that are not documented. After an answer without a status code
        the outcome is unknown, and trying again could send the message once more with every attempt.
        """
        account = outgoing.account or self._account
        if not isinstance(account, MittoAccount):
            raise SendError("no Mitto account is set up; set MITTO_API_KEY and MITTO_SENDER", retryable=False)
        response = await self._http.post_json(
            self._url,
            {
                "from": account.sender,
                "to": outgoing.to.removeprefix("+"),  # Mitto wants the digits only (status code 8)
                "text": outgoing.text,
                "type": "auto",  # the default is GSM, which refuses every other character (status code 4)
                "reference": outgoing.idempotency_key,
                **({"callback": account.callback} if account.callback else {}),
            },
            {"x-mitto-api-key": account.api_key, "accept": "application/json"},
        )
        # A date in Retry-After is on the world's clock, also when Tidings runs on a faster one.
        try:
            raise_for_response(self.name, response, SystemClock().now())
        except SendError as error:
            if (hint := _ACCOUNT_HINTS.get(response.status)) is None:
                raise
            sentence = f"{error}; {hint}"
            raise SendError(sentence, retryable=True, retry_after=REFUSED_KEY, away=True, of_account=True) from error
        return Receipt(self.name, _accepted(response.body))

    async def close(self) -> None:
        """Nothing to release: the HTTP client belongs to whoever made it."""


def parse_delivery_report(payload: Mapping[str, Any]) -> DeliveryReport | None:
    """The delivery report in a callback's parameters or JSON object.

    None when it names no message, or a status that says nothing about the delivery.
    """
    fields = _lower(payload)
    message_id = _id(_first(fields, "msgid", "messageid", "id"))
    word = (_first(fields, "status", "deliverystatus") or "").upper()
    status = read_status(word)
    if message_id is None or status is None:
        return None
    error = None
    if status == "FAILED":
        code = _first(fields, "errorcode", "error", "description")
        error = _one_line(word if code in (None, "0") else f"{word}: {code}")
    at = _moment(_first(fields, "timestamp", "time", "updatedat"))
    return DeliveryReport(message_id, status, at, error, _id(_first(fields, "reference")))


def parse_reply(payload: Mapping[str, Any]) -> InboundMessage | None:
    """The reply in a callback's parameters or JSON object; None when it lacks a sender or a text.

    A reply without an id is known by its sender, time and text; without a time as well it has no id, since a
    second STOP must not pass for the first one.
    """
    fields = _lower(payload)
    sender = _one_line(_first(fields, "from", "sender", "msisdn") or "")
    texts = (fields[name] for name in ("text", "message", "body") if isinstance(fields.get(name), str))
    text = next(texts, None)
    if not sender or text is None:
        return None
    time = _first(fields, "timestamp", "time", "receivedat", "createdat")
    message_id = _id(_first(fields, "id", "messageid", "msgid"))
    if message_id is None and time:
        message_id = hashlib.sha256(repr((sender, time, text)).encode()).hexdigest()
    phone = _PHONE.fullmatch(sender)
    return InboundMessage(
        message_id,
        f"+{phone[1]}" if phone else sender,
        # No database keeps NUL or half a surrogate pair, and a STOP counts whatever stands beside it.
        text.encode(errors="replace").decode().replace("\0", ""),
        _moment(time),
    )


def _sender(sender: str) -> str:
    found = sender.strip().removeprefix("+")
    longest = 14 if found.isdigit() else 11
    if not (found.isascii() and found.isprintable() and 3 <= len(found) <= longest):
        raise ConfigurationError(
            f"MITTO_SENDER is {sender!r}; set it to a name of 3 to 11 characters or a number of 3 to 14 digits"
        )
    return found


def _accepted(body: bytes) -> str | None:
    """The id of an accepted message; test calls have none. Raises SendError when it was not accepted."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    fields = answer if isinstance(answer, dict) else {}
    code, message_id = _word(fields.get("responseCode")), _id(_word(fields.get("id")))
    if code == _SENT or (code is None and message_id):
        return message_id
    if code is None:
        shown = _one_line(body.decode(errors="replace")) or "it is empty"
        raise SendError(
            f"mitto's answer does not say whether the message left, and it is not sent again: {shown}",
            retryable=False,
            unknown=True,
        )
    text = _one_line(_word(fields.get("responseText")) or "no explanation")
    sentence = f"mitto refused the message, status code {_one_line(code)}: {text}{_HINTS.get(code, '')}"
    if code in _HINTS:  # the sender is the account's, and so is the fault
        raise SendError(sentence, retryable=True, retry_after=REFUSED_KEY, away=True, of_account=True)
    raise SendError(sentence, retryable=code not in _FINAL)


def _lower(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {name.lower(): value for name, value in payload.items()}


def _first(fields: Mapping[str, Any], *names: str) -> str | None:
    return next((word for name in names if (word := _word(fields.get(name)))), None)


def _word(value: object) -> str | None:
    """A value as text; Mitto writes numbers both bare and as strings."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value).strip() or None


def _id(word: str | None) -> str | None:
    return word if word and len(word) <= _LONGEST_ID and word.isprintable() else None


def _moment(word: str | None) -> datetime | None:
    """An ISO 8601 time as UTC, the zone in which Mitto writes its times."""
    if not word or word.isdigit():  # a run of digits may count seconds, but reads as a date as well
        return None
    try:
        moment = datetime.fromisoformat(word)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:EXCERPT]


def open_provider(parts: ProviderParts) -> Mapping[str, Provider]:
    """Mitto for whoever has an account there, and for SMS once the installation has one."""
    settings = parts.settings_of(MittoSettings)
    key, token, here = (
        secret(settings.mitto_api_key),
        secret(settings.mitto_callback_token),
        parts.settings.public_url,
    )
    account = None
    if key and settings.mitto_sender:
        callback = callback_address(here, token) if here and token else None
        account = MittoAccount("installation", key, settings.mitto_sender, callback)
    mitto = Mitto(parts.http, account, settings.mitto_url)
    return {Mitto.name: mitto, **({"sms": mitto} if account else {})}


def read_callback(payload: Mapping[str, Any]) -> DeliveryReport | InboundMessage | None:
    """What a callback says: how a message fared, or what somebody wrote."""
    return parse_delivery_report(payload) or parse_reply(payload)


def callback_token(settings: CoreSettings) -> str | None:
    """The secret end of the address at which Mitto calls about the installation's own account."""
    return secret(group_of(settings, MittoSettings).mitto_callback_token)


def callback_address(public_url: str, token: str) -> str:
    """Where Mitto calls this installation, which is reached at `public_url`."""
    return f"{public_url.rstrip('/')}/webhooks/mitto/{token}"
