"""The rules of endpoints that need no database: when one is warned about or disabled, and what it hears."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from customer_webhooks.support import NOW
from tidings.customer_webhooks.events import EVENTS, FILTER, hears
from tidings.customer_webhooks.health import (
    DISABLE_FAILURES,
    DISABLE_TIME,
    GRACE,
    WARN_FAILURES,
    WARN_TIME,
    Health,
    after_failures,
)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 100)), max_size=60))
@settings(max_examples=100)
def test_an_endpoint_is_disabled_only_after_a_warning_enough_failures_and_enough_time(
    steps: list[tuple[int, int]],
) -> None:
    health, now, failures, warnings = Health(), NOW, 0, 0
    for count, hours in steps:
        now += timedelta(hours=hours)
        verdict = after_failures(health, count, now)
        health, failures = verdict.health, failures + count
        warnings += verdict.warn
        assert health.failures == failures
        assert health.failing_since is not None
        assert not (verdict.warn and verdict.disable)
        if verdict.warn:
            assert failures >= WARN_FAILURES
            assert now - health.failing_since >= WARN_TIME
        if verdict.disable:
            assert warnings == 1
            assert health.warned_at is not None
            assert now - health.warned_at >= GRACE
            assert failures >= DISABLE_FAILURES
            assert now - health.failing_since >= DISABLE_TIME
            return
    assert warnings <= 1


@given(st.sampled_from(EVENTS))
def test_every_event_is_heard_by_its_name_its_group_and_the_star(event: str) -> None:
    group = f"{event.split('.')[0]}.*"
    for pattern in (event, group, "*"):
        assert FILTER.fullmatch(pattern)
        assert hears([pattern], event)
    assert not hears(["other.*", event[:-1], f"{event}.more"], event)
