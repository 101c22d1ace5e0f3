"""The HTTP endpoints of the event messages: what each answers, and how every mistake is named and leaves nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from support.api import Api
from support.app import client_of
from tidings.app import App
from tidings.clock import ManualClock
from tidings.features.events.models import AgendaSession, Event, EventMessage, Registration
from tidings.messages.contacts.contractors import Contractor
from tidings.messages.ledger import LedgerEntry
from tidings.messages.statuses import Status

OpenApp = Callable[..., Awaitable[App]]

NOW = datetime(2025, 10, 17, 6, tzinfo=UTC)
STARTS, ENDS = "2025-10-17T19:00:00", "2025-10-17T20:00:00"
TALK = {"key": "talk", "title": "AI in Business", "start_time": STARTS, "end_time": ENDS}
EXPO = {"name": "Expo", "date": "2025-10-17", "timezone": "America/New_York", "slug": "expo", "sessions": [TALK]}
ADA = {"name": "Ada Abara", "phone": "(810) 555-0123"}
HUGE = 10**30


class EventsApi(Api):
    """The endpoints over one application whose clock stands still."""

    def __init__(self, app: App, http: httpx.AsyncClient) -> None:
        super().__init__(http)
        self.app = app

    async def refused(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, list[str]]:
        """Status and named fields of a refusal, which has changed nothing."""
        before = await self.stored()
        answer = await super().refused(method, path, body, **query)
        assert await self.stored() == before
        return answer

    async def stored(self) -> list[int | None]:
        """How many rows of each kind there are, and how many jobs."""
        tables = (Event, AgendaSession, Contractor, Registration, EventMessage, LedgerEntry)
        async with self.app.work.read() as session:
            counts = [await session.scalar(select(func.count()).select_from(table)) for table in tables]
        return [*counts, (await self.app.events.get_queue_stats())["total"]]


@pytest.fixture
async def api(open_app: OpenApp, database_url: str) -> AsyncIterator[EventsApi]:
    app = await open_app(clock=ManualClock(NOW), database_url=database_url)
    async with client_of(app) as http:
        yield EventsApi(app, http)


@pytest.fixture
async def expo(api: EventsApi) -> int:
    """An event with one talk, and its one registered contractor, who has the same id: 1."""
    event = await api.good("POST", "/events", EXPO, expect=201)
    contractor = await api.good("POST", "/contractors", ADA, expect=201)
    await api.good("POST", f"/events/{event['id']}/registrations", {"contractor_id": contractor["id"]}, expect=201)
    assert event["id"] == contractor["id"] == 1
    return 1


def message(**more: Any) -> dict[str, Any]:
    return {
        "event_id": 1,
        "contractor_id": 1,
        "message_type": "sponsor_recommendation",
        "scheduled_time": "2025-10-17T20:00:00",
        **more,
    }


# What every endpoint does


async def test_an_event_is_created_read_and_listed_in_utc_with_its_agenda(api: EventsApi) -> None:
    event = await api.good("POST", "/events", EXPO, expect=201)
    assert event | {"id": 0} == {
        "id": 0,
        "name": "Expo",
        "slug": "expo",
        "date": "2025-10-17",
        "location": None,
        "timezone": "America/New_York",
        "status": "upcoming",
        "start_time": "2025-10-17T23:00:00Z",
        "end_time": "2025-10-18T00:00:00Z",
    }
    assert await api.good("GET", f"/events/{event['id']}") == event
    assert await api.good("GET", "/events") == [event]
    [slot] = await api.good("GET", f"/events/{event['id']}/agenda")
    assert (slot["key"], slot["kind"], slot["start_time"]) == ("talk", "session", "2025-10-17T23:00:00Z")


async def test_a_person_is_added_with_201_and_completed_with_200(api: EventsApi) -> None:
    person = await api.good("POST", "/contractors", ADA, expect=201)
    assert person["phone"] == "+18105550123"
    more = {"name": "Ada Abara", "phone": "+1 810 555 0123", "email": "ada@example.com", "company_name": "Abara & Co"}
    completed = await api.good("POST", "/contractors", more, expect=200)
    assert completed == person | {"email": "ada@example.com", "company_name": "Abara & Co"}
    assert await api.good("GET", f"/contractors/{person['id']}") == completed


async def test_an_empty_field_does_not_erase_what_is_known_of_a_person(api: EventsApi) -> None:
    person = await api.good("POST", "/contractors", ADA | {"first_name": "Ada", "company_name": "Abara"}, expect=201)
    assert await api.good("POST", "/contractors", ADA | {"first_name": "", "company_name": " "}) == person


async def test_the_date_of_an_event_is_the_day_on_which_it_starts_where_it_takes_place(api: EventsApi) -> None:
    evening = TALK | {"start_time": "2025-10-18T22:00:00", "end_time": "2025-10-19T01:00:00"}
    event = await api.good("POST", "/events", EXPO | {"sessions": [evening]}, expect=201)
    assert (event["date"], event["start_time"]) == ("2025-10-18", "2025-10-19T02:00:00Z")


async def test_registering_schedules_and_cancelling_the_registration_clears(api: EventsApi, expo: int) -> None:
    rows = await api.good("GET", "/event-messages", event_id=expo, status="scheduled")
    types = {row["message_type"] for row in rows}
    assert {"registration_confirmation", "speaker_alert", "pcr_request", "post_event_wrap_up"} <= types
    assert {(row["contractor_name"], row["event_name"], row["event_timezone"]) for row in rows} == {
        ("Ada Abara", "Expo", "America/New_York")
    }
    assert await api.good("DELETE", f"/events/{expo}/registrations/1") == {"messages": len(rows)}
    registration = await api.good("POST", f"/events/{expo}/registrations", {"contractor_id": 1}, expect=201)
    assert (registration["event_id"], registration["contractor_id"]) == (expo, 1)
    assert (registration["session_keys"], registration["cancelled_at"]) == ([], None)


async def test_a_new_agenda_and_the_schedule_answer_what_they_changed(api: EventsApi, expo: int) -> None:
    nothing = {"scheduled": 0, "moved": 0, "updated": 0, "cancelled": 0, "skipped": 0}
    later = TALK | {"start_time": "2025-10-17T19:30:00"}
    result = await api.good("PUT", f"/events/{expo}/agenda", {"sessions": [later]})
    assert result.keys() == nothing.keys() | {"unchanged"}
    assert result["moved"] == 3  # the alert, and the two reminders of the start
    assert await api.good("POST", f"/events/{expo}/schedule") == nothing | {"unchanged": 7}
    assert await api.good("POST", f"/events/{expo}/contractors/1/schedule") == nothing | {"unchanged": 7}


async def test_clearing_and_cancelling_answer_how_many_messages_they_took(api: EventsApi, expo: int) -> None:
    waiting = len(await api.good("GET", "/event-messages", status="scheduled"))
    assert await api.good("DELETE", f"/events/{expo}/contractors/1/messages") == {"messages": waiting}
    await api.good("POST", f"/events/{expo}/schedule")
    assert await api.good("DELETE", f"/events/{expo}/messages") == {"messages": waiting}
    await api.good("POST", f"/events/{expo}/schedule")
    assert await api.good("DELETE", f"/events/{expo}") == {"messages": waiting}
    assert (await api.good("GET", f"/events/{expo}"))["status"] == "cancelled"
    lines = await api.good("GET", f"/events/{expo}/deliveries", limit=1000)
    assert [line["outcome"] for line in lines].count("cancelled") == 3 * waiting
    assert {line["contractor_name"] for line in lines} == {"Ada Abara"}
    page = await api.good("GET", f"/events/{expo}/deliveries", after_id=lines[1]["id"], limit=2)
    assert page == lines[2:4]


async def test_a_message_is_scheduled_moved_cancelled_and_read(api: EventsApi, expo: int) -> None:
    created = await api.good("POST", "/event-messages", message(personalization_data={"a": 1}), expect=201)
    assert (created["status"], created["scheduled_time"]) == ("scheduled", "2025-10-18T00:00:00Z")
    path = f"/event-messages/{created['id']}"
    assert await api.good("GET", path) == created
    moved = await api.good(
        "PUT", f"{path}/schedule", {"scheduled_time": "2025-10-18T05:00:00+02:00", "message_content": "Moved"}
    )
    assert (moved["scheduled_time"], moved["message_content"]) == ("2025-10-18T03:00:00Z", "Moved")
    assert moved["personalization_data"] == {"a": 1}
    cancelled = await api.good("DELETE", path)
    assert (cancelled["status"], cancelled["status_reason"]) == ("cancelled", "by_request")


async def test_many_messages_are_scheduled_listed_in_pages_and_seen_coming(api: EventsApi, expo: int) -> None:
    many = [message(session_key=str(number)) for number in range(5)]
    created = await api.good("POST", "/event-messages/bulk", many, expect=201)
    assert [row["session_key"] for row in created] == list("01234")
    everything = await api.good("GET", "/event-messages", contractor_id=1, limit=1000)
    page = await api.good("GET", "/event-messages", after_id=everything[2]["id"], limit=3)
    assert page == everything[3:6]
    upcoming = await api.good("GET", "/event-messages/upcoming")
    assert upcoming == sorted(upcoming, key=lambda row: (row["scheduled_time"], row["id"]))
    assert {row["id"] for row in created} <= {row["id"] for row in upcoming}
    assert await api.good("GET", "/event-messages/upcoming", limit=1) == upcoming[:1]


async def test_failed_messages_are_recovered(api: EventsApi, expo: int) -> None:
    created = await api.good("POST", "/event-messages", message(), expect=201)
    async with api.app.work.begin() as unit:
        failed = {"status": Status.FAILED, "scheduled_time": NOW - timedelta(hours=1)}
        await unit.session.execute(update(EventMessage).where(EventMessage.id == created["id"]).values(**failed))
    assert await api.good("POST", "/event-messages/recover", event_id=expo) == [
        await api.good("GET", f"/event-messages/{created['id']}")
    ]
    assert await api.good("POST", "/event-messages/recover") == []


async def test_the_queue_endpoints_have_the_shapes_of_the_specification(api: EventsApi, expo: int) -> None:
    names = api.app.queue_names()
    assert {"event-messages", "event-orchestration"} <= set(names)
    workers = {"workerCount": len(names), "workers": [{"name": name, "isRunning": False} for name in names]}
    status, body = await api("GET", "/health")
    assert (status, body["status"]) == (200, "ok")
    metrics = await api.good("GET", "/queue/metrics")
    assert metrics["redis"] is True
    assert metrics["workers"] == workers
    assert list(metrics["queues"]) == names
    counts = metrics["queues"]["event-messages"]
    assert counts.keys() == {"waiting", "active", "completed", "failed", "delayed", "total"}
    assert counts["total"] == counts["waiting"] + counts["delayed"] > 0


async def test_the_description_lists_every_endpoint(api: EventsApi) -> None:
    paths = (await api.good("GET", "/openapi.json"))["paths"]
    listed = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert listed >= {
        "POST /events",
        "GET /events",
        "GET /events/{event_id}",
        "DELETE /events/{event_id}",
        "GET /events/{event_id}/agenda",
        "PUT /events/{event_id}/agenda",
        "POST /events/{event_id}/schedule",
        "DELETE /events/{event_id}/messages",
        "GET /events/{event_id}/deliveries",
        "POST /contractors",
        "GET /contractors/{contractor_id}",
        "POST /events/{event_id}/registrations",
        "DELETE /events/{event_id}/registrations/{contractor_id}",
        "POST /events/{event_id}/contractors/{contractor_id}/schedule",
        "DELETE /events/{event_id}/contractors/{contractor_id}/messages",
        "POST /event-messages",
        "GET /event-messages",
        "POST /event-messages/bulk",
        "GET /event-messages/upcoming",
        "POST /event-messages/recover",
        "GET /event-messages/{message_id}",
        "PUT /event-messages/{message_id}/schedule",
        "DELETE /event-messages/{message_id}",
        "GET /health",
        "GET /queue/health",
        "GET /ready",
        "GET /queue/metrics",
    }


# Mistakes

ENDPOINTS: list[tuple[str, str, Any]] = [
    ("GET", "/events/{event}", None),
    ("DELETE", "/events/{event}", None),
    ("GET", "/events/{event}/agenda", None),
    ("PUT", "/events/{event}/agenda", {"sessions": [TALK]}),
    ("POST", "/events/{event}/schedule", None),
    ("DELETE", "/events/{event}/messages", None),
    ("GET", "/events/{event}/deliveries", None),
    ("POST", "/events/{event}/registrations", {"contractor_id": 1}),
    ("DELETE", "/events/{event}/registrations/1", None),
    ("DELETE", "/events/1/registrations/{contractor}", None),
    ("GET", "/contractors/{contractor}", None),
    ("POST", "/events/{event}/contractors/1/schedule", None),
    ("POST", "/events/1/contractors/{contractor}/schedule", None),
    ("DELETE", "/events/{event}/contractors/1/messages", None),
    ("DELETE", "/events/1/contractors/{contractor}/messages", None),
    ("GET", "/event-messages/{message}", None),
    ("DELETE", "/event-messages/{message}", None),
    ("PUT", "/event-messages/{message}/schedule", {"scheduled_time": "2025-10-18T00:00:00"}),
    ("POST", "/event-messages/recover?event_id={event}", None),
]
"""Every endpoint that names an event, a person or a message, with a good body."""

NAMES = {"{event}": "event_id", "{contractor}": "contractor_id", "{message}": "message_id"}


async def test_an_unknown_event_person_or_message_is_404_everywhere(api: EventsApi, expo: int) -> None:
    for method, path, body in ENDPOINTS:
        for name in NAMES:
            path = path.replace(name, "999")
        path, _, query = path.partition("?")
        status, _ = await api.refused(method, path, body, **dict([query.split("=")] if query else []))
        assert status == 404, (method, path)


async def test_an_id_that_cannot_be_one_is_named_everywhere(api: EventsApi, expo: int) -> None:
    for impossible in ("-1", "0", str(2**63), str(HUGE), "9" * 5000, "abc", "1.5"):
        for method, template, body in ENDPOINTS:
            [name] = [name for name in NAMES if name in template]
            path, _, query = template.replace(name, impossible).partition("?")
            answer = await api.refused(method, path, body, **dict([query.split("=")] if query else []))
            assert answer == (422, [NAMES[name]]), (method, path[:60])
    assert (await api("GET", f"/events/{2**63 - 1}"))[0] == 404


UNUSABLE: list[tuple[str, str, Any, int, list[str]]] = [
    # events and agendas
    ("POST", "/events", {"date": "2025-10-17"}, 422, ["name"]),
    ("POST", "/events", EXPO | {"name": "  "}, 422, ["name"]),
    ("POST", "/events", EXPO | {"nmae": "x"}, 422, ["nmae"]),
    ("POST", "/events", EXPO | {"name": "Ex\0po"}, 422, ["name"]),
    ("POST", "/events", EXPO | {"location": "x" * 301}, 422, ["location"]),
    ("POST", "/events", EXPO | {"date": "17.10.2025"}, 422, ["date"]),
    ("POST", "/events", {"name": "Old", "date": "0001-01-01", "timezone": "Asia/Tokyo"}, 422, ["date"]),
    ("POST", "/events", {"name": "Far", "date": "9999-12-31", "timezone": "America/New_York"}, 422, ["date"]),
    ("POST", "/events", EXPO | {"timezone": "Middle/Earth"}, 422, ["timezone"]),
    ("POST", "/events", EXPO | {"timezone": "Europe"}, 422, ["timezone"]),
    ("POST", "/events", EXPO | {"timezone": "localtime"}, 422, ["timezone"]),
    ("POST", "/events", EXPO | {"slug": "No Slug"}, 422, ["slug"]),
    ("POST", "/events", EXPO | {"slug": "other", "end_time": "2025-10-17T01:00:00"}, 422, ["end_time"]),
    (
        "POST",
        "/events",
        EXPO | {"slug": "other", "sessions": [TALK, TALK | {"key": "b", "end_time": "2025-10-17T18:00:00"}]},
        422,
        ["sessions.1.end_time"],
    ),
    ("POST", "/events", EXPO | {"slug": "other", "sessions": [TALK, TALK]}, 422, ["sessions.1.key"]),
    ("POST", "/events", EXPO, 409, []),
    ("PUT", "/events/1/agenda", {}, 422, ["sessions"]),
    ("PUT", "/events/1/agenda", {"sessions": [TALK | {"start_time": "9 o'clock"}]}, 422, ["sessions.0.start_time"]),
    ("PUT", "/events/1/agenda", {"sessions": [TALK | {"start_time": ENDS}]}, 422, ["sessions.0.end_time"]),
    ("PUT", "/events/1/agenda", {"sessions": [TALK | {"end_time": "2026-10-17"}]}, 422, ["sessions.0.end_time"]),
    ("PUT", "/events/1/agenda", {"sessions": [TALK | {"room": "x" * 201}]}, 422, ["sessions.0.room"]),
    ("PUT", "/events/1/agenda", {"sessions": [TALK | {"rooom": "x"}]}, 422, ["sessions.0.rooom"]),
    ("PUT", "/events/1/agenda", {"sessions": [TALK | {"kind": "party"}]}, 422, ["sessions.0.kind"]),
    # people
    ("POST", "/contractors", ADA | {"phone": "12"}, 422, ["phone"]),
    ("POST", "/contractors", ADA | {"phone": "+999 123 456 789"}, 422, ["phone"]),
    ("POST", "/contractors", ADA | {"phone": "call me"}, 422, ["phone"]),
    ("POST", "/contractors", ADA | {"email": "ada"}, 422, ["email"]),
    ("POST", "/contractors", ADA | {"first_name": "x" * 101}, 422, ["first_name"]),
    ("POST", "/contractors", ADA | {"company_name": "x" * 201}, 422, ["company_name"]),
    ("POST", "/contractors", ADA | {"ghl_contact_id": "x" * 65}, 422, ["ghl_contact_id"]),
    ("POST", "/contractors", b'{"name": "half \\ud83d"}', 422, ["name"]),
    ("POST", "/events/1/registrations", {"contractor_id": 1}, 409, []),
    ("POST", "/events/1/registrations", {"contractor_id": HUGE}, 422, ["contractor_id"]),
    ("POST", "/events/1/registrations", {"contractor_id": -1}, 422, ["contractor_id"]),
    ("POST", "/events/1/registrations", {"contractor_id": 999}, 404, []),
    ("POST", "/events/1/registrations", {"contractor_id": 2, "sessions": ["talk", "gone"]}, 422, ["sessions.1"]),
    # messages
    ("POST", "/event-messages", message(event_id=999), 404, []),
    ("POST", "/event-messages", message(contractor_id=999), 404, []),
    ("POST", "/event-messages", message(id=999), 404, []),
    ("POST", "/event-messages", message(id=HUGE), 422, ["id"]),
    ("POST", "/event-messages", message(event_id=HUGE), 422, ["event_id"]),
    ("POST", "/event-messages", message(event_id=-1), 422, ["event_id"]),
    ("POST", "/event-messages", message(scheduled_time="2025-13-01T00:00:00"), 422, ["scheduled_time"]),
    ("POST", "/event-messages", message(scheduled_time="soon"), 422, ["scheduled_time"]),
    ("POST", "/event-messages", message(scheduled_time="0001-01-01T00:00:00"), 422, ["scheduled_time"]),
    ("POST", "/event-messages", message(scheduled_time=5), 422, ["scheduled_time"]),
    ("POST", "/event-messages", message(message_type="greeting"), 422, ["message_type"]),
    ("POST", "/event-messages", message(message_category="other"), 422, ["message_category"]),
    ("POST", "/event-messages", message(phone="+1 23"), 422, ["phone"]),
    ("POST", "/event-messages", message(channel="pigeon"), 422, ["channel"]),
    ("POST", "/event-messages", message(session_key="x" * 65), 422, ["session_key"]),
    ("POST", "/event-messages", message(message_content=""), 422, ["message_content"]),
    ("POST", "/event-messages", message(message_content="x" * 10_001), 422, ["message_content"]),
    ("POST", "/event-messages", message(message_content="a\0b"), 422, ["message_content"]),
    ("POST", "/event-messages", message(personalization_data=[]), 422, ["personalization_data"]),
    ("POST", "/event-messages", message(personalization_data={"a": "\0"}), 422, ["personalization_data"]),
    ("POST", "/event-messages", message(personalization_data={"a": float("nan")}), 422, ["personalization_data"]),
    ("POST", "/event-messages", message(personalization_data={"a": "\ud83d"}), 422, ["personalization_data"]),
    ("POST", "/event-messages", message(status="sent"), 422, ["status"]),
    ("POST", "/event-messages/bulk", [message(), message(event_id="x")], 422, ["1.event_id"]),
    ("POST", "/event-messages/bulk", [message(), message(event_id=999)], 422, ["1.event_id"]),
    ("POST", "/event-messages/bulk", [message(), message(session_key="b", phone="12")], 422, ["1.phone"]),
    ("POST", "/event-messages/bulk", {"event_id": 1}, 422, [""]),
    ("POST", "/event-messages/bulk", [message()] * 10_001, 422, [""]),
    ("PUT", "/event-messages/1/schedule", {}, 422, ["scheduled_time"]),
    ("PUT", "/event-messages/1/schedule", {"scheduled_time": "soon"}, 422, ["scheduled_time"]),
    ("PUT", "/event-messages/1/schedule", {"scheduled_time": ENDS, "status": "sent"}, 422, ["status"]),
    # bodies
    ("POST", "/event-messages", b"{", 400, []),
    ("POST", "/event-messages", b"\xff", 400, []),
    ("POST", "/event-messages", [], 422, [""]),
    ("POST", "/events", b"", 422, [""]),
    ("POST", "/events", b" " * (8 * 1024 * 1024 + 1), 413, []),
]


async def test_whatever_cannot_be_used_is_refused_by_name_and_nothing_is_half_written(
    api: EventsApi, expo: int
) -> None:
    await api.good("POST", "/contractors", {"name": "Ben Cruz", "phone": "+18105550124"}, expect=201)
    for method, path, body, status, fields in UNUSABLE:
        assert await api.refused(method, path, body) == (status, fields), (method, path, repr(body)[:200])


async def test_a_page_has_at_least_one_and_at_most_a_thousand_entries(api: EventsApi, expo: int) -> None:
    for path in ("/event-messages", "/event-messages/upcoming", "/events/1/deliveries"):
        for limit in (0, -1, 1001, HUGE, "all"):
            assert await api.refused("GET", path, limit=limit) == (422, ["limit"])
    for path in ("/event-messages", "/events/1/deliveries"):
        for after_id in (-1, HUGE, "first"):
            assert await api.refused("GET", path, after_id=after_id) == (422, ["after_id"])


async def test_filters_of_the_list_that_cannot_match_are_named(api: EventsApi, expo: int) -> None:
    for name, value in (("event_id", HUGE), ("contractor_id", -1), ("status", "lost")):
        assert await api.refused("GET", "/event-messages", **{name: value}) == (422, [name])
    assert await api.good("GET", "/event-messages", event_id=999) == []


async def test_what_the_present_state_forbids_is_409_with_a_sentence(api: EventsApi, expo: int) -> None:
    created = await api.good("POST", "/event-messages", message(), expect=201)
    async with api.app.work.begin() as unit:
        await unit.session.execute(
            update(EventMessage).where(EventMessage.id == created["id"]).values(status=Status.SENT)
        )
    path = f"/event-messages/{created['id']}"
    for method, where, body in (
        ("DELETE", path, None),
        ("PUT", f"{path}/schedule", {"scheduled_time": "2025-10-18T00:00:00"}),
        ("POST", "/event-messages", message(id=created["id"])),
    ):
        status, problem = await api(method, where, body)
        assert (status, problem["type"]) == (409, "/problems/conflict")
        assert "is sent already" in problem["detail"]
    await api.good("DELETE", f"/events/{expo}")
    for method, where, body in (
        ("PUT", f"/events/{expo}/agenda", {"sessions": []}),
        ("POST", f"/events/{expo}/registrations", {"contractor_id": 1}),
        ("POST", "/event-messages", message(session_key="new")),
    ):
        status, problem = await api(method, where, body)
        assert (status, "is cancelled" in problem["detail"]) == (409, True)


async def test_an_event_in_another_timezone_moves_along_over_http(api: EventsApi, expo: int) -> None:
    before = await api.good("GET", f"/events/{expo}/agenda")
    changed = await api.good("PATCH", f"/events/{expo}", {"timezone": "America/Chicago"})
    after = await api.good("GET", f"/events/{expo}/agenda")
    assert (before[0]["start_time"], after[0]["start_time"]) == ("2025-10-17T23:00:00Z", "2025-10-18T00:00:00Z")
    assert (changed["timezone"], changed["start_time"]) == ("America/Chicago", "2025-10-18T00:00:00Z")
    assert changed["messages"]["moved"] > 0
    fixed = {**TALK, "start_time": "2025-10-18T00:00:00Z", "end_time": "2025-10-18T01:00:00Z"}
    wanted = {"sessions": [fixed], "timezone": "America/New_York"}
    await api.good("PUT", f"/events/{expo}/agenda", wanted)
    moved = await api.good("GET", f"/events/{expo}")
    assert (moved["timezone"], moved["start_time"]) == ("America/New_York", "2025-10-18T00:00:00Z")
    assert moved["date"] == "2025-10-17"


async def test_a_change_of_an_event_that_cannot_be_made_names_its_field(api: EventsApi, expo: int) -> None:
    assert await api.refused("PATCH", f"/events/{expo}", {"timezone": "Mars"}) == (422, ["timezone"])
    assert await api.refused("PATCH", f"/events/{expo}", {}) == (422, ["timezone"])
    status, _ = await api.refused("PATCH", f"/events/{expo}", {"timezone": "Asia/Tokyo", "room": "x"})
    assert status == 422
    assert await api.refused("PATCH", "/events/99", {"timezone": "Asia/Tokyo"}) == (404, [])
    await api.good("DELETE", f"/events/{expo}")
    assert (await api.refused("PATCH", f"/events/{expo}", {"timezone": "Asia/Tokyo"}))[0] == 409
