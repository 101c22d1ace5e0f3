"""A customer's server gets each event signed, within the deadline; whatever else it does is understood."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from importlib.metadata import version
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from providers.receiver import (
    Names,
    Receiver,
    Script,
    SilentNames,
    answers,
    receiving,
    repeats,
    says_nothing,
    writes,
)
from support.servers import free_port
from tidings.errors import SendError
from tidings.providers.base import Account, Outgoing, Receipt
from tidings.providers.webhooks.send import Delivered, EndpointGone, WebhookAccount, WebhookRequest, Webhooks
from tidings.providers.webhooks.signatures import new_secret

SECRETS = [new_secret(), new_secret()]
HIDDEN = "hunter2"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def webhooks(receiver: Receiver) -> AsyncIterator[Webhooks]:
    webhooks = Webhooks(allow_private=True, resolver=Names(["127.0.0.1"]))
    yield webhooks
    await webhooks.close()


@pytest.fixture
async def hasty(receiver: Receiver) -> AsyncIterator[Webhooks]:
    webhooks = Webhooks(allow_private=True, resolver=Names(["127.0.0.1"]), timeout=0.2)
    yield webhooks
    await webhooks.close()


def delivery(port: int, **changes: Any) -> WebhookRequest:
    url = f"http://customer.example:{port}/hook/{HIDDEN}?token={HIDDEN}"
    payload = {"conversation": 7, "text": "Grüße 👋"}
    given: dict[str, Any] = {"url": url, "event": "message.received", "id": "webhook-event-7", "attempt": 2}
    return WebhookRequest(**(given | {"payload": payload, "secrets": SECRETS} | changes))


async def failure(webhooks: Webhooks, delivery: WebhookRequest) -> SendError:
    with pytest.raises(SendError) as caught:
        await webhooks.deliver(delivery)
    assert HIDDEN not in str(caught.value)
    return caught.value


async def test_an_event_arrives_with_its_headers_and_compact_body(receiver: Receiver, webhooks: Webhooks) -> None:
    delivered = await webhooks.deliver(delivery(receiver.port))

    assert delivered.status == 204
    assert 0 <= delivered.duration_ms < 5000
    [request] = receiver.requests
    assert request.line == f"POST /hook/{HIDDEN}?token={HIDDEN} HTTP/1.1"
    assert request.body == '{"conversation":7,"text":"Grüße 👋"}'.encode()
    expected = {
        "host": f"customer.example:{receiver.port}",
        "content-type": "application/json",
        "user-agent": f"tidings/{version('tidings')}",
        "x-webhook-event": "message.received",
        "x-webhook-id": "webhook-event-7",
        "x-webhook-attempt": "2",
        "webhook-id": "webhook-event-7",
    }
    assert request.headers.items() >= expected.items()
    assert "accept-encoding" not in request.headers


@pytest.mark.parametrize("secret", SECRETS, ids=["newest", "older"])
async def test_what_arrives_verifies_with_either_secret(receiver: Receiver, webhooks: Webhooks, secret: str) -> None:
    await webhooks.deliver(delivery(receiver.port))

    [request] = receiver.requests
    assert Webhook(secret).verify(request.body, request.headers) == {"conversation": 7, "text": "Grüße 👋"}


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted", "204 No Content", "299 Odd"])
async def test_every_2xx_status_means_taken(receiver: Receiver, webhooks: Webhooks, status: str) -> None:
    receiver.script = writes(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    assert (await webhooks.deliver(delivery(receiver.port))).status == int(status[:3])


@pytest.mark.parametrize(
    ("status", "retryable", "throttled"),
    [
        ("400 Bad Request", False, False),
        ("401 Unauthorized", False, False),
        ("404 Not Found", False, False),
        ("408 Request Timeout", True, False),
        ("409 Conflict", False, False),
        ("425 Too Early", True, False),
        ("429 Too Many Requests", True, True),
        ("500 Internal Server Error", True, False),
        ("502 Bad Gateway", True, False),
        ("503 Service Unavailable", True, False),
        ("504 Gateway Timeout", True, False),
    ],
)
async def test_every_other_status_is_a_failure(
    receiver: Receiver, webhooks: Webhooks, status: str, retryable: bool, throttled: bool
) -> None:
    receiver.script = answers(status, f"Cannot POST /hook/{HIDDEN}".encode())

    error = await failure(webhooks, delivery(receiver.port))

    assert str(error) == f"customer.example answered {status[:3]}: {status[4:]}"
    assert (error.retryable, error.throttled, error.retry_after) == (retryable, throttled, None)
    assert not isinstance(error, EndpointGone)


async def test_a_410_asks_to_disable_the_endpoint(receiver: Receiver, webhooks: Webhooks) -> None:
    receiver.script = answers("410 Gone")

    error = await failure(webhooks, delivery(receiver.port))

    assert isinstance(error, EndpointGone)
    assert not error.retryable


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_a_failure_and_leads_nowhere(receiver: Receiver, webhooks: Webhooks, status: str) -> None:
    async with receiving() as inside:
        location = f"Location: http://127.0.0.1:{inside.port}/{HIDDEN}\r\n".encode()
        receiver.script = answers(status, headers=location)
        error = await failure(webhooks, delivery(receiver.port))

        assert inside.connections == 0
    assert "redirects; enter the URL that it leads to" in str(error)
    assert not error.retryable


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
async def test_a_pause_that_a_customer_asks_for_is_kept(receiver: Receiver, webhooks: Webhooks, status: str) -> None:
    receiver.script = answers(status, headers=b"Retry-After: 90\r\n")

    error = await failure(webhooks, delivery(receiver.port))

    assert (error.retry_after, error.throttled, error.retryable) == (90, status.startswith("429"), True)


async def test_a_pause_until_a_date_is_read_on_the_worlds_clock(receiver: Receiver, webhooks: Webhooks) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    receiver.script = answers("503 Service Unavailable", headers=b"Retry-After: %b\r\n" % until.encode())

    error = await failure(webhooks, delivery(receiver.port))

    assert error.retry_after == pytest.approx(600, abs=10)


@pytest.mark.timing
@pytest.mark.parametrize(
    "script",
    [
        pytest.param(says_nothing, id="silence"),
        pytest.param(repeats(b"HTTP/1.1 200 OK\r\n", b"X-More: x\r\n", pause=0.02), id="a trickling head"),
        pytest.param(
            repeats(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b"x", pause=0.02), id="a trickling body"
        ),
    ],
)
async def test_nothing_takes_longer_than_the_deadline(receiver: Receiver, hasty: Webhooks, script: Script) -> None:
    receiver.script = script
    started = time.monotonic()

    error = await failure(hasty, delivery(receiver.port))

    assert 0.15 < time.monotonic() - started < 2
    assert error.retryable
    assert str(error) == "customer.example did not answer in time; a webhook has 0.2 s"
    async with asyncio.timeout(5):
        await receiver.left.wait()  # the connection is not left hanging


async def test_a_look_up_counts_towards_the_deadline() -> None:
    webhooks = Webhooks(allow_private=True, resolver=SilentNames(), timeout=0.2)

    error = await failure(webhooks, delivery(1))
    await webhooks.close()

    assert str(error) == "customer.example did not answer in time; a webhook has 0.2 s"
    assert error.retryable


async def test_a_tls_handshake_counts_towards_the_deadline(hasty: Webhooks) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://customer.example:{silent.getsockname()[1]}/{HIDDEN}"
        started = time.monotonic()
        error = await failure(hasty, delivery(1, url=url))

    assert time.monotonic() - started < 2
    assert error.retryable


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(writes(b"", hang_up=True), id="no answer"),
        pytest.param(writes(b"HTTP/1.1 200 OK\r\nCont", hang_up=True), id="closed in the head"),
        pytest.param(
            writes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", hang_up=True), id="closed in the body"
        ),
        pytest.param(writes(b"SSH-2.0-hello\r\n"), id="not HTTP"),
        pytest.param(writes(b"\x00\xff" * 1000), id="noise"),
        pytest.param(writes(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"), id="bad length"),
        pytest.param(writes(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000), id="endless head"),
    ],
)
async def test_a_broken_answer_may_be_retried(receiver: Receiver, webhooks: Webhooks, script: Script) -> None:
    receiver.script = script

    error = await failure(webhooks, delivery(receiver.port))

    assert error.retryable
    assert "customer.example" in str(error)
    receiver.script = answers("200 OK")
    assert (await webhooks.deliver(delivery(receiver.port))).status == 200


async def test_an_endless_answer_is_cut_and_its_status_counts(receiver: Receiver, webhooks: Webhooks) -> None:
    receiver.script = repeats(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 10_000, pause=0)

    assert (await webhooks.deliver(delivery(receiver.port))).status == 200


async def test_a_refused_connection_may_be_retried(webhooks: Webhooks) -> None:
    error = await failure(webhooks, delivery(free_port()))

    assert error.retryable
    assert str(error).startswith("the connection to customer.example failed: Connection refused")


@pytest.mark.parametrize("answer", [socket.gaierror(socket.EAI_NONAME, "Name or service not known"), []])
async def test_an_unknown_host_may_be_retried(answer: Any) -> None:
    webhooks = Webhooks(resolver=Names(answer))

    error = await failure(webhooks, delivery(1, url=f"https://customer.example/{HIDDEN}"))
    await webhooks.close()

    assert error.retryable
    assert str(error).startswith("no address of customer.example was found")


@pytest.mark.parametrize(
    "changes",
    [
        {"url": f"ftp://customer.example/{HIDDEN}"},
        {"url": f"https://user:{HIDDEN}@customer.example/"},
        {"secrets": []},
        {"secrets": [f"whsec_{HIDDEN}"]},
        {"id": f"{HIDDEN}.1"},
        {"event": f"a\r\nAuthorization: {HIDDEN}"},
        {"payload": {"at": datetime(2026, 1, 1, tzinfo=UTC)}},
        {"payload": {"n": float("nan")}},
        {"payload": {"text": "half \ud83d of a smiley"}},
    ],
    ids=repr,
)
async def test_what_cannot_be_sent_is_final_and_goes_nowhere(
    receiver: Receiver, webhooks: Webhooks, changes: dict[str, Any]
) -> None:
    error = await failure(webhooks, delivery(receiver.port, **changes))

    assert not error.retryable
    assert receiver.requests == []


async def test_many_events_to_one_customer_share_connections(receiver: Receiver, webhooks: Webhooks) -> None:
    await asyncio.gather(*(webhooks.deliver(delivery(receiver.port, payload={"n": n})) for n in range(50)))

    assert sorted(json.loads(request.body)["n"] for request in receiver.requests) == list(range(50))
    opened = receiver.connections
    assert opened <= 50
    await webhooks.deliver(delivery(receiver.port))
    assert receiver.connections == opened


async def test_closing_ends_webhooks_under_way_and_later_ones_as_retryable(receiver: Receiver) -> None:
    webhooks = Webhooks(allow_private=True, resolver=Names(["127.0.0.1"]))
    receiver.script = says_nothing
    under_way = asyncio.create_task(webhooks.deliver(delivery(receiver.port)))
    await receiver.arrived.wait()
    await webhooks.close()
    await webhooks.close()

    for attempt in (under_way, webhooks.deliver(delivery(receiver.port))):
        with pytest.raises(SendError, match="stop") as caught:
            await attempt
        assert caught.value.retryable
    assert len(receiver.requests) == 1


def event(port: int, account: Account | None, *, last: bool = False) -> Outgoing:
    """An event as a customer's endpoint is to get it."""
    facts = {"event": "message.received", "payload": {"conversation": 7}, "attempt": 2, "last": last}
    url = f"http://customer.example:{port}/hook"
    return Outgoing(to=url, text="", idempotency_key="webhook-event-7", metadata=facts, account=account)


