"""Who wants no messages any more: one list for every feature and every channel.

An opt-out belongs to an address and to the person behind it. Somebody who texts STOP gets nothing under
their mail address either, until they text START.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache

from pydantic import validate_email
from sqlalchemy import Dialect, ForeignKey, Index, Select, String, Text, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId
from tidings.db.batches import among
from tidings.db.prepared import Prepared
from tidings.db.rows import locked_ids
from tidings.errors import InvalidInput
from tidings.messages.contacts.phones import parse_phone


class OptOut(Base):
    """An opt-out, valid from `opted_out_at` to `ended_at` (UTC; None: it holds). Rows stay, as evidence.

    `source` is how we learnt of it (`reply`, `api`), `words` what the person wrote.
    """

    __tablename__ = "opt_outs"
    __table_args__ = (
        Index(None, "contact_id"),
        Index(None, "address"),
        # Two STOPs at the same moment make one opt-out, and so one confirmation.
        Index(
            "ix_opt_outs_valid_address",
            "address",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    address: Mapped[str] = mapped_column(String(254))
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contractors.id"), default=None)
    opted_out_at: Mapped[datetime]
    ended_at: Mapped[datetime | None] = mapped_column(default=None)
    source: Mapped[str] = mapped_column(String(32))
    words: Mapped[str | None] = mapped_column(Text, default=None)


class OptOuts:
    """The opt-outs that hold for some addresses and contacts."""

    def __init__(self, rows: Iterable[tuple[str, int | None, datetime]]) -> None:
        self._by_address: dict[str, datetime] = {}
        self._by_contact: dict[int, datetime] = {}
        for address, contact_id, since in rows:
            self._by_address[address] = since
            if contact_id is not None:
                self._by_contact[contact_id] = since

    def since(self, address: str | None, contact_id: int | None) -> datetime | None:
        """Since when this address or this contact gets nothing (UTC); None when neither has opted out."""
        found = self._by_address.get(address) if address else None
        if found is None and contact_id is not None:
            found = self._by_contact.get(contact_id)
        return found


def parse_address(raw: str, region: str) -> str:
    """A phone number as E.164, or a mail address in lower case, also from `Ada Abara <ada@example.com>`.

    A number without + is read as dialled in `region`. Raises InvalidInput with a sentence for anything else.
    """
    if "@" not in raw:
        return parse_phone(raw, region)
    try:
        return validate_email(raw.strip())[1].lower()
    except ValueError as error:
        raise InvalidInput("address", f"{raw[:80]!r} is no mail address; write one like ada@example.com") from error


async def find_opt_outs(
    connection: AsyncConnection | AsyncSession, addresses: Collection[str], contact_ids: Collection[int]
) -> OptOuts:
    """The opt-outs that hold now for any of the addresses or contacts, found in one statement."""
    bind = connection.bind if isinstance(connection, AsyncSession) else connection
    assert bind is not None
    values = {"addresses": sorted(addresses), "contact_ids": sorted(contact_ids)}
    if isinstance(connection, AsyncConnection) and bind.dialect.name == "postgresql":
        found = await _prepared(bind.dialect).fetch(connection, **values)
        return OptOuts((row["address"], row["contact_id"], row["opted_out_at"]) for row in found)
    rows = await connection.execute(_holding(bind.dialect.name), values)
    return OptOuts((row.address, row.contact_id, row.opted_out_at) for row in rows)


@cache
def _prepared(dialect: Dialect) -> Prepared:
    return Prepared(_holding(dialect.name), dialect)


@cache
def _holding(dialect: str) -> Select[str, int | None, datetime]:
    return select(OptOut.address, OptOut.contact_id, OptOut.opted_out_at).where(
        OptOut.ended_at.is_(None),
        or_(
            among(OptOut.__table__.c.address, "addresses", dialect),
            among(OptOut.__table__.c.contact_id, "contact_ids", dialect),
        ),
    )


async def opted_out_among(session: AsyncSession, contacts: Mapping[int, str | None]) -> set[int]:
    """Those of the contacts (id → address) who get nothing now."""
    found = await find_opt_outs(session, {address for address in contacts.values() if address}, contacts.keys())
    return {contact_id for contact_id, address in contacts.items() if found.since(address, contact_id)}


async def add_opt_out(
    session: AsyncSession, address: str, contact_id: int | None, now: datetime, *, source: str, words: str | None
) -> bool:
    """Opts out in the caller's transaction; False when the address was opted out already.

    Raises IntegrityError at the flush when somebody else does the same at this moment.
    """
    present = await session.scalar(
        select(OptOut).where(OptOut.address == address, OptOut.ended_at.is_(None)).with_for_update()
    )
    if present is not None:
        present.contact_id = present.contact_id or contact_id
        return False
    session.add(
        OptOut(address=address, contact_id=contact_id, opted_out_at=now, source=source, words=(words or "")[:1000])
    )
    await session.flush()
    return True


async def end_opt_outs(session: AsyncSession, address: str, contact_id: int | None, now: datetime) -> int:
    """Ends what holds for the address and the person behind it, in the caller's transaction; returns how many."""
    mine = OptOut.address == address
    theirs = or_(mine, OptOut.contact_id == contact_id) if contact_id else mine
    ended = await session.execute(
        update(OptOut)
        .where(OptOut.id.in_(locked_ids(OptOut, OptOut.ended_at.is_(None), theirs)))
        .values(ended_at=now)
        .returning(OptOut.id)
    )
    return len(ended.all())


async def history_of(session: AsyncSession, contact_id: int, addresses: Iterable[str | None]) -> Sequence[OptOut]:
    """Every opt-out of a contact and of their addresses, the ended ones included, oldest first."""
    theirs = or_(OptOut.contact_id == contact_id, OptOut.address.in_([one for one in addresses if one]))
    return (await session.scalars(select(OptOut).where(theirs).order_by(OptOut.id))).all()
