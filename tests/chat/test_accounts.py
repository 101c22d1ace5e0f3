"""Plans, customers, chatbots and usage over HTTP; mistakes are answered with what to change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from chat.support import Chats
from support.app import client_of


async def test_a_chatbot_is_set_up_and_asked_over_http(chats: Chats) -> None:
    await chats.start()
    async with client_of(chats.app) as client:

        async def post(path: str, **body: Any) -> Any:
            answer = await client.post(path, json=body)
            assert answer.status_code in (201, 202), answer.text
            return answer.json()

        plan = await post("/chat/plans", name="Pro", monthly_price=49.9)
        customer = await post("/chat/customers", name="Acme", plan_id=plan["id"])
        base = await post("/chat/knowledge-bases", customer_id=customer["id"], name="FAQ")
        items = f"/chat/knowledge-bases/{base['id']}/items"
        item = await post(items, title="Opening hours", content="9 to 5.")
        bot = await post("/chat/chatbots", customer_id=customer["id"], name="Bot", knowledge_base_id=base["id"])
        changed = await client.patch(
            f"/chat/chatbots/{bot['id']}", json={"debounce": 0, "fallback_message": "Later!"}
        )
        assert (changed.json()["debounce"], changed.json()["fallback_message"]) == (0, "Later!")
        found = await client.get(f"/chat/knowledge-bases/{base['id']}/search", params={"q": "when are you open"})
        assert [one["id"] for one in found.json()] == [item["id"]]
        message = {
            "chatbot_id": bot["id"],
            "channel": "widget",
            "external_user_id": "v1",
            "content": "opening hours?",
        }
        stored = await post("/chat/messages", **message)
        [row] = await chats.answers(1)
        path = f"/chat/chatbots/{bot['id']}/conversations/{stored['conversation_id']}/messages"
        shown = (await client.get(path)).json()
        assert [(one["role"], one["content"]) for one in shown] == [
            ("user", "opening hours?"),
            ("assistant", "9 to 5."),
        ]
        assert (shown[1]["id"], shown[1]["delivery_status"]) == (row.id, "SENT")
        stats = (await client.get("/chat/queues")).json()
        assert (stats["ai-processing"]["completed"], stats["outgoing-messages"]["completed"]) == (1, 1)
        assert stats["incoming-messages"]["completed"] >= 1  # the upkeep comes round in this queue, too
        assert set(stats["ai-processing"]) == {"waiting", "active", "completed", "failed", "delayed"}
        usage = (await client.get(f"/chat/customers/{customer['id']}/usage")).json()
        assert usage == [{"kind": "message", "model": None, "quantity": 1, "tokens": None}]
        later = {"since": datetime(2199, 1, 1, tzinfo=UTC).isoformat()}
        assert (await client.get(f"/chat/customers/{customer['id']}/usage", params=later)).json() == []
        assert [one["id"] for one in (await client.get(f"/chat/customers/{customer['id']}/chatbots")).json()] == [
            bot["id"]
        ]


ASKED = {"chatbot_id": 1, "channel": "widget", "external_user_id": "v", "content": "?"}
BOT = {"name": "Bot", "customer_id": 1}
ACCOUNT = {"phone_number_id": "106540352242922", "access_token": "EAAG12345", "app_secret": "secret-0"}
MISTAKES: list[tuple[str, dict[str, Any], int, str]] = [
    ("/chat/plans", {"name": "Pro", "monthly_price": "a lot"}, 422, "49.90"),
    ("/chat/plans", {"name": "Pro", "monthly_price": "-1"}, 422, "49.90"),
    ("/chat/customers", {"name": "Acme", "plan_id": 4711}, 404, "plan 4711"),
    ("/chat/chatbots", {**BOT, "customer_id": 4711}, 404, "customer 4711"),
    ("/chat/chatbots", {**BOT, "allowed_origins": ["acme"]}, 422, "https://shop.example"),
    ("/chat/chatbots", {**BOT, "debounce": 9}, 422, "less than or equal to 8"),
    (
        "/chat/chatbots",
        {**BOT, "widget": {"titel": "Shop"}},
        422,
        "widget.titel: is not a known field; did you mean title?",
    ),
    ("/chat/chatbots", {**BOT, "widget": {"color": "red"}}, 422, "widget.color: "),
    ("/chat/messages", {**ASKED, "chatbot_id": 4711}, 404, "chatbot 4711"),
    ("/chat/messages", {**ASKED, "channel": "fax"}, 422, "whatsapp_cloud"),
    ("/chat/messages", {**ASKED, "content": " "}, 422, "blank"),
    ("/chat/chatbots/1/whatsapp-cloud", {**ACCOUNT, "phone_number_id": "12"}, 422, "WhatsApp Manager"),
    ("/chat/chatbots/1/whatsapp-cloud", {**ACCOUNT, "app_secret": "two words"}, 422, "copy it again"),
    ("/chat/chatbots/4711/whatsapp-cloud", ACCOUNT, 404, "chatbot 4711"),
]


async def test_a_mistake_is_answered_with_what_to_change(chats: Chats) -> None:
    async with client_of(chats.app) as client:
        for path, body, status, words in MISTAKES:
            answer = await client.post(path, json=body)
            assert answer.status_code == status, (path, body)
            assert words in answer.text
            assert "secret-0" not in answer.text
            assert "EAAG" not in answer.text


async def test_a_plans_name_is_given_once(chats: Chats) -> None:
    async with client_of(chats.app) as client:
        answers = [await client.post("/chat/plans", json={"name": "Pro", "monthly_price": 50}) for _ in range(2)]
    assert [one.status_code for one in answers] == [201, 409]
