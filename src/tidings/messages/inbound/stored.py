"""What people answered: one row a reply, whatever it led to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, and_, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId
from tidings.db.rows import locked_ids
from tidings.messages.tenants import INSTALLATION

UNREADABLE = "sender_unreadable"
"""What is done about a reply of whose sender no address can be made: a person has to look."""


class StoredReply(Base):
    """A reply. `door` is by what it came in, `tenant` whom it was written to. `kind` and `message_id` name the
    message that it answers, when there is one.

    `command` is STOP, START or HELP; `unsure` says that it may mean STOP. `sentiment_score` is -1 to 1, `rating` 1 to
    10; `action_taken` says what became of it. `needs_person` holds until a person has looked. A provider's id is
    stored once a door, so a reply that is delivered twice counts once.
    """

    __tablename__ = "replies"
    __table_args__ = (
        UniqueConstraint("door", "provider_message_id"),
        Index(None, "contact_id", "received_at"),
        Index(None, "kind", "message_id"),
        Index(None, "sender"),
        Index(None, "tenant", "id"),
        Index(
            "ix_replies_needs_person",
            "id",
            sqlite_where=text("needs_person = 1"),
            postgresql_where=text("needs_person"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    provider: Mapped[str] = mapped_column(String(32))
    door: Mapped[str] = mapped_column(String(300))
    provider_message_id: Mapped[str] = mapped_column(String(255))
    tenant: Mapped[str] = mapped_column(String(64), default=INSTALLATION)
    channel: Mapped[str | None] = mapped_column(String(16), default=None)
    sender: Mapped[str] = mapped_column(String(254))
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contractors.id"), default=None)
    text: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime]
    command: Mapped[str | None] = mapped_column(String(8), default=None)
    unsure: Mapped[bool] = mapped_column(default=False)
    kind: Mapped[str | None] = mapped_column(String(32), default=None)
    message_id: Mapped[int | None] = mapped_column(BigId, default=None)
    sentiment_score: Mapped[float | None] = mapped_column(default=None)
    rating: Mapped[int | None] = mapped_column(default=None)
    action_taken: Mapped[str] = mapped_column(String(64), default="")
    needs_person: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]


async def last_replies(session: AsyncSession, contact_ids: Collection[int]) -> dict[int, datetime]:
    """When each of the contacts last replied to the installation (UTC); who never did is left out."""
    rows = await session.execute(
        select(StoredReply.contact_id, func.max(StoredReply.received_at))
        .where(StoredReply.contact_id.in_(sorted(contact_ids)), StoredReply.tenant == INSTALLATION)
        .group_by(StoredReply.contact_id)
    )
    return {contact_id: at for contact_id, at in rows if contact_id is not None}


async def replies_to(session: AsyncSession, kind: str, message_id: int) -> Sequence[StoredReply]:
    """Every reply to one message, oldest first."""
    query = select(StoredReply).where(StoredReply.kind == kind, StoredReply.message_id == message_id)
    return (await session.scalars(query.order_by(StoredReply.id))).all()


async def settle_unsure(session: AsyncSession, address: str, contact_id: int | None) -> None:
    """A person has decided what somebody meant; the replies that left it open need nobody any more."""
    theirs = StoredReply.sender == address
    if contact_id is not None:
        theirs = or_(theirs, StoredReply.contact_id == contact_id)
    mine = and_(StoredReply.needs_person, StoredReply.unsure, theirs)
    settled = update(StoredReply).where(StoredReply.id.in_(locked_ids(StoredReply, mine)))
    await session.execute(settled.values(needs_person=False))
