"""A limit on what is done at once, and how much is worth preparing meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tidings.engine.slots import HEAD_START, MOST_AHEAD, Slots


async def turns(count: int) -> None:
    """Lets the event loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


class Piece:
    """Work that ends when it is told to."""

    def __init__(self, slots: Slots, began: list[int], number: int = 0) -> None:
        self._slots, self._began, self._number = slots, began, number
        self.over = asyncio.Event()

    async def __call__(self) -> None:
        self._began.append(self._number)
        await self.over.wait()
        self._slots.settle()


async def test_no_more_than_the_limit_is_under_way_and_who_came_first_goes_first() -> None:
    slots, began = Slots(2), list[int]()
    pieces = [Piece(slots, began, number) for number in range(4)]
    for piece in pieces:
        slots.add(piece)
    await turns(3)
    assert (began, slots.busy, slots.waiting) == ([0, 1], True, True)
    pieces[1].over.set()
    await turns(3)
    assert began == [0, 1, 2]
    for piece in pieces:
        piece.over.set()
    await turns(4)
    assert (began, slots.busy, slots.waiting) == ([0, 1, 2, 3], False, False)


async def test_the_last_piece_under_way_is_not_busy_so_that_its_outcome_waits_for_nobody() -> None:
    slots = Slots(5)
    busy: list[bool] = []

    async def note() -> None:
        busy.append(slots.busy)
        slots.settle()

    for _ in range(2):
        slots.add(note)
    await turns(3)
    assert busy == [True, False]


async def test_what_is_cancelled_ends_and_what_waits_does_not_begin() -> None:
    slots, began = Slots(1), list[int]()
    for number in range(3):
        slots.add(Piece(slots, began, number))
    await turns(2)
    slots.cancel()
    await turns(3)
    assert (began, slots.busy, slots.waiting) == ([0], False, False)


async def test_what_is_done_and_not_settled_makes_others_wait_once_there_are_three_a_slot() -> None:
    slots, began = Slots(2), list[int]()

    async def unsettled() -> None:
        began.append(0)

    for _ in range(3 * 2 + 1):
        slots.add(unsettled)
    await turns(10)
    assert (len(began), slots.waiting) == (6, True)
    slots.settle()
    await turns(3)
    assert (len(began), slots.waiting) == (7, False)


def work(slots: Slots, seconds: Sequence[float]) -> None:
    """Pieces of work one after another that hold a slot for so long each."""
    for taken in seconds:
        slots._note(taken)


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
