"""What a person who runs Tidings does about contacts: finds, shows and edits them, and keeps what they agreed to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from tidings.db.rows import find
from tidings.messages.contacts.addresses import AddressKind, ContactAddress, addresses_of
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.editing import (
    add_address,
    change_contact,
    lock_contact,
    read_address,
    read_changes,
    remove_address,
)
from tidings.messages.contacts.listing import ContactPage, addressee_of, list_people, own_entry
from tidings.messages.contacts.merging.merging import merge_contacts, undo_merge
from tidings.messages.contacts.opting import OptOutDesk
from tidings.messages.contacts.privacy.erasure import erase_contact
from tidings.messages.contacts.privacy.export import export_contact
from tidings.messages.contacts.records import ContactErasure, ContactMerge
from tidings.messages.contacts.search.search import SearchResult, find_people, name_one
from tidings.messages.contacts.timeline.timeline import TimelinePage, read_timeline
from tidings.messages.contacts.timeline.why_person import PersonStory, explain_person
from tidings.messages.gate.consents import Consent, consents_of
from tidings.messages.gate.opt_outs import OptOut, Stops, history_of
from tidings.messages.gate.trust import trust_of
from tidings.messages.inbound.stored import StoredReply
from tidings.messages.kind import MessageKind
from tidings.messages.ledger import LedgerEntry
from tidings.messages.tenants import EVERY, INSTALLATION
from tidings.work import Unit, Work

LATEST = 50


@dataclass(frozen=True, slots=True)
class ContactStanding:
    """Everything that the gate goes by for one contact, and what happened lately; times are UTC."""

    contractor: Contractor
    addresses: Sequence[ContactAddress]
    opted_out: bool
    opt_outs: Sequence[OptOut]
    consents: Sequence[Consent]
    trust: float
    deliveries: Sequence[LedgerEntry]
    replies: Sequence[StoredReply]


class People:
    """Contacts for other programs: `t.contacts` of the facade.

    `kinds` are those of the messages that they get; `region` is where numbers without + are read.
    """

    def __init__(
        self, work: Work, opt_outs: OptOutDesk, kinds: Callable[[], Iterable[type[MessageKind]]], *, region: str
    ) -> None:
        self._work = work
        self._opt_outs = opt_outs
        self._kinds = kinds
        self._region = region

    # Looking at people

    async def find(self, query: str, *, limit: int = 20) -> SearchResult:
        """Whom a name, a number or a mail address may mean, the best first; its beginning, or with a slip in it.

        Raises InvalidInput when there is nothing to look for in it.
        """
        async with self._work.read() as session:
            return await find_people(session, query, region=self._region, limit=limit)

    async def identify(self, text: str) -> int:
        """The id of the one person whom a text means: `contact-7`, a name, a number, a mail address.

        Raises NotFound, and Conflict that lists them when it may mean several.
        """
        async with self._work.read() as session:
            return await name_one(session, text, region=self._region)

    async def list_contacts(
        self,
        *,
        name: str | None = None,
        phone: str | None = None,
        email: str | None = None,
        after_id: int = 0,
        limit: int = 100,
    ) -> ContactPage:
        """Contacts in order of id: those whose names begin with the words of `name`, with this phone and mail.

        Raises InvalidInput for what is no phone number or mail address.
        """
        told = ((phone, AddressKind.PHONE), (email, AddressKind.EMAIL))
        addresses = [read_address(raw, kind, self._region)[1] for raw, kind in told if raw is not None]
        async with self._work.read() as session:
            return await list_people(session, name=name, addresses=addresses, after_id=after_id, limit=limit)

    async def timeline(self, contact_id: int, *, cursor: str | None = None, limit: int = 50) -> TimelinePage:
        """What happened between a contact and everything that writes to them, and what is to, the newest first.

        Raises NotFound, and InvalidInput for a cursor that no page has told.
        """
        async with self._work.read() as session:
            whom = await addressee_of(session, await own_entry(session, contact_id))
            return await read_timeline(session, whom, list(self._kinds()), cursor=cursor, limit=limit)

    async def why(self, contact_id: int, *, event: str | None = None) -> PersonStory:
        """Why a contact got their latest messages, or those about an event (id or slug), or not. Raises NotFound."""
        async with self._work.read() as session:
            contact = await own_entry(session, contact_id)
            whom = await addressee_of(session, contact)
            return await explain_person(session, contact, whom, list(self._kinds()), event)

    # Changing them

    async def edit(self, contact_id: int, changes: Mapping[str, Any]) -> Contractor:
        """Changes names, company, timezone, and the phone and mail that messages go to, which are added if new.

        Raises NotFound, Conflict for an entry that was merged, and InvalidInput with a sentence for what cannot be.
        """
        read = read_changes(changes, self._region)

        async def change(unit: Unit) -> Contractor:
            contact = await self._locked(unit, contact_id)
            await change_contact(unit.session, contact, read, self._work.clock.now(), source="api")
            return contact

        return await self._work.retry(change)

    async def add_address(
        self, contact_id: int, address: str, *, kind: str | None = None, prefer: bool = False, source: str = "api"
    ) -> ContactAddress:
        """Adds an address (phone, email, whatsapp, whatsapp_id); with `prefer` messages go to it from now on.

        So they do when there was none of its kind, or when it is a mobile and the phone is a landline. Raises as
        `edit` does.
        """
        known, value = read_address(address, kind, self._region)

        async def add(unit: Unit) -> ContactAddress:
            contact, now = await self._locked(unit, contact_id), self._work.clock.now()
            return await add_address(unit.session, contact, known, value, now, source=source, prefer=prefer)

        return await self._work.retry(add)

    async def remove_address(self, contact_id: int, address_id: int) -> None:
        """Takes an address away; another one of its kind takes its place. Raises NotFound and Conflict."""
        async with self._work.begin() as unit:
            contact = await self._locked(unit, contact_id)
            await remove_address(unit.session, contact, address_id, self._work.clock.now())

    async def merge(self, contact_id: int, other_id: int, *, by: str | None = None) -> ContactMerge:
        """Makes the other entry part of this one: its addresses, messages, answers and consents are this one's.

        Planned messages that would say the same twice are called off. Raises NotFound, InvalidInput, and Conflict for
        an entry that was merged before.
        """
        return await merge_contacts(self._work, self._kinds, contact_id, other_id, by)

    async def undo_merge(self, merge_id: int) -> ContactMerge:
        """Makes two of them again, within 7 days; what has come since stays. Raises NotFound and Conflict."""
        return await undo_merge(self._work, self._kinds, merge_id)

    async def erase(self, contact_id: int, *, by: str | None = None, shops: bool = False) -> ContactErasure:
        """Erases a person everywhere, and with `shops` what shops know of them; opt-outs stay with their addresses.

        The answer is a certificate of what was removed, which is kept. Messages stay as rows without anybody's data;
        what waits is called off. Doing it again goes on where it broke off. Raises NotFound.
        """
        return await erase_contact(self._work, self._kinds, contact_id, by=by, shops=shops)

    async def get_erasure(self, erasure_id: int) -> ContactErasure:
        """The certificate of an erasure. Raises NotFound."""
        async with self._work.read() as session:
            return await find(session, ContactErasure, "certificate", erasure_id)

    async def export(self, contact_id: int) -> dict[str, Any]:
        """Everything that is kept about a person, as JSON may hold it. Raises NotFound."""
        async with self._work.read() as session:
            contact = await own_entry(session, contact_id)
            whom = await addressee_of(session, contact)
            return await export_contact(session, contact, whom, list(self._kinds()), self._work.clock.now())

    async def list_merges(self, contact_id: int) -> Sequence[ContactMerge]:
        """The merges of which a contact is the outcome, the latest first."""
        async with self._work.read() as session:
            query = select(ContactMerge).where(ContactMerge.kept_id == contact_id)
            return (await session.scalars(query.order_by(ContactMerge.id.desc()))).all()

    async def _locked(self, unit: Unit, contact_id: int) -> Contractor:
        """The contact, locked after what is planned from them, as everybody locks."""
        for kind in self._kinds():
            await kind.contacts_changing(unit.session, [contact_id], self._work.clock.now())
        return await lock_contact(unit.session, contact_id)

    # What they agreed to

    async def opt_out(self, address: str, *, words: str | None = None) -> bool:
        """Nothing of anybody goes to this phone number or mail address any more; see `OptOutDesk.add`."""
        return await self._opt_outs.add(address, words=words)

    async def opt_in(self, address: str) -> bool:
        """Ends every opt-out of an address; see `OptOutDesk.end`."""
        return await self._opt_outs.end(address)

    async def get_standing(self, contractor_id: int) -> ContactStanding:
        """What is known about one contact, with the latest 50 deliveries and replies. Raises NotFound."""
        async with self._work.read() as session:
            contractor = await own_entry(session, contractor_id)
            contractor_id = contractor.id
            addresses = (await addresses_of(session, [contractor_id]))[contractor_id]
            opt_outs = await history_of(session, contractor_id, [row.value for row in addresses])
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
                addresses=addresses,
                opted_out=any(
                    row.ended_at is None and row.stops == Stops.ALL and row.tenant in (INSTALLATION, EVERY)
                    for row in opt_outs
                ),
                opt_outs=opt_outs,
                consents=await consents_of(session, contractor_id),
                trust=(await trust_of(session, [contractor_id]))[contractor_id],
                deliveries=lines.all(),
                replies=replies.all(),
            )
