"""Workflows of n8n, put together from the nodes that people use for messages."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from uuid import NAMESPACE_URL, uuid5

Json = dict[str, Any]

WEBHOOK = "{{ $json }}"
"""What a Webhook node gives to the next one: the request's headers, query and body."""


def _id(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, name))


def node(name: str, kind: str, version: float, /, **parameters: Any) -> Json:
    return {
        "id": _id(name),
        "name": name,
        "type": f"n8n-nodes-base.{kind}",
        "typeVersion": version,
        "position": [0, 0],
        "parameters": parameters,
    }


def webhook(path: str, mode: str, /, **more: Any) -> Json:
    """Takes POSTs at `path`. `mode` is onReceived ("Immediately"), lastNode or responseNode."""
    found = node(path, "webhook", 2, httpMethod="POST", path=path, responseMode=mode, options={}, **more)
    return {**found, "webhookId": _id(f"webhook {path}")}


def gives(name: str, value: object) -> Json:
    """An Edit Fields node whose output is `value`; a string is an expression."""
    output = value if isinstance(value, str) else json.dumps(value)
    return node(name, "set", 3.4, mode="raw", jsonOutput=output, options={})


def responds(name: str, status: int, with_: str = "json", body: str | None = None, **options: Any) -> Json:
    said = {} if body is None else {"responseBody": body}
    return node(name, "respondToWebhook", 1.4, respondWith=with_, options={"responseCode": status, **options}, **said)


def posts(name: str, url: str, body: str, **more: Any) -> Json:
    """An HTTP Request node: what a workflow does to send the message on."""
    parameters: Json = {
        "method": "POST",
        "url": url,
        "sendBody": True,
        "specifyBody": "json",
        "jsonBody": body,
        "options": {},
    }
    return {**node(name, "httpRequest", 4.2, **parameters), **more}


@dataclass
class Workflow:
    """A workflow: chains of nodes, each of which begins with a trigger."""

    id: str
    chains: list[list[Json]] = field(default_factory=list)

    def add(self, *chain: Json) -> None:
        self.chains.append(list(chain))

    def exported(self) -> Json:
        """As n8n's command line imports it."""
        links = [
            (before["name"], {"main": [[{"node": after["name"], "type": "main", "index": 0}]]})
            for chain in self.chains
            for before, after in pairwise(chain)
        ]
        return {
            "id": self.id,
            "name": self.id,
            "active": False,
            "nodes": [node for chain in self.chains for node in chain],
            "connections": dict(links),
            "settings": {"executionOrder": "v1"},
        }


MODES = {"sms-at-once": "onReceived", "sms-last": "lastNode", "sms-outbound": "responseNode"}
"""The webhooks that send messages on, and when they answer. The last one is the documentation's."""

SECRET = "s3cret"

_IN_EXAMPLES = {
    "https://sms.example.com/messages": "={{ $('Message').first().json.query.to }}",
    "https://messages.example.com/webhooks/n8n/statuses": "={{ $json.query.to }}",
    "the value of N8N_INBOUND_SECRET": SECRET,
}
"""What people change in the documentation's workflows; here they call the address that their query names as `to`."""

CREDENTIALS: list[Json] = [
    {
        "id": "basic0000000001",
        "name": "basic",
        "type": "httpBasicAuth",
        "data": {"user": "tidings", "password": "p/w@1:x"},
    },
    {
        "id": "header000000001",
        "name": "header",
        "type": "httpHeaderAuth",
        "data": {"name": "X-Api-Key", "value": "s3cret"},
    },
    {
        "id": "jwt000000000001",
        "name": "jwt",
        "type": "jwtAuth",
        "data": {"keyType": "passphrase", "secret": "jwt-s3cret", "algorithm": "HS256"},
    },
]


def postgres(socket: str, database: str) -> Json:
    """The credential for the table of keys that were sent."""
    data = {"host": socket, "port": 5432, "database": database, "user": "postgres", "password": "", "ssl": "disable"}
    return {"id": "tidingsPostgres1", "name": "Postgres", "type": "postgres", "data": data}


def adapted(example: Json) -> Json:
    """A workflow of the documentation as somebody has it who put their addresses and secrets into it."""
    text = json.dumps(example)
    for theirs, ours in _IN_EXAMPLES.items():
        text = text.replace(json.dumps(theirs), json.dumps(ours))
    found: Json = json.loads(text)
    return found


