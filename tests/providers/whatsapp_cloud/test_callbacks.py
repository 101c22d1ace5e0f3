"""Every event in a request of Meta's is read once, what cannot be read is counted, and nothing breaks the parser."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.cases import every_case
from tidings.providers.reports import DeliveryReport, InboundMessage
from tidings.providers.whatsapp_cloud.callbacks import (
    CloudFault,
    IncomingWhatsApp,
    MarketingChoice,
    WebhookBatch,
    WhatsAppStatus,
    parse_webhook,
    verify_handshake,
)
from tidings.providers.whatsapp_cloud.echoes import EchoedWhatsApp
from tidings.providers.whatsapp_cloud.identities import NewIdentity

AT = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
STAMP = "1795521600"
NUMBER = "106540352242922"
SENDER = "+16505551234"
USER_ID = "US.13491208655302741918"
MESSAGE = {"from": "16505551234", "id": "wamid.IN", "timestamp": STAMP, "type": "text", "text": {"body": "hi"}}
STATUS = {"id": "wamid.OUT", "status": "delivered", "timestamp": STAMP, "recipient_id": "16505551234"}


def change(number: str = NUMBER, field: str = "messages", **value: Any) -> dict[str, Any]:
    metadata = {"display_phone_number": "15550783881", "phone_number_id": number}
    return {"field": field, "value": {"messaging_product": "whatsapp", "metadata": metadata, **value}}


def request(*changes: Any) -> dict[str, Any]:
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": "102290129340398", "changes": [one]} for one in changes],
    }


def incoming(**fields: Any) -> IncomingWhatsApp:
    usual: dict[str, Any] = {
        "provider_message_id": "wamid.IN",
        "sender": SENDER,
        "text": "hi",
        "received_at": AT,
        "phone_number_id": NUMBER,
        "kind": "text",
    }
    return IncomingWhatsApp(**(usual | fields))


def status(**fields: Any) -> WhatsAppStatus:
    usual: dict[str, Any] = {
        "provider_message_id": "wamid.OUT",
        "status": "DELIVERED",
        "at": AT,
        "phone_number_id": NUMBER,
        "recipient": SENDER,
    }
    return WhatsAppStatus(**(usual | fields))


@pytest.mark.parametrize(
    ("query", "token", "answer"),
    [
        (
            {"hub.mode": "subscribe", "hub.verify_token": "t0ken", "hub.challenge": "1158201444"},
            "t0ken",
            "1158201444",
        ),
        ({"hub.mode": "subscribe", "hub.verify_token": "ключ", "hub.challenge": "1"}, "ключ", "1"),
        ({"hub.mode": "subscribe", "hub.verify_token": "other", "hub.challenge": "1"}, "t0ken", None),
        ({"hub.mode": "subscribe", "hub.verify_token": "t0ken ", "hub.challenge": "1"}, "t0ken", None),
        ({"hub.mode": "unsubscribe", "hub.verify_token": "t0ken", "hub.challenge": "1"}, "t0ken", None),
        ({"hub.verify_token": "t0ken", "hub.challenge": "1"}, "t0ken", None),
        ({"hub.mode": "subscribe", "hub.verify_token": "t0ken"}, "t0ken", None),
        ({"hub.mode": "subscribe", "hub.challenge": "1"}, "t0ken", None),
        ({"hub.mode": "subscribe", "hub.verify_token": "", "hub.challenge": "1"}, "", None),
        ({"hub.mode": "subscribe", "hub.verify_token": "  ", "hub.challenge": "1"}, "  ", None),
        ({"hub.mode": "subscribe", "hub.challenge": "1"}, "", None),
        ({}, "t0ken", None),
    ],
)
def test_only_who_knows_the_token_gets_the_challenge_back(
    query: dict[str, str], token: str, answer: str | None
) -> None:
    assert verify_handshake(query, token) == answer


def test_a_message_is_read_with_its_sender_name_time_and_number() -> None:
    contacts = [
        {"profile": {"name": "Kerry Fisher"}, "wa_id": "16505550000", "user_id": "US.2"},
        {"profile": {"name": "Sheena  Nelson\n", "username": "sheena"}, "wa_id": "16505551234", "user_id": USER_ID},
    ]
    message = MESSAGE | {"from_user_id": USER_ID, "context": {"from": "15550783881", "id": "wamid.OUT"}}

    batch = parse_webhook(request(change(contacts=contacts, messages=[message])))

    assert batch == WebhookBatch(
        (incoming(profile_name="Sheena Nelson", user_id=USER_ID, reply_to="wamid.OUT"),), (), (), (), 0
    )


def test_a_message_and_a_status_are_what_the_door_in_takes() -> None:
    batch = parse_webhook(request(change(messages=[MESSAGE], statuses=[STATUS])))

    assert isinstance(batch.messages[0], InboundMessage)
    assert isinstance(batch.statuses[0], DeliveryReport)


def test_somebody_who_hides_the_phone_number_is_known_by_user_id() -> None:
    message = {name: value for name, value in MESSAGE.items() if name != "from"} | {"from_user_id": USER_ID}
    contacts = [{"profile": {"name": "Ann", "username": "ann"}, "user_id": USER_ID}]

    batch = parse_webhook(request(change(contacts=contacts, messages=[message])))

    assert batch.messages == (incoming(sender=USER_ID, user_id=USER_ID, profile_name="Ann"),)


def test_many_events_of_many_numbers_come_in_their_order() -> None:
    batch = parse_webhook(
        request(
            change("1", messages=[MESSAGE | {"id": "wamid.1"}, MESSAGE | {"id": "wamid.2"}]),
            change("2", messages=[MESSAGE | {"id": "wamid.3"}], statuses=[STATUS, STATUS | {"status": "read"}]),
            change("3", statuses=[STATUS | {"status": "sent"}]),
        )
    )

    assert [(one.phone_number_id, one.provider_message_id) for one in batch.messages] == [
        ("1", "wamid.1"),
        ("1", "wamid.2"),
        ("2", "wamid.3"),
    ]
    assert [(one.phone_number_id, one.status) for one in batch.statuses] == [
        ("2", "DELIVERED"),
        ("2", "READ"),
        ("3", "SENT"),
    ]
    assert batch.skipped == 0


BUTTON = {"payload": "approve_67", "text": "Approve"}
LIST_REPLY = {"type": "list_reply", "list_reply": {"id": "row-2", "title": "Tuesday", "description": "10:00"}}
BUTTON_REPLY = {"type": "button_reply", "button_reply": {"id": "cancel", "title": "Cancel"}}
FORM = {"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": '{"day":"Tue"}'}}
PLACE = {"latitude": 52.516267, "longitude": 13.377796, "name": "Brandenburg Gate", "address": "Pariser Platz"}
CARDS = [
    {"name": {"formatted_name": "Ann Lee"}, "phones": [{"phone": "+1 650 555 0000", "type": "CELL"}]},
    {"name": {"formatted_name": "Bo"}},
]


DINNER = {
    "flow_token": "token-1",
    "screen_0_first_name_0": "Ada",
    "screen_0_guests_1": 2,
    "screen_1_Choose_2": ["0_Terrace", "1_No_smoking"],
    "screen_1_Date_3": "2026-12-05",
    "code": "2026_12",
    "wine": True,
    "empty": "",
    "none": None,
}
DINNER_TEXT = (
    "[form] first name: Ada; guests: 2; Choose: Terrace, No smoking; Date: 2026-12-05; code: 2026_12; wine: yes"
)
ADDRESS = {"saved_address_id": "a1", "values": {"name": "Ada", "in_pin_code": "400063", "tags": [{"floor": "8"}]}}
ADDRESS_TEXT = "[form] name: Ada; in pin code: 400063; floor: 8"
BASKET = [
    {"product_retailer_id": "LAMP-7", "quantity": 2, "item_price": 19.9, "currency": "EUR"},
    {"product_retailer_id": 81, "quantity": "1", "item_price": "5", "currency": "EUR"},
]
COMPANY = {
    "name": {"formatted_name": "Eve Ray"},
    "org": {"company": "Acme", "title": "CEO"},
    "phones": [{"phone": "+16505550001"}, {"wa_id": "1"}, {"phone": "+16505550002"}],
    "emails": [{"email": "eve@example.com"}],
}


def form(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": json.dumps(fields)}}


@every_case(
    ("kind", "content", "expected"),
    [
        ("text", {"body": "a\0b \ud83d"}, {"text": "ab ?"}),
        ("text", {"body": ""}, {"text": ""}),
        ("button", BUTTON, {"text": "Approve", "payload": "approve_67"}),
        ("interactive", BUTTON_REPLY, {"text": "Cancel", "payload": "cancel"}),
        ("interactive", LIST_REPLY, {"text": "Tuesday", "payload": "row-2"}),
        ("interactive", FORM, {"text": "[form] day: Tue", "payload": '{"day":"Tue"}'}),
        ("interactive", form(DINNER), {"text": DINNER_TEXT, "payload": json.dumps(DINNER)}),
        ("interactive", form(ADDRESS), {"text": ADDRESS_TEXT, "payload": json.dumps(ADDRESS)}),
        ("interactive", form({"flow_token": "t"}), {"text": "Sent", "payload": '{"flow_token": "t"}'}),
        (
            "interactive",
            {"type": "nfm_reply", "nfm_reply": {"response_json": "{"}},
            {"text": "[form]", "payload": "{"},
        ),
        ("interactive", {"type": "nfm_reply", "nfm_reply": []}, "[form]"),
        (
            "interactive",
            {"type": "call_permission_reply", "call_permission_reply": {"response": "accept"}},
            "[call permission accept]",
        ),
        ("interactive", {"type": "something_new"}, {"text": "[interactive]"}),
        (
            "image",
            {"id": "1", "mime_type": "image/jpeg", "caption": "Broken on arrival"},
            "[image] Broken on arrival",
        ),
        ("image", {"id": "1"}, "[image]"),
        ("video", {"id": "1", "caption": "Look\nhere"}, "[video] Look\nhere"),
        ("sticker", {"id": "1", "animated": False}, "[sticker]"),
        ("audio", {"id": "1", "voice": True}, "[voice message]"),
        ("audio", {"id": "1", "voice": False}, "[audio]"),
        ("document", {"filename": "bill\n.pdf", "caption": "The bill"}, "[document bill .pdf] The bill"),
        ("document", {"id": "1"}, "[document]"),
        ("location", PLACE, "[location 52.51627 13.37780, Brandenburg Gate, Pariser Platz]"),
        ("location", {"latitude": "x"}, "[location unknown]"),
        ("contacts", CARDS, "[contact Ann Lee +1 650 555 0000, Bo]"),
        ("contacts", [5], "[contact somebody]"),
        ("contacts", {}, "[contact]"),
        ("reaction", {"message_id": "wamid.OUT", "emoji": "👍"}, {"text": "[reaction 👍]", "reply_to": "wamid.OUT"}),
        ("reaction", {"message_id": "wamid.OUT"}, {"text": "[reaction removed]", "reply_to": "wamid.OUT"}),
        ("unsupported", {"type": "poll_creation"}, "[unsupported message]"),
        ("order", {"catalog_id": "1", "text": "two of them"}, "[order] two of them"),
        ("order", {"product_items": BASKET}, "[order] 2 × LAMP-7 at 19.90 EUR, 1 × 81 at 5 EUR; total 44.80 EUR"),
        (
            "order",
            {
                "product_items": [*BASKET, {"product_retailer_id": "X", "currency": "USD", "item_price": "1"}],
                "text": "Hi",
            },
            "[order] 2 × LAMP-7 at 19.90 EUR, 1 × 81 at 5 EUR, 1 × X at 1 USD – Hi",
        ),
        ("order", {"product_items": [5, {"item_price": "NaN"}]}, "[order] 1 × something, 1 × something"),
        ("order", {"product_items": "x"}, "[order]"),
        ("contacts", [COMPANY], "[contact Eve Ray (Acme) +16505550001 +16505550002 eve@example.com]"),
        ("unsupported", None, "[unsupported message]"),
        ("hologram", {"caption": "new"}, "[hologram] new"),
        ("request_welcome", None, "[request_welcome]"),
        ("system", {"body": "Ann changed number", "type": "user_changed_number"}, "[system Ann changed number]"),
        (
            "edit",
            {"original_message_id": "wamid.OLD", "message": {"type": "text", "text": {"body": "STOP"}}},
            {"text": "STOP", "reply_to": "wamid.OLD"},
        ),
        (
            "edit",
            {"original_message_id": "wamid.OLD", "message": {"type": "image", "image": {"caption": "new"}}},
            {"text": "[image] new", "reply_to": "wamid.OLD"},
        ),
        ("revoke", {"original_message_id": "wamid.OLD"}, {"text": "[message deleted]", "reply_to": "wamid.OLD"}),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_every_type_of_message_has_a_text(kind: str, content: Any, expected: str | dict[str, Any]) -> None:
    message = MESSAGE | {"type": kind, kind: content}
    fields = {"text": expected} if isinstance(expected, str) else expected

    batch = parse_webhook(request(change(messages=[message])))

    assert batch.messages == (incoming(kind=kind, **fields),)
    assert batch.skipped == 0


@every_case(
    ("fields", "expected"),
    [
        (
            {"context": {"referred_product": {"catalog_id": "1", "product_retailer_id": "LAMP-7"}}},
            "hi\n[about product LAMP-7]",
        ),
        ({"referral": {"headline": "Chat with us", "source_id": "9"}}, "hi\n[from the advertisement 'Chat with us']"),
        ({"referral": {"source_id": "9"}}, "hi"),
        ({"referral": [], "context": 5}, "hi"),
        ({"errors": [{"code": 131051, "title": "Unsupported"}]}, "hi"),
    ],
)
def test_what_a_message_is_about_without_saying_it_is_told_with_it(fields: dict[str, Any], expected: str) -> None:
    [message] = parse_webhook(request(change(messages=[MESSAGE | fields]))).messages
    assert message.text == expected


def test_a_message_from_the_businesss_own_number_is_none() -> None:
    batch = parse_webhook(request(change(messages=[MESSAGE | {"from": "15550783881"}, MESSAGE])))
    assert (batch.messages, batch.skipped) == ((incoming(),), 1)


def test_a_username_and_an_id_are_taken_from_the_contact_where_the_message_has_none() -> None:
    contacts = [{"profile": {"username": "sheena"}, "wa_id": "16505551234", "user_id": USER_ID}]
    batch = parse_webhook(request(change(contacts=contacts, messages=[MESSAGE])))
    assert batch.messages == (incoming(profile_name="sheena", user_id=USER_ID),)


ECHO = {
    "from": "15550783881",
    "to": "16505551234",
    "id": "wamid.E",
    "timestamp": STAMP,
    "type": "text",
    "text": {"body": "Yes"},
}


def echoed(**fields: Any) -> EchoedWhatsApp:
    usual: dict[str, Any] = {
        "phone_number_id": NUMBER,
        "recipient": SENDER,
        "provider_message_id": "wamid.E",
        "kind": "text",
        "text": "Yes",
        "sent_at": AT,
    }
    return EchoedWhatsApp(**(usual | fields))


@every_case(
    ("event", "expected"),
    [
        (ECHO, echoed()),
        ({**ECHO, "to_user_id": USER_ID}, echoed(user_id=USER_ID)),
        ({**ECHO, "to": None, "to_user_id": USER_ID}, echoed(recipient=USER_ID, user_id=USER_ID)),
        ({**ECHO, "type": "image", "image": {"id": "1"}}, echoed(kind="image", text="[image]")),
        (
            {**ECHO, "type": "unsupported", "errors": [{"code": 131060}]},
            echoed(kind="unsupported", text="[unsupported message]"),
        ),
        ({**ECHO, "timestamp": None}, echoed(sent_at=None)),
        (
            {**ECHO, "type": "revoke", "revoke": {"original_message_id": "wamid.D"}},
            echoed(kind="revoke", text="[message deleted]", about="wamid.D"),
        ),
        (
            {
                **ECHO,
                "type": "edit",
                "edit": {"original_message_id": "wamid.D", "message": {"type": "text", "text": {"body": "No"}}},
            },
            echoed(kind="edit", text="No", about="wamid.D"),
        ),
        ({**ECHO, "to": "", "to_user_id": None}, None),
        ({**ECHO, "id": None}, None),
        ({**ECHO, "type": None}, None),
        (5, None),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_what_the_business_writes_in_the_phone_app_is_read_as_an_echo(
    event: Any, expected: EchoedWhatsApp | None
) -> None:
    batch = parse_webhook(request(change(field="smb_message_echoes", message_echoes=[event])))
    assert batch.echoes == ((expected,) if expected else ())
    assert batch.skipped == (expected is None)
    assert batch.messages == ()


HISTORY = [
    {
        "metadata": {"phase": 0, "chunk_order": 1, "progress": 55},
        "threads": [{"id": "16505551234", "messages": [MESSAGE]}],
    }
]
CONTACT = {"type": "contact", "contact": {"full_name": "Ann", "phone_number": "16505551234"}, "action": "add"}


@every_case(
    ("field", "value"),
    [
        ("history", {"history": HISTORY}),
        ("history", {"history": [{"errors": [{"code": 2593109, "title": "not shared"}]}]}),
        ("history", {"messages": [MESSAGE]}),  # the pictures of a history come this way
        ("smb_app_state_sync", {"state_sync": [CONTACT]}),
        ("account_update", {"event": "PARTNER_REMOVED"}),
        ("standby", {"standby": {"messages": [MESSAGE]}}),
        ("smb_message_echoes", {}),
        ("smb_message_echoes", {"message_echoes": "x"}),
    ],
)
def test_what_a_phone_app_tells_beside_its_messages_is_no_message(field: str, value: dict[str, Any]) -> None:
    assert parse_webhook(request(change(field=field, **value))) == WebhookBatch()


@every_case(
    ("event", "expected"),
    [
        (
            {"from": "16505551234", "system": {"type": "user_changed_number", "wa_id": "12195555358"}},
            NewIdentity(NUMBER, (SENDER,), "+12195555358", None),
        ),
        (
            {
                "from": "16505551234",
                "system": {
                    "type": "user_changed_number",
                    "wa_id": "12195555358",
                    "user_id": "US.2",
                    "previous_user_id": USER_ID,
                },
            },
            NewIdentity(NUMBER, (SENDER, USER_ID), "+12195555358", "US.2"),
        ),
        (
            {"system": {"type": "user_changed_user_id", "user_id": "US.2", "previous_user_id": USER_ID}},
            NewIdentity(NUMBER, (USER_ID,), None, "US.2"),
        ),
        ({"from": "16505551234", "system": {"type": "customer_identity_changed"}}, None),
        ({"system": {"type": "user_changed_user_id"}}, None),
        ({"system": 5}, None),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_new_number_or_id_of_somebody_is_read(event: dict[str, Any], expected: NewIdentity | None) -> None:
    batch = parse_webhook(
        request(change(messages=[{"id": "wamid.S", "timestamp": STAMP, "type": "system", **event}]))
    )
    assert batch.identities == ((expected,) if expected else ())


def test_a_message_to_a_group_says_so() -> None:
    batch = parse_webhook(request(change(messages=[MESSAGE | {"group_id": "Y2FwaV9ncm91cDox"}])))

    assert batch.messages == (incoming(group_id="Y2FwaV9ncm91cDox"),)


@pytest.mark.parametrize(
    "timestamp", [None, "", "soon", "-1", "0", "9" * 30, 0, True, [], "2026-11-24T12:00:00"], ids=repr
)
def test_a_message_whose_time_cannot_be_read_is_kept(timestamp: object) -> None:
    batch = parse_webhook(request(change(messages=[MESSAGE | {"timestamp": timestamp}])))

    assert batch.messages == (incoming(received_at=None),)


def test_a_time_may_be_a_number() -> None:
    batch = parse_webhook(request(change(messages=[MESSAGE | {"timestamp": int(STAMP)}])))

    assert batch.messages == (incoming(),)


EXPIRED = {
    "code": 131047,
    "title": "Re-engagement message",
    "message": "Re-engagement message",
    "error_data": {"details": "More than 24 hours have passed"},
    "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
}
EXPIRED_TEXT = (
    "Re-engagement message: More than 24 hours have passed; "
    "the recipient wrote more than 24 hours ago, or never; send a template message"
)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"status": "sent"}, {"status": "SENT"}),
        ({"status": "delivered"}, {"status": "DELIVERED"}),
        ({"status": "read"}, {"status": "READ"}),
        ({"status": "played"}, {"status": "READ"}),
        ({"biz_opaque_callback_data": "chat-message-7"}, {"reference": "chat-message-7"}),
        ({"conversation": {"id": "f5", "origin": {"type": "service"}}}, {"origin": "service"}),
        ({"pricing": {"billable": True, "pricing_model": "PMP", "category": "utility"}}, {"origin": "utility"}),
        (
            {"conversation": {"origin": {"type": "service"}}, "pricing": {"category": "marketing"}},
            {"origin": "service"},
        ),
        ({"recipient_id": None, "recipient_user_id": USER_ID}, {"recipient": USER_ID}),
        ({"recipient_id": "Y2FwaV9ncm91cDox"}, {"recipient": "Y2FwaV9ncm91cDox"}),
        ({"recipient_id": None}, {"recipient": None}),
        (
            {"status": "failed", "errors": [EXPIRED]},
            {
                "status": "FAILED",
                "error": f"code 131047: {EXPIRED_TEXT}",
                "faults": (CloudFault(131047, EXPIRED_TEXT),),
            },
        ),
        ({"status": "failed"}, {"status": "FAILED", "error": "Meta gave no reason"}),
        (
            {"status": "failed", "errors": [{}]},
            {"status": "FAILED", "error": "no explanation", "faults": (CloudFault(None, "no explanation"),)},
        ),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_status_tells_how_a_message_fared(more: dict[str, Any], expected: dict[str, Any]) -> None:
    batch = parse_webhook(request(change(statuses=[STATUS | more])))

    assert batch.statuses == (status(**expected),)
    assert batch.skipped == 0


def test_a_failed_text_says_whether_a_template_may_go_and_whether_the_recipient_stopped() -> None:
    failed = STATUS | {"status": "failed"}
    batch = parse_webhook(
        request(change(statuses=[failed | {"errors": [{"code": code}]} for code in (131047, 131050, 131026)]))
    )

    assert [one.needs_template for one in batch.statuses] == [True, False, False]
    assert [one.opted_out for one in batch.statuses] == [False, True, False]


def test_who_wants_no_marketing_messages_any_more_is_told() -> None:
    choice = {
        "wa_id": "16505551234",
        "detail": "User requested to stop marketing messages",
        "category": "marketing_messages",
        "value": "stop",
        "timestamp": STAMP,
    }
    hidden = {"user_id": USER_ID, "category": "marketing_messages", "value": "resume", "timestamp": STAMP}
    strange = [choice | {"value": "pause"}, choice | {"category": "calls"}, choice | {"wa_id": ""}]

    batch = parse_webhook(request(change(field="user_preferences", user_preferences=[choice, hidden, *strange])))

    assert batch.choices == (
        MarketingChoice(NUMBER, SENDER, False, AT, words="User requested to stop marketing messages"),
        MarketingChoice(NUMBER, USER_ID, True, AT, user_id=USER_ID),
    )
    assert batch.skipped == 3


def test_errors_of_an_account_are_told() -> None:
    error = {"code": 130429, "title": "Rate limit hit", "error_data": {"details": "Too many messages"}}

    batch = parse_webhook(request(change(errors=[error])))

    assert batch.faults == (CloudFault(130429, "Rate limit hit: Too many messages"),)
    assert str(batch.faults[0]) == "code 130429: Rate limit hit: Too many messages"


@every_case(
    "bad",
    [
        None,
        5,
        {},
        MESSAGE | {"id": None},
        MESSAGE | {"id": "x" * 256},
        MESSAGE | {"from": None},
        MESSAGE | {"from": "abc"},
        MESSAGE | {"type": None},
        MESSAGE | {"type": "a\nb"},
        MESSAGE | {"text": None},
        MESSAGE | {"text": {"body": 5}},
        MESSAGE | {"type": "button"},
        MESSAGE | {"type": "interactive", "interactive": {"type": "button_reply"}},
        MESSAGE | {"type": "edit"},
        MESSAGE | {"type": "edit", "edit": {"message": {"type": "edit", "edit": {"message": {"type": "text"}}}}},
    ],
    ids=lambda value: repr(value)[-60:],
)
def test_a_message_that_cannot_be_read_is_counted_and_the_others_are_kept(bad: object) -> None:
    batch = parse_webhook(request(change(messages=[bad, MESSAGE])))

    assert batch.messages == (incoming(),)
    assert batch.skipped == 1


@pytest.mark.parametrize(
    "bad", [None, {}, STATUS | {"id": ""}, STATUS | {"status": "warning"}, STATUS | {"status": 1}]
)
def test_a_status_that_cannot_be_read_is_counted_and_the_others_are_kept(bad: object) -> None:
    batch = parse_webhook(request(change(statuses=[bad, STATUS])))

    assert batch.statuses == (status(),)
    assert batch.skipped == 1


def test_edits_inside_edits_end_somewhere() -> None:
    message: dict[str, Any] = MESSAGE
    for _ in range(3000):
        message = MESSAGE | {"type": "edit", "edit": {"message": message}}

    assert parse_webhook(request(change(messages=[message]))).skipped == 1


def test_what_belongs_to_no_number_is_counted() -> None:
    one = change(messages=[MESSAGE], statuses=[STATUS])
    del one["value"]["metadata"]

    assert parse_webhook(request(one)) == WebhookBatch(skipped=2)


@pytest.mark.parametrize(
    ("payload", "skipped"),
    [
        ({}, 0),
        ([], 0),
        (None, 0),
        ({"entry": 5}, 0),
        ({"entry": [5]}, 1),
        ({"entry": [{}, {"changes": "x"}]}, 2),
        ({"entry": [{"changes": []}]}, 0),
        ({"entry": [{"changes": [5, {"value": {}}]}]}, 2),
        (request({"field": "messages", "value": 5}), 0),
        (request(change(messages={})), 0),
        (request(change(field="message_template_status_update", messages=[MESSAGE])), 0),
    ],
    ids=repr,
)
def test_a_request_without_events_is_empty(payload: object, skipped: int) -> None:
    assert parse_webhook(payload) == WebhookBatch(skipped=skipped)


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([NUMBER, "16505551234", STAMP, USER_ID, "\ud83d", "9" * 30, "stop", "failed", "delivered"])
)
KEYS = (
    st.sampled_from(["body", "caption", "filename", "latitude", "longitude", "name", "formatted_name", "phones"])
    | st.sampled_from(["phone", "emoji", "message_id", "type", "id", "text", "payload", "message", "title", "code"])
    | st.sampled_from(["original_message_id", "button_reply", "error_data", "details", "wa_id", "user_id", "profile"])
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
KINDS = st.sampled_from(
    ["text", "button", "interactive", "image", "audio", "document", "location", "contacts"]
) | st.sampled_from(["reaction", "edit", "revoke", "system", "new_type"])


@st.composite
def events(draw: st.DrawFn) -> Any:
    """Something like a message or a status, with any of its parts replaced by any JSON."""
    kind = draw(KINDS)
    start: dict[str, Any] = draw(st.sampled_from([MESSAGE, STATUS]))
    event = start | {"type": kind, kind: draw(JSON)}
    names = ["id", "from", "status", "timestamp", "errors", "context", "conversation", "pricing", "recipient_id"]
    return event | draw(st.dictionaries(st.sampled_from(names), JSON, max_size=3))


PARTS = st.lists(events() | JSON, max_size=2) | JSON
CHANGES = st.builds(
    change,
    number=st.just(NUMBER) | JSON,
    field=st.sampled_from(["messages", "user_preferences"]) | LEAVES,
    messages=PARTS,
    statuses=PARTS,
    contacts=JSON,
    errors=JSON,
    user_preferences=JSON,
)


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(payload=st.builds(request, CHANGES) | JSON)
def test_no_json_breaks_the_parser_and_what_it_gives_can_be_stored(payload: object) -> None:
    batch = parse_webhook(payload)

    everything: list[Any] = [*batch.messages, *batch.statuses, *batch.choices]
    for event in everything:
        for value in dataclasses.asdict(event).values():
            if isinstance(value, str):
                assert "\0" not in value
                value.encode()
            assert not isinstance(value, datetime) or value.tzinfo is UTC
    for message in batch.messages:
        assert message.sender
        assert message.provider_message_id
    for one in batch.statuses:
        assert (one.error is not None) == (one.status == "FAILED")
        assert one.error is None or one.error.isprintable()


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(good=st.integers(0, 3), bad=st.lists(JSON, max_size=3))
def test_every_message_is_either_read_or_counted(good: int, bad: list[Any]) -> None:
    batch = parse_webhook(request(change(messages=[*bad, *[MESSAGE] * good])))

    assert len(batch.messages) + batch.skipped == good + len(bad)
