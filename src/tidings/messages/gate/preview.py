"""What the gate would say, for those who want to know before they write: nobody is let out, and no place is taken."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.messages.gate.consents import find_consents
from tidings.messages.gate.opt_outs import find_opt_outs
from tidings.messages.gate.policy import Decision, Standing, decide
from tidings.messages.gate.rules import Rules
from tidings.messages.gate.standing import Admission, word_about
from tidings.messages.gate.trust import trust_of
from tidings.messages.kind import Message
from tidings.messages.tenants import rules_of


async def preview_decisions(
    session: AsyncSession, messages: Sequence[Message], rules: Rules, at: datetime
) -> list[Decision]:
    """What would be decided about each message at its scheduled time, in turn.

    It goes by what is known of the recipients; of their places in the frequency caps those count that are held at
    `at` (UTC), not those that other messages, or others of these, will take. Nothing is written.
    """
    by_tenant = await rules_of(session, {message.tenant for message in messages}, rules)
    window = max(one.longest_window for one in by_tenant.values())
    standings = await _read_standings(session, messages, at, window)
    return [
        decide(message, standing, by_tenant[message.tenant], message.scheduled_time)
        for message, standing in zip(messages, standings, strict=True)
    ]


async def _read_standings(
    session: AsyncSession, messages: Sequence[Message], at: datetime, window: timedelta
) -> list[Standing]:
    contacts = {message.contact_id for message in messages if message.contact_id is not None}
    opt_outs = await find_opt_outs(session, {message.address for message in messages if message.address}, contacts)
    consents = await find_consents(session, contacts)
    trust = await trust_of(session, contacts) if any(one.terms.min_trust is not None for one in messages) else {}
    admitted: defaultdict[tuple[int, str], list[datetime]] = defaultdict(list)
    if window:
        rows = await session.execute(
            select(Admission.contact_id, Admission.tenant, Admission.at)
            .where(Admission.contact_id.in_(sorted(contacts)), Admission.at > at - window)
            .order_by(Admission.at)
        )
        for contact_id, tenant, taken_at in rows:
            admitted[contact_id, tenant].append(taken_at)
    return [
        Standing(
            *opt_outs.about(message),
            consent=word_about(consents, message),
            trust=trust.get(message.contact_id or 0),
            admitted=tuple(admitted.get((message.contact_id or 0, message.tenant), ())),
        )
        for message in messages
    ]
