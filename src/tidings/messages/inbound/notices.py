"""Answers in a tenant's name to STOP, START and HELP. They go out as every message does."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, String, Text, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from tidings.db.base import Base
from tidings.engine.policy import QueuePolicy
from tidings.messages.gate.terms import TRANSACTIONAL, Terms
from tidings.messages.inbound.keywords import Command
from tidings.messages.kind import OPEN_ROWS, Addressee, Content, Message, MessageColumns, MessageKind, message_job
from tidings.messages.statuses import Reason, Status
from tidings.messages.tenants import INSTALLATION, Sender, divided
from tidings.providers.base import Account
from tidings.work import Unit

NOTICE_KIND = "notice"
NOTICES = QueuePolicy("notices", concurrency=5, attempts=5, backoff=2.0)

USEFUL = timedelta(days=1)
"""How long the answer to a command is worth sending."""

CODE_USEFUL = timedelta(minutes=10)
"""How long the code is that shows that somebody has a number."""

TERMS = Terms(despite_opt_out=True)
"""On which terms answers leave. A code is none: the tenant has asked for it, not the person."""


_CODE = re.compile(r"\b\d{6}\b")


class NoticeType(StrEnum):
    """What a notice says."""

    OPT_OUT_CONFIRMATION = "opt_out_confirmation"
    OPT_IN_CONFIRMATION = "opt_in_confirmation"
    HELP = "help"
    OPT_OUT_HOLDS = "opt_out_holds"
    SIGN_UP_QUESTION = "sign_up_question"
    SIGN_UP_CONFIRMATION = "sign_up_confirmation"
    TEST_CODE = "test_code"


SUBJECTS = {
    NoticeType.OPT_OUT_CONFIRMATION: "You are unsubscribed",
    NoticeType.OPT_IN_CONFIRMATION: "You are subscribed again",
    NoticeType.HELP: "Help",
    NoticeType.OPT_OUT_HOLDS: "You are still unsubscribed",
    NoticeType.SIGN_UP_QUESTION: "Please confirm",
    NoticeType.SIGN_UP_CONFIRMATION: "You are signed up",
    NoticeType.TEST_CODE: "Your code",
}

ANSWERS = {
    Command.STOP: NoticeType.OPT_OUT_CONFIRMATION,
    Command.START: NoticeType.OPT_IN_CONFIRMATION,
    Command.HELP: NoticeType.HELP,
}


class Notice(MessageColumns, Base):
    """One answer to one address, in the name of a tenant and through its account, if it has one."""

    __tablename__ = "notices"
    __table_args__ = (
        Index(None, "scheduled_time", "id", **OPEN_ROWS),
        Index(None, "contact_id"),
        Index(None, "address"),
    )

    notice_type: Mapped[str] = mapped_column(String(32))
    address: Mapped[str] = mapped_column(String(254))
    channel: Mapped[str] = mapped_column(String(16), default="sms")
    tenant: Mapped[str] = mapped_column(String(64), default=INSTALLATION)
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contractors.id"), default=None)
    text: Mapped[str] = mapped_column(Text)
    sent_at: Mapped[datetime | None] = mapped_column(default=None)


SEND_NOTICE = message_job(NOTICES, "send-notice", NOTICE_KIND)


@dataclass(frozen=True, slots=True)
class Through:
    """The provider and the account there through which a tenant writes; or a sentence about why it cannot."""

    provider: str
    account: Account | None
    trouble: str | None = None


Accounts = Callable[[AsyncConnection, Collection[int]], Awaitable[Mapping[int, Through]]]
"""Through what tenants of one kind write, by their ids; who is left out writes through the installation's account."""


def notice_text(command: Command, sender: Sender) -> str:
    """The answer, within one SMS for a brand of usual length (CTIA Messaging Principles, section 5.1.3)."""
    match command:
        case Command.STOP:
            return f"{sender.brand}: you are unsubscribed and get no more messages. Reply START to get them again."
        case Command.START:
            return f"{sender.brand}: you are subscribed again. Reply HELP for help, STOP to unsubscribe."
        case Command.HELP:
            who = f"{sender.brand} ({sender.programme})" if sender.programme else sender.brand
            reach = f" For help, contact {sender.support}." if sender.support else ""
            return f"{who}:{reach} Message and data rates may apply. Reply STOP to unsubscribe."


