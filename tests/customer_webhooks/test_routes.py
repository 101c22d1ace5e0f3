"""Customers' webhooks over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from customer_webhooks.receiver import Receiver
from customer_webhooks.support import Hooks, data_of
from support.app import client_of


async def test_over_http_the_secret_is_shown_once_and_events_are_listed_with_their_status(hooks: Hooks) -> None:
    home = f"/customers/{hooks.customer}"
    async with Receiver() as receiver, client_of(hooks.app) as http:
        made = await http.post(f"{home}/webhook-endpoints", json={"url": receiver.url, "events": ["order.*"]})
        assert made.status_code == 201
        endpoint, secret = made.json()["endpoint"], made.json()["secret"]
        listed = (await http.get(f"{home}/webhook-endpoints")).json()
        assert listed == [endpoint]
        assert "whsec_" not in json.dumps(listed)
        await hooks.start()
        order = {"event": "order.shipped", "payload": {"order": 5}}
        [event_id] = (await http.post(f"{home}/webhook-events", json=order)).json()["event_ids"]
        [posted] = await receiver.has(1)
        assert data_of(posted.verified(secret)) == {"order": 5}
        await hooks.ended(event_id)
        [event] = (await http.get(f"{home}/webhook-events", params={"status": "DELIVERED"})).json()
        assert (event["id"], event["attempts"], event["webhook_id"]) == (event_id, 1, posted.name[1])
        assert (await http.get(f"{home}/webhook-events", params={"status": "FAILED"})).json() == []
        replayed = await http.post(f"{home}/webhook-events/{event_id}/replay")
        assert (replayed.status_code, replayed.json()["status"]) == (202, "PENDING")
        rotated = await http.post(f"{home}/webhook-endpoints/{endpoint['id']}/secret", json={"overlap_hours": 1})
        assert rotated.json()["secret"] != secret


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"url": "http://127.0.0.1:9/", "events": ["message.sended"]}, "events.0"),
        ({"url": "http://127.0.0.1:9/", "events": ["MESSAGE.*"]}, "events.0"),
        ({"url": "http://127.0.0.1:9/", "events": []}, "events"),
        ({"url": "http://user:pass@127.0.0.1/"}, "url"),
        ({"url": "http://127.0.0.1:6379/"}, "url"),
        ({}, "url"),
    ],
)
async def test_over_http_a_mistake_is_named(local_still: Hooks, wrong: dict[str, Any], field: str) -> None:
    async with client_of(local_still.app) as http:
        answer = await http.post(f"/customers/{local_still.customer}/webhook-endpoints", json=wrong)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
