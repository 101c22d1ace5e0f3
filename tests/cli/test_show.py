"""`tidings queues`, `tidings upcoming` and `tidings messages`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from redis import Redis

from tidings.app import App
from tidings.cli.output import how_long
from tidings.clock import SystemClock
from tidings.errors import Conflict, InvalidInput
from tidings.features.events.kind import EventMessages
from tidings.features.events.models import EventMessage
from tidings.messages.changes import decision
from tidings.messages.ledger import Outcome, write_lines
from tidings.messages.statuses import Status
from tidings.registry import load

PHONE = "+18105550123"


def act(deed: Callable[[App], Any]) -> Any:
    """Does something to the installation that the commands look at."""

    async def run() -> Any:
        async with App(load(), migrate=True) as app:
            return await deed(app)

    return asyncio.run(run())


async def prepare(app: App) -> None:
    """An event in three hours, one person, one message by hand to another number."""
    start = (SystemClock().now() + timedelta(hours=3)).replace(microsecond=0)
    event = await app.events.create_event(
        {
            "name": "Soon",
            "slug": "soon",
            "date": start.date(),
            "timezone": "Asia/Tokyo",
            "start_time": start,
            "end_time": start + timedelta(hours=2),
        }
    )
    ada, _ = await app.events.create_contractor({"name": "Ada [bold]", "phone": PHONE})
    await app.events.schedule_event_message(
        {
            "event_id": event.id,
            "contractor_id": ada.id,
            "message_type": "speaker_alert",
            "scheduled_time": start,
            "phone": "+4930901820",
        }
    )
    await app.events.register(event.id, {"contractor_id": ada.id})


@pytest.fixture
def soon(tidings: Any) -> Any:
    act(prepare)
    return tidings


def test_queues(soon: Any, tmp_path: Path) -> None:
    lines = soon("queues").stdout.splitlines()
    assert lines[0].split() == [
        *("queue", "waiting", "active", "delayed", "completed", "failed"),
        *("limit", "concurrency", "workers"),
    ]
    rows = [line.split() for line in lines[1:]]
    assert ["event-messages", "1", "0", "4", "0", "0", "20/60", "10", "0"] in rows
    said = "\n".join(lines)
    assert "event-messages, event-orchestration" in said.partition("No worker is connected for ")[2]
    assert "valkey.sock, prefix bull" in said
    assert f"sqlite:///{tmp_path / 'data' / 'tidings.db'}" in said


def test_queues_fit_a_terminal_of_80_columns_with_their_names_unbroken(
    soon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidings.cli.output.PIPED_WIDTH", 80)
    table = soon("queues").stdout.partition("No worker is connected")[0].splitlines()
    assert table[0].split() == [
        "queue",
        "wait",
        "active",
        "later",
        "done",
        "failed",
        "limit",
        "at",
        "once",
        "workers",
    ]
    names = [line.split()[0] for line in table[1:]]
    assert {"event-orchestration", "contractor-followups", "whatsapp-cloud-send"} <= set(names)
    assert max(len(line) for line in table) <= 80


def test_queues_hide_the_password(tidings: Any, valkey: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with Redis(port=valkey.port) as redis:
        redis.acl_setuser(
            "teller", enabled=True, passwords=["+hush"], categories=["+@all"], keys=["*"], channels=["*"]
        )
        monkeypatch.setenv("REDIS_URL", f"redis://teller:hush@127.0.0.1:{valkey.port}/0")
        monkeypatch.setenv("REDIS_PREFIX", "hidden")
        said = tidings("queues").stdout
        redis.acl_deluser("teller")
    assert f"redis://teller:***@127.0.0.1:{valkey.port}/0, prefix hidden" in said
    assert "hush" not in said


def test_upcoming_in_the_events_own_time(soon: Any) -> None:
    said = soon("upcoming").stdout
    (message,) = act(lambda app: app.events.list_messages(limit=1))
    there = message["scheduled_time"].astimezone(ZoneInfo("Asia/Tokyo"))
    (line,) = [line for line in said.splitlines() if "speaker_alert" in line]
    assert line.startswith(f"{there:%a %d %b %H:%M}")
    assert "+49****1820" in line
    assert "Ada [bold]" in line
    assert "+4930901820" not in said
    assert PHONE not in said
    assert "--limit" not in said
    assert "--limit 2 shows them" in soon("upcoming", "--limit", "1").stdout


def test_nothing_upcoming(tidings: Any) -> None:
    assert "Nothing is to leave in the next 24 h" in tidings("upcoming").stdout


def test_messages_say_why(soon: Any) -> None:
    said = soon("messages", "--status", "skipped").stdout
    assert "its time had passed" in " ".join(said.split())
    assert "check_in_reminder_night_before" in said
    by_hand = soon("messages", "--limit", "1").stdout
    assert "somebody asked" in " ".join(by_hand.split())
    assert "--after 1 goes on" in by_hand
    assert "speaker_alert" not in soon("messages", "--after", "1").stdout


def test_messages_of_one_event_person_and_status(soon: Any) -> None:
    assert soon("messages", "--event", "soon").stdout == soon("messages", "--contractor", "1").stdout
    assert "There are no such messages." in soon("messages", "--contractor", "2").stdout
    assert "There are no such messages." in soon("messages", "--status", "sent").stdout


def test_messages_as_json(soon: Any) -> None:
    (row,) = json.loads(soon("messages", "--json", "--limit", "1").stdout)
    assert row["phone"] == "+49****1820"
    assert (row["status"], row["status_reason"], row["why"]) == ("scheduled", "by_request", "somebody asked for it")
    assert (row["contractor_name"], row["event_timezone"]) == ("Ada [bold]", "Asia/Tokyo")


def test_a_message_that_was_simulated_says_how_late_it_left(soon: Any) -> None:
    async def work(app: App) -> None:
        await app.start_workers()
        for _ in range(200):
            if await app.events.list_messages(status="simulated"):
                return
            await asyncio.sleep(0.05)

    act(work)
    (row,) = json.loads(soon("messages", "--json", "--status", "simulated").stdout)
    assert row["message_type"] == "registration_confirmation"
    said = soon("messages", "--status", "simulated").stdout
    assert "simulated" in said
    assert said.splitlines()[1].rstrip().endswith((" ms", " s"))


def test_messages_that_may_have_left_are_shown_and_settled(soon: Any) -> None:
    assert "The outcome of every message is known." in soon("messages", "unknown").stdout

    async def lose(app: App) -> int:
        [row] = await app.events.list_messages(limit=1)
        async with app.work.begin() as unit:
            message = await unit.session.get(EventMessage, row["id"])
            assert message is not None
            message.status = Status.UNKNOWN
            await unit.session.flush()
            line = decision(EventMessages, message, Outcome.UNKNOWN, None, app.clock.now(), provider="mitto")
            await write_lines(unit.session, [{**line, "error": f"no answer about {PHONE}"}])
        return message.id

    name = f"event-message-{act(lose)}"
    said = soon("messages", "unknown").stdout
    assert name in said
    assert "mitto" in said
    assert PHONE not in said
    [row] = json.loads(soon("messages", "unknown", "--json").stdout)
    assert row["message"] == name
    with pytest.raises(InvalidInput, match="say --sent"):
        soon("messages", "settle", name)
    assert f"{name} is sent now" in soon("messages", "settle", name, "--sent").stdout
    with pytest.raises(Conflict, match="is sent already"):
        soon("messages", "settle", name, "--again")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"),
        (0.0123, "12 ms"),
        (1, "1 s"),
        (59.94, "59.9 s"),
        (60, "60 s"),
        (540, "9 min"),
        (6000, "1 h 40 min"),
        (7500, "2 h 5 min"),
        (86400, "24 h"),
        (259200, "3 days"),
    ],
)
def test_how_long(seconds: float, words: str) -> None:
    assert how_long(timedelta(seconds=seconds)) == words
