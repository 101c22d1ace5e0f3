"""Contacts that a shop lets go: erased where no other shop and no other feature knows them."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, delete, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.db.base import Base
from tidings.features.shops.kind import scope_of
from tidings.features.shops.models import Shop
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.gate.consents import Consent
from tidings.messages.gate.opt_outs import OptOut
from tidings.messages.gate.standing import Admission
from tidings.messages.gate.trust import Trust
from tidings.messages.inbound.notices import Notice
from tidings.messages.inbound.stored import StoredReply
from tidings.messages.ledger import Delivery

_IN_BULK = {"synchronize_session": False}


async def release_contacts(session: AsyncSession, shop: Shop, contact_ids: Collection[int]) -> None:
    """Erases the shop's consents, and the contacts themselves where nobody else knows them."""
    for contact_id in sorted(contact_ids):
        await session.execute(
            delete(Consent).where(Consent.contact_id == contact_id, Consent.scope == scope_of(shop.id))
        )
        if await _is_known_elsewhere(session, contact_id):
            continue
        contact = await session.get(Contractor, contact_id)
        if contact is None:
            continue
        addresses = [address for address in (contact.phone, contact.email) if address]
        await session.execute(
            update(OptOut)
            .where(or_(OptOut.contact_id == contact_id, OptOut.address.in_(addresses)))
            .values(contact_id=None, words=None)
            .execution_options(**_IN_BULK)
        )
        for model in (StoredReply, Notice, Trust, Admission):
            theirs: ColumnElement[bool] = model.contact_id == contact_id
            if model is StoredReply:
                theirs = or_(theirs, StoredReply.sender.in_(addresses))
            if model is Notice:
                theirs = or_(theirs, Notice.address.in_(addresses))
            await session.execute(delete(model).where(theirs).execution_options(**_IN_BULK))
        await session.execute(
            update(Delivery)
            .where(Delivery.contact_id == contact_id)
            .values(contact_id=None, error=None)
            .execution_options(**_IN_BULK)
        )
        await session.delete(contact)
        await session.flush()


_THEIR_OWN = frozenset(
    model.__tablename__ for model in (OptOut, StoredReply, Notice, Trust)
)  # fmt: skip
"""Tables that refer to a contact because of messages only; they go with the contact, or let go of it."""


async def _is_known_elsewhere(session: AsyncSession, contact_id: int) -> bool:
    """Whether any table refers to the contact: every feature's, whichever there are."""
    for table in Base.metadata.sorted_tables:
        if table.name in _THEIR_OWN:
            continue
        for key in table.foreign_keys:
            if key.column is Contractor.__table__.c.id and await session.scalar(
                select(exists().where(key.parent == contact_id))
            ):
                return True
    return False
