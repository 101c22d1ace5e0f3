"""Mail over SMTP."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping
from typing import Annotated

import aiosmtplib
from pydantic import Field, SecretStr

from tidings.errors import ConfigurationError, SendError
from tidings.providers.base import Outgoing, Provider, ProviderParts, Receipt
from tidings.providers.smtp.connections import MailConnection, MailConnections, MailServer, NoneFree, NotOpened
from tidings.providers.smtp.mails import address, compose, on_the_wire, one_line
from tidings.settings import Optional, Port, SettingsGroup, secret

_TOO_MANY = re.compile(r"\b4\.7\.\d|too many|limit", re.IGNORECASE)
"""How servers say that they get too many connections or logins, beside 421, 450, 452 or 454 (RFC 3463, X.7.Y)."""


_BAD_SENDER = re.compile(r"5\.1\.[78]\b")
"""What servers call a sender's address that they do not take (RFC 3463, X.1.7 and X.1.8)."""

_NOT_LET_IN = frozenset({530, 538})
"""Codes of servers that want a login or encryption first, whichever command they answer (RFC 4954, section 6)."""

MISCONFIGURED = 60.0
"""Seconds until a mail tries again whether the server takes the login or the encryption now."""

OPENING = 5.0
"""Seconds for a new connection, encryption and login included; at most half of what a mail has."""


class SmtpSettings(SettingsGroup):
    """The mail server."""

    smtp_host: Annotated[str | None, Optional] = Field(
        None,
        validation_alias="SMTP_HOST",
        description="Mail server for channel email. Unset: the simulator keeps mails.",
    )
    smtp_port: Port = Field(587, validation_alias="SMTP_PORT", description="Its port.")
    smtp_user: Annotated[str | None, Optional] = Field(
        None, validation_alias="SMTP_USER", description="Login name, if it wants one."
    )
    smtp_password: SecretStr | None = Field(None, validation_alias="SMTP_PASSWORD", description="Its password.")
    smtp_security: str = Field(
        "starttls",
        pattern="^(starttls|tls|none)$",
        validation_alias="SMTP_SECURITY",
        description="starttls, tls (from the first byte) or none.",
    )
    smtp_from: str = Field(
        "Tidings <tidings@localhost>",
        validation_alias="SMTP_FROM",
        description="Sender of mails.",
    )
    smtp_connections: int = Field(
        4,
        ge=1,
        validation_alias="SMTP_CONNECTIONS",
        description="Connections to it that a process has at most; each carries one mail after the other.",
    )


