"""The answer itself, out of what a model wrote: without thoughts, tokens, labels, wrappings and citations.

Chat templates, prompts that ask for JSON and small models leave such things in the text; a reader is to see none of
them. What a reader may have asked for stays: code, lists, a sentence about a tag.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from tidings.ai.citations import without_citations
from tidings.ai.code_spans import matches_outside_code, without
from tidings.ai.speakers import without_labels
from tidings.ai.thoughts import without_thoughts
from tidings.ai.wrappings import unwrapped

_START = re.compile(
    r"(?:<\|im_start\|>\s*(?:assistant|model)?|<\|start_header_id\|>\s*assistant\s*<\|end_header_id\|>"
    r"|<start_of_turn>\s*model|<\|turn>\s*model|<\|start\|>\s*assistant|<bos>|<\|begin_of_text\|>|<｜begin▁of▁sentence｜>"
    r"|<\|START_RESPONSE\|>|<\|(?:assistant|model|bot)\|>\s*:?|<s>(?=\s*\[INST\])|<s>(?!.*</s>\s*\S))\s*",
    re.DOTALL,
)
_END = re.compile(
    r"<\|(?:im_end|eo[tm](?:_id)?|end(?:oftext)?|end_\w+|END_\w+|return|call|user|system|human|prompter|assistant)\|>"
    r"|<\|(?:im_start|start_header_id)\|>\s*(?:user|system|tool|human)|<start_of_turn>\s*user|<\|turn>\s*user"
    r"|<end_of_turn>|<turn\|>|<eos>|\[EOS\]|\[END\]|\[end of (?:response|answer|reply|message)\]|^###[ ]?End[ \t]*$"
    r"|</s>|<｜end▁of▁sentence｜>|<｜User｜>|^\[INST\]|(?<=[.!?])[ ]?\[INST\]",
    re.MULTILINE,
)
_TOKEN = re.compile(r"<\|[A-Za-z_]\w{0,40}\|>|<｜[^｜\s]{1,40}｜>|<pad>|\[/INST\]|<</?SYS>>")
_PROMPT = re.compile(r"\s*(?:\[INST\]|<<SYS>>).*?(?:\[/INST\]|\Z)", re.DOTALL)
_TAGGED = re.compile(
    r"^[ \t]*<(answer|response|final|final_answer|output|reply|assistant|bot)>(.*?)(?:</\1>|\Z)",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
_TAG_END = re.compile(r"</(?:answer|response|final|final_answer|output|reply|assistant|bot)>\s*\Z", re.IGNORECASE)
LONGEST = 100_000
"""Characters of a text that has an answer in it, thoughts included."""

MOST_LAYERS = 20
"""Layers around an answer; what has more of them is none."""

_UNSEEN = "\ufeff\u200b\u2060"


def answer_text(text: str, speakers: Iterable[str] = ()) -> str:
    """What a reader is to see of a model's `text`, in NFC; empty when nothing of it is an answer. Never raises.

    `speakers` are the names under which the model may announce itself ("Mia: …").
    """
    if len(text) > LONGEST:
        return ""
    names = tuple(name for name in speakers if name.strip())
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\0", "")).strip().strip(_UNSEEN).strip()
    for _ in range(MOST_LAYERS):
        shorter = _peeled(text, names)
        if len(shorter) >= len(text):  # then it is the same, or a wrapping whose inside is no shorter
            return text
        text = shorter
    return ""


def _peeled(text: str, names: tuple[str, ...]) -> str:
    """`text` without one layer of each kind."""
    text = _without_tokens(without_thoughts(text)).strip().strip(_UNSEEN).strip()
    if tagged := next(matches_outside_code(_TAGGED, text), None):
        text = tagged[2].strip()
    text = _TAG_END.sub("", text)
    text = without_labels(text, names).strip()
    text = unwrapped(text).strip()
    return without_citations(text).strip()


def _without_tokens(text: str) -> str:
    """An answer ends with its end token: what a model writes after it belongs to the next turn."""
    if prompt := _PROMPT.match(text):
        text = text[prompt.end() :]
    while start := _START.match(text.lstrip()):
        text = text.lstrip()[start.end() :]
        if prompt := _PROMPT.match(text):
            text = text[prompt.end() :]
    rest = 0
    for end in matches_outside_code(_END, text):
        if end[0] == "</s>" and "<s>" in text[rest : end.start()]:  # struck out, in HTML
            continue
        if text[rest : end.start()].strip():
            return without(_TOKEN, text[rest : end.start()])
        rest = end.end()
    return without(_TOKEN, text[rest:])
