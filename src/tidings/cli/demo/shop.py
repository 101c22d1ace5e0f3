"""The sample shops of `tidings demo chat`: their chatbots, what they know, and what people ask the first one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from tidings.app import App

SAMPLE = "samples/cornershop.json"
TEMPLATE = {"name": "news", "language": "en"}
"""What WhatsApp takes from a shop that writes first."""

WHATSAPP = {"phone_number_id": "100000000000001", "access_token": "sample-token", "app_secret": "sample-secret"}
"""A number that there is not at Meta; what is sent from it goes to the simulator."""

NEIGHBOUR = "Tea House"
NEIGHBOURS_KNOWLEDGE = {
    "Opening hours": "The Tea House is open every day from noon to 10 pm.",
    "Oolong tea": "We pour oolong from Taiwan and Fujian, and you may taste each of them.",
}


@dataclass(frozen=True, slots=True)
class ScriptedQuestion:
    """What somebody writes, in one or more messages, and words that the answer holds."""

    asks: Sequence[str]
    expects: str


@dataclass(frozen=True, slots=True)
class DemoShop:
    """A customer with one chatbot, and the secret of its webhook endpoint if it has one."""

    name: str
    customer_id: int
    chatbot_id: int
    widget_key: str
    secret: str | None


def sample_questions() -> list[ScriptedQuestion]:
    """What people ask in the demo."""
    return [ScriptedQuestion(entry["asks"], entry["expects"]) for entry in _sample()["questions"]]


async def open_shop(app: App, webhook_url: str | None = None) -> DemoShop:
    """Stores the sample shop, whose chatbot obeys STOP, START and HELP; its events go to `webhook_url`."""
    sample, accounts, knowledge = _sample(), app.chat.accounts, app.chat.knowledge
    plan = await accounts.create_plan({"name": "Pro", "monthly_price": "59"})
    customer = await accounts.create_customer({"name": sample["name"], "plan_id": plan.id})
    base = await knowledge.create_base({"customer_id": customer.id, "name": "Questions and answers"})
    for item in sample["items"]:
        await knowledge.add_item(base.id, item)
    chatbot = await accounts.create_chatbot(
        {
            "customer_id": customer.id,
            "name": sample["name"],
            "knowledge_base_id": base.id,
            "system_prompt": sample["system_prompt"],
            "fallback_message": sample["fallback"],
            "keywords": True,
            "whatsapp_template": TEMPLATE,
            "widget": {"greeting": sample["greeting"], "color": "#0b6e4f"},
        }
    )
    await accounts.connect_whatsapp_cloud(chatbot.id, WHATSAPP)
    await accounts.connect_whatsapp_qr(chatbot.id, {"session_id": "corner-shop"})
    secret = None
    if webhook_url is not None:
        _, secret = await app.chat.webhooks.create_endpoint(customer.id, {"url": webhook_url})
    return DemoShop(sample["name"], customer.id, chatbot.id, chatbot.widget_key, secret)


async def open_neighbour(app: App) -> DemoShop:
    """Stores another customer with a chatbot and a number of its own, who has nothing to do with the first one."""
    accounts, knowledge = app.chat.accounts, app.chat.knowledge
    customer = await accounts.create_customer({"name": NEIGHBOUR})
    base = await knowledge.create_base({"customer_id": customer.id, "name": "Questions and answers"})
    for title, content in NEIGHBOURS_KNOWLEDGE.items():
        await knowledge.add_item(base.id, {"title": title, "content": content})
    chatbot = await accounts.create_chatbot(
        {
            "customer_id": customer.id,
            "name": NEIGHBOUR,
            "knowledge_base_id": base.id,
            "keywords": True,
            "whatsapp_template": TEMPLATE,
        }
    )
    await accounts.connect_whatsapp_cloud(chatbot.id, {**WHATSAPP, "phone_number_id": "100000000000002"})
    return DemoShop(NEIGHBOUR, customer.id, chatbot.id, chatbot.widget_key, None)


def _sample() -> Mapping[str, Any]:
    sample: Mapping[str, Any] = json.loads(files("tidings.cli").joinpath(SAMPLE).read_text("utf-8"))
    return sample
