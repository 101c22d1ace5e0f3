"""A limit on what is done at once, and how much is worth preparing meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.engine.slots import HEAD_START, MOST_AHEAD, Slots


async def turns(count: int) -> None:
    """Lets the event loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


async def hold(slots: Slots, inside: list[int], number: int, over: asyncio.Event) -> None:
    entered = await slots.enter()
    inside.append(number)
    await over.wait()
    slots.leave(entered)
    slots.settle()


async def test_no_more_than_the_limit_is_inside_and_who_came_first_goes_first() -> None:
    slots, inside, ends = Slots(2), list[int](), [asyncio.Event() for _ in range(4)]
    tasks = [asyncio.create_task(hold(slots, inside, number, end)) for number, end in enumerate(ends)]
    await turns(3)
    assert (inside, slots.busy, slots.waiting) == ([0, 1], True, True)
    ends[1].set()
    await turns(3)
    assert inside == [0, 1, 2]
    for end in ends:
        end.set()
    await asyncio.gather(*tasks)
    assert (inside, slots.busy, slots.waiting) == ([0, 1, 2, 3], False, False)


@pytest.mark.parametrize(
    "freed_before", [False, True], ids=["while it waits", "in the turn in which it gets its slot"]
)
async def test_who_is_cancelled_keeps_no_slot_from_others(freed_before: bool) -> None:
    slots, inside, over = Slots(1), list[int](), asyncio.Event()
    first = asyncio.create_task(hold(slots, inside, 1, over))
    second = asyncio.create_task(hold(slots, inside, 2, over))
    third = asyncio.create_task(hold(slots, inside, 3, over))
    await turns(3)
    if freed_before:
        over.set()
        await turns(1)
    second.cancel()
    over.set()
    await asyncio.wait({first, second, third})
    assert third.exception() is None
    assert inside[-1] == 3
    assert not slots.busy


async def test_who_has_left_and_not_settled_makes_others_wait_once_there_are_three_a_slot() -> None:
    slots, never = Slots(2), asyncio.Event()
    for _ in range(3 * 2):
        slots.leave(await slots.enter())
    late = asyncio.create_task(hold(slots, [], 0, never))
    await turns(3)
    assert (slots.busy, slots.waiting) == (False, True)
    slots.settle()
    await turns(3)
    assert (slots.busy, slots.waiting) == (True, False)
    late.cancel()


def work(slots: Slots, seconds: Sequence[float]) -> None:
    """Pieces of work one after another that hold a slot for so long each."""
    for taken in seconds:
        entering = slots.enter()
        with pytest.raises(StopIteration) as entered:
            entering.send(None)  # nothing to wait for
        slots.leave(entered.value.value - taken)
        slots.settle()


@given(limit=st.integers(1, 500), seconds=st.lists(st.floats(0, 60), min_size=100, max_size=100))
def test_never_more_is_prepared_than_the_slots_take_soon(limit: int, seconds: list[float]) -> None:
    slots = Slots(limit)
    work(slots, seconds)
    slowest = max(*seconds, HEAD_START)
    assert 0 <= slots.ahead <= MOST_AHEAD
    assert slots.ahead >= int(min(limit * HEAD_START / slowest, MOST_AHEAD) * 0.75) - 1


def test_fast_work_is_prepared_ahead_and_slow_work_is_not() -> None:
    slots, told = Slots(20), list[int]()
    slots.on_change = lambda: told.append(slots.ahead)
    work(slots, [0.005] * 200)
    assert slots.ahead > 100
    work(slots, [10.0] * 200)
    assert slots.ahead == 0
    assert told[-1] == 0
