"""How long PostgreSQL has for what it is asked, and what becomes of connections on which it said nothing.

A server that works ends by itself what takes too long, and the connection lives on. One that does not even do that
is silent, and all that was connected when it fell silent may be dead: those connections are closed without a
farewell, and new ones are made.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

import asyncpg
from asyncpg import InterfaceError, PostgresError
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DisconnectionError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from tidings.db.addresses import PostgresAddress
from tidings.db.failures import ends_connection
from tidings.log import get_logger

PATIENCE = 6
"""How many times as long as messages on their way out everything else may take: requests, imports, exports."""

ANSWER = 1.0
"""Seconds beyond the server's own limit after which it counts as silent."""

_ALIVE = 30
"""Seconds of silence on an idle connection until TCP asks whether the other end is still there."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the commands of one engine may take, in seconds. `command` None: as long as they like."""

    command: float | None

    @property
    def silence(self) -> float | None:
        """How long the driver waits for an answer."""
        return None if self.command is None else self.command + ANSWER

    def statement(self) -> str:
        """What the server is told when a connection is new: a lock is waited for half as long as a command may take,
        a transaction is idle for twice as long, at most."""
        values = {"tcp_keepalives_idle": _ALIVE, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 3}
        return ";".join(f"SET {name} = {value}" for name, value in {**values, **self.settings()}.items())

    def settings(self) -> dict[str, int]:
        """The server's settings, in ms."""
        if self.command is None:
            return {}
        milliseconds = round(self.command * 1000)
        return {
            "statement_timeout": milliseconds,
            "lock_timeout": max(milliseconds // 2, 1),
            "idle_in_transaction_session_timeout": milliseconds * 2,
        }


def connecting(limits: Limits, address: PostgresAddress) -> dict[str, Any]:
    """The arguments for SQLAlchemy with which connections to the address keep the limits.

    Whatever keeps one from being made is an error of the database, with a SQLSTATE: not an OSError.
    Behind a pooler nothing is set here: it would be for whoever has the server's connection next (see `limit_each`).
    """
    settings, seconds = None if address.is_pooled else limits.statement(), address.connect_seconds

    async def connect(**options: Any) -> Any:
        try:
            async with asyncio.timeout(seconds):
                driver = await asyncpg.connect(**address.arguments, command_timeout=limits.silence, **options)
                try:
                    _keep_alive(driver, limits)
                    if settings:
                        await driver.execute(settings)  # as start-up parameters PgBouncer would refuse them
                except BaseException:
                    driver.terminate()
                    raise
                return driver
        except (OSError, asyncpg.InterfaceError) as error:
            reason = f"no answer within {seconds:g} s" if isinstance(error, TimeoutError) else str(error)
            reason = reason or "it closed the connection"
            raise asyncpg.ConnectionFailureError(f"the database cannot be reached: {reason}") from error

    # Statements of SQLAlchemy's own have no name behind a pooler: the next one takes the place of the one before.
    unnamed = {"prepared_statement_cache_size": 0, "prepared_statement_name_func": str} if address.is_pooled else {}
    return {"async_creator_fn": connect, **unnamed}


def limit_each(engine: AsyncEngine, limits: Limits, address: PostgresAddress) -> None:
    """Has every transaction of the engine begin with its limits, and with what the address asks for: a pooler gives
    each another connection of the server, with nothing of what was set on the one before."""
    values = {**address.asked, **limits.settings()}
    if not values:
        return
    statement = text("SELECT " + ", ".join(f"set_config('{name}', :v{n}, true)" for n, name in enumerate(values)))
    bound = {f"v{n}": str(value) for n, value in enumerate(values.values())}

    def begun(connection: Connection) -> None:
        connection.execute(statement, bound)

    event.listen(engine.sync_engine, "begin", begun)


class Circuit:
    """The connections of one process to one PostgreSQL. Those of before a silence are not used again."""

    def __init__(self) -> None:
        self._open: WeakSet[Any] = WeakSet()
        self._broken_at = float("-inf")

    def watch(self, engine: AsyncEngine, *, asks: float | None = None) -> None:
        """Replaces an engine's connections when they are dead. With `asks` each is asked before it is used whether it
        still lives, and has so many seconds to answer; without, only what is known already counts."""

        def connected(connection: Any, record: Any) -> None:
            record.info.update(circuit=self, since=time.monotonic(), is_new=True)
            self._open.add(connection.driver_connection)

        def taken(connection: Any, record: Any, _proxy: Any) -> None:
            driver, is_new = connection.driver_connection, record.info.pop("is_new", False)
            if record.info["since"] <= self._broken_at:
                driver.terminate()
            elif asks is not None and not is_new and not driver.is_closed():
                connection.run_async(lambda driver: self._ask(driver, asks))
            if driver.is_closed():
                raise DisconnectionError("the connection is dead")

        event.listen(engine.sync_engine.pool, "connect", connected)
        event.listen(engine.sync_engine.pool, "checkout", taken)
        if not event.contains(engine.dialect, "handle_error", _close_lost):  # engines may share a dialect
            event.listen(engine.dialect, "handle_error", _close_lost)

    async def _ask(self, driver: Any, seconds: float) -> None:
        try:
            await driver.execute("SELECT 1", timeout=seconds)
        except TimeoutError:
            self.break_at(driver)
        except (PostgresError, InterfaceError, OSError):
            driver.terminate()

    def break_at(self, driver: Any) -> None:
        """The server was silent on this connection: it is closed at once, and all others before they are used."""
        driver.terminate()
        if time.monotonic() - self._broken_at > ANSWER:
            log.warning("the database does not answer; its connections are replaced", connections=len(self._open))
        self._broken_at = time.monotonic()

    def end(self) -> None:
        """Closes whatever is still open, without a farewell."""
        for driver in [*self._open]:
            driver.terminate()


def note_loss(connection: Connection | None, error: BaseException) -> bool:
    """Whether an error has ended the connection that it came from. If so it is closed now, for good."""
    if connection is None or connection.invalidated or not ends_connection(error):
        return False
    driver: Any = connection.connection.driver_connection
    circuit: Circuit | None = connection.info.get("circuit")
    if isinstance(error, TimeoutError) and circuit is not None:
        circuit.break_at(driver)
    else:
        driver.terminate()
    return True


def _close_lost(context: ExceptionContext) -> Exception | None:
    """SQLAlchemy closes what is lost, and rolls nothing back on it."""
    error, connection = context.original_exception, context.connection
    if not note_loss(connection, error):
        return None
    context.is_disconnect = True
    if not isinstance(error, TimeoutError):
        return None
    return OperationalError(context.statement, None, error, connection_invalidated=True)


def _keep_alive(driver: Any, limits: Limits) -> None:
    end: socket.socket | None = driver._transport.get_extra_info("socket")
    if end is None or end.family not in (socket.AF_INET, socket.AF_INET6):
        return
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options: Mapping[str, int] = {"TCP_KEEPIDLE": _ALIVE, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
    if limits.silence is not None:
        options = {**options, "TCP_USER_TIMEOUT": round(limits.silence * 1000)}
    for name, value in options.items():  # each where the system has it
        if number := getattr(socket, name, None):
            with suppress(OSError):
                end.setsockopt(socket.IPPROTO_TCP, number, value)