def holds_text(sender: Sender) -> str:
    """The answer to a START that ends nothing: who gets nothing is not told that they are subscribed."""
    reach = f" To get messages again, contact {sender.support}." if sender.support else ""
    return f"{sender.brand}: you are still unsubscribed, as that was asked for in another way.{reach}"


async def add_notice(
    unit: Unit,
    notice_type: NoticeType,
    text: str,
    *,
    tenant: str,
    address: str,
    channel: str,
    contact_id: int | None,
    now: datetime,
) -> Notice:
    """Adds a notice that leaves at once, in the caller's unit of work."""
    row = Notice(
        notice_type=notice_type,
        tenant=tenant,
        address=address,
        channel=channel,
        contact_id=contact_id,
        text=text,
        scheduled_time=now,
        status=Status.SCHEDULED,
        status_reason=Reason.ANSWERED_COMMAND,
        created_at=now,
        updated_at=now,
    )
    unit.session.add(row)
    await unit.session.flush()
    unit.arm(Notices.job(row))
    return row


class Notices(MessageKind):
    """The kind of these answers."""

    name = NOTICE_KIND
    noun = "notice"
    model = Notice
    job_type = SEND_NOTICE
    loaded = select(Notice.__table__)

    def __init__(self, accounts: Mapping[str, Accounts]) -> None:
        self._accounts = accounts

    @classmethod
    def contact_of(cls, row: Any) -> int | None:
        """The contact to whom a notice goes, None for a number that nobody knows."""
        found: int | None = row.contact_id
        return found

    @classmethod
    def tenant_of(cls, row: Any) -> str:
        """In whose name it speaks."""
        return str(row.tenant)

    @classmethod
    def written_to(cls, whom: Addressee) -> ColumnElement[bool]:
        """Those to their addresses; no other person is meant by a STOP or START of theirs."""
        return or_(Notice.contact_id.in_(whom.ids), Notice.address.in_(whom.addresses))

    @classmethod
    def about(cls, row: Any) -> str:
        """What it says."""
        return f"notice, {row.notice_type.replace('_', ' ')}"

    async def load(self, connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> Sequence[Message]:
        """The messages of claimed rows, with the accounts of the tenants that have their own."""
        ids: defaultdict[str, set[int]] = defaultdict(set)
        for kind, number in (divided(row["tenant"]) for row in rows):
            ids[kind].add(number)
        through: dict[tuple[str, int], Through] = {}
        for kind, numbers in ids.items():
            if kind in self._accounts:
                found = await self._accounts[kind](connection, numbers)
                through |= {(kind, number): one for number, one in found.items()}
        return [self.message(row, through.get(divided(row["tenant"]))) for row in rows]

    def message(self, row: Mapping[str, Any], through: Through | None = None) -> Message:
        """The message of one notice."""
        is_code = row["notice_type"] == NoticeType.TEST_CODE
        return Message(
            id=row["id"],
            contact_id=row["contact_id"],
            scheduled_time=row["scheduled_time"],
            attempt=row["attempts"],
            channel=row["channel"],
            address=row["address"],
            idempotency_key=self.idempotency_key(row["id"], row["created_at"]),
            row=row,
            terms=TRANSACTIONAL if is_code else TERMS,
            tenant=row["tenant"],
            not_after=row["scheduled_time"] + (CODE_USEFUL if is_code else USEFUL),
            provider=through.provider if through else None,
            account=through.account if through else None,
            undeliverable=through.trouble if through else None,
        )

    async def compose(self, message: Message) -> Content:
        """The text as it was stored."""
        row = message.row
        metadata = {"message_id": row["id"], "message_type": row["notice_type"], "contractor_id": row["contact_id"]}
        return Content(text=row["text"], subject=SUBJECTS[NoticeType(row["notice_type"])], metadata=metadata)

    def columns_when_sent(self, message: Message, content: Content, moment: datetime) -> Mapping[str, Any]:
        """A code that has left is nobody's business any more."""
        is_code = message.row.get("notice_type") == NoticeType.TEST_CODE
        return {"sent_at": moment, "text": _CODE.sub("******", content.text) if is_code else content.text}
