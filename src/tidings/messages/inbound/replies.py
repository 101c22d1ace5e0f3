"""The one door for replies, from whatever provider.

Reply → the person → the message that it answers → its feature. Everything about one reply happens in one
transaction, and a provider may deliver the same reply as often as it likes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.log import get_logger
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.gate.opt_outs import add_opt_out, end_opt_outs, parse_address
from tidings.messages.gate.trust import HELPFUL_REPLY, NEUTRAL_REPLY, OPTED_OUT, UNHAPPY_REPLY, change_trust
from tidings.messages.inbound.keywords import Command, command_of
from tidings.messages.inbound.notices import ANSWERS, NOTICE_KIND, NoticeTexts, add_notice
from tidings.messages.inbound.ratings import rating_of
from tidings.messages.inbound.sentiment import sentiment_of
from tidings.messages.inbound.stored import StoredReply
from tidings.messages.kind import Kinds, Reply
from tidings.messages.ledger import HANDED_OVER, LedgerEntry
from tidings.work import Unit, Work

log = get_logger(__name__)

ANSWERABLE = timedelta(days=14)
"""How long after a message left a reply without a reference is taken for an answer to it."""

LATEST = 20
"""How many of a person's latest messages a rating is compared with."""

HELPFUL, UNHAPPY = 0.05, -0.4
"""Sentiment scores: from HELPFUL on a reply is welcome (VADER's threshold), up to UNHAPPY a person should look."""


@dataclass(frozen=True, slots=True)
class IncomingReply:
    """A reply as a provider tells it.

    `provider_message_id` is the provider's id of the reply itself, `in_reply_to` its id of the message that
    was answered, when it knows. `received_at` is UTC. `channel` is set by a feature that answers STOP, START and
    HELP itself, on the channel that they came by; then `sender` is taken as it stands.
    """

    provider: str
    provider_message_id: str
    sender: str
    text: str
    received_at: datetime | None = None
    in_reply_to: str | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a reply. `message` is the one that it answers (`event-message-123`), if there is one."""

    id: int
    duplicate: bool
    action_taken: str
    command: Command | None
    contact_id: int | None
    message: str | None
    rating: int | None
    sentiment_score: float | None


class Replies:
    """Takes in what people answer to messages of `kinds`. `region` is where numbers without + are read."""

    def __init__(self, work: Work, kinds: Kinds, texts: NoticeTexts, *, region: str) -> None:
        self._work = work
        self._kinds = kinds
        self._wording = texts
        self._region = region

    async def receive(self, reply: IncomingReply) -> Received:
        """Takes in one reply: carries out STOP, START and HELP, and gives every other one to its kind.

        A reply that is known already changes nothing. Raises InvalidInput when the sender is no phone number
        or mail address.
        """
        sender = reply.sender if reply.channel else parse_address(reply.sender, self._region)

        async def take_in(unit: Unit) -> Received:
            # The same reply, or the same person's first one, may come at the same moment.
            return await _known(unit.session, reply) or await self._take_in(unit, reply, sender)

        async with self._work.read() as session:
            if (known := await _known(session, reply)) is not None:
                return known
        return await self._work.retry(take_in)

    async def _take_in(self, unit: Unit, reply: IncomingReply, sender: str) -> Received:
        session, now = unit.session, self._work.clock.now()
        command, sentiment, rating = command_of(reply.text), sentiment_of(reply.text), rating_of(reply.text)
        column = Contractor.email if "@" in sender else Contractor.phone
        contact_id = await session.scalar(select(Contractor.id).where(column == sender))
        row = StoredReply(
            provider=reply.provider,
            provider_message_id=reply.provider_message_id,
            sender=sender,
            contact_id=contact_id,
            text=reply.text,
            received_at=min(reply.received_at or now, now).astimezone(UTC),
            command=command,
            sentiment_score=None if command else sentiment,
            rating=None if command else rating,
            created_at=now,
        )
        session.add(row)
        await session.flush()
        answered = await self._answered(session, reply, contact_id, row.rating, now)
        if command is None:
            row.action_taken = "needs_person" if sentiment <= UNHAPPY else "reply_recorded"
        else:
            if answered is not None:  # the message before the opt-out, as everybody locks
                await session.get(self._kinds[answered.kind].model, answered.message_id, with_for_update=True)
            row.action_taken = await self._obey(unit, command, reply, sender, contact_id, now)
        if answered is not None:
            row.kind, row.message_id = answered.kind, answered.message_id
            content = Reply(reply.text, row.received_at, sentiment, row.rating, command, row.action_taken)
            done = await self._kinds[answered.kind].on_reply(session, answered.message_id, content)
            row.action_taken = done or row.action_taken
        judgement = _judgement(row)
        if contact_id is not None and judgement is not None:
            await change_trust(session, contact_id, *judgement, now)  # after the message's row, as everybody locks
        log.info("reply taken in", sender=sender, action=row.action_taken, answers=_name(row))
        return _received(row, duplicate=False)

    async def _obey(
        self, unit: Unit, command: Command, reply: IncomingReply, sender: str, contact_id: int | None, now: datetime
    ) -> str:
        session = unit.session
        match command:
            case Command.STOP:
                new = await add_opt_out(session, sender, contact_id, now, source="reply", words=reply.text)
                if not new:
                    return "opted_out_already"  # the first one was confirmed, and one confirmation is all
                action = "opted_out"
            case Command.START:
                await end_opt_outs(session, sender, contact_id, now)
                action = "opted_in"
            case Command.HELP:
                action = "help_sent"
        if reply.channel is None:
            await add_notice(unit, ANSWERS[command], self._wording, sender, contact_id, now)
        return action

    async def _answered(
        self, session: AsyncSession, reply: IncomingReply, contact_id: int | None, rating: int | None, now: datetime
    ) -> LedgerEntry | None:
        """The message that a reply answers: the one it refers to, else the person's latest one.

        A rating answers the latest message that asked for one.
        """
        sent = select(LedgerEntry).where(
            LedgerEntry.outcome.in_(HANDED_OVER), LedgerEntry.kind.in_(list(self._kinds))
        )
        if reply.in_reply_to:
            named = sent.where(LedgerEntry.provider_message_id == reply.in_reply_to)
            if found := await session.scalar(named.order_by(LedgerEntry.id.desc()).limit(1)):
                return found
        if contact_id is None:
            return None
        recent = sent.where(
            LedgerEntry.contact_id == contact_id, LedgerEntry.at > now - ANSWERABLE, LedgerEntry.kind != NOTICE_KIND
        )
        lines = (
            await session.scalars(recent.order_by(LedgerEntry.at.desc(), LedgerEntry.id.desc()).limit(LATEST))
        ).all()
        if rating is not None:
            asking = await self._asking(session, lines)
            lines = [line for line in lines if (line.kind, line.message_id) in asking] or lines
        return lines[0] if lines else None

    async def _asking(self, session: AsyncSession, lines: Sequence[LedgerEntry]) -> set[tuple[str, int]]:
        asking: set[tuple[str, int]] = set()
        for kind in {line.kind for line in lines}:
            ids = [line.message_id for line in lines if line.kind == kind]
            asking |= {(kind, one) for one in await self._kinds[kind].expects_rating(session, ids)}
        return asking


async def _known(session: AsyncSession, reply: IncomingReply) -> Received | None:
    """What became of the reply when it came before."""
    row = await session.scalar(
        select(StoredReply).where(
            StoredReply.provider == reply.provider,
            StoredReply.provider_message_id == reply.provider_message_id,
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
    )
