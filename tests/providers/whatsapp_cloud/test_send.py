"""Meta gets a message once, as a text within 24 hours and as a template after them."""

from __future__ import annotations

from typing import Any

import pytest

from providers.whatsapp_cloud.graph_server import ACCOUNT, TO, TOKEN, WAMID, GraphServer, fault
from tidings.errors import ConfigurationError, SendError
from tidings.providers.base import Account, Outgoing, Receipt
from tidings.providers.http import HttpClient
from tidings.providers.whatsapp_cloud.errors import CloudError
from tidings.providers.whatsapp_cloud.send import CloudAccount, WhatsAppCloud
from tidings.providers.whatsapp_qr import QrSession


async def test_a_text_leaves_as_meta_documents_it(meta: GraphServer, cloud: WhatsAppCloud) -> None:
    receipt = await cloud.send_text(ACCOUNT, TO, "Grüße 👋", reply_to="wamid.IN", idempotency_key="chat-message-7")

    assert receipt == Receipt("whatsapp_cloud", WAMID)
    assert meta.paths == ["POST /v18.0/106540352242922/messages HTTP/1.1"]
    assert meta.requests == [
        {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": "16505551234",
            "type": "text",
            "text": {"body": "Grüße 👋"},
            "context": {"message_id": "wamid.IN"},
            "biz_opaque_callback_data": "chat-message-7",
        }
    ]


async def test_a_text_that_answers_nothing_has_no_context_and_no_empty_fields(
    meta: GraphServer, cloud: WhatsAppCloud
) -> None:
    await cloud.send_text(ACCOUNT, "16505551234", "hi")

    assert set(meta.requests[0]) == {"messaging_product", "recipient_type", "to", "type", "text"}


async def test_a_template_leaves_with_its_language_and_parameters(meta: GraphServer, cloud: WhatsAppCloud) -> None:
    components = ({"type": "body", "parameters": [{"type": "text", "text": "Ann"}]},)

    receipt = await cloud.send_template(ACCOUNT, TO, "order_shipped", "en_US", components, idempotency_key="k")
    await cloud.send_template(ACCOUNT, TO, "hello_world", "de", ())

    assert receipt == Receipt("whatsapp_cloud", WAMID)
    assert [request["template"] for request in meta.requests] == [
        {"name": "order_shipped", "language": {"code": "en_US"}, "components": list(components)},
        {"name": "hello_world", "language": {"code": "de"}},
    ]
    assert [request["type"] for request in meta.requests] == ["template", "template"]
    assert meta.requests[0]["biz_opaque_callback_data"] == "k"


@pytest.mark.parametrize("user_id", ["US.13491208655302741918", "US.ENT.11815799212886844830"])
async def test_somebody_who_hides_the_phone_number_is_reached_by_user_id(
    meta: GraphServer, cloud: WhatsAppCloud, user_id: str
) -> None:
    await cloud.send_text(ACCOUNT, user_id, "hi")

    assert meta.requests[0]["recipient"] == user_id
    assert "to" not in meta.requests[0]


async def test_the_version_is_part_of_the_address(meta: GraphServer) -> None:
    http = HttpClient()
    await WhatsAppCloud(http, f"{meta.url}/", "v26.0").send_text(ACCOUNT, TO, "hi")
    await http.close()

    assert meta.paths == ["POST /v26.0/106540352242922/messages HTTP/1.1"]


@pytest.mark.parametrize("version", ["", "18", "18.0", "v18", "v18.0/evil", "V18.0", "v18.0\n"])
def test_a_version_that_cannot_work_is_refused_at_the_start(version: str) -> None:
    with pytest.raises(ConfigurationError, match=r"write it like v18.0"):
        WhatsAppCloud(HttpClient(), version=version)


@pytest.mark.parametrize("text", ["x" * 4096, "👋" * 2048])
async def test_the_longest_text_is_taken(cloud: WhatsAppCloud, text: str) -> None:
    assert await cloud.send_text(ACCOUNT, TO, text) == Receipt("whatsapp_cloud", WAMID)


