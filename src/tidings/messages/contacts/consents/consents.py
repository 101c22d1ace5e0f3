"""What people agreed to, kept with its proof: by contact or by address, for every tenant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import InvalidInput
from tidings.fields import MAX_ID
from tidings.messages.contacts.addresses import contacts_with, follow, known_by
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.contacts.listing import own_entry
from tidings.messages.contacts.opting import CHANNELS
from tidings.messages.gate.consents import Consent
from tidings.messages.gate.opt_outs import canonical, find_opt_outs, parse_address
from tidings.messages.gate.terms import Purpose
from tidings.messages.tenants import INSTALLATION, divided, find_tenant
from tidings.work import Unit, Work

if TYPE_CHECKING:
    from tidings.messages.contacts.consents.consent_import import ImportedConsents

PAGE = 100
NAMELESS = "Customer"
"""The name of a contact of whom nothing but an address is known."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What somebody said to a tenant about being written to, and what shows it; see `Consent` for the fields.

    `at` is aware; None and moments to come are now, so that no word outlasts the next one.
    """

    granted: bool
    tenant: str = INSTALLATION
    channel: str = "sms"
    purpose: str = Purpose.PROMOTIONAL
    source: str = "api"
    door: str = "api"
    wording: str | None = None
    proof: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody with an address (E.164, or mail in lower case), and the names that came with it."""

    address: str
    first_name: str | None = None
    last_name: str | None = None

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part)[:200] or NAMELESS


Enrol = Callable[[AsyncSession, int, Mapping[str, Newcomer], datetime], Awaitable[None]]
"""Makes people, by their addresses, some of those whom a tenant (by its id) writes to, after they consented."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A word that was kept, and since when (UTC) an opt-out stands against it, which it does not end."""

    consent: Consent
    opted_out_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConsentPage:
    """Some words, the latest that were stored first; `before` is where the next page begins, None at the end."""

    rows: Sequence[Consent]
    before: int | None


class Consents:
    """Consents for other programs: `t.consents` of the facade.

    `region` is where numbers without + are read; `enrol` says for each kind of tenant (shop) what becomes of somebody
    who consented.
    """

    def __init__(self, work: Work, *, region: str, enrol: Mapping[str, Enrol]) -> None:
        self._work = work
        self._region = region
        self._enrol = enrol

    async def record(
        self,
        who: int | str,
        *,
        granted: bool,
        tenant: str = INSTALLATION,
        channel: str | None = None,
        purpose: str = Purpose.PROMOTIONAL,
        source: str = "api",
        door: str = "api",
        wording: str | None = None,
        proof: str | None = None,
        at: datetime | None = None,
        region: str | None = None,
    ) -> Recorded:
        """Keeps that a contact (by id), or whoever has an address, agreed to messages of a tenant or took it back.

        Without `channel` it is the address's own, sms for a number. Who has an address that nobody has becomes a
        contact; where several people share one, the word is kept for each of them. An opt-out is not ended by it.
        Raises NotFound, and InvalidInput for what is no address, channel or purpose.
        """
        now = self._work.clock.now()
        address = parse_address(who, region or self._region) if isinstance(who, str) else None
        said = Agreement(
            granted,
            tenant,
            channel or ("email" if address and "@" in address else "sms"),
            purpose,
            source,
            door,
            wording,
            proof,
            at,
        )
        check(said, address)

        async def keep(unit: Unit) -> Recorded:
            await _check_tenant(unit.session, tenant)
            if address is None:
                assert isinstance(who, int)
                contact = await own_entry(unit.session, who)
                theirs = contact.email if said.channel == "email" else contact.phone
                [row] = await _keep(unit.session, said, [(contact.id, theirs)], now)
            else:
                row = await keep_word(unit.session, said, Newcomer(address), now, self._enrol)
                theirs = address
            found = await find_opt_outs(unit.session, {theirs} if theirs else (), {row.contact_id})
            since, _ = found.since(theirs, row.contact_id, tenant, said.channel, promotional=True)
            return Recorded(row, since if granted else None)

        return await self._work.retry(keep)  # the same person may be added at this moment

    async def list(
        self,
        *,
        who: int | str | None = None,
        tenant: str | None = None,
        before: int | None = None,
        limit: int = PAGE,
        region: str | None = None,
    ) -> ConsentPage:
        """Every word, the latest that were stored first: of one contact or address, to one tenant."""
        query = select(Consent).order_by(Consent.id.desc()).limit(limit + 1)
        if tenant is not None:
            query = query.where(Consent.tenant == tenant)
        if before is not None or (tenant is None and who is None):
            query = query.where(Consent.id < (before or MAX_ID))  # so that the index of ids is read from its end
        async with self._work.read() as session:
            if isinstance(who, str):
                ids = await contacts_with(session, parse_address(who, region or self._region))
                query = query.where(Consent.contact_id.in_(ids))
            elif who is not None:
                query = query.where(Consent.contact_id == who)
            rows = (await session.scalars(query)).all()
        return ConsentPage(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)

    async def take_file(
        self,
        file: bytes | Path,
        *,
        tenant: str = INSTALLATION,
        source: str = "import",
        door: str = "api",
        region: str | None = None,
        timezone: str = "UTC",
        name: str = "file",
    ) -> ImportedConsents:
        """Takes consents from a CSV file, as Shopify, Klaviyo, Attentive and Postscript export them.

        Good lines are taken, and what is wrong with the others is told. A file at a path is read while it is taken,
        so it may be large. `timezone` is that of times which name none, `source` where the file is from, `name` what
        it is called. Raises NotFound, and InvalidInput for a file that cannot be read as a whole.
        """
        from tidings.messages.contacts.consents.consent_file import read_consents
        from tidings.messages.contacts.consents.consent_import import take_lines
        from tidings.messages.contacts.files.text_files import open_text

        async with self._work.read() as session:
            await _check_tenant(session, tenant)
        text = open_text(file, name).open
        now = self._work.clock.now()
        lines = read_consents(text, region=region or self._region, timezone=timezone, source=name, now=now)
        said = Agreement(True, tenant, source=source, door=door, proof=name)
        return await take_lines(self._work, lines, said, self._enrol)