def copied(example: Json, path: str, name: str) -> Json:
    """The same once more, at another path."""
    found = {**adapted(example), "id": name, "name": name}
    found["nodes"] = [{**one, "id": _id(f"{name} {one['name']}")} for one in found["nodes"]]
    found["nodes"][0]["webhookId"] = _id(f"webhook {path}")
    found["nodes"][0]["parameters"]["path"] = path
    return found


def answering_otherwise(example: Json, path: str) -> Json:
    """The same at another path, answering at once or when the last node has finished."""
    found = copied(example, path, path)
    found["nodes"][0]["parameters"]["responseMode"] = MODES[path]
    found["nodes"] = [
        gives(one["name"], {"done": True}) if one["type"].endswith("respondToWebhook") else one
        for one in found["nodes"]
    ]
    return found


def answering() -> Workflow:
    """A workflow with a webhook for every answer of `providers.n8n_recorded`."""
    found = Workflow("answering")
    found.add(webhook("immediately", "onReceived"))
    twilio = {"sid": "SM1", "account_sid": "AC1", "status": "queued", "error_code": None}
    found.add(webhook("last-first", "lastNode"), gives("twilio", twilio))
    found.add(webhook("last-all", "lastNode", responseData="allEntries"), gives("entries", {"sid": "SM2"}))
    found.add(webhook("last-no-data", "lastNode", responseData="noData"), gives("no data", {"sid": "SM3"}))
    found.add(webhook("last-none", "lastNode"), node("nothing", "filter", 2.2, conditions=_NEVER, options={}))
    found.add(webhook("fails", "lastNode"), _stops("fails at once"))
    found.add(webhook("fails-later", "onReceived"), _stops("fails afterwards"))
    found.add(webhook("responds", "responseNode"), responds("says", 200, body='{"sid":"SM4"}'))
    found.add(
        webhook("responds-items", "responseNode"),
        gives("items", {"sid": "SM5"}),
        responds("says items", 200, "allIncomingItems"),
    )
    found.add(webhook("responds-text", "responseNode"), responds("says text", 200, "text", "queued"))
    found.add(webhook("responds-204", "responseNode"), responds("says nothing", 204, "noData"))
    found.add(webhook("responds-404", "responseNode"), responds("refuses", 404, body='{"error":"no such number"}'))
    found.add(webhook("responds-403", "responseNode"), responds("forbids", 403, "text", "opted out"))
    found.add(webhook("responds-nothing", "responseNode"), node("does nothing", "noOp", 1))
    found.add(webhook("echo", "lastNode"), node("does nothing either", "noOp", 1))
    found.add(webhook("echo-all", "lastNode", responseData="allEntries"), node("nor does this", "noOp", 1))
    found.add(webhook("unreachable", "lastNode"), posts("tries", "http://127.0.0.1:9/", "{}", onError=_GO_ON))
    found.add(webhook("basic", "onReceived", authentication="basicAuth") | _credential("httpBasicAuth", 0))
    found.add(webhook("header", "onReceived", authentication="headerAuth") | _credential("httpHeaderAuth", 1))
    found.add(webhook("jwt", "onReceived", authentication="jwtAuth") | _credential("jwtAuth", 2))
    found.add(_with(webhook("not-from-here", "onReceived"), options={"ipWhitelist": "10.1.1.1"}))
    found.add(_with(webhook("for-people", "onReceived"), options={"ignoreBots": True}))
    found.add(_with(webhook("takes-get", "onReceived"), httpMethod="GET"))
    return found


_GO_ON = "continueRegularOutput"
_NEVER = {
    "options": {"version": 2},
    "combinator": "and",
    "conditions": [
        {
            "id": "never",
            "leftValue": "a",
            "rightValue": "b",
            "operator": {"type": "string", "operation": "equals"},
        }
    ],
}


def _stops(name: str) -> Json:
    return node(name, "stopAndError", 1, errorMessage="out of credit")


def _with(found: Json, **parameters: Any) -> Json:
    return {**found, "parameters": {**found["parameters"], **parameters}}


def _credential(kind: str, number: int) -> Json:
    one = CREDENTIALS[number]
    return {"credentials": {kind: {"id": one["id"], "name": one["name"]}}}
