"""A workflow gets the message and its metadata once, and its answer decides what happens next."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tidings.errors import SendError
from tidings.providers.base import Outgoing, Receipt
from tidings.providers.http import HttpClient
from tidings.providers.n8n import N8n

HELLO = Outgoing(to="+18105550123", text="Your session starts in 1 hour 🎤", idempotency_key="event-message-123")


@dataclass
class Workflow:
    """An n8n webhook that gives the prepared answer and remembers what it was sent."""

    status: int = 200
    body: bytes = b'{"message":"Workflow was started"}'
    headers: bytes = b""
    payloads: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:-2])}
        self.payloads.append(json.loads(await reader.readexactly(int(headers["content-length"]))))
        self.keys.append(headers["idempotency-key"])
        writer.write(
            b"HTTP/1.1 %d Status\r\nConnection: close\r\n%bContent-Length: %d\r\n\r\n%b"
            % (self.status, self.headers, len(self.body), self.body)
        )
        writer.close()


@pytest.fixture
async def workflow() -> AsyncIterator[Workflow]:
    workflow = Workflow()
    server = await asyncio.start_server(workflow.serve, "127.0.0.1", 0)
    workflow.port = server.sockets[0].getsockname()[1]
    yield workflow
    server.close()
    await server.wait_closed()


@pytest.fixture
async def n8n(workflow: Workflow) -> AsyncIterator[N8n]:
    http = HttpClient()
    yield N8n(http, f"http://127.0.0.1:{workflow.port}/webhook/secret-path")
    await http.close()


async def test_a_workflow_gets_phone_and_message(workflow: Workflow, n8n: N8n) -> None:
    receipt = await n8n.send(HELLO)

    assert workflow.payloads == [{"phone": "+18105550123", "message": "Your session starts in 1 hour 🎤"}]
    assert receipt == Receipt("n8n", None)


async def test_metadata_stands_beside_phone_and_message_and_replaces_neither(workflow: Workflow, n8n: N8n) -> None:
    metadata = {"event_id": 7, "ghl_contact_id": None, "phone": "+666", "message": "something else"}

    await n8n.send(Outgoing(to="+1", text="hi", idempotency_key="k", metadata=metadata))

    assert workflow.payloads == [{"phone": "+1", "message": "hi", "event_id": 7, "ghl_contact_id": None}]
    assert metadata["phone"] == "+666"


async def test_every_attempt_at_a_message_has_the_same_key(workflow: Workflow, n8n: N8n) -> None:
    await n8n.send(HELLO)
    await n8n.send(HELLO)

    assert workflow.keys == ["event-message-123", "event-message-123"]


@pytest.mark.parametrize(
    ("body", "message_id"),
    [
        (b'{"message_id": "SM1"}', "SM1"),
        (b'{"messageId": "SM2"}', "SM2"),
        (b'{"id": "SM3"}', "SM3"),
        (b'{"id": 42}', "42"),
        (b'{"id": 0}', "0"),
        (b'{"id": "workflow", "message_id": "SM4"}', "SM4"),
        (b'{"message_id": null, "id": "SM5"}', "SM5"),
        (b'{"message_id": "", "id": "SM6"}', "SM6"),
        (b'{"message_id": true}', None),
        (b'{"message_id": 1.5}', None),
        (b'{"message_id": ["SM7"]}', None),
        (b'{"message_id": "%b"}' % (b"x" * 256), None),
        (b'{"message_id": "nul \\u0000"}', None),
        (b'{"message_id": "half \\ud83d"}', None),
        (b'{"message": "Workflow was started"}', None),
        (b'[{"id": "SM8"}]', None),
        (b'"SM9"', None),
        (b"null", None),
        (b"OK", None),
        (b"", None),
        (b"\xff\xfe\x00", None),
        (b"[" * 60_000, None),
        (b'{"id": ' + b"9" * 5000 + b"}", None),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_a_2xx_answer_means_sent_whatever_it_says(
    workflow: Workflow, n8n: N8n, body: bytes, message_id: str | None
) -> None:
    workflow.body = body

    assert await n8n.send(HELLO) == Receipt("n8n", message_id)


@pytest.mark.parametrize(("status", "retryable"), [(302, False), (404, False), (429, True), (500, True)])
async def test_a_refusal_is_reported_with_the_workflows_words(
    workflow: Workflow, n8n: N8n, status: int, retryable: bool
) -> None:
    workflow.status, workflow.body = status, b"not today"

    with pytest.raises(SendError, match=f"^n8n answered {status}: not today") as caught:
        await n8n.send(HELLO)

    assert caught.value.retryable is retryable
    assert caught.value.retry_after is None


async def test_a_pause_in_seconds_is_kept(workflow: Workflow, n8n: N8n) -> None:
    workflow.status, workflow.headers = 429, b"Retry-After: 90\r\n"

    with pytest.raises(SendError) as caught:
        await n8n.send(HELLO)

    assert caught.value.retry_after == 90


async def test_a_pause_until_a_date_is_read_on_the_worlds_clock(workflow: Workflow, n8n: N8n) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    workflow.status, workflow.headers = 503, b"Retry-After: %b\r\n" % until.encode()

    with pytest.raises(SendError) as caught:
        await n8n.send(HELLO)

    assert caught.value.retry_after == pytest.approx(600, abs=10)


async def test_an_unreachable_n8n_may_be_retried_and_its_path_stays_secret() -> None:
    http = HttpClient()
    with pytest.raises(SendError) as caught:
        await N8n(http, "http://127.0.0.1:1/webhook/secret-path").send(HELLO)
    await http.close()

    assert caught.value.retryable
    assert "secret-path" not in str(caught.value)


async def test_closing_the_channel_leaves_the_shared_client_open(workflow: Workflow, n8n: N8n) -> None:
    await n8n.close()

    assert await n8n.send(HELLO) == Receipt("n8n", None)


async def test_a_workflow_that_mails_gets_the_address_that_unsubscribes(n8n: N8n, workflow: Workflow) -> None:
    link = "https://messages.example.com/unsubscribe/v1.a.b"
    await n8n.send(replace(HELLO, to="ada@example.com", unsubscribe=link))
    await n8n.send(HELLO)
    assert [payload.get("unsubscribe") for payload in workflow.payloads] == [link, None]
