"""`tidings plan`: what would leave when, how late, and what to change."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tidings.errors import Conflict, NotFound

OPENING = ("a", "2030-05-01T09:00:00+02:00", "00:45", "Opening")
PEOPLE = [f"P {number},+1810555{number:04}" for number in range(200)]


@pytest.fixture
def conference(tidings: Any, schedule: Callable[..., Path], people_file: Callable[..., Path]) -> Callable[..., None]:
    """An event at 09:00 in Berlin with these people."""

    def make(*people: str) -> None:
        tidings("import", "agenda", schedule(OPENING))
        tidings("import", "people", people_file(*people, header="name,phone"), "--event", "conf")

    return make


def burst(tidings: Any, kind: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(tidings("plan", "conf", "--json").stdout)["bursts"]
    (one,) = [burst for burst in found if burst["message_type"] == kind]
    return one


def test_200_people_at_20_a_minute(tidings: Any, conference: Callable[..., None]) -> None:
    conference(*PEOPLE)
    said = tidings("plan", "conf").stdout
    assert "The Conf (event 1, upcoming), Wed 01 May 2030, 200 people" in said
    assert "All times are those of Europe/Berlin. At most 20 a minute leave." in said
    assert (
        "200 check_in_reminder_event_start messages are due at Wed 01 May 09:00; at 20 a minute the last leaves at "
        "09:09, 9 min late." in said
    )
    assert "EVENT_MESSAGES_RATE_LIMIT=200/60" in said
    assert "EVENT_MESSAGES_RATE_LIMIT=off, if your provider allows" in said
    assert "\x1b" not in said
    assert burst(tidings, "check_in_reminder_event_start") == {
        "time": "2030-05-01T09:00:00+02:00",
        "message_type": "check_in_reminder_event_start",
        "count": 200,
        "last_leaves": "2030-05-01T09:09:00+02:00",
        "lateness": 540.0,
        "useless": 0,
    }


def test_the_advice_helps(tidings: Any, conference: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    conference(*PEOPLE)
    monkeypatch.setenv("EVENT_MESSAGES_RATE_LIMIT", "200/60")
    said = tidings("plan", "conf").stdout
    assert "EVENT_MESSAGES_RATE_LIMIT" not in said
    assert burst(tidings, "check_in_reminder_event_start")["lateness"] == 0
    monkeypatch.setenv("EVENT_MESSAGES_RATE_LIMIT", "off")
    assert "There is no rate limit." in tidings("plan", "conf").stdout


def test_people_without_a_phone_are_named(
    tidings: Any, schedule: Callable[..., Path], people_file: Callable[..., Path]
) -> None:
    tidings("import", "agenda", schedule(OPENING))
    mails = [f"{name},,{name}@example.org," for name in ("Ann", "Bob", "Cy", "Dan", "Eve", "Fay")]
    tidings("import", "people", people_file("Phil,+18105550123,,", *mails), "--event", "conf")
    tidings("contacts", "edit", "ann@example.org", "--name", "Ann [b]")  # which is no markup
    said = tidings("plan", "conf").stdout
    assert "6 people have no phone number" in said
    assert "Ann [b], Bob, Cy, Dan, Eve and 1 more" in said


def test_messages_that_were_cancelled_are_not_ahead(
    tidings: Any, conference: Callable[..., None], schedule: Callable[..., Path]
) -> None:
    conference("Ada,+18105550123")
    other = ("b", "2030-05-01T09:00:00+02:00", "00:45", "Another opening")
    tidings("import", "agenda", schedule(other))
    said = tidings("plan", "conf").stdout
    assert "2 messages cancelled already: the agenda no longer calls for it" in said
    assert burst(tidings, "speaker_alert")["count"] == 1


def test_an_event_that_is_past(tidings: Any, schedule: Callable[..., Path], people_file: Callable[..., Path]) -> None:
    tidings("import", "agenda", schedule(("a", "2020-05-01T09:00:00+02:00", "00:45", "Opening")))
    with pytest.raises(Conflict, match="is completed; nobody can be registered"):
        tidings("import", "people", people_file("Ada,+18105550123", header="name,phone"), "--event", "conf")
    assert "Nothing is left to be sent." in tidings("plan", "conf").stdout


def test_nobody_comes(tidings: Any, schedule: Callable[..., Path]) -> None:
    tidings("import", "agenda", schedule(OPENING))
    assert "Nothing is left to be sent." in tidings("plan", "1").stdout


def test_an_event_that_is_not_there(tidings: Any) -> None:
    with pytest.raises(NotFound, match="there is no event conf"):
        tidings("plan", "conf")
