"""What a provider's HTTP status means for a message: taken, to be tried again, or refused."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from tidings.errors import SendError
from tidings.providers.http import HttpResponse

MAX_RETRY_AFTER = 24 * 60 * 60.0
"""Seconds. A provider that asks for a longer pause is asked again after a day."""

EXCERPT = 200
"""Characters of an answer that stand in the error text."""

_RETRYABLE = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_PAUSING = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_GAVE_UP = frozenset({HTTPStatus.GATEWAY_TIMEOUT, 524})
_NOT_REACHED = frozenset({HTTPStatus.BAD_GATEWAY, 521, 522, 523, 525, 526, 530})
"""Statuses of gateways that did not get through; 520 to 530 are Cloudflare's ("Cloudflare 5xx errors")."""

_AWAY = _PAUSING | _GAVE_UP | _NOT_REACHED


def raise_for_response(provider: str, response: HttpResponse, now: datetime) -> None:
    """Returns when `response` has a 2xx status, and raises SendError for every other one.

    408, 425, 429 and 5xx may be retried, all others not (RFC 9110, section 15; RFC 8470; RFC 6585). On
    429 and 503 the error's `retry_after` is what the header Retry-After asks for, counted from `now`, an
    aware datetime. A 429 says that the provider gets too many messages. The text has the status and the first
    200 characters of the body, on one line. After 429, 502, 503, 504 and Cloudflare's for the same the provider is
    `away`. After 504 and 524 the outcome is `unknown`, too: a gateway handed the message on and got no answer
    (RFC 9110, section 15.6.5).
    """
    if 200 <= response.status < 300:
        return
    wait = retry_after(response, now) if response.status in _PAUSING else None
    raise SendError(
        f"{provider} answered {response.status}: {excerpt(response)}",
        retryable=response.status in _RETRYABLE or response.status >= 500,
        retry_after=wait,
        throttled=response.status == HTTPStatus.TOO_MANY_REQUESTS,
        unknown=response.status in _GAVE_UP,
        away=response.status in _AWAY,
    )


def retry_after(response: HttpResponse, now: datetime) -> float | None:
    """Seconds to wait by the header Retry-After, at most a day (RFC 9110, section 10.2.3).

    None when the header is missing, unreadable, or asks for no wait at all: then the queue's own backoff
    is kinder to a struggling provider than calling again at once.
    """
    asked = response.headers.get("retry-after", "").strip()
    seconds = float(asked) if asked.isascii() and asked.isdigit() else _seconds_until(asked, now)
    return min(seconds, MAX_RETRY_AFTER) if seconds > 0 else None


def _seconds_until(http_date: str, now: datetime) -> float:
    try:
        moment = parsedate_to_datetime(http_date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    if moment.tzinfo is None:  # the asctime form names no zone; every HTTP date is UTC (RFC 9110, 5.6.7)
        moment = moment.replace(tzinfo=UTC)
    return (moment - now).total_seconds()


def excerpt(response: HttpResponse) -> str:
    """The beginning of an answer's body on one line, or what its status means."""
    text = response.body.decode("utf-8", errors="replace")
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line[:EXCERPT] or _phrase(response.status)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no explanation"
