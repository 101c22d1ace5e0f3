"""What a request of Meta's means for the conversations of a customer; pure, nothing is stored here."""

from __future__ import annotations

from collections.abc import Mapping

from tidings.features.chat.conversations.amendments import Amendment
from tidings.features.chat.conversations.identities import Renaming
from tidings.features.chat.conversations.schemas import IncomingMessageIn
from tidings.features.chat.models import ChatChannel, Role
from tidings.providers.reports import DeliveryReport
from tidings.providers.whatsapp_cloud.callbacks import IncomingWhatsApp, WebhookBatch
from tidings.providers.whatsapp_cloud.echoes import EchoedWhatsApp

LONGEST_TEXT = 10_000
"""Characters of a stored message; WhatsApp's own limit is lower."""

CLOUD = ChatChannel.WHATSAPP_CLOUD


class CloudEvents:
    """The events of a request that are for the numbers in `chatbots`, which has the chatbot of each phone number ID.

    `arrivals` are what users wrote and how they reacted, `echoes` what the business wrote in its phone app; `edits`
    what either of them changed, each as a message of its own and as what it changes, and `deletions` what nobody is
    to read any more; `left_out` counts what is for nobody: of other numbers, in groups, without words.
    """

    def __init__(self, chatbots: Mapping[str, int], batch: WebhookBatch) -> None:
        self._chatbots = chatbots
        self.arrivals: list[IncomingMessageIn] = []
        self.edits: list[tuple[IncomingMessageIn, Amendment]] = []
        self.deletions: list[Amendment] = []
        self.echoes: list[IncomingMessageIn] = []
        self.left_out = batch.skipped
        for one in batch.messages:
            self.left_out += not self._take_message(one)
        for echo in batch.echoes:
            self.left_out += not self._take_echo(echo)
        self.reports: list[tuple[int, str, DeliveryReport]] = [
            (chatbots[one.phone_number_id], one.phone_number_id, one)
            for one in batch.statuses
            if one.phone_number_id in chatbots
        ]
        self.renamings = [
            Renaming(
                chatbots[one.phone_number_id],
                CLOUD,
                frozenset(one.former),
                one.phone or one.user_id or "",
                one.user_id,
            )
            for one in batch.identities
            if one.phone_number_id in chatbots
        ]
        told = [one.phone_number_id for one in batch.statuses] + [one.phone_number_id for one in batch.choices]
        self.left_out += sum(number not in chatbots for number in told)

    def _take_message(self, one: IncomingWhatsApp) -> bool:
        chatbot_id = self._chatbots.get(one.phone_number_id)
        if chatbot_id is None or one.group_id is not None or not one.text.strip() or one.kind == "system":
            return False
        reaction, own_id = one.kind == "reaction", one.provider_message_id or ""
        if reaction and one.text == "[reaction removed]":
            return False
        if one.kind == "revoke":
            who = _addresses(one.sender, one.user_id)
            return self._delete(chatbot_id, who, Role.USER, one.reply_to, own_id)
        message = IncomingMessageIn(
            chatbot_id=chatbot_id,
            channel=CLOUD,
            external_user_id=one.sender,
            user_id=one.user_id,
            content=one.text.strip()[:LONGEST_TEXT],
            external_id=one.provider_message_id,
            written_at=one.received_at,
            name=one.profile_name[:200] if one.profile_name else None,
            via=one.phone_number_id,
            aside=reaction,
            metadata={
                "whatsapp_message_id": one.provider_message_id,
                "type": one.kind,
                **({"reply_to": one.reply_to} if one.reply_to else {}),
                **({"payload": one.payload} if one.payload else {}),
            },
        )
        if one.kind == "edit" and one.reply_to:
            addresses = _addresses(one.sender, one.user_id)
            change = Amendment(chatbot_id, addresses, Role.USER, one.reply_to, own_id, message.content)
            self.edits.append((message, change))
        else:
            self.arrivals.append(message)
        return True

    def _take_echo(self, one: EchoedWhatsApp) -> bool:
        chatbot_id = self._chatbots.get(one.phone_number_id)
        if chatbot_id is None or one.group_id is not None or not one.text.strip() or one.kind == "reaction":
            return False
        if one.kind == "revoke":
            who = _addresses(one.recipient, one.user_id)
            return self._delete(chatbot_id, who, Role.HUMAN, one.about, one.provider_message_id)
        message = IncomingMessageIn(
            chatbot_id=chatbot_id,
            channel=CLOUD,
            external_user_id=one.recipient,
            user_id=one.user_id,
            content=one.text.strip()[:LONGEST_TEXT],
            external_id=one.provider_message_id,
            written_at=one.sent_at,
            via=one.phone_number_id,
            metadata={"whatsapp_message_id": one.provider_message_id, "type": one.kind},
        )
        if one.kind == "edit" and one.about:
            addresses = _addresses(one.recipient, one.user_id)
            change = Amendment(chatbot_id, addresses, Role.HUMAN, one.about, one.provider_message_id, message.content)
            self.edits.append((message, change))
        else:
            self.echoes.append(message)
        return True

    def _delete(self, chatbot_id: int, who: frozenset[str], role: Role, about: str | None, by: str) -> bool:
        if about:
            self.deletions.append(Amendment(chatbot_id, who, role, about, by, None))
        return bool(about)


def _addresses(address: str, user_id: str | None) -> frozenset[str]:
    return frozenset({address, *([user_id] if user_id else [])})