def check(said: Agreement, address: str | None) -> None:
    """Raises InvalidInput for a word that cannot be kept about this address."""
    if said.channel not in CHANNELS:
        raise InvalidInput("channel", f"{said.channel!r} is none; there are {', '.join(CHANNELS)}")
    if said.purpose not in set(Purpose):
        raise InvalidInput("purpose", f"{said.purpose!r} is none; there are {', '.join(Purpose)}")
    if said.purpose == Purpose.TRANSACTIONAL and not said.granted:
        raise InvalidInput("purpose", "who wants no transactional messages either opts out: record an opt-out")
    if address is not None and ("@" in address) != (said.channel == "email"):
        needed = "a mail address" if said.channel == "email" else "a phone number"
        raise InvalidInput("channel", f"{said.channel} needs {needed}; change the channel or the address")


async def keep_word(
    session: AsyncSession, said: Agreement, person: Newcomer, now: datetime, enrol: Mapping[str, Enrol]
) -> Consent:
    """Keeps what the holder of an address said, in the caller's transaction; the row of the oldest of its holders.

    Raises IntegrityError at a flush when somebody adds the same person right now; then try again.
    """
    [theirs] = (await contacts_of(session, [person], now)).values()
    kind, number = divided(said.tenant)
    if said.granted and kind in enrol:
        await enrol[kind](session, number, {person.address: person}, now)
        theirs = await contacts_with(session, person.address)
    return (await _keep(session, said, [(one, person.address) for one in theirs], now))[0]


async def contacts_of(session: AsyncSession, people: Collection[Newcomer], now: datetime) -> dict[str, list[int]]:
    """The contacts with each address, oldest first; who has none becomes a contact.

    Raises IntegrityError as `keep_word` does.
    """
    by_canonical = {canonical(one.address): one for one in people}
    known = await known_by(session, by_canonical.keys())
    holders: dict[str, list[int]] = {address: [] for address in by_canonical}
    for one in known:
        for address in one.addresses:
            holders[address].append(one.id)
    if new := [address for address, theirs in holders.items() if not theirs]:
        values = [
            {
                "name": one.name,
                "first_name": one.first_name,
                "last_name": one.last_name,
                "phone": None if "@" in one.address else one.address,
                "email": one.address if "@" in one.address else None,
                "created_at": now,
                "updated_at": now,
            }
            for one in map(by_canonical.__getitem__, new)
        ]
        returned = insert(Contractor).returning(Contractor.id, sort_by_parameter_order=True)
        ids = (await session.scalars(returned, values)).all()
        for address, contact_id in zip(new, ids, strict=True):
            holders[address].append(contact_id)
        await follow(session, ids, source="consent", now=now, known=known)
    return {one.address: holders[canonical(one.address)] for one in people}


async def _keep(
    session: AsyncSession, said: Agreement, whom: Sequence[tuple[int, str | None]], now: datetime
) -> list[Consent]:
    rows = [
        Consent(
            contact_id=contact_id,
            address=canonical(address) if address else None,
            channel=said.channel,
            tenant=said.tenant,
            purpose=said.purpose,
            granted=said.granted,
            at=min(said.at or now, now).astimezone(UTC),
            source=said.source,
            door=said.door,
            wording=said.wording,
            proof=said.proof,
        )
        for contact_id, address in whom
    ]
    session.add_all(rows)
    await session.flush()
    return rows


async def _check_tenant(session: AsyncSession, tenant: str) -> None:
    """Raises NotFound."""
    if tenant != INSTALLATION:
        await find_tenant(session, tenant)
