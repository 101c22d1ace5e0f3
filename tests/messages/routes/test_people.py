"""What is asked and said about contacts and single messages."""

from __future__ import annotations

from messages.routes.api import PHONE, Api


async def test_an_address_is_opted_out_and_in_again(api: Api) -> None:
    await api.sent_message()
    who = {"address": "(212) 555-0123", "words": "called us"}
    assert await api.good("POST", "/opt-outs", who) == {"changed": True}
    assert await api.good("POST", "/opt-outs", who) == {"changed": False}
    standing = await api.good("GET", "/contractors/1/standing")
    assert (standing["opted_out"], standing["trust"]) == (True, 0.0)
    assert standing["opt_outs"] == [
        {
            "id": 1,
            "tenant": "*",
            "channel": "*",
            "address": PHONE,
            "stops": "all",
            "opted_out_at": "2026-11-24T17:00:00Z",
            "door": "api",
            "source": "api",
            "words": "called us",
            "ended_at": None,
            "ended_by": None,
        }
    ]
    del who["words"]
    assert await api.good("POST", "/opt-ins", who) == {"changed": True}
    assert await api.good("POST", "/opt-ins", who) == {"changed": False}
    standing = await api.good("GET", "/contractors/1/standing")
    assert not standing["opted_out"]
    assert standing["opt_outs"][0]["ended_at"] == "2026-11-24T17:00:00Z"


async def test_consents_are_kept_with_their_proof_the_oldest_first(api: Api) -> None:
    await api.sent_message()
    path = "/contractors/1/consents"
    taken_back = await api.good("POST", path, {"granted": False, "channel": "email"}, expect=201)
    assert taken_back.pop("opted_out_since") is None
    assert taken_back == {
        "id": 1,
        "contact_id": 1,
        "tenant": "installation",
        "channel": "email",
        "purpose": "promotional",
        "address": None,
        "granted": False,
        "at": "2026-11-24T17:00:00Z",
        "source": "api",
        "door": "api",
        "wording": None,
        "proof": None,
    }
    given = {"granted": True, "channel": "email", "source": "form", "proof": "Yes, write to me"}
    earlier = await api.good("POST", path, {**given, "at": "2026-11-20T09:00:00+01:00"}, expect=201)
    assert (earlier["at"], earlier.pop("opted_out_since")) == ("2026-11-20T08:00:00Z", None)
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
