"""What the WhatsApp Cloud API means by an error code: try again, wait, or change something.

Codes follow Meta's list of Cloud API error codes and its throughput and rate limit pages. Meta advises to go by the
code: the HTTP status says 500 for a missing permission and 400 for a fault of Meta's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

from tidings.errors import SendError
from tidings.providers.http import HttpResponse
from tidings.providers.responses import MAX_RETRY_AFTER, raise_for_response, retry_after
from tidings.providers.whatsapp_fields import as_list, as_object, identifier, json_object, line

Limit = Literal["app", "account", "number", "recipient"]
"""Whose messages a limit counts: all of the Meta app, of the WhatsApp Business account, of the business phone
number, or only those of that number to one recipient."""

_NEEDS_TEMPLATE = 131047
_OPTED_OUT = 131050

_TEMPORARY = frozenset({131000})
"""What may be the message's fault, and may pass."""

_DOWN = frozenset({1, 2, 131016, 133004})
"""Meta itself is down or overloaded, and takes nobody's messages."""

_ACCOUNT_RESTS: dict[int | None, float] = {
    **dict.fromkeys((0, 3, 10, 190, 131005), 60.0),  # its access token
    **dict.fromkeys((368, 131031, 131042, 131037, 131045, 133010), 300.0),  # what a person has to settle with Meta
    33: 300.0,  # its phone number ID
    131057: 60.0,  # under maintenance
}
"""Codes by which Meta takes none of the account's messages, and the seconds until one tries again. Whoever mends it
need not send anything again: they wait."""

_LIMITS: dict[int | None, tuple[Limit, float | None]] = {
    **dict.fromkeys((4, 17, 32, 613), ("app", 60.0)),
    80007: ("account", 60.0),
    130429: ("number", 1.0),  # counted by the second
    131048: ("number", None),
    131056: ("recipient", 6.0),  # one message in six seconds to the same person
}
"""Codes of limits, and the seconds to wait when the answer names none. Those of the app and the account count by the
hour, and how long they last stands in a header; without it, a minute is what a look at them costs at most."""

_TOKEN = "its access token is wrong, has expired or was withdrawn; set a new one"
_PERMISSION = "its access token lacks the permission whatsapp_business_messaging; grant it or set another token"
_POLICY = "Meta restricts the account for a breach of its policies; see its Business Support Home"
_TEMPLATE = "Meta did not accept the template; compare its name, language and parameters with WhatsApp Manager"

_ADVICE: dict[int | None, str] = {
    0: _TOKEN,
    3: _PERMISSION,
    10: _PERMISSION,
    33: "the business phone number no longer exists; connect another one",
    100: "a field is not as Meta wants it; check the phone number ID, the recipient and the message",
    190: _TOKEN,
    368: _POLICY,
    130472: "Meta withholds marketing messages from this recipient as an experiment",
    130497: "Meta does not let this account write to the recipient's country",
    131005: _PERMISSION,
    131008: "a field is missing; check the template's parameters",
    131009: "a value is not allowed; check the recipient and the template's parameters",
    131021: "the recipient is the business phone number itself; change the recipient",
    131026: "WhatsApp cannot deliver to this number; it may not be on WhatsApp, or its app is too old",
    131030: "a test number only reaches its list of recipients; add the recipient to it",
    131031: _POLICY,
    131037: "the phone number needs an approved display name; request one in WhatsApp Manager",
    131042: "Meta cannot charge the account; mend its payment method",
    131045: "the phone number is not registered properly; register it again",
    _NEEDS_TEMPLATE: "the recipient wrote more than 24 hours ago, or never; send a template message",
    131049: "Meta withholds this marketing message to spare the recipient; try another one in a day or later",
    _OPTED_OUT: "the recipient wants no marketing messages from this business; send none",
    131051: "WhatsApp does not know this type of message; send another type",
    131062: "this message needs a phone number; the recipient's user ID will not do",
    132000: "the template has another number of parameters; send as many as it has",
    132001: "there is no approved template of that name in that language; check both",
    132005: "the template is too long with these parameters; shorten them",
    132007: "the template breaks WhatsApp's policy for templates; edit it",
    132012: "a parameter has another format than the template's; send it as the template says",
    132015: "Meta paused the template for its low quality; edit it, or send another one",
    132016: "Meta disabled the template for its low quality; send another one",
    133010: "the phone number is not registered for the Cloud API; register it",
}


class CloudError(SendError):
    """The Cloud API did not take a message.

    `code` is Meta's error code, None when it gave none. `limit` says whose messages were too many, None when it was
    not for that.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int | None,
        retryable: bool,
        retry_after: float | None = None,
        throttled: bool = False,
        limit: Limit | None = None,
        unknown: bool = False,
        away: bool = False,
        of_account: bool = False,
    ) -> None:
        super().__init__(
            message,
            retryable=retryable,
            retry_after=retry_after,
            throttled=throttled,
            unknown=unknown,
            away=away,
            of_account=of_account,
        )
        self.code = code
        self.limit = limit

    @property
    def needs_template(self) -> bool:
        """Whether a template message may still go to this recipient."""
        return needs_template(self.code)

    @property
    def opted_out(self) -> bool:
        """Whether the recipient told WhatsApp to stop this business's marketing messages."""
        return opted_out(self.code)


