"""What the environment may change about a queue, and the sentences for what it may not."""

from __future__ import annotations

from typing import Any

import pytest

from tidings.engine.policy import QueuePolicy, RateLimit
from tidings.errors import ConfigurationError

DECLARED = QueuePolicy("event-messages", concurrency=10, rate_limit=RateLimit(20, 60.0), attempts=3, backoff=5.0)


@pytest.mark.parametrize(
    ("env", "changed"),
    [
        ({}, {}),
        ({"EVENT_MESSAGES_CONCURRENCY": "25"}, {"concurrency": 25}),
        ({"EVENT_MESSAGES_ATTEMPTS": "1"}, {"attempts": 1}),
        ({"EVENT_MESSAGES_BACKOFF": "0.5"}, {"backoff": 0.5}),
        ({"EVENT_MESSAGES_BACKOFF": "0"}, {"backoff": 0.0}),
        ({"EVENT_MESSAGES_RATE_LIMIT": "100/60"}, {"rate_limit": RateLimit(100, 60.0)}),
        ({"EVENT_MESSAGES_RATE_LIMIT": " 5 / 0.5 "}, {"rate_limit": RateLimit(5, 0.5)}),
        ({"EVENT_MESSAGES_RATE_LIMIT": "off"}, {"rate_limit": None}),
        ({"EVENT_MESSAGES_RATE_LIMIT": "OFF"}, {"rate_limit": None}),
        ({"EVENT_MESSAGES_CONCURRENCY": "", "EVENT_MESSAGES_RATE_LIMIT": ""}, {}),
        ({"EVENT_CONCURRENCY": "7", "MESSAGES_ATTEMPTS": "7", "event_messages_backoff": "7"}, {}),
        (
            {"EVENT_MESSAGES_CONCURRENCY": "2", "EVENT_MESSAGES_ATTEMPTS": "4", "EVENT_MESSAGES_BACKOFF": "1"},
            {"concurrency": 2, "attempts": 4, "backoff": 1.0},
        ),
    ],
)
def test_the_environment_changes_what_it_names_and_nothing_else(env: dict[str, str], changed: dict[str, Any]) -> None:
    fields = ("name", "concurrency", "rate_limit", "attempts", "backoff", "keep_completed", "keep_failed")
    expected = {field: getattr(DECLARED, field) for field in fields} | changed
    assert DECLARED.configured(env) == QueuePolicy(**expected)


@pytest.mark.parametrize(
    ("setting", "raw", "wanted"),
    [
        *(("CONCURRENCY", raw, "give a whole number, at least 1.") for raw in ("0", "-1", "2.5", "many", "1e3")),
        *(("ATTEMPTS", raw, "give a whole number, at least 1.") for raw in ("0", "-3", "three")),
        *(("BACKOFF", raw, "give seconds, like 5.") for raw in ("-5", "nan", "inf", "5s", "1e400")),
        *(
            ("RATE_LIMIT", raw, "give jobs/seconds, like 20/60, or off.")
            for raw in ("20", "0/60", "20/0", "-1/60", "20/minute", "20/60/2", "20/-60", "on", "1/0.0001")
        ),
    ],
)
def test_a_value_of_another_form_is_refused_with_a_sentence(setting: str, raw: str, wanted: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        DECLARED.configured({f"EVENT_MESSAGES_{setting}": raw})
    assert str(refusal.value) == f"EVENT_MESSAGES_{setting} is {raw!r}; {wanted}"


def test_every_character_that_a_variable_cannot_have_becomes_an_underscore() -> None:
    policy = QueuePolicy("shop:campaigns-2.eu")
    assert policy.variable == "SHOP_CAMPAIGNS_2_EU"
    assert policy.configured({"SHOP_CAMPAIGNS_2_EU_CONCURRENCY": "3"}).concurrency == 3


def test_the_wait_after_a_failure_doubles_with_each_attempt() -> None:
    assert [DECLARED.backoff_after(attempt) for attempt in (1, 2, 3)] == [5.0, 10.0, 20.0]
    assert QueuePolicy("quick", backoff=0.0).backoff_after(9) == 0.0