ENDPOINT = WebhookAccount("endpoint-1", SECRETS)


async def test_an_event_goes_out_signed_with_the_secrets_of_its_endpoint(
    receiver: Receiver, webhooks: Webhooks
) -> None:
    assert await webhooks.send(event(receiver.port, ENDPOINT)) == Receipt("webhook")
    [request] = receiver.requests
    for secret in SECRETS:
        assert Webhook(secret).verify(request.body, request.headers) == {"conversation": 7}
    assert (request.headers["x-webhook-event"], request.headers["x-webhook-id"]) == (
        "message.received",
        "webhook-event-7",
    )
    assert request.headers["x-webhook-attempt"] == "2"
    assert ENDPOINT.key == "endpoint-1"
    assert SECRETS[0] not in repr(ENDPOINT)


WAIT = b"Retry-After: 90\r\n"

REFUSALS: dict[str, tuple[Script, bool, type[SendError], bool, float | None]] = {
    "a server that may be mended": (answers("404 Not Found"), False, SendError, True, None),
    "the same at the last attempt": (answers("404 Not Found"), True, SendError, False, None),
    "a wrong password": (answers("401 Unauthorized"), False, SendError, True, None),
    "a redirect": (answers("302 Found", headers=b"Location: /\r\n"), False, SendError, True, None),
    "a broken server": (answers("500 Oh"), False, SendError, True, None),
    "a broken server at the last attempt": (answers("500 Oh"), True, SendError, False, None),
    "a busy server": (answers("429 Too Many Requests", headers=WAIT), False, SendError, True, 90.0),
    "a busy server at the last attempt": (
        answers("429 Too Many Requests", headers=WAIT),
        True,
        SendError,
        False,
        None,
    ),
    "a server that rests": (answers("503 Service Unavailable", headers=WAIT), False, SendError, True, 90.0),
    "a server that wants no more": (answers("410 Gone"), False, EndpointGone, False, None),
    "a server that wants no more, at the last attempt": (answers("410 Gone"), True, EndpointGone, False, None),
}
"""What a server answers and whether it is the last attempt; whether there is another one, after how many seconds."""


async def test_only_410_and_the_last_attempt_are_final_and_a_wait_is_honoured(
    receiver: Receiver, webhooks: Webhooks
) -> None:
    for case, (receiver.script, last, kind, retryable, wait) in REFUSALS.items():
        with pytest.raises(SendError) as caught:
            await webhooks.send(event(receiver.port, ENDPOINT, last=last))
        error = caught.value
        assert type(error) is kind, case
        assert (error.retryable, error.retry_after) == (retryable, wait), case
        assert not error.throttled, case  # other customers' servers have nothing to do with it


async def test_an_event_without_an_endpoint_goes_nowhere(receiver: Receiver, webhooks: Webhooks) -> None:
    with pytest.raises(SendError, match="the event names no endpoint") as caught:
        await webhooks.send(event(receiver.port, None))
    assert not caught.value.retryable
    assert receiver.requests == []


def test_a_delivery_can_be_logged_without_its_secrets() -> None:
    shown = repr(delivery(1))

    assert HIDDEN not in shown
    assert SECRETS[0] not in shown
    assert "webhook-event-7" in shown


def test_what_was_delivered_compares_by_value() -> None:
    assert Delivered(204, 12) == Delivered(204, 12)
