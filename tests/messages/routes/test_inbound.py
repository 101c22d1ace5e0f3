"""What n8n posts: only with the secret, once, and every mistake is named."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from messages.routes.api import KEY, PHONE, SECRET, Api, OpenApp
from tidings.messages.inbound import reports
from tidings.messages.inbound.stored import StoredReply

REPLIES, STATUSES = "/webhooks/n8n/replies", "/webhooks/n8n/statuses"
STOP = {"phone": PHONE, "message": "STOP", "provider_message_id": "SM1"}


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
        "tenant": "installation",
        "unsure": False,
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
    assert await api.fields("POST", REPLIES, {}) == ["message", "provider_message_id"]
    for field, value, named in (
        ("message", "x" * 10_001, "message"),
        ("message", {"text": "STOP"}, "message"),
        ("provider_message_id", " ", "provider_message_id"),
        ("provider_message_id", "x" * 256, "provider_message_id"),
        ("in_reply_to", "", "in_reply_to"),
    ):
        assert await api.fields("POST", REPLIES, STOP | {field: value}) == [named], (field, value)
    assert (await api("POST", REPLIES, [STOP, STOP]))[0] == 422


@pytest.mark.parametrize("sender", ["", None, [], True, "x" * 300, "INFO", {"number": 1}])
async def test_a_stop_whose_sender_is_no_address_is_kept_for_a_person(api: Api, sender: Any) -> None:
    assert (await api.hook(REPLIES, STOP | {"phone": sender}))["action_taken"] == "sender_unreadable"
    missing = {name: value for name, value in STOP.items() if name != "phone"}
    kept = await api.hook(REPLIES, missing | {"provider_message_id": "without"})
    assert (kept["action_taken"], kept["command"]) == ("sender_unreadable", "stop")


@pytest.mark.parametrize("moment", ["2026-11-24T12:00:00", "0001-01-01T00:00:00+14:00", "yesterday", 17, None])
async def test_a_moment_that_cannot_be_read_loses_no_stop(api: Api, moment: Any) -> None:
    assert (await api.hook(REPLIES, STOP | {"received_at": moment}))["action_taken"] == "opted_out"


# Delivery reports


async def test_delivery_reports_move_the_status_upward(api: Api) -> None:
    name = await api.sent_message()
    assert await api.hook(STATUSES, {"status": "DELIVERED", "message": name}) == {"changed": True}
    assert await api.hook(STATUSES, {"status": "FAILED", "message": name, "error": "late"}) == {"changed": False}
    provider_id = (await api.good("GET", f"/messages/{name}/why"))["lines"][0]["provider_message_id"]
    for word in ("delivered", "Delivered", "accepted", "queued"):
        assert await api.hook(STATUSES, {"MessageStatus": word, "MessageSid": provider_id}) == {"changed": False}
    report = {"status": "read", "messageId": provider_id, "at": "2026-11-24T16:59:00Z"}
    assert await api.hook(STATUSES, report) == {"changed": True}
    [line] = (await api.good("GET", f"/messages/{name}/why"))["lines"]
    assert (line["delivery_status"], line["delivery_status_at"]) == ("READ", "2026-11-24T16:59:00Z")


async def test_a_report_is_read_however_a_workflow_hands_on_what_its_provider_said(api: Api) -> None:
    name = await api.sent_message()
    provider_id = (await api.good("GET", f"/messages/{name}/why"))["lines"][0]["provider_message_id"]
    assert await api.hook(STATUSES, [{"json": {"message": name, "status": "Delivery_Ack"}}]) == {"changed": True}
    for body in (
        {"Message": name, "Status": "Delivered"},
        {"SmsSid": provider_id, "SmsStatus": "delivered"},
        {"MESSAGE-ID": provider_id, "MESSAGE-STATUS": "SENT"},
        {"headers": {}, "query": {}, "body": {"message": name, "status": "sent"}},
        {"data": {"message": name, "status": "PENDING_ENROUTE"}},
        {"message": name, "status": "delivered", "at": "yesterday"},
        {"message": name, "status": "delivered", "at": "2026-11-24 16:59:00"},
        {"message": name, "status": "delivered", "error": None},
    ):
        assert await api.hook(STATUSES, body) == {"changed": False}, body

    other = await api.sent_message()
    failed = {"message": other, "status": "sending_failed", "error": {"code": 30003, "message": "Unreachable"}}
    assert await api.hook(STATUSES, failed) == {"changed": True}
    [line] = (await api.good("GET", f"/messages/{other}/why"))["lines"]
    assert line["delivery_status"] == "FAILED"
    assert "Unreachable" in str(line)


async def test_every_mistake_in_a_report_is_named(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "UNRECORDED", ())
    for body, field in (
        ({"message": "event-message-1"}, "status"),
        ({"status": "GONE", "message": "event-message-1"}, "status"),
        ({"status": "READ"}, "provider_message_id"),
        ({"status": "READ", "message": "event-message-1e9"}, "message"),
        ({"status": "READ", "message": "x" * 65}, "message"),
    ):
        assert await api.fields("POST", STATUSES, body) == [field]
    for unknown in ({"id": "never-heard-of"}, {"message": "event-message-1"}, {"message": "pige\0on-1"}):
        assert (await api("POST", STATUSES, {"status": "READ", **unknown}))[0] == 404


async def test_the_description_says_who_may_call_what(api: Api) -> None:
    paths = (await api.good("GET", "/openapi.json"))["paths"]
    for path in (REPLIES, STATUSES):
        operation = paths[path]["post"]
        assert operation["security"] == []
        [header] = operation["parameters"]
        assert (header["in"], header["name"]) == ("header", "X-Tidings-Secret")
    for path in ("/opt-outs", "/opt-ins", "/contractors/{contractor_id}/consents", "/messages/{message}/why"):
        assert all("security" not in operation for operation in paths[path].values())
