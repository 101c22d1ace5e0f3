"""Mail over SMTP."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import ssl
import time
from collections.abc import Mapping
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Annotated

import aiosmtplib
from email_validator import validate_email
from pydantic import Field, SecretStr

from tidings.clock import SystemClock
from tidings.errors import ConfigurationError, SendError
from tidings.providers.base import Outgoing, Provider, ProviderParts, Receipt
from tidings.settings import Optional, SettingsGroup, secret

WARM = 15.0
"""Seconds for which an idle connection is used again. Servers and firewalls drop older ones, often silently."""

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS = re.compile(rf"{_ATOM}(\.{_ATOM})*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_BREAKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


class SmtpSettings(SettingsGroup):
    """The mail server."""

    smtp_host: Annotated[str | None, Optional] = Field(
        None,
        validation_alias="SMTP_HOST",
        description="Mail server for channel email. Unset: the simulator keeps mails.",
    )
    smtp_port: int = Field(587, validation_alias="SMTP_PORT", description="Its port.")
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


class Smtp:
    """Sends each message as a mail of its own, one after the other over one connection.

    `security` is "starttls" (RFC 3207), "tls" (from the first byte, RFC 8314) or "none"; certificates are
    checked. `sender` is an address, with or without a name. `timeout` is the seconds that one message has
    in all, its wait for the connection included. A connection ends with the first mail that fails on it.
    Raises ConfigurationError for settings that cannot work.
    """

    name = "smtp"

    def __init__(
        self,
        host: str,
        port: int,
        security: str,
        username: str | None,
        password: str | None,
        sender: str,
        timeout: float = 10.0,
    ) -> None:
        if security not in ("starttls", "tls", "none"):
            raise ConfigurationError(f"SMTP_SECURITY is {security!r}; set it to starttls, tls or none")
        if bool(username) != bool(password):
            raise ConfigurationError("set both SMTP_USER and SMTP_PASSWORD, or neither")
        name, _, spec = sender.strip().rpartition("<")
        try:
            self._sender = _address(name.strip(' "'), spec.removesuffix(">"))
        except ValueError as error:
            raise ConfigurationError(f"SMTP_FROM is {sender!r}; set it to a mail address") from error
        self._server = f"the mail server {host}:{port}"
        self._login = (username, password) if username and password else None
        self._timeout = timeout
        self._turn = asyncio.Lock()
        self._last_used = 0.0
        self._client = aiosmtplib.SMTP(
            hostname=host,
            port=port,
            use_tls=security == "tls",
            start_tls=security == "starttls",
            tls_context=None if security == "none" else ssl.create_default_context(),
            timeout=None,  # the deadline in `send` covers every step
        )

    async def send(self, outgoing: Outgoing) -> Receipt:
        """Hands one mail to the server; the receipt's id is its Message-ID.

        Raises SendError: retryable when the server cannot be reached, is late, hangs up or answers 4yz;
        final when it answers 5yz (RFC 5321, section 4.2.1), offers no such login or encryption, or when
        the mail cannot be made. A server that hangs up after the text may have taken it all the same; the
        repetition then has the same Message-ID.
        """
        try:
            recipient = _address("", outgoing.to)
        except ValueError as error:
            raise SendError("the recipient is not a mail address", retryable=False) from error
        mail = _compose(outgoing, self._sender, recipient)
        try:
            async with asyncio.timeout(self._timeout), self._turn:
                await self._hand_over(mail.as_bytes(), recipient.addr_spec)
        except (TimeoutError, OSError, aiosmtplib.SMTPException) as error:
            raise self._failure(error) from error
        return Receipt(self.name, str(mail["Message-ID"]))

    async def close(self) -> None:
        """Says goodbye to the server, if it is still there, and closes the connection."""
        with contextlib.suppress(OSError, aiosmtplib.SMTPException):
            async with asyncio.timeout(min(self._timeout, 2.0)), self._turn:
                await self._client.quit()
        self._client.close()

    async def _hand_over(self, mail: bytes, recipient: str) -> None:
        try:
            await self._open_envelope(recipient)
            await self._client.data(mail)
        except BaseException:
            self._client.close()
            raise
        self._last_used = time.monotonic()

    async def _open_envelope(self, recipient: str) -> None:
        """Names sender and recipient: on the open connection or, if the server has left it, on a new one.

        The server has no mail before this is done, so starting again repeats nothing.
        """
        if self._client.is_connected and time.monotonic() - self._last_used < WARM:
            try:
                await self._name_both(recipient)
                return
            except aiosmtplib.SMTPServerDisconnected:
                pass
            except aiosmtplib.SMTPResponseException as error:
                if error.code != aiosmtplib.SMTPStatus.domain_unavailable:  # 421: it is closing down
                    raise
        self._client.close()
        await self._client.connect()
        if self._login:
            await self._client.login(*self._login)
        await self._name_both(recipient)

    async def _name_both(self, recipient: str) -> None:
        sender = self._sender.addr_spec
        wide = _is_wide(sender, recipient)
        encoding = "utf-8" if wide else "ascii"
        await self._client.mail(sender, options=["SMTPUTF8"] if wide else [], encoding=encoding)
        await self._client.rcpt(recipient, encoding=encoding)

    def _failure(self, error: Exception) -> SendError:
        match error:
            case aiosmtplib.SMTPResponseException(code=code, message=message):
                answer = f"{code} {_one_line(message, 200)}"
                if isinstance(error, aiosmtplib.SMTPAuthenticationError):
                    text = f"{self._server} refused the login; check SMTP_USER and SMTP_PASSWORD: {answer}"
                    return SendError(text, retryable=400 <= code < 500)  # 454: for now (RFC 4954, section 6)
                return SendError(f"{self._server} answered {answer}", retryable=not 500 <= code < 600)
            case TimeoutError():
                return SendError(f"{self._server} was late; a mail has {self._timeout:g} s in all", retryable=True)
            case OSError():
                reason = _one_line(str(error.__cause__ or error), 200)
                return SendError(f"the connection to {self._server} failed: {reason}", retryable=True)
            case _:  # no STARTTLS, or no login that fits
                hint = "check SMTP_SECURITY, SMTP_USER and SMTP_PASSWORD"
                return SendError(
                    f"{self._server} cannot serve: {_one_line(str(error), 200)} ({hint})", retryable=False
                )


def _compose(outgoing: Outgoing, sender: Address, recipient: Address) -> EmailMessage:
    """The mail (RFC 5322), marked as written by a program (RFC 3834). Raises SendError if it cannot be."""
    wide = _is_wide(sender.addr_spec, recipient.addr_spec)
    mail = EmailMessage(SMTP.clone(cte_type="7bit", utf8=wide))  # 7bit: every server takes it
    mail["From"] = sender
    mail["To"] = recipient
    # email decodes "=?…?=" in any value it is given, and what it decodes may hold a line break.
    mail["Subject"] = _one_line(outgoing.subject or outgoing.text[:78]).replace("=?", "= ?")
    mail["Date"] = SystemClock().now()  # the world's time, also when Tidings runs on a faster clock
    mail["Message-ID"] = f"<{_id_part(outgoing.idempotency_key)}@{sender.domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    try:
        mail.set_content(outgoing.text, charset="utf-8")
    except UnicodeError as error:
        raise SendError("the text holds half a character and cannot be mailed", retryable=False) from error
    return mail


def _id_part(key: str) -> str:
    return key if re.fullmatch("[A-Za-z0-9_-]{1,64}", key) else hashlib.sha256(key.encode()).hexdigest()[:32]


def _address(name: str, spec: str) -> Address:
    """`spec` as an address, its domain in ASCII (RFC 5891). Raises ValueError for anything but one address."""
    if "=?" in name + spec or (spec.isascii() and not _ADDRESS.fullmatch(spec)):
        raise ValueError("not a mail address")
    if spec.isascii():
        return Address(name, addr_spec=spec)
    found = validate_email(spec, check_deliverability=False)
    return Address(name, found.ascii_local_part or found.local_part, found.ascii_domain)


def _is_wide(sender: str, recipient: str) -> bool:
    """Whether an address needs internationalised mail; a server without it answers 5yz (RFC 6531)."""
    return not (sender + recipient).isascii()


def _one_line(text: str, limit: int | None = None) -> str:
    """`text` without line breaks and control characters, which could otherwise end a header."""
    return _BREAKS.sub(" ", text).strip()[:limit]


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
    )
    return {"email": smtp}
