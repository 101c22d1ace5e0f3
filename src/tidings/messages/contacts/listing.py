"""People in order of id, and a person as messages know them: all their entries and addresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.db.rows import find
from tidings.errors import NotFound
from tidings.messages.contacts.addresses import addresses_of, contacts_with
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.numbers.canonical import spellings_of
from tidings.messages.contacts.search.search import ids_beginning
from tidings.messages.kind import Addressee


@dataclass(frozen=True, slots=True)
class ContactPage:
    """Contacts in order of id. `after_id` is where the next page begins, None on the last one."""

    contacts: Sequence[Contractor]
    after_id: int | None


async def list_people(
    session: AsyncSession, *, name: str | None, addresses: Sequence[str], after_id: int, limit: int
) -> ContactPage:
    """Contacts whose names begin with the words of `name`, and who have each of the stored `addresses`."""
    found: list[Contractor] = []
    last: int | None = after_id
    theirs = [set(await contacts_with(session, address)) for address in addresses]
    while last is not None and len(found) < limit:
        after, wanted = last, limit + 1 - len(found)
        if theirs:
            ids: Sequence[int] = sorted(one for one in set.intersection(*theirs) if one > after)[:wanted]
        elif name is not None:
            ids = await ids_beginning(session, name, after_id=after, limit=wanted)
        else:
            query = select(Contractor.id).where(Contractor.id > after).order_by(Contractor.id).limit(wanted)
            ids = (await session.scalars(query)).all()
        last = ids[-1] if len(ids) == wanted else None
        rows = await session.scalars(select(Contractor).where(Contractor.id.in_(ids)).order_by(Contractor.id))
        found += [row for row in rows if row.merged_into is None and row.erased_at is None]
    if theirs and name is not None:
        named = set(await ids_beginning(session, name, after_id=after_id, limit=10_000))
        found = [row for row in found if row.id in named]
    more = len(found) > limit or last is not None
    return ContactPage(found[:limit], found[limit - 1].id if more and len(found) >= limit else None)


async def own_entry(session: AsyncSession, contact_id: int) -> Contractor:
    """The contact with this id, or the one that it was merged into. Raises NotFound."""
    contact = await find(session, Contractor, "contractor", contact_id)
    while contact.merged_into is not None:
        contact = await find(session, Contractor, "contractor", contact.merged_into)
    if contact.erased_at is not None:
        raise NotFound("contractor", contact_id)
    return contact


async def addressee_of(session: AsyncSession, contact: Contractor) -> Addressee:
    """A contact's entries, those merged into it among them, and each way to write one of its addresses."""
    ids, newest = [contact.id], [contact.id]
    while newest:
        query = select(Contractor.id).where(Contractor.merged_into.in_(newest), Contractor.merged_into.is_not(None))
        newest = [one for one in await session.scalars(query) if one not in ids]
        ids += newest
    rows = (await addresses_of(session, [contact.id]))[contact.id]
    return Addressee(ids, sorted({spelling for row in rows for spelling in spellings_of(row.value)}))
