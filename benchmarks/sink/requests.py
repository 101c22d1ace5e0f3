"""HTTP/1.1 requests out of a stream of bytes, however it was split and however many came at once."""

from __future__ import annotations

from typing import NamedTuple

_END = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
_CHUNKED = b"\r\ntransfer-encoding:"


class Request(NamedTuple):
    """One request. `line` is its first line, like b"POST /webhook HTTP/1.1"."""

    line: bytes
    body: bytes


class Requests:
    """Takes what a connection delivers and hands out the requests that are complete."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Request]:
        """The requests that end in `data`. Raises ValueError for a body whose length is not said beforehand."""
        if self._rest:
            data = self._rest + data
        found: list[Request] = []
        start = 0
        while (end := data.find(_END, start)) >= 0:
            head = data[start:end]
            body = end + len(_END)
            after = body + _length(head)
            if after > len(data):
                break
            found.append(Request(head[: head.find(b"\r\n")] if b"\r\n" in head else head, data[body:after]))
            start = after
        self._rest = data[start:]
        return found


def _length(head: bytes) -> int:
    """Bytes of the body that follows."""
    names = head.lower()
    at = names.find(_LENGTH)
    if at < 0:
        if _CHUNKED in names:
            raise ValueError("the body is chunked; send it with a Content-Length")
        return 0
    at += len(_LENGTH)
    stop = names.find(b"\r\n", at)
    return int(names[at:] if stop < 0 else names[at:stop])
