"""Consent to be written to: given and taken back, each with its proof."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId
from tidings.messages.gate.terms import Purpose
from tidings.messages.tenants import INSTALLATION


class Consent(Base):
    """One word about messages of one tenant on one channel; of a contact's words the one said last counts.

    `at` is when it was said, perhaps long before it was stored; `tenant` is to whom, `address` (in its canonical
    form) about which number or mail address. `granted` False takes consent back. `purpose` is promotional, or
    transactional: that is kept as evidence alone, since nothing transactional waits for consent.

    `source` says where it was said (a form, a shop, an import) and `door` by what we learnt of it (`mitto:shop:3`,
    `api`). `wording` is the text that was agreed to; `proof` holds what else shows it: the person's own words, a
    page's address. Rows are never changed.
    """

    __tablename__ = "consents"
    __table_args__ = (Index(None, "contact_id", "channel", "tenant"), Index(None, "tenant", "id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contractors.id"))
    channel: Mapped[str] = mapped_column(String(16))
    tenant: Mapped[str] = mapped_column(String(64), default=INSTALLATION)
    purpose: Mapped[str] = mapped_column(String(16), default=Purpose.PROMOTIONAL)
    address: Mapped[str | None] = mapped_column(String(254), default=None)
    granted: Mapped[bool]
    at: Mapped[datetime]
    source: Mapped[str] = mapped_column(String(64))
    door: Mapped[str] = mapped_column(String(300), default="api")
    wording: Mapped[str | None] = mapped_column(Text, default=None)
    proof: Mapped[str | None] = mapped_column(Text, default=None)


class ConsentWords:
    """The words about promotional messages of some contacts, the latest one last."""

    def __init__(self, rows: Iterable[tuple[int, str, str, str | None, bool]] = ()) -> None:
        self._words: dict[tuple[int, str, str], list[tuple[str | None, bool]]] = {}
        for contact_id, channel, tenant, address, granted in rows:
            self._words.setdefault((contact_id, channel, tenant), []).append((address, granted))

    def granted(self, contact_id: int | None, channel: str, tenant: str, address: str | None) -> bool | None:
        """The word that counts for an address (in its canonical form): True granted, False taken back, None: none.

        A word counts for the address that it was said about, and for every one of the contact's when it names none.
        """
        said = self._words.get((contact_id or 0, channel, tenant), ())
        return next((granted for about, granted in reversed(said) if about is None or about == address), None)


async def find_consents(connection: AsyncConnection | AsyncSession, contact_ids: Collection[int]) -> ConsentWords:
    """The words about promotional messages of the contacts, to whomever."""
    rows = await connection.execute(
        select(Consent.contact_id, Consent.channel, Consent.tenant, Consent.address, Consent.granted)
        .where(Consent.contact_id.in_(sorted(contact_ids)), Consent.purpose == Purpose.PROMOTIONAL.value)
        .order_by(Consent.at, Consent.id)
    )
    return ConsentWords((row[0], row[1], row[2], row[3], row[4]) for row in rows)


async def consents_of(session: AsyncSession, contact_id: int) -> Sequence[Consent]:
    """Every word of one contact, oldest first."""
    query = select(Consent).where(Consent.contact_id == contact_id).order_by(Consent.at, Consent.id)
    return (await session.scalars(query)).all()
