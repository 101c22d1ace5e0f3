"""How each feature is put together from the parts of the application. Beside `app.py` the only wiring there is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from tidings.ai.base import Writer
from tidings.ai.openai import OpenAIModel
from tidings.engine.broadcast import Broadcast
from tidings.engine.policy import QueuePolicy
from tidings.feature import Feature
from tidings.features.chat.feature import ChatParts, open_chat
from tidings.features.chat.service import Chat
from tidings.features.events.activities import event_moments
from tidings.features.events.feature import events_feature
from tidings.features.events.jobs import EVENT_MESSAGES
from tidings.features.events.kind import event_outbox
from tidings.features.events.service import Events
from tidings.features.followups.drafts import Wording
from tidings.features.followups.feature import followups_feature
from tidings.features.followups.jobs import CONTRACTOR_FOLLOWUPS
from tidings.features.followups.kind import followup_outbox
from tidings.features.followups.service import FollowUps
from tidings.features.proactive.feature import proactive_feature
from tidings.features.proactive.jobs import PROACTIVE_MESSAGES
from tidings.features.proactive.kind import proactive_outbox
from tidings.features.proactive.safeguards import Safeguards
from tidings.features.proactive.service import Proactive
from tidings.features.shops.campaigns.worker import calling_for_more
from tidings.features.shops.feature import shops_feature
from tidings.features.shops.jobs import DELIVERY
from tidings.features.shops.kind import shop_outbox
from tidings.features.shops.mitto_accounts import MittoAccess, ShopChannels
from tidings.features.shops.rules.audience import campaign_variables
from tidings.features.shops.rules.money import shop_templates
from tidings.features.shops.service import Shops
from tidings.messages.delivery.pipeline import Road, Ways
from tidings.messages.gate.policy import Rules
from tidings.messages.inbound.notices import NoticeTexts
from tidings.messages.inbound.replies import IncomingReply, Received
from tidings.messages.kind import Outbox
from tidings.providers.base import Channel
from tidings.providers.http import HttpClient
from tidings.providers.webhooks.send import Webhooks
from tidings.providers.whatsapp_cloud.send import WhatsAppCloud
from tidings.providers.whatsapp_qr import WhatsAppQr
from tidings.settings import Settings
from tidings.vault import Vault
from tidings.work import Work


@dataclass(frozen=True)
class Parts:
    """What features are made of: the settings, the unit of work, the providers, the gate's rules, the AI."""

    settings: Settings
    work: Work
    policies: Mapping[str, QueuePolicy]
    ways: Ways
    rules: Rules
    vault: Vault
    http: HttpClient
    webhooks: Webhooks
    broadcast: Broadcast
    writer: Writer
    model: OpenAIModel | None
    texts: NoticeTexts

    def road(self, outbox: Outbox, channels: Mapping[str, Channel] | None = None) -> Road:
        """The road out for an outbox, through the house's channels or others."""
        ways = self.ways if channels is None else self.ways.through(channels)
        return Road(outbox, self.work, ways, self.rules, deadline=self.settings.http_timeout)


def build_events(parts: Parts) -> tuple[Events, Feature]:
    """Event messages."""
    settings = parts.settings
    events = Events(parts.work, region=settings.default_region, timezone=settings.default_timezone)
    return events, events_feature(events, parts.work, parts.road(event_outbox(parts.policies[EVENT_MESSAGES.name])))


def build_followups(parts: Parts) -> tuple[FollowUps, Feature]:
    """CRM follow-ups."""
    settings, zone = parts.settings, parts.settings.default_timezone
    wording = Wording(parts.writer, timezone=zone, max_segments=settings.sms_max_segments)
    outbox = followup_outbox(
        parts.policies[CONTRACTOR_FOLLOWUPS.name],
        wording,
        parts.work.clock,
        timezone=zone,
        compose_seconds=settings.ai_timeout,
    )
    followups = FollowUps(parts.work, wording, timezone=zone)
    return followups, followups_feature(followups, parts.road(outbox))


def build_proactive(parts: Parts) -> tuple[Proactive, Feature]:
    """Proactive messages."""
    settings = parts.settings
    safeguards = Safeguards(approval_timeout=timedelta(hours=settings.proactive_approval_hours))
    proactive = Proactive(
        parts.work,
        parts.writer,
        timezone=settings.default_timezone,
        moments=(event_moments,),
        safeguards=safeguards,
        deliver_now=settings.proactive_deliver_now,
        max_segments=settings.sms_max_segments,
    )
    outbox = proactive_outbox(parts.policies[PROACTIVE_MESSAGES.name], safeguards)
    return proactive, proactive_feature(proactive, parts.road(outbox))


def build_shops(parts: Parts) -> tuple[Shops, Feature]:
    """Shops: automations and campaigns."""
    settings = parts.settings
    key = settings.mitto_api_key.get_secret_value() if settings.mitto_api_key else None
    mitto = MittoAccess(parts.http, parts.vault, api_key=key, public_url=settings.public_url)
    channels, templates = ShopChannels(parts.ways.channels, mitto), shop_templates()
    outbox = shop_outbox(
        parts.policies[DELIVERY.name],
        channels,
        templates,
        campaign_variables,
        calling_for_more(parts.work.clock),
    )
    shops = Shops(parts.work, vault=parts.vault, templates=templates, rules=parts.rules)
    retention = timedelta(days=settings.retention_days)
    road = parts.road(outbox, channels)
    pace = settings.campaign_pace
    return shops, shops_feature(shops, parts.work, road, parts.rules, retention=retention, pace=pace)


def build_chat(
    parts: Parts,
    receive_reply: Callable[[IncomingReply], Awaitable[Received]],
    channels: Mapping[str, Channel] | None,
) -> tuple[Chat, Feature]:
    """Chats and customer webhooks. `channels` take the place of whole channels, for rehearsals."""
    settings = parts.settings
    chat_parts = ChatParts(
        vault=parts.vault,
        cloud=WhatsAppCloud(parts.http, settings.whatsapp_graph_url, settings.whatsapp_api_version),
        qr=WhatsAppQr(parts.http, settings.whatsapp_qr_url) if settings.whatsapp_qr_url else None,
        webhooks=parts.webhooks,
        broadcast=parts.broadcast,
        model=parts.model,
        embedding_model=settings.openai_embedding_model,
        allow_private=settings.webhooks_allow_private,
    )

    return open_chat(
        parts.work,
        parts.policies,
        parts.road,
        chat_parts,
        receive_reply=receive_reply,
        texts=parts.texts,
        channels=channels,
    )
