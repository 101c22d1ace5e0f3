"""What the gate knows about the people it decides about, read for many messages in a few statements.

Frequency caps hold across all features and processes: a promotional message that is let out takes a place
(a row of `admissions`) in the transaction that claims it, while nobody else counts its contact's places
(`hold_caps`). A message that did not leave gives its place back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sqlalchemy import Index, Integer, String, bindparam, delete, func, insert, literal_column, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId
from tidings.messages.gate.consents import ConsentWords, find_consents
from tidings.messages.gate.opt_outs import canonical, family_of, find_opt_outs
from tidings.messages.gate.policy import Decision, Send, Standing, decide
from tidings.messages.gate.rules import LONGEST_WINDOW, Rules
from tidings.messages.gate.terms import ConsentNeed, Purpose
from tidings.messages.gate.trust import trust_of
from tidings.messages.kind import Message
from tidings.messages.tenants import INSTALLATION, rules_of


class Admission(Base):
    """A promotional message's place in its contact's frequency caps, taken when it was let out.

    Places are counted apart for each tenant.
    """

    __tablename__ = "admissions"
    __table_args__ = (Index(None, "contact_id", "at"), Index(None, "at"))

    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    message_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    contact_id: Mapped[int] = mapped_column(BigId)
    tenant: Mapped[str] = mapped_column(String(64), default=INSTALLATION)
    at: Mapped[datetime]


_Places = dict[tuple[int, str], list[tuple[str, int, datetime]]]
"""Kind, id and moment of the messages that were let out, for each contact and tenant."""


async def admit(
    connection: AsyncConnection, kind: str, messages: Sequence[Message], rules: Rules, now: datetime
) -> dict[int, Decision]:
    """The decision about each message (by its id), and the places of those let out, in the caller's transaction.

    `rules` are the installation's.
    """
    by_tenant = await rules_of(connection, {message.tenant for message in messages}, rules)
    capped = [message for message in messages if by_tenant[message.tenant].caps and is_capped(message)]
    if capped:
        await hold_caps(connection, _ids(capped))
    opt_outs = await find_opt_outs(
        connection,
        {message.address for message in messages if message.address},
        {message.contact_id for message in messages if message.contact_id is not None},
    )
    asked = _ids(message for message in messages if message.terms.consent is not ConsentNeed.NONE)
    consents = await find_consents(connection, asked) if asked else ConsentWords()
    judged = _ids(message for message in messages if message.terms.min_trust is not None)
    trust = await trust_of(connection, judged) if judged else {}
    admitted = await _admitted(connection, _ids(capped), now) if capped else {}
    await _give_back(connection, kind, [message.id for message in capped])

    numbers = {message.id for message in capped}
    decisions: dict[int, Decision] = {}
    places: list[dict[str, object]] = []
    for message in messages:
        who = (message.contact_id or 0, message.tenant)
        theirs = admitted.setdefault(who, [])
        opted_out_since, unsure_since = opt_outs.about(message)
        since = now - by_tenant[message.tenant].longest_window
        standing = Standing(
            opted_out_since=opted_out_since,
            unsure_since=unsure_since,
            consent=word_about(consents, message),
            trust=trust.get(who[0]),
            admitted=tuple(
                sorted(at for name, number, at in theirs if at > since and (name, number) != (kind, message.id))
            ),
        )
        decision = decide(message, standing, by_tenant[message.tenant], now)
        decisions[message.id] = decision
        if isinstance(decision, Send) and message.id in numbers:
            theirs.append((kind, message.id, now))
            contact_id, tenant = who
            places.append(
                {"kind": kind, "message_id": message.id, "contact_id": contact_id, "tenant": tenant, "at": now}
            )
    if places:
        await connection.execute(insert(Admission), places)
    return decisions


def word_about(consents: ConsentWords, message: Message) -> bool | None:
    """What the recipient said to the message's tenant about its channel and its address."""
    address = canonical(message.address) if message.address else None
    return consents.granted(message.contact_id, family_of(message.channel), message.tenant, address)


async def hold_caps(connection: AsyncConnection | AsyncSession, contact_ids: Collection[int]) -> None:
    """Has whoever counts places of the contacts take turns until the transaction ends; in one order for everybody.

    The rows of the contacts stay free: whoever changes a thousand people keeps no message to one of them waiting.
    SQLite has one writer anyway.
    """
    bind = connection.bind if isinstance(connection, AsyncSession) else connection
    assert bind is not None
    if bind.dialect.name == "postgresql" and contact_ids:
        await connection.execute(_HOLDING, {"numbers": sorted({one & _INTEGER for one in contact_ids})})


_CAPS = int.from_bytes(b"caps")
"""Which of PostgreSQL's advisory locks are those of contacts' caps; the second number is the contact's."""

_INTEGER = 2**31 - 1
"""That number has 31 bits. Two contacts who share one take turns as well, which harms nobody."""

_HOLDING = select(
    func.pg_advisory_xact_lock(
        literal_column(str(_CAPS)), func.unnest(bindparam("numbers", type_=ARRAY(Integer))).column_valued("number")
    )
)


async def settle_places(
    connection: AsyncConnection, kind: str, left: Sequence[Message], stayed: Sequence[Message], now: datetime
) -> None:
    """Dates the places of messages that have left, and frees those of messages that have not."""
    if gone := [message.id for message in left if is_capped(message)]:
        await connection.execute(
            update(Admission).where(Admission.kind == kind, Admission.message_id.in_(sorted(gone))).values(at=now)
        )
    await _give_back(connection, kind, [message.id for message in stayed if is_capped(message)])


async def _give_back(connection: AsyncConnection, kind: str, ids: Sequence[int]) -> None:
    if ids:
        await connection.execute(
            delete(Admission).where(Admission.kind == kind, Admission.message_id.in_(sorted(ids)))
        )


def is_capped(message: Message) -> bool:
    """Whether a message takes a place in its contact's caps, where there are any."""
    return message.terms.purpose is Purpose.PROMOTIONAL and message.contact_id is not None


def _ids(messages: Iterable[Message]) -> set[int]:
    return {message.contact_id for message in messages if message.contact_id is not None}


async def _admitted(connection: AsyncConnection, contact_ids: Collection[int], now: datetime) -> _Places:
    theirs = Admission.contact_id.in_(sorted(contact_ids))
    # Those count in nobody's cap any more.
    await connection.execute(delete(Admission).where(theirs, Admission.at <= now - LONGEST_WINDOW))
    rows = await connection.execute(
        select(Admission.contact_id, Admission.tenant, Admission.kind, Admission.message_id, Admission.at).where(
            theirs
        )
    )
    found: _Places = {}
    for contact_id, tenant, kind, message_id, at in rows:
        found.setdefault((contact_id, tenant), []).append((kind, message_id, at))
    return found
