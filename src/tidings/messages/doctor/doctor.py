"""The doctor: all looks together. What changes while it looks is looked at again before it is reported."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager

from tidings.engine.listing import JobListing
from tidings.messages.dead_letters import DeadLetters
from tidings.messages.doctor import invariants, state
from tidings.messages.doctor.finding import Finding
from tidings.messages.kind import Kinds
from tidings.messages.unknown import UnknownOutcomes
from tidings.work import Work

MOST = 1000
"""Findings of one look at a kind; who has so many knows enough."""


class Doctor:
    """Looks for what is wrong; reads only, so it may be asked while everything runs.

    `listing` opens the jobs in Redis, `clocks` says by how many seconds each clock is wrong, `interval` is
    recovery's, in real seconds. Raises QueueUnavailable when Redis does not answer, and what the database raises.
    """

    def __init__(
        self,
        work: Work,
        kinds: Kinds,
        letters: DeadLetters,
        unknown: UnknownOutcomes,
        listing: Callable[[], AbstractAsyncContextManager[JobListing]],
        *,
        clocks: Callable[[], Mapping[str, float]],
        interval: float,
    ) -> None:
        self._work = work
        self._kinds = kinds
        self._letters = letters
        self._unknown = unknown
        self._clocks = clocks
        self._listing = listing
        self._interval = interval

    async def look(self) -> list[Finding]:
        """Quickly: workers, clocks, overdue messages, providers that are away, unknown outcomes, what a person has to
        decide, dead letters."""
        looks = [
            state.idle_queues(self._work.queues),
            state.clocks_wrong(self._clocks()),
            *(state.overdue(self._work, kind) for kind in self._kinds.values()),
            state.providers_away(self._work, self._kinds),
            state.unknown_outcomes(self._unknown),
            state.undecided(self._work),
            state.open_letters(self._letters),
        ]
        return [finding for look in looks for finding in await _some(look)]

    async def check_invariants(self, *, pause: float) -> list[Finding]:
        """At every row that matters and every job: those that were wrong twice, `pause` seconds apart."""
        async with self._listing() as listing:
            first = await self._invariants(listing)
            if not first:
                return []
            await asyncio.sleep(pause)
            known = {(finding.check, finding.message) for finding in first}
            second = await self._invariants(listing)
        return [finding for finding in second if (finding.check, finding.message) in known]

    async def _invariants(self, listing: JobListing) -> list[Finding]:
        work, interval = self._work, self._interval
        looks = [invariants.places_without_message(work, self._kinds)]
        for kind in self._kinds.values():
            looks += [
                invariants.lost_endings(work, kind),
                invariants.leases_over(work, kind, interval),
                invariants.rows_without_job(work, kind, interval),
                invariants.jobs_without_row(work, kind, listing),
            ]
        return [finding for look in looks for finding in await _some(look)]


async def _some(look: AsyncIterator[Finding]) -> list[Finding]:
    found: list[Finding] = []
    async for finding in look:
        found.append(finding)
        if len(found) == MOST:
            break
    return found
