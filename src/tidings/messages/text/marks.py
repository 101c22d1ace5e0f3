"""Markdown as a channel shows it: WhatsApp's marks, text without any, HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

from tidings.messages.text.markdown import is_safe, is_shown, parsed, rendered, without_tags


@dataclass(frozen=True, slots=True)
class _Marks:
    """What a channel puts around words; empty where it has nothing for it."""

    strong: str = ""
    em: str = ""
    s: str = ""
    code: str = ""
    fence: str = ""


_WHATSAPP = _Marks(strong="*", em="_", s="~", code="`", fence="```")
_NONE = _Marks()


def in_whatsapp_marks(text: str) -> str:
    """A text in Markdown with the marks that WhatsApp knows: *bold*, _italic_, ~struck~, ```code```, lists.

    Headings are bold, links "text (address)", rows of tables lines. Never raises.
    """
    return _Writer(text, _WHATSAPP).written()


def without_marks(text: str) -> str:
    """A text in Markdown as plain text, for SMS and mail. It adds no character that GSM-7 lacks. Never raises."""
    return _Writer(text, _NONE).written()


def in_html(text: str) -> str:
    """A text in Markdown as HTML that is safe to put into a page: whatever is no mark is escaped.

    Links lead to http, https, mailto and tel, in a window of their own that knows nothing of this one; an image is a
    link to it. Nothing has a style or a script. Never raises.
    """
    tokens = parsed(without_tags(text))
    for token in tokens:
        token.attrs.pop("style", None)  # the alignment of a table's cells, which a page's policy would refuse
        if token.type.startswith("heading_"):
            token.tag = "p"
            token.attrs = {"class": "heading"} if token.nesting == 1 else {}
        if token.type == "list_item_open" and token.info not in ("", "1"):
            token.attrs = {"value": int(token.info)}
        if token.children:
            token.children = list(_safe(token.children))
    return rendered(tokens).strip()


def _safe(children: Sequence[Token]) -> Iterator[Token]:
    """Inline tokens with links that may be followed; others are their text, with the address where it is harmless."""
    ends: list[Token] = []
    for token in children:
        match token.type:
            case "link_open":
                start, end = _link(str(token.attrs.get("href", "")), token)
                ends.append(end)
                yield start
            case "link_close":
                yield ends.pop()
            case "image":
                address = str(token.attrs.get("src", ""))
                start, end = _link(address, Token("link_open", "a", 1))
                yield from (start, _text(token.content or address), end)
            case _:
                yield token


def _link(address: str, token: Token) -> tuple[Token, Token]:
    if not is_safe(address):
        return _text(""), _text(f" ({address})" if address and is_shown(address) else "")
    token.attrs = {"href": address, "target": "_blank", "rel": "noopener noreferrer nofollow"}
    return token, Token("link_close", "a", -1)


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


class _Writer:
    """Writes one text with a channel's marks. Blank lines stay where the text has them."""

    def __init__(self, text: str, marks: _Marks) -> None:
        text = without_tags(text)
        tokens = parsed(text)
        self._marks = marks
        self._root = SyntaxTreeNode(tokens)
        self._starts_after_a_blank = _after_blanks(tokens, text)

    def written(self) -> str:
        return self._blocks(self._root.children).strip("\n").rstrip()

    def _blocks(self, nodes: Sequence[SyntaxTreeNode]) -> str:
        text = ""
        for node in nodes:
            block = self._block(node)
            if block:
                gap = "\n\n" if node.map and node.map[0] in self._starts_after_a_blank else "\n"
                text = f"{text}{gap}{block}" if text else block
        return text

    def _block(self, node: SyntaxTreeNode) -> str:
        match node.type:
            case "heading":
                return self._marked(self._inline(node.children, bold=True), self._marks.strong)
            case "bullet_list" | "ordered_list":
                return self._list(node)
            case "blockquote":
                return "\n".join(f"> {line}".rstrip() for line in self._blocks(node.children).split("\n"))
            case "fence" | "code_block":
                fence = self._marks.fence
                return f"{fence}\n{node.content.rstrip()}\n{fence}" if fence else node.content.rstrip()
            case "table":
                return self._table(node)
            case "hr":
                return "---"
            case _:
                return self._inline(node.children)

    def _list(self, node: SyntaxTreeNode) -> str:
        numbers = [item.info for item in node.children]
        if len(set(numbers)) == 1:  # each item has the number 1: the reader is to count
            numbers = [str(number) for number in range(int(numbers[0] or 1), len(numbers) + int(numbers[0] or 1))]
        text = ""
        for item, number in zip(node.children, numbers, strict=True):
            mark = f"{number}{item.markup} " if node.type == "ordered_list" else "- "
            inside = self._blocks(item.children).replace("\n", "\n  ").replace("\n  \n", "\n\n")
            gap = "\n\n" if item.map and item.map[0] in self._starts_after_a_blank else "\n"
            text = f"{text}{gap}{mark}{inside}" if text else f"{mark}{inside}"
        return text

    def _table(self, node: SyntaxTreeNode) -> str:
        """A line for each row: with two columns "one: other", with more each cell after the words above it."""
        rows = [[self._inline(cell.children) for cell in row.children] for row in _rows(node)]
        head, body = rows[0], rows[1:]
        if len(head) <= 2:
            title = self._marked(": ".join(cell for cell in head if cell), self._marks.strong)
            return "\n".join([title, *(": ".join(cell for cell in row if cell) for row in body)]).strip()
        lines = []
        for row in body:
            cells = [f"{above} {cell}".strip() for above, cell in zip(head, row, strict=False) if cell]
            lines.append(f"{cells[0]}: {', '.join(cells[1:])}" if len(cells) > 1 else "".join(cells))
        return "\n".join(lines) or self._marked(", ".join(head), self._marks.strong)

    def _inline(self, nodes: Sequence[SyntaxTreeNode], *, bold: bool = False) -> str:
        parts: list[str] = []
        for number, node in enumerate(nodes):
            match node.type:
                case "inline":
                    parts.append(self._inline(node.children, bold=bold))
                case "strong" | "em" | "s":
                    inside = self._inline(node.children, bold=bold or node.type == "strong")
                    mark = "" if bold and node.type == "strong" else getattr(self._marks, node.type)
                    # WhatsApp knows a mark by the space or the sign beside it.
                    following = self._inline(nodes[number + 1 : number + 2], bold=bold)[:1]
                    between = (parts[-1][-1:] if parts else "").isalnum() or following.isalnum()
                    parts.append(inside if between else self._marked(inside, mark))
                case "code_inline":
                    parts.append(f"{self._marks.code}{node.content}{self._marks.code}")
                case "link":
                    parts.append(
                        _with_address(self._inline(node.children, bold=bold), str(node.attrs.get("href", "")))
                    )
                case "image":
                    parts.append(_with_address(node.content, str(node.attrs.get("src", ""))))
                case "softbreak" | "hardbreak":
                    parts.append("\n")
                case _:
                    parts.append(node.content)
        return "".join(part for part in parts if part)

    def _marked(self, text: str, mark: str) -> str:
        """Each line of a text between marks, which reach over no line's end; a line in such marks stays as it is."""
        if not mark:
            return text
        lines = text.split("\n")
        return "\n".join(f"{mark}{line}{mark}" if line.strip() and mark not in line else line for line in lines)


def _rows(table: SyntaxTreeNode) -> Iterator[SyntaxTreeNode]:
    for part in table.children:
        yield from part.children


def _with_address(text: str, address: str) -> str:
    """A link's text and where it leads, unless the text says that already."""
    bare = address.removeprefix("mailto:").removeprefix("tel:")
    if not address or not is_shown(address) or address.startswith("#"):
        return text
    if not text or text.strip("/") in (bare.strip("/"), bare.partition("://")[2].strip("/")):
        return bare
    if bare != address and "".join(text.split()) == bare:
        return text
    return f"{text} ({bare})"


def _after_blanks(tokens: Sequence[Token], text: str) -> frozenset[int]:
    """The lines that begin a block after a blank one."""
    starts = {token.map[0] for token in tokens if token.map}
    lines = text.split("\n")
    return frozenset(line for line in starts if 0 < line <= len(lines) and not lines[line - 1].strip())
