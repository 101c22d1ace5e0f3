"""HTTP endpoints of plans, customers, chatbots and their WhatsApp accounts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query
from pydantic import AwareDatetime

from tidings.features.chat.accounts.schemas import (
    ChatbotChange,
    ChatbotIn,
    ChatbotOut,
    ChatCustomerOut,
    CloudAccountIn,
    CloudAccountOut,
    ConnectedCloudAccount,
    ConnectedQrSession,
    CustomerIn,
    PlanChoice,
    PlanIn,
    PlanOut,
    QrSessionIn,
    QrSessionOut,
    UsageOut,
)
from tidings.features.chat.service import Chat
from tidings.fields import Id
from tidings.web.routing import new_router, provided

Service = Annotated[Chat, provided(Chat)]
Since = Annotated[AwareDatetime, Query(description="From when on; with its offset from UTC.")]
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

customers = new_router(tags=["chat customers"])
whatsapp = new_router(tags=["chat WhatsApp"])


@customers.post("/chat/plans", status_code=201)
async def create_chat_plan(chat: Service, plan: PlanIn) -> PlanOut:
    """Stores a plan; its price decides who is answered first."""
    return PlanOut.model_validate(await chat.accounts.create_plan(plan))


@customers.get("/chat/plans")
async def list_chat_plans(chat: Service) -> list[PlanOut]:
    """Every plan."""
    return [PlanOut.model_validate(row) for row in await chat.accounts.list_plans()]


@customers.post("/chat/customers", status_code=201)
async def create_chat_customer(chat: Service, customer: CustomerIn) -> ChatCustomerOut:
    """Stores a customer."""
    return ChatCustomerOut.model_validate(await chat.accounts.create_customer(customer))


@customers.get("/chat/customers/{customer_id}")
async def get_chat_customer(chat: Service, customer_id: Id) -> ChatCustomerOut:
    """One customer."""
    return ChatCustomerOut.model_validate(await chat.accounts.get_customer(customer_id))


@customers.put("/chat/customers/{customer_id}/plan")
async def change_chat_plan(chat: Service, customer_id: Id, choice: PlanChoice) -> ChatCustomerOut:
    """Puts a customer on another plan, or on none."""
    return ChatCustomerOut.model_validate(await chat.accounts.change_plan(customer_id, choice.plan_id))


@customers.get("/chat/customers/{customer_id}/usage")
async def get_chat_usage(chat: Service, customer_id: Id, since: Since = BEGINNING) -> list[UsageOut]:
    """What a customer used since a moment."""
    return [UsageOut.model_validate(row) for row in await chat.accounts.get_usage(customer_id, since)]


@customers.get("/chat/customers/{customer_id}/chatbots")
async def list_chatbots(chat: Service, customer_id: Id) -> list[ChatbotOut]:
    """A customer's chatbots."""
    return [ChatbotOut.model_validate(row) for row in await chat.accounts.list_chatbots(customer_id)]


@customers.post("/chat/chatbots", status_code=201)
async def create_chatbot(chat: Service, chatbot: ChatbotIn) -> ChatbotOut:
    """Stores a chatbot."""
    return ChatbotOut.model_validate(await chat.accounts.create_chatbot(chatbot))


@customers.get("/chat/chatbots/{chatbot_id}")
async def get_chatbot(chat: Service, chatbot_id: Id) -> ChatbotOut:
    """One chatbot."""
    return ChatbotOut.model_validate(await chat.accounts.get_chatbot(chatbot_id))


@customers.patch("/chat/chatbots/{chatbot_id}")
async def change_chatbot(chat: Service, chatbot_id: Id, change: ChatbotChange) -> ChatbotOut:
    """Changes the given fields of a chatbot."""
    return ChatbotOut.model_validate(await chat.accounts.change_chatbot(chatbot_id, change))


@whatsapp.post("/chat/chatbots/{chatbot_id}/whatsapp-cloud", status_code=201)
async def connect_whatsapp_cloud(chat: Service, chatbot_id: Id, account: CloudAccountIn) -> ConnectedCloudAccount:
    """Connects a business phone number with a chatbot, or renews its secrets."""
    row, token = await chat.accounts.connect_whatsapp_cloud(chatbot_id, account)
    shown = CloudAccountOut.model_validate(row).model_dump()
    path = f"/webhooks/whatsapp/cloud/{row.phone_number_id}"
    return ConnectedCloudAccount(**shown, verify_token=token, webhook_path=path)


@whatsapp.get("/chat/chatbots/{chatbot_id}/whatsapp-cloud")
async def list_whatsapp_cloud_accounts(chat: Service, chatbot_id: Id) -> list[CloudAccountOut]:
    """A chatbot's phone numbers at Meta."""
    rows = await chat.accounts.list_whatsapp_cloud_accounts(chatbot_id)
    return [CloudAccountOut.model_validate(row) for row in rows]


@whatsapp.delete("/chat/chatbots/{chatbot_id}/whatsapp-cloud/{account_id}", status_code=204)
async def disconnect_whatsapp_cloud(chat: Service, chatbot_id: Id, account_id: Id) -> None:
    """Forgets a phone number and its secrets."""
    await chat.accounts.disconnect_whatsapp_cloud(chatbot_id, account_id)


@whatsapp.post("/chat/chatbots/{chatbot_id}/whatsapp-qr", status_code=201)
async def connect_whatsapp_qr(chat: Service, chatbot_id: Id, session: QrSessionIn) -> ConnectedQrSession:
    """Connects a session of the QR service with a chatbot, or renews its secret."""
    row, secret = await chat.accounts.connect_whatsapp_qr(chatbot_id, session)
    shown = QrSessionOut.model_validate(row).model_dump()
    path = f"/webhooks/whatsapp/qr/{row.session_id}"
    return ConnectedQrSession(**shown, webhook_secret=secret, webhook_path=path)


@whatsapp.get("/chat/chatbots/{chatbot_id}/whatsapp-qr")
async def list_whatsapp_qr_sessions(chat: Service, chatbot_id: Id) -> list[QrSessionOut]:
    """A chatbot's sessions of the QR service."""
    rows = await chat.accounts.list_whatsapp_qr_sessions(chatbot_id)
    return [QrSessionOut.model_validate(row) for row in rows]


@whatsapp.delete("/chat/chatbots/{chatbot_id}/whatsapp-qr/{session_row_id}", status_code=204)
async def disconnect_whatsapp_qr(chat: Service, chatbot_id: Id, session_row_id: Id) -> None:
    """Forgets a session and its secret."""
    await chat.accounts.disconnect_whatsapp_qr(chatbot_id, session_row_id)


router = new_router()
for part in (customers, whatsapp):
    router.include_router(part)
