"""The HTTP endpoints of the proactive messages: what each answers, and how mistakes are named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from proactive.desk import DAY, Desk
from support.api import Api
from support.app import client_of
from tidings.features.proactive.models import Goal, ProactiveMessage

HUGE = 10**30


class ProactiveApi(Api):
    """The endpoints over a desk's application."""

    def __init__(self, desk: Desk, http: httpx.AsyncClient) -> None:
        super().__init__(http)
        self.desk = desk


@pytest.fixture
async def api(desk: Desk) -> AsyncIterator[ProactiveApi]:
    async with client_of(desk.app) as http:
        yield ProactiveApi(desk, http)


async def idle_goal(api: ProactiveApi, **contact: Any) -> tuple[int, int]:
    """A contact and their goal, about which they are written to."""
    contractor_id = await api.desk.contact(**contact)
    goal = await api.good(
        "POST",
        f"/contractors/{contractor_id}/goals",
        {"title": "Win three clients", "checklist": ["Call Ben", "Send offer"], "target_date": "2026-06-01"},
        expect=201,
    )
    await api.desk.set(Goal, goal["id"], last_progress_at=api.desk.clock.now() - 9 * DAY)
    return contractor_id, goal["id"]


async def test_a_goal_lives_through_its_endpoints(api: ProactiveApi) -> None:
    contractor_id, goal_id = await idle_goal(api)
    goal = await api.good("GET", f"/goals/{goal_id}")
    assert (goal["contractor_id"], goal["target_date"], goal["completed_at"]) == (contractor_id, "2026-06-01", None)
    goal = await api.good("POST", f"/goals/{goal_id}/progress", {"progress": 40})
    assert (goal["progress"], goal["last_progress_at"]) == (40, "2026-03-10T15:00:00Z")
    goal = await api.good("POST", f"/goals/{goal_id}/checklist", {"title": "Celebrate"}, expect=201)
    assert [item["title"] for item in goal["checklist"]] == ["Call Ben", "Send offer", "Celebrate"]
    goal = await api.good("POST", f"/checklist-items/{goal['checklist'][0]['id']}/complete")
    assert [bool(item["completed_at"]) for item in goal["checklist"]] == [True, False, False]
    goal = await api.good("POST", f"/goals/{goal_id}/complete")
    assert (goal["progress"], goal["completed_at"]) == (100, "2026-03-10T15:00:00Z")
    assert await api.good("GET", "/goals", contractor_id=contractor_id, completed="true") == [goal]
    assert await api.good("GET", "/goals", completed="false") == []
    assert (await api("POST", f"/goals/{goal_id}/progress", {}))[0] == 409


async def test_a_message_is_made_listed_delivered_and_cancelled(api: ProactiveApi) -> None:
    contractor_id, goal_id = await idle_goal(api)
    result = await api.good("POST", "/proactive-messages/evaluate")
    assert (result["created"], result["awaiting_approval"]) == (1, 0)
    [listed] = await api.good("GET", "/proactive-messages", status="waiting", message_type="check_in")
    message = await api.good("GET", f"/proactive-messages/{listed['id']}")
    assert listed == message | {"contractor_name": "Ada Abara"}
    assert message["ai_reasoning"] == f"Goal #{goal_id} has 2 pending checklist items and no progress for 9 days"
    assert (message["contractor_id"], message["sent_at"], message["status"]) == (contractor_id, None, "waiting")
    [taken] = await api.good("POST", "/proactive-messages/deliver")
    assert (taken["id"], taken["status"], taken["scheduled_time"]) == (
        message["id"],
        "scheduled",
        "2026-03-10T15:00:00Z",
    )
    cancelled = await api.good("DELETE", f"/proactive-messages/{message['id']}")
    assert (cancelled["status"], cancelled["status_reason"]) == ("cancelled", "by_request")
    stats = await api.good("GET", "/proactive-messages/stats")
    assert (stats["cancelled"], stats["by_trigger"]["check_in"]["cancelled"], stats["queue"]["total"]) == (1, 1, 0)


async def test_approvals_are_listed_and_decided(api: ProactiveApi) -> None:
    for name in ("Ada Abara", "Ben Bako"):
        await idle_goal(api, name=name, trust=30)
        await api.good("POST", "/proactive-messages/evaluate")
    first, second = await api.good("GET", "/proactive-approvals")
    assert (first["contractor_name"], first["approval"]) == ("Ada Abara", "pending")
    assert first["approval_until"] == "2026-03-11T15:00:00Z"
    approved = await api.good("POST", f"/proactive-messages/{first['id']}/approve", {"by": "Cy"})
    assert (approved["approval"], approved["decided_by"]) == ("approved", "Cy")
    rejected = await api.good("POST", f"/proactive-messages/{second['id']}/reject", {"by": "Cy", "why": "Not now"})
    assert (rejected["status"], rejected["status_reason"]) == ("skipped", "rejected")
    assert await api.good("GET", "/proactive-approvals") == []
    assert (await api("POST", f"/proactive-messages/{second['id']}/approve", {"by": "Cy"}))[0] == 409


REFUSED = [
    ("GET", "/proactive-messages/99", None, 404),
    ("DELETE", "/proactive-messages/99", None, 404),
    ("POST", "/proactive-messages/99/approve", {"by": "Cy"}, 404),
    ("POST", "/proactive-messages/99/approve", {}, 422),
    ("POST", "/proactive-messages/99/approve", {"by": "C\0y"}, 422),
    ("POST", "/proactive-messages/99/reject", {"by": "Cy", "because": "no"}, 422),
    ("GET", f"/proactive-messages/{HUGE}", None, 422),
    ("GET", "/proactive-messages?status=lost", None, 422),
    ("GET", "/proactive-messages?limit=0", None, 422),
    ("GET", "/proactive-messages?message_type=a%00b", None, 422),
    ("POST", "/contractors/99/goals", {"title": "Grow"}, 404),
    ("POST", "/contractors/99/goals", {"title": " "}, 422),
    ("POST", "/contractors/99/goals", {"title": "Grow", "progress": 1.5}, 422),
    ("POST", "/contractors/99/goals", {"title": "Grow", "target_date": "1026-01-01"}, 422),
    ("POST", "/contractors/99/goals", {"title": "Grow", "checklist": ["A"] * 101}, 422),
    ("GET", "/goals/99", None, 404),
    ("POST", "/goals/99/progress", {"progress": -1}, 422),
    ("POST", "/goals/99/progress", {}, 404),
    ("POST", "/goals/99/complete", None, 404),
    ("POST", "/goals/99/checklist", {"title": "A"}, 404),
    ("POST", "/checklist-items/99/complete", None, 404),
    ("GET", "/goals?completed=perhaps", None, 422),
]


async def test_what_cannot_be_done_is_refused_with_a_sentence_and_stores_nothing(api: ProactiveApi) -> None:
    answers = [(method, path, body, (await api(method, path, body))[0]) for method, path, body, _ in REFUSED]
    assert answers == REFUSED
    assert await api.good("GET", "/goals") == []


def test_the_table_has_the_columns_of_the_specification() -> None:
    columns = {column.key for column in ProactiveMessage.__table__.columns}
    assert columns >= {
        *("id", "contractor_id", "message_type", "message_content", "ai_reasoning", "context_data"),
        *("sent_at", "contractor_response", "created_at"),
    }
