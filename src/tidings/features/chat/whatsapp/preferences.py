"""What people told WhatsApp about a business's marketing messages, kept as opt-outs of that customer's promotions.

Meta tells it by the webhook user_preferences, and by error 131050 when such a message is sent all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from tidings.features.chat.models import ChatChannel
from tidings.messages.contacts.addresses import contacts_with
from tidings.messages.gate.opt_outs import (
    OptOut,
    OptOutRequest,
    Reach,
    Stops,
    add_opt_out,
    canonical,
    end_opt_outs,
)
from tidings.messages.tenants import EVERY, customer_tenant

SOURCE = "preference"


@dataclass(frozen=True, slots=True)
class Preference:
    """Whether somebody wants a customer's marketing messages by the number with this ID; `at` is UTC.

    `addresses` are the person's phone number (E.164) and user ID at WhatsApp, as far as they are known; `words` is
    how Meta puts it.
    """

    customer_id: int
    phone_number_id: str
    addresses: tuple[str, ...]
    wanted: bool
    at: datetime
    words: str | None = None

    @property
    def tenant(self) -> str:
        return customer_tenant(self.customer_id)

    @property
    def door(self) -> str:
        return f"{ChatChannel.WHATSAPP_CLOUD}:{self.tenant}:{self.phone_number_id}"


async def take_preferences(session: AsyncSession, preferences: Iterable[Preference], reach: Reach) -> None:
    """Keeps them in the caller's transaction, in the order in which they were told; what is outdated changes nothing.

    Raises IntegrityError when somebody else says the same right now.
    """
    for one in sorted(preferences, key=lambda one: one.at):
        for address in dict.fromkeys(one.addresses):
            await _take(session, one, address, reach)


async def note_refusals(connection: AsyncConnection, preferences: Iterable[Preference], reach: Reach) -> None:
    """The same within the transaction of a connection, where who says it first has said it for everybody."""
    for one in preferences:
        try:
            async with AsyncSession(connection, join_transaction_mode="create_savepoint") as session, session.begin():
                await take_preferences(session, [one], reach)
        except IntegrityError:
            continue


async def _take(session: AsyncSession, one: Preference, address: str, reach: Reach) -> None:
    mine = (
        (OptOut.address == canonical(address))
        & (OptOut.door == one.door)
        & OptOut.tenant.in_([one.tenant, EVERY])
        & (OptOut.stops == Stops.PROMOTIONAL)
    )
    if one.wanted:
        await end_opt_outs(session, mine & (OptOut.opted_out_at <= one.at), one.door, one.at)
        return
    later = select(OptOut.id).where(mine, OptOut.ended_at > one.at).limit(1)
    if await session.scalar(later) is not None:  # Meta tells things again that it has told before
        return
    contact_ids = await contacts_with(session, address)
    word = OptOutRequest(
        address,
        one.door,
        SOURCE,
        words=one.words,
        stops=Stops.PROMOTIONAL,
        contact_id=contact_ids[0] if contact_ids else None,
    )
    for request in reach.requests([one.tenant], ChatChannel.WHATSAPP_CLOUD, word):
        await add_opt_out(session, request, one.at)
