"""Words that mean something to one tenant only, such as a shop's sign-up keyword.

A feature says for its kind of tenant what a text of such words means, in `parts.keywords`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from tidings.messages.inbound.notices import NoticeType
from tidings.messages.inbound.reply import IncomingReply
from tidings.work import Unit


@dataclass(frozen=True, slots=True)
class Heard:
    """A reply that is no STOP, START or HELP, and the address (E.164 or mail) that it came from."""

    reply: IncomingReply
    address: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Understood:
    """What a text meant to a tenant, and what was done about it.

    With `opens` it ends what START by the same door would end. `notice` is what the person is told, in the tenant's
    name.
    """

    tenant: str
    action: str
    contact_id: int | None = None
    opens: bool = False
    notice: tuple[NoticeType, str] | None = None


TenantKeywords = Callable[[Unit, Heard], Awaitable[Understood | None]]
"""What a text means to tenants of one kind, in the unit of work that takes it in; None: nothing to any of them."""
