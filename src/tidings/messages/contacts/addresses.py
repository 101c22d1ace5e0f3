"""The addresses of people: any number each, and one may belong to several people, as a family's phone does.

`contractors.phone` and `.email` are those that messages go to, and what is kept beside them follows: a row here for
each of them, and the words by which people are found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId
from tidings.db.batches import among_many, update_rows
from tidings.db.bulk_insert import bulk_insert, reserve_ids
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.identity import Known
from tidings.messages.contacts.numbers.canonical import canonical_address, is_mobile
from tidings.messages.contacts.search.words import SAID, Letters, keep_words
from tidings.messages.ledger import HANDED_OVER, LedgerEntry


class AddressKind(StrEnum):
    """What an address is good for. A `whatsapp_id` is how WhatsApp knows somebody whose number it does not tell."""

    PHONE = "phone"
    EMAIL = "email"
    WHATSAPP = "whatsapp"
    WHATSAPP_ID = "whatsapp_id"


PREFERRED = (AddressKind.PHONE, AddressKind.EMAIL)
"""Kinds whose preferred address stands in the contractors' column of that name."""


class ContactAddress(Base):
    """One address of one person. `value` is what is written to (E.164, or a mail address in lower case).

    `canonical` is what it is compared by, `source` where it was told, and `is_preferred` says that it is the one of
    its kind that messages go to. `is_first` marks the first person known by it: two who are added with the same new
    address at the same moment meet there, and the second one sees the first.
    """

    __tablename__ = "contact_addresses"
    __table_args__ = (
        UniqueConstraint("contact_id", "kind", "canonical"),
        Index(None, "canonical"),
        Index(
            "ix_contact_addresses_first",
            "kind",
            "canonical",
            unique=True,
            sqlite_where=text("is_first"),
            postgresql_where=text("is_first"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contractors.id"))
    kind: Mapped[str] = mapped_column(String(16))
    value: Mapped[str] = mapped_column(String(254))
    canonical: Mapped[str] = mapped_column(Letters)
    source: Mapped[str] = mapped_column(String(32))
    added_at: Mapped[datetime]
    is_preferred: Mapped[bool] = mapped_column(default=False)
    is_first: Mapped[bool] = mapped_column(default=False)


# Who has an address


async def contacts_with(session: AsyncSession, address: str) -> list[int]:
    """Everybody with this address (E.164, mail, or a channel's id), who has had it longest first."""
    query = select(ContactAddress.contact_id).where(ContactAddress.canonical == canonical_address(address))
    return list(dict.fromkeys(await session.scalars(query.order_by(ContactAddress.id))))


async def contact_with(session: AsyncSession, address: str) -> int | None:
    """Whom an address stands for where one person is needed; see `latest_of`."""
    return await latest_of(session, await contacts_with(session, address))


async def latest_of(session: AsyncSession, ids: Sequence[int]) -> int | None:
    """Of people with one address the one who was written to last, else the first."""
    if len(ids) < 2:
        return ids[0] if ids else None
    written = [(await _written_to(session, one), -place, one) for place, one in enumerate(ids)]
    latest = [entry for entry in written if entry[0] is not None]
    return max(latest)[2] if latest else ids[0]


async def _written_to(session: AsyncSession, contact_id: int) -> datetime | None:
    query = select(LedgerEntry.at).where(LedgerEntry.contact_id == contact_id, LedgerEntry.outcome.in_(HANDED_OVER))
    return await session.scalar(query.order_by(LedgerEntry.at.desc()).limit(1))


async def first_contacts(
    connection: AsyncConnection | AsyncSession, addresses: Collection[str]
) -> dict[str, tuple[int, str | None]]:
    """For each of many addresses that somebody has: who has had it longest, and that person's timezone."""
    if not addresses:
        return {}
    bind = connection.bind if isinstance(connection, AsyncSession) else connection
    assert bind is not None
    canonical = {one: canonical_address(one) for one in addresses}
    rows = await connection.execute(
        select(ContactAddress.canonical, Contractor.id, Contractor.timezone)
        .join(Contractor, Contractor.id == ContactAddress.contact_id)
        .where(among_many(ContactAddress.__table__.c.canonical, "canonical", bind.dialect.name))
        .order_by(ContactAddress.id),
        {"canonical": sorted(set(canonical.values()))},
    )
    found: dict[str, tuple[int, str | None]] = {}
    for address, contact_id, timezone in rows:
        found.setdefault(address, (contact_id, timezone))
    return {one: found[same] for one, same in canonical.items() if same in found}


async def known_by(session: AsyncSession, addresses: Collection[str]) -> list[Known]:
    """Everybody who has one of the canonical addresses, in order of id, each with those of them that they have."""
    rows = await session.execute(
        select(ContactAddress.canonical, Contractor.id, Contractor.name)
        .join(Contractor, Contractor.id == ContactAddress.contact_id)
        .where(among_many(ContactAddress.__table__.c.canonical, "canonical", session.get_bind().dialect.name)),
        {"canonical": sorted(addresses)},
    )
    names: dict[int, str] = {}
    theirs: dict[int, set[str]] = {}
    for address, contact_id, name in rows:
        names[contact_id] = name
        theirs.setdefault(contact_id, set()).add(address)
    return [Known(contact_id, names[contact_id], theirs[contact_id]) for contact_id in sorted(names)]


async def addresses_of(session: AsyncSession, contact_ids: Collection[int]) -> dict[int, list[ContactAddress]]:
    """The addresses of each of the contacts, the oldest first."""
    rows = await session.scalars(
        select(ContactAddress)
        .where(ContactAddress.contact_id.in_(sorted(contact_ids)))
        .order_by(ContactAddress.id)
        .execution_options(populate_existing=True)
    )
    found: dict[int, list[ContactAddress]] = {one: [] for one in contact_ids}
    for row in rows:
        found[row.contact_id].append(row)
    return found


# Which of them messages go to


def preferred_phone(present: str | None, told: str | None) -> str | None:
    """The number to write to when another one is told: that one, but no landline in the place of a mobile."""
    if not told or not present or canonical_address(told) == canonical_address(present):
        return present or told
    return present if is_mobile(present) and is_mobile(told) is False else told


async def follow(
    session: AsyncSession,
    contact_ids: Collection[int],
    *,
    source: str,
    now: datetime,
    known: Iterable[Known] | None = None,
) -> None:
    """Has the rows here and the words follow the contractors' columns, which have changed; in a few statements.

    `known` are those of whom it was decided that they are somebody else: an address that none of them has is new.
    Raises IntegrityError when somebody has added it meanwhile, so that whoever decided can do so again.
    """
    if not contact_ids:
        return
    await session.flush()
    dialect, ids = session.get_bind().dialect.name, sorted(contact_ids)
    table = Contractor.__table__.c
    people = (
        await session.execute(
            select(*(table[name] for name in ("id", *SAID, *PREFERRED))).where(among_many(table.id, "ids", dialect)),
            {"ids": ids},
        )
    ).all()  # fmt: skip
    own = ContactAddress.__table__.c
    rows = (
        await session.execute(
            select(own.id, own.contact_id, own.kind, own.value, own.canonical, own.is_preferred)
            .where(among_many(own.contact_id, "ids", dialect))
            .order_by(own.id),
            {"ids": ids},
        )
    ).all()
    present: dict[int, list[Any]] = {one: [] for one in ids}
    for row in rows:
        present[row.contact_id].append(row)
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for person in people:
        for kind in PREFERRED:
            value = getattr(person, kind)
            same = canonical_address(value) if value else None
            mine = [row for row in present[person.id] if row.kind == kind]
            changed += [
                {"id": row.id, "is_preferred": row.canonical == same}
                for row in mine
                if row.is_preferred != (row.canonical == same)
            ]
            if value and all(row.canonical != same for row in mine):
                new.append({"contact_id": person.id, "kind": str(kind), "value": value, "canonical": same})
    changed.sort(key=lambda row: row["id"])
    await update_rows(await session.connection(), ContactAddress, ("is_preferred",), changed)
    await insert_addresses(
        session, [{**row, "is_preferred": True} for row in new], source=source, now=now, known=known
    )
    values = {one: {row.value for row in present[one]} for one in ids}
    for added in new:
        values[added["contact_id"]].add(added["value"])
    await keep_words(session, {person.id: (person, values[person.id]) for person in people})


async def refresh_words(session: AsyncSession, contact_ids: Sequence[int]) -> None:
    """Has the words of contacts be those of their present names and addresses, where only names have changed.

    Locks them, in order of id: two that are at it would both add a word.
    """
    query = select(Contractor).where(Contractor.id.in_(contact_ids)).order_by(Contractor.id)
    people = await session.scalars(query.with_for_update(key_share=True).execution_options(populate_existing=True))
    addresses = await addresses_of(session, contact_ids)
    await keep_words(session, {one.id: (one, {row.value for row in addresses[one.id]}) for one in people})


async def insert_addresses(
    session: AsyncSession,
    rows: Sequence[Mapping[str, Any]],
    *,
    source: str,
    now: datetime,
    known: Iterable[Known] | None = None,
) -> None:
    """Adds rows that have contact_id, kind, value, canonical and is_preferred; `known` as for `follow`."""
    if not rows:
        return
    if known is None:
        known = await known_by(session, {row["canonical"] for row in rows})
    taken = {address for one in known for address in one.addresses}
    firsts: list[bool] = []
    for row in rows:
        firsts.append(row["canonical"] not in taken)
        taken.add(row["canonical"])
    columns = {
        "id": await reserve_ids(session, ContactAddress, len(rows)),
        **{
            name: [row[name] for row in rows] for name in ("contact_id", "kind", "value", "canonical", "is_preferred")
        },
        "is_first": firsts,
    }
    await bulk_insert(session, ContactAddress, columns, {"source": source, "added_at": now})


async def add_further(
    session: AsyncSession, addresses: Mapping[int, Sequence[tuple[AddressKind, str]]], *, source: str, now: datetime
) -> None:
    """Adds addresses, by contact, that people have beside those which messages go to, and the words for them.

    The contacts are locked already. Raises IntegrityError when somebody adds one of the addresses right now.
    """
    await session.flush()
    present = await addresses_of(session, addresses.keys())
    rows: list[dict[str, Any]] = []
    for contact_id, told in sorted(addresses.items()):
        known = {(row.kind, row.canonical) for row in present[contact_id]}
        for kind, value in told:
            same = canonical_address(value)
            if (kind, same) not in known:
                known.add((kind, same))
                rows.append({"contact_id": contact_id, "kind": str(kind), "value": value, "canonical": same})
    await insert_addresses(session, [{**row, "is_preferred": False} for row in rows], source=source, now=now)
    changed = sorted({row["contact_id"] for row in rows})
    people = await session.scalars(
        select(Contractor).where(Contractor.id.in_(changed)).execution_options(populate_existing=True)
    )
    values = {one: {row.value for row in present[one]} for one in changed}
    for row in rows:
        values[row["contact_id"]].add(row["value"])
    await keep_words(session, {person.id: (person, values[person.id]) for person in people})
