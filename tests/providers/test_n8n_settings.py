"""What an installation sets about n8n: whom it shows itself as, and what of it nobody reads."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from providers.n8n_recorded import HELLO
from providers.receiver import Receiver, answers, receiving
from tidings.errors import ConfigurationError, SendError
from tidings.providers.base import Provider, ProviderParts
from tidings.providers.http import HttpClient
from tidings.providers.n8n import open_provider
from tidings.registry import load


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    await client.close()


def opened(http: HttpClient, url: str, **settings: Any) -> Provider:
    return open_provider(ProviderParts(load(n8n_outbound_webhook_url=url, **settings), http))["sms"]


@pytest.mark.parametrize(
    ("name", "value"), [("X-Api-Key", "s3cret"), ("Authorization", "Bearer a.b.c"), (" x-token ", " padded ")]
)
async def test_the_header_that_a_webhook_asks_for_is_sent(
    receiver: Receiver, http: HttpClient, name: str, value: str
) -> None:
    n8n = opened(
        http,
        f"http://127.0.0.1:{receiver.port}/webhook/sms",
        n8n_outbound_header_name=name,
        n8n_outbound_header_value=value,
    )

    await n8n.send(HELLO)

    [request] = receiver.requests
    assert request.headers[name.strip().lower()] == value.strip()
    assert request.headers["idempotency-key"] == HELLO.idempotency_key


async def test_a_name_and_password_in_the_address_are_basic_authentication(
    receiver: Receiver, http: HttpClient
) -> None:
    await opened(http, f"http://tidings:p%2Fw%401%3Ax@127.0.0.1:{receiver.port}/webhook/sms").send(HELLO)

    [request] = receiver.requests
    assert request.line == "POST /webhook/sms HTTP/1.1"
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"tidings:p/w@1:x").decode()


@pytest.mark.parametrize("status", ["401 Unauthorized", "200 OK", "nobody"])
async def test_no_secret_of_n8n_is_in_an_error_or_in_the_log(
    receiver: Receiver, http: HttpClient, status: str
) -> None:
    receiver.script = answers(status, b'{"error": "no credit"}', b'WWW-Authenticate: Basic realm="Webhook"\r\n')
    port = 1 if status == "nobody" else receiver.port
    n8n = opened(
        http,
        f"http://tidings:s3cret@127.0.0.1:{port}/webhook/s3cret",
        n8n_outbound_header_name="X-Api-Key",
        n8n_outbound_header_value="s3cret",
    )

    with capture_logs() as logs, pytest.raises(SendError) as caught:
        await n8n.send(HELLO)

    assert "s3cret" not in f"{caught.value} {caught.value.__dict__} {logs}"


async def test_a_workflow_that_ignores_bots_takes_our_messages(receiver: Receiver, http: HttpClient) -> None:
    await opened(http, f"http://127.0.0.1:{receiver.port}/").send(HELLO)

    [request] = receiver.requests
    assert request.headers["user-agent"].startswith("tidings/")
    assert request.headers["user-agent"].endswith(" (messages)")  # a bare name and version are a bot's


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"n8n_outbound_header_name": "X-Api-Key"}, "N8N_OUTBOUND_HEADER_VALUE is missing"),
        ({"n8n_outbound_header_value": "s3cret"}, "N8N_OUTBOUND_HEADER_NAME is missing"),
        ({"n8n_outbound_header_name": "X Api Key", "n8n_outbound_header_value": "s3cret"}, "'x api key'"),
        ({"n8n_outbound_header_name": "X-Key:", "n8n_outbound_header_value": "s3cret"}, "'x-key:'"),
        ({"n8n_outbound_header_name": "Idempotency-Key", "n8n_outbound_header_value": "s3cret"}, "'idempotency-key'"),
        ({"n8n_outbound_header_name": "X-Key", "n8n_outbound_header_value": "s3cret\r\nX: y"}, "HEADER_VALUE has"),
        ({"n8n_outbound_header_name": "X-Key", "n8n_outbound_header_value": "s3crét"}, "HEADER_VALUE has"),
    ],
)
async def test_a_header_that_cannot_be_sent_stops_the_start(
    http: HttpClient, settings: dict[str, str], says: str
) -> None:
    with pytest.raises(ConfigurationError, match="N8N_OUTBOUND_HEADER") as caught:
        opened(http, "http://127.0.0.1:1/", **settings)

    assert says in str(caught.value)
    assert "s3cr" not in str(caught.value)


def test_a_blank_header_counts_as_none(http: HttpClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("N8N_OUTBOUND_HEADER_NAME", " ")
    monkeypatch.setenv("N8N_OUTBOUND_HEADER_VALUE", " ")
    assert opened(http, "http://127.0.0.1:1/")
