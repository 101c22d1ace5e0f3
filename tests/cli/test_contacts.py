"""`tidings contacts`, and `tidings why` about a person."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.test_show import PHONE, act, prepare
from tidings.app import App
from tidings.errors import Conflict, InvalidInput, NotFound


async def people(app: App) -> None:
    await prepare(app)
    for name, phone in (("Ben Boyd", "+18105550124"), ("Ben Boyd", "+18105550125")):
        await app.events.create_contractor({"name": name, "phone": phone, "company_name": "Acme"})


@pytest.fixture
def some(tidings: Any) -> Any:
    act(people)
    return tidings


def test_people_are_found_and_listed(some: Any) -> None:
    said = some("contacts", "find", "ben", "byod").stdout
    assert "contact-2" in said
    assert "contact-3" in said
    assert "+18105550124" not in said, "numbers are masked in lists"
    assert "There is no such person." in some("contacts", "find", "zoe").stdout
    page = some("contacts", "list", "--limit", "2").stdout
    assert "--after 2 goes on" in page
    assert "contact-3" in some("contacts", "list", "--after", "2").stdout
    [hit] = json.loads(some("contacts", "find", PHONE, "--json").stdout)["hits"]
    assert (hit["contact"]["id"], hit["score"]) == (1, 1.0)


def test_a_person_is_shown_with_what_happened(some: Any) -> None:
    shown = some("contacts", "show", "Ada").stdout
    assert f"phone: {PHONE}" in shown
    assert "trust: 50 of 100" in shown
    story = some("contacts", "timeline", "Ada", "--limit", "2").stdout
    assert "planned" in story
    assert "--cursor" in story
    assert json.loads(some("contacts", "timeline", "contact-1", "--json").stdout)["cursor"] is None


def test_a_person_is_edited_and_gets_another_address(some: Any) -> None:
    assert "Ada King" in some("contacts", "edit", "Ada", "--name", "Ada King", "--timezone", "Europe/London").stdout
    assert (
        "has the email ada@king.example (address"
        in some("contacts", "add-address", "Ada King", "Ada@King.example").stdout
    )
    rows = json.loads(some("contacts", "show", "ada@king.example", "--json").stdout)["addresses"]
    assert [row["value"] for row in rows] == [PHONE, "ada@king.example"]
    some("contacts", "remove-address", "Ada King", rows[1]["id"])
    with pytest.raises(NotFound):
        some("contacts", "show", "ada@king.example")
    with pytest.raises(InvalidInput, match="say what"):
        some("contacts", "edit", "Ada")


def test_why_a_person_did_not_get_it(some: Any) -> None:
    said = some("why", "Ada", "--event", "soon").stdout
    assert said.startswith("contact-1: Ada [bold]")
    assert "its time had passed when it was planned" in said
    assert "It waits until" in said
    assert "not registered for Soon" in some("why", "contact-2", "--event", "soon").stdout
    with pytest.raises(Conflict, match=r"contact-2 .*contact-3 .*say which"):
        some("why", "Ben Boyd")
    with pytest.raises(NotFound):
        some("why", "pigeon-5")
    assert "event-message-1" in some("why", "event-message-1").stdout
