"""The one door for replies, from whatever provider.

Reply → the address → whose message it answers → its feature. Everything about one reply happens in one
transaction, and a provider may deliver the same reply as often as it likes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b

from sqlalchemy import Select, or_, select
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
    find_opt_outs,
    parse_address,
)
from tidings.messages.gate.trust import HELPFUL_REPLY, NEUTRAL_REPLY, OPTED_OUT, UNHAPPY_REPLY, change_trust
from tidings.messages.inbound.concerned import find_answered, find_concerned, find_referred
from tidings.messages.inbound.keywords import Command, CommandReading, read_aside
from tidings.messages.inbound.notices import ANSWERS, NoticeType, add_notice, holds_text, notice_text
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
            reply = await _told_apart(session, reply, address)
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
        referred = await find_referred(session, reply, self._kinds, address, contact_ids)
        answered = referred or await find_answered(
            session, reply, self._kinds, address, contact_ids, row.rating, self._work.clock
        )
        tenants = await find_concerned(session, reply, address, referred)
        if answered is not None:
            row.contact_id = answered.contact_id or row.contact_id
            if row.command is not None or row.unsure:  # the message before the opt-out, as everybody locks
                await session.get(self._kinds[answered.kind].model, answered.message_id, with_for_update=True)
        row.tenant = (answered.tenant or INSTALLATION) if answered is not None else tenants[0]
        if row.command == Command.HELP:
            tenants = [row.tenant]
        said = _Said(reply, address, row.contact_id, tenants, now, row.received_at)
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
                said = _Said(reply, address, row.contact_id, [row.tenant], now, row.received_at)
                await self._end(unit.session, said)
                if held := await self._holding(unit.session, said):
                    await self._say_it_holds(unit, said, held)
                    return True
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
                new = [await add_opt_out(session, word, said.at) for word in self._words(said, Stops.ALL)]
                if not any(new):
                    return "opted_out_already"  # the first one was confirmed, and one confirmation is all
                action = "opted_out"
            case Command.START:
                await self._end(session, said)
                held = await self._holding(session, said)
                action = "opted_in" if not held else "still_opted_out"
                if held and not said.reply.answered:
                    await self._say_it_holds(unit, said, held)
                    return action
            case Command.HELP:
                action = "help_sent"
        if not said.reply.answered:
            await self._confirm(unit, command, said)
        return action

    async def _hold(self, session: AsyncSession, said: _Said) -> None:
        for word in self._words(said, Stops.UNSURE):
            await add_opt_out(session, word, said.at)

    def _words(self, said: _Said, stops: Stops) -> list[OptOutRequest]:
        """What a reply says about each tenant that it concerns."""
        reply = said.reply
        word = OptOutRequest(
            said.address, reply.door, "reply", words=reply.text, stops=stops, contact_id=said.contact_id
        )
        return self._reach.requests(said.tenants, reply.channel or "sms", word)

    async def _end(self, session: AsyncSession, said: _Said) -> None:
        """Ends what was said before to the same tenants by the same door; where all are one brand, whatever holds."""
        mine = OptOut.address == canonical(said.address)
        if self._reach.everywhere:
            theirs = or_(mine, OptOut.contact_id == said.contact_id) if said.contact_id else mine
            await end_opt_outs(session, theirs & (OptOut.opted_out_at <= said.at), said.reply.door, said.now)
            return
        shared = said.reply.tenant is None
        doors = [said.reply.door, *([ANY_DOOR] if shared else [])]
        tenants = [*said.tenants, *([EVERY] if shared else [])]
        if shared and said.contact_id is not None:  # what was said before addresses were told apart
            mine = or_(mine, (OptOut.contact_id == said.contact_id) & OptOut.whole_person)
        channels = OptOut.channel.in_([family_of(said.reply.channel or "sms"), ANY_CHANNEL])
        which = (
            mine & (OptOut.opted_out_at <= said.at) & OptOut.tenant.in_(tenants) & OptOut.door.in_(doors) & channels
        )
        await end_opt_outs(session, which, said.reply.door, said.now)

    async def _holding(self, session: AsyncSession, said: _Said) -> list[str]:
        """Those of the tenants from whom the address still gets nothing, as that was said in another way."""
        contact_ids = [said.contact_id] if said.contact_id is not None else []
        found = await find_opt_outs(session, [said.address], contact_ids)
        channel = said.reply.channel or "sms"
        return [one for one in said.tenants if found.since(said.address, said.contact_id, one, channel)[0]]

    async def _say_it_holds(self, unit: Unit, said: _Said, tenants: Sequence[str]) -> None:
        """Nobody is told that they are subscribed who gets nothing."""
        senders = await senders_of(unit.session, tenants, self._sender)
        brands = _listed([*dict.fromkeys(senders[one].brand for one in tenants)])
        alone = tenants[0] if len(tenants) == 1 else INSTALLATION
        own = replace(senders.get(alone, self._sender), brand=brands)
        await add_notice(
            unit,
            NoticeType.OPT_OUT_HOLDS,
            holds_text(own),
            tenant=alone,
            address=said.address,
            channel=said.reply.channel or "sms",
            contact_id=said.contact_id,
            now=said.now,
        )

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
    """A reply, whose address it came from, the tenants whom its command concerns, and when it was said (`at`)."""

    reply: IncomingReply
    address: str
    contact_id: int | None
    tenants: Sequence[str]
    now: datetime
    at: datetime


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


async def _told_apart(session: AsyncSession, reply: IncomingReply, address: str | None) -> IncomingReply:
    """The reply under an id of its own, when its provider has given the id of another sender's or another text's."""
    present = await session.scalar(_of_id(reply))
    if present is None or (present.sender, present.text) == (address or reply.sender[:254], reply.text):
        return reply
    content = blake2b(f"{reply.sender}\0{reply.text}".encode(errors="surrogatepass"), digest_size=8).hexdigest()
    return replace(reply, provider_message_id=f"{reply.provider_message_id[:230]}#{content}")


def _of_id(reply: IncomingReply) -> Select[StoredReply]:
    return select(StoredReply).where(
        StoredReply.door == reply.door, StoredReply.provider_message_id == reply.provider_message_id
    )


async def _known(session: AsyncSession, reply: IncomingReply) -> Received | None:
    """What became of the reply when it came before."""
    row = await session.scalar(_of_id(reply))
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
