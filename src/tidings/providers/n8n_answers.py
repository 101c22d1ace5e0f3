"""What n8n's answers mean: no workflow has the message, one has it, or it failed there; and its provider's id.

The sentences are those of n8n 2.41, whose webhooks answer before, beside and instead of the workflow behind them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from tidings.errors import SendError
from tidings.providers.http import HttpResponse
from tidings.providers.responses import EXCERPT, excerpt, raise_for_response

Fields = Mapping[str, Any]

_BOOTING = "n8n is starting up"
_NO_ROUTE = re.compile(
    r"<pre>Cannot POST /"  # n8n: its webhooks are not there yet, or the path is none of theirs
    # Traefik, nginx, Kubernetes, Railway, Heroku and ngrok without an n8n
    r"|^404 page not found\s*$|<title>404 Not Found</title>|^default backend - 404|ERR_NGROK_"
    r'|"message":\s*"Application not found"|<title>(?:No such app|Heroku \| No Such App)',
    re.IGNORECASE,
)
_BARRED = re.compile(
    r"<title>40[135] [\w ]+</title>|<title>(?:Just a moment\.\.\.|Attention Required! \| Cloudflare)"
    r"|^error code: 1\d{3}",
    re.IGNORECASE,
)
"""What a proxy before n8n writes that lets nothing through: nginx and Apache by their titles, Cloudflare."""

_PAGE_FOR_PEOPLE = re.compile(r"<title>n8n\b|<input[^>]*\btype=[\"']?password|Cloudflare Access", re.IGNORECASE)
"""n8n's editor, and pages where somebody logs in, which answer 200 to everything."""

_ELSEWHERE = "set N8N_OUTBOUND_WEBHOOK_URL to the address of the webhook itself, without a login before it"
_UNREGISTERED = re.compile(
    r"webhook .*is not registered|(published|active) version not found for workflow|could not find workflow with id"
    r"|cannot find workflow$|could not find node to process webhook",
    re.IGNORECASE | re.DOTALL,
)
_NOT_FROM_HERE = "IP is not allowed to access the webhook!"

_WRAPPERS = frozenset(
    {"json", "data", "body", "result", "results", "response", "output", "message", "messages", "key"}
)
"""Where a message's own fields may stand, deeper in an answer: in n8n's items and in the answers of providers."""

_MESSAGES = frozenset({"message", "messages", "key"})
_DEEPEST = 6
_WIDEST = 10

_EXPLICIT = {
    "providermessageid": 0,
    "sid": 1,
    "messagesid": 1,
    "smssid": 1,
    "messageid": 2,
    "messageuuid": 2,
    "smsid": 2,
}
"""Names of ids that are a message's and nothing else's, by the trust in them. Letters and digits only, lower-case."""

_ID_OF_A_MESSAGE, _ID, _NUMBER = 2, 3, 4
_LONGEST_ID = 255

_ERRORS = frozenset({"error", "errors", "errorcode", "errormessage", "errortext"})
_NO_ERRORS = frozenset({"", "0", "false", "none", "null", "no", "ok", "no error"})
_FAILED = frozenset({"error", "failed", "failure", "rejected", "undelivered", "undeliverable"})
_N8N_ERROR = frozenset({"code", "message", "hint", "stacktrace"})
_WELL = re.compile(r"(ok|success|sent|accept|queued|done|workflow was started)", re.IGNORECASE)


def read_answer(
    provider: str, response: HttpResponse, payload: Fields, own: Collection[str], now: datetime
) -> str | None:
    """The id that the message has at the workflow's own provider; None where the answer says none.

    `payload` is what was posted, `own` are further names of ours: what the workflow only gives back is no id.
    Raises SendError: `away` while n8n gave the message to no workflow, retryable where a workflow answers with 2xx
    and says that it failed, and otherwise as `raise_for_response` says.
    """
    if trouble := _not_handed_over(response):
        sentence = f"{provider} answered {response.status}: {_said(response)}; {trouble}"
        raise SendError(sentence, retryable=True, away=True)
    raise_for_response(provider, response, now)
    answer = _json(response.body)
    trust, found = min(_ids(answer, payload, own), default=(_NUMBER, None), key=lambda one: one[0])
    is_explicit = found is not None and trust <= _ID_OF_A_MESSAGE
    if failure := _failure(answer, has_left=is_explicit):
        raise SendError(f"{provider}'s workflow failed: {failure}", retryable=True)
    return found


def _not_handed_over(response: HttpResponse) -> str | None:
    """What to do about an answer that no workflow gave, in words that follow a semicolon."""
    text = response.body[:2000].decode(errors="replace")
    match response.status:
        case 200 if _BOOTING in text and not text.lstrip().startswith(("{", "[")):
            return "its messages wait until it is ready"
        case 200 if text.lstrip().startswith("<") and _PAGE_FOR_PEOPLE.search(text):
            return _ELSEWHERE
        case 302 | 303 | 307:
            return _ELSEWHERE
        case 404 if _NO_ROUTE.search(text):
            return "it is starting, or N8N_OUTBOUND_WEBHOOK_URL leads elsewhere"
        case 301 | 308:
            return "set N8N_OUTBOUND_WEBHOOK_URL to the address to which it redirects"
        case 404 if _is_unregistered(response.body):
            return "publish the workflow, and let N8N_OUTBOUND_WEBHOOK_URL be the production URL of its POST webhook"
        case 401 | 403 | 405 if _BARRED.search(text) and "www-authenticate" not in response.headers:
            return "a proxy before n8n lets nothing through; let it pass POST to the webhook's path"
        case 403 if _NOT_FROM_HERE in text:
            return "allow the address of Tidings in its Webhook node"
        case 500 if "www-authenticate" in response.headers:
            return "choose the credential of its Webhook node"
        case status if status >= 400 and "www-authenticate" in response.headers:
            return (
                "set N8N_OUTBOUND_HEADER_NAME and N8N_OUTBOUND_HEADER_VALUE to what its Webhook node asks for, "
                "or write user:password@ into N8N_OUTBOUND_WEBHOOK_URL"
            )
    return None


