"""The payloads that shops send, one file for each topic, and ugly ones: `topic.what_is_odd.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tidings.features.shops.rules.contexts import TOPICS, EventContext, normalize_event_context

SHOP = "blossom-soaps.myshopify.com"
_FOLDER = Path(__file__).parents[1] / "payloads"
_TOPICS = {topic.replace("/", "_"): topic for topic in TOPICS}

NAMES = sorted(path.stem for path in _FOLDER.glob("*.json"))


def topic_of_file(name: str) -> str:
    return _TOPICS[name.partition(".")[0]]


def payload(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def context_of(name: str, **changes: Any) -> EventContext:
    return normalize_event_context(topic_of_file(name), payload(name) | changes, SHOP)
