"""What WhatsApp tells: users' messages and the statuses of ours, from the Cloud API and from the QR service."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from secrets import compare_digest

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.clock import Clock
from tidings.errors import ConfigurationError
from tidings.features.chat.conversations.amendments import amend
from tidings.features.chat.conversations.echoes import store_echo
from tidings.features.chat.conversations.identities import meet, rename
from tidings.features.chat.conversations.reports import Source, own_id, take_report
from tidings.features.chat.conversations.schemas import IncomingMessageIn
from tidings.features.chat.conversations.store import Stored, lock_conversations, store_incoming
from tidings.features.chat.jobs import DELIVERY_REPORT, StatusJob
from tidings.features.chat.lookup import find_chatbot
from tidings.features.chat.models import (
    Chatbot,
    ChatChannel,
    QrState,
    Role,
    WhatsAppCloudAccount,
    WhatsAppQrSession,
)
from tidings.features.chat.secrets import account_context, session_context
from tidings.features.chat.whatsapp.cloud_events import LONGEST_TEXT, CloudEvents
from tidings.features.chat.whatsapp.preferences import Preference, take_preferences
from tidings.log import get_logger
from tidings.messages.gate.opt_outs import Reach
from tidings.messages.inbound.reports import DeliveryReports
from tidings.providers.reports import DeliveryReport
from tidings.providers.whatsapp_cloud.callbacks import (
    MarketingChoice,
    WebhookBatch,
    parse_webhook,
    verify_handshake,
)
from tidings.providers.whatsapp_qr import IncomingQr, parse_qr_webhook
from tidings.vault import Vault
from tidings.web.signatures import is_meta
from tidings.work import Unit, Work

log = get_logger(__name__)

Store = Callable[[Unit, Chatbot, IncomingMessageIn, Clock], Awaitable[Stored]]
"""What takes one message to its conversation."""

LATER = 1.0
"""Seconds until a report is looked at again whose message is not known yet."""


class Refused(Exception):
    """The caller did not show that it may call. It is told no more than that."""


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What a request brought: messages that are new or were changed, those known already, statuses, what was left
    out, and who wants no marketing messages any more, or wants them again."""

    messages: int = 0
    duplicates: int = 0
    statuses: int = 0
    ignored: int = 0
    preferences: int = 0


