"""A B C, A B C, …: everybody has a turn in each round, so that the machine's drift hits all alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from benchmarks.contestants.base import Contestant
from benchmarks.results import Line
from benchmarks.stage import Stage
from tidings.errors import TidingsError


async def take_turns(
    stage: Stage,
    contestants: Sequence[Contestant],
    rounds: int,
    measure: Callable[[Contestant], Awaitable[Mapping[str, float]]],
) -> tuple[list[Line], list[str]]:
    """A line for each contestant with a sample a round, and a sentence for each turn that failed."""
    found: dict[str, list[Mapping[str, float]]] = {one.label: [] for one in contestants}
    failures: list[str] = []
    for number in range(1, rounds + 1):
        for contestant in contestants:
            stage.say(f"round {number} of {rounds}: {contestant.label}")
            try:
                figures = await measure(contestant)
            except TidingsError as error:  # the others have taken minutes
                failures.append(f"{contestant.label}, round {number}: {error}.")
                stage.say(failures[-1])
                figures = {}
            found[contestant.label].append(figures)
    return [Line(label, _samples(turns)) for label, turns in found.items()], failures


def _samples(turns: Sequence[Mapping[str, float]]) -> dict[str, list[float | None]]:
    """By column, in the order of the rounds; None where a turn failed."""
    return {
        name: [turn.get(name) for turn in turns] for name in dict.fromkeys(name for turn in turns for name in turn)
    }
