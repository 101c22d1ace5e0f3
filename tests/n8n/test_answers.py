"""What the real n8n answers to a message is what the tables of the fast tests have, and means what they say."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator

import httpx
import pytest

from n8n.server import N8n as Server
from providers.n8n_recorded import HELLO, WEBHOOKS, expect
from tidings.errors import SendError
from tidings.providers.base import Receipt
from tidings.providers.http import HttpClient
from tidings.providers.n8n import N8n


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    await client.close()


@pytest.mark.parametrize("path", WEBHOOKS)
async def test_an_answer_is_the_recorded_one(n8n: Server, http: HttpClient, path: str) -> None:
    recorded = WEBHOOKS[path]
    await expect(N8n(http, n8n.webhook(path)), recorded)

    async with httpx.AsyncClient(headers={"user-agent": "tidings/0 (messages)"}) as client:
        answer = await client.post(n8n.webhook(path), json={"phone": "+1", "message": "hi"})
    assert (answer.status_code, answer.content) == (recorded.status, recorded.body)
    assert (answer.headers.get("www-authenticate") is not None) == (b"WWW-Authenticate" in recorded.headers)


@pytest.mark.parametrize("path", ["echo", "echo-all"])
async def test_a_workflow_that_gives_the_request_back_gives_no_id(n8n: Server, http: HttpClient, path: str) -> None:
    assert await N8n(http, n8n.webhook(path)).send(HELLO) == Receipt("n8n", None)


async def test_a_workflow_that_goes_on_after_an_error_has_failed(n8n: Server, http: HttpClient) -> None:
    with pytest.raises(SendError, match="ECONNREFUSED") as caught:
        await N8n(http, n8n.webhook("unreachable")).send(HELLO)
    assert (caught.value.retryable, caught.value.away) == (True, False)


async def test_the_address_of_the_editors_test_is_no_address_for_messages(n8n: Server, http: HttpClient) -> None:
    with pytest.raises(SendError, match="production URL") as caught:
        await N8n(http, f"{n8n.address}/webhook-test/last-first").send(HELLO)
    assert caught.value.away


async def test_an_address_without_a_webhook_is_no_address_for_messages(n8n: Server, http: HttpClient) -> None:
    with pytest.raises(SendError, match="leads elsewhere") as caught:
        await N8n(http, f"{n8n.address}/sms").send(HELLO)
    assert caught.value.away


async def test_a_webhook_that_asks_who_calls_is_told(n8n: Server, http: HttpClient) -> None:
    taken = Receipt("n8n", None)
    assert await N8n(http, n8n.webhook("header"), {"x-api-key": "s3cret"}).send(HELLO) == taken
    in_address = n8n.webhook("basic").replace("://", "://tidings:p%2Fw%401%3Ax@")
    assert await N8n(http, in_address).send(HELLO) == taken
    bearer = f"Bearer {signed(b'jwt-s3cret')}"
    assert await N8n(http, n8n.webhook("jwt"), {"authorization": bearer}).send(HELLO) == taken


def signed(secret: bytes) -> str:
    """A JSON Web Token without claims (RFC 7519), by HMAC with SHA-256."""
    said = ".".join(base64url(part) for part in (b'{"alg":"HS256","typ":"JWT"}', b"{}"))
    return f"{said}.{base64url(hmac.digest(secret, said.encode(), 'sha256'))}"


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
