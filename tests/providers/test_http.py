"""Providers behave badly in many ways; a message is then retried, refused or taken, and never left hanging."""

import asyncio
import json
import socket
import struct
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from providers.receiver import Receiver, Script, answers, receiving, repeats, says_nothing, writes
from tidings.errors import SendError
from tidings.providers import http as providers_http
from tidings.providers.http import HttpClient, HttpResponse
from tidings.providers.responses import raise_for_response, retry_after

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
SECRET = "hunter2"


@pytest.fixture
async def provider() -> AsyncIterator[Receiver]:
    async with receiving() as provider:
        provider.script = answers("200 OK", b"{}")
        yield provider


def url_of(provider: Receiver) -> str:
    return f"http://127.0.0.1:{provider.port}/hook/{SECRET}?token={SECRET}"


@pytest.fixture
async def http(provider: Receiver) -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    await client.close()


@pytest.fixture
async def hasty(provider: Receiver) -> AsyncIterator[HttpClient]:
    client = HttpClient(timeout=0.2)
    yield client
    await client.close()


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


async def test_a_message_arrives_as_compact_utf8_json(provider: Receiver, http: HttpClient) -> None:
    await http.post_json(url_of(provider), {"phone": "+4930123", "message": "Grüße 👋\n"}, {"Idempotency-Key": "k-1"})

    [request] = provider.requests
    assert request.line == f"POST /hook/{SECRET}?token={SECRET} HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"tidings/{version('tidings')}"
    assert request.headers["idempotency-key"] == "k-1"
    assert request.body == '{"phone":"+4930123","message":"Grüße 👋\\n"}'.encode()


async def test_no_compressed_answer_is_asked_for(provider: Receiver, http: HttpClient) -> None:
    await http.post_json(url_of(provider), {})

    assert "accept-encoding" not in provider.requests[0].headers


async def test_an_answer_has_lower_case_headers_and_its_whole_body(provider: Receiver, http: HttpClient) -> None:
    provider.script = answers("201 Created", b"taken", b"X-Kind: a\r\nRetry-After: 3\r\nx-kind: b\r\n")

    response = await http.post_json(url_of(provider), {})

    assert response == HttpResponse(
        201, {"x-kind": "a, b", "retry-after": "3", "content-length": "5"}, b"taken"
    )  # fmt: skip


async def test_an_unreadable_header_does_not_spoil_an_answer(provider: Receiver, http: HttpClient) -> None:
    provider.script = answers("200 OK", b"taken", b"X-Odd: \xff\r\nX-Fine: yes\r\n")

    response = await http.post_json(url_of(provider), {})

    assert response.body == b"taken"
    assert response.headers == {"x-fine": "yes", "content-length": "5"}


async def test_one_connection_serves_many_messages(provider: Receiver, http: HttpClient) -> None:
    for status in ["200 OK", "404 Not Found", "302 Found", "500 Oops", "200 OK"]:
        provider.script = answers(status, b"x" * 1000)
        await http.post_json(url_of(provider), {})

    assert len(provider.requests) == 5
    assert provider.connections == 1


