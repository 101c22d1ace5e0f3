"""Mitto gets a message once, and its answers and callbacks decide what becomes of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
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
from tidings.providers.mitto import Mitto, MittoAccount, parse_delivery_report, parse_reply
from tidings.providers.reports import DeliveryReport, InboundMessage
from tidings.providers.whatsapp_qr import QrSession

KEY = "uAGJbTkSuUJE"
ACCOUNT = MittoAccount("installation", KEY, "ACME")
HELLO = Outgoing(to="+491725551234", text="Your order is on its way: 19,90 €", idempotency_key="order-message-7-17")
ID = "715118ef01aa4480bbd67324a0459b0b"
GSM = set("@£$¥èéùìòÇØøÅåÄäÖöÑñÜü§¿¡àÆæßÉ_€ΔΦΓΛΩΠΨΣΘΞ\n") | {chr(code) for code in range(32, 127)} - {"`"}


@dataclass
class MittoServer:
    """POST /sms as docs.mitto.ch describes it; a prepared `body` or `status` takes the place of its own answer."""

    status: int = 200
    headers: bytes = b""
    body: bytes | None = None
    missing: int = 0  # bytes of the answer that never come
    silent: bool = False
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:-2])}
        request = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.requests.append(request)
        self.keys.append(headers.get("x-mitto-api-key"))
        if self.silent:
            await reader.read()  # until the client gives up
        else:
            self.answer(writer, headers.get("x-mitto-api-key"), request)
        writer.close()

    def answer(self, writer: asyncio.StreamWriter, key: str | None, request: dict[str, Any]) -> None:
        status, body = self.status, self.body
        if key != KEY:
            status, body = 401, b""
        elif body is None:
            body = json.dumps(self.outcome(request)).encode()
        writer.write(
            b"HTTP/1.1 %d Status\r\nConnection: close\r\n%bContent-Length: %d\r\n\r\n%b"
            % (status, self.headers, len(body) + self.missing, body)
        )

    def outcome(self, request: dict[str, Any]) -> dict[str, Any]:
        code, text = self.verdict(request)
        answer = {"timestamp": "2019-04-13T12:07:57.8625574Z", "responseCode": code, "responseText": text}
        if code == 0:
            answer |= {"id": ID, "to": request["to"], "textLength": len(request["text"])}
        return answer

    @staticmethod
    def verdict(request: dict[str, Any]) -> tuple[int, str]:
        encoding, sender = request.get("type", "GSM"), request["from"]
        if encoding.lower() not in ("gsm", "unicode", "auto"):
            return 2, "Invalid type"
        if not request["text"]:
            return 3, "Empty message"
        if encoding.lower() == "gsm" and not set(request["text"]) <= GSM:
            return 4, "Message text is invalid"
        if not sender:
            return 5, "Empty sender"
        if not 3 <= len(sender) <= (14 if sender.isdigit() else 11):
            return 6, "Invalid sender"
        if not request["to"]:
            return 7, "Empty receiver"
        return (0, "SMS sent") if request["to"].isdigit() else (8, "Invalid receiver")


@pytest.fixture
async def server() -> AsyncIterator[MittoServer]:
    mitto = MittoServer()
    listener = await asyncio.start_server(mitto.serve, "127.0.0.1", 0)
    mitto.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/sms"
    yield mitto
    listener.close()
    await listener.wait_closed()


@pytest.fixture
async def mitto(server: MittoServer) -> AsyncIterator[Mitto]:
    http = HttpClient()
    yield Mitto(http, ACCOUNT, server.url)
    await http.close()


async def refusal(mitto: Mitto, outgoing: Outgoing = HELLO) -> SendError:
    with pytest.raises(SendError) as caught:
        await mitto.send(outgoing)
    return caught.value


async def test_a_message_leaves_as_mitto_documents_it(server: MittoServer, mitto: Mitto) -> None:
    assert await mitto.send(HELLO) == Receipt("mitto", ID)
    assert server.requests == [
        {
            "from": "ACME",
            "to": "491725551234",
            "text": "Your order is on its way: 19,90 €",
            "type": "auto",
            "reference": "order-message-7-17",
        }
    ]


@pytest.mark.parametrize("text", ["plain", "19,90 €", "Café [é]", "Здравствуй, Мир!", "🎉", "“quoted” – dashed", "ç"])
async def test_every_language_is_accepted_without_a_choice_of_encoding(mitto: Mitto, text: str) -> None:
    assert await mitto.send(Outgoing("+491725551234", text, "k")) == Receipt("mitto", ID)


async def test_every_attempt_at_a_message_has_the_same_reference(server: MittoServer, mitto: Mitto) -> None:
    await mitto.send(HELLO)
    await mitto.send(HELLO)

    assert [request["reference"] for request in server.requests] == ["order-message-7-17"] * 2


async def test_delivery_reports_go_where_the_account_says(server: MittoServer) -> None:
    http = HttpClient()
    account = MittoAccount("installation", KEY, "+491511234567", "https://shop.example/webhooks/mitto")
    await Mitto(http, account, server.url).send(HELLO)
    await http.close()

    assert server.requests[0]["callback"] == "https://shop.example/webhooks/mitto"
    assert server.requests[0]["from"] == "491511234567"


@pytest.mark.parametrize(
    ("outgoing", "sentence"),
    [
        (Outgoing("+491725551234", "", "k"), "status code 3: Empty message"),
        (Outgoing("", "hi", "k"), "status code 7: Empty receiver"),
        (Outgoing("somebody@example.com", "hi", "k"), "status code 8: Invalid receiver"),
    ],
)
async def test_a_message_that_cannot_be_sent_is_refused_for_good(
    mitto: Mitto, outgoing: Outgoing, sentence: str
) -> None:
    error = await refusal(mitto, outgoing)

    assert str(error) == f"mitto refused the message, {sentence}"
    assert not error.retryable


@pytest.mark.parametrize(
    ("code", "text", "retryable", "end"),
    [
        (1, "Internal error", True, "status code 1: Internal error"),
        (2, "Invalid type", False, "status code 2: Invalid type"),
        (4, "Message text is invalid", False, "status code 4: Message text is invalid"),
        ("8", "Invalid\r\nreceiver", False, "status code 8: Invalid receiver"),
        (99, "Something new", True, "status code 99: Something new"),
        (-1, None, True, "status code -1: no explanation"),
    ],
)
async def test_a_status_code_in_a_200_is_a_refusal_and_says_what_to_change(
    server: MittoServer, mitto: Mitto, code: object, text: str | None, retryable: bool, end: str
) -> None:
    server.body = json.dumps({"responseCode": code, "responseText": text, "textLength": 0}).encode()

    error = await refusal(mitto)

    assert str(error).startswith("mitto refused the message, status code ")
    assert str(error).endswith(end)
    assert error.retryable is retryable
    assert error.retry_after is None
    assert not error.throttled


@pytest.mark.parametrize(
    ("status", "code", "end"),
    [
        (200, 5, "Empty sender; set MITTO_SENDER"),
        (200, 6, "Invalid sender; set MITTO_SENDER to a sender that Mitto has approved"),
        (402, 9, "fill up the account's balance"),
        (403, 9, "or set the account's API key"),
    ],
)
async def test_what_mitto_refuses_an_account_fails_no_message_of_it(
    server: MittoServer, mitto: Mitto, status: int, code: int, end: str
) -> None:
    text = {5: "Empty sender", 6: "Invalid sender"}.get(code, "no")
    server.status, server.body = status, json.dumps({"responseCode": code, "responseText": text}).encode()

    error = await refusal(mitto)

    assert (error.away, error.of_account, error.retryable) == (True, True, True)
    assert str(error).endswith(end)


@pytest.mark.parametrize(
    ("answer", "message_id"),
    [
        ({"id": ID, "responseCode": 0, "textLength": " 13", "responseText": "SMS sent"}, ID),
        ({"id": ID, "responseCode": "0"}, ID),
        ({"responseCode": 0, "test": True}, None),
        ({"id": ID}, ID),
        ({"id": 42, "responseCode": 0}, "42"),
        ({"id": "nul \0", "responseCode": 0}, None),
        ({"id": "x" * 256, "responseCode": 0}, None),
        ({"id": [ID], "responseCode": 0}, None),
    ],
)
async def test_code_0_or_an_id_means_accepted(
    server: MittoServer, mitto: Mitto, answer: dict[str, Any], message_id: str | None
) -> None:
    server.body = json.dumps(answer).encode()

    assert await mitto.send(HELLO) == Receipt("mitto", message_id)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"OK",
        b"<html>\n<h1>It works</h1>",
        b"{}",
        b"null",
        b'"0"',
        b'[{"responseCode": 0}]',
        b'{"responseCode": true}',
        b'{"responseCode": null, "id": ""}',
        b'{"responseCode": 0',
        b"\xff\xfe\x00",
        b"[" * 60_000,
        b'{"responseCode": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: repr(body)[:40],
)
async def test_an_answer_that_says_nothing_never_makes_the_message_go_out_again(
    server: MittoServer, mitto: Mitto, body: bytes
) -> None:
    server.body = body

    error = await refusal(mitto)

    assert str(error).startswith("mitto's answer does not say whether the message left, and it is not sent again: ")
    assert not error.retryable
    assert len(str(error)) < 320


@pytest.mark.parametrize(
    ("status", "retryable", "throttled"),
    [
        (302, False, False),
        (400, False, False),
        (409, False, False),
        (404, False, False),
        (429, True, True),
        (500, True, False),
        (502, True, False),
        (503, True, False),
    ],
)
async def test_an_http_error_is_reported_with_mittos_words(
    server: MittoServer, mitto: Mitto, status: int, retryable: bool, throttled: bool
) -> None:
    server.status, server.body = status, b'{"responseCode":0,"id":"never"}'

    error = await refusal(mitto)

    assert str(error) == f'mitto answered {status}: {{"responseCode":0,"id":"never"}}'
    assert (error.retryable, error.throttled, error.retry_after) == (retryable, throttled, None)


async def test_a_throttled_sender_waits_as_long_as_mitto_asks(server: MittoServer, mitto: Mitto) -> None:
    server.status, server.headers, server.body = 429, b"Retry-After: 90\r\n", b"Too many requests"

    error = await refusal(mitto)

    assert error.throttled
    assert error.retry_after == 90


async def test_a_pause_until_a_date_is_read_on_the_worlds_clock(server: MittoServer, mitto: Mitto) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    server.status, server.headers, server.body = 503, b"Retry-After: %b\r\n" % until.encode(), b""

    error = await refusal(mitto)

    assert (error.away, error.throttled) == (True, False)
    assert error.retry_after == pytest.approx(600, abs=10)


async def test_a_wrong_key_has_the_account_rest_until_it_is_right_and_stays_secret(server: MittoServer) -> None:
    http = HttpClient()
    account = MittoAccount("installation", "wr0ng-k3y", "ACME")
    error = await refusal(Mitto(http, account, server.url))
    await http.close()

    assert str(error) == "mitto answered 401: Unauthorized; set the account's API key to one that Mitto takes"
    assert (error.away, error.of_account, error.retry_after) == (True, True, 60.0)
    assert "wr0ng-k3y" not in repr(account)


async def test_a_silent_mitto_may_be_asked_again(server: MittoServer) -> None:
    server.silent = True
    http = HttpClient(timeout=0.2)
    error = await refusal(Mitto(http, ACCOUNT, server.url))
    await http.close()

    assert error.retryable
    assert "did not answer in time" in str(error)
    assert len(server.requests) == 1


async def test_half_an_answer_may_be_asked_for_again(server: MittoServer, mitto: Mitto) -> None:
    server.body, server.missing = b'{"responseCode": 0, "id":', 20

    assert (await refusal(mitto)).retryable


async def test_an_unreachable_mitto_may_be_tried_again() -> None:
    http = HttpClient()
    error = await refusal(Mitto(http, ACCOUNT, "http://127.0.0.1:1/sms"))
    await http.close()

    assert error.retryable


async def test_closing_the_provider_leaves_the_shared_client_open(mitto: Mitto) -> None:
    await mitto.close()

    assert await mitto.send(HELLO) == Receipt("mitto", ID)


ACCOUNTS: dict[str, tuple[MittoAccount | None, Account | None, tuple[str, str] | str]] = {
    "the installation's": (ACCOUNT, None, (KEY, "ACME")),
    "a shop's own before the installation's": (ACCOUNT, MittoAccount("shop-1", KEY, "Shop 1"), (KEY, "Shop 1")),
    "a shop's own where the installation has none": (None, MittoAccount("shop-1", KEY, "+4915112"), (KEY, "4915112")),
    "none": (None, None, "no Mitto account is set up; set MITTO_API_KEY and MITTO_SENDER"),
    "one of another provider": (ACCOUNT, QrSession("shop-1"), "no Mitto account is set up"),
}


async def test_a_message_leaves_through_the_account_that_it_names_or_the_installations(server: MittoServer) -> None:
    http = HttpClient()
    for case, (own, named, expected) in ACCOUNTS.items():
        server.requests.clear()
        mitto, outgoing = Mitto(http, own, server.url), replace(HELLO, account=named)
        if isinstance(expected, str):
            error = await refusal(mitto, outgoing)
            assert str(error).startswith(expected), case
            assert not error.retryable, case
            assert not server.requests, case
        else:
            assert await mitto.send(outgoing) == Receipt("mitto", ID), case
            assert (server.keys[-1], server.requests[0]["from"]) == expected, case
    await http.close()


@pytest.mark.parametrize("sender", ["", " ", "AB", "TWELVE CHARS", "12", "123456789012345", "ACMÉ", "A\nBC", "²³⁴"])
def test_a_sender_that_mitto_refuses_is_refused_at_the_start(sender: str) -> None:
    with pytest.raises(ConfigurationError, match="set it to a name of 3 to 11 characters or a number of 3 to 14"):
        MittoAccount("shop-1", KEY, sender)


def test_a_missing_key_is_named_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match=r"^MITTO_API_KEY is empty; set it to"):
        MittoAccount("shop-1", " ", "ACME")


AT = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)


@every_case(
    ("payload", "report"),
    [
        ({"msgid": ID, "status": "DELIVERED"}, DeliveryReport(ID, "DELIVERED")),
        ({"msgid": ID, "status": "DELIVERED", "errorcode": "0"}, DeliveryReport(ID, "DELIVERED")),
        ({"msgid": ID, "status": "SENT", "reference": "k-7"}, DeliveryReport(ID, "SENT", reference="k-7")),
        ({"msgid": ID, "status": "BUFFERED"}, DeliveryReport(ID, "SENT")),
        (
            {"msgid": ID, "status": "UNDELIVERED", "errorcode": "27"},
            DeliveryReport(ID, "FAILED", error="UNDELIVERED: 27"),
        ),
        ({"msgid": ID, "status": "EXPIRED", "errorcode": 0}, DeliveryReport(ID, "FAILED", error="EXPIRED")),
        ({"msgid": ID, "status": "FAILED", "errorcode": ""}, DeliveryReport(ID, "FAILED", error="FAILED")),
        ({"MsgId": ID, "Status": " rejected "}, DeliveryReport(ID, "FAILED", error="REJECTED")),
        ({"msgid": ID, "status": "DELIVRD"}, DeliveryReport(ID, "DELIVERED")),
        (
            {"messageId": "01KAY04M", "deliveryStatus": "Delivered", "updatedAt": "2024-01-15T10:30:00.0000000Z"},
            DeliveryReport("01KAY04M", "DELIVERED", AT),
        ),
        ({"messageId": "01KAY04M", "deliveryStatus": "Read"}, DeliveryReport("01KAY04M", "READ")),
        (
            {"messageId": "01KAY04M", "deliveryStatus": "Failure", "description": "Absent\nsubscriber"},
            DeliveryReport("01KAY04M", "FAILED", error="FAILURE: Absent subscriber"),
        ),
        ({"msgid": 42, "status": "SENT", "timestamp": "2024-01-15T12:30:00+02:00"}, DeliveryReport("42", "SENT", AT)),
        ({"msgid": ID, "status": "SENT", "timestamp": "2024-01-15T10:30:00"}, DeliveryReport(ID, "SENT", AT)),
        ({"msgid": ID, "status": "SENT", "timestamp": "1712112000123"}, DeliveryReport(ID, "SENT")),
        ({"msgid": ID, "status": "SENT", "timestamp": "0001-01-01T00:00:00+14:00"}, DeliveryReport(ID, "SENT")),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_callback_tells_how_a_message_fared(payload: dict[str, Any], report: DeliveryReport) -> None:
    assert parse_delivery_report(payload) == report


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"msgid": ID},
        {"status": "DELIVERED"},
        {"msgid": "", "status": "DELIVERED"},
        {"msgid": ID, "status": "UNKNOWN"},
        {"msgid": ID, "status": "somewhere"},
        {"msgid": ID, "status": True},
        {"msgid": [ID], "status": "DELIVERED"},
        {"msgid": "x" * 256, "status": "DELIVERED"},
        {"from": "491725551234", "text": "STOP"},
    ],
)
def test_a_callback_without_a_message_or_a_known_status_is_no_report(payload: dict[str, Any]) -> None:
    assert parse_delivery_report(payload) is None


@pytest.mark.parametrize(
    ("payload", "reply"),
    [
        (
            {"id": "in-1", "from": "491725551234", "to": "4915", "text": "STOP", "timestamp": "2024-01-15T10:30:00Z"},
            InboundMessage("in-1", "+491725551234", "STOP", AT),
        ),
        ({"Id": 7, "Sender": "+491725551234", "Text": "hi"}, InboundMessage("7", "+491725551234", "hi")),
        ({"from": " 491725551234", "text": ""}, InboundMessage(None, "+491725551234", "")),
        ({"msisdn": "00491725551234", "message": "a\0b \ud83d"}, InboundMessage(None, "+491725551234", "ab ?")),
        ({"from": "32665", "body": "short code"}, InboundMessage(None, "32665", "short code")),
        ({"from": "ACME", "text": None, "message": "name"}, InboundMessage(None, "ACME", "name")),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_callback_tells_what_somebody_answered(payload: dict[str, Any], reply: InboundMessage) -> None:
    assert parse_reply(payload) == reply


@pytest.mark.parametrize(
    "payload", [{}, {"text": "STOP"}, {"from": "491725551234"}, {"from": "", "text": "x"}, {"from": "1", "text": 5}]
)
def test_a_callback_without_a_sender_or_a_text_is_no_reply(payload: dict[str, Any]) -> None:
    assert parse_reply(payload) is None


def test_a_reply_without_an_id_is_known_by_its_time_and_a_second_stop_is_not_the_first() -> None:
    first = {"from": "491725551234", "text": "STOP", "timestamp": "2024-01-15T10:30:00Z"}
    later = first | {"timestamp": "2024-01-16T10:30:00Z"}
    ids = [reply.provider_message_id for payload in (first, first, later) if (reply := parse_reply(payload))]

    assert ids[0] == ids[1] != ids[2]
    assert None not in ids


NAMES = st.sampled_from(["msgid", "id", "messageId", "status", "from", "text", "timestamp", "errorcode", "reference"])
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=2)
WORDS = st.sampled_from(["DELIVERED", "FAILED", "491725551234", "2024-01-15", "9" * 20, "\ud83d"])


@settings(deadline=None, max_examples=150)
@given(payload=st.dictionaries(NAMES | st.text(), VALUES | WORDS))
def test_no_callback_breaks_the_parsers_and_what_they_give_can_be_stored(payload: dict[str, Any]) -> None:
    report, reply = parse_delivery_report(payload), parse_reply(payload)

    if report:
        for value in (report.provider_message_id, report.error, report.reference):
            assert value is None or (0 < len(value) <= 255 and value.isprintable())
        assert report.at is None or report.at.tzinfo is UTC
    if reply:
        assert "\0" not in reply.sender + reply.text
        reply.text.encode()
        assert reply.sender.isprintable()
        assert reply.received_at is None or reply.received_at.tzinfo is UTC
