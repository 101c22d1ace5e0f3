"""HTTP endpoints of plans, customers, chatbots and their WhatsApp accounts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from tidings.features.chat.accounts.service import Accounts
from tidings.features.chat.schemas import (
    ChatbotChange,
    ChatbotIn,
    ChatbotOut,
    CloudAccountIn,
    CloudAccountOut,
    ConnectedCloudAccount,
    ConnectedQrSession,
    CustomerIn,
    CustomerOut,
    PlanChoice,
    PlanIn,
    PlanOut,
    QrSessionIn,
    QrSessionOut,
    UsageOut,
)
from tidings.fields import Id

Since = Annotated[AwareDatetime, Query(description="From when on; with its offset from UTC.")]
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def account_routes(router: APIRouter, accounts: Accounts) -> None:
    """Adds the routes."""
    _customer_routes(router, accounts)
    _whatsapp_routes(router, accounts)


def _customer_routes(router: APIRouter, accounts: Accounts) -> None:
    tags: list[Any] = ["chat customers"]

    @router.post("/chat/plans", status_code=201, tags=tags)
    async def create_chat_plan(plan: PlanIn) -> PlanOut:
        """Stores a plan; its price decides who is answered first."""
        return PlanOut.model_validate(await accounts.create_plan(plan))

    @router.get("/chat/plans", tags=tags)
    async def list_chat_plans() -> list[PlanOut]:
        """Every plan."""
        return [PlanOut.model_validate(row) for row in await accounts.list_plans()]

    @router.post("/chat/customers", status_code=201, tags=tags)
    async def create_chat_customer(customer: CustomerIn) -> CustomerOut:
        """Stores a customer."""
        return CustomerOut.model_validate(await accounts.create_customer(customer))

    @router.get("/chat/customers/{customer_id}", tags=tags)
    async def get_chat_customer(customer_id: Id) -> CustomerOut:
        """One customer."""
        return CustomerOut.model_validate(await accounts.get_customer(customer_id))

    @router.put("/chat/customers/{customer_id}/plan", tags=tags)
    async def change_chat_plan(customer_id: Id, choice: PlanChoice) -> CustomerOut:
        """Puts a customer on another plan, or on none."""
        return CustomerOut.model_validate(await accounts.change_plan(customer_id, choice.plan_id))

    @router.get("/chat/customers/{customer_id}/usage", tags=tags)
    async def get_chat_usage(customer_id: Id, since: Since = BEGINNING) -> list[UsageOut]:
        """What a customer used since a moment."""
        return [UsageOut.model_validate(row) for row in await accounts.get_usage(customer_id, since)]

    @router.get("/chat/customers/{customer_id}/chatbots", tags=tags)
    async def list_chatbots(customer_id: Id) -> list[ChatbotOut]:
        """A customer's chatbots."""
        return [ChatbotOut.model_validate(row) for row in await accounts.list_chatbots(customer_id)]

    @router.post("/chat/chatbots", status_code=201, tags=tags)
    async def create_chatbot(chatbot: ChatbotIn) -> ChatbotOut:
        """Stores a chatbot."""
        return ChatbotOut.model_validate(await accounts.create_chatbot(chatbot))

    @router.get("/chat/chatbots/{chatbot_id}", tags=tags)
    async def get_chatbot(chatbot_id: Id) -> ChatbotOut:
        """One chatbot."""
        return ChatbotOut.model_validate(await accounts.get_chatbot(chatbot_id))

    @router.patch("/chat/chatbots/{chatbot_id}", tags=tags)
    async def change_chatbot(chatbot_id: Id, change: ChatbotChange) -> ChatbotOut:
        """Changes the given fields of a chatbot."""
        return ChatbotOut.model_validate(await accounts.change_chatbot(chatbot_id, change))


def _whatsapp_routes(router: APIRouter, accounts: Accounts) -> None:
    tags: list[Any] = ["chat WhatsApp"]

    @router.post("/chat/chatbots/{chatbot_id}/whatsapp-cloud", status_code=201, tags=tags)
    async def connect_whatsapp_cloud(chatbot_id: Id, account: CloudAccountIn) -> ConnectedCloudAccount:
        """Connects a business phone number with a chatbot, or renews its secrets."""
        row, token = await accounts.connect_whatsapp_cloud(chatbot_id, account)
        shown = CloudAccountOut.model_validate(row).model_dump()
        path = f"/webhooks/whatsapp/cloud/{row.phone_number_id}"
        return ConnectedCloudAccount(**shown, verify_token=token, webhook_path=path)

    @router.get("/chat/chatbots/{chatbot_id}/whatsapp-cloud", tags=tags)
    async def list_whatsapp_cloud_accounts(chatbot_id: Id) -> list[CloudAccountOut]:
        """A chatbot's phone numbers at Meta."""
        rows = await accounts.list_whatsapp_cloud_accounts(chatbot_id)
        return [CloudAccountOut.model_validate(row) for row in rows]

    @router.delete("/chat/chatbots/{chatbot_id}/whatsapp-cloud/{account_id}", status_code=204, tags=tags)
    async def disconnect_whatsapp_cloud(chatbot_id: Id, account_id: Id) -> None:
        """Forgets a phone number and its secrets."""
        await accounts.disconnect_whatsapp_cloud(chatbot_id, account_id)

    @router.post("/chat/chatbots/{chatbot_id}/whatsapp-qr", status_code=201, tags=tags)
    async def connect_whatsapp_qr(chatbot_id: Id, session: QrSessionIn) -> ConnectedQrSession:
        """Connects a session of the QR service with a chatbot, or renews its secret."""
        row, secret = await accounts.connect_whatsapp_qr(chatbot_id, session)
        shown = QrSessionOut.model_validate(row).model_dump()
        path = f"/webhooks/whatsapp/qr/{row.session_id}"
        return ConnectedQrSession(**shown, webhook_secret=secret, webhook_path=path)

    @router.get("/chat/chatbots/{chatbot_id}/whatsapp-qr", tags=tags)
    async def list_whatsapp_qr_sessions(chatbot_id: Id) -> list[QrSessionOut]:
        """A chatbot's sessions of the QR service."""
        rows = await accounts.list_whatsapp_qr_sessions(chatbot_id)
        return [QrSessionOut.model_validate(row) for row in rows]

    @router.delete("/chat/chatbots/{chatbot_id}/whatsapp-qr/{session_row_id}", status_code=204, tags=tags)
    async def disconnect_whatsapp_qr(chatbot_id: Id, session_row_id: Id) -> None:
        """Forgets a session and its secret."""
        await accounts.disconnect_whatsapp_qr(chatbot_id, session_row_id)