def closes(how: str, after: float | None) -> Script:
    """Answers the first request, and ends its connection so many seconds later; None: as the next one is read."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def end() -> None:
            if how == "RST":
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()

        await answers("200 OK", b"{}")(reader, writer)
        if after is None:
            await reader.read(1)
            end()
        else:
            asyncio.get_running_loop().call_later(after, end)

    return script


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("after", [None, 0.0, 0.001, 0.02])
async def test_a_connection_that_the_server_closes_as_it_is_used_again_costs_nothing(
    provider: Receiver, http: HttpClient, how: str, after: float | None
) -> None:
    for number in range(10):
        provider.requests.clear()
        provider.script = closes(how, after)
        await http.post_json(url_of(provider), {"number": number}, repeatable=True)
        provider.script = answers("200 OK", b"{}")

        response = await http.post_json(url_of(provider), {"number": "next"}, repeatable=True)

        assert response.status == 200
        assert json.loads(provider.requests[-1].body)["number"] == "next"


async def test_what_must_not_be_repeated_is_not_and_nobody_knows_whether_it_arrived(
    provider: Receiver, http: HttpClient
) -> None:
    provider.script = closes("RST", None)
    await http.post_json(url_of(provider), {})

    with pytest.raises(SendError, match=r"^the connection to .* failed: ") as caught:
        await http.post_json(url_of(provider), {})

    assert caught.value.unknown
    assert len(provider.requests) == 1


async def test_a_server_that_hangs_up_on_every_request_is_asked_twice_and_no_more(
    provider: Receiver, http: HttpClient
) -> None:
    provider.script = writes(b"", hang_up=True)

    with pytest.raises(SendError, match="connection closed"):
        await http.post_json(url_of(provider), {}, repeatable=True)

    assert len(provider.requests) == 2


async def test_a_connection_is_not_used_again_when_servers_may_be_about_to_close_it(
    provider: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert providers_http.IDLE < 5  # Node's server.keepAliveTimeout
    monkeypatch.setattr(providers_http, "IDLE", 0.05)
    http = HttpClient()
    await http.post_json(url_of(provider), {})
    assert provider.connections == 1

    deadline = time.monotonic() + 0.1
    while time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    await http.post_json(url_of(provider), {})
    await http.close()

    assert provider.connections == 2


async def test_many_tasks_share_a_client(provider: Receiver, http: HttpClient) -> None:
    responses = await asyncio.gather(*(http.post_json(url_of(provider), {"n": n}) for n in range(50)))

    assert [response.status for response in responses] == [200] * 50
    assert sorted(json.loads(request.body)["n"] for request in provider.requests) == list(range(50))
    assert provider.connections <= 50


async def test_a_redirect_is_not_followed(provider: Receiver, http: HttpClient) -> None:
    provider.script = answers("307 Temporary Redirect", headers=b"Location: %b\r\n" % url_of(provider).encode())

    response = await http.post_json(url_of(provider), {})

    assert response.status == 307
    assert len(provider.requests) == 1


@pytest.mark.parametrize("size", [999, 1000, 1001])
async def test_a_body_is_read_up_to_the_limit(provider: Receiver, size: int) -> None:
    provider.script = answers("200 OK", b"x" * size)
    http = HttpClient(max_response_bytes=1000)

    response = await http.post_json(url_of(provider), {})
    await http.close()

    assert response.body == b"x" * min(size, 1000)


async def test_an_endless_answer_is_cut_and_its_status_counts(provider: Receiver, http: HttpClient) -> None:
    provider.script = repeats(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 10_000, pause=0)

    response = await http.post_json(url_of(provider), {})

    assert response.status == 200
    assert len(response.body) == 64 * 1024


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        pytest.param(writes(b"", hang_up=True), "the connection to {host} failed: connection closed", id="no answer"),
        pytest.param(writes(b"HTTP/1.1 200 OK\r\nCont", hang_up=True), "{host}", id="closed in the head"),
        pytest.param(
            writes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", hang_up=True),
            "{host} gave a broken answer: end of file",
            id="closed in the body",
        ),
        pytest.param(writes(b"SSH-2.0-hello\r\n"), "{host} gave a broken answer", id="not HTTP"),
        pytest.param(
            writes(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"), "{host} gave a broken answer", id="bad length"
        ),
        pytest.param(
            writes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            "{host} gave a broken answer",
            id="bad chunk",
        ),
        pytest.param(
            writes(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000), "{host} gave a broken answer", id="endless head"
        ),
    ],
)
async def test_a_broken_answer_may_be_retried(
    provider: Receiver, http: HttpClient, script: Script, sentence: str
) -> None:
    provider.script = script

    with pytest.raises(SendError) as caught:
        await http.post_json(url_of(provider), {})

    assert caught.value.retryable
    assert caught.value.unknown
    assert sentence.format(host=f"127.0.0.1:{provider.port}") in str(caught.value)
    assert SECRET not in str(caught.value)

    provider.script = answers("200 OK")
    assert (await http.post_json(url_of(provider), {})).status == 200


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(says_nothing, id="silence"),
        pytest.param(repeats(b"HTTP/1.1 200 OK\r\n", b"X-More: x\r\n", pause=0.02), id="a dripping head"),
        pytest.param(
            repeats(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b"x", pause=0.02), id="a dripping body"
        ),
    ],
)
async def test_no_answer_takes_longer_than_the_deadline(
    provider: Receiver, hasty: HttpClient, script: Script
) -> None:
    provider.script = script
    started = time.monotonic()

    with pytest.raises(SendError) as caught:
        await hasty.post_json(url_of(provider), {})

    assert 0.19 < time.monotonic() - started < 2
    assert caught.value.retryable
    assert caught.value.unknown
    assert str(caught.value) == f"127.0.0.1:{provider.port} did not answer in time; a request has 0.2 s"


async def test_a_tls_handshake_counts_towards_the_deadline(provider: Receiver, hasty: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(SendError, match=f"^no connection to 127.0.0.1:{port} came about in time$") as caught:
            await hasty.post_json(f"https://127.0.0.1:{port}/{SECRET}", {})

    assert caught.value.away
    assert not caught.value.unknown


@pytest.mark.parametrize(
    "host", [f"127.0.0.1:{closed_port()}", "no-such-host.invalid"], ids=["nobody listens", "no such host"]
)
async def test_an_unreachable_provider_is_away(http: HttpClient, host: str) -> None:
    with pytest.raises(SendError) as caught:
        await http.post_json(f"http://user:{SECRET}@{host}/{SECRET}?token={SECRET}", {})

    assert caught.value.away
    assert not caught.value.unknown
    assert str(caught.value).startswith(f"the connection to {host} failed: ")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        (f"ftp://files.example/{SECRET}", "files.example"),
        (f"http://hook.example:99999/{SECRET}", "the provider"),
        (f"http://[broken/{SECRET}", "the provider"),
        (f"/only/a/path/{SECRET}", "the provider"),
        ("", "the provider"),
    ],
)
async def test_an_unusable_url_is_final_and_not_quoted(http: HttpClient, url: str, host: str) -> None:
    with pytest.raises(SendError) as caught:
        await http.post_json(url, {})

    assert not caught.value.retryable
    assert str(caught.value).startswith(f"the request to {host} cannot be made")
    assert SECRET not in str(caught.value)


async def test_a_header_cannot_smuggle_in_another(provider: Receiver, http: HttpClient) -> None:
    with pytest.raises(SendError) as caught:
        await http.post_json(url_of(provider), {}, {"Idempotency-Key": f"k\r\nAuthorization: {SECRET}"})

    assert not caught.value.retryable
    assert SECRET not in str(caught.value)
    assert provider.requests == []


@pytest.mark.parametrize("value", [NOW, float("nan"), {1, 2}, "half \ud83d of a smiley"])
async def test_what_is_not_json_is_final_and_never_sent(provider: Receiver, http: HttpClient, value: Any) -> None:
    with pytest.raises(SendError, match=f"^nothing was sent to 127.0.0.1:{provider.port}: the message ") as caught:
        await http.post_json(url_of(provider), {"message": value})

    assert not caught.value.retryable
    assert provider.connections == 0


async def test_closing_ends_requests_under_way_and_later_ones_as_retryable(provider: Receiver) -> None:
    http, arrived = HttpClient(), asyncio.Event()

    async def never(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()

    provider.script = never
    under_way = asyncio.create_task(http.post_json(url_of(provider), {}))
    await arrived.wait()
    await http.close()

    for request in (under_way, http.post_json(url_of(provider), {})):
        with pytest.raises(SendError, match="stop") as caught:
            await request
        assert caught.value.retryable
    assert len(provider.requests) == 1


async def test_closing_an_unused_client_is_fine() -> None:
    http = HttpClient()
    await http.close()
    await http.close()


def response(status: int, body: bytes = b"", **headers: str) -> HttpResponse:
    return HttpResponse(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_2xx_status_means_taken(status: int) -> None:
    raise_for_response("n8n", response(status, b"whatever"), NOW)


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (101, False),
        (301, False),
        (302, False),
        (304, False),
        (400, False),
        (401, False),
        (403, False),
        (404, False),
        (408, True),
        (409, False),
        (410, False),
        (413, False),
        (422, False),
        (425, True),
        (429, True),
        (451, False),
        (500, True),
        (501, True),
        (502, True),
        (503, True),
        (504, True),
        (599, True),
    ],
)
def test_the_status_decides_whether_to_try_again(status: int, retryable: bool) -> None:
    with pytest.raises(SendError, match=f"^n8n answered {status}: ") as caught:
        raise_for_response("n8n", response(status), NOW)

    assert caught.value.retryable is retryable
    assert caught.value.retry_after is None


DAY = 86_400.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0", None),
        ("86401", DAY),
        ("9" * 5000, DAY),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sunday, 22-Nov-26 12:00:30 GMT", 30.0),
        ("Sun Nov 22 12:00:30 2026", 30.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", DAY),
        ("Sun, 22 Nov 2026 11:59:00 GMT", None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("1e3", None),
        ("٣", None),
        ("10, 20", None),
        ("Sun, 99 Nov 2026 12:00:30 GMT", None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_throttling_provider_says_how_long_to_wait(status: int, header: str, seconds: float | None) -> None:
    with pytest.raises(SendError) as caught:
        raise_for_response("n8n", response(status, retry_after=header), NOW)

    assert caught.value.retryable
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    "status",
    [100, 302, 400, 401, 404, 408, 425, 429, *range(500, 505), *range(520, 528), 529, 530],
)
def test_a_provider_is_away_when_its_gateway_or_itself_says_so(status: int) -> None:
    with pytest.raises(SendError) as caught:
        raise_for_response("n8n", response(status), NOW)

    assert caught.value.away is (status in (429, 502, 503, 504, 521, 522, 523, 524, 525, 526, 530))
    assert caught.value.unknown is (status in (504, 524)), "a gateway that waited may have handed it on"


@pytest.mark.parametrize("status", [302, 400, 408, 500])
def test_other_answers_cannot_ask_for_a_pause(status: int) -> None:
    with pytest.raises(SendError) as caught:
        raise_for_response("n8n", response(status, retry_after="120"), NOW)

    assert caught.value.retry_after is None


@settings(deadline=None)
@given(st.text())
@example("Sun, 22 Nov 2026 12:00:30 +9999")
@example("Sun, 22 Nov 99999999999999999999 12:00:30 GMT")
def test_no_retry_after_header_breaks_the_reading(header: str) -> None:
    seconds = retry_after(response(429, retry_after=header), NOW)

    assert seconds is None or 0 < seconds <= DAY


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"message":"no such workflow"}', 'n8n answered 404: {"message":"no such workflow"}'),
        (b"two\r\nlines\x00 and\ttabs \n", "n8n answered 404: two lines and tabs"),
        (b"x" * 1000, "n8n answered 404: " + "x" * 200),
        (b"caf\xe9", "n8n answered 404: caf\N{REPLACEMENT CHARACTER}"),
        (b"", "n8n answered 404: Not Found"),
        (b" \n ", "n8n answered 404: Not Found"),
    ],
)
def test_the_error_quotes_the_answer_on_one_short_line(body: bytes, text: str) -> None:
    with pytest.raises(SendError) as caught:
        raise_for_response("n8n", response(404, body), NOW)

    assert str(caught.value) == text


def test_an_unknown_status_without_a_body_is_still_a_sentence() -> None:
    with pytest.raises(SendError, match=r"^n8n answered 599: no explanation$"):
        raise_for_response("n8n", response(599), NOW)


async def test_a_throttled_request_over_the_wire_carries_its_pause(provider: Receiver, http: HttpClient) -> None:
    provider.script = answers("429 Too Many Requests", b"slow down", b"Retry-After: 30\r\n")

    answer = await http.post_json(url_of(provider), {})

    with pytest.raises(SendError, match=r"^n8n answered 429: slow down$") as caught:
        raise_for_response("n8n", answer, NOW)
    assert caught.value.retry_after == 30