@pytest.mark.parametrize(
    ("account", "to", "text", "sentence"),
    [
        (ACCOUNT, TO, "x" * 4097, "the text has 4,097 characters; WhatsApp takes 4,096, so shorten it"),
        (ACCOUNT, TO, " \n", "the message is empty"),
        (ACCOUNT, "", "hi", "nothing is no recipient; write a phone number with + and country code"),
        (ACCOUNT, "0123", "hi", "0123 is no recipient"),
        (ACCOUNT, "ann@example.org", "hi", "ann@example.org is no recipient"),
        (ACCOUNT, "+1650555123456789", "hi", "is no recipient"),
        (CloudAccount("../me", TOKEN), TO, "hi", "'../me' is no phone number ID; copy the digits"),
        (CloudAccount("", TOKEN), TO, "hi", "'' is no phone number ID"),
        (CloudAccount("1065", ""), TO, "hi", "the access token of phone number ID 1065 is malformed; set it again"),
        (CloudAccount("1065", "EAA\r\nX: y"), TO, "hi", "the access token of phone number ID 1065 is malformed"),
        (CloudAccount("1065", "EAAé"), TO, "hi", "the access token of phone number ID 1065 is malformed"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_what_cannot_be_sent_is_refused_with_a_sentence_and_never_leaves(
    meta: GraphServer, cloud: WhatsAppCloud, account: CloudAccount, to: str, text: str, sentence: str
) -> None:
    with pytest.raises(SendError) as caught:
        await cloud.send_text(account, to, text)

    assert sentence in str(caught.value)
    assert not caught.value.retryable
    assert meta.requests == []


PLAIN = {"name": "we_answered", "language": "en_US"}
WITH_TEXT = {**PLAIN, "with_text": True}
LONG = "line\n" * 600


def outgoing(text: str = "hello", account: Account | None = ACCOUNT, **metadata: Any) -> Outgoing:
    """A message as a chat hands it over."""
    facts = {"window_open": True, "template": PLAIN, **metadata}
    return Outgoing(to=TO, text=text, idempotency_key="chat-message-7", metadata=facts, account=account)


def template(*parameters: str) -> dict[str, Any]:
    """The part of a request that sends `PLAIN`, with the text as its parameter if there is one."""
    components = [{"type": "body", "parameters": [{"type": "text", "text": text} for text in parameters]}]
    about = {"name": "we_answered", "language": {"code": "en_US"}}
    return {"type": "template", "template": {**about, **({"components": components} if parameters else {})}}


TEXT = {"type": "text", "text": {"body": "hello"}}
WINDOW_CLOSED = fault(131047, "Re-engagement message")

LEAVES: dict[str, tuple[Outgoing, dict[str, Any] | None, list[dict[str, Any]]]] = {
    "the window is open": (outgoing(), None, [TEXT]),
    "the window is closed": (outgoing(window_open=False), None, [template()]),
    "the template says the text": (outgoing(window_open=False, template=WITH_TEXT), None, [template("hello")]),
    "the text has line ends and is too long for a parameter": (
        outgoing(LONG, window_open=False, template=WITH_TEXT),
        None,
        [template(("line " * 600)[:1024])],
    ),
    "Meta says that the window is closed": (outgoing(), WINDOW_CLOSED, [TEXT, template()]),
    "Meta says so, and the template says the text": (
        outgoing(template=WITH_TEXT),
        WINDOW_CLOSED,
        [TEXT, template("hello")],
    ),
}


async def test_a_text_leaves_within_24_hours_and_the_template_after_them(
    meta: GraphServer, cloud: WhatsAppCloud
) -> None:
    for case, (message, meta.refuses_texts, expected) in LEAVES.items():
        meta.requests.clear()
        assert await cloud.send(message) == Receipt("whatsapp_cloud", WAMID), case
        sent = [{name: request[name] for name in ("type", request["type"])} for request in meta.requests]
        assert sent == expected, case
        assert {request["biz_opaque_callback_data"] for request in meta.requests} == {"chat-message-7"}, case


NO_TEMPLATE = "the user wrote more than 24 hours ago, so WhatsApp takes no free text; set the chatbot"

STAYS: dict[str, tuple[Outgoing, dict[str, Any] | None, str, bool, float | None, bool]] = {
    "no template": (outgoing(window_open=False, template=None), None, NO_TEMPLATE, False, None, False),
    "no template where Meta says that one is needed": (
        outgoing(template=None),
        WINDOW_CLOSED,
        NO_TEMPLATE,
        False,
        None,
        False,
    ),
    "no account": (outgoing(account=None), None, "the message names no phone number ID", False, None, False),
    "an account elsewhere": (
        outgoing(account=QrSession("1")),
        None,
        "the message names no phone",
        False,
        None,
        False,
    ),
    "too much for the recipient": (outgoing(), fault(131056), "whatsapp_cloud refused", True, 6.0, False),
    "too much for the number": (outgoing(), fault(130429), "whatsapp_cloud refused", True, 1.0, True),
    "not on WhatsApp": (outgoing(), fault(131026), "whatsapp_cloud refused", False, None, False),
}
"""Whether a refusal may be tried again, after how many seconds, and whether the number's other messages slow down."""


async def test_a_message_that_does_not_leave_says_why_and_whether_others_have_to_slow_down(
    meta: GraphServer, cloud: WhatsAppCloud
) -> None:
    for case, (message, meta.refuses_texts, start, retryable, wait, throttled) in STAYS.items():
        meta.requests.clear()
        with pytest.raises(SendError) as caught:
            await cloud.send(message)
        error = caught.value
        assert str(error).startswith(start), case
        assert (error.retryable, error.retry_after, error.throttled) == (retryable, wait, throttled), case
        assert [request["type"] for request in meta.requests] == (["text"] if meta.refuses_texts else []), case


async def test_a_template_that_meta_refuses_is_not_tried_as_a_text(meta: GraphServer, cloud: WhatsAppCloud) -> None:
    meta.refuses(404, fault(132001, "Template name does not exist"))
    with pytest.raises(CloudError, match="no approved template of that name") as caught:
        await cloud.send(outgoing(window_open=False))
    assert not caught.value.retryable
    assert [request["type"] for request in meta.requests] == ["template"]


def test_an_account_is_named_by_its_phone_number_id() -> None:
    assert ACCOUNT.key == "106540352242922"
