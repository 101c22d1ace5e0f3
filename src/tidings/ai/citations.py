"""References to sources that a reader cannot open: footnotes, bracketed numbers, names of files."""

from __future__ import annotations

import re

from tidings.ai.code_spans import matches_outside_code, without

_FILE = r"\S+\.(?:pdf|docx?|md|txt|html?|csv|xlsx?|pptx?|json)\b"
_SOURCE = r"(?:sources?|src|references?|refs?|citations?|quellen?|fuentes?|fontes?|fonti|bron(?:nen)?|källor|källa)"
_ALWAYS = re.compile(
    r"[ \t]*【\d+[^【】\n]{0,200}†[^【】\n]*】"  # OpenAI's assistants
    r"|[ \t]*\ue200[^\ue201\n]*\ue201"  # OpenAI's search
    r"|[ \t]*(?::contentReference)?\[oaicite:\d+\](?:\{index=\d+\})?|[ \t]*(?:file|nav)?cite(?:turn\d+[a-z]+\d+)+"
    r"|(?<=[.!?])<sup>\[?\d{1,3}\]?</sup>"
    r"|^\[\^\w{1,20}\]:[^\n]*\n?|[ \t]*\[\^\w{1,20}\^?\]"
    r"|[ \t]*(?::cite)?\[\[\d{1,3}\]\](?:\([^()\s]*\))?|[ \t]*:cite\[[^\[\]\n]*\]|[ \t]*\{\{cite:[^{}\n]*\}\}"
    r"|(?<=[.!?])[¹²³⁴⁵⁶⁷⁸⁹⁰]+|(?<=[.!?])[ \t]*<(source|cite)>[^<>\n]*</\1>|[ \t]*【source】"
    r"|[ \t]*\[(?:knowledge|kb|citation)[ :-]\d{1,3}\](?!\()|[ \t]*\((?:knowledge|kb) (?:item )?\d{1,3}\)"
    rf"|[ \t]*\({_SOURCE}\s*:\s*[^()\n]{{1,200}}\)"
    rf"|[ \t]*\[{_SOURCE}\s*:\s*[^\[\]\n]{{1,200}}\](?!\()"
    r"|[ \t]*\[(?:doc(?:ument)?|source|ref)[ ]?\d{1,3}\](?!\()"
    rf"|[ \t]*\((?:according to|based on|from)[ ][^()\n]{{0,60}}{_FILE}\)"
    r"|[ \t]*\((?:doc(?:ument)?|source|ref(?:erence)?)[ ]?\d{1,3}\)"
    r"|[ \t]*\((?:see|cf\.?|siehe)[ ]\[\d{1,3}\]\)"
    r"|(?<=[^\s【】])[ \t]*【\d{1,2}(?::\d+)?】"
    rf"|(?<=[.!?])[ \t]*\[{_FILE}\](?!\()",
    re.IGNORECASE | re.MULTILINE,
)
_LIST = re.compile(
    rf"(?:\n+|\A)[#* \t]*{_SOURCE}[ \t]*:[* \t]*(?:\n+(?=[^\n]*{_FILE})[^\n]+|[ \t]*{_FILE}[^\n]*)+\s*\Z"
    rf"|\n+[#* \t]*{_SOURCE}[ \t]*:[* \t]*(?:\s*\[\d{{1,2}}\](?![(\w])[^\n]*)+\s*\Z"
    rf"|(?:\n+\[\d{{1,2}}\]:?[ \t]+{_FILE}[^\n]*)+\s*\Z",
    re.IGNORECASE,
)
_FOLLOWING = ("", *' \n\t.,;:!?)"”')
_LONGEST_LIST = 2_000
_NUMBERS = re.compile(r"([ \t]*)((?:\[\d{1,2}(?:[ ]?[,–-][ ]?\d{1,2})*\][ ]?)+)(?<! )")
_CHOICE = re.compile(
    r"\b(?:press|reply|type|choose|select|option|send|enter|number|answer|with|or|and|key|in|see|to|from|of|at|by|the|take"
    r"|pick|say|write|drücken|antworten|wählen|mit|oder|und|für|siehe|responda|pulse|con|o|y|tapez|avec|ou|et)\Z",
    re.IGNORECASE,
)
"""Words before a number in brackets that is to be chosen, or is part of the sentence."""


def without_citations(text: str) -> str:
    """`text` without references to sources. Numbers in brackets stay where they may be something else: a choice to
    make, the place in a list, a size, a link of Markdown."""
    text = text[:-_LONGEST_LIST] + _LIST.sub("", text[-_LONGEST_LIST:])
    text = without(_ALWAYS, text)
    kept, rest = [], 0
    for match in matches_outside_code(_NUMBERS, text):
        if _is_citation(match, text):
            kept.append(text[rest : match.start()])
            rest = match.end()
    return "".join([*kept, text[rest:]])


def _is_citation(match: re.Match[str], text: str) -> bool:
    before, after = text[: match.start()], text[match.end() :]
    last, following = before[-1:], after[:1]
    numbers = re.findall(r"\d+", match[2])
    if not last or last in "\n[]" or following in ("(", ":") or any(f"\n[{number}]:" in text for number in numbers):
        return False
    if not match[1]:
        element = re.search(r"\b[a-z]\Z", before[-2:])  # a[1]
        return (last.isalnum() or last in '.!?,;)"”%€$') and not element and following in _FOLLOWING
    if last in ".!?":
        return following == "" or following.isspace()
    if following not in ("", "\n", ".", "!", "?") or _CHOICE.search(before):
        return False
    return all(int(number) <= 5 for number in re.findall(r"\[(\d{1,2})[\],–-]", text))
