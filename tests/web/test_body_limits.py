"""A body beyond the limit is refused early, however it is sent."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from fastapi import APIRouter, Body, FastAPI, Request
from starlette.responses import StreamingResponse
from starlette.types import Message

from tidings.web.application import create_application

LIMIT = 1000

router = APIRouter()


@router.post("/parsed")
async def parsed(body: list[int] = Body()) -> int:  # noqa: B008
    return len(body)


@router.post("/streamed")
async def streamed(request: Request) -> int:
    return sum([len(chunk) async for chunk in request.stream()])


@router.post("/unread")
async def unread() -> str:
    return "fine"


@router.post("/answering")
async def answering() -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"begun"
        await asyncio.sleep(60)
        yield b" and ended"

    return StreamingResponse(chunks())


@pytest.fixture
def application() -> FastAPI:
    return create_application(parts={}, routers=[router], api_key=None, max_body_bytes=LIMIT, version="1")


async def in_chunks(total: int) -> AsyncIterator[bytes]:
    for start in range(0, total, 100):
        yield b"1" * min(100, total - start)


@pytest.mark.parametrize("path", ["/parsed", "/streamed"])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [0, LIMIT - 1, LIMIT, LIMIT + 1, LIMIT * 50])
async def test_the_limit_is_exact_for_declared_and_for_chunked_bodies(
    application: FastAPI, path: str, chunked: bool, size: int
) -> None:
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        content = in_chunks(size) if chunked else b"1" * size
        response = await http.post(path, content=content, headers={"Content-Type": "application/json"})
    assert (response.status_code == 413) == (size > LIMIT)
    if size > LIMIT:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["type"] == "/problems/too-large"
        assert response.json()["detail"] == (
            "The body has more than 1,000 bytes; send less, or raise TIDINGS_MAX_BODY_BYTES."
        )


@pytest.mark.parametrize("declared", [b"1001", b"9" * 30, b"0" * 25 + b"1001"])
async def test_a_declared_length_beyond_the_limit_is_refused_before_a_byte_is_read(
    application: FastAPI, declared: bytes
) -> None:
    statuses = []

    async def receive() -> Message:
        raise AssertionError("the body was read")

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    headers = [(b"host", b"localhost"), (b"content-length", declared)]
    scope = {"type": "http", "method": "POST", "path": "/unread", "query_string": b"", "headers": headers}
    await application(scope, receive, send)
    assert statuses == [413]


@pytest.fixture
async def address(application: FastAPI) -> AsyncIterator[tuple[str, int]]:
    """A real uvicorn on a free port."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        async with asyncio.timeout(10):
            while not server.started:
                await asyncio.sleep(0.01)
        yield listening.getsockname()[:2]
    finally:
        server.should_exit = True
        await serving


def head(path: str, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers, "", ""]
    return "\r\n".join(lines).encode()


CHUNK = b"64\r\n" + b"1" * 100 + b"\r\n"


@asynccontextmanager
async def connected(address: tuple[str, int]) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*address)
    try:
        async with asyncio.timeout(10):
            yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


async def test_an_endless_chunked_body_is_answered_while_it_is_still_being_sent(address: tuple[str, int]) -> None:
    async with connected(address) as (reader, writer):
        writer.write(head("/parsed", "Transfer-Encoding: chunked") + CHUNK * 11)  # and no last chunk
        answer = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert json.loads(body)["type"] == "/problems/too-large"


async def test_a_caller_that_asks_first_never_sends_its_large_body(address: tuple[str, int]) -> None:
    async with connected(address) as (reader, writer):
        writer.write(head("/parsed", "Content-Length: 1001", "Expect: 100-continue"))
        answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_caller_that_sends_it_all_first_still_gets_the_answer(
    address: tuple[str, int], chunked: bool
) -> None:
    size = 20_000_000
    async with httpx.AsyncClient(base_url="http://{}:{}".format(*address)) as http:
        for _ in range(2):  # the connection stays usable
            content = in_chunks(size // 100) if chunked else b"1" * size
            response = await http.post("/parsed", content=content)
            assert (response.status_code, response.json()["type"]) == (413, "/problems/too-large")
        assert (await http.post("/parsed", json=[1, 2])).json() == 2


async def test_a_body_that_outgrows_the_limit_after_the_answer_began_cuts_the_answer_off(
    address: tuple[str, int],
) -> None:
    async with connected(address) as (reader, writer):
        writer.write(head("/answering", "Transfer-Encoding: chunked"))
        await reader.readuntil(b"begun")
        writer.write(CHUNK * 11)
        rest = await reader.read()
    assert b"ended" not in rest
