"""The ways out of a chat: thin adapters that find the number's or session's account and hand over to the provider."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import select, update

from tidings.errors import ConfigurationError, SendError
from tidings.features.chat.models import ChatChannel, WhatsAppCloudAccount, WhatsAppQrSession
from tidings.features.chat.secrets import account_context
from tidings.providers.base import Channel, Outgoing, Receipt
from tidings.providers.whatsapp_cloud.errors import CloudError
from tidings.providers.whatsapp_cloud.send import CloudAccount, WhatsAppCloud
from tidings.providers.whatsapp_qr import QrError, WhatsAppQr
from tidings.vault import Vault
from tidings.work import Work

LOST, CONNECTED = "lost", "connected"
"""States of a session."""

PARAMETER = 1024
"""Characters of a template's parameter (Cloud API, template messages)."""


class CloudChannel:
    """The Cloud API for one business phone number. The access token is opened for each message and kept nowhere."""

    name = WhatsAppCloud.name

    def __init__(self, cloud: WhatsAppCloud, work: Work, vault: Vault, phone_number_id: str) -> None:
        self._cloud = cloud
        self._work = work
        self._vault = vault
        self._phone_number_id = phone_number_id

    async def send(self, outgoing: Outgoing) -> Receipt:
        """Sends the text, or the chatbot's template where the user wrote too long ago.

        Raises SendError; final when there is no account, or no template and the 24 hours are over.
        """
        facts = outgoing.metadata
        account = await self._account(facts["chatbot_id"])
        try:
            if not facts["window_open"]:
                return await self._send_template(account, outgoing)
            try:
                return await self._cloud.send_text(
                    account, outgoing.to, outgoing.text, idempotency_key=outgoing.idempotency_key
                )
            except CloudError as error:
                if not error.needs_template:
                    raise
                return await self._send_template(account, outgoing)
        except CloudError as error:
            if error.limit != "recipient":
                raise
            # Only this person gets too much; the number's other messages need not slow down.
            raise SendError(str(error), retryable=True, retry_after=error.retry_after) from error

    async def _send_template(self, account: CloudAccount, outgoing: Outgoing) -> Receipt:
        template = outgoing.metadata["template"]
        if not template:
            raise SendError(
                "the user wrote more than 24 hours ago, so WhatsApp takes no free text; "
                "set the chatbot's whatsapp_template to an approved template",
                retryable=False,
            )
        components: list[dict[str, Any]] = []
        if template.get("with_text"):
            # A parameter takes no line ends and no runs of spaces.
            text = " ".join(outgoing.text.split())[:PARAMETER]
            components = [{"type": "body", "parameters": [{"type": "text", "text": text}]}]
        return await self._cloud.send_template(
            account,
            outgoing.to,
            template["name"],
            template["language"],
            components,
            idempotency_key=outgoing.idempotency_key,
        )

    async def _account(self, chatbot_id: int) -> CloudAccount:
        query = select(WhatsAppCloudAccount.access_token).where(
            WhatsAppCloudAccount.phone_number_id == self._phone_number_id,
            WhatsAppCloudAccount.chatbot_id == chatbot_id,
        )
        async with self._work.read() as session:
            sealed = await session.scalar(query)
        if sealed is None:
            raise SendError(
                f"phone number ID {self._phone_number_id} is not connected to chatbot {chatbot_id}; connect it again",
                retryable=False,
            )
        try:
            token = self._vault.open(sealed, account_context("access_token", self._phone_number_id))
        except ConfigurationError as error:
            raise SendError(str(error), retryable=False) from error
        return CloudAccount(self._phone_number_id, token)

    async def close(self) -> None:
        """Nothing to release: the connections are the HTTP client's."""


class QrChannel:
    """The QR service for one session; a session that is lost is noted as such."""

    name = WhatsAppQr.name

    def __init__(self, qr: WhatsAppQr | None, work: Work, session_id: str) -> None:
        self._qr = qr
        self._work = work
        self._session_id = session_id

    async def send(self, outgoing: Outgoing) -> Receipt:
        """Sends the text. Raises SendError; final when the session or the service is not there."""
        if self._qr is None:
            raise SendError("no WhatsApp QR service is set up; set WHATSAPP_QR_URL to its address", retryable=False)
        chatbot_id = outgoing.metadata["chatbot_id"]
        async with self._work.read() as session:
            found = await session.scalar(
                select(WhatsAppQrSession.id).where(
                    WhatsAppQrSession.session_id == self._session_id, WhatsAppQrSession.chatbot_id == chatbot_id
                )
            )
        if found is None:
            raise SendError(
                f"session {self._session_id!r} is not connected to chatbot {chatbot_id}; connect it again",
                retryable=False,
            )
        try:
            return await self._qr.send_text(
                self._session_id, outgoing.to, outgoing.text, idempotency_key=outgoing.idempotency_key
            )
        except QrError as error:
            if error.session_lost:
                await self._note_lost(found)
            raise

    async def _note_lost(self, row_id: int) -> None:
        async with self._work.begin() as unit:
            await unit.session.execute(
                update(WhatsAppQrSession)
                .where(WhatsAppQrSession.id == row_id)
                .values(state=LOST, updated_at=self._work.clock.now())
            )

    async def close(self) -> None:
        """Nothing to release: the connections are the HTTP client's."""


class ChatChannels(Mapping[str, Channel]):
    """The house's channels by name, and those of numbers and sessions as `whatsapp_cloud:<phone number ID>` and
    `whatsapp_qr:<session>`: each has a pace of its own.
    """

    def __init__(
        self, house: Mapping[str, Channel], work: Work, vault: Vault, cloud: WhatsAppCloud, qr: WhatsAppQr | None
    ) -> None:
        self._house = house
        self._work = work
        self._vault = vault
        self._cloud = cloud
        self._qr = qr
        self._accounts: dict[str, Channel] = {}

    def __getitem__(self, name: str) -> Channel:
        kind, _, via = name.partition(":")
        if not via or kind in self._house:  # a rehearsal keeps a whole channel to itself
            return self._house[kind]
        if name not in self._accounts:
            match kind:
                case ChatChannel.WHATSAPP_CLOUD:
                    self._accounts[name] = CloudChannel(self._cloud, self._work, self._vault, via)
                case ChatChannel.WHATSAPP_QR:
                    self._accounts[name] = QrChannel(self._qr, self._work, via)
                case _:
                    raise KeyError(name)
        return self._accounts[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._house
        yield from self._accounts

    def __len__(self) -> int:
        return len(self._house) + len(self._accounts)
