"""The HTTP side of people: what n8n posts, and what is asked and said about contacts and single messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from tidings.app import App
from tidings.clock import ManualClock
from tidings.messages.gate.opt_outs import OptOut
from tidings.messages.inbound import replies as inbound
from tidings.messages.inbound.stored import StoredReply

OpenApp = Callable[..., Awaitable[App]]

NOW = datetime(2026, 11, 24, 17, tzinfo=UTC)
KEY, SECRET = "k3y-of-this-test", "s3cret-of-this-test"
PHONE = "+12125550123"
REPLIES, STATUSES = "/webhooks/n8n/replies", "/webhooks/n8n/statuses"
STOP = {"phone": PHONE, "message": "STOP", "provider_message_id": "SM1"}


class Api:
    """The endpoints over one application whose clock stands still, called from another machine."""

    def __init__(self, app: App, http: httpx.AsyncClient) -> None:
        self.app = app
        self.http = http

    async def __call__(
        self, method: str, path: str, body: Any = None, *, key: str | None = KEY, secret: str | None = SECRET
    ) -> tuple[int, Any]:
        """Status and JSON of an answer; a problem (RFC 9457) is checked for its form."""
        headers = {"X-API-Key": key, "X-Tidings-Secret": secret}
        response = await self.http.request(
            method, path, json=body, headers={name: value for name, value in headers.items() if value is not None}
        )
        answer = response.json()
        if response.status_code >= 400:
            assert response.headers["content-type"] == "application/problem+json"
            assert answer["status"] == response.status_code
        return response.status_code, answer

    async def hook(self, path: str, body: Any, expect: int = 200) -> Any:
        """What n8n gets, which has the secret and no API key."""
        status, answer = await self("POST", path, body, key=None)
        assert status == expect, answer
        return answer

    async def good(self, method: str, path: str, body: Any = None, expect: int = 200) -> Any:
        status, answer = await self(method, path, body, secret=None)
        assert status == expect, answer
        return answer

    async def fields(self, method: str, path: str, body: Any) -> list[str]:
        """The fields that a refusal (422) names; nothing was stored."""
        status, problem = await self(method, path, body)
        assert status == 422, problem
        assert await self.count(StoredReply) == await self.count(OptOut) == 0
        return [error["field"] for error in problem["errors"]]

    async def count(self, table: Any) -> int:
        async with self.app.work.read() as session:
            return await session.scalar(select(func.count()).select_from(table)) or 0

    async def sent_message(self) -> str:
        """The name of a message that Ada got."""
        app = self.app
        event = await app.events.create_event({"name": "DemoCon", "date": "2026-11-25", "timezone": "UTC"})
        person, _ = await app.events.create_contractor({"name": "Ada Abara", "phone": PHONE})
        message = await app.events.schedule_event_message(
            {
                "event_id": event.id,
                "contractor_id": person.id,
                "message_type": "pcr_request",
                "scheduled_time": NOW.isoformat(),
                "message_content": "How was it, 1 to 10?",
            }
        )
        await app.start_workers(["event-messages"])
        while (await app.events.get_message(message.id)).status != "sent":
            await asyncio.sleep(0.01)
        await app.stop_workers()
        return f"event-message-{message.id}"


@pytest.fixture
async def api(open_app: OpenApp, database_url: str) -> AsyncIterator[Api]:
    app = await open_app(
        clock=ManualClock(NOW), database_url=database_url, api_key=KEY, n8n_inbound_secret=f" {SECRET}\n"
    )
    transport = httpx.ASGITransport(app=app.http())
    async with httpx.AsyncClient(transport=transport, base_url="http://tidings.example") as http:
        yield Api(app, http)


# Who may post


async def test_without_a_secret_set_up_nobody_may_post_and_the_answer_says_what_to_set(open_app: OpenApp) -> None:
    for secret in (None, "", "   "):
        app = await open_app(n8n_inbound_secret=secret, api_key=KEY)
        transport = httpx.ASGITransport(app=app.http())
        async with httpx.AsyncClient(transport=transport, base_url="http://tidings.example") as http:
            for given in (None, "", "   ", "anything"):
                status, problem = await Api(app, http)("POST", REPLIES, STOP, secret=given)
                assert (status, "N8N_INBOUND_SECRET" in problem["detail"]) == (403, True)


async def test_the_secret_opens_the_webhooks_and_the_api_key_everything_else(api: Api) -> None:
    for path in (REPLIES, STATUSES):
        for wrong in (None, "", "anything", SECRET[:-1], SECRET + "x", KEY):
            status, problem = await api("POST", path, STOP, secret=wrong)
            assert (status, "X-Tidings-Secret" in problem["detail"]) == (401, True)
    assert await api.count(StoredReply) == 0
    await api.hook(REPLIES, STOP)
    for method, path in (
        ("POST", "/opt-outs"),
        ("POST", "/opt-ins"),
        ("POST", "/contractors/1/consents"),
        ("GET", "/contractors/1/standing"),
        ("GET", "/messages/event-message-1/why"),
        ("POST", "/webhooks"),
        ("POST", "//webhooks/n8n/replies"),
    ):
        assert (await api(method, path, key=None))[0] == 401, path


async def test_a_secret_of_any_letters_works(open_app: OpenApp) -> None:
    app = await open_app(n8n_inbound_secret="geheimnisvoll-ß")
    transport = httpx.ASGITransport(app=app.http())
    async with httpx.AsyncClient(transport=transport, base_url="http://tidings.example") as http:
        headers = {b"X-Tidings-Secret": "geheimnisvoll-ß".encode()}
        assert (await http.post(REPLIES, json=STOP, headers=headers)).status_code == 200


# Replies


async def test_a_reply_is_taken_in_once_and_the_answer_says_what_became_of_it(api: Api) -> None:
    answer = await api.hook(REPLIES, STOP)
    assert answer == {
        "id": answer["id"],
        "duplicate": False,
        "action_taken": "opted_out",
        "command": "stop",
        "contact_id": None,
        "message": None,
        "rating": None,
        "sentiment_score": None,
    }
    assert await api.hook(REPLIES, STOP) == answer | {"duplicate": True}
    assert await api.count(StoredReply) == 1


async def test_a_rating_reaches_the_message_that_asked_for_it(api: Api) -> None:
    name = await api.sent_message()
    answer = await api.hook(
        REPLIES, STOP | {"message": "8", "received_at": "2026-11-24T12:00:00-04:00", "in_reply_to": "unknown"}
    )
    assert (answer["message"], answer["rating"], answer["action_taken"]) == (name, 8, "rating_recorded")
    standing = await api.good("GET", "/contractors/1/standing")
    [reply] = standing["replies"]
    assert (reply["received_at"], reply["text"], reply["kind"]) == ("2026-11-24T16:00:00Z", "8", "event-message")


async def test_a_workflow_may_name_the_fields_as_providers_do(api: Api) -> None:
    for number, (sender, text, provider_id) in enumerate(
        [
            ("phone", "message", "provider_message_id"),
            ("from", "text", "message_id"),
            ("sender", "body", "messageId"),
            ("from", "body", "id"),
        ]
    ):
        body = {sender: PHONE, text: "Hello", provider_id: f"SM{number}", "accountSid": "AC1", "numMedia": 0}
        assert not (await api.hook(REPLIES, body))["duplicate"]
    assert await api.count(StoredReply) == 4


async def test_numbers_and_nul_characters_of_a_careless_workflow_are_read_as_text(api: Api) -> None:
    answer = await api.hook(REPLIES, {"phone": 12125550123, "message": 9, "id": 4711})
    assert answer["rating"] == 9
    assert (await api.hook(REPLIES, {"phone": PHONE, "message": "9", "id": "4711"}))["duplicate"]
    nul = {"phone": f"{PHONE}\0", "message": "ST\0OP", "id": "4712\0", "in_reply_to": "\0x"}
    assert (await api.hook(REPLIES, nul))["command"] == "stop"


async def test_every_mistake_in_a_reply_is_named(api: Api) -> None:
    assert await api.fields("POST", REPLIES, {}) == ["phone", "message", "provider_message_id"]
    for field, value, named in (
        ("phone", "nobody", "phone"),
        ("phone", "ada@", "address"),
        ("phone", "", "phone"),
        ("phone", None, "phone"),
        ("message", "x" * 10_001, "message"),
        ("message", {"text": "STOP"}, "message"),
        ("provider_message_id", " ", "provider_message_id"),
        ("provider_message_id", "x" * 256, "provider_message_id"),
        ("received_at", "2026-11-24T12:00:00", "received_at"),
        ("received_at", "0001-01-01T00:00:00+14:00", "received_at"),
        ("received_at", "9999-12-31T23:59:59-14:00", "received_at"),
        ("in_reply_to", "", "in_reply_to"),
    ):
        assert await api.fields("POST", REPLIES, STOP | {field: value}) == [named], (field, value)
    assert (await api("POST", REPLIES, [STOP]))[0] == 422


# Delivery reports


async def test_delivery_reports_move_the_status_upward(api: Api) -> None:
    name = await api.sent_message()
    assert await api.hook(STATUSES, {"status": "DELIVERED", "message": name}) == {"changed": True}
    assert await api.hook(STATUSES, {"status": "FAILED", "message": name, "error": "late"}) == {"changed": False}
    provider_id = (await api.good("GET", f"/messages/{name}/why"))["lines"][0]["provider_message_id"]
    report = {"status": "READ", "messageId": provider_id, "at": "2026-11-24T16:59:00Z"}
    assert await api.hook(STATUSES, report) == {"changed": True}
    [line] = (await api.good("GET", f"/messages/{name}/why"))["lines"]
    assert (line["delivery_status"], line["delivery_status_at"]) == ("READ", "2026-11-24T16:59:00Z")


async def test_every_mistake_in_a_report_is_named(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbound, "UNRECORDED", ())
    for body, field in (
        ({"message": "event-message-1"}, "status"),
        ({"status": "GONE", "message": "event-message-1"}, "status"),
        ({"status": "READ"}, "provider_message_id"),
        ({"status": "READ", "message": "event-message-1e9"}, "message"),
        ({"status": "READ", "message": "x" * 65}, "message"),
        ({"status": "READ", "message": "event-message-1", "at": "yesterday"}, "at"),
    ):
        assert await api.fields("POST", STATUSES, body) == [field]
    for unknown in ({"id": "never-heard-of"}, {"message": "event-message-1"}, {"message": "pige\0on-1"}):
        assert (await api("POST", STATUSES, {"status": "READ", **unknown}))[0] == 404


# People


async def test_an_address_is_opted_out_and_in_again(api: Api) -> None:
    await api.sent_message()
    who = {"address": "(212) 555-0123", "words": "called us"}
    assert await api.good("POST", "/opt-outs", who) == {"changed": True}
    assert await api.good("POST", "/opt-outs", who) == {"changed": False}
    standing = await api.good("GET", "/contractors/1/standing")
    assert (standing["opted_out"], standing["trust"]) == (True, 0.0)
    assert standing["opt_outs"] == [
        {
            "address": PHONE,
            "opted_out_at": "2026-11-24T17:00:00Z",
            "ended_at": None,
            "source": "api",
            "words": "called us",
        }
    ]
    assert await api.good("POST", "/opt-ins", who) == {"changed": True}
    assert await api.good("POST", "/opt-ins", who) == {"changed": False}
    standing = await api.good("GET", "/contractors/1/standing")
    assert not standing["opted_out"]
    assert standing["opt_outs"][0]["ended_at"] == "2026-11-24T17:00:00Z"


async def test_consents_are_kept_with_their_proof_the_oldest_first(api: Api) -> None:
    await api.sent_message()
    path = "/contractors/1/consents"
    taken_back = await api.good("POST", path, {"granted": False, "channel": "email"}, expect=201)
    assert taken_back == {
        "channel": "email",
        "granted": False,
        "at": "2026-11-24T17:00:00Z",
        "source": "api",
        "proof": None,
    }
    given = {"granted": True, "channel": "email", "source": "form", "proof": "Yes, write to me"}
    earlier = await api.good("POST", path, {**given, "at": "2026-11-20T09:00:00+01:00"}, expect=201)
    assert earlier["at"] == "2026-11-20T08:00:00Z"
    standing = await api.good("GET", "/contractors/1/standing")
    assert standing["consents"] == [earlier, taken_back]


async def test_a_standing_shows_what_happened_lately(api: Api) -> None:
    await api.sent_message()
    standing = await api.good("GET", "/contractors/1/standing")
    assert (standing["opted_out"], standing["trust"], standing["opt_outs"], standing["consents"]) == (
        False,
        50,
        [],
        [],
    )
    [line] = standing["deliveries"]
    assert (line["kind"], line["outcome"], line["provider"]) == ("event-message", "sent", "simulator")
    assert line["inputs"]["purpose"] == "transactional"


async def test_why_tells_a_messages_story(api: Api) -> None:
    name = await api.sent_message()
    answer = await api.good("GET", f"/messages/{name}/why")
    assert (answer["message"], answer["status"], answer["summary"]) == (name, "sent", "It was sent.")
    assert "handed to simulator by sms" in answer["sentences"][0]
    assert [line["outcome"] for line in answer["lines"]] == ["sent"]


async def test_mistakes_about_people_are_named_and_strangers_not_found(api: Api) -> None:
    for path in ("/opt-outs", "/opt-ins"):
        assert await api.fields("POST", path, {}) == ["address"]
        assert await api.fields("POST", path, {"address": "nobody"}) == ["phone"]
        assert await api.fields("POST", path, {"address": "ada@nowhere"}) == ["address"]
        assert await api.fields("POST", path, {"address": PHONE, "why": "x"}) == ["why"]
        assert await api.fields("POST", path, {"address": PHONE, "words": "a\0b"}) == ["words"]
    path = "/contractors/1/consents"
    assert await api.fields("POST", path, {}) == ["granted"]
    for field, value in (
        ("channel", "pigeon"),
        ("source", ""),
        ("source", "a\0b"),
        ("proof", "\0"),
        ("at", "2026-11-24T12:00:00"),
        ("at", "0001-01-01T00:00:00+14:00"),
    ):
        assert await api.fields("POST", path, {"granted": True, field: value}) == [field]
    for method, unknown, body in (
        ("POST", path, {"granted": True}),
        ("GET", "/contractors/1/standing", None),
        ("GET", "/messages/event-message-1/why", None),
        ("GET", "/messages/pigeon-1/why", None),
        ("GET", "/messages/pige%00on-1/why", None),
    ):
        assert (await api(method, unknown, body))[0] == 404, unknown
    for unusable in ("/contractors/0/standing", f"/contractors/{2**63}/standing", "/messages/1/why"):
        assert (await api("GET", unusable))[0] == 422, unusable


async def test_the_description_says_who_may_call_what(api: Api) -> None:
    paths = (await api.good("GET", "/openapi.json"))["paths"]
    for path in (REPLIES, STATUSES):
        operation = paths[path]["post"]
        assert operation["security"] == []
        [header] = operation["parameters"]
        assert (header["in"], header["name"]) == ("header", "X-Tidings-Secret")
    for path in ("/opt-outs", "/opt-ins", "/contractors/{contractor_id}/consents", "/messages/{message}/why"):
        assert all("security" not in operation for operation in paths[path].values())