class Smtp:
    """Sends each message as a mail of its own, over a few connections that are used again.

    `security` is "starttls" (RFC 3207), "tls" (from the first byte, RFC 8314) or "none"; certificates are
    checked. `sender` is an address, with or without a name. `timeout` is the seconds that one message has
    from when it has its connection. A connection ends with the first mail that fails on it. Servers do not drop
    repetitions: two mails with the same Message-ID are both delivered. Raises ConfigurationError for settings that
    cannot work.
    """

    name = "smtp"
    drops_repetitions = False

    def __init__(
        self,
        host: str,
        port: int,
        security: str,
        username: str | None,
        password: str | None,
        sender: str,
        timeout: float = 10.0,
        connections: int = 4,
    ) -> None:
        if security not in ("starttls", "tls", "none"):
            raise ConfigurationError(f"SMTP_SECURITY is {security!r}; set it to starttls, tls or none")
        if bool(username) != bool(password):
            raise ConfigurationError("set both SMTP_USER and SMTP_PASSWORD, or neither")
        name, _, spec = sender.strip().rpartition("<")
        try:
            self._sender = address(name.strip(' "'), spec.removesuffix(">"))
        except ValueError as error:
            raise ConfigurationError(f"SMTP_FROM is {sender!r}; set it to a mail address") from error
        self._server = f"the mail server {host}:{port}"
        self._timeout = timeout
        login = (username, password) if username and password else None
        self._connections = MailConnections(
            MailServer(host, port, security, login, opening=min(OPENING, timeout / 2)), connections
        )

    async def send(self, outgoing: Outgoing) -> Receipt:
        """Hands one mail to the server; the receipt's id is its Message-ID.

        Raises SendError: `away` when no connection comes about, whether the server cannot be reached, refuses the
        login or the sender or offers no such encryption, or when it leaves (421); retryable when it is late, hangs up
        or answers 4yz, and `unknown` when it had the whole text by then and has not answered; final when it answers
        5yz (RFC 5321, section 4.2.1) or when the mail cannot be made. A mail that gets no connection within its
        `patience`, or that a server has no connection left for, is to come again and was not tried.
        """
        try:
            recipient = address("", outgoing.to)
        except ValueError as error:
            raise SendError("the recipient is not a mail address", retryable=False) from error
        mail = compose(outgoing, self._sender, recipient)
        text = on_the_wire(mail)
        used: MailConnection | None = None

        async def hand_over(connection: MailConnection) -> None:
            nonlocal used
            used = connection
            async with asyncio.timeout(self._timeout):
                await connection.deliver(self._sender.addr_spec, recipient.addr_spec, text)

        now = asyncio.get_running_loop().time()
        try:
            await self._connections.use(hand_over, None if outgoing.patience is None else now + outgoing.patience)
        except NoneFree as error:
            sentence = f"every connection to {self._server} was in use"
            raise SendError(sentence, retryable=True, retry_after=0.0) from error
        except NotOpened as error:
            raise self._failure(error.reason, opening=True) from error
        except (TimeoutError, OSError, aiosmtplib.SMTPException) as error:
            raise self._failure(error, unknown=used is not None and used.handed_over) from error
        return Receipt(self.name, str(mail["Message-ID"]))

    async def close(self) -> None:
        """Says goodbye to the server, if it is still there, and closes the connections."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(self._timeout, 2.0)):
                await self._connections.close()
        self._connections.abort()

    def _failure(self, error: Exception, *, opening: bool = False, unknown: bool = False) -> SendError:
        match error:
            case aiosmtplib.SMTPResponseException(code=code, message=message):
                answer = f"{code} {one_line(message, 200)}"
                passing = 400 <= code < 500
                # Greylisting says 4.7.1, too, but not to a connection.
                throttled = passing and (opening or code == 421) and bool(_TOO_MANY.search(message))
                hint = _setting(error)
                away = opening or code == 421 or hint is not None
                rest = None if passing or not away else MISCONFIGURED
                text = f"{self._server} answered {answer}"
                if hint is not None:
                    text = f"{text}; {hint}"
                if isinstance(error, aiosmtplib.SMTPAuthenticationError):
                    text = f"{self._server} refused the login; check SMTP_USER and SMTP_PASSWORD: {answer}"
                return SendError(
                    text,
                    retryable=away or not 500 <= code < 600,
                    retry_after=rest,
                    throttled=throttled,
                    unknown=unknown,
                    away=away,
                )
            case TimeoutError():
                text = f"{self._server} was late; a mail has {self._timeout:g} s in all"
                return SendError(text, retryable=True, unknown=unknown, away=opening)
            case OSError():
                reason = one_line(str(error.__cause__ or error), 200)
                text = f"the connection to {self._server} failed: {reason}"
                return SendError(text, retryable=True, unknown=unknown, away=opening)
            case _:  # no STARTTLS, or no login that fits
                hint = "check SMTP_SECURITY, SMTP_USER and SMTP_PASSWORD"
                text = f"{self._server} cannot serve: {one_line(str(error), 200)} ({hint})"
                return SendError(text, retryable=True, retry_after=MISCONFIGURED, away=True)


def _setting(error: aiosmtplib.SMTPResponseException) -> str | None:
    """What has to change before the server takes any mail of ours; None where its answer is about one mail."""
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return None
    if error.code in _NOT_LET_IN:
        return "check SMTP_SECURITY, SMTP_USER and SMTP_PASSWORD"
    if isinstance(error, aiosmtplib.SMTPSenderRefused) and (error.code == 553 or _BAD_SENDER.match(error.message)):
        return "set SMTP_FROM to an address that the server lets this login send from"
    return None


def open_provider(parts: ProviderParts) -> Mapping[str, Provider]:
    """The mail server for mails, once it is known."""
    settings = parts.settings_of(SmtpSettings)
    if not settings.smtp_host:
        return {}
    smtp = Smtp(
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        username=settings.smtp_user,
        password=secret(settings.smtp_password),
        sender=settings.smtp_from,
        timeout=parts.settings.http_timeout,
        connections=settings.smtp_connections,
    )
    return {"email": smtp}
