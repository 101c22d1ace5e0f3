"""What the gate knows about recipients, read without taking places in their frequency caps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.messages.gate.consents import find_consents
from tidings.messages.gate.opt_outs import find_opt_outs
from tidings.messages.gate.policy import Rules, Standing
from tidings.messages.gate.standing import Admission
from tidings.messages.kind import Letter


async def read_standings(
    session: AsyncSession, letters: Sequence[Letter], rules: Rules, now: datetime
) -> list[Standing]:
    """The standing of each letter's recipient at `now`, in turn."""
    contacts = {letter.contact_id for letter in letters if letter.contact_id is not None}
    opt_outs = await find_opt_outs(session, {letter.address for letter in letters if letter.address}, contacts)
    consents = await find_consents(session, contacts)
    admitted: defaultdict[tuple[int, str], list[datetime]] = defaultdict(list)
    if rules.caps:
        rows = await session.execute(
            select(Admission.contact_id, Admission.scope, Admission.at)
            .where(Admission.contact_id.in_(sorted(contacts)), Admission.at > now - rules.longest_window)
            .order_by(Admission.at)
        )
        for contact_id, scope, at in rows:
            admitted[contact_id, scope].append(at)
    return [
        Standing(
            opted_out_since=opt_outs.since(letter.address, letter.contact_id),
            consent=consents.get((letter.contact_id or 0, letter.channel, letter.scope)),
            admitted=tuple(admitted.get((letter.contact_id or 0, letter.scope), ())),
        )
        for letter in letters
    ]
