"""What a mail is made of: addresses, headers, and the text as it travels."""

from __future__ import annotations

import hashlib
import re
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy

from email_validator import validate_email

from tidings.clock import SystemClock
from tidings.errors import SendError
from tidings.providers.base import Outgoing

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS = re.compile(rf"{_ATOM}(\.{_ATOM})*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_BREAKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_LINE_ENDS = re.compile(rb"\r\n|\r|\n")
_LEADING_DOTS = re.compile(rb"^\.", re.MULTILINE)


class _Uncut(UnstructuredHeader, BaseHeader):
    """A header that stays as it is: an address in it would be encoded to fit the line, and no program reads that."""

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("list-unsubscribe", _Uncut)


def compose(outgoing: Outgoing, sender: Address, recipient: Address) -> EmailMessage:
    """The mail (RFC 5322), marked as written by a program (RFC 3834). Raises SendError if it cannot be."""
    wide = is_wide(sender.addr_spec, recipient.addr_spec)
    # 7bit: every server takes it
    mail = EmailMessage(SMTP.clone(cte_type="7bit", utf8=wide, header_factory=_HEADERS))
    mail["From"] = sender
    mail["To"] = recipient
    # email decodes "=?…?=" in any value it is given, and what it decodes may hold a line break.
    mail["Subject"] = one_line(outgoing.subject or outgoing.text[:78]).replace("=?", "= ?")
    mail["Date"] = SystemClock().now()  # the world's time, also when Tidings runs on a faster clock
    mail["Message-ID"] = f"<{_id_part(outgoing.idempotency_key)}@{sender.domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    if outgoing.unsubscribe is not None:  # RFC 2369 and RFC 8058; the server's DKIM signature has to cover both
        mail["List-Unsubscribe"] = f"<{outgoing.unsubscribe}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    try:
        mail.set_content(outgoing.text, charset="utf-8")
    except UnicodeError as error:
        raise SendError("the text holds half a character and cannot be mailed", retryable=False) from error
    return mail


def _id_part(key: str) -> str:
    return key if re.fullmatch("[A-Za-z0-9_-]{1,64}", key) else hashlib.sha256(key.encode()).hexdigest()[:32]


def address(name: str, spec: str) -> Address:
    """`spec` as an address, its domain in ASCII (RFC 5891). Raises ValueError for anything but one address."""
    if "=?" in name + spec or (spec.isascii() and not _ADDRESS.fullmatch(spec)):
        raise ValueError("not a mail address")
    if spec.isascii():
        return Address(name, addr_spec=spec)
    found = validate_email(spec, check_deliverability=False)
    return Address(name, found.ascii_local_part or found.local_part, found.ascii_domain)


def is_wide(sender: str, recipient: str) -> bool:
    """Whether an address needs internationalised mail; a server without it answers 5yz (RFC 6531)."""
    return not (sender + recipient).isascii()


def one_line(text: str, limit: int | None = None) -> str:
    """`text` without line breaks and control characters, which could otherwise end a header."""
    return _BREAKS.sub(" ", text).strip()[:limit]


def on_the_wire(mail: EmailMessage) -> bytes:
    """The mail as it follows DATA, its end included: leading dots are doubled (RFC 5321, section 4.5.2)."""
    lines = _LINE_ENDS.sub(b"\r\n", mail.as_bytes())
    end = b".\r\n" if lines.endswith(b"\r\n") else b"\r\n.\r\n"
    return _LEADING_DOTS.sub(b"..", lines) + end
