"""One connection to Redis on which everything that is asked in one turn of the event loop travels together.

redis-py opens the connection (address, TLS, passwords, sentinels); from then on commands are packed and replies
parsed by hiredis, without a task or a round trip for each.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from typing import Any, cast

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import ResponseError
from redis.maint_notifications import MaintNotificationsConfig

from tidings.engine.worker.scripts import Script

CONNECT_TIMEOUT = 3.0  # seconds, for each step of the way to an open connection
PATIENCE = 5.0
"""Seconds without a single byte, while replies are outstanding, after which a connection is given up as half-open."""


class NotSent(ConnectionLost):
    """There was no connection: the command has surely not been carried out."""


class Pipeline(asyncio.Protocol):
    """A connection that never waits for a reply before it sends the next command.

    `longest` is for how many seconds a command on it may rightly block. `at_once` is how many commands leave without
    waiting for the turn's end, so that the server works while we do.
    """

    def __init__(self, client: Redis, *, name: str, longest: float = 0.0) -> None:
        self.at_once = 16
        self.up = asyncio.Event()
        self.down = asyncio.Event()
        self.down.set()
        self._client = client
        self._name = re.sub(r"[^!-~]", "_", name)  # CLIENT SETNAME takes nothing else
        self._longest = longest
        self._opening = asyncio.Lock()
        self._connecting: asyncio.Future[None] | None = None
        self._closed = False
        self._connection: AbstractConnection | None = None
        self._transport: asyncio.Transport | None = None
        self._reader = _reader()
        self._unsent: list[bytes] = []
        self._pending: deque[tuple[asyncio.Future[Any], Script | None, tuple[Any, ...]]] = deque()
        self._flush_planned = False
        self._heard = 0.0  # by the loop's clock: when a byte last came in, or was awaited anew
        self._watchdog: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Connects, unless it is connected. Raises RedisError, OSError or TimeoutError when that fails."""
        async with self._opening:
            if self._closed:
                raise ConnectionLost("the connection was closed here")
            if not self.up.is_set():
                self._connecting = asyncio.ensure_future(self._connect())
                self._connecting.add_done_callback(seen)
                # redis-py swallows a cancellation while it connects, so `close` sees to what goes on here.
                await asyncio.shield(self._connecting)

    def send(self, *command: Any) -> asyncio.Future[Any]:
        """The reply to a command, which leaves at the end of this turn of the loop.

        The future fails with ResponseError when the server refuses, and with ConnectionLost when the connection
        breaks: then nobody knows whether the command was carried out.
        """
        return self._send(None, command)

    def run(self, script: Script, arguments: tuple[Any, ...]) -> asyncio.Future[Any]:
        """Like `send`, for a Lua script; `arguments` starts with the number of keys. A server that lost its scripts
        is given the source again."""
        return self._send(script, arguments)

    def give_up(self, reason: str) -> None:
        """Drops the connection: what is outstanding fails with ConnectionLost."""
        if self._transport is not None:
            self._transport.abort()
            self._lose(reason)

    async def close(self) -> None:
        """Disconnects at once, and for good."""
        self._closed = True
        while self._connecting is not None and not self._connecting.done():
            self._connecting.cancel()
            await asyncio.wait({self._connecting}, timeout=0.05)
        self.give_up("the connection was closed here")

    async def _connect(self) -> None:
        connection = self._connection_to_be()
        try:
            await cast(Any, connection).connect()
            # There is no public way to the transport; the pinned redis-py and the tests keep this honest.
            writer = cast(Any, connection)._writer
            if self._closed or writer is None or writer.transport.is_closing():
                raise ConnectionLost("the connection was closed while it was made")
            transport = writer.transport
        except BaseException:
            _drop(connection)
            raise
        self._connection, self._transport, self._reader = connection, transport, _reader()
        transport.set_protocol(self)
        self.down.clear()
        self.up.set()

    def _connection_to_be(self) -> AbstractConnection:
        pool = self._client.connection_pool
        options = {
            **pool.connection_kwargs,
            "client_name": self._name,
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            "retry_on_error": [],
            "health_check_interval": 0,
            "socket_connect_timeout": CONNECT_TIMEOUT,
            "socket_timeout": CONNECT_TIMEOUT,
            "socket_keepalive": True,
            "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        }
        if "path" in options:
            del options["socket_keepalive"]
        connection: AbstractConnection = pool.connection_class(**options)
        return connection

    def _send(self, script: Script | None, arguments: tuple[Any, ...]) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if self._transport is None:
            future.set_exception(NotSent("not connected to Redis"))
            return future
        command = arguments if script is None else ("EVALSHA", script.sha, *arguments)
        self._unsent.append(hiredis.pack_command(command))
        self._pending.append((future, script, arguments))
        if len(self._unsent) >= self.at_once:
            self.flush()
        elif not self._flush_planned:
            self._flush_planned = True
            loop.call_soon(self._end_turn)
        return future

    def _end_turn(self) -> None:
        self._flush_planned = False
        self.flush()

    def flush(self) -> None:
        """Sends what has been said, before the turn ends."""
        if self._transport is None or not self._unsent:
            return
        loop = asyncio.get_running_loop()
        if len(self._pending) == len(self._unsent):  # no reply was outstanding so far
            self._heard = loop.time()
        if self._watchdog is None:
            self._watchdog = loop.call_later(self._patience, self._watch)
        self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def data_received(self, data: bytes) -> None:
        """Hands replies to those who asked, in order."""
        self._heard = asyncio.get_running_loop().time()
        reader = self._reader
        reader.feed(data)
        pending = self._pending
        try:
            while pending:
                reply = reader.gets()
                if reply is False:
                    return
                future, script, arguments = pending.popleft()
                if isinstance(reply, ResponseError):
                    self._refused(future, script, arguments, reply)
                elif not future.done():
                    future.set_result(reply)
        except hiredis.ProtocolError as error:
            self.give_up(f"the server's reply makes no sense: {error}")

    def _refused(
        self, future: asyncio.Future[Any], script: Script | None, arguments: tuple[Any, ...], error: ResponseError
    ) -> None:
        if script is not None and str(error).startswith("NOSCRIPT"):
            self._unsent.append(hiredis.pack_command(("EVAL", script.source, *arguments)))
            self._pending.append((future, None, arguments))
            self.flush()
        elif not future.done():
            future.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self._lose(str(exc) if exc else "the server closed the connection")

    def _lose(self, reason: str) -> None:
        if self._transport is None:
            return
        self._transport = None
        if self._connection is not None:
            _drop(self._connection)
            self._connection = None
        self._unsent.clear()
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        self.up.clear()
        self.down.set()
        lost, self._pending = self._pending, deque()
        for future, _, _ in lost:
            if not future.done():
                future.set_exception(ConnectionLost(f"the connection to Redis broke: {reason}"))

    def _watch(self) -> None:
        self._watchdog = None
        if not self._pending:
            return
        loop = asyncio.get_running_loop()
        left = self._heard + self._patience - loop.time()
        if left > 0:
            self._watchdog = loop.call_later(left, self._watch)
        else:
            self.give_up("the server has gone silent")

    @property
    def _patience(self) -> float:
        return PATIENCE + self._longest


def seen(future: asyncio.Future[Any]) -> None:
    """For a failure that nobody may be left to wait for."""
    if not future.cancelled():
        future.exception()


def _reader() -> hiredis.Reader:
    return hiredis.Reader(replyError=ResponseError, encoding="utf-8", errors="replace")


def _drop(connection: AbstractConnection) -> None:
    cast(Any, connection)._close()  # without waiting, and without the warning of one that is forgotten open
