"""The benches' sink: what it takes, however the bytes come."""

from __future__ import annotations

import asyncio
import json
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.sink.client import open_sink
from benchmarks.sink.requests import Request, Requests
from support.examples import examples


def request_of(body: bytes, *, name: str = "Content-Length") -> bytes:
    return b"POST /webhook HTTP/1.1\r\nHost: sink\r\n%s: %d\r\n\r\n%s" % (name.encode(), len(body), body)


@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(0, 600), max_size=12))
@settings(max_examples=examples(100))
def test_requests_are_whole_however_their_bytes_were_split(bodies: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(map(request_of, bodies))
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    requests = Requests()
    found = [one for start, end in pairwise(places) for one in requests.feed(stream[start:end])]
    assert found == [Request(b"POST /webhook HTTP/1.1", body) for body in bodies]


def test_a_header_is_found_in_any_case_and_a_request_without_a_body_is_one() -> None:
    assert Requests().feed(request_of(b"{}", name="content-LENGTH")) == [Request(b"POST /webhook HTTP/1.1", b"{}")]
    assert Requests().feed(b"GET /count HTTP/1.1\r\n\r\n") == [Request(b"GET /count HTTP/1.1", b"")]


def test_a_body_of_unknown_length_is_refused() -> None:
    with pytest.raises(ValueError, match="send it with a Content-Length"):
        Requests().feed(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")


async def test_the_sink_answers_each_of_several_requests_at_once_and_says_what_came_when() -> None:
    bodies = [json.dumps(body).encode() for body in ({"message_id": 7}, {"id": "a"}, {"text": "nobody's"})]
    async with open_sink() as sink:
        host, _, port = sink.url.split("/")[2].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        before = time.time()
        writer.write(b"".join(map(request_of, bodies)))
        for _ in bodies:
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert json.loads(await reader.readexactly(16)) == {"message": "ok"}
        writer.close()
        assert await sink.wait_for(3, within=5) == 3
        arrivals = await sink.arrivals()
        assert [key for key, _ in arrivals] == ["7", "a", "None"]
        assert all(before <= at <= time.time() for _, at in arrivals)
        await sink.clear()
        assert await sink.arrivals() == []
