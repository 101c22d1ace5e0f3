"""The one door for replies, from whatever provider.

Reply → the address → whose message it answers → its feature. Everything about one reply happens in one
transaction, and a provider may deliver the same reply as often as it likes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.errors import InvalidInput
from tidings.log import get_logger
from tidings.messages.contacts.addresses import contacts_with, latest_of
from tidings.messages.gate.opt_outs import (
    ANY_CHANNEL,
    OptOut,
    OptOutRequest,
    Reach,
    Stops,
    add_opt_out,
    canonical,
    channel_of,
    end_opt_outs,
    family_of,
    parse_address,
)
from tidings.messages.gate.trust import HELPFUL_REPLY, NEUTRAL_REPLY, OPTED_OUT, UNHAPPY_REPLY, change_trust
from tidings.messages.inbound.concerned import find_answered, find_concerned, find_referred
from tidings.messages.inbound.keywords import Command, CommandReading, read_aside
from tidings.messages.inbound.notices import ANSWERS, add_notice, notice_text
from tidings.messages.inbound.ratings import rating_of
from tidings.messages.inbound.reply import IncomingReply, Received
from tidings.messages.inbound.sentiment import sentiment_of
from tidings.messages.inbound.stored import UNREADABLE, StoredReply
from tidings.messages.inbound.tenant_words import Heard, TenantKeywords
from tidings.messages.kind import Kinds, Reply
from tidings.messages.tenants import EVERY, INSTALLATION, Sender, senders_of
from tidings.work import Unit, Work

log = get_logger(__name__)

HELPFUL, UNHAPPY = 0.05, -0.4
"""Sentiment scores: from HELPFUL on a reply is welcome (VADER's threshold), up to UNHAPPY a person should look."""

UNSURE = "unsure"
"""What is done about a reply that may mean STOP: promotional messages are held until a person has decided."""

ANY_DOOR = "*"
"""The door of opt-outs that were stored before doors were: a START by any shared one ends them."""


class Replies:
    """Takes in what people answer to messages of `kinds`. `region` is where numbers without + are read.

    `sender` is who the installation's notices speak for; `reach` whom a STOP concerns (`TIDINGS_OPT_OUTS`).
    `keywords` say for each kind of tenant which words mean something to one of them.
    """

    def __init__(
        self,
        work: Work,
        kinds: Kinds,
        sender: Sender,
        *,
        region: str,
        reach: Reach,
        keywords: Mapping[str, TenantKeywords],
    ) -> None:
        self._work = work
        self._kinds = kinds
        self._sender = sender
        self._region = region
        self._reach = reach
        self._keywords = keywords

    async def receive(self, reply: IncomingReply) -> Received:
        """Takes in one reply: carries out STOP, START and HELP, and gives every other one to its kind.

        A reply that is known already changes nothing. One whose sender is no phone number and no mail address is kept
        for a person to look at.
        """
        address = self._address_of(reply)
        if address is not None:
            reply = replace(reply, channel=reply.channel or channel_of(address))

        async with self._work.read() as session:
            if (known := await _known(session, reply)) is not None:
                return known
        reading = await read_aside(reply.text, mail=reply.channel == "email")

        async def take_in(unit: Unit) -> Received:
            # The same reply, or the same person's first one, may come at the same moment.
            return await _known(unit.session, reply) or await self._take_in(unit, reply, reading, address)

        return await self._work.retry(take_in)

    def _address_of(self, reply: IncomingReply) -> str | None:
        if reply.answered:
            return reply.sender
        try:
            return parse_address(reply.sender, self._region, provider=True)
        except InvalidInput as error:
            log.warning("the sender of a reply cannot be read", door=reply.door, error=error.message)
            return None

    async def _take_in(
        self, unit: Unit, reply: IncomingReply, reading: CommandReading, address: str | None
    ) -> Received:
        session, now = unit.session, self._work.clock.now()
        row = _row_of(reply, reading, address, now)
        session.add(row)
        if address is None:
            row.action_taken, row.needs_person = UNREADABLE, True
            await session.flush()
            return _received(row, duplicate=False)
        contact_ids = await contacts_with(session, address)
        row.contact_id = await latest_of(session, contact_ids)
        await session.flush()
        if row.command is None and await self._understand(unit, reply, address, row, now):
            log.info("reply taken in", sender=address, action=row.action_taken, tenant=row.tenant)
            return _received(row, duplicate=False)
        referred = await find_referred(session, reply, self._kinds)
        answered = referred or await find_answered(
            session, reply, self._kinds, address, contact_ids, row.rating, self._work.clock
        )
        tenants = await find_concerned(session, reply, address, contact_ids, referred)
        if answered is not None:
            row.contact_id = answered.contact_id or row.contact_id
            if row.command is not None:  # the message before the opt-out, as everybody locks
                await session.get(self._kinds[answered.kind].model, answered.message_id, with_for_update=True)
        row.tenant = (answered.tenant or INSTALLATION) if answered is not None else tenants[0]
        if row.command == Command.HELP:
            tenants = [row.tenant]
        said = _Said(reply, address, row.contact_id, tenants, now)
        if row.command is not None:
            row.action_taken = await self._obey(unit, Command(row.command), said)
        elif row.unsure:
            await self._hold(session, said)
            row.action_taken, row.needs_person = UNSURE, True
        else:
            unhappy = (row.sentiment_score or 0.0) <= UNHAPPY
            row.action_taken, row.needs_person = "needs_person" if unhappy else "reply_recorded", unhappy
        if answered is not None:
            row.kind, row.message_id = answered.kind, answered.message_id
            command = Command(row.command) if row.command else None
            content = Reply(
                reply.text, row.received_at, row.sentiment_score or 0.0, row.rating, command, row.action_taken
            )
            done = await self._kinds[answered.kind].on_reply(session, answered.message_id, content)
            row.action_taken = done or row.action_taken
        await self._judge(session, row, tenants, now)
        log.info("reply taken in", sender=address, action=row.action_taken, tenant=row.tenant, answers=_name(row))
        return _received(row, duplicate=False)

    async def _understand(
        self, unit: Unit, reply: IncomingReply, address: str, row: StoredReply, now: datetime
    ) -> bool:
        """Whether the text is a keyword of a tenant; then what follows from it is done."""
        for hear in self._keywords.values():
            understood = await hear(unit, Heard(reply, address, now))
            if understood is None:
                continue
            row.tenant, row.action_taken, row.unsure = understood.tenant, understood.action, False
            row.contact_id = understood.contact_id or row.contact_id
            if understood.opens:
                said = _Said(reply, address, row.contact_id, [row.tenant], now)
                await self._end(unit.session, said)
            if understood.notice is not None:
                notice_type, text = understood.notice
                await add_notice(
                    unit,
                    notice_type,
                    text,
                    tenant=row.tenant,
                    address=address,
                    channel=reply.channel or "sms",
                    contact_id=row.contact_id,
                    now=now,
                )
            return True
        return False

    async def _obey(self, unit: Unit, command: Command, said: _Said) -> str:
        session = unit.session
        match command:
            case Command.STOP:
                new = [await add_opt_out(session, word, said.now) for word in self._words(said, Stops.ALL)]
                if not any(new):
                    return "opted_out_already"  # the first one was confirmed, and one confirmation is all
                action = "opted_out"
            case Command.START:
                await self._end(session, said)
                action = "opted_in"
            case Command.HELP:
                action = "help_sent"
        if not said.reply.answered:
            await self._confirm(unit, command, said)
        return action

    async def _hold(self, session: AsyncSession, said: _Said) -> None:
        for word in self._words(said, Stops.UNSURE):
            await add_opt_out(session, word, said.now)

    def _words(self, said: _Said, stops: Stops) -> list[OptOutRequest]:
        """What a reply says about each tenant that it concerns."""
        reply = said.reply
        word = OptOutRequest(
            said.address, reply.door, "reply", words=reply.text, stops=stops, contact_id=said.contact_id
        )
        return self._reach.requests(said.tenants, reply.channel or "sms", word)

    async def _end(self, session: AsyncSession, said: _Said) -> None:
        """Ends what was said to the same tenants by the same door; where all are one brand, whatever holds."""
        mine = OptOut.address == canonical(said.address)
        if self._reach.everywhere:
            theirs = or_(mine, OptOut.contact_id == said.contact_id) if said.contact_id else mine
            await end_opt_outs(session, theirs, said.reply.door, said.now)
            return
        shared = said.reply.tenant is None
        doors = [said.reply.door, *([ANY_DOOR] if shared else [])]
        tenants = [*said.tenants, *([EVERY] if shared else [])]
        if shared and said.contact_id is not None:  # what was said before addresses were told apart
            mine = or_(mine, (OptOut.contact_id == said.contact_id) & OptOut.whole_person)
        channels = OptOut.channel.in_([family_of(said.reply.channel or "sms"), ANY_CHANNEL])
        which = mine & OptOut.tenant.in_(tenants) & OptOut.door.in_(doors) & channels
        await end_opt_outs(session, which, said.reply.door, said.now)

    async def _confirm(self, unit: Unit, command: Command, said: _Said) -> None:
        """One answer in the name of everybody concerned, through the account of the tenant if it is one."""
        senders = await senders_of(unit.session, said.tenants, self._sender)
        brands = _listed([*dict.fromkeys(senders[tenant].brand for tenant in said.tenants)])
        alone = said.tenants[0] if len(said.tenants) == 1 else INSTALLATION
        own = senders.get(alone, self._sender)
        await add_notice(
            unit,
            ANSWERS[command],
            notice_text(command, replace(own, brand=brands)),
            tenant=alone,
            address=said.address,
            channel=said.reply.channel or "sms",
            contact_id=said.contact_id,
            now=said.now,
        )

    async def _judge(self, session: AsyncSession, row: StoredReply, tenants: Sequence[str], now: datetime) -> None:
        """What a reply does to the trust of the installation, which nobody else's messages go by."""
        judgement = _judgement(row)
        if row.contact_id is not None and judgement is not None and {INSTALLATION, EVERY} & {row.tenant, *tenants}:
            await change_trust(session, row.contact_id, *judgement, now)  # after the message, as everybody locks


@dataclass(frozen=True, slots=True)
class _Said:
    """A reply, whose address it came from, and the tenants whom its command concerns."""

    reply: IncomingReply
    address: str
    contact_id: int | None
    tenants: Sequence[str]
    now: datetime


def _row_of(reply: IncomingReply, reading: CommandReading, address: str | None, now: datetime) -> StoredReply:
    said = reading.command is not None or reading.unsure
    return StoredReply(
        provider=reply.provider,
        door=reply.door,
        channel=reply.channel,
        provider_message_id=reply.provider_message_id,
        sender=address or reply.sender[:254],
        text=reply.text,
        received_at=min(reply.received_at or now, now).astimezone(UTC),
        command=reading.command,
        unsure=reading.unsure,
        sentiment_score=None if reading.command else sentiment_of(reply.text),
        rating=None if said else rating_of(reply.text),
        tenant=reply.tenant or INSTALLATION,
        created_at=now,
    )


async def _known(session: AsyncSession, reply: IncomingReply) -> Received | None:
    """What became of the reply when it came before."""
    row = await session.scalar(
        select(StoredReply).where(
            StoredReply.door == reply.door, StoredReply.provider_message_id == reply.provider_message_id
        )
    )
    return _received(row, duplicate=True) if row is not None else None


def _judgement(row: StoredReply) -> tuple[float, str] | None:
    """What a reply does to its sender's trust, and why."""
    if row.sentiment_score is None:
        return (OPTED_OUT, "opted out") if row.action_taken == "opted_out" else None
    if row.sentiment_score >= HELPFUL:
        return HELPFUL_REPLY, "helpful reply"
    return (UNHAPPY_REPLY, "unhappy reply") if row.sentiment_score <= UNHAPPY else (NEUTRAL_REPLY, "reply")


def _listed(brands: Sequence[str]) -> str:
    """`A, B and C`, and of many the first two."""
    if len(brands) > 3:
        return f"{brands[0]}, {brands[1]} and {len(brands) - 2} others"
    return " and ".join([", ".join(brands[:-1]), brands[-1]] if len(brands) > 1 else brands)


def _name(row: StoredReply) -> str | None:
    return f"{row.kind}-{row.message_id}" if row.kind else None


def _received(row: StoredReply, *, duplicate: bool) -> Received:
    return Received(
        id=row.id,
        duplicate=duplicate,
        action_taken=row.action_taken,
        command=Command(row.command) if row.command else None,
        contact_id=row.contact_id,
        message=_name(row),
        rating=row.rating,
        sentiment_score=row.sentiment_score,
        tenant=row.tenant,
        unsure=row.unsure,
    )
