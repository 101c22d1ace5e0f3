"""Who wants no messages any more: by tenant, channel and address. docs/opt-outs.md says what STOP does, and why.

An opt-out belongs to an address, whoever reads there. With TIDINGS_OPT_OUTS=installation one brand stands behind all
tenants: then it holds for all of them, on every channel, and for the person's other addresses as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cache

from pydantic import validate_email
from sqlalchemy import ColumnElement, Dialect, ForeignKey, Index, Select, String, Text, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base, BigId
from tidings.db.batches import among
from tidings.db.prepared import Prepared
from tidings.db.rows import locked_ids
from tidings.errors import InvalidInput
from tidings.messages.contacts.numbers.phones import canonical_number, parse_phone, parse_provider_phone
from tidings.messages.contacts.numbers.written import is_whatsapp_id
from tidings.messages.gate.terms import Purpose
from tidings.messages.kind import Message
from tidings.messages.tenants import EVERY, INSTALLATION

ANY_CHANNEL = "*"


class Stops(StrEnum):
    """What an opt-out stops: every message, promotional ones, or nothing yet: it holds those back (`unsure`)."""

    ALL = "all"
    PROMOTIONAL = "promotional"
    UNSURE = "unsure"


class OptOut(Base):
    """An opt-out, valid from `opted_out_at` to `ended_at` (UTC; None: it holds). Rows stay for ever, as evidence.

    `tenant` and `channel` (sms, email, whatsapp) say whose messages it is about, `*` all of them. `address` is in its
    canonical form. `door` is by what it came in (`mitto:shop:3`, `api`), `source` in what way (`reply`, `api`,
    `unsubscribe`), `words` what the person wrote; `ended_by` is the door by which it ended. With `whole_person` it
    holds for every address of the contact.
    """

    __tablename__ = "opt_outs"
    __table_args__ = (
        Index(None, "contact_id"),
        Index(None, "address"),
        Index(None, "tenant", "id"),
        # Two STOPs at the same moment make one opt-out, and so one confirmation.
        Index(
            "ix_opt_outs_valid",
            *("address", "tenant", "channel", "stops", "door"),
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index(
            "ix_opt_outs_unsure",
            "id",
            sqlite_where=text("ended_at IS NULL AND stops = 'unsure'"),
            postgresql_where=text("ended_at IS NULL AND stops = 'unsure'"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64))
    channel: Mapped[str] = mapped_column(String(16))
    address: Mapped[str] = mapped_column(String(254))
    stops: Mapped[str] = mapped_column(String(16), default=Stops.ALL)
    whole_person: Mapped[bool] = mapped_column(default=False)
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contractors.id"), default=None)
    opted_out_at: Mapped[datetime]
    door: Mapped[str] = mapped_column(String(300))
    source: Mapped[str] = mapped_column(String(32))
    words: Mapped[str | None] = mapped_column(Text, default=None)
    ended_at: Mapped[datetime | None] = mapped_column(default=None)
    ended_by: Mapped[str | None] = mapped_column(String(300), default=None)


_HOLDS = OptOut.ended_at.is_(None)


@dataclass(frozen=True, slots=True)
class OptOutRequest:
    """What somebody said about an address: whose messages it is about, and how we learnt of it."""

    address: str
    door: str
    source: str
    tenant: str = EVERY
    channel: str = ANY_CHANNEL
    words: str | None = None
    stops: Stops = Stops.ALL
    contact_id: int | None = None
    whole_person: bool = False


@dataclass(frozen=True, slots=True)
class Reach:
    """Whom a word concerns that is said to one tenant (`TIDINGS_OPT_OUTS`): that tenant, or with `everywhere` all."""

    everywhere: bool = False

    def requests(self, tenants: Iterable[str], channel: str, word: OptOutRequest) -> list[OptOutRequest]:
        """The word as it is stored: for each of the tenants on this channel, or once for all of them on every one."""
        word = replace(word, address=canonical(word.address))
        if self.everywhere:
            return [replace(word, tenant=EVERY, channel=ANY_CHANNEL, whole_person=True)]
        return [replace(word, tenant=tenant, channel=family_of(channel)) for tenant in tenants]


class OptOuts:
    """The opt-outs that hold for some addresses and contacts."""

    def __init__(self, rows: Sequence[Mapping[str, object]]) -> None:
        self._by_address: dict[str, list[Mapping[str, object]]] = {}
        self._by_contact: dict[int, list[Mapping[str, object]]] = {}
        for row in rows:
            self._by_address.setdefault(str(row["address"]), []).append(row)
            if row["whole_person"] and isinstance(row["contact_id"], int):
                self._by_contact.setdefault(row["contact_id"], []).append(row)

    def __bool__(self) -> bool:
        return bool(self._by_address)

    def about(self, message: Message) -> tuple[datetime | None, datetime | None]:
        """Since when (UTC) an opt-out stops this message, and since when it may be meant to; None: it does not.

        The first is for messages of this purpose, tenant and channel; the second only holds promotional ones.
        """
        promotional = message.terms.purpose is Purpose.PROMOTIONAL
        return self.since(
            message.address, message.contact_id, message.tenant, message.channel, promotional=promotional
        )

    def since(
        self, address: str | None, contact_id: int | None, tenant: str, channel: str, *, promotional: bool = False
    ) -> tuple[datetime | None, datetime | None]:
        """The same for whoever has no message in hand."""
        if not self._by_address:
            return None, None
        stopped: datetime | None = None
        unsure: datetime | None = None
        found = self._by_address.get(canonical(address), ()) if address else ()
        for row in (*found, *(self._by_contact.get(contact_id, ()) if contact_id is not None else ())):
            if row["tenant"] not in (tenant, EVERY) or row["channel"] not in (family_of(channel), ANY_CHANNEL):
                continue
            at = row["opted_out_at"]
            assert isinstance(at, datetime)
            if row["stops"] == Stops.UNSURE:
                unsure = at if promotional else unsure
            elif promotional or row["stops"] == Stops.ALL:
                stopped = stopped or at
        return stopped, unsure


def family_of(channel: str) -> str:
    """The channel as people see it: both ways to WhatsApp are one."""
    return "whatsapp" if channel.startswith("whatsapp") else channel


def channel_of(address: str) -> str:
    """The channel by which an address is written to, where nothing else is known."""
    return "email" if "@" in address else "sms"


def canonical(address: str) -> str:
    """The form in which addresses are compared: of a number that carriers write in two ways, the one."""
    return canonical_number(address) if address.startswith("+") else address


def parse_address(raw: str, region: str, *, provider: bool = False) -> str:
    """A phone number as E.164, or a mail address in lower case, also from `Ada Abara <ada@example.com>`.

    A number without + is read as people in `region` write it, or with `provider` as providers do: internationally.
    Raises InvalidInput with a sentence for anything else.
    """
    if "@" not in raw or is_whatsapp_id(raw):
        return (parse_provider_phone if provider else parse_phone)(raw, region)
    try:
        return validate_email(raw.strip())[1].lower()
    except ValueError as error:
        raise InvalidInput("address", f"{raw[:80]!r} is no mail address; write one like ada@example.com") from error


_COLUMNS = (
    *(OptOut.address, OptOut.contact_id, OptOut.whole_person, OptOut.tenant, OptOut.channel, OptOut.stops),
    OptOut.opted_out_at,
)


async def find_opt_outs(
    connection: AsyncConnection | AsyncSession, addresses: Collection[str], contact_ids: Collection[int]
) -> OptOuts:
    """The opt-outs that hold now for any of the addresses or contacts, found in one statement."""
    bind = connection.bind if isinstance(connection, AsyncSession) else connection
    assert bind is not None
    values = {"addresses": sorted({canonical(one) for one in addresses}), "contact_ids": sorted(contact_ids)}
    if isinstance(connection, AsyncConnection) and bind.dialect.name == "postgresql":
        return OptOuts(await _prepared(bind.dialect).fetch(connection, **values))
    rows = await connection.execute(_holding(bind.dialect.name), values)
    return OptOuts([dict(row) for row in rows.mappings()])


@cache
def _prepared(dialect: Dialect) -> Prepared:
    return Prepared(_holding(dialect.name), dialect)


@cache
def _holding(dialect: str) -> Select[str, int | None, bool, str, str, str, datetime]:
    return select(*_COLUMNS).where(
        _HOLDS,
        or_(
            among(OptOut.__table__.c.address, "addresses", dialect),
            among(OptOut.__table__.c.contact_id, "contact_ids", dialect),
        ),
    )


async def opted_out_among(
    session: AsyncSession, contacts: Mapping[int, tuple[str, str]], tenant: str, *, promotional: bool
) -> set[int]:
    """Those of the contacts (id → channel, address) who get nothing of this tenant there now, or may have said so."""
    found = await find_opt_outs(session, {address for _, address in contacts.values()}, contacts.keys())
    return {
        contact_id
        for contact_id, (channel, address) in contacts.items()
        if any(found.since(address, contact_id, tenant, channel, promotional=promotional))
    }


async def add_opt_out(session: AsyncSession, word: OptOutRequest, now: datetime) -> bool:
    """Opts out in the caller's transaction; False when nothing more is stopped by it than before.

    What is said by another door is kept as well, since each ends by itself. Who was unsure is not any more, unless
    the word is about promotions only. Raises IntegrityError at the flush when somebody else does the same right
    now.
    """
    mine = (_HOLDS, OptOut.address == word.address, OptOut.tenant == word.tenant, OptOut.channel == word.channel)
    rows = (await session.scalars(select(OptOut).where(*mine).order_by(OptOut.id).with_for_update())).all()
    if word.stops is Stops.UNSURE and any(row.stops in (Stops.ALL, Stops.UNSURE) for row in rows):
        return False
    for row in rows:
        if row.stops == Stops.UNSURE and word.stops is Stops.ALL:
            row.ended_at, row.ended_by = now, word.door
    stopped = [row for row in rows if row.stops in (Stops.ALL, word.stops)]
    if (present := next((row for row in stopped if row.door == word.door), None)) is not None:
        present.contact_id = present.contact_id or word.contact_id
        return False
    session.add(
        OptOut(
            tenant=word.tenant,
            channel=word.channel,
            address=word.address,
            stops=word.stops,
            whole_person=word.whole_person,
            contact_id=word.contact_id,
            opted_out_at=now,
            door=word.door,
            source=word.source,
            words=(word.words or "")[:1000],
        )
    )
    await session.flush()
    return not stopped


async def end_opt_outs(session: AsyncSession, which: ColumnElement[bool], by: str, now: datetime) -> int:
    """Ends those that hold, in the caller's transaction; returns how many. `by` is the door that says so."""
    ended = await session.execute(
        update(OptOut)
        .where(OptOut.id.in_(locked_ids(OptOut, _HOLDS, which)))
        .values(ended_at=now, ended_by=by)
        .returning(OptOut.id)
    )
    return len(ended.all())


