"""How many cases the long property tests try."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import uvloop
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

thorough = False
"""Whether this run has time: `make test-all` has."""


def examples(number: int) -> int:
    """That many in a thorough run, two fifths of it in others."""
    return number if thorough else max(number * 2 // 5, 1)


Steps = list[tuple[Any, ...]]


def tell_stories(
    steps: SearchStrategy[Steps], live: Callable[[Steps], Coroutine[Any, Any, object]], number: int
) -> None:
    """Lives `number` stories, each a list of steps, in a loop of its own."""

    @settings(
        max_examples=examples(number),
        deadline=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(steps)
    def check(steps: Steps) -> None:
        uvloop.run(live(steps))

    check()
