"""Contacts that a shop lets go: erased where no other shop and no other feature knows them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from sqlalchemy import Executable, delete, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from tidings.db.base import Base
from tidings.db.rows import locked_ids
from tidings.features.shops.models import Shop
from tidings.messages.contacts.addresses import ContactAddress
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.words import ContactWord
from tidings.messages.gate.consents import Consent
from tidings.messages.gate.opt_outs import OptOut, canonical
from tidings.messages.gate.standing import Admission, hold_caps
from tidings.messages.gate.trust import Trust
from tidings.messages.inbound.notices import Notice
from tidings.messages.inbound.stored import StoredReply
from tidings.messages.ledger import LedgerEntry
from tidings.messages.tenants import shop_tenant

_PAGE = 500

_Step = Callable[[Sequence[int], Sequence[str]], Executable]
"""What is done to contacts, by their ids and addresses."""


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
    unknown = sorted(set(contact_ids) - await _known_elsewhere(session, sorted(contact_ids)))
    portions = [(some, await _own_addresses(session, some)) for some in pages(unknown)]
    await _each(session, portions, _lines, _notices)
    await hold_caps(session, unknown)  # or a message that is let out just now would keep its place
    await _each(session, portions, _themselves, _addresses, _words, _opt_outs, _trust, _admissions, _replies, _gone)


async def _own_addresses(session: AsyncSession, contact_ids: Sequence[int]) -> Sequence[str]:
    """The addresses of contacts that nobody else has; what was written to a family's stays with the others."""
    other = aliased(ContactAddress)
    shared = exists().where(other.canonical == ContactAddress.canonical, other.contact_id.not_in(contact_ids))
    query = select(ContactAddress.value).where(ContactAddress.contact_id.in_(contact_ids), ~shared)
    return (await session.scalars(query)).all()


async def _each(
    session: AsyncSession, portions: Sequence[tuple[Sequence[int], Sequence[str]]], *steps: _Step
) -> None:
    for step in steps:
        for ids, addresses in portions:
            await session.execute(step(ids, addresses).execution_options(synchronize_session=False))


def _lines(ids: Sequence[int], addresses: Sequence[str]) -> Executable:
    theirs = or_(LedgerEntry.contact_id.in_(ids), LedgerEntry.address.in_([canonical(one) for one in addresses]))
    return update(LedgerEntry).where(theirs).values(contact_id=None, address=None, error=None)


def _notices(ids: Sequence[int], addresses: Sequence[str]) -> Executable:
    theirs = or_(Notice.contact_id.in_(ids), Notice.address.in_(addresses))
    return delete(Notice).where(Notice.id.in_(locked_ids(Notice, theirs)))


def _themselves(ids: Sequence[int], addresses: Sequence[str]) -> Executable:
    return select(Contractor.id).where(Contractor.id.in_(ids)).order_by(Contractor.id).with_for_update()


def _addresses(ids: Sequence[int], addresses: Sequence[str]) -> Executable:
    mine = locked_ids(ContactAddress, ContactAddress.contact_id.in_(ids))
    return delete(ContactAddress).where(ContactAddress.id.in_(mine))


def _words(ids: Sequence[int], addresses: Sequence[str]) -> Executable:
    mine = locked_ids(ContactWord, ContactWord.contact_id.in_(ids))
    return delete(ContactWord).where(ContactWord.id.in_(mine))


def _opt_outs(ids: Sequence[int], addresses: Sequence[str]) -> Executable:
    theirs = or_(OptOut.contact_id.in_(ids), OptOut.address.in_([canonical(one) for one in addresses]))
    return update(OptOut).where(OptOut.id.in_(locked_ids(OptOut, theirs))).values(contact_id=None, words=None)


def _trust(ids: Sequence[int], addresses: Sequence[str]) -> Executable:
    return delete(Trust).where(Trust.contact_id.in_(ids))


def _admissions(ids: Sequence[int], addresses: Sequence[str]) -> Executable:
    return delete(Admission).where(Admission.contact_id.in_(ids))


def _replies(ids: Sequence[int], addresses: Sequence[str]) -> Executable:
    return delete(StoredReply).where(or_(StoredReply.contact_id.in_(ids), StoredReply.sender.in_(addresses)))


def _gone(ids: Sequence[int], addresses: Sequence[str]) -> Executable:
    return delete(Contractor).where(Contractor.id.in_(ids))


def pages(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """The ids in portions that every database takes in one statement."""
    for start in range(0, len(ids), _PAGE):
        yield ids[start : start + _PAGE]


_THEIR_OWN = frozenset(
    model.__tablename__ for model in (OptOut, StoredReply, Notice, Trust, ContactAddress, ContactWord)
)  # fmt: skip
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
