"""The verbs of plans, customers, chatbots and their WhatsApp accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from tidings.customers import Customer, Plan, find_customer, find_plan
from tidings.db.base import Base
from tidings.db.vault_keys import note_key
from tidings.errors import Conflict, NotFound
from tidings.feature import parse
from tidings.features.chat.accounts.schemas import (
    ChatbotChange,
    ChatbotIn,
    CloudAccountIn,
    CustomerIn,
    PlanIn,
    QrSessionIn,
)
from tidings.features.chat.lookup import find_chatbot, find_knowledge_base
from tidings.features.chat.models import Chatbot, QrState, UsageLog, WhatsAppCloudAccount, WhatsAppQrSession
from tidings.features.chat.secrets import account_context, new_secret, new_widget_key, session_context
from tidings.messages.tenants import add_tenant, customer_tenant
from tidings.vault import Vault
from tidings.work import Work

_NULLABLE = frozenset({"knowledge_base_id", "model", "temperature", "fallback_message", "whatsapp_template"})

Row = TypeVar("Row", bound=Base)


class ChatAccounts:
    """Who the chatbots belong to, and how they are reached."""

    def __init__(self, work: Work, vault: Vault) -> None:
        self._work = work
        self._vault = vault

    async def create_plan(self, plan: PlanIn | Mapping[str, Any]) -> Plan:
        """Stores a plan. Raises InvalidInput, and Conflict for a name that another plan has."""
        wanted = parse(PlanIn, plan)
        return await self._add(
            Plan(**wanted.model_dump(), **self._written()), f"there is a plan named {wanted.name} already"
        )

    async def list_plans(self) -> Sequence[Plan]:
        """Every plan in order of id."""
        async with self._work.read() as session:
            return (await session.scalars(select(Plan).order_by(Plan.id))).all()

    async def create_customer(self, customer: CustomerIn | Mapping[str, Any]) -> Customer:
        """Stores a customer. Raises InvalidInput and NotFound."""
        wanted = parse(CustomerIn, customer)
        async with self._work.begin() as unit:
            if wanted.plan_id is not None:
                await find_plan(unit.session, wanted.plan_id)
            row = Customer(**wanted.model_dump(), **self._written())
            unit.session.add(row)
            await unit.session.flush()
            await add_tenant(unit.session, customer_tenant(row.id), row.name, row.created_at)
            return row

    async def get_customer(self, customer_id: int) -> Customer:
        """One customer. Raises NotFound."""
        async with self._work.read() as session:
            return await find_customer(session, customer_id)

    async def change_plan(self, customer_id: int, plan_id: int | None) -> Customer:
        """Puts a customer on another plan; answers that are due from now on go by its priority. Raises NotFound."""
        async with self._work.begin() as unit:
            row = await find_customer(unit.session, customer_id, lock=True)
            if plan_id is not None:
                await find_plan(unit.session, plan_id)
            row.plan_id, row.updated_at = plan_id, self._work.clock.now()
            return row

    async def create_chatbot(self, chatbot: ChatbotIn | Mapping[str, Any]) -> Chatbot:
        """Stores a chatbot, with a new key for its widget. Raises InvalidInput and NotFound."""
        wanted = parse(ChatbotIn, chatbot)
        async with self._work.begin() as unit:
            await find_customer(unit.session, wanted.customer_id)
            await _require_own(unit.session, wanted.customer_id, wanted.knowledge_base_id)
            row = Chatbot(**wanted.model_dump(), widget_key=new_widget_key(), **self._written())
            unit.session.add(row)
            await unit.session.flush()
            return row

    async def get_chatbot(self, chatbot_id: int) -> Chatbot:
        """One chatbot. Raises NotFound."""
        async with self._work.read() as session:
            return await find_chatbot(session, chatbot_id)

    async def list_chatbots(self, customer_id: int) -> Sequence[Chatbot]:
        """A customer's chatbots in order of id. Raises NotFound."""
        async with self._work.read() as session:
            await find_customer(session, customer_id)
            query = select(Chatbot).where(Chatbot.customer_id == customer_id).order_by(Chatbot.id)
            return (await session.scalars(query)).all()

    async def change_chatbot(self, chatbot_id: int, change: ChatbotChange | Mapping[str, Any]) -> Chatbot:
        """Changes the given fields of a chatbot. Raises InvalidInput and NotFound."""
        wanted = parse(ChatbotChange, change)
        values = wanted.model_dump(exclude_unset=True)
        async with self._work.begin() as unit:
            row = await find_chatbot(unit.session, chatbot_id, lock=True)
            await _require_own(unit.session, row.customer_id, values.get("knowledge_base_id"))
            for name, value in values.items():
                if value is not None or name in _NULLABLE:
                    setattr(row, name, value)
            row.updated_at = self._work.clock.now()
            return row

    async def connect_whatsapp_cloud(
        self, chatbot_id: int, account: CloudAccountIn | Mapping[str, Any]
    ) -> tuple[WhatsAppCloudAccount, str]:
        """Connects a business phone number with a chatbot, or renews its secrets.

        Returns it with the verify token for Meta's form, which is never shown again. Raises InvalidInput, NotFound,
        and Conflict when the number belongs to another customer.
        """
        wanted = parse(CloudAccountIn, account)
        token = wanted.verify_token or new_secret()
        number = wanted.phone_number_id
        secrets = {"access_token": wanted.access_token, "app_secret": wanted.app_secret, "verify_token": token}
        sealed = {name: self._vault.seal(text, account_context(name, number)) for name, text in secrets.items()}
        taken = f"phone number ID {number} belongs to another customer"
        async with self._work.begin() as unit:
            await note_key(unit.session, self._vault.names)
            chatbot = await find_chatbot(unit.session, chatbot_id)
            query = select(WhatsAppCloudAccount).where(WhatsAppCloudAccount.phone_number_id == number)
            row = await unit.session.scalar(query.with_for_update())
            if row is not None and row.customer_id != chatbot.customer_id:
                raise Conflict(taken)
            if row is None:
                row = WhatsAppCloudAccount(customer_id=chatbot.customer_id, phone_number_id=number, **self._written())
                unit.session.add(row)
            row.chatbot_id, row.waba_id, row.updated_at = chatbot.id, wanted.waba_id, self._work.clock.now()
            for name, text in sealed.items():
                setattr(row, name, text)
            await _flush(unit.session, taken)
            return row, token

    async def list_whatsapp_cloud_accounts(self, chatbot_id: int) -> Sequence[WhatsAppCloudAccount]:
        """A chatbot's phone numbers at Meta. Raises NotFound."""
        query = select(WhatsAppCloudAccount).where(WhatsAppCloudAccount.chatbot_id == chatbot_id)
        async with self._work.read() as session:
            await find_chatbot(session, chatbot_id)
            return (await session.scalars(query.order_by(WhatsAppCloudAccount.id))).all()

    async def disconnect_whatsapp_cloud(self, chatbot_id: int, account_id: int) -> None:
        """Forgets a phone number and its secrets. Raises NotFound."""
        await self._remove(WhatsAppCloudAccount, "WhatsApp account", chatbot_id, account_id)

    async def connect_whatsapp_qr(
        self, chatbot_id: int, session: QrSessionIn | Mapping[str, Any]
    ) -> tuple[WhatsAppQrSession, str]:
        """Connects a session of the QR service with a chatbot, or renews its secret; a lost one counts as connected.

        Returns it with the secret that the service sends in X-Tidings-Secret, which is never shown again. Raises
        InvalidInput, NotFound, and Conflict when the session belongs to another customer.
        """
        wanted = parse(QrSessionIn, session)
        secret = wanted.webhook_secret or new_secret()
        sealed = self._vault.seal(secret, session_context(wanted.session_id))
        taken = f"session {wanted.session_id} belongs to another customer"
        async with self._work.begin() as unit:
            await note_key(unit.session, self._vault.names)
            chatbot = await find_chatbot(unit.session, chatbot_id)
            query = select(WhatsAppQrSession).where(WhatsAppQrSession.session_id == wanted.session_id)
            row = await unit.session.scalar(query.with_for_update())
            if row is not None and row.customer_id != chatbot.customer_id:
                raise Conflict(taken)
            if row is None:
                row = WhatsAppQrSession(
                    customer_id=chatbot.customer_id, session_id=wanted.session_id, **self._written()
                )
                unit.session.add(row)
            row.chatbot_id, row.webhook_secret, row.updated_at = chatbot.id, sealed, self._work.clock.now()
            row.state = QrState.CONNECTED
            await _flush(unit.session, taken)
            return row, secret

    async def list_whatsapp_qr_sessions(self, chatbot_id: int) -> Sequence[WhatsAppQrSession]:
        """A chatbot's sessions of the QR service. Raises NotFound."""
        query = select(WhatsAppQrSession).where(WhatsAppQrSession.chatbot_id == chatbot_id)
        async with self._work.read() as session:
            await find_chatbot(session, chatbot_id)
            return (await session.scalars(query.order_by(WhatsAppQrSession.id))).all()

    async def disconnect_whatsapp_qr(self, chatbot_id: int, row_id: int) -> None:
        """Forgets a session and its secret. Raises NotFound."""
        await self._remove(WhatsAppQrSession, "WhatsApp session", chatbot_id, row_id)

    async def get_usage(self, customer_id: int, since: datetime) -> list[dict[str, Any]]:
        """What a customer used since a moment: quantities and tokens by kind and model. Raises NotFound."""
        query = (
            select(
                UsageLog.kind,
                UsageLog.model,
                func.sum(UsageLog.quantity).label("quantity"),
                func.sum(UsageLog.tokens).label("tokens"),
            )
            .where(UsageLog.customer_id == customer_id, UsageLog.at >= since.astimezone(UTC))
            .group_by(UsageLog.kind, UsageLog.model)
            .order_by(UsageLog.kind, UsageLog.model)
        )
        async with self._work.read() as session:
            await find_customer(session, customer_id)
            return [dict(row) for row in (await session.execute(query)).mappings()]

    async def _add(self, row: Row, taken: str) -> Row:
        async with self._work.begin() as unit:
            unit.session.add(row)
            await _flush(unit.session, taken)
            return row

    async def _remove(self, model: Any, kind: str, chatbot_id: int, row_id: int) -> None:
        async with self._work.begin() as unit:
            gone = await unit.session.execute(
                delete(model).where(model.id == row_id, model.chatbot_id == chatbot_id).returning(model.id)
            )
            if gone.first() is None:
                raise NotFound(kind, f"{row_id} of chatbot {chatbot_id}")

    def _written(self) -> dict[str, datetime]:
        now = self._work.clock.now()
        return {"created_at": now, "updated_at": now}


async def _flush(session: AsyncSession, taken: str) -> None:
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict(taken) from error


async def _require_own(session: AsyncSession, customer_id: int, knowledge_base_id: int | None) -> None:
    """A chatbot knows nothing of other customers. Raises NotFound."""
    if knowledge_base_id is None:
        return
    base = await find_knowledge_base(session, knowledge_base_id)
    if base.customer_id != customer_id:
        raise NotFound("knowledge base", f"{knowledge_base_id} of customer {customer_id}")
