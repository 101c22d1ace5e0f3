"""The HTTP endpoints of the follow-ups: what each answers, and how every mistake is named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from followups.conftest import HELLO, Office
from support.api import Api
from support.app import client_of


class FollowUpsApi(Api):
    """The endpoints over an office whose clock stands still."""

    def __init__(self, office: Office, http: httpx.AsyncClient) -> None:
        super().__init__(http)
        self.office = office


@pytest.fixture
async def api(local_office: Office) -> AsyncIterator[FollowUpsApi]:
    async with client_of(local_office.app) as http:
        yield FollowUpsApi(local_office, http)


def follow_up(**more: Any) -> dict[str, Any]:
    return {
        "contractor_id": 1,
        "scheduled_time": "2025-10-16T09:00:00",
        "followup_type": "check_in",
        "message_template": HELLO,
        **more,
    }


async def test_a_follow_up_is_scheduled_read_drafted_sent_and_answered(api: FollowUpsApi) -> None:
    created = await api.good("POST", "/follow-ups", follow_up(), expect=201)
    assert (created["status"], created["scheduled_time"]) == ("scheduled", "2025-10-16T13:00:00Z")
    path = f"/follow-ups/{created['id']}"
    assert await api.good("GET", path) == created
    assert await api.good("GET", "/follow-ups/pending") == [created]
    assert await api.good("GET", "/follow-ups/due") == []
    assert await api.good("GET", "/contractors/1/follow-ups", status="scheduled", limit=5) == [created]
    draft = await api.good("POST", f"{path}/draft")
    assert (draft["text"], draft["author"]) == ("Hi Ada, how is it going?", "template")
    now = await api.good("POST", f"{path}/send")
    assert now["scheduled_time"] == "2025-10-15T14:00:00Z"
    assert await api.good("GET", "/follow-ups/due") == [now]
    await api.office.deliver(created["id"])
    assert (await api.good("GET", path))["sent_by"] == "bull_worker"
    answered = await api.good("POST", f"{path}/response", {"response_text": "Fine, thanks"})
    assert (answered["response_text"], answered["response_received_at"]) == ("Fine, thanks", "2025-10-15T14:00:00Z")
    [figures] = await api.good("GET", "/follow-ups/effectiveness", days=7)
    assert (figures["followup_type"], figures["sent"], figures["replied"]) == ("check_in", 1, 1)
    stats = await api.good("GET", "/follow-ups/stats")
    assert (stats["by_status"]["sent"], stats["sent_today"]) == (1, 1)
    assert stats["queue"].keys() == {"waiting", "active", "completed", "failed", "delayed", "total"}


async def test_a_series_is_marked_as_sent_and_one_occurrence_or_all_are_cancelled(api: FollowUpsApi) -> None:
    series = follow_up(is_recurring=True, recurrence_interval_days=7)
    first = await api.good("POST", "/follow-ups", series, expect=201)
    marked = await api.good("POST", f"/follow-ups/{first['id']}/sent", {"sent_by": "ben"})
    assert (marked["status"], marked["sent_by"]) == ("sent", "ben")
    second = await api.good("DELETE", f"/follow-ups/{marked['next_occurrence_id']}", only_this=True)
    assert second["status"] == "cancelled"
    third = await api.good("DELETE", f"/follow-ups/{second['next_occurrence_id']}")
    assert (third["status"], third["next_occurrence_id"]) == ("cancelled", None)
    assert third["scheduled_time"] == "2025-10-30T13:00:00Z"


async def test_a_vip_is_made_and_unmade(api: FollowUpsApi) -> None:
    created = await api.good("POST", "/follow-ups", follow_up(), expect=201)
    assert await api.good("PUT", "/contractors/1/vip", {"vip": True}) == {"messages": 1}
    assert (await api.good("GET", f"/follow-ups/{created['id']}"))["priority"] == 1
    assert await api.good("PUT", "/contractors/1/vip", {"vip": False}) == {"messages": 1}


async def test_action_items_are_created_completed_reopened_and_listed(api: FollowUpsApi) -> None:
    body = {"contractor_id": 1, "title": "Sign", "due_date": "2025-10-20"}
    item = await api.good("POST", "/action-items", body, expect=201)
    assert (item["due_date"], item["completed_at"]) == ("2025-10-20", None)
    path = f"/action-items/{item['id']}"
    done = await api.good("POST", f"{path}/complete")
    assert done["completed_at"] == "2025-10-15T14:00:00Z"
    assert await api.good("GET", "/action-items", contractor_id=1, completed=True) == [done]
    assert await api.good("POST", f"{path}/reopen") == item == await api.good("GET", path)
    assert await api.good("GET", "/action-items", completed=True) == []


async def test_an_experiment_is_made_looked_at_and_ended(api: FollowUpsApi) -> None:
    variants = [{"key": key, "message_template": f"{key} {{{{ first_name }}}}"} for key in ("a", "b")]
    made = await api.good("POST", "/follow-up-experiments", {"name": "spring", "variants": variants}, expect=201)
    assert [variant["weight"] for variant in made["variants"]] == [1, 1]
    row = await api.good("POST", "/follow-ups", follow_up(message_template=None, experiment="spring"), expect=201)
    assert row["message_template"] == f"{row['variant']} {{{{ first_name }}}}"
    result = await api.good("GET", "/follow-up-experiments/spring")
    assert {one["key"]: one["scheduled"] for one in result["variants"]}[row["variant"]] == 1
    assert result["verdict"].startswith("It is too early to tell")
    ended = await api.good("POST", "/follow-up-experiments/spring/end")
    assert ended["ended_at"] == "2025-10-15T14:00:00Z"
    assert await api.good("GET", "/follow-up-experiments") == [ended]
    assert (await api.refused("POST", "/follow-ups", follow_up(message_template=None, experiment="spring")))[0] == 409


ENDPOINTS: list[tuple[str, str, Any]] = [
    ("POST", "/follow-ups", follow_up()),
    ("GET", "/follow-ups/pending", None),
    ("GET", "/follow-ups/due", None),
    ("GET", "/follow-ups/stats", None),
    ("GET", "/follow-ups/effectiveness", None),
    ("GET", "/follow-ups/{follow_up_id}", None),
    ("DELETE", "/follow-ups/{follow_up_id}", None),
    ("POST", "/follow-ups/{follow_up_id}/draft", None),
    ("POST", "/follow-ups/{follow_up_id}/send", None),
    ("POST", "/follow-ups/{follow_up_id}/sent", {}),
    ("POST", "/follow-ups/{follow_up_id}/response", {"response_text": "Yes"}),
    ("GET", "/contractors/{contractor_id}/follow-ups", None),
    ("PUT", "/contractors/{contractor_id}/vip", {"vip": True}),
    ("POST", "/action-items", {"contractor_id": 1, "title": "Sign"}),
    ("GET", "/action-items", None),
    ("GET", "/action-items/{action_item_id}", None),
    ("POST", "/action-items/{action_item_id}/complete", None),
    ("POST", "/action-items/{action_item_id}/reopen", None),
    ("POST", "/follow-up-experiments", {}),
    ("GET", "/follow-up-experiments", None),
    ("GET", "/follow-up-experiments/{name}", None),
    ("POST", "/follow-up-experiments/{name}/end", None),
]
"""Every endpoint, with a good body."""


async def test_every_endpoint_is_described_and_refuses_what_does_not_exist_or_cannot_be_an_id(
    api: FollowUpsApi,
) -> None:
    paths = (await api.good("GET", "/openapi.json"))["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert {(method, path) for method, path, _ in ENDPOINTS} <= described
    mine = {(method, path) for method, path in described if "follow-up" in path or "action-item" in path}
    assert mine <= {(method, path) for method, path, _ in ENDPOINTS}
    for method, template, body in ENDPOINTS:
        if "{" not in template:
            continue
        name = template[template.index("{") + 1 : template.index("}")]
        status, _ = await api.refused(method, template.replace(f"{{{name}}}", "999"), body)
        assert status == 404, template
        if name == "name":
            continue
        for impossible in ("0", str(2**63), "abc"):
            answer = await api.refused(method, template.replace(f"{{{name}}}", impossible), body)
            assert answer == (422, [name]), (template, impossible)


UNUSABLE: list[tuple[str, str, Any, int, list[str]]] = [
    ("POST", "/follow-ups", follow_up(contractor_id=999), 404, []),
    ("POST", "/follow-ups", follow_up(contractor_id=10**30), 422, ["contractor_id"]),
    ("POST", "/follow-ups", follow_up(scheduled_time="9 o'clock"), 422, ["scheduled_time"]),
    ("POST", "/follow-ups", follow_up(message_template="{{ x }}"), 422, []),
    ("POST", "/follow-ups", follow_up(message_template="a\0b"), 422, ["message_template"]),
    ("POST", "/follow-ups", follow_up(is_recurring=True), 422, ["recurrence_interval_days"]),
    ("POST", "/follow-ups", follow_up(ai_context_hints=[1]), 422, ["ai_context_hints"]),
    ("POST", "/follow-ups", follow_up(sent_by="me"), 422, ["sent_by"]),
    ("GET", "/follow-ups/effectiveness?days=0", None, 422, ["days"]),
    ("GET", "/follow-ups/pending?limit=1001", None, 422, ["limit"]),
    ("GET", "/contractors/1/follow-ups?status=lost", None, 422, ["status"]),
    ("PUT", "/contractors/1/vip", {}, 422, ["vip"]),
    ("POST", "/action-items", {"contractor_id": 1, "title": " "}, 422, ["title"]),
    ("POST", "/action-items", {"contractor_id": 999, "title": "Sign"}, 404, []),
    ("POST", "/follow-up-experiments", {"name": "spring", "variants": []}, 422, ["variants"]),
    ("POST", "/follow-ups/1/response", {"response_text": "Yes"}, 409, []),
    ("POST", "/follow-ups/1/sent", {"sent_by": "x" * 33}, 422, ["sent_by"]),
    ("POST", "/follow-ups/1/send", None, 409, []),
]


async def test_what_cannot_be_used_is_named(api: FollowUpsApi) -> None:
    created = await api.good("POST", "/follow-ups", follow_up(), expect=201)
    await api.good("DELETE", f"/follow-ups/{created['id']}")
    for method, path, body, status, fields in UNUSABLE:
        path, _, query = path.partition("?")
        answer = await api.refused(method, path, body, **dict([query.split("=")] if query else []))
        assert answer == (status, fields), (method, path, body)
