"""What an answer comes in: JSON, a code fence, quotation marks, a sentence that introduces it."""

from __future__ import annotations

import json
import re
from typing import Any

_KEYS = (
    "response", "answer", "reply", "final_answer", "final_response", "assistant_response", "bot_response",
    "response_text", "reply_text", "answer_text", "message_text", "message", "output_text", "output", "action_input",
    "text", "content", "assistant", "bot", "result", "msg", "body", "value", "parts", "messages", "choices", "data",
)  # fmt: skip
_QUOTES = {'"': '"', "“": "”", "'": "'", "‘": "’", "«": "»", "„": "“"}
_NOTHING = frozenset({"{}", "[]", "null", "None", "undefined", "NaN"})
"""What programs write where a model has said nothing."""
_FENCE = re.compile(
    r"```[ \t]*(|text|txt|plaintext|markdown|md|json)[ \t]*\n(.*?)(?:\n?```|\Z)", re.DOTALL | re.IGNORECASE
)
_FIELD = re.compile(r"[{,]\s*([\"']?)(\w+)\1\s*:\s*([\"'])((?:\\.|(?!\3)[^\\])*)(?:\3|\\?\Z)", re.DOTALL)
_BROKEN_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_INTRODUCTION = re.compile(
    r"(?:(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|great|got it|no problem)[!,.:]?\s+)?"
    r"(?:(?:here(?:['’]s| is)|below is)\s+(?:(?:a|an|the|my|your|one)\s+)?(?:[\w-]+,?[ ]+){0,3}?"
    r"(?:(?:reply|response|answer|draft)\b|(?:message|text)[ ](?:that )?(?:you|I)[ ](?:can|could)[ ]send\b)"
    r"|(?:here(?:['’]s| is)[ ](?:what|how)[ ])?I(?:[ ]would|['’]d)[ ](?:say|reply|respond|answer|write)\b"
    r"|(?:(?:suggested|possible)[ ])?(?:reply|response|answer)[ ](?:to|for)[ ](?:the[ ])?(?:customer|user)\b)"
    r"[^\n:.]{0,60}:[ \t]*\n+(?:(?:-{3,}|\*{3,})[ \t]*\n+)?",
    re.IGNORECASE,
)
_REMARK = re.compile(
    r"\n+(?:(?:-{3,}|\*{3,})[ \t]*\n+)?[ \t]*(?:"
    r"(?:let me know if|would you like me to|feel free to)\b[^\n]*\b(?:tone|shorten|rewrite|rephrase|another version"
    r"|(?:adjust|change|modify|edit|revise|customi[sz]e)[ ](?:it|this|the (?:reply|response|answer|draft|wording)))\b"
    r"|[(*_\[]{0,3}note:[^\n]*\b(?:(?:this|the|my)[ ](?:reply|response|answer|draft)|knowledge base|prompt"
    r"|I(?:['’]ve|[ ]have)?[ ](?:kept|made|used|wrote|written|avoided))\b)[^\n]*\Z",
    re.IGNORECASE,
)
_NAMED = re.compile(r"\Ajson[ \t]*\n+(?=[{\[])", re.IGNORECASE)
_QUOTED = re.compile(r"^>[ \t]?", re.MULTILINE)
_RULE = re.compile(r"\n+(?:-{3,}|\*{3,})[ \t]*\Z")


def unwrapped(text: str) -> str:
    """`text` without one layer of each wrapping. JSON that holds no answer stays: somebody may have asked for it."""
    if introduction := _INTRODUCTION.match(text):
        text = _RULE.sub("", _REMARK.sub("", text[introduction.end() :])).strip()
        if all(line.startswith(">") for line in text.split("\n")):
            text = _QUOTED.sub("", text)
    text = _REMARK.sub("", text)
    if (fence := _FENCE.fullmatch(text)) and "```" not in fence[2]:
        said = _in_json(fence[2].strip())
        if said is not None or fence[1].lower() != "json":
            return fence[2].strip() if said is None else said
    said = _in_json(_NAMED.sub("", text))
    if said is not None:
        return said
    while len(text) > 1 and _QUOTES.get(text[0]) == text[-1] and not ({text[0], text[-1]} & set(text[1:-1])):
        text = text[1:-1].strip()
    return text


def _in_json(text: str) -> str | None:
    """The answer that a JSON text holds: "" for a call of a tool or an empty one, None when it is another."""
    if text in _NOTHING:
        return ""
    if text[:1] not in ("{", "[", '"'):
        return None
    try:
        return _said(json.loads(text, strict=False), outermost=True)
    except (ValueError, RecursionError):
        return _in_broken_json(text) if text[0] == "{" else None


def _said(value: Any, *, outermost: bool = False) -> str | None:
    match value:
        case str():
            return value
        case None:
            return "" if not outermost else None
        case bool():
            return None
        case int() | float():
            return str(value) if not outermost else None
        case [str() as only]:
            return only
        case list() if value and all(isinstance(one, dict) for one in value):
            found = [_said(one) for one in value]
            return "\n\n".join(part for part in found if part) if None not in found else None
        case dict() if "name" in value and ("arguments" in value or "parameters" in value):
            return ""
        case {"tool_calls": list()} if len(value) == 1:
            return ""
        case dict():
            fields = {str(key).lower(): one for key, one in value.items()}
            if any(key in fields for key in _KEYS):
                return next(_said(fields[key]) for key in _KEYS if key in fields)
            alone = next(iter(fields.values())) if len(fields) == 1 else None
            return alone if isinstance(alone, str) and " " in alone else None  # {"respuesta": "Abrimos a las 9."}
        case [str(), *_] if not outermost and all(isinstance(one, str) for one in value):
            return "\n\n".join(value)
        case _:
            return None


def _in_broken_json(text: str) -> str | None:
    """The answer in JSON that a token limit cut off, or that has single quotation marks."""
    fields = {match[2].lower(): match[4] for match in _FIELD.finditer(text)}
    for key in _KEYS:
        if key in fields:
            inside = _BROKEN_ESCAPE.sub("", fields[key]).replace("\\'", "'")
            try:
                return str(json.loads(f'"{inside}"', strict=False))
            except ValueError:
                return inside.replace("\\n", "\n").replace('\\"', '"')
    return None
