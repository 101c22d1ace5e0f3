"""A chat completion, read with care: what compatible servers answer has many shapes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tidings.ai.answer_text import answer_text
from tidings.ai.base import AIError, Completion, Usage

_TEXTS = frozenset({"text", "output_text"})
"""Types of the parts of a content that are text; thinking, refusals, images and calls of tools are none."""

_EVENTS = re.compile(rb"\s*(?:data|event|id|retry)?:")
"""How server-sent events begin; a comment begins with the colon."""


def read(body: bytes, host: str, model: str, duration_ms: int, speakers: Iterable[str] = ()) -> Completion:
    """The answer in the first choice of a Chat Completions response, and what it cost.

    `model` was asked, and stands in the usage when the response names none; `speakers` are the names under which it
    may announce itself. The answer is what `answer_text` leaves of the text. Raises AIError: retryable when `body` is
    no chat completion, final when it has no answer, then with the usage.
    """
    answer = _object(body, host)
    choice = _choice(answer)
    if choice is None:
        raise AIError(f"{host} answered with JSON that is no chat completion", retryable=True)
    message: Mapping[str, Any] = choice["message"]
    usage = usage_of(answer, model, duration_ms)
    text = _text(message.get("content"))
    said = answer_text(text, speakers)
    cut = choice.get("finish_reason") in ("length", "max_tokens", "MAX_TOKENS", "max_output_tokens")
    if fault := _fault(choice.get("finish_reason"), message, text, said, cut=cut):
        raise AIError(f"{model} {fault}", retryable=False, usage=usage)
    return Completion(said, usage, cut)


def _object(body: bytes, host: str) -> Mapping[str, Any]:
    try:
        answer = _streamed(body) if _EVENTS.match(body) else json.loads(body)
    except (ValueError, RecursionError):
        raise AIError(f"{host} answered with something other than JSON", retryable=True) from None
    return answer if isinstance(answer, dict) else {}


def _choice(answer: Mapping[str, Any]) -> dict[str, Any] | None:
    """The first choice, with its message; of a server that has no choices, what stands in their place.

    Those are the older completions (`text`), Ollama's own (`message` at the top) and OpenAI's Responses (`output`).
    """
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if isinstance(choice, dict):
        message, text = choice.get("message"), choice.get("text")
        if isinstance(text, str) and not (isinstance(message, dict) and message.get("content")):
            return {**choice, "message": {"content": text}}
        return choice if isinstance(message, dict) else None
    if isinstance(answer.get("message"), dict):
        return {"message": answer["message"], "finish_reason": answer.get("done_reason")}
    output = answer.get("output")
    said = [one for one in output if _is(one, "message")] if isinstance(output, list) else []
    if not said:
        return None
    unfinished = answer.get("incomplete_details")
    parts = [part for one in said for part in one["content"]] if all(_has_parts(one) for one in said) else None
    return {
        "message": {"content": parts},
        "finish_reason": unfinished.get("reason") if isinstance(unfinished, dict) else None,
    }


def _is(value: object, kind: str) -> bool:
    return isinstance(value, dict) and value.get("type") == kind


def _has_parts(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("content"), list)


def _text(content: object) -> str:
    """The text of a content: a string, or a list of parts."""
    match content:
        case str():
            return content
        case list():
            return "".join(_text(part) for part in content)
        case {"type": kind, "text": text} if kind in _TEXTS:
            return _text(text)
        case {"text": text, **others} if "type" not in others:
            return _text(text)
        case {"value": str() as value}:
            return value
        case _:
            return ""


def _streamed(body: bytes) -> dict[str, Any]:
    """One chat completion of the server-sent events of a server that streams though nobody asked for it."""
    said: list[str] = []
    finish = None
    whole: dict[str, Any] = {}
    for line in body.decode(errors="replace").split("\n"):
        data = line.removeprefix("data:").strip()
        event = json.loads(data) if line.startswith("data:") and data not in ("", "[DONE]") else None
        if not isinstance(event, dict):
            continue
        whole |= {name: value for name, value in event.items() if value}
        choices = event.get("choices")
        for choice in choices[:1] if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                delta = choice.get("delta") or choice.get("message") or {"content": choice.get("text")}
                said.append(_text(delta.get("content") if isinstance(delta, dict) else None))
                finish = choice.get("finish_reason") or finish
    return {**whole, "choices": [{"message": {"content": "".join(said)}, "finish_reason": finish}]} if said else whole


def _fault(finish: object, message: Mapping[str, Any], text: str, said: str, *, cut: bool) -> str | None:
    """Why a choice is of no use; None when it has an answer."""
    if finish == "content_filter":
        return "gave no answer: a content filter stopped it"
    if message.get("refusal") or any(_is(part, "refusal") for part in _parts(message)):
        return "declined to answer"
    if said:
        return None
    if cut:
        return "was cut off before its answer was complete"
    if message.get("tool_calls") or message.get("function_call"):
        return "called a tool instead of answering"
    return "gave an answer without words for the reader" if text.strip() else "gave an empty answer"


def _parts(message: Mapping[str, Any]) -> Sequence[object]:
    content = message.get("content")
    return content if isinstance(content, list) else ()


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
