"""What a person who runs Tidings does about contacts: opt them out and in, keep consents, look at their standing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from tidings.messages.contacts.contractors import Contractor, find_contractor
from tidings.messages.contacts.opting import OptOutDesk
from tidings.messages.gate.consents import Consent, consents_of
from tidings.messages.gate.opt_outs import OptOut, Stops, history_of
from tidings.messages.gate.trust import trust_of
from tidings.messages.inbound.stored import StoredReply
from tidings.messages.ledger import LedgerEntry
from tidings.work import Work

LATEST = 50


@dataclass(frozen=True, slots=True)
class ContactStanding:
    """Everything that the gate goes by for one contact, and what happened lately; times are UTC."""

    contractor: Contractor
    opted_out: bool
    opt_outs: Sequence[OptOut]
    consents: Sequence[Consent]
    trust: float
    deliveries: Sequence[LedgerEntry]
    replies: Sequence[StoredReply]


class People:
    """Contacts for other programs: `t.contacts` of the facade."""

    def __init__(self, work: Work, opt_outs: OptOutDesk) -> None:
        self._work = work
        self._opt_outs = opt_outs

    async def opt_out(self, address: str, *, words: str | None = None) -> bool:
        """Nothing of anybody goes to this phone number or mail address any more; see `OptOutDesk.add`."""
        return await self._opt_outs.add(address, words=words)

    async def opt_in(self, address: str) -> bool:
        """Ends every opt-out of an address; see `OptOutDesk.end`."""
        return await self._opt_outs.end(address)

    async def get_standing(self, contractor_id: int) -> ContactStanding:
        """What is known about one contact, with the latest 50 deliveries and replies. Raises NotFound."""
        async with self._work.read() as session:
            contractor = await find_contractor(session, contractor_id)
            opt_outs = await history_of(session, contractor_id, [contractor.phone, contractor.email])
            lines = await session.scalars(
                select(LedgerEntry)
                .where(LedgerEntry.contact_id == contractor_id)
                .order_by(LedgerEntry.id.desc())
                .limit(LATEST)
            )
            replies = await session.scalars(
                select(StoredReply)
                .where(StoredReply.contact_id == contractor_id)
                .order_by(StoredReply.id.desc())
                .limit(LATEST)
            )
            return ContactStanding(
                contractor=contractor,
                opted_out=any(row.ended_at is None and row.stops == Stops.ALL for row in opt_outs),
                opt_outs=opt_outs,
                consents=await consents_of(session, contractor_id),
                trust=(await trust_of(session, [contractor_id]))[contractor_id],
                deliveries=lines.all(),
                replies=replies.all(),
            )
