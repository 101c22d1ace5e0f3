"""Markdown as models and knowledge have it, read once: CommonMark 0.31 with GitHub's tables and strikethrough.

It is read with care for what people write besides: stars within words and between numbers, URLs with underscores, and
line breaks stay; HTML is no HTML, apart from a few tags that models use in the place of marks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

_SAFE = re.compile(r"(?:https?://|mailto:|tel:)", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_REST_OF_URL = re.compile(r"://[^\s<>\[\]\"`]+?(?=[*_~.,;:!?)'\"]*(?:[\s<>\[\]\"`]|$)|\*\*)")
_BREAK = re.compile(r"[ \t]*<br[ \t]*/?>[ \t]*\n?", re.IGNORECASE)
_TAGS = (
    (
        re.compile(
            r"(?:^|(?<=</p>))\s{0,40}<p>([^<>]*(?:<(?!/?p>)[^<>]*>[^<>]*)*)</p>[ \t]*", re.IGNORECASE | re.MULTILINE
        ),
        r"\n\n\1\n\n",
    ),
    (re.compile(r"\s{0,40}<li>((?:[^<>]|<(?!/?li>)[^<>\n]*>)+)</li>", re.IGNORECASE), r"\n- \1"),
    (re.compile(r"\s{0,40}<[uo]l>\s{0,40}(?=- )", re.IGNORECASE), "\n"),
    (re.compile(r"^(- [^\n]*?)\s{0,40}</[uo]l>\s*", re.IGNORECASE | re.MULTILINE), r"\1\n\n"),
    (
        re.compile(r"""<a\s[^<>\n]*?href=["']([^"'<>\s()]+)["'][^<>\n]*>([^<>\[\]\n]+)</a>""", re.IGNORECASE),
        r"[\2](\1)",
    ),
    (re.compile(r"<(b|strong)>([^<>\n]+)</\1>", re.IGNORECASE), r"**\2**"),
    (re.compile(r"<(i|em)>([^<>\n]+)</\1>", re.IGNORECASE), r"*\2*"),
    (re.compile(r"<(s|del|strike)>([^<>\n]+)</\1>", re.IGNORECASE), r"~~\2~~"),
)
_CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)


def without_tags(text: str) -> str:
    """A text in Markdown whose tags are marks, outside of code; what tokens say of lines is about this text."""
    pieces = _CODE.split(text)
    pieces[::2] = [_with_marks(piece) for piece in pieces[::2]]
    return "".join(pieces)


def parsed(text: str) -> list[Token]:
    """The tokens of a text `without_tags`, which are those of markdown-it. Never raises."""
    return _reader().parse(text)


def rendered(tokens: Sequence[Token]) -> str:
    """Tokens as HTML, every text in it escaped."""
    reader = _reader()
    return str(reader.renderer.render(tokens, reader.options, {}))


def is_safe(address: str) -> bool:
    """Whether a link may be followed from a page: to the web, to write a mail, to call a number."""
    return bool(_SAFE.match(address))


def is_shown(address: str) -> bool:
    """Whether a link's address may stand in a text: not a script's or a file's."""
    return is_safe(address) or not _SCHEME.match(address)


@cache
def _reader() -> MarkdownIt:
    # Indented lines are no code and underlined ones no headings: people and models rarely mean them.
    rules = ["code", "lheading", "html_block", "html_inline"]
    reader = (
        MarkdownIt("commonmark", {"breaks": True, "html": False}).enable(["table", "strikethrough"]).disable(rules)
    )
    reader.inline.ruler.before("emphasis", "star_in_word", _star_in_word)
    reader.inline.ruler.before("escape", "url", _url)
    # Every address is read as a link, and shown as it was written; who renders it looks whether it is safe.
    reader.validateLink = lambda url: True  # type: ignore[method-assign]
    reader.normalizeLink = lambda url: url  # type: ignore[method-assign]
    return reader


def _star_in_word(state: StateInline, silent: bool) -> bool:
    """A star between two letters or digits (5*3*2, Kund*innen) is a star; CommonMark would take two for emphasis."""
    run = 0
    while state.pos + run < state.posMax and state.src[state.pos + run] == "*":
        run += 1
    before = state.src[state.pos - 1 : state.pos]
    after = state.src[state.pos + run : state.pos + run + 1]
    between = before.isdigit() and after.isdigit()
    if not run or not (between or (run == 1 and before.isalnum() and after.isalnum())):
        return False
    if not silent:
        state.pending += "*" * run
    state.pos += run
    return True


def _url(state: StateInline, silent: bool) -> bool:
    """What follows http or https in a bare URL, as it is."""
    if state.src[state.pos] != ":" or not state.src[: state.pos].endswith(("http", "https", "HTTP", "HTTPS")):
        return False
    found = _REST_OF_URL.match(state.src[: state.posMax], state.pos)
    if found is None:
        return False
    if not silent:
        state.pending += found[0]
    state.pos = found.end()
    return True


def _with_marks(text: str) -> str:
    """Tags that models write in the place of marks, as marks."""
    if "<" not in text:
        return text
    for tag, mark in _TAGS:
        text = tag.sub(mark, text)
    lines = text.split("\n")
    return "\n".join(_BREAK.sub(", " if line.count("|") > 1 else "\n", line) for line in lines)
