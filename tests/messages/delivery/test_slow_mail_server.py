"""A mail server that is slow or hangs up gets every mail once, and no mail fails for having to wait its turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from messages.due_messages import EVENT_MESSAGE, OpenApp, message_to, person_of
from support.app import ledger
from tidings.app import App
from tidings.features.events.models import EventMessage
from tidings.messages.statuses import Status

MAIL = {"smtp_host": "127.0.0.1", "smtp_security": "none", "smtp_from": "tidings@example.net"}


class SlowMailServer:
    """Speaks as much SMTP as it takes. It needs `seconds` for the text of a mail; a `deaf` one never answers it."""

    def __init__(self, seconds: float, *, deaf: bool = False) -> None:
        self.seconds = seconds
        self.deaf = deaf
        self.taken: Counter[str] = Counter()
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(b"220 mx.test\r\n")
        try:
            while line := await reader.readline():
                match line[:4].upper():
                    case b"DATA":
                        writer.write(b"354 go on\r\n")
                        text = await reader.readuntil(b"\r\n.\r\n")
                        [mail_id] = [one for one in text.splitlines() if one.startswith(b"Message-ID")]
                        self.taken[mail_id.decode()] += 1
                        if self.deaf:
                            await reader.read()
                            return
                        await asyncio.sleep(self.seconds)
                        writer.write(b"250 taken\r\n")
                    case b"QUIT":
                        writer.write(b"221 bye\r\n")
                        return
                    case _:
                        writer.write(b"250 fine\r\n")
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def listening(server: SlowMailServer) -> AsyncIterator[int]:
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    yield listener.sockets[0].getsockname()[1]
    listener.close()


async def mails_to_one_person(app: App, many: int) -> list[EventMessage]:
    person = await person_of(app)
    return [await message_to(app, person, channel="email") for _ in range(many)]


async def ended(app: App, messages: list[EventMessage]) -> list[EventMessage]:
    while True:
        rows = [await app.events.get_message(message.id) for message in messages]
        if not {row.status for row in rows} & {Status.SCHEDULED, Status.SENDING}:
            return rows
        await asyncio.sleep(0.02)


async def send_all(open_app: OpenApp, server: SlowMailServer, many: int, **settings: Any) -> list[EventMessage]:
    """Mails that are all due at once, after they came to their end."""
    async with listening(server) as port:
        app = await open_app(smtp_port=port, **{**MAIL, **settings})
        messages = await mails_to_one_person(app, many)
        await app.start_workers(["event-messages"])
        rows = await ended(app, messages)
        await app.stop_workers()
    return rows


async def test_mails_that_wait_for_their_turn_cost_no_attempt_and_all_leave_once(open_app: OpenApp) -> None:
    server = SlowMailServer(0.3)
    rows = await send_all(open_app, server, 8, smtp_connections=1, http_timeout=1.0)
    assert {(row.status, row.attempts) for row in rows} == {(Status.SENT, 1)}
    assert len(server.taken) == server.taken.total() == 8
    assert server.connections == 1


async def test_a_pool_takes_as_many_mails_at_once_as_it_has_connections(open_app: OpenApp) -> None:
    server = SlowMailServer(0.3)
    rows = await send_all(open_app, server, 12, http_timeout=2.0)
    assert {(row.status, row.attempts) for row in rows} == {(Status.SENT, 1)}
    assert (len(server.taken), server.taken.total(), server.connections) == (12, 12, 4)


async def test_a_mail_that_a_server_never_answers_is_sent_once_and_held(open_app: OpenApp) -> None:
    server = SlowMailServer(0.0, deaf=True)
    async with listening(server) as port:
        app = await open_app(smtp_port=port, http_timeout=0.5, **MAIL)
        [message] = await mails_to_one_person(app, 1)
        await app.start_workers(["event-messages"])
        [row] = await ended(app, [message])
        assert (row.status, row.attempts, server.taken.total()) == (Status.UNKNOWN, 1, 1)
        assert [line.outcome for line in await ledger(app, EVENT_MESSAGE, message.id)] == ["unknown"]
        await app.stop_workers()
