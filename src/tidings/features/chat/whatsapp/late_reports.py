"""Delivery reports that came before the message that they are about was recorded."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.engine.jobs import Run
from tidings.errors import NotFound
from tidings.features.chat.conversations.reports import Source, take_report
from tidings.features.chat.jobs import StatusJob
from tidings.features.chat.models import ChatChannel, WhatsAppCloudAccount, WhatsAppQrSession
from tidings.messages.inbound.reports import DeliveryReports
from tidings.work import Work


class LateReports:
    """What the queue incoming-messages does with reports about messages that were not known when they came."""

    def __init__(self, work: Work, reports: DeliveryReports) -> None:
        self._work = work
        self._reports = reports

    async def take(self, data: StatusJob, run: Run) -> str:
        """Takes one report; says what became of it. Raises NotFound while another look is due."""
        async with self._work.begin() as unit:
            source = Source(data.channel, await _chatbots_of(unit.session, data.channel, data.via))
            if await take_report(unit, self._reports, source, data.report()):
                return "noted"
        if run.last:
            return "about a message that is not ours"
        raise NotFound("sent message", data.provider_message_id)


async def _chatbots_of(session: AsyncSession, channel: ChatChannel, via: str) -> frozenset[int]:
    if channel is ChatChannel.WHATSAPP_CLOUD:
        query = select(WhatsAppCloudAccount.chatbot_id).where(WhatsAppCloudAccount.phone_number_id == via)
    else:
        query = select(WhatsAppQrSession.chatbot_id).where(WhatsAppQrSession.session_id == via)
    return frozenset(await session.scalars(query))
