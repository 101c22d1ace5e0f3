"""What the gate would say, for those who want to know before they write: nobody is let out, and no place is taken."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.messages.gate.consents import find_consents
from tidings.messages.gate.opt_outs import find_opt_outs
from tidings.messages.gate.policy import Decision, Rules, Standing, decide
from tidings.messages.gate.standing import Admission
from tidings.messages.gate.trust import trust_of
from tidings.messages.kind import Message


async def preview_decisions(
    session: AsyncSession, messages: Sequence[Message], rules: Rules, at: datetime
) -> list[Decision]:
    """What would be decided about each message at its scheduled time, in turn.

    It goes by what is known of the recipients; of their places in the frequency caps those count that are held at
    `at` (UTC), not those that other messages, or others of these, will take. Nothing is written.
    """
    standings = await _read_standings(session, messages, rules, at)
    return [
        decide(message, standing, rules, message.scheduled_time)
        for message, standing in zip(messages, standings, strict=True)
    ]


async def _read_standings(
    session: AsyncSession, messages: Sequence[Message], rules: Rules, at: datetime
) -> list[Standing]:
    contacts = {message.contact_id for message in messages if message.contact_id is not None}
    opt_outs = await find_opt_outs(session, {message.address for message in messages if message.address}, contacts)
    consents = await find_consents(session, contacts)
    trust = await trust_of(session, contacts) if any(one.terms.min_trust is not None for one in messages) else {}
    admitted: defaultdict[tuple[int, str], list[datetime]] = defaultdict(list)
    if rules.caps:
        rows = await session.execute(
            select(Admission.contact_id, Admission.scope, Admission.at)
            .where(Admission.contact_id.in_(sorted(contacts)), Admission.at > at - rules.longest_window)
            .order_by(Admission.at)
        )
        for contact_id, scope, taken_at in rows:
            admitted[contact_id, scope].append(taken_at)
    return [
        Standing(
            opted_out_since=opt_outs.since(message.address, message.contact_id),
            consent=consents.get((message.contact_id or 0, message.channel, message.scope)),
            trust=trust.get(message.contact_id or 0),
            admitted=tuple(admitted.get((message.contact_id or 0, message.scope), ())),
        )
        for message in messages
    ]
