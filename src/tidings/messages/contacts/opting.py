"""What a person who runs Tidings does about opt-outs: adds and ends them, and decides where a reply left it open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import Conflict, InvalidInput, NotFound
from tidings.fields import MAX_ID
from tidings.messages.changes import wake_held
from tidings.messages.contacts.addresses import contacts_with
from tidings.messages.gate.opt_outs import (
    ANY_CHANNEL,
    OptOut,
    OptOutRequest,
    Reach,
    Stops,
    add_opt_out,
    canonical,
    end_opt_outs,
    is_unsure,
    parse_address,
)
from tidings.messages.gate.policy import DECIDED_SOON
from tidings.messages.gate.trust import OPTED_OUT, change_trust
from tidings.messages.inbound.stored import settle_unsure
from tidings.messages.kind import Kinds
from tidings.messages.statuses import Reason
from tidings.messages.tenants import EVERY, INSTALLATION, find_tenant
from tidings.work import Unit, Work

CHANNELS = ("sms", "email", "whatsapp")
PAGE = 100
DOOR = "api"


@dataclass(frozen=True, slots=True)
class OptOutPage:
    """Some opt-outs, newest first; `after` is where the next page begins, None at the end."""

    rows: Sequence[OptOut]
    after: int | None


class OptOutDesk:
    """Opt-outs for other programs: `t.opt_outs` of the facade. `kinds` are those of the messages that they hold.

    `region` is where numbers without + are read, `reach` whom a word concerns that is said to one tenant. A tenant is
    named `installation`, `shop:3` or `customer:5`; `*` stands for all of them, and for every channel.
    """

    def __init__(self, work: Work, kinds: Kinds, *, region: str, reach: Reach) -> None:
        self._work = work
        self._kinds = kinds
        self._region = region
        self._reach = reach

    async def add(
        self,
        address: str,
        *,
        tenant: str = EVERY,
        channel: str = ANY_CHANNEL,
        promotional: bool = False,
        source: str = "api",
        words: str | None = None,
        door: str = DOOR,
    ) -> bool:
        """Nothing of this tenant goes to this phone number or mail address by this channel; `promotional`: nothing
        promotional.

        False when that was so already. Raises InvalidInput for what is no address or channel, and NotFound for a
        tenant that there is not.
        """
        spec, now = parse_address(address, self._region), self._work.clock.now()
        _check_channel(channel)
        stops = Stops.PROMOTIONAL if promotional else Stops.ALL

        async def opt_out(unit: Unit) -> bool:
            await _check_tenant(unit.session, tenant)
            contact_ids = await contacts_with(unit.session, spec)
            contact_id = contact_ids[0] if contact_ids else None
            word = OptOutRequest(canonical(spec), door, source, tenant, channel, words, stops, contact_id)
            said = self._reach.requests([tenant], channel, word) if self._reach.everywhere else [word]
            new = any([await add_opt_out(unit.session, one, now) for one in said])
            if new and contact_id is not None and tenant in (EVERY, INSTALLATION) and not promotional:
                await change_trust(unit.session, contact_id, OPTED_OUT, "opted out", now)
            return new

        return await self._work.retry(opt_out)  # a STOP of the same address may come at the same moment

    async def end(
        self,
        address: str,
        *,
        tenant: str = EVERY,
        channel: str = ANY_CHANNEL,
        door: str = DOOR,
        only_own: bool = False,
    ) -> bool:
        """Ends the opt-outs of an address, by default whatever holds; False when there was none.

        With `tenant` only what was said to that tenant: what holds for all of them stays. With `only_own` only what
        was said by the same door. Raises what `add` raises.
        """
        spec, now = parse_address(address, self._region), self._work.clock.now()
        _check_channel(channel)
        async with self._work.begin() as unit:
            await _check_tenant(unit.session, tenant)
            which = OptOut.address == canonical(spec)
            if tenant != EVERY:
                which &= OptOut.tenant == tenant
            elif contact_ids := await contacts_with(unit.session, spec):
                which = or_(which, OptOut.contact_id.in_(contact_ids) & OptOut.whole_person)
            if only_own:
                which &= OptOut.door == door
            if channel != ANY_CHANNEL:
                which &= OptOut.channel == channel
            ended = await end_opt_outs(unit.session, which, door, now) > 0
        if ended:
            await self._wake(spec, None)
        return ended

    async def list(
        self,
        *,
        address: str | None = None,
        tenant: str | None = None,
        unsure: bool = False,
        before: int | None = None,
        limit: int = PAGE,
    ) -> OptOutPage:
        """Opt-outs, those that have ended included; with `unsure` those about which a person has to decide."""
        query = select(OptOut).where(OptOut.id < (before or MAX_ID)).order_by(OptOut.id.desc()).limit(limit + 1)
        if unsure:
            query = query.where(OptOut.ended_at.is_(None), OptOut.stops == Stops.UNSURE.value)
        if address is not None:
            query = query.where(OptOut.address == canonical(parse_address(address, self._region)))
        if tenant is not None:
            query = query.where(OptOut.tenant == tenant)
        async with self._work.read() as session:
            rows = (await session.scalars(query)).all()
        return OptOutPage(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)

    async def decide(self, opt_out_id: int, *, stop: bool, tenant: str | None = None, by: str = DOOR) -> OptOut:
        """Says whether somebody meant STOP who wrote something that may have; what was held goes on or is skipped.

        That is at once, and not at the next look at what is held. With `tenant` only one of that tenant's. Raises
        NotFound, and Conflict when it was decided already.
        """
        row = await self._decide(opt_out_id, stop, tenant, by)
        await self._wake(row.address, row.contact_id)
        return row

    async def _decide(self, opt_out_id: int, stop: bool, tenant: str | None, by: str) -> OptOut:
        now = self._work.clock.now()
        async with self._work.begin() as unit:
            row = await unit.session.get(OptOut, opt_out_id, with_for_update=True)
            if row is None or (tenant is not None and row.tenant != tenant):
                raise NotFound("opt-out", opt_out_id)
            if row.stops != Stops.UNSURE or row.ended_at is not None:
                raise Conflict(f"opt-out {opt_out_id} waits for no decision")
            if stop:
                row.stops, row.source = Stops.ALL, "person"
            else:
                row.ended_at, row.ended_by = now, by
            await unit.session.flush()
            if not await is_unsure(unit.session, row.address):
                await settle_unsure(unit.session, row.address, row.contact_id)
            return row

    async def _wake(self, address: str, contact_id: int | None) -> None:
        """Has what was held for a decision looked at now. In a unit of its own: messages are locked before opt-outs,
        and what is not woken is looked at in minutes anyway."""
        async with self._work.read() as session:
            contact_ids = {*await contacts_with(session, address), *([contact_id] if contact_id is not None else [])}
        await wake_held(self._work, self._kinds, contact_ids, Reason.UNSURE, DECIDED_SOON)


def _check_channel(channel: str) -> None:
    if channel not in (*CHANNELS, ANY_CHANNEL):
        raise InvalidInput("channel", f"{channel!r} is none; there are {', '.join(CHANNELS)}, and * for all")


async def _check_tenant(session: AsyncSession, tenant: str) -> None:
    """Raises NotFound."""
    if tenant not in (EVERY, INSTALLATION):
        await find_tenant(session, tenant)


async def count_undecided(session: AsyncSession) -> int:
    """Opt-outs about which a person has to decide."""
    unsure = (OptOut.ended_at.is_(None), OptOut.stops == literal_column("'unsure'"))
    return await session.scalar(select(func.count()).where(*unsure)) or 0
