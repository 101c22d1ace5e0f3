"""What is known of contacts beside their messages, erased table by table: for shops that let people go, and when a
person asks for it.

Opt-outs stay with their address: they are what keeps a person who said STOP from being written to again, and the law
asks for that for longer than the business with them lasts (47 CFR 64.1200(d)(6); GDPR article 17(3)(b)).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from sqlalchemy import ColumnElement, Executable, delete, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from tidings.db.rows import count_changed, locked_ids
from tidings.messages.contacts.addresses import ContactAddress
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.records import ContactMerge, ContactMergeMove
from tidings.messages.contacts.search.words import ContactWord
from tidings.messages.gate.opt_outs import OptOut, canonical
from tidings.messages.gate.standing import Admission, hold_caps
from tidings.messages.gate.trust import Trust
from tidings.messages.inbound.notices import Notice
from tidings.messages.inbound.stored import StoredReply
from tidings.messages.ledger import LedgerEntry

_PAGE = 500

_Step = Callable[[Sequence[int], Sequence[str]], Executable]
"""What is done to contacts, by their ids and addresses."""


async def erase_traces(session: AsyncSession, contact_ids: Sequence[int]) -> Mapping[str, int]:
    """Erases lines' persons, notices, addresses, words, trust, places in caps, replies and merges; how many rows.

    Table by table for all of them, in the order in which everybody locks: what was written to people before people,
    and what is known about them after that.
    """
    pages = list(_pages(sorted(contact_ids)))
    portions = [(some, await own_addresses(session, some)) for some in pages]
    counts: Counter[str] = Counter()

    async def each(*steps: tuple[str, _Step]) -> None:
        for table, step in steps:
            for ids, addresses in portions:
                counts[table] += await count_changed(session, step(ids, addresses))

    await each(("deliveries", _lines), ("notices", _notices))
    await hold_caps(session, contact_ids)  # or a message that is let out just now would keep its place
    for ids in pages:
        themselves = select(Contractor.id).where(Contractor.id.in_(ids)).order_by(Contractor.id)
        await session.execute(themselves.with_for_update())
    await each(
        *(("contact_addresses", _addresses), ("contact_words", _words), ("opt_outs", _opt_outs)),
        *(("contact_trust", _trust), ("admissions", _admissions), ("replies", _replies)),
    )
    for ids in pages:  # before what refers to them, as everybody locks
        await session.execute(locked_ids(ContactMerge, _of_merges(ids)))
    await each(("contact_merge_moves", _moves), ("contact_merges", _merges))
    return {table: count for table, count in counts.items() if count}


async def own_addresses(session: AsyncSession, contact_ids: Sequence[int]) -> Sequence[str]:
    """The addresses of contacts that nobody else has; what was written to a family's stays with the others."""
    other = aliased(ContactAddress)
    shared = exists().where(other.canonical == ContactAddress.canonical, other.contact_id.not_in(contact_ids))
    query = select(ContactAddress.value).where(ContactAddress.contact_id.in_(contact_ids), ~shared)
    return (await session.scalars(query)).all()


def _lines(ids: Sequence[int], addresses: Sequence[str]) -> Executable:
    theirs = or_(LedgerEntry.contact_id.in_(ids), LedgerEntry.address.in_([canonical(one) for one in addresses]))
    return update(LedgerEntry).where(theirs).values(contact_id=None, address=None, error=None)


def _notices(ids: Sequence[int], addresses: Sequence[str]) -> Executable:
    theirs = or_(Notice.contact_id.in_(ids), Notice.address.in_(addresses))
    return delete(Notice).where(Notice.id.in_(locked_ids(Notice, theirs)))


def _addresses(ids: Sequence[int], addresses: Sequence[str]) -> Executable:
    mine = locked_ids(ContactAddress, ContactAddress.contact_id.in_(ids))
    return delete(ContactAddress).where(ContactAddress.id.in_(mine))


def _words(ids: Sequence[int], addresses: Sequence[str]) -> Executable:
    return delete(ContactWord).where(ContactWord.id.in_(locked_ids(ContactWord, ContactWord.contact_id.in_(ids))))


def _opt_outs(ids: Sequence[int], addresses: Sequence[str]) -> Executable:
    theirs = or_(OptOut.contact_id.in_(ids), OptOut.address.in_([canonical(one) for one in addresses]))
    return update(OptOut).where(OptOut.id.in_(locked_ids(OptOut, theirs))).values(contact_id=None, words=None)


def _trust(ids: Sequence[int], addresses: Sequence[str]) -> Executable:
    return delete(Trust).where(Trust.contact_id.in_(ids))


def _admissions(ids: Sequence[int], addresses: Sequence[str]) -> Executable:
    return delete(Admission).where(Admission.contact_id.in_(ids))


def _replies(ids: Sequence[int], addresses: Sequence[str]) -> Executable:
    return delete(StoredReply).where(or_(StoredReply.contact_id.in_(ids), StoredReply.sender.in_(addresses)))


def _of_merges(ids: Sequence[int]) -> ColumnElement[bool]:
    return or_(ContactMerge.kept_id.in_(ids), ContactMerge.merged_id.in_(ids))


def _moves(ids: Sequence[int], addresses: Sequence[str]) -> Executable:
    theirs = select(ContactMerge.id).where(_of_merges(ids))
    return delete(ContactMergeMove).where(ContactMergeMove.merge_id.in_(theirs))


def _merges(ids: Sequence[int], addresses: Sequence[str]) -> Executable:
    return delete(ContactMerge).where(ContactMerge.id.in_(locked_ids(ContactMerge, _of_merges(ids))))


def _pages(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _PAGE):
        yield ids[start : start + _PAGE]
