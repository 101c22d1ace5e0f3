"""The connections to a mail server: a few, each for one mail at a time and used again for the next one."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiosmtplib

from tidings.providers.smtp.mails import is_wide

WARM = 15.0
"""Seconds for which an idle connection is used again. Servers and firewalls drop older ones, often silently."""

REST = 60.0
"""Seconds for which the place of a connection stays empty that the server did not want beside the others."""

_START_INPUT = 354


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where the mail server is, how it is spoken to, and the login if it wants one.

    `opening` are the seconds that a new connection may take.
    """

    host: str
    port: int
    security: str
    login: tuple[str, str] | None = field(repr=False)
    opening: float

    def client(self) -> aiosmtplib.SMTP:
        """A client of it that is not connected."""
        return aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            use_tls=self.security == "tls",
            start_tls=self.security == "starttls",
            tls_context=None if self.security == "none" else ssl.create_default_context(),
            timeout=None,  # the deadline of the mail covers every step
        )


class NoneFree(Exception):
    """Every connection was in use for as long as a mail could wait. Nothing was handed over."""


class NotOpened(Exception):
    """A connection did not come about, for this reason. Nothing was handed over."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class MailConnection:
    """One connection, open or not. `handed_over` says whether the whole text of the latest mail was."""

    def __init__(self, server: MailServer) -> None:
        self.handed_over = False
        self._server = server
        self._client = server.client()
        self._last_used = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it stands, as far as is known."""
        return self._client.is_connected

    @property
    def is_warm(self) -> bool:
        """Whether it stands and was used lately."""
        return self.is_open and time.monotonic() - self._last_used < WARM

    async def deliver(self, sender: str, recipient: str, text: bytes) -> None:
        """Hands one mail over, its text as it travels. Raises what aiosmtplib raises, and then is closed."""
        self.handed_over = False
        try:
            await self._open_envelope(sender, recipient)
            await self._hand_over(text)
        except BaseException:
            self._client.close()
            raise
        self._last_used = time.monotonic()

    async def quit(self) -> None:
        """Says goodbye to the server, if it is still there, and closes."""
        with contextlib.suppress(OSError, aiosmtplib.SMTPException):
            await self._client.quit()
        self.close()

    def close(self) -> None:
        """Closes without a word."""
        self._client.close()

    async def _open_envelope(self, sender: str, recipient: str) -> None:
        """Names sender and recipient: on the open connection or, if the server has left it, on a new one.

        The server has no mail before this is done, so starting again repeats nothing.
        """
        if self.is_warm:
            try:
                await self._name_both(sender, recipient)
                return
            except aiosmtplib.SMTPException as error:
                if not _has_left(error):
                    raise
        self._client.close()
        try:
            async with asyncio.timeout(self._server.opening):
                await self._client.connect()
                if self._server.login:
                    await self._client.login(*self._server.login)
        except (OSError, aiosmtplib.SMTPException) as error:  # TimeoutError is an OSError
            raise NotOpened(error) from error
        try:
            await self._name_both(sender, recipient)
        except aiosmtplib.SMTPException as error:
            if not _has_left(error):
                raise
            raise NotOpened(error) from error

    async def _name_both(self, sender: str, recipient: str) -> None:
        wide = is_wide(sender, recipient)
        encoding = "utf-8" if wide else "ascii"
        await self._client.mail(sender, options=["SMTPUTF8"] if wide else [], encoding=encoding)
        await self._client.rcpt(recipient, encoding=encoding)

    async def _hand_over(self, text: bytes) -> None:
        """DATA in two steps, since only the second one leaves a mail with the server."""
        ready = await self._client.execute_command(b"DATA")
        if ready.code != _START_INPUT:
            raise aiosmtplib.SMTPDataError(ready.code, ready.message)
        protocol = self._client.protocol
        if protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        protocol.write(text)
        self.handed_over = True
        answer = await protocol.read_response()
        if answer.code // 100 in (4, 5):  # a refusal, whatever it says
            self.handed_over = False
        if answer.code != aiosmtplib.SMTPStatus.completed:
            raise aiosmtplib.SMTPDataError(answer.code, answer.message)


def _has_left(error: aiosmtplib.SMTPException) -> bool:
    """Whether the server has ended the connection, or is about to (421)."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return error.code == aiosmtplib.SMTPStatus.domain_unavailable
    return isinstance(error, aiosmtplib.SMTPServerDisconnected)


class MailConnections:
    """At most `limit` connections to a server. Whoever wants one waits for a place, first come, first served.

    A server that does not want a further connection beside those that stand gets no more for a while, and the mail
    waits for one of the others.
    """

    def __init__(self, server: MailServer, limit: int) -> None:
        self._server = server
        self._limit = limit
        self._places = asyncio.Semaphore(limit)
        self._idle: list[MailConnection] = []  # the one used last is used next
        self._busy: set[MailConnection] = set()

    async def use(self, work: Callable[[MailConnection], Awaitable[None]], until: float | None) -> None:
        """Has `work` done with a connection, which nobody else has meanwhile.

        Raises NoneFree when there is none before `until` (the loop's time), NotOpened, and what `work` raises.
        """
        while True:
            try:
                async with asyncio.timeout_at(until):
                    await self._places.acquire()
            except TimeoutError as error:
                raise NoneFree from error
            rest = 0.0
            try:
                async with self._taken() as connection:
                    return await work(connection)
            except NotOpened as error:
                if not self._can_spare(error.reason):
                    raise
                rest = REST
            finally:
                if rest:
                    asyncio.get_running_loop().call_later(rest, self._places.release)
                else:
                    self._places.release()

    async def close(self) -> None:
        """Says goodbye to the server on every connection that is not in use."""
        idle, self._idle = self._idle, []
        await asyncio.gather(*(connection.quit() for connection in idle))

    def abort(self) -> None:
        """Closes every connection."""
        for connection in (*self._idle, *self._busy):
            connection.close()
        self._idle.clear()

    @asynccontextmanager
    async def _taken(self) -> AsyncIterator[MailConnection]:
        while self._idle and not self._idle[0].is_warm:
            self._idle.pop(0).close()
        connection = self._idle.pop() if self._idle else MailConnection(self._server)
        self._busy.add(connection)
        try:
            yield connection
        finally:
            self._busy.discard(connection)
            if connection.is_open:
                self._idle.append(connection)

    def _can_spare(self, reason: Exception) -> bool:
        """Whether a connection that did not come about may be done without: others stand, and the reason may pass."""
        lasts = isinstance(reason, aiosmtplib.SMTPResponseException) and not 400 <= reason.code < 500
        if lasts or isinstance(reason, aiosmtplib.SMTPNotSupported):
            return False
        return any(connection.is_open for connection in (*self._idle, *self._busy))
