"""Erasing a person everywhere, with a certificate of what was removed.

Messages stay as rows without anybody's data, so that figures keep adding up; what waits is called off. It is done in
short units of work, and whoever begins again goes on with what is left. The entry itself stays empty and is nobody's.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.db.base import Base
from tidings.db.rows import count_changed
from tidings.messages.changes import cancel_where
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.listing import addressee_of, own_entry
from tidings.messages.contacts.numbers.canonical import spellings_of
from tidings.messages.contacts.privacy.traces import erase_traces, own_addresses
from tidings.messages.contacts.records import ContactErasure
from tidings.messages.gate.consents import Consent
from tidings.messages.gate.opt_outs import OptOut, OptOutRequest, Stops, add_opt_out, canonical
from tidings.messages.kind import Addressee, MessageKind
from tidings.messages.ledger import LedgerEntry
from tidings.messages.statuses import Reason
from tidings.work import Portions, Unit, Work

PORTION = 250
"""Messages that one unit of work empties."""

DOOR = "erasure"
ERASED = "Erased"

_EMPTY = dict.fromkeys(
    ("first_name", "last_name", "phone", "email", "company_name", "timezone", "ghl_contact_id", "ghl_location_id")
)

Kinds = Callable[[], Iterable[type[MessageKind]]]


async def erase_contact(work: Work, kinds: Kinds, contact_id: int, *, by: str | None, shops: bool) -> ContactErasure:
    """Erases a person; with `shops` what shops know of them as well. Raises NotFound."""
    async with work.read() as session:
        contact = await own_entry(session, contact_id)
        whom = await addressee_of(session, contact)
        alone = await own_addresses(session, whom.ids)
        silence = await _silence_of(session, whom.ids, alone)
    # What a relative wrote from the family's phone is the relative's.
    whom = replace(whom, addresses=sorted({each for one in alone for each in spellings_of(one)}))
    portions, counts = Portions(work), Counter[str]()
    for kind in kinds():
        if shops or not kind.of_another:
            counts[kind.model.__tablename__] += await _empty_messages(work, portions, kind, whom)
            counts.update(await kind.erase_person(work, whom))
    async with portions.begin() as unit:
        consents = delete(Consent).where(Consent.contact_id.in_(whom.ids))
        counts[Consent.__tablename__] += await count_changed(unit.session, consents)
    return await work.retry(lambda unit: _finish(unit, work, whom, silence, counts, by))


async def _empty_messages(work: Work, portions: Portions, kind: type[MessageKind], whom: Addressee) -> int:
    """Calls off what waits, and empties every message and its lines; how many."""
    if (theirs := kind.written_to(whom)) is None:
        return 0
    table = Base.metadata.tables[kind.model.__tablename__]
    async with work.read() as session:
        ids = sorted(await session.scalars(select(kind.model.id).where(theirs)))
    for start in range(0, len(ids), PORTION):
        some = ids[start : start + PORTION]
        async with portions.begin() as unit:
            now = work.clock.now()
            locked = select(table.c.id).where(table.c.id.in_(some)).order_by(table.c.id).with_for_update()
            await unit.session.execute(locked)
            await cancel_where(unit, kind, kind.model.id.in_(some), Reason.REDACTED, now)
            if emptied := {**kind.personal, **kind.called_off}:
                await unit.session.execute(update(table).where(table.c.id.in_(some)).values(emptied))
        async with portions.begin() as unit:
            lines = (LedgerEntry.kind == kind.name, LedgerEntry.message_id.in_(some))
            await unit.session.execute(
                update(LedgerEntry)
                .where(*lines)
                .values(contact_id=None, address=None, error=None, inputs={})
                .execution_options(synchronize_session=False)
            )
    return len(ids)


async def _finish(
    unit: Unit,
    work: Work,
    whom: Addressee,
    silence: Sequence[OptOutRequest],
    counts: Mapping[str, int],
    by: str | None,
) -> ContactErasure:
    session, now = unit.session, work.clock.now()
    found = Counter(counts) + Counter(await erase_traces(session, whom.ids))
    for request in silence:
        await add_opt_out(session, request, now)
    await session.execute(
        update(Contractor)
        .where(Contractor.id.in_(whom.ids))
        .values(name=ERASED, vip=False, erased_at=now, updated_at=now, **_EMPTY)
        .execution_options(synchronize_session=False)
    )
    found[Contractor.__tablename__] += len(whom.ids)
    told = {table: count for table, count in sorted(found.items()) if count}
    certificate = ContactErasure(
        contact_id=whom.ids[0], erased_at=now, erased_by=by, counts=told, digest=_digest(whom.ids[0], now, by, told)
    )
    session.add(certificate)
    return certificate


async def _silence_of(
    session: AsyncSession, contact_ids: Sequence[int], addresses: Sequence[str]
) -> list[OptOutRequest]:
    """What holds for the person as a whole, to hold for each of the addresses when nobody is known any more."""
    which = (OptOut.contact_id.in_(contact_ids), OptOut.whole_person, OptOut.ended_at.is_(None))
    return [
        OptOutRequest(canonical(address), row.door, DOOR, row.tenant, row.channel, None, Stops(row.stops))
        for row in await session.scalars(select(OptOut).where(*which).order_by(OptOut.id))
        for address in addresses
        if canonical(address) != row.address
    ]


def _digest(contact_id: int, at: datetime, by: str | None, counts: Mapping[str, int]) -> str:
    content: Sequence[Any] = (contact_id, at.isoformat(), by, dict(sorted(counts.items())))
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()