class WhatsApp:
    """The verbs of WhatsApp's webhooks. Each answers once everything is stored."""

    def __init__(self, work: Work, vault: Vault, reports: DeliveryReports, reach: Reach) -> None:
        self._work = work
        self._vault = vault
        self._reports = reports
        self._reach = reach

    async def verify_cloud(self, key: str, query: Mapping[str, str]) -> str:
        """The challenge of Meta's handshake for a phone number ID or account id. Raises Refused."""
        async with self._work.read() as session:
            account = await _find_account(session, key)
        challenge = verify_handshake(query, self._secret(account, "verify_token")) if account else None
        if challenge is None:
            raise Refused
        return challenge

    async def receive_cloud(self, key: str, body: bytes, signature: str | None) -> TakenIn:
        """Stores what Meta posts. Raises Refused unless the account's app secret signed the body's bytes.

        A request may hold events of other phone numbers of the same Meta app; those of others are ignored.
        """
        async with self._work.read() as session:
            account = await _find_account(session, key)
            secret = self._secret(account, "app_secret") if account else ""
            if account is None or not is_meta(secret, body, signature):
                raise Refused
            siblings = await session.scalars(
                select(WhatsAppCloudAccount).where(WhatsAppCloudAccount.customer_id == account.customer_id)
            )
            accounts = {
                one.phone_number_id: one
                for one in siblings
                if one.id == account.id or compare_digest(self._secret(one, "app_secret").encode(), secret.encode())
            }
        batch = parse_webhook(_json(body))
        for fault in batch.faults:
            log.warning("WhatsApp reports a fault of an account", account_id=account.id, fault=str(fault))
        events = CloudEvents({number: one.chatbot_id for number, one in accounts.items()}, batch)
        await rename(self._work, events.renamings)
        await meet(self._work, [*events.arrivals, *events.echoes])
        new = await self._store(events.arrivals) + await self._store(events.echoes, store_echo)
        amended = [await amend(self._work, change) for _, change in events.edits]
        deleted = [await amend(self._work, change) for change in events.deletions]
        # An edit of what is not there, or is answered already, is a message like others.
        rest = [edit for edit, done in zip(events.edits, amended, strict=True) if not done]
        new += await self._store([one for one, change in rest if change.role is Role.USER])
        new += await self._store([one for one, change in rest if change.role is not Role.USER], store_echo)
        await self._take_reports(ChatChannel.WHATSAPP_CLOUD, events.reports)
        preferences = self._preferences(batch, accounts)
        await self._take_preferences(preferences)
        return TakenIn(
            messages=new + sum(amended) + sum(deleted),
            duplicates=len(events.arrivals) + len(events.echoes) + len(rest) - new,
            statuses=len(events.reports),
            ignored=events.left_out + deleted.count(False),
            preferences=len(preferences),
        )

    async def receive_qr(self, session_id: str, secret: str | None, payload: object) -> TakenIn:
        """Stores what the QR service posts about a session. Raises Refused unless it knows the session's secret."""
        async with self._work.read() as session:
            row = await session.scalar(select(WhatsAppQrSession).where(WhatsAppQrSession.session_id == session_id))
        expected = self._vault.open(row.webhook_secret, session_context(session_id)) if row else ""
        given = (secret or "").encode(errors="backslashreplace")
        if row is None or not compare_digest(given, expected.encode()):
            raise Refused
        event = parse_qr_webhook(payload)
        if event is None or event.session_id != session_id:
            return TakenIn(ignored=1)
        if not isinstance(event, IncomingQr):
            await self._take_reports(ChatChannel.WHATSAPP_QR, [(row.chatbot_id, session_id, event)])
            return TakenIn(statuses=1)
        if not event.text.strip():
            return TakenIn(ignored=1)
        message = IncomingMessageIn(
            chatbot_id=row.chatbot_id,
            channel=ChatChannel.WHATSAPP_QR,
            external_user_id=event.sender,
            content=event.text.strip()[:LONGEST_TEXT],
            external_id=event.provider_message_id,
            written_at=event.received_at,
            via=session_id,
            metadata={"whatsapp_message_id": event.provider_message_id},
        )
        new = await self._store([message], store_echo if event.own else store_incoming)
        if row.state != QrState.CONNECTED:
            await self._note_connected(row.id)
        return TakenIn(messages=new, duplicates=1 - new)

    async def _store(self, arrivals: Sequence[IncomingMessageIn], store: Store = store_incoming) -> int:
        """Stores messages in one transaction; returns how many were new."""
        if not arrivals:
            return 0

        async def store_all(unit: Unit) -> int:
            await lock_conversations(unit.session, arrivals)
            new = 0
            # New ones are added in the same order by everybody; messages of one keep theirs.
            for arrival in sorted(arrivals, key=lambda one: (one.chatbot_id, one.external_user_id)):
                chatbot = await find_chatbot(unit.session, arrival.chatbot_id)
                new += not (await store(unit, chatbot, arrival, self._work.clock)).duplicate
            return new

        return await self._work.retry(store_all)

    async def _take_reports(self, channel: ChatChannel, reports: Sequence[tuple[int, str, DeliveryReport]]) -> None:
        if not reports:
            return
        async with self._work.begin() as unit:
            # In order of the messages' ids, as everybody locks them.
            for chatbot_id, via, report in sorted(reports, key=lambda one: own_id(one[2].reference) or 0):
                source = Source(channel, frozenset({chatbot_id}))
                if not await take_report(unit, self._reports, source, report):
                    job = DELIVERY_REPORT.job(StatusJob.of(channel, via, report), due=self._work.clock.after(LATER))
                    unit.arm(job)

    def _preferences(self, batch: WebhookBatch, accounts: Mapping[str, WhatsAppCloudAccount]) -> list[Preference]:
        """What the request tells of people who want marketing messages no more, or again."""
        now = self._work.clock.now()
        choices = list(batch.choices)
        for status in batch.statuses:
            if status.opted_out and status.recipient:
                said = MarketingChoice(status.phone_number_id, status.recipient, False, status.at, words=status.error)
                choices.append(said)
        return [
            Preference(
                accounts[one.phone_number_id].customer_id,
                one.phone_number_id,
                (one.sender, *([one.user_id] if one.user_id else [])),
                one.wanted,
                min(one.at or now, now),
                one.words,
            )
            for one in choices
            if one.phone_number_id in accounts
        ]

    async def _take_preferences(self, preferences: Sequence[Preference]) -> None:
        if preferences:  # the same request may come twice at the same moment
            await self._work.retry(lambda unit: take_preferences(unit.session, preferences, self._reach))

    async def _note_connected(self, row_id: int) -> None:
        async with self._work.begin() as unit:
            row = await unit.session.get(WhatsAppQrSession, row_id, with_for_update=True)
            if row is not None:
                row.state, row.updated_at = QrState.CONNECTED, self._work.clock.now()

    def _secret(self, account: WhatsAppCloudAccount, column: str) -> str:
        try:
            return self._vault.open(getattr(account, column), account_context(column, account.phone_number_id))
        except ConfigurationError as error:
            log.error("a secret of a WhatsApp account cannot be opened", account_id=account.id, error=str(error))
            return ""


async def _find_account(session: AsyncSession, key: str) -> WhatsAppCloudAccount | None:
    """By the phone number ID, else by the account's id, which has fewer digits."""
    query = select(WhatsAppCloudAccount).where(WhatsAppCloudAccount.phone_number_id == key)
    if (found := await session.scalar(query)) is not None:
        return found
    if not (key.isascii() and key.isdecimal()) or len(key) > 9:
        return None
    return await session.get(WhatsAppCloudAccount, int(key))


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
