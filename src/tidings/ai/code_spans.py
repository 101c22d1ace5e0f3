"""Code in a text: what stands in it is shown as it is, whatever it looks like."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

_CODE = re.compile(r"```.*?```|``[^`\n]+``|`[^`\n]+`", re.DOTALL)


def matches_outside_code(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """The matches of `pattern` that begin outside of closed code spans and fences (CommonMark 0.31, 4.5 and 6.1)."""
    spans = [match.span() for match in _CODE.finditer(text)] if "`" in text else []
    for match in pattern.finditer(text):
        before = bisect_right(spans, (match.start(), len(text))) - 1
        if before < 0 or match.start() >= spans[before][1]:
            yield match


def without(pattern: re.Pattern[str], text: str) -> str:
    """`text` without what `pattern` matches outside of code."""
    kept, rest = [], 0
    for match in matches_outside_code(pattern, text):
        kept.append(text[rest : match.start()])
        rest = match.end()
    return "".join([*kept, text[rest:]])
