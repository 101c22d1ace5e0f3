"""Mails reach a real SMTP server once, safely encoded, and its answers decide what happens next."""

import asyncio
import contextlib
import email
import email.policy
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP as Server
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.errors import ConfigurationError, SendError
from tidings.providers.base import Outgoing
from tidings.providers.smtp import connections, mails
from tidings.providers.smtp.send import Smtp

HELLO = Outgoing(
    to="ann@example.org",
    text="Hello Ann,\nsee you at 9.",
    idempotency_key="event-message-1-17",
    subject="Soon: keynote",
)

OK = "250 OK"


async def nothing(server: Server) -> None:
    """What a well-behaved server does before it answers."""


def wire(server: Server) -> asyncio.Transport:
    transport: asyncio.Transport | None = server.transport
    assert transport is not None
    return transport


async def hang_up(server: Server) -> None:
    wire(server).abort()


async def never(server: Server) -> None:
    await asyncio.Event().wait()


@dataclass
class MailServer:
    """An SMTP server that answers each command as told, keeps what it took, and counts connections."""

    answers: dict[str, str] = field(default_factory=dict)
    before: dict[str, Callable[[Server], Any]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    mails: list[Envelope] = field(default_factory=list)
    sessions: list[Server] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    port: int = 0

    def connected(self) -> Server:
        server = Server(self, hostname="mx.test", loop=asyncio.get_running_loop(), **self.options)
        self.sessions.append(server)
        return server

    async def _answer(self, command: str, server: Server) -> str:
        self.commands.append(command)
        await self.before.get(command, nothing)(server)
        return self.answers.get(command, OK)

    async def handle_MAIL(
        self, server: Server, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = await self._answer("MAIL", server)
        envelope.mail_from, envelope.mail_options = address, options
        return answer

    async def handle_RCPT(
        self, server: Server, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return await self._answer("RCPT", server)

    async def handle_DATA(self, server: Server, session: Session, envelope: Envelope) -> str:
        answer = await self._answer("DATA", server)
        if answer == OK:
            self.mails.append(envelope)
        return answer

    async def handle_QUIT(self, server: Server, session: Session, envelope: Envelope) -> str:
        await self._answer("QUIT", server)
        return "221 Bye"

    def raw(self) -> bytes:
        [envelope] = self.mails
        assert isinstance(envelope.content, bytes)
        return envelope.content

    def mail(self) -> EmailMessage:
        mail = email.message_from_bytes(self.raw(), policy=email.policy.SMTP)
        assert isinstance(mail, EmailMessage)
        return mail


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    server = MailServer()
    listener = await asyncio.get_running_loop().create_server(server.connected, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    yield server
    listener.close()
    for session in server.sessions:
        if session.transport is not None:
            wire(session).abort()
        if session._handler_coroutine is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(session._handler_coroutine, 5)
    await listener.wait_closed()


Mailer = Callable[..., Smtp]


@pytest.fixture
async def mailer(server: MailServer) -> AsyncIterator[Mailer]:
    opened: list[Smtp] = []

    def make(
        *,
        host: str = "127.0.0.1",
        security: str = "none",
        login: tuple[str | None, str | None] = (None, None),
        sender: str = "Tidings <tidings@example.net>",
        timeout: float = 10.0,
        connections: int = 4,
    ) -> Smtp:
        username, password = login
        opened.append(Smtp(host, server.port, security, username, password, sender, timeout, connections))
        return opened[-1]

    yield make
    for smtp in opened:
        await smtp.close()


async def test_a_mail_has_the_headers_a_program_should_set(server: MailServer, mailer: Mailer) -> None:
    receipt = await mailer().send(HELLO)

    [envelope], mail = server.mails, server.mail()
    assert (envelope.mail_from, envelope.rcpt_tos) == ("tidings@example.net", ["ann@example.org"])
    assert mail["From"] == "Tidings <tidings@example.net>"
    assert mail["To"] == "ann@example.org"
    assert mail["Subject"] == "Soon: keynote"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"] == "<event-message-1-17@example.net>"
    assert abs(mail["Date"].datetime - datetime.now(UTC)) < timedelta(seconds=10)
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content_charset() == "utf-8"
    assert mail.get_content().splitlines() == ["Hello Ann,", "see you at 9."]
    assert (receipt.provider, receipt.provider_message_id) == ("smtp", "<event-message-1-17@example.net>")


@pytest.mark.parametrize(
    "text",
    [
        "Grüße 👋",
        "x" * 5000,
        ".\n..\n.leading dots",
        "one\r\ntwo\rthree\nfour",
        "",
        "From here",
        "trailing \n",
        "é" * 2000,
    ],
)
async def test_any_text_arrives_unchanged_in_7_bits(server: MailServer, mailer: Mailer, text: str) -> None:
    await mailer().send(replace(HELLO, text=text))

    assert server.raw().isascii()
    assert server.mail().get_content().splitlines() == (text or "\n").splitlines()


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("Grüße 👋 " + "lang " * 40, "Grüße 👋 " + "lang " * 39 + "lang"),
        ("Hi\r\nBcc: eve@example.org", "Hi Bcc: eve@example.org"),
        ("Hi\n\n\x00\x0b\x85\u2028there\n", "Hi there"),
        ("=?utf-8?q?Hi=0ABcc:_eve?=", "= ?utf-8?q?Hi=0ABcc:_eve?="),
        ("half \ud83d of a smiley", "half of a smiley"),
        (None, "Hello Ann, see you at 9."),
    ],
)
async def test_a_subject_is_one_line_and_nothing_but_a_subject(
    server: MailServer, mailer: Mailer, subject: str | None, shown: str
) -> None:
    await mailer().send(replace(HELLO, subject=subject))

    assert server.mail()["Subject"] == shown
    assert server.mail()["Bcc"] is None


HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"]
HEADERS += ["Content-Type", "Content-Transfer-Encoding", "MIME-Version"]
PIECES = [
    "=?utf-8?q?=0ABcc:_x?=",
    "=?utf-8?b?CkJjYzogeA==?=",
    "=?",
    "?=",
    "\r\n",
    "\nBcc: x",
    "=0A",
    "é",
    "\u2028",
    "\x00",
]
HOSTILE = st.text(st.characters(exclude_categories=[])) | st.lists(st.sampled_from([*PIECES, *'<>"(),;@\\ a'])).map(
    "".join
)


@settings(deadline=None)
@given(subject=HOSTILE, to=HOSTILE, key=st.text())
def test_no_subject_recipient_or_key_adds_a_header(subject: str, to: str, key: str) -> None:
    sender = mails.address("Tidings", "tidings@example.net")
    for spec in (to, f"{to}@example.org", f"ann@{to}", "ann@example.org"):
        with contextlib.suppress(ValueError):
            recipient = mails.address("", spec)
            message = Outgoing(to=spec, text="x", subject=subject, idempotency_key=key)
            head = mails.compose(message, sender, recipient).as_bytes().partition(b"\r\n\r\n")[0]
            names = [line.partition(b":")[0].decode() for line in head.split(b"\r\n") if line[:1] not in b" \t"]
            assert names == HEADERS


@pytest.mark.parametrize(
    "to",
    [
        "",
        "ann",
        "@example.org",
        "ann@",
        "ann@example.org\r\nBcc: eve@example.org",
        "ann@example.org\n",
        "ann@example.org, eve@example.org",
        "Ann <ann@example.org>",
        "ann @example.org",
        "ann@example.org> SIZE=1",
        '"ann\r\n"@example.org',
        "ann..lee@example.org",
        "=?utf-8?q?=0ABcc:_x?=@example.org",
        "änn@example.org\u2028",
        "+18105550123",
    ],
)
async def test_what_is_not_one_address_is_final_and_never_sent(server: MailServer, mailer: Mailer, to: str) -> None:
    with pytest.raises(SendError, match=r"^the recipient is not a mail address$") as caught:
        await mailer().send(replace(HELLO, to=to))

    assert not caught.value.retryable
    assert server.sessions == []


async def test_a_text_that_is_not_unicode_is_final(server: MailServer, mailer: Mailer) -> None:
    with pytest.raises(SendError, match="half a character") as caught:
        await mailer().send(replace(HELLO, text="half \ud83d of a smiley"))

    assert not caught.value.retryable
    assert server.sessions == []


async def test_a_domain_beyond_ascii_is_reached_by_its_ascii_name(server: MailServer, mailer: Mailer) -> None:
    await mailer(sender="Jürg <info@straße.example>").send(replace(HELLO, to="ann@müller.de"))

    assert server.mails[0].rcpt_tos == ["ann@xn--mller-kva.de"]
    assert server.mails[0].mail_from == "info@xn--strae-oqa.example"
    assert str(server.mail()["From"]) == "Jürg <info@xn--strae-oqa.example>"


async def test_a_mailbox_beyond_ascii_gets_its_mail_from_a_server_that_can(
    server: MailServer, mailer: Mailer
) -> None:
    server.options = {"enable_SMTPUTF8": True}

    await mailer().send(replace(HELLO, to="jürgen@example.org"))

    assert server.mails[0].rcpt_tos == ["jürgen@example.org"]
    assert server.mails[0].mail_options == ["SMTPUTF8"]


async def test_a_mailbox_beyond_ascii_is_refused_for_good_by_a_server_that_cannot(mailer: Mailer) -> None:
    with pytest.raises(SendError, match="answered 5") as caught:
        await mailer().send(replace(HELLO, to="jürgen@example.org"))

    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("sender", "shown"),
    [
        ("tidings@localhost", "tidings@localhost"),
        ("<tidings@localhost>", "tidings@localhost"),
        ("Acme, Inc.: Events <events@acme.example>", '"Acme, Inc.: Events" <events@acme.example>'),
        ('"Acme, Inc." <events@acme.example>', '"Acme, Inc." <events@acme.example>'),
        ("Ann @ Acme <events@acme.example>", '"Ann @ Acme" <events@acme.example>'),
    ],
)
async def test_a_sender_is_shown_as_it_was_set(server: MailServer, mailer: Mailer, sender: str, shown: str) -> None:
    await mailer(sender=sender).send(HELLO)

    assert server.mail()["From"] == shown


async def test_every_attempt_at_a_message_has_the_same_message_id(server: MailServer, mailer: Mailer) -> None:
    odd = replace(HELLO, idempotency_key="any key <at> all\r\n" * 20)
    smtp = mailer()

    ids = [(await smtp.send(message)).provider_message_id for message in (HELLO, HELLO, odd, odd)]

    assert ids[0] == ids[1] != ids[2] == ids[3]
    assert str(ids[2]).endswith("@example.net>")
    assert " " not in str(ids[2])


async def test_many_mails_share_a_few_connections(server: MailServer, mailer: Mailer) -> None:
    smtp = mailer(connections=3)

    await asyncio.gather(*(smtp.send(replace(HELLO, idempotency_key=f"m-{n}")) for n in range(20)))

    assert len(server.mails) == 20
    assert len(server.sessions) == 3


async def test_mails_one_after_the_other_share_one_connection(server: MailServer, mailer: Mailer) -> None:
    smtp = mailer()

    for n in range(5):
        await smtp.send(replace(HELLO, idempotency_key=f"m-{n}"))

    assert len(server.mails) == 5
    assert len(server.sessions) == 1


async def test_many_mails_leave_through_a_slow_server_at_the_pace_of_its_connections(
    server: MailServer, mailer: Mailer
) -> None:
    async def take_a_while(session: Server) -> None:
        await asyncio.sleep(0.15)

    smtp = mailer(timeout=1.0)
    server.before = {"DATA": take_a_while}

    await asyncio.gather(*(smtp.send(replace(HELLO, idempotency_key=f"m-{n}")) for n in range(30)))

    assert len(server.mails) == 30  # the last one waited for 1.05 s


async def test_a_mail_that_gets_no_connection_in_time_was_not_tried(server: MailServer, mailer: Mailer) -> None:
    smtp = mailer(connections=1)
    server.before = {"DATA": never}
    first = asyncio.create_task(smtp.send(HELLO))
    while "DATA" not in server.commands:
        await asyncio.sleep(0.005)

    with pytest.raises(SendError, match=r"^every connection to the mail server .* was in use$") as caught:
        await smtp.send(replace(HELLO, patience=0.05))

    assert caught.value.retry_after == 0.0  # it costs no attempt
    assert not caught.value.unknown
    first.cancel()
    await asyncio.wait([first])


TOO_MANY = "421 4.7.0 Too many connections"


def limited_to(server: MailServer, connections: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server greets a connection beyond that many by refusing it."""
    greet = Server.connection_made

    def connection_made(self: Server, transport: asyncio.BaseTransport) -> None:
        greet(self, transport)
        standing = [one for one in server.sessions if one.transport and not wire(one).is_closing()]
        if len(standing) > connections:
            wire(self).write(f"{TOO_MANY}\r\n".encode())
            wire(self).close()

    monkeypatch.setattr(Server, "connection_made", connection_made)


async def test_a_server_that_limits_connections_gets_fewer_and_no_mail_fails(
    server: MailServer, mailer: Mailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited_to(server, 2, monkeypatch)
    smtp = mailer()
    await smtp.send(HELLO)

    await asyncio.gather(*(smtp.send(replace(HELLO, idempotency_key=f"m-{n}")) for n in range(20)))

    assert len(server.mails) == 21
    assert len(server.sessions) == 4  # each of the two places was tried once, and rests now


@pytest.mark.parametrize("how", ["by hanging up", "with 421"])
async def test_a_server_that_notices_its_limit_late_gets_fewer_connections_too(
    server: MailServer, mailer: Mailer, how: str
) -> None:
    async def refuse_others(session: Server) -> None:
        if session not in server.sessions[:2]:
            if how == "with 421":
                wire(session).write(f"{TOO_MANY}\r\n".encode())
            wire(session).close()

    server.before = {"MAIL": refuse_others}
    smtp = mailer()
    await smtp.send(HELLO)

    await asyncio.gather(*(smtp.send(replace(HELLO, idempotency_key=f"m-{n}")) for n in range(20)))

    assert len(server.mails) == 21
    assert len(server.sessions) == 4


async def test_a_limit_that_others_have_used_up_slows_mails_down_and_costs_no_attempt(
    server: MailServer, mailer: Mailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited_to(server, 0, monkeypatch)

    with pytest.raises(SendError, match="Too many connections") as caught:
        await mailer().send(HELLO)

    assert caught.value.throttled
    assert not caught.value.unknown


async def test_a_place_that_rested_is_tried_again(
    server: MailServer, mailer: Mailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "REST", 0.05)
    with monkeypatch.context() as patched:
        limited_to(server, 1, patched)
        smtp = mailer(connections=2)
        await smtp.send(HELLO)
        await asyncio.gather(smtp.send(HELLO), smtp.send(HELLO))
        assert len(server.sessions) == 2
    server.before = {"DATA": never}
    under_way = [asyncio.create_task(smtp.send(HELLO)) for _ in range(2)]

    while server.commands.count("DATA") < 5:
        await asyncio.sleep(0.005)

    for one in under_way:
        one.cancel()
    await asyncio.wait(under_way)
    assert len(server.mails) == 3


async def test_a_connection_that_the_server_closed_is_replaced(server: MailServer, mailer: Mailer) -> None:
    smtp = mailer()
    await smtp.send(HELLO)
    wire(server.sessions[0]).abort()

    await smtp.send(HELLO)

    assert len(server.mails) == 2
    assert len(server.sessions) == 2


async def test_a_connection_idle_for_long_is_replaced(
    server: MailServer, mailer: Mailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    smtp = mailer()
    await smtp.send(HELLO)
    monkeypatch.setattr(connections, "WARM", 0.0)

    await smtp.send(HELLO)

    assert len(server.mails) == 2
    assert len(server.sessions) == 2


@pytest.mark.parametrize("command", ["MAIL", "RCPT"])
@pytest.mark.parametrize("how", ["by hanging up", "with 421"])
async def test_a_server_that_ends_a_used_connection_before_the_text_gets_the_mail_on_a_new_one(
    server: MailServer, mailer: Mailer, command: str, how: str
) -> None:
    smtp = mailer()
    await smtp.send(HELLO)

    async def leave(session: Server) -> None:
        if session is server.sessions[0]:
            if how == "by hanging up":
                await hang_up(session)
            else:
                wire(session).write(b"421 4.3.2 closing\r\n")

    server.before = {command: leave}
    await smtp.send(HELLO)

    assert len(server.mails) == 2
    assert len(server.sessions) == 2


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    ("answer", "retryable"),
    [
        ("421 4.3.2 Closing", True),
        ("450 4.2.0 Greylisted", True),
        ("451 4.3.0 Try later", True),
        ("452 4.2.2 Mailbox full", True),
        ("550 5.1.1 No such user", False),
        ("552 5.2.3 Too large", False),
        ("554 5.7.1 Spam", False),
    ],
)
async def test_the_servers_answer_decides_whether_to_try_again(
    server: MailServer, mailer: Mailer, command: str, answer: str, retryable: bool
) -> None:
    smtp = mailer()
    server.answers = {command: answer}

    with pytest.raises(SendError) as caught:
        await smtp.send(HELLO)

    assert str(caught.value) == f"the mail server 127.0.0.1:{server.port} answered {answer}"
    assert caught.value.retryable is retryable
    assert caught.value.away is answer.startswith("421"), "otherwise it is about this mail"
    assert caught.value.retry_after is None
    assert not caught.value.unknown
    assert server.mails == []

    server.answers = {}
    await smtp.send(HELLO)
    assert len(server.mails) == 1


@pytest.mark.parametrize(
    ("command", "answer", "setting"),
    [
        ("MAIL", "530 5.7.0 Authentication required", "SMTP_USER"),
        ("MAIL", "530 5.7.0 Must issue a STARTTLS command first", "SMTP_SECURITY"),
        ("RCPT", "530 5.7.57 Client not authenticated to send mail", "SMTP_USER"),
        ("MAIL", "538 5.7.11 Encryption required", "SMTP_SECURITY"),
        ("MAIL", "553 5.7.1 Sender address rejected: not owned by user", "SMTP_FROM"),
        ("MAIL", "550 5.1.8 Sender address rejected: Domain not found", "SMTP_FROM"),
    ],
)
async def test_a_server_that_takes_no_mail_of_ours_is_away_and_says_for_which_setting(
    server: MailServer, mailer: Mailer, command: str, answer: str, setting: str
) -> None:
    server.answers = {command: answer}
    with pytest.raises(SendError) as caught:
        await mailer().send(HELLO)
    error = caught.value
    assert (error.away, error.retryable, error.unknown, error.retry_after) == (True, True, False, 60.0)
    assert setting in str(error)


@pytest.mark.parametrize("how", [hang_up, never])
@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
async def test_only_after_the_whole_text_nobody_knows_whether_a_server_took_the_mail(
    server: MailServer, mailer: Mailer, how: Callable[[Server], Any], command: str
) -> None:
    smtp = mailer(timeout=0.2)
    server.before = {command: how}

    with pytest.raises(SendError) as caught:
        await smtp.send(HELLO)

    assert caught.value.retryable
    assert caught.value.unknown is (command == "DATA")
    assert server.commands.count("DATA") == (command == "DATA")


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
async def test_no_mail_takes_longer_than_the_deadline(server: MailServer, mailer: Mailer, command: str) -> None:
    smtp = mailer(timeout=0.2)
    server.before = {command: never}
    started = time.monotonic()

    with pytest.raises(SendError, match=r"was late; a mail has 0.2 s in all$") as caught:
        await smtp.send(HELLO)

    assert 0.19 < time.monotonic() - started < 2
    assert caught.value.retryable

    server.before = {}
    await smtp.send(HELLO)
    assert len(server.mails) == 1


@pytest.mark.parametrize(
    "greeting",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"421 4.3.2 Shutting down\r\n",
        b"450 4.3.0 Not now\r\n",
        b"554 5.3.2 No service here\r\n",
    ],
    ids=["silence", "not SMTP", "shutting down", "not now", "no service"],
)
async def test_a_server_that_does_not_speak_smtp_is_away(greeting: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    smtp = Smtp("127.0.0.1", port, "none", None, None, "tidings@example.net", timeout=0.2)

    with pytest.raises(SendError) as caught:
        await smtp.send(HELLO)

    assert caught.value.away
    assert f"127.0.0.1:{port}" in str(caught.value)
    listener.close()
    await listener.wait_closed()


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
async def test_an_unreachable_server_is_away(security: str) -> None:
    smtp = Smtp("127.0.0.1", 1, security, None, None, "tidings@example.net")

    with pytest.raises(SendError, match=r"^the connection to the mail server 127.0.0.1:1 failed: ") as caught:
        await smtp.send(HELLO)

    assert (caught.value.away, caught.value.unknown, caught.value.retry_after) == (True, False, None)


async def test_a_server_without_starttls_gets_no_mail(server: MailServer, mailer: Mailer) -> None:
    with pytest.raises(SendError, match="SMTP_SECURITY") as caught:
        await mailer(security="starttls").send(HELLO)

    assert (caught.value.away, caught.value.retry_after) == (True, 60.0)
    assert server.commands == []


def accepts(password: bytes) -> Callable[..., AuthResult]:
    def check(
        server: Server, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword
    ) -> AuthResult:
        return AuthResult(success=data.login == b"ann" and data.password == password, handled=False)

    return check


async def test_a_login_is_made_once_a_connection(server: MailServer, mailer: Mailer) -> None:
    server.options = {"auth_require_tls": False, "authenticator": accepts(b"secret")}
    smtp = mailer(login=("ann", "secret"))

    await smtp.send(HELLO)
    await smtp.send(HELLO)

    assert len(server.mails) == 2
    assert len(server.sessions) == 1


async def test_a_wrong_password_has_all_mails_wait_and_names_the_settings(server: MailServer, mailer: Mailer) -> None:
    server.options = {"auth_require_tls": False, "authenticator": accepts(b"secret")}

    with pytest.raises(SendError, match="refused the login; check SMTP_USER and SMTP_PASSWORD: 535 ") as caught:
        await mailer(login=("ann", "guess")).send(HELLO)

    assert (caught.value.away, caught.value.retry_after) == (True, 60.0)
    assert "guess" not in str(caught.value)
    assert server.commands == []


async def test_a_server_that_takes_no_login_for_now_is_away(server: MailServer, mailer: Mailer) -> None:
    def away(*_: object) -> AuthResult:
        return AuthResult(success=False, handled=False, message="454 4.7.0 Try later")

    server.options = {"auth_require_tls": False, "authenticator": away}

    with pytest.raises(SendError, match="refused the login") as caught:
        await mailer(login=("ann", "secret")).send(HELLO)

    assert (caught.value.away, caught.value.retry_after) == (True, None)


async def test_a_server_that_offers_no_login_has_all_mails_wait_and_names_the_settings(mailer: Mailer) -> None:
    with pytest.raises(SendError, match="check SMTP_SECURITY, SMTP_USER and SMTP_PASSWORD") as caught:
        await mailer(login=("ann", "secret")).send(HELLO)

    assert (caught.value.away, caught.value.retry_after) == (True, 60.0)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost, with its key in the same file."""
    path = tmp_path_factory.mktemp("certificate") / "localhost.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    try:
        subprocess.run(
            [
                *command.split(),
                "-addext",
                "subjectAltName=DNS:localhost",
                "-keyout",
                path,
                "-out",
                path.with_suffix(".crt"),
            ],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no openssl to make a certificate with")
    with path.open("ab") as file:
        file.write(path.with_suffix(".crt").read_bytes())
    return path


@pytest.fixture
def encrypted(server: MailServer, certificate: Path) -> MailServer:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server.options = {"tls_context": context, "require_starttls": True, "authenticator": accepts(b"secret")}
    return server


async def test_starttls_encrypts_login_and_mail(
    encrypted: MailServer, mailer: Mailer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    smtp = mailer(host="localhost", security="starttls", login=("ann", "secret"))

    await smtp.send(HELLO)
    await smtp.send(HELLO)

    assert len(encrypted.mails) == 2
    assert len(encrypted.sessions) == 1
    assert wire(encrypted.sessions[0]).get_extra_info("cipher")


async def test_a_certificate_nobody_vouches_for_gets_no_mail(encrypted: MailServer, mailer: Mailer) -> None:
    with pytest.raises(SendError, match=r"(?i)certificate") as caught:
        await mailer(host="localhost", security="starttls").send(HELLO)

    assert caught.value.away
    assert encrypted.commands == []


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"security": "ssl"}, "SMTP_SECURITY is 'ssl'; set it to starttls, tls or none"),
        ({"username": "ann"}, "set both SMTP_USER and SMTP_PASSWORD, or neither"),
        ({"password": "secret"}, "set both SMTP_USER and SMTP_PASSWORD, or neither"),
        ({"sender": "Tidings"}, "SMTP_FROM is 'Tidings'; set it to a mail address"),
        ({"sender": ""}, "SMTP_FROM is ''; set it to a mail address"),
        ({"sender": "Ann\r\nBcc: eve <a@b.example>"}, "set it to a mail address"),
        ({"sender": "a@b.example, c@d.example"}, "set it to a mail address"),
        ({"sender": "=?utf-8?q?=0ABcc:_x?= <a@b.example>"}, "set it to a mail address"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_the_start(setting: dict[str, str], sentence: str) -> None:
    usual: dict[str, Any] = {
        "host": "mx.example.org",
        "port": 587,
        "security": "starttls",
        "username": None,
        "password": None,
        "sender": "tidings@localhost",
    }
    with pytest.raises(ConfigurationError) as caught:
        Smtp(**{**usual, **setting})

    assert sentence in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_closing_says_goodbye_and_the_next_mail_opens_a_new_connection(
    server: MailServer, mailer: Mailer
) -> None:
    smtp = mailer()
    await smtp.close()
    await smtp.send(HELLO)
    await smtp.close()
    assert server.commands[-1] == "QUIT"

    await smtp.send(HELLO)
    assert len(server.sessions) == 2


@pytest.mark.parametrize("how", [hang_up, never])
async def test_closing_does_not_wait_for_a_server_that_is_gone(
    server: MailServer, mailer: Mailer, how: Callable[[Server], Any]
) -> None:
    smtp = mailer(timeout=0.2)
    await smtp.send(HELLO)
    server.before = {"QUIT": how}
    started = time.monotonic()

    await smtp.close()

    assert time.monotonic() - started < 2


LINK = f"https://messages.example.com/unsubscribe/v1.{'a' * 12}.{'B-_9' * 150}=="


async def test_a_promotional_mail_names_the_address_that_unsubscribes_on_one_line_as_programs_read_it(
    server: MailServer, mailer: Mailer
) -> None:
    await mailer().send(replace(HELLO, unsubscribe=LINK))
    head = server.raw().partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert f"List-Unsubscribe: <{LINK}>".encode() in head
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in head


async def test_any_other_mail_has_no_such_header(server: MailServer, mailer: Mailer) -> None:
    await mailer().send(HELLO)
    assert b"list-unsubscribe" not in server.raw().lower()
