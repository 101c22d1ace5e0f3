"""Silence costs trust: whoever leaves a message unanswered for a week is written to less readily."""

from __future__ import annotations

from sqlalchemy import select

from tidings.features.proactive.models import ProactiveMessage
from tidings.features.proactive.safeguards import SILENCE_COST
from tidings.log import get_logger
from tidings.messages.gate.trust import change_trust
from tidings.messages.inbound.stored import last_replies
from tidings.work import Work

log = get_logger(__name__)


async def count_silence(work: Work) -> int:
    """Takes trust for every message whose week without an answer is over, once each; returns how many there were.

    Any reply since the message was sent is an answer, to whatever message it came.
    """
    now = work.clock.now()
    due = (
        select(ProactiveMessage.id).where(ProactiveMessage.silence_due <= now).order_by(ProactiveMessage.silence_due)
    )
    async with work.read() as session:
        ids = (await session.scalars(due)).all()
    return sum([await _count(work, message_id) for message_id in ids])


async def _count(work: Work, message_id: int) -> bool:
    """One transaction a message: its row is locked before its contact's trust, as everybody does it."""
    now = work.clock.now()
    async with work.begin() as unit:
        row = await unit.session.scalar(
            select(ProactiveMessage)
            .where(ProactiveMessage.id == message_id, ProactiveMessage.silence_due <= now)
            .with_for_update(skip_locked=True)
        )
        if row is None:
            return False
        row.silence_due = None
        replied = (await last_replies(unit.session, [row.contractor_id])).get(row.contractor_id)
        if row.contractor_response is not None or (replied and row.sent_at and replied >= row.sent_at):
            return False
        await unit.session.flush()
        trust = await change_trust(unit.session, row.contractor_id, -SILENCE_COST, "silence", now)
        log.info("silence counted", message_id=row.id, contractor_id=row.contractor_id, trust=trust)
        return True
