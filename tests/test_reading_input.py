"""What Python programs give is read as strictly as what comes over HTTP, and every mistake is told at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from support.app import client_of
from tidings.app import App
from tidings.errors import ConfigurationError, InvalidFields, InvalidInput
from tidings.feature import parse, parse_many
from tidings.features.events.schemas import AgendaIn, EventMessageIn
from tidings.features.shops.jobs import SendData
from tidings.registry import load

OpenApp = Callable[..., Awaitable[App]]

SLOT = {"title": "AI", "start_time": "2027-05-04T10:00", "end_time": "2027-05-04T11:00"}
SEND = {"shopId": "blossom.myshopify.com", "recipient": "+18105550123", "template": "Hi"}


def test_all_mistakes_of_a_dictionary_are_told_with_their_places() -> None:
    agenda = {"sesions": [], "sessions": [SLOT, {**SLOT, "titel": "AI", "Room": "1"}]}
    with pytest.raises(InvalidFields) as refused:
        parse(AgendaIn, agenda)
    assert [(one.field, one.message) for one in refused.value.mistakes] == [
        ("sessions.1.titel", "is not a known field; did you mean title?"),
        ("sessions.1.Room", "is not a known field; did you mean room?"),
        ("sesions", "is not a known field; did you mean sessions?"),
    ]
    assert str(refused.value) == (
        "3 values cannot be used: sessions.1.titel: is not a known field; did you mean title?; "
        "sessions.1.Room: is not a known field; did you mean room?; "
        "sesions: is not a known field; did you mean sessions?"
    )
    assert (refused.value.field, refused.value.count) == ("sessions.1.titel", 3)


def test_one_mistake_is_one_sentence() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(AgendaIn, {"sessions": [{**SLOT, "speakers": "Ada"}]})
    assert str(refused.value) == "sessions.0.speakers: is not a known field; did you mean speaker?"
    assert [str(one) for one in refused.value.mistakes] == [str(refused.value)]


def test_of_many_items_each_wrong_one_is_named_by_its_number() -> None:
    with pytest.raises(InvalidFields) as refused:
        parse_many(EventMessageIn, [{"event": 1}, {"evnt_id": 1}], first=500)
    assert {one.field: one.message for one in refused.value.mistakes if "known" in one.message} == {
        "500.event": "is not a known field; did you mean event_id?",
        "501.evnt_id": "is not a known field; did you mean event_id?",
    }


def test_thousands_of_mistakes_are_counted_and_a_hundred_told() -> None:
    with pytest.raises(InvalidFields) as refused:
        parse(AgendaIn, {"sessions": [], **{f"unknown_{number}_{'x' * 5000}": 1 for number in range(3000)}})
    assert (refused.value.count, len(refused.value.mistakes)) == (3000, 100)
    assert str(refused.value).endswith("; and 2990 more")
    assert len(str(refused.value)) < 5000


def test_the_data_of_a_job_that_is_given_to_us_has_no_other_fields_than_the_specifications() -> None:
    with pytest.raises(InvalidInput, match=r"^purpse: is not a known field"):
        parse(SendData, {**SEND, "purpse": "transactional"})
    assert parse(SendData, {**SEND, "requestId": "r"}) == parse(SendData, {**SEND, "request_id": "r"})


def test_the_data_of_a_job_that_another_program_has_queued_may_have_more_fields() -> None:
    assert SendData.model_validate({**SEND, "traceparent": "00-1"}).recipient == SEND["recipient"]


async def test_over_http_a_misspelt_field_of_a_job_is_refused(
    open_app: OpenApp, new_sqlite_database: Callable[[], str]
) -> None:
    app = await open_app(database_url=new_sqlite_database())
    async with client_of(app) as http:
        answer = await http.post("/jobs/delivery/send", json={"data": {**SEND, "purpse": "x", "shopid_": 1}})
    assert (answer.status_code, {one["field"]: one["message"] for one in answer.json()["errors"]}) == (
        422,
        {
            "purpse": "is not a known field; did you mean purpose?",
            "shopid_": "is not a known field; did you mean shopId?",
        },
    )
    assert (await app.queues.stats("delivery")).total == 0


def test_a_setting_that_there_is_not_is_refused_when_a_program_gives_it() -> None:
    with pytest.raises(ConfigurationError, match=r"databse_url is no setting; did you mean database_url\?"):
        load(databse_url="sqlite:///tidings.db")
    with pytest.raises(ConfigurationError, match="nonsense is no setting"):
        load(nonsense=1)
