"""Contacts that a shop lets go: erased where no other shop and no other feature knows them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.db.base import Base
from tidings.features.shops.models import Shop
from tidings.messages.contacts.addresses import ContactAddress
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.privacy.traces import erase_traces
from tidings.messages.contacts.records import ContactMerge
from tidings.messages.contacts.search.words import ContactWord
from tidings.messages.gate.consents import Consent
from tidings.messages.gate.opt_outs import OptOut
from tidings.messages.gate.trust import Trust
from tidings.messages.inbound.notices import Notice
from tidings.messages.inbound.stored import StoredReply
from tidings.messages.tenants import shop_tenant

_PAGE = 500

_IN_BULK = {"synchronize_session": False}


async def forget_consents(session: AsyncSession, shop: Shop, contact_ids: Collection[int]) -> None:
    """Erases what the contacts have said to the shop."""
    for some in pages(sorted(contact_ids)):
        await session.execute(
            delete(Consent).where(Consent.contact_id.in_(some), Consent.tenant == shop_tenant(shop.id))
        )


async def release_contacts(session: AsyncSession, contact_ids: Collection[int]) -> None:
    """Erases contacts whom nobody else knows.

    Table by table for all of them, in the order in which everybody locks: what was written to people before people,
    and what is known about them after that.
    """
    entries = select(Contractor.id, Contractor.merged_into).where(Contractor.merged_into.in_(contact_ids))
    merged = {row.id: row.merged_into for row in await session.execute(entries)}
    wanted = {*contact_ids, *merged}
    known = await _known_elsewhere(session, sorted(wanted))
    known |= {kept for entry, kept in merged.items() if entry in known and kept is not None}
    unknown = sorted(wanted - known)
    await erase_traces(session, unknown)
    for some in pages(unknown):
        await session.execute(delete(Contractor).where(Contractor.id.in_(some)).execution_options(**_IN_BULK))


def pages(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """The ids in portions that every database takes in one statement."""
    for start in range(0, len(ids), _PAGE):
        yield ids[start : start + _PAGE]


_THEIR_OWN = frozenset(
    model.__tablename__
    for model in (Contractor, OptOut, StoredReply, Notice, Trust, ContactAddress, ContactWord, ContactMerge)
)
"""Tables that refer to a contact because of messages only; they go with the contact, or let go of it."""


async def _known_elsewhere(session: AsyncSession, contact_ids: Sequence[int]) -> set[int]:
    """Those of the contacts whom any table refers to: every feature's, whichever there are."""
    known: set[int] = set()
    for table in Base.metadata.sorted_tables:
        if table.name in _THEIR_OWN:
            continue
        for key in table.foreign_keys:
            if key.column is Contractor.__table__.c.id:
                for some in pages(contact_ids):
                    known.update(await session.scalars(select(key.parent).where(key.parent.in_(some)).distinct()))
    return known
