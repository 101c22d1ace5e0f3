"""A chat completion, read with care: what compatible servers answer has many shapes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tidings.ai.base import AIError, Completion, Usage


def read(body: bytes, host: str, model: str, duration_ms: int) -> Completion:
    """The text of the first choice in a Chat Completions answer, and what it cost.

    `model` was asked, and stands in the usage when the answer names none. Raises AIError: retryable when `body`
    is no chat completion, final when it has no whole text, then with the usage.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise AIError(f"{host} answered with something other than JSON", retryable=True) from None
    choices = answer.get("choices") if isinstance(answer, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise AIError(f"{host} answered with JSON that is no chat completion", retryable=True)
    usage = usage_of(answer, model, duration_ms)
    text = message.get("content")
    if fault := _fault(choice.get("finish_reason"), message, text):
        raise AIError(f"{model} {fault}", retryable=False, usage=usage)
    return Completion(str(text), usage)


def _fault(finish: object, message: Mapping[str, Any], text: object) -> str | None:
    """Why a choice is of no use; None when it is a whole text."""
    if finish == "length":
        return "was cut off before its answer was complete"
    if finish == "content_filter":
        return "gave no answer: a content filter stopped it"
    if message.get("refusal"):
        return "declined to answer"
    if message.get("tool_calls") or message.get("function_call"):
        return "called a tool instead of answering"
    if not isinstance(text, str) or not text.strip():
        return "gave an empty answer"
    return None


def usage_of(answer: Mapping[str, Any], model: str, duration_ms: int) -> Usage:
    """What an answer cost, by the server's count; `model` when it names none."""
    counted = answer.get("usage")
    named = answer.get("model")
    return Usage(
        model=named if isinstance(named, str) and re.fullmatch(r"[\w.:/@+-]{1,100}", named) else model,
        prompt_tokens=_count(counted, "prompt_tokens"),
        completion_tokens=_count(counted, "completion_tokens"),
        duration_ms=duration_ms,
    )


def _count(usage: object, name: str) -> int | None:
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None
