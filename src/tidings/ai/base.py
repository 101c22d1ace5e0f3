"""What is to be written, what comes back, and what every writer promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tidings.errors import TidingsError


def _fits(_: str) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Brief:
    """What is to be written.

    `template` is the finished text that is sent when no answer is good enough, and what an answer must say in
    other words. `facts` are all that an answer may state: JSON-like values, to which dates, datetimes and
    decimals may be added. The template's text and the values of `hints` count as facts too. `task` names a
    prompt of `prompts.TASKS`. `too_long` is the channel's limit: a sentence why a text is too long, None when
    it fits. `shown` makes of an answer's Markdown what the channel shows.
    """

    task: str
    template: str
    facts: Mapping[str, Any]
    tone: str | None = None
    hints: Mapping[str, Any] = field(default_factory=dict)
    too_long: Callable[[str], str | None] = _fits
    shown: Callable[[str], str] = str


@dataclass(frozen=True, slots=True)
class Usage:
    """What one answer cost. Tokens are None when the server does not count them; the duration is real time."""

    model: str
    prompt_tokens: int | None
    completion_tokens: int | None
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's answer, in Markdown or as plain text; `cut` when a token limit ended it before it was complete."""

    text: str
    usage: Usage
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A text to send, and how it came about.

    `author` is the writer's name when its text was good enough, else "template"; `fallback` is then the
    sentence why. `usage` stands here also when the answer was refused, because it was paid for.
    """

    text: str
    author: str
    model: str | None
    fallback: str | None
    usage: Usage | None


class Writer(Protocol):
    """Writes messages. Its `name` stands beside what it wrote."""

    name: str

    async def write(self, brief: Brief) -> Draft:
        """A text to send, always: whatever a provider does ends in the template and a reason.

        Raises UnknownTask for a task that has no prompt.
        """
        ...

    async def close(self) -> None:
        """Releases connections."""
        ...


class AIError(TidingsError):
    """A model gave no usable answer. The sentence never holds the key.

    `retryable` says whether the same question may be answered later; `usage` is what the unusable answer
    cost, when there was one.
    """

    def __init__(self, message: str, *, retryable: bool, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.usage = usage
