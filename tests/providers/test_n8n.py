"""A workflow gets the message and its metadata once, and its answer decides what happens next."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.n8n_recorded import BOOTING, WEBHOOKS, Recorded, expect
from providers.n8n_recorded import HELLO as NAMED
from tidings.errors import SendError
from tidings.providers.base import Outgoing, Receipt
from tidings.providers.http import HttpClient, HttpResponse
from tidings.providers.n8n import N8n
from tidings.providers.n8n_answers import read_answer

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


async def test_the_payload_says_the_kind_of_message_and_the_name_by_which_reports_may_name_it(
    workflow: Workflow, n8n: N8n
) -> None:
    await n8n.send(NAMED)

    assert workflow.payloads == [
        {
            "phone": "+18105550123",
            "message": "hi",
            "kind": "event-message",
            "name": "event-message-8",
            "message_id": 8,
            "event_id": 3,
        }
    ]


async def test_every_attempt_at_a_message_has_the_same_key(workflow: Workflow, n8n: N8n) -> None:
    await n8n.send(HELLO)
    await n8n.send(HELLO)

    assert workflow.keys == ["event-message-123", "event-message-123"]


@pytest.mark.parametrize("name", [*BOOTING, *WEBHOOKS])
async def test_each_answer_of_n8n_is_taken_for_what_it_says(workflow: Workflow, n8n: N8n, name: str) -> None:
    recorded = {**BOOTING, **WEBHOOKS}[name]
    workflow.status, workflow.body, workflow.headers = recorded.status, recorded.body, recorded.headers
    await expect(n8n, recorded)


AWAY: list[tuple[int, bytes, bytes]] = [
    (200, b"", b"<html><body>n8n is starting up. Please wait</body></html>"),
    (
        404,
        b"",
        b'{"code":404,"message":"The requested webhook \\"sms\\" is not registered.","hint":"Click the \'Execute',
    ),
    (404, b"", b'{"code":404,"message":"Active version not found for workflow with id \\"7\\""}'),
    (404, b"", b'{"code":404,"message":"Could not find workflow with id \\"7\\""}'),
    (404, b"", b"404 page not found\n"),
    (404, b"", b"<html>\r\n<head><title>404 Not Found</title></head>\r\n<body><center>nginx</center></body></html>"),
    (404, b"", b"The endpoint demo.ngrok-free.app is offline.\r\n\r\nERR_NGROK_3200\r\n"),
    (301, b"Location: https://n8n.example.com/webhook/sms\r\n", b""),
    (308, b"Location: https://n8n.example.com/webhook/sms\r\n", b"Permanent Redirect"),
    (302, b"Location: https://sso.example.com/login\r\n", b"<a href='https://sso.example.com/login'>Found</a>"),
    (303, b"Location: /signin\r\n", b""),
    (307, b"Location: https://n8n.example.com/webhook/sms\r\n", b"Temporary Redirect"),
    (200, b"", b"<!DOCTYPE html><html><head><title>n8n.io - Workflow Automation</title></head></html>"),
    (200, b"", b'\n<html><form method="post"><input name="p" type="password"></form></html>'),
    (404, b"", b"default backend - 404"),
    (404, b"", b'{"status":"error","code":404,"message":"Application not found","request_id":"x"}'),
    (403, b"", b"<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body><center>nginx</center></body></html>"),
    (405, b"", b"<html><head><title>405 Not Allowed</title></head><body><center>nginx</center></body></html>"),
    (403, b"", b'<!DOCTYPE html><html lang="en-US"><head><title>Just a moment...</title></head></html>'),
    (403, b"", b"error code: 1020"),
    (521, b"", b"error code: 521"),
    (530, b"", b"error code: 1033"),
    (401, b'WWW-Authenticate: Basic realm="proxy"\r\n', b"<html>401 Authorization Required</html>"),
    (500, b'WWW-Authenticate: Basic realm="Webhook"\r\n', b"No authentication data defined on node!"),
    (403, b'WWW-Authenticate: Basic realm="Webhook"\r\n', b"jwt expired"),
    (429, b"", b"slow down"),
    (502, b"", b"<html>502 Bad Gateway</html>"),
    (503, b"", b'{"code":503,"message":"Database is not ready!"}'),
]


@pytest.mark.parametrize(("status", "headers", "body"), AWAY, ids=lambda value: repr(value)[:40])
async def test_where_no_workflow_has_the_message_n8n_is_away(
    workflow: Workflow, n8n: N8n, status: int, headers: bytes, body: bytes
) -> None:
    workflow.status, workflow.headers, workflow.body = status, headers, body
    await expect(n8n, Recorded(status, body, "away"))


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
        (b'"SM9"', None),
        (b"null", None),
        (b"OK", None),
        (b"", None),
        (b"\xff\xfe\x00", None),
        (b"[" * 60_000, None),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, None),
        (b'{"id": ' + b"9" * 5000 + b"}", None),
        # entries of the last node, and what nodes put around what providers said
        (b'[{"id": "SM8"}]', "SM8"),
        (b'[{"note": "stored"}, {"sid": "SM10"}]', "SM10"),
        (b'[{"json": {"sid": "SM11"}, "pairedItem": 0}]', "SM11"),
        (b'{"statusCode": 201, "headers": {"id": "h"}, "body": {"sid": "SM12", "status": "queued"}}', "SM12"),
        (b"[]", None),
        (b"[[]]", None),
        # providers
        (b'{"sid": "SM13", "account_sid": "AC1", "messaging_service_sid": "MG1", "to": "+18105550123"}', "SM13"),
        (
            b'{"messaging_product": "whatsapp", "contacts": [{"wa_id": "1"}], "messages": [{"id": "wamid.1"}]}',
            "wamid.1",
        ),
        (b'{"data": {"record_type": "message", "id": "40385f64"}}', "40385f64"),
        (b'{"messages": [{"to": "18105550123", "status": "0", "message-id": "0A1"}]}', "0A1"),
        (b'{"messages": [{"messageId": "22", "status": {"groupName": "PENDING", "id": 26}}]}', "22"),
        (b'{"conversationId": "c", "messageId": "m", "msg": "Message queued successfully."}', "m"),
        (b'{"key": {"remoteJid": "1@s", "fromMe": true, "id": "3EB0"}, "status": "PENDING"}', "3EB0"),
        (b'{"ok": true, "result": {"message_id": 4711, "chat": {"id": 5}}}', "4711"),
        (b'{"MessageId": "aws-1"}', "aws-1"),
        (b'{"accepted": ["a@example.com"], "messageId": "<1@example.com>", "response": "250 OK"}', "<1@example.com>"),
        # ours, given back
        (b'{"phone": "+18105550123", "message": "hi", "message_id": 8}', None),
        (b'{"message_id": "8"}', None),
        (b'{"id": "event-message-8"}', None),
        (b'{"id": "EVENT-MESSAGE-8-1"}', None),
        (b'{"message_id": " event-message-8-1 "}', None),
        (b'{"id": 3}', None),
        (
            b'{"headers": {"idempotency-key": "event-message-8-1"}, "body": {"message_id": 8}, "webhookUrl": "u"}',
            None,
        ),
        (b'{"message_id": 8, "sid": "SM14"}', "SM14"),
        (b'{"message_id": 8, "id": "SM15"}', "SM15"),
        # a workflow's own table, which counts its rows
        (b'{"id": 17, "phone": "+18105550123", "text": "hi"}', None),
        (b'[{"id": "17", "message": "hi", "created_at": "2026-11-26"}]', None),
        (b'{"id": 17, "createdAt": "2026-11-26", "updatedAt": "2026-11-26", "state": "queued"}', None),
        (b'{"id": 17, "key": "event-message-8-1"}', None),
        (b'{"id": 17, "reference": "event-message-8"}', None),
        (b'{"id": 17, "phone": "+18105550123", "sid": "SM16"}', "SM16"),
        (b'{"id": "0198-uuid", "body": "hi", "recipient": "+18105550123"}', "0198-uuid"),
        # what is no trouble
        (b'{"sid": "SM17", "error": null, "errors": [], "error_code": 0}', "SM17"),
        (b'{"code": 0, "message": "success"}', None),
        (b'{"code": 0, "message": "Sent", "data": {"id": "SM18"}}', "SM18"),
        (b'{"code": 200, "status": "ok", "success": true}', None),
        (b'{"sid": "SM19", "error": "the log could not be written"}', "SM19"),
        (b'[{"error": "the log could not be written"}, {"sid": "SM20"}]', "SM20"),
    ],
    ids=lambda value: repr(value)[:60],
)
async def test_a_2xx_answer_means_sent_and_tells_the_providers_id_never_ours(
    workflow: Workflow, n8n: N8n, body: bytes, message_id: str | None
) -> None:
    workflow.body = body

    assert await n8n.send(NAMED) == Receipt("n8n", message_id)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"error": "out of credit"}', "out of credit"),
        (b'{"error": {"message": "connect ECONNREFUSED 127.0.0.1:9", "name": "Error"}}', "ECONNREFUSED"),
        (b'{"error": true}', "error"),
        (b'[{"error": "out of credit"}]', "out of credit"),
        (b'[{"json": {"error": "out of credit"}}]', "out of credit"),
        (b'{"errors": [{"code": 10015, "detail": "x", "message": "bad sender"}]}', "bad sender"),
        (b'{"code":0,"message":"There was a problem executing the workflow"}', "There was a problem"),
        (b'{"code":0,"message":"Workflow could not be started!","hint":"x"}', "could not be started"),
        (b'{"code": 21211, "message": "Invalid \'To\' number", "status": 400}', "Invalid 'To' number"),
        (b'{"statusCode": 401, "body": {"message": "Authenticate"}}', "401"),
        (b'{"success": false, "message": "quota"}', "quota"),
        (b'{"ok": false, "error_code": 400, "description": "chat not found"}', "chat not found"),
        (b'{"status": "failed", "sid": "SM1", "error_message": "unreachable"}', "unreachable"),
        (b'{"messages": [{"status": "2", "error-text": "Missing to"}]}', "Missing to"),
        (b'{"message_id": 8, "phone": "+18105550123", "error": "no route"}', "no route"),
    ],
    ids=lambda value: repr(value)[:60],
)
async def test_a_workflow_that_says_that_it_failed_is_asked_again(
    workflow: Workflow, n8n: N8n, body: bytes, says: str
) -> None:
    workflow.body = body
    await expect(n8n, Recorded(200, body, "failed", says=says))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["id", "sid", "message_id", "json", "data", "error", "status", "code", "message"]),
                inner,
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_a_workflow_answers_its_message_is_sent_or_tried_again_and_no_id_is_ours(answer: object) -> None:
    response = HttpResponse(200, {}, json.dumps(answer).encode())
    payload = {"phone": "+1", "message": "hi", "message_id": 8}
    try:
        found = read_answer("n8n", response, payload, ("key",), datetime.now(UTC))
    except SendError as error:
        refusal = error
    else:
        assert found not in ("8", "key", "+1", "hi", "")
        return
    assert (refusal.retryable, refusal.away) == (True, False)


@pytest.mark.parametrize(("status", "retryable"), [(403, False), (404, False), (429, True), (500, True)])
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
