"""What Mitto calls: only under the address that the installation gave it, as JSON or as a form."""

from __future__ import annotations

from urllib.parse import urlencode

from messages.due_messages import EVENT_MESSAGE, NOON, PHONE, OpenApp, Provider, message_to, outcome_of, person_of
from support.app import client_of, ledger
from tidings.clock import ManualClock

TOKEN = "t0ken-of-this-installation"
PATH = f"/webhooks/mitto/{TOKEN}"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


async def test_reports_and_replies_are_taken_in_and_anything_else_is_answered_politely(
    open_app: OpenApp, database_url: str
) -> None:
    app = await open_app(
        database_url=database_url,
        clock=ManualClock(NOON),
        mitto_callback_token=TOKEN,
        providers={"sms": Provider()},
    )
    message = await message_to(app, await person_of(app))
    assert await outcome_of(app, EVENT_MESSAGE, message.id) == "sent"
    key = app.kinds[EVENT_MESSAGE].idempotency_key(message.id, message.created_at)
    calls = (
        ({"json": {"msgId": "m-1", "status": "Delivered", "reference": key}}, "report"),
        ({"content": urlencode({"messageId": "m-1", "status": "READ", "reference": key})}, "report"),
        ({"params": {"msgid": "of-somebody-else", "status": "DELIVERED"}}, "report"),
        ({"json": {"from": PHONE, "text": "Thanks!", "id": "r-1"}}, "reply"),
        ({"json": {"from": "DHL", "text": "Your parcel", "id": "r-2"}}, "reply"),  # nobody who can be answered
        ({"json": {"hello": "world"}}, None),
        ({"content": b"\xff\xfe"}, None),
        ({"content": b"[" * 100_000}, None),
    )
    async with client_of(app) as http:
        for request, taken_as in calls:
            response = await http.post(PATH, **request)
            assert (response.status_code, response.json()) == (200, {"taken_as": taken_as}), request
    [line] = await ledger(app, EVENT_MESSAGE, message.id)
    assert line.delivery_status == "READ"
    assert (await app.events.get_message(message.id)).response_received == "Thanks!"


async def test_without_the_token_there_is_no_such_address(open_app: OpenApp) -> None:
    for app in (await open_app(mitto_callback_token=TOKEN), await open_app()):
        async with client_of(app) as http:
            for wrong in ("wrong", f"{TOKEN}x", TOKEN[:-1], "%20"):
                response = await http.post(f"/webhooks/mitto/{wrong}", json={"from": PHONE, "text": "STOP"})
                assert response.status_code == 404, wrong
            assert (await http.post("/webhooks/mitto/", json={})).status_code == 404
    assert not (await app.contacts.opt_in(PHONE))