def _is_unregistered(body: bytes) -> bool:
    answer = _json(body)
    if not isinstance(answer, dict):  # a stack trace may have been cut
        text = body[:500].decode(errors="replace")
        return text.startswith('{"code":404,"message":') and _UNREGISTERED.search(text) is not None
    message = answer.get("message")
    return answer.get("code") == 404 and isinstance(message, str) and _UNREGISTERED.search(message) is not None


def _said(response: HttpResponse) -> str:
    answer = _json(response.body)
    return _sentence(answer["message"]) if isinstance(answer, dict) and "message" in answer else excerpt(response)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _objects(answer: Any) -> Iterator[tuple[str, Fields]]:
    """The objects that may be about the message, outer ones first, each with the name under which it stands."""
    level: list[tuple[str, Any]] = [("", answer)]
    for _ in range(_DEEPEST):
        inner: list[tuple[str, Any]] = []
        for name, value in level:
            if isinstance(value, list):
                inner += [(name, one) for one in value[:_WIDEST]]
            elif isinstance(value, dict):
                yield name, value
                inner += [(_plain(key), one) for key, one in value.items() if _plain(key) in _WRAPPERS]
        level = inner


def _ids(answer: Any, payload: Fields, own: Collection[str]) -> Iterator[tuple[int, str]]:
    """Ids with the trust in them, 0 first, that are none of ours."""
    ours: set[str] | None = None
    for within, fields in _objects(answer):
        for name, value in fields.items():
            plain = _plain(name)
            trust = _EXPLICIT.get(plain, _ID if plain == "id" else None)
            found = _id(value)
            if trust is None or found is None:
                continue
            if ours is None:
                ours = {one.casefold() for one in (*own, *_scalars(payload))}
            if found.casefold() in ours:
                continue
            if trust == _ID:
                if within in _MESSAGES:
                    trust = _ID_OF_A_MESSAGE
                elif found.isdigit():
                    # It may be a provider's; it is none where it counts the rows in which a workflow keeps messages.
                    if _is_row(fields, payload, own):
                        continue
                    trust = _NUMBER
            yield trust, found


def _is_row(fields: Fields, payload: Fields, own: Collection[str]) -> bool:
    names = {_plain(name) for name in fields}
    said = {value for value in fields.values() if isinstance(value, str)}
    ours = {payload[name] for name in ("phone", "message", "name") if name in payload}
    return {"createdat", "updatedat"} <= names or not said.isdisjoint(ours.union(own))


def _scalars(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for one in value.values():
            yield from _scalars(one)
    elif isinstance(value, str):
        yield value.strip()
    elif isinstance(value, Sequence):
        for one in value:
            yield from _scalars(one)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)


def _id(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    try:
        found = str(value).strip()
    except ValueError:  # more digits than Python writes
        return None
    return found if 0 < len(found) <= _LONGEST_ID and found.isprintable() else None


def _failure(answer: Any, *, has_left: bool) -> str | None:
    """What a workflow says that went wrong, though its status is 2xx; None when nothing did.

    Of a message that `has_left`, as it has an id of the provider's, only its own status counts: what failed besides
    came afterwards.
    """
    for _, fields in _objects(answer):
        plain = {_plain(name): value for name, value in fields.items()}
        wrong = [value for name, value in plain.items() if name in _ERRORS and _is_trouble(value)]
        if _is_failed(plain.get("status")) or (
            not has_left
            and (
                wrong
                or any(_is_error_status(plain.get(name)) for name in ("statuscode", "status", "code"))
                or any(plain.get(name) in (False, "false") for name in ("success", "ok"))
                or _is_n8ns_error(fields)
            )
        ):
            said = [value for value in (*wrong, plain.get("message")) if isinstance(value, str | list | dict)]
            return _sentence(said[0] if said else fields)
    return None


def _is_failed(status: object) -> bool:
    return isinstance(status, str) and status.strip().lower() in _FAILED


def _is_error_status(code: object) -> bool:
    return isinstance(code, int) and not isinstance(code, bool) and 400 <= code < 600


def _is_n8ns_error(fields: Fields) -> bool:
    message = fields.get("message")
    said = isinstance(message, str) and fields.get("code") == 0 and fields.keys() <= _N8N_ERROR
    return said and _WELL.match(str(message).strip()) is None


def _is_trouble(value: object) -> bool:
    return bool(value) and str(value).strip().lower() not in _NO_ERRORS


def _sentence(said: Any) -> str:
    if isinstance(said, list) and said:
        said = said[0]
    if isinstance(said, dict):
        said = next((said[name] for name in ("message", "description") if isinstance(said.get(name), str)), said)
    text = said if isinstance(said, str) else json.dumps(said)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:EXCERPT]


@lru_cache(maxsize=1024)
def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
