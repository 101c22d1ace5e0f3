"""A network between a worker and its server that can fail in every way a network fails."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import hiredis
from bullmq.redis_connection import SCRIPT_DEFINITIONS, loadScript

from support.servers import free_port
from tidings.engine.worker.scripts import load_scripts

_now = time.time  # whatever a test makes of the time

COMMANDS, BLOCKING = "EVALSHA", "BZPOPMIN"
"""What a connection is known by: a worker has one for its scripts and one that waits for the marker."""

# A script's name by what EVALSHA calls it: the SHA-1 of its text (https://valkey.io/commands/evalsha/).
_SCRIPTS = {hashlib.sha1(loadScript(file).encode()).hexdigest(): name for name, file in SCRIPT_DEFINITIONS.items()}
_SCRIPTS |= {script.sha: script.name for script in load_scripts().values()}


@dataclass(frozen=True)
class Call:
    """One command that a client sent, and its name, or its script's when it was EVALSHA."""

    name: str
    words: tuple[bytes, ...]

    @classmethod
    def of(cls, words: list[bytes]) -> Self:
        name = words[0].decode().upper()
        return cls(_SCRIPTS.get(words[1].decode(), name) if name == "EVALSHA" else name, tuple(words))


@dataclass(eq=False)
class Link:
    """One connection of a client and what travelled on it. A write is what arrived in one piece."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    kinds: set[str] = field(default_factory=set)
    calls: list[Call] = field(default_factory=list)
    writes: list[tuple[Call, ...]] = field(default_factory=list)
    bytes: int = 0
    unanswered: int = 0
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    pass_on: int | None = None  # bytes of replies still to be passed on; None for no limit

    def cut(self) -> None:
        for end in (self.client, self.server):
            end.transport.abort()
        self.flowing.set()


@dataclass
class _Loss:
    """A fault that waits for its moment: a call of `name`, or of whatever name, once `skip` such have passed."""

    name: str | None
    skip: int
    request: bool
    pass_on: int
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def strikes(self, calls: Iterable[Call]) -> bool:
        """Whether one of these calls is the one."""
        for call in calls:
            if self.name in (None, call.name):
                self.skip -= 1
        return self.skip < 0


class Proxy:
    """Forwards a port of its own to a server, at first without a fault."""

    def __init__(self, server_port: int) -> None:
        self.server_port = server_port  # new connections lead there
        self.port = free_port()
        self.links: list[Link] = []  # those that are gone, too
        self.delay = 0.0  # seconds that every reply is held up
        self.refused = 0  # connections that were turned away
        self.answers: dict[str, bytes] = {}  # errors that come instead of the server's replies; the call is not made
        self.ahead = (
            0.0  # seconds that the server's clock seems to be ahead of this machine's; 0: the server says itself
        )
        self._refusing = False
        self._losses: list[_Loss] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listener is not None
        self._listener.close()
        self.cut()
        await asyncio.gather(*self._tasks)

    def open_links(self, kind: str | None = None) -> list[Link]:
        """The connections that stand, or those of one kind: COMMANDS or BLOCKING."""
        return [
            link for link in self.links if not link.client.transport.is_closing() and (kind in link.kinds or not kind)
        ]

    def calls(self) -> Counter[str]:
        """How often each command was sent, over all connections."""
        return Counter(call.name for link in self.links for call in link.calls)

    def writes(self, name: str) -> list[int]:
        """How many calls of `name` there were in each write that had one."""
        counts = (sum(call.name == name for call in write) for link in self.links for write in link.writes)
        return [count for count in counts if count]

    # -- faults

    def cut(self, kind: str | None = None) -> None:
        """Resets the connections."""
        for link in self.open_links(kind):
            link.cut()

    def refuse(self, refusing: bool = True) -> None:
        """Turns new connections away, or lets them in again."""
        self._refusing = refusing

    def freeze(self, kind: str | None = None) -> list[Link]:
        """From now on nothing passes on the connections of today, and neither end is told."""
        frozen = self.open_links(kind)
        for link in frozen:
            link.flowing.clear()
        return frozen

    def thaw(self) -> None:
        """What was held up passes."""
        for link in self.links:
            link.flowing.set()

    def lose_reply(self, name: str | None = None, *, after: int = 0, skip: int = 0) -> asyncio.Event:
        """The server obeys the next call of `name`, but all that the client gets are `after` bytes, then a reset.

        The same holds for the calls that travel with it. Without a name it is any call; `skip` calls pass before.
        The event is set when it has happened.
        """
        return self._lose(_Loss(name, skip, request=False, pass_on=after))

    def lose_request(self, name: str) -> asyncio.Event:
        """The next call of `name` never reaches the server, and the connection is reset."""
        return self._lose(_Loss(name, 0, request=True, pass_on=0))

    def _lose(self, loss: _Loss) -> asyncio.Event:
        self._losses.append(loss)
        return loss.done

    # -- forwarding

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.ensure_future(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            self.refused += 1
            writer.transport.abort()
            return
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.server_port)
        except OSError:
            self.refused += 1
            writer.transport.abort()
            return
        link = Link(writer, to_server)
        link.flowing.set()
        self.links.append(link)
        requests = asyncio.create_task(self._requests(link, reader))
        replies = asyncio.create_task(self._replies(link, from_server))
        try:
            await asyncio.wait({requests, replies}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            link.cut()
            await asyncio.gather(requests, replies)

    async def _requests(self, link: Link, reader: asyncio.StreamReader) -> None:
        parser = hiredis.Reader()
        while chunk := await _read(reader):
            await link.flowing.wait()
            if link.server.transport.is_closing():
                return
            calls = tuple(Call.of(words) for words in _parsed(parser, chunk))
            link.kinds.update({COMMANDS, BLOCKING} & {_name_in_redis(call) for call in calls})
            link.calls += calls
            link.writes.append(calls)
            link.bytes += len(chunk)
            loss = next((loss for loss in self._losses if loss.strikes(calls)), None)
            if loss:
                self._losses.remove(loss)
                if not loss.request:
                    link.pass_on = loss.pass_on
                    link.unanswered += len(calls)
                    link.server.write(chunk)
                    while link.unanswered > 0 and not link.server.transport.is_closing():
                        await asyncio.sleep(0.001)
                loss.done.set()
                return
            if self.answers or self.ahead:
                await self._answer(link, calls)
                continue
            link.unanswered += len(calls)
            link.server.write(chunk)

    async def _answer(self, link: Link, calls: Iterable[Call]) -> None:
        for call in calls:
            answer = self._answer_to(call)
            if answer is None:
                link.unanswered += 1
                link.server.write(hiredis.pack_command(call.words))  # type: ignore[arg-type]
                continue
            while link.unanswered > 0 and not link.server.transport.is_closing():
                await asyncio.sleep(0.001)
            _write(link, answer)

    def _answer_to(self, call: Call) -> bytes | None:
        if call.name == "TIME" and self.ahead:
            seconds, microseconds = divmod(int((_now() + self.ahead) * 1_000_000), 1_000_000)
            return b"*2\r\n$%d\r\n%d\r\n$6\r\n%06d\r\n" % (len(str(seconds)), seconds, microseconds)
        return b"-%b\r\n" % self.answers[call.name] if call.name in self.answers else None

    async def _replies(self, link: Link, reader: asyncio.StreamReader) -> None:
        parser = hiredis.Reader()
        while chunk := await _read(reader):
            await link.flowing.wait()
            if link.client.transport.is_closing():
                return
            link.unanswered -= sum(1 for _ in _parsed(parser, chunk))
            if link.pass_on is not None:
                chunk, link.pass_on = chunk[: link.pass_on], max(link.pass_on - len(chunk), 0)
            if self.delay:
                asyncio.get_running_loop().call_later(self.delay, _write, link, chunk)
            else:
                link.client.write(chunk)


def _name_in_redis(call: Call) -> str:
    return "EVALSHA" if call.name in _SCRIPTS.values() else call.name


async def _read(reader: asyncio.StreamReader) -> bytes:
    with suppress(OSError):
        return await reader.read(1 << 20)
    return b""


def _write(link: Link, chunk: bytes) -> None:
    if not link.client.transport.is_closing():
        link.client.write(chunk)


def _parsed(parser: Any, chunk: bytes) -> Iterable[Any]:
    parser.feed(chunk)
    while (message := parser.gets()) is not False:
        yield message
