"""Which pieces of knowledge answer a question best: one order, whatever database found them."""

from __future__ import annotations

import math
import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

TITLE_WEIGHT = 3
"""How many times a word in the title counts."""

SATURATION, LENGTH_SHARE = 1.2, 0.75
"""k1 and b of BM25 (Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009)."""

FUSION = 60
"""k of reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009)."""

FITS = 0.5
"""From this share of the question's terms, or of the title's, on an item may be given as the answer as it stands."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item that may help; `title_terms` and `terms` (of title and content) as `terms_of` gives them."""

    id: int
    title: str
    content: str
    title_terms: Sequence[str]
    terms: Sequence[str]
    embedding: Sequence[float] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """An item and how well it answers: `score` orders items, `fit` (0 to 1) says whether it answers at all."""

    id: int
    title: str
    content: str
    score: float
    fit: float


def by_words(question: Sequence[str], candidates: Sequence[Candidate], total: int) -> list[Found]:
    """The candidates that share a term with the question, the best first. `total` is the knowledge base's size."""
    asked = set(question)
    counts = {one.id: Counter(one.terms) for one in candidates}
    for one in candidates:
        for term in one.title_terms:
            counts[one.id][term] += TITLE_WEIGHT - 1
    known = Counter(term for one in candidates for term in asked if counts[one.id][term])
    average = sum(len(one.terms) for one in candidates) / len(candidates) if candidates else 1.0
    found = []
    for one in candidates:
        score = sum(
            _rarity(known[term], max(total, len(candidates)))
            * _saturated(counts[one.id][term], len(one.terms) / max(average, 1.0))
            for term in asked
        )
        if score > 0:
            found.append(Found(one.id, one.title, one.content, score, _fit(asked, one)))
    return sorted(found, key=lambda item: (-item.score, item.id))


def by_meaning(question: Sequence[float], candidates: Sequence[Candidate]) -> list[tuple[Candidate, float]]:
    """Candidates by the cosine of their embedding and the question's, the nearest first; others are left out."""
    near = [(one, cosine(question, one.embedding)) for one in candidates if one.embedding is not None]
    return sorted(near, key=lambda item: (-item[1], item[0].id))


def fuse(words: Sequence[Found], meaning: Sequence[tuple[Candidate, float]], most: int) -> list[Found]:
    """Both orders as one: the best of either is near the front."""
    scores: dict[int, float] = defaultdict(float)
    items: dict[int, Found] = {one.id: one for one in words}
    for place, one in enumerate(words):
        scores[one.id] += 1 / (FUSION + place)
    for place, (candidate, _) in enumerate(meaning):
        items.setdefault(candidate.id, Found(candidate.id, candidate.title, candidate.content, 0.0, 0.0))
        scores[candidate.id] += 1 / (FUSION + place)
    ordered = sorted(items.values(), key=lambda one: (-scores[one.id], one.id))
    return [replace(one, score=scores[one.id]) for one in ordered[:most]]


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of two vectors, -1 to 1; 0 when they differ in length or one is zero."""
    if len(one) != len(other):
        return 0.0
    lengths = math.sqrt(_dot(one, one) * _dot(other, other))
    return _dot(one, other) / lengths if lengths else 0.0


def pack(vector: Sequence[float]) -> bytes:
    """A vector as little-endian 32-bit floats."""
    return _swapped(array("f", vector)).tobytes()


def unpack(data: bytes) -> list[float]:
    """What `pack` packed."""
    numbers = array("f")
    numbers.frombytes(data)
    return list(_swapped(numbers))


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _swapped(numbers: array[float]) -> array[float]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _rarity(known: int, total: int) -> float:
    return math.log(1 + (total - known + 0.5) / (known + 0.5))


def _saturated(count: int, relative_length: float) -> float:
    if not count:
        return 0.0
    norm = SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * relative_length)
    return count * (SATURATION + 1) / (count + norm)


def _fit(asked: set[str], one: Candidate) -> float:
    terms, title = set(one.terms), set(one.title_terms)
    in_question = len(asked & terms) / len(asked)
    in_title = len(asked & title) / len(title) if title else 0.0
    return max(in_question, in_title)
