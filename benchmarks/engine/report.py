"""The rows of the bench's tables: samples, what stands for them, ratios and goals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.engine.contestants import LABELS, OURS
from benchmarks.engine.plan import Measure

Samples = dict[str, list[float]]
"""What was measured, by contestant, in the order of the rounds."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What our value has to be: at least or at most `limit`, or so many times the value of contestant `of`."""

    limit: float
    of: str | None = None
    at_least: bool = False

    def is_met(self, ours: float, theirs: float | None) -> bool | None:
        """None when there is nobody to compare with."""
        if self.of and theirs is None:
            return None
        bound = self.limit * (1.0 if theirs is None else theirs)
        return ours >= bound if self.at_least else ours <= bound

    def phrase(self, unit: str) -> str:
        """`at least 1.5 times Node's`, `at most 2.5 ms`."""
        amount = f"{self.limit:g} {unit}"
        if self.of:
            amount = f"{LABELS[self.of]}'s" if self.limit == 1 else f"{self.limit:g} times {LABELS[self.of]}'s"
        return f"at {'least' if self.at_least else 'most'} {amount}"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of every contestant. `stands` makes it from the samples: the median, unless said otherwise.

    `paired` says that the samples are one a round: then the ratio is the median of the rounds' own ratios, which a
    machine that is slow in one round and fast in the next distorts less.
    """

    what: str
    unit: str
    samples: Mapping[str, Sequence[float]]
    goal: Goal | None = None
    stands: Callable[[Sequence[float]], float] = median
    paired: bool = False

    def value(self, contestant: str) -> float | None:
        samples = self.samples.get(contestant)
        return self.stands(samples) if samples else None

    def ratio(self, contestant: str) -> float | None:
        """Ours as a multiple of theirs; None where that says nothing."""
        ours, theirs = self.value(OURS), self.value(contestant)
        if ours is None or not theirs:
            return None
        if self.paired:
            rounds = zip(self.samples[OURS], self.samples[contestant], strict=False)
            return median(of_ours / of_theirs for of_ours, of_theirs in rounds)
        return ours / theirs

    def is_met(self) -> bool | None:
        ours = self.value(OURS)
        if self.goal is None or ours is None:
            return None
        if self.paired and self.goal.of:
            ratio = self.ratio(self.goal.of)
            return None if ratio is None else self.goal.is_met(ratio, 1.0)
        return self.goal.is_met(ours, self.value(self.goal.of) if self.goal.of else None)

    def as_dict(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "unit": self.unit,
            "values": {name: self.value(name) for name in self.samples},
            "samples": {name: list(samples) for name, samples in self.samples.items()},
            "ours_to": {name: self.ratio(name) for name in self.samples if name != OURS},
            "goal": self.goal.phrase(self.unit) if self.goal else None,
            "goal_met": self.is_met(),
        }


@dataclass(frozen=True, slots=True)
class Section:
    """What one measure has found. `title` says what was done."""

    measure: Measure
    title: str
    rows: Sequence[Row]


@dataclass(slots=True)
class Report:
    """The whole bench: who, where, and every section."""

    machine: dict[str, str]
    notes: list[str]
    plan: dict[str, Any]
    sections: list[Section] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "machine": self.machine,
            "notes": self.notes,
            "plan": self.plan,
            "sections": [
                {
                    "measure": section.measure.value,
                    "title": section.title,
                    "rows": [row.as_dict() for row in section.rows],
                }
                for section in self.sections
            ],
        }


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that so many percent of all do not exceed (nearest rank)."""
    ordered = sorted(samples)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]
