"""Who has written to which address through the installation's account, so that a STOP there finds all of them.

It is known for ever, whatever becomes of the messages, their lines in the ledger and the people: a STOP may come
years later, from a number that its contact does not have any more. Of an address only a digest is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import blake2b

from sqlalchemy import String, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base
from tidings.db.batches import insert_missing
from tidings.messages.gate.opt_outs import canonical, family_of
from tidings.messages.kind import Message

CHANNELS = frozenset({"sms", "email", "whatsapp"})
"""Those by which somebody may answer to a shared address; by families (`family_of`)."""

REMEMBERED = 100_000
"""How many of them a process knows to be stored already."""

_COLUMNS = ("digest", "tenant", "channel", "first_at")


class Correspondent(Base):
    """A tenant that has written to an address by a channel, through the installation's account."""

    __tablename__ = "correspondents"

    digest: Mapped[str] = mapped_column(String(32), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64), primary_key=True)
    channel: Mapped[str] = mapped_column(String(16), primary_key=True)
    first_at: Mapped[datetime]


Key = tuple[str, str, str]


class Correspondents:
    """Notes who writes to whom, each once."""

    def __init__(self) -> None:
        self._stored: dict[Key, None] = {}

    def new_among(self, messages: Iterable[Message]) -> list[Key]:
        """What these messages, which have left, say that may not be stored yet, in the order of storing."""
        keys = {
            (_digest(message.address), message.tenant, family_of(message.channel))
            for message in messages
            if message.address and message.account is None and family_of(message.channel) in CHANNELS
            if not message.terms.despite_opt_out  # an answer is no message that a STOP could be about
        }
        return sorted(keys - self._stored.keys())

    async def store(self, connection: AsyncConnection, keys: Sequence[Key], now: datetime) -> None:
        """Stores what is new in the caller's transaction; what is there stays as it is."""
        rows = [dict(zip(_COLUMNS, (*key, now), strict=True)) for key in keys]
        await insert_missing(connection, Correspondent, rows)

    def remember(self, keys: Iterable[Key]) -> None:
        """They are stored; the oldest are forgotten when there are too many."""
        self._stored |= dict.fromkeys(keys)
        while len(self._stored) > REMEMBERED:
            del self._stored[next(iter(self._stored))]


async def tenants_writing_to(session: AsyncSession, address: str, channel: str) -> list[str]:
    """Everybody who has written to an address by a channel through the installation's account, in order."""
    query = select(Correspondent.tenant).where(
        Correspondent.digest == _digest(address), Correspondent.channel == family_of(channel)
    )
    return sorted(await session.scalars(query))


def _digest(address: str) -> str:
    return blake2b(canonical(address).encode(), digest_size=16).hexdigest()
