"""Many callers, few calls; and whatever happens to one caller is no other's concern."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.engine.coalesce import Coalescer, Gatherer


class Gate:
    """Doubles numbers once it is opened; notes the batches it was given and how many were in it at once."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.batches: list[list[int]] = []
        self.most_inside = 0
        self._inside = 0
        self._open = asyncio.Event()
        if is_open:
            self.open()

    def open(self) -> None:
        self._open.set()

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self._inside += 1
        self.most_inside = max(self.most_inside, self._inside)
        try:
            await self._open.wait()
            await asyncio.sleep(0)
            return [item * 2 for item in items]
        finally:
            self._inside -= 1


async def turns(count: int) -> None:
    """Lets the event loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_lone_item_goes_at_once_and_waits_for_no_company() -> None:
    loop, timers = asyncio.get_running_loop(), []
    gate = Gate()
    double = Coalescer(gate)
    real, loop.call_later = loop.call_later, lambda *call, **more: timers.append(call)  # type: ignore[method-assign]
    try:
        caller = asyncio.ensure_future(double(21))
        await turns(3)  # the caller's own turn, the gathering, the call
        assert gate.batches == [[21]]
        assert await caller == 42
    finally:
        loop.call_later = real  # type: ignore[method-assign]
    assert timers == []


async def test_callers_of_the_same_moment_share_one_call() -> None:
    gate = Gate()
    double = Coalescer(gate)
    assert await asyncio.gather(*map(double, range(50))) == [number * 2 for number in range(50)]
    assert gate.batches == [list(range(50))]


async def test_what_comes_while_a_call_is_under_way_goes_together_in_the_next() -> None:
    gate = Gate(is_open=False)
    double = Coalescer(gate)
    callers = [asyncio.ensure_future(double(1))]
    await turns(3)
    for number in (2, 3, 4):  # at different moments
        callers.append(asyncio.ensure_future(double(number)))
        await turns(3)
    assert gate.batches == [[1]]
    gate.open()
    assert await asyncio.gather(*callers) == [2, 4, 6, 8]
    assert gate.batches == [[1], [2, 3, 4]]


async def test_no_call_takes_more_than_the_limit_nor_are_more_under_way_than_allowed() -> None:
    gate = Gate(is_open=False)
    double = Coalescer(gate, limit=4, in_flight=2)
    callers = [asyncio.ensure_future(double(number)) for number in range(19)]
    await turns(5)
    assert gate.batches == [[0, 1, 2, 3], [4, 5, 6, 7]]
    gate.open()
    assert await asyncio.gather(*callers) == [number * 2 for number in range(19)]
    assert [len(batch) for batch in gate.batches] == [4, 4, 4, 4, 3]
    assert gate.most_inside == 2


async def test_a_bad_item_spoils_no_other() -> None:
    batches = []

    async def reciprocals(items: Sequence[int]) -> list[float]:
        batches.append(list(items))
        return [1 / item for item in items]

    reciprocal = Coalescer(reciprocals)
    answers = await asyncio.gather(*map(reciprocal, (1, 0, 4)), return_exceptions=True)
    assert answers[0] == 1.0
    assert isinstance(answers[1], ZeroDivisionError)
    assert answers[2] == 0.25
    assert batches == [[1, 0, 4], [1], [0], [4]]
    assert await reciprocal(2) == 0.5, "and the next one is served"


async def test_a_lone_bad_item_is_tried_once() -> None:
    calls = Counter[int]()

    async def refuse(items: Sequence[int]) -> list[int]:
        calls.update(items)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await Coalescer(refuse)(1)
    assert calls == {1: 1}


async def test_an_answer_for_too_few_items_is_an_error_and_leaves_nobody_waiting() -> None:
    async def forget_one(items: Sequence[int]) -> list[int]:
        return list(items)[1:]

    answers = await asyncio.gather(*map(Coalescer(forget_one), (1, 2)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ValueError, ValueError]


async def test_a_caller_that_is_cancelled_while_its_call_is_under_way_disturbs_no_other() -> None:
    gate = Gate(is_open=False)
    double = Coalescer(gate)
    callers = [asyncio.ensure_future(double(number)) for number in (1, 2, 3)]
    await turns(3)
    callers[1].cancel()
    await turns(3)
    gate.open()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert (answers[0], answers[2]) == (2, 6)
    assert isinstance(answers[1], asyncio.CancelledError)


async def test_the_item_of_a_caller_that_is_cancelled_before_its_turn_is_left_out() -> None:
    gate = Gate(is_open=False)
    double = Coalescer(gate)
    callers = [asyncio.ensure_future(double(number)) for number in (1, 2, 3)]
    await turns(3)
    late = [asyncio.ensure_future(double(number)) for number in (4, 5)]
    await turns(3)
    late[0].cancel()
    gate.open()
    assert await asyncio.gather(*callers, late[1]) == [2, 4, 6, 10]
    assert gate.batches == [[1, 2, 3], [5]]


async def test_when_every_caller_was_cancelled_nothing_is_called_and_the_next_is_served() -> None:
    gate = Gate()
    double = Coalescer(gate)
    double(1).cancel()
    await turns(3)
    assert gate.batches == []
    assert await double(2) == 4


@settings(max_examples=60, deadline=None)
@given(
    items=st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 6), st.booleans()), max_size=40),
    limit=st.integers(1, 7),
    in_flight=st.integers(1, 3),
)
def test_however_callers_come_and_go_each_that_stays_gets_its_own_answer(
    items: list[tuple[int, int, bool]], limit: int, in_flight: int
) -> None:
    """Each item is a number (negative ones are bad), the turn it comes in, and whether its caller gives up."""
    served = Counter[int]()
    sizes, inside, most_inside = [], 0, 0

    async def roots(positions: Sequence[int]) -> list[float]:
        nonlocal inside, most_inside
        inside += 1
        most_inside = max(most_inside, inside)
        sizes.append(len(positions))
        await asyncio.sleep(0)
        inside -= 1
        numbers = [items[position][0] for position in positions]
        if min(numbers) < 0:
            raise ValueError("a negative number has no root")
        served.update(positions)
        return [number**0.5 for number in numbers]

    async def come_and_go() -> list[object]:
        root = Coalescer(roots, limit=limit, in_flight=in_flight)

        async def call(position: int) -> float:
            await turns(items[position][1])
            return await root(position)

        callers = [asyncio.ensure_future(call(position)) for position in range(len(items))]
        await turns(3)
        for caller, (_, _, gives_up) in zip(callers, items, strict=True):
            if gives_up:
                caller.cancel()
        return await asyncio.wait_for(asyncio.gather(*callers, return_exceptions=True), 5)

    for (number, _, gives_up), answer in zip(items, asyncio.run(come_and_go()), strict=True):
        if gives_up and isinstance(answer, asyncio.CancelledError):
            continue
        if number < 0:
            assert isinstance(answer, ValueError)
        else:
            assert answer == number**0.5
    assert max(served.values(), default=1) == 1
    assert max(sizes, default=0) <= limit
    assert most_inside <= in_flight


# -- Gathering: nobody waits for an answer


class Tray:
    """A Gatherer of numbers, the batches it made of them, and what failed; negative ones spoil their batch."""

    def __init__(self, *, is_open: bool = True, **options: int) -> None:
        self.batches: list[list[int]] = []
        self.failed: list[tuple[int, str]] = []
        self.door = asyncio.Event()
        if is_open:
            self.door.set()
        self.gatherer: Gatherer[int] = Gatherer(
            self._run, failed=lambda number, error: self.failed.append((number, str(error))), **options
        )

    async def holds(self, *batches: list[int]) -> None:
        """Waits until these are the batches."""
        async with asyncio.timeout(10):
            while self.batches != list(batches):
                await asyncio.sleep(0)

    async def _run(self, numbers: Sequence[int]) -> None:
        self.batches.append(list(numbers))
        await self.door.wait()
        if min(numbers) < 0:
            raise ValueError(f"{min(numbers)} is negative")


@pytest.mark.parametrize(
    ("numbers", "batches", "failed"),
    [
        ([1, 2, 3], [[1, 2, 3]], []),
        ([1, -2, 3], [[1, -2, 3], [1], [-2], [3]], [(-2, "-2 is negative")]),
        ([-1], [[-1]], [(-1, "-1 is negative")]),
        ([-1, -2], [[-1, -2], [-1], [-2]], [(-1, "-1 is negative"), (-2, "-2 is negative")]),
        ([], [], []),
        (range(1, 8), [[1, 2, 3], [4, 5, 6], [7]], []),
    ],
)
async def test_each_item_that_fails_alone_too_is_told_of_once(
    numbers: Sequence[int], batches: list[list[int]], failed: list[tuple[int, str]]
) -> None:
    tray = Tray(limit=3)
    tray.gatherer.add(numbers)
    await turns(20)
    assert tray.batches == batches
    assert tray.failed == failed
    tray.gatherer.add([9])
    await turns(3)
    assert tray.batches[-1] == [9], "and the next one is served"


async def test_items_added_at_several_times_of_one_turn_go_together_and_later_ones_in_the_next_batch() -> None:
    tray = Tray(is_open=False)
    tray.gatherer.add([1, 2])
    tray.gatherer.add([3], 60)
    await turns(2)
    tray.gatherer.add([4])
    tray.gatherer.add([5])
    await turns(3)
    assert tray.batches == [[1, 2, 3]]
    tray.door.set()
    await turns(5)
    assert tray.batches == [[1, 2, 3], [4, 5]]


@pytest.mark.parametrize(("enough", "limit"), [(3, 200), (200, 3), (3, 3)])
async def test_patient_items_go_when_they_are_enough_or_fill_a_batch(enough: int, limit: int) -> None:
    tray = Tray(limit=limit)
    for number in (1, 2):
        tray.gatherer.add([number], 60, enough=enough)
        await turns(3)
    assert tray.batches == []
    tray.gatherer.add([3], 60, enough=enough)
    await turns(3)
    assert tray.batches == [[1, 2, 3]]


async def test_a_failing_call_lets_no_patient_item_wait_for_ever() -> None:
    tray = Tray(is_open=False)
    tray.gatherer.add([-1])
    await turns(2)
    tray.gatherer.add([2], 0.01)
    tray.door.set()
    async with asyncio.timeout(10):
        while [2] not in tray.batches:
            await asyncio.sleep(0)
    assert tray.failed == [(-1, "-1 is negative")]


async def test_items_that_are_in_no_hurry_go_together_when_their_patience_ends() -> None:
    tray = Tray()
    tray.gatherer.add([1], 0.01)
    tray.gatherer.add([2, 3], 60)
    await tray.holds([1, 2, 3])


async def test_an_item_in_a_hurry_takes_the_patient_ones_along() -> None:
    tray = Tray()
    tray.gatherer.add([1], 60)
    tray.gatherer.add([2])
    await tray.holds([1, 2])


async def test_patient_items_that_come_while_a_batch_is_under_way_still_have_their_time() -> None:
    tray = Tray(is_open=False)
    tray.gatherer.add([1])
    await turns(2)
    tray.gatherer.add([2], 0.02)
    await turns(2)
    tray.door.set()
    await turns(4)
    assert tray.batches == [[1]]
    tray.gatherer.add([3], 60)
    await tray.holds([1], [2, 3])
