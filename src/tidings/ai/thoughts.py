"""What a model thinks before it speaks: reasoning blocks, channels and calls of tools in the text of an answer.

The marks are those of the chat templates of DeepSeek, Qwen, Mistral ([THINK]), Kimi (◁think▷), Cohere and Gemma, of
OpenAI's Harmony format and Ollama's command line, and of prompts that ask for steps (ReAct).
"""

from __future__ import annotations

import re

from tidings.ai.code_spans import matches_outside_code, without

_NAME = (
    r"(?:antml:|seed:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratchpad|analysis|planning"
    r"|ant_?thinking|(?:inner|internal)_?monologue|chain_of_thought)"
)
_MARK = re.compile(
    rf"(?:<|&lt;)\s*/?\s*{_NAME}(?:\s[^<>\n]*)?/?(?:>|&gt;)"
    r"|\[\s*/?\s*THINK(?:ING)?\]|◁/?think▷"
    r"|<\|(?:begin|end)_of_thought\|>|<\|(?:START|END)_THINKING\|>|<\|/?think(?:ing)?\|>"
    r"|<\|channel>\s*thought\b|<channel\|>",
    re.IGNORECASE,
)
_CLOSES = re.compile(r"(?:<|&lt;|\[|◁|<\|)\s*/|<\|end_|<channel\|>", re.IGNORECASE)
_EMPTY = re.compile(r".*/(?:>|&gt;)$")

_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)[^<\n]*(?:<\|constrain\|>[^<\n]*)?<\|message\|>")
_CHANNEL_END = re.compile(r"<\|(?:end|return|call|start|channel)\|>")
_ROLE = re.compile(r"<\|start\|>\s*\w*\s*$")
_LOST_CHANNELS = re.compile(
    r"analysis(?=(?:We|They|I|Okay|Need|Let|(?:The )?[Uu]ser)\b).*?(?:assistantfinal|\Z)|analysis\b.*?assistantfinal",
    re.DOTALL,
)

_FENCED = re.compile(
    r"^```(?:think|thinking|thoughts?|reasoning|tool_code|tool_call|tool_outputs?)[ \t]*\n.*?(?:```|\Z)\n*",
    re.DOTALL | re.MULTILINE,
)
_STEPS = re.compile(r"(?:Thought|Action|Observation|\**(?:Reasoning|Thinking|Thought process|Analysis)\**)\s*:")
_LAST_STEP = re.compile(r"^\**(?:Final )?(?:Answer|Response|Reply)\**\s*:\**\s*", re.MULTILINE)
_TOLD = re.compile(r"\AThinking\.\.\.\n.*?\n\.\.\.done thinking\.\s*", re.DOTALL)
_ACTION = re.compile(r"^Action(?: Input)?\s*:", re.MULTILINE)

_TOOLS = re.compile(
    r"\s*(?:<(tool_calls?|function_calls?|tool_responses?|function_response|tool_results?|invoke|knowledge)\b[^<>\n]*>"
    r".*?(?:</\1>|\Z)"
    r"|<function[=(][^<>\n]*>.*?(?:</function>|\Z)|\Afunctions\.\w+\(.*|\nfunctions\.\w+\([^\n]*\)[ \t]*\Z"
    r"|\n\{\"name\":[^\n]*\"(?:arguments|parameters)\":[^\n]*\}[ \t]*\Z|\A\[\w+\([^\n]*\)\][ \t]*\Z"
    r"|<\|tool_call_begin\|>.*?(?:<\|tool_call_end\|>|\Z)"
    r"|\[TOOL_CALLS\].*|<\|python_tag\|>.*|<\|tool_calls?\|>.*"
    r"|<\|tool_calls_section_begin\|>.*?(?:<\|tool_calls_section_end\|>|\Z)"
    r"|<\|tool_calls_begin\|>.*?(?:<\|tool_calls_end\|>|\Z)"
    r"|<｜tool▁calls▁begin｜>.*?(?:<｜tool▁calls▁end｜>|\Z))",
    re.DOTALL,
)
_APART = re.compile(r"[^ \t]|[ \t]*\Z")
_SENTENCE_END = "\n.!?…:。！？\"”')]}>"


def without_thoughts(text: str) -> str:
    """What is left of `text` without thoughts and calls of tools; also of thoughts that a token limit cut off.

    A mark that a sentence speaks of stays: in code, or between two words ("the <think> tag").
    """
    text = _without_steps(_TOLD.sub("", _spoken(text)))
    text = _FENCED.sub("", text)
    return _without_blocks(without(_TOOLS, text))


def _spoken(text: str) -> str:
    """The channel "final" of a Harmony answer, or what stands before its first channel."""
    channels = list(matches_outside_code(_CHANNEL, text))
    if not channels:
        lost = _LOST_CHANNELS.match(text)
        return text[lost.end() :] if lost else text
    final = [channel for channel in channels if channel[1] == "final"]
    if not final:
        return _ROLE.sub("", text[: channels[0].start()])
    said = text[final[-1].end() :]
    end = _CHANNEL_END.search(said)
    return said[: end.start()] if end else said


def _without_steps(text: str) -> str:
    if not _STEPS.match(text.lstrip()):
        return text
    if last := _LAST_STEP.search(text):
        return text[last.end() :]
    return "" if _ACTION.search(text) else text


def _without_blocks(text: str) -> str:
    """`text` without what stands between marks of thought."""
    said, rest = "", 0
    marks = list(matches_outside_code(_MARK, text))
    number = 0
    while number < len(marks):
        mark = marks[number]
        number += 1
        before = said + text[rest : mark.start()]
        if _EMPTY.match(mark[0]):
            said, rest = before, mark.end()
        elif _CLOSES.match(mark[0]):
            # Templates may put the opening mark into the prompt: then all before the closing one is thought.
            if _stands_apart(before, text, mark.end()):
                said, rest = "", mark.end()
        elif _stands_apart(before, text, mark.end()):
            end = _end_of_block(marks[number - 1 :])
            if end is None:
                return before
            said, rest = before, end.end()
            if text[rest : rest + 1].isspace():
                said = said.rstrip(" \t")
            while number < len(marks) and marks[number].start() < rest:
                number += 1
    return said + text[rest:]


def _end_of_block(marks: list[re.Match[str]]) -> re.Match[str] | None:
    """The mark that closes the first one; the last that closes anything when a thought speaks of opening marks."""
    depth, last = 0, None
    for mark in marks:
        if _EMPTY.match(mark[0]):
            continue
        if not _CLOSES.match(mark[0]):
            depth += 1
            continue
        depth, last = depth - 1, mark
        if depth == 0:
            break
    return last


def _stands_apart(before: str, text: str, end: int) -> bool:
    """Whether a mark, which ends at `end` of the text, is no word of a sentence."""
    spoken = before.rstrip(" \t")
    if not spoken or spoken[-1] in _SENTENCE_END:
        return True
    return bool(_APART.match(text, end))
