"""The QR service gets a message once; a lost session is told apart from a busy or broken service."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.cases import every_case
from tidings.errors import ConfigurationError, SendError
from tidings.providers.base import Account, Outgoing, Receipt
from tidings.providers.http import HttpClient
from tidings.providers.whatsapp_cloud.send import CloudAccount
from tidings.providers.whatsapp_qr import (
    IncomingQr,
    QrError,
    QrSession,
    QrStatus,
    WhatsAppQr,
    parse_qr_webhook,
)

AT = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
TO = "+16505551234"


@dataclass
class QrService:
    """POST /send as docs/whatsapp-qr.md describes it; a prepared `body` takes the place of its answer."""

    sessions: dict[str, str] = field(default_factory=lambda: {"shop-1": "connected", "shop-2": "disconnected"})
    status: int = 200
    headers: bytes = b""
    body: bytes | None = None
    missing: int = 0  # bytes of the answer that never come
    silent: bool = False
    paths: list[str] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    sent: dict[str, str] = field(default_factory=dict)  # idempotency key → message id
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:-2])}
        request = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.paths.append(head[0])
        self.requests.append(request)
        if self.silent:
            await reader.read()  # until the client gives up
        else:
            status, answer = self.outcome(request)
            body = json.dumps(answer).encode() if self.body is None else self.body
            writer.write(
                b"HTTP/1.1 %d Status\r\nConnection: close\r\n%bContent-Length: %d\r\n\r\n%b"
                % (self.status if self.body is not None else status, self.headers, len(body) + self.missing, body)
            )
        writer.close()

    def outcome(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        state = self.sessions.get(request["sessionId"])
        if state is None:
            return 404, {"error": "unknown session"}
        if state != "connected":
            return 409, {"error": "logged out on the phone"}
        key = request.get("idempotencyKey") or f"none-{len(self.sent)}"
        return 200, {"messageId": self.sent.setdefault(key, f"3EB0{len(self.sent)}")}


@pytest.fixture
async def service() -> AsyncIterator[QrService]:
    service = QrService()
    listener = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    service.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    yield service
    listener.close()
    await listener.wait_closed()


@pytest.fixture
async def qr(service: QrService) -> AsyncIterator[WhatsAppQr]:
    http = HttpClient()
    yield WhatsAppQr(http, service.url)
    await http.close()


async def refused(qr: WhatsAppQr, session_id: str = "shop-1") -> SendError:
    with pytest.raises(SendError) as caught:
        await qr.send_text(session_id, TO, "hello", idempotency_key="k")
    return caught.value


async def test_a_message_leaves_as_the_protocol_says(service: QrService, qr: WhatsAppQr) -> None:
    receipt = await qr.send_text("shop-1", TO, "Grüße 👋\n", idempotency_key="chat-message-7")

    assert receipt == Receipt("whatsapp_qr", "3EB00")
    assert service.paths == ["POST /send HTTP/1.1"]
    assert service.requests == [
        {"sessionId": "shop-1", "to": TO, "message": "Grüße 👋\n", "idempotencyKey": "chat-message-7"}
    ]


async def test_a_repeated_message_has_the_same_key_and_is_one_message(service: QrService, qr: WhatsAppQr) -> None:
    receipts = [await qr.send_text("shop-1", TO, "hi", idempotency_key="chat-message-7") for _ in range(2)]

    assert receipts[0] == receipts[1]
    assert len(service.sent) == 1


async def test_somebody_who_hides_the_number_is_reached_by_the_services_name(
    service: QrService, qr: WhatsAppQr
) -> None:
    await qr.send_text("shop-1", "123456789@lid", "hi")

    assert service.requests == [{"sessionId": "shop-1", "to": "123456789@lid", "message": "hi"}]


async def test_the_url_may_have_a_path_and_a_slash_at_its_end(service: QrService) -> None:
    http = HttpClient()
    await WhatsAppQr(http, f"{service.url}/whatsapp/").send_text("shop-1", TO, "hi")
    await http.close()

    assert service.paths == ["POST /whatsapp/send HTTP/1.1"]


@pytest.mark.parametrize(
    "url", ["", "localhost:3001", "ftp://host/x", "http://", "http://[broken", "http://host/?token=x", "/send"]
)
def test_a_url_that_cannot_work_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ConfigurationError, match="write one like http://localhost:3001"):
        WhatsAppQr(HttpClient(), url)


@pytest.mark.parametrize(("to", "message"), [(TO, " "), ("", "hi"), (" ", "hi")])
async def test_what_cannot_be_sent_never_leaves(service: QrService, qr: WhatsAppQr, to: str, message: str) -> None:
    with pytest.raises(SendError) as caught:
        await qr.send_text("shop-1", to, message)

    assert not caught.value.retryable
    assert service.requests == []


@pytest.mark.parametrize(
    ("session_id", "sentence"),
    [
        ("shop-2", "whatsapp_qr answered 409: session 'shop-2' is not connected; scan its QR code again"),
        ("shop-3", "whatsapp_qr answered 404: session 'shop-3' is not known; scan its QR code again"),
    ],
)
async def test_a_lost_session_is_final_and_can_be_told_apart(qr: WhatsAppQr, session_id: str, sentence: str) -> None:
    error = await refused(qr, session_id)

    assert isinstance(error, QrError)
    assert error.session_lost
    assert not error.retryable
    assert str(error).startswith(sentence)


SENDS: dict[str, tuple[Account | None, str | None, bool]] = {
    "from its session": (QrSession("shop-1"), None, False),
    "from a lost session": (QrSession("shop-2"), "session 'shop-2' is not connected; scan its QR code again", True),
    "from an unknown session": (QrSession("shop-3"), "session 'shop-3' is not known", True),
    "from nowhere": (None, "the message names no session to send it from", False),
    "from an account elsewhere": (CloudAccount("1065", "token"), "the message names no session", False),
}
"""The account of a message, how it is refused, and whether its session has to be opened again."""


async def test_a_message_leaves_from_the_session_that_it_names(service: QrService, qr: WhatsAppQr) -> None:
    for case, (account, sentence, lost) in SENDS.items():
        service.requests.clear()
        outgoing = Outgoing(to=TO, text="hi", idempotency_key="chat-message-7", account=account)
        if sentence is None:
            assert await qr.send(outgoing) == Receipt("whatsapp_qr", "3EB00"), case
            expected = {"sessionId": "shop-1", "to": TO, "message": "hi", "idempotencyKey": "chat-message-7"}
            assert service.requests == [expected], case
            continue
        with pytest.raises(SendError) as caught:
            await qr.send(outgoing)
        assert sentence in str(caught.value), case
        assert not caught.value.retryable, case
        assert (isinstance(caught.value, QrError) and caught.value.session_lost) is lost, case
        assert bool(service.requests) is lost, case


def test_a_session_is_named_by_its_id() -> None:
    assert QrSession("shop-1").key == "shop-1"


async def test_without_a_service_every_message_is_refused_with_what_to_set() -> None:
    http = HttpClient()
    outgoing = Outgoing(to=TO, text="hi", idempotency_key="chat-message-7", account=QrSession("shop-1"))
    with pytest.raises(SendError, match="set WHATSAPP_QR_URL") as caught:
        await WhatsAppQr(http, None).send(outgoing)
    await http.close()
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("status", "header", "retryable", "wait", "throttled"),
    [
        (429, b"Retry-After: 30\r\n", True, 30.0, True),
        (429, b"", True, None, True),
        (503, b"Retry-After: 5\r\n", True, 5.0, False),
        (503, b"", True, None, False),
        (500, b"", True, None, False),
        (502, b"", True, None, False),
        (408, b"", True, None, False),
        (400, b"", False, None, False),
        (401, b"", False, None, False),
        (422, b"", False, None, False),
        (302, b"Location: http://elsewhere.example/\r\n", False, None, False),
    ],
)
async def test_other_refusals_keep_the_session(
    service: QrService,
    qr: WhatsAppQr,
    status: int,
    header: bytes,
    retryable: bool,
    wait: float | None,
    throttled: bool,
) -> None:
    service.status, service.headers, service.body = status, header, b'{"error": "not now"}'

    error = await refused(qr)

    assert str(error) == f'whatsapp_qr answered {status}: {{"error": "not now"}}'
    assert (error.retryable, error.retry_after, error.throttled) == (retryable, wait, throttled)
    assert not getattr(error, "session_lost", False)


async def test_a_pause_until_a_date_is_read_on_the_worlds_clock(service: QrService, qr: WhatsAppQr) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    service.status, service.headers, service.body = 503, b"Retry-After: %b\r\n" % until.encode(), b""

    assert (await refused(qr)).retry_after == pytest.approx(600, abs=10)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"\xff",
        b"[]",
        b"{}",
        b'{"messageId": null}',
        b'{"messageId": ""}',
        b'{"messageId": true}',
        b'{"messageId": ["x"]}',
        b'{"messageId": "nul \\u0000"}',
        b'{"messageId": "%b"}' % (b"x" * 256),
        b"[" * 60_000,
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_an_answer_without_an_id_is_no_receipt_and_nothing_is_sent_twice(
    service: QrService, qr: WhatsAppQr, body: bytes
) -> None:
    service.body = body

    error = await refused(qr)

    assert "does not say whether the message left, and it is not sent again" in str(error)
    assert not error.retryable


async def test_a_broken_off_answer_may_be_retried(service: QrService, qr: WhatsAppQr) -> None:
    service.missing = 10

    assert (await refused(qr)).retryable


async def test_a_silent_service_is_given_up_at_the_deadline_and_may_be_retried(service: QrService) -> None:
    service.silent = True
    http = HttpClient(timeout=0.2)
    started = time.monotonic()

    error = await refused(WhatsAppQr(http, service.url))
    await http.close()

    assert time.monotonic() - started < 2
    assert error.retryable


async def test_an_unreachable_service_may_be_retried_and_its_path_stays_secret() -> None:
    http = HttpClient()
    error = await refused(WhatsAppQr(http, "http://user:hunter2@127.0.0.1:1/secret-path"))
    await http.close()

    assert error.retryable
    assert "secret-path" not in str(error)
    assert "hunter2" not in str(error)


MESSAGE = {"sessionId": "shop-1", "from": TO, "message": "STOP", "messageId": "3EB0A", "timestamp": 1795521600}


@every_case(
    ("change", "expected"),
    [
        ({}, {}),
        ({"from": "16505551234"}, {}),
        ({"from": 16505551234}, {}),
        ({"from": "123456789@lid"}, {"sender": "123456789@lid"}),
        ({"timestamp": "2026-11-24T12:00:00Z"}, {}),
        ({"timestamp": "2026-11-24T13:00:00+01:00"}, {}),
        ({"timestamp": "1795521600"}, {}),
        ({"timestamp": 1795521600000}, {}),
        ({"timestamp": "2026-11-24T12:00:00"}, {"received_at": None}),
        ({"timestamp": "yesterday"}, {"received_at": None}),
        ({"timestamp": -1}, {"received_at": None}),
        ({"timestamp": None}, {"received_at": None}),
        ({"message": ""}, {"text": ""}),
        ({"message": "a\0b \ud83d"}, {"text": "ab ?"}),
        ({"messageId": 42}, {"provider_message_id": "42"}),
        ({"extra": {"more": 1}}, {}),
        ({"fromMe": False, "to": "+16505550000"}, {}),
        ({"fromMe": True, "from": "+15550783881", "to": TO}, {"own": True}),
        ({"fromMe": True, "from": None, "to": "123456789@lid"}, {"sender": "123456789@lid", "own": True}),
    ],
    ids=repr,
)
def test_a_request_tells_what_somebody_wrote(change: dict[str, Any], expected: dict[str, Any]) -> None:
    usual: dict[str, Any] = {
        "provider_message_id": "3EB0A",
        "sender": TO,
        "text": "STOP",
        "received_at": AT,
        "session_id": "shop-1",
    }
    assert parse_qr_webhook(MESSAGE | change) == IncomingQr(**(usual | expected))


STATUS = {"sessionId": "shop-1", "messageId": "3EB0A", "status": "delivered", "timestamp": 1795521600}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {}),
        ({"status": "sent"}, {"status": "SENT"}),
        ({"status": "read"}, {"status": "READ"}),
        ({"status": "failed", "error": "blocked\nby phone"}, {"status": "FAILED", "error": "blocked by phone"}),
        ({"status": "failed"}, {"status": "FAILED", "error": "the service gave no reason"}),
        ({"error": "left over"}, {}),
        ({"idempotencyKey": "chat-message-7"}, {"reference": "chat-message-7"}),
        ({"message": "hello", "from": TO}, {}),
    ],
    ids=repr,
)
def test_a_request_tells_how_a_message_fared(change: dict[str, Any], expected: dict[str, Any]) -> None:
    usual: dict[str, Any] = {
        "provider_message_id": "3EB0A",
        "status": "DELIVERED",
        "at": AT,
        "session_id": "shop-1",
    }
    assert parse_qr_webhook(STATUS | change) == QrStatus(**(usual | expected))


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        "hello",
        {},
        MESSAGE | {"sessionId": None},
        MESSAGE | {"messageId": ""},
        MESSAGE | {"from": None},
        MESSAGE | {"from": " "},
        MESSAGE | {"message": 5},
        MESSAGE | {"message": None},
        STATUS | {"status": "typing"},
        STATUS | {"status": None},
        STATUS | {"status": ["sent"]},
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_request_that_is_neither_message_nor_status_is_nothing(payload: object) -> None:
    assert parse_qr_webhook(payload) is None


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=2)
WORDS = st.sampled_from(["delivered", "failed", "16505551234", "3EB0A", "9" * 20, "\ud83d", "2026-11-24T12:00:00Z"])
NAMES = st.sampled_from(
    ["sessionId", "from", "message", "messageId", "timestamp", "status", "error", "idempotencyKey"]
)


@settings(deadline=None, max_examples=200)
@given(payload=st.dictionaries(NAMES, VALUES | WORDS) | VALUES)
def test_no_request_breaks_the_parser_and_what_it_gives_can_be_stored(payload: object) -> None:
    event = parse_qr_webhook(payload)

    if isinstance(event, IncomingQr):
        assert "\0" not in event.text
        event.text.encode()
        assert event.sender.isprintable()
        assert event.received_at is None or event.received_at.tzinfo is UTC
    elif event:
        assert event.error is None or event.error.isprintable()
        assert event.at is None or event.at.tzinfo is UTC