async def history_of(session: AsyncSession, contact_id: int, addresses: Iterable[str | None]) -> Sequence[OptOut]:
    """Every opt-out of a contact and of their addresses, the ended ones included, oldest first."""
    theirs = or_(OptOut.contact_id == contact_id, OptOut.address.in_([canonical(one) for one in addresses if one]))
    return (await session.scalars(select(OptOut).where(theirs).order_by(OptOut.id))).all()


def in_words(stops: str, channel: str, tenant: str) -> str:
    """What an opt-out says, behind the address that it is about: `opted out of sms from shop:3`."""
    whose = {EVERY: "everybody", INSTALLATION: "this installation"}.get(tenant, tenant)
    kind = "messages" if channel == ANY_CHANNEL else channel
    if stops == Stops.UNSURE:
        return f"may have opted out of {kind} from {whose}, and a person has to decide"
    return f"opted out of {'promotional ' if stops == Stops.PROMOTIONAL else ''}{kind} from {whose}"


async def is_unsure(session: AsyncSession, address: str) -> bool:
    """Whether a person still has to decide what this address (in its canonical form) said to some tenant."""
    query = select(OptOut.id).where(_HOLDS, OptOut.address == address, OptOut.stops == Stops.UNSURE.value).limit(1)
    return await session.scalar(query) is not None