def needs_template(code: int | None) -> bool:
    return code == _NEEDS_TEMPLATE


def opted_out(code: int | None) -> bool:
    return code == _OPTED_OUT


def advice(code: int | None) -> str | None:
    """What to change about an error; None when there is nothing to change, or the code is unknown."""
    if code in _ADVICE:
        return _ADVICE[code]
    if code is not None and 200 <= code <= 299:
        return _PERMISSION
    return _TEMPLATE if code is not None and 132000 <= code <= 132999 else None


def read_code(error: Mapping[str, Any]) -> int | None:
    """The code of Meta's error object."""
    found = identifier(error.get("code")) or ""
    return int(found) if found.isascii() and found.isdigit() and len(found) < 10 else None


def refusal(provider: str, number: str, token: str, response: HttpResponse, now: datetime) -> CloudError | None:
    """The error that `response` reports for the business phone number with ID `number`; None when it reports none.

    A code that Meta does not document, or none at all, is read by `is_transient` and the HTTP status, as
    `raise_for_response` says. The text is without `token`.
    """
    response = HttpResponse(response.status, response.headers, without_token(token, response.body))
    error = as_object(json_object(response.body).get("error"))
    by_status = _by_status(provider, response, now)
    if not error and by_status is None:
        return None
    verdict = by_status or SendError("", retryable=False)
    code = read_code(error)
    hint, asked = advice(code), retry_after(response, now)
    throttled, limit, pause = verdict.throttled, None, verdict.retry_after
    rests = 60.0 if code is not None and 200 <= code <= 299 else _ACCOUNT_RESTS.get(code) if error else None
    if code == 100 and identifier(error.get("error_subcode")) == "33":  # no such ID, or not for this token
        rests = _ACCOUNT_RESTS[33]
    away = verdict.away
    if found := _LIMITS.get(code):
        limit, usual = found
        retryable = throttled = True
        pause = asked or _regained(response) or usual
    elif rests:
        retryable, throttled, away = True, False, True
        pause = asked or rests
    elif hint:
        retryable = throttled = away = False
        pause = None
    elif code in _DOWN:
        retryable = away = True
        pause = asked
    elif code in _TEMPORARY or error.get("is_transient") is True:
        retryable, away, pause = True, False, asked
    else:
        retryable = verdict.retryable
    return CloudError(
        _sentence(provider, number, response.status, code, error, hint) if error else str(verdict),
        code=code,
        retryable=retryable,
        retry_after=pause,
        throttled=throttled,
        limit=limit,
        unknown=verdict.unknown and not error,  # what Meta says itself, it knows
        away=away,
        of_account=rests is not None,
    )


def describe(error: Mapping[str, Any]) -> str:
    """Meta's words in an error object, on one line: what happened, and the details if it gives any."""
    title = line(error.get("message")) or line(error.get("title")) or "no explanation"
    details = line(as_object(error.get("error_data")).get("details"))
    return f"{title}: {details}" if details and details not in title else title


def _sentence(
    provider: str, number: str, status: int, code: int | None, error: Mapping[str, Any], hint: str | None
) -> str:
    subcode, trace = identifier(error.get("error_subcode")), identifier(error.get("fbtrace_id"))
    known = f"status {status}" if code is None else f"code {code}/{subcode}" if subcode else f"code {code}"
    end = f" (fbtrace_id {trace})" if trace else ""
    start = f"{provider} refused a message of phone number ID {number}, {known}: {describe(error)}"
    return f"{start}; {hint}{end}" if hint else f"{start}{end}"


def _by_status(provider: str, response: HttpResponse, now: datetime) -> SendError | None:
    try:
        raise_for_response(provider, response, now)
    except SendError as error:
        return error
    return None


def _regained(response: HttpResponse) -> float | None:
    """Seconds until an hourly limit is over: the header names minutes (Graph API, Rate Limits)."""
    usage = json_object(response.headers.get("x-business-use-case-usage", "").encode())
    minutes = [
        found
        for uses in usage.values()
        for use in as_list(uses)
        if type(found := as_object(use).get("estimated_time_to_regain_access")) is int and found > 0
    ]
    return min(max(minutes) * 60.0, MAX_RETRY_AFTER) if minutes else None


def without_token(token: str, body: bytes) -> bytes:
    """`body` without the access token, which Meta quotes when it cannot read it."""
    for form in (token, quote(token, safe=""), token.replace("/", "\\/")):
        body = body.replace(form.encode(errors="replace"), "…".encode()) if form else body
    return body
