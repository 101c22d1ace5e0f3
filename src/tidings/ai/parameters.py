"""What a server does not take of a question, read from its refusal, and the same question in words that it takes.

Servers that speak one protocol differ: OpenAI's newer models want `max_completion_tokens` and no temperature, others
know only `max_tokens`, and some models' chat templates have no system role or want roles to alternate.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidings.ai.base import AIError

MOST = 6
"""Changes to one question, after which a refusal is final."""

_NEEDED = frozenset({"model", "input"})
_OTHER_NAME = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_BY_PARAMETER, _BY_TEMPLATE = frozenset({400, 422}), frozenset({400, 422, 500, 501})
_TOO_LONG = re.compile(r"context[_ ](?:length|window)|reduce the length|too many (?:input )?tokens", re.IGNORECASE)
_ROLES = re.compile(
    r"roles? must alternate|(?:system|developer) (?:role|message|prompt|instruction)s?\W.{0,40}(?:unsupported|not "
    r"(?:supported|allowed|enabled))|not support \W?(?:system|developer)|(?:unsupported|unknown|invalid) role"
    r"|only user,? (?:and|or) (?:assistant|model) roles?|no system role",
    re.IGNORECASE | re.DOTALL,
)
_ALTOGETHER = re.compile(
    r"unsupported|not supported|n[o']t support|unknown|unrecogni[sz]ed|unexpected|extra_forbidden"
    r"|extra (?:input|field)|not (?:permitted|allowed)|deprecated|no longer|only the default|use '?max",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A parameter that a server refuses for a model: altogether, or (`value`) only as it was given.

    `messages` stands for the roles in them.
    """

    parameter: str
    value: Any = None


class ParameterRefused(AIError):
    """A server refuses a question for a parameter without which it may be asked."""

    def __init__(self, message: str, unsupported: Unsupported) -> None:
        super().__init__(message, retryable=False)
        self.unsupported = unsupported


def unsupported_in(status: int, body: object, payload: Mapping[str, Any]) -> Unsupported | None:
    """Which parameter of `payload` a server refused with `status` and the parsed `body`; None for other refusals."""
    if status not in _BY_TEMPLATE:
        return None
    said = " ".join(_strings(body))
    if "messages" in payload and _ROLES.search(said):
        return Unsupported("messages")
    if status not in _BY_PARAMETER or _TOO_LONG.search(said):
        return None
    named = [name for name in payload if name not in _NEEDED and name != "messages"]
    places = {name: found.start() for name in named if (found := re.search(rf"(?<!\w){name}(?!\w)", said))}
    told = body.get("param") if isinstance(body, dict) else None
    name = told if told in named else min(places, key=lambda one: places[one], default=None)
    if name is None:
        return None
    return Unsupported(name, None if _ALTOGETHER.search(said) else payload[name])


def spoken_to(payload: Mapping[str, Any], unsupported: Collection[Unsupported]) -> dict[str, Any]:
    """`payload` without what is unsupported: under its other name, folded into other messages, or left out."""

    def refused(name: str, value: Any) -> bool:
        return any(one.parameter == name and one.value in (None, value) for one in unsupported)

    asked: dict[str, Any] = {}
    for name, value in payload.items():
        other = _OTHER_NAME.get(name)
        if not refused(name, value):
            asked[name] = value
        elif name == "messages":
            asked[name] = _folded(value)
        elif other and Unsupported(name) in unsupported and not refused(other, value):
            asked[other] = value
    return asked


def _folded(messages: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """The messages with what the system says as the user's first words, and with roles that alternate."""
    turns: list[dict[str, str]] = []
    for message in messages:
        role = "assistant" if message["role"] == "assistant" else "user"
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += f"\n\n{message['content']}"
        else:
            turns.append({"role": role, "content": message["content"]})
    return turns


def _strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for name, one in value.items():
                if name not in (
                    "input",
                    "stack",
                    "callstack",
                ):  # what was asked, quoted, says nothing about the refusal
                    yield from _strings(one)
        case list() | tuple():
            for one in value:
                yield from _strings(one)
