"""Which names a Liquid template uses, compared with those that there are.

Known names are written with dots: `order.name`, and `order.line_items[].title` for what every item of a list
has. A name of which no dotted form is known (`hints`) may have anything below it; one with dotted forms has
those and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from liquid import Node, RenderContext
from liquid.builtin.expressions.loop import LoopExpression
from liquid.builtin.expressions.path import Path
from liquid.expression import Expression

_ITEM = "[]"
_OF_LISTS = ("first", "last")

_Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A name that there is not, and the names that could have stood in its place."""

    name: str
    instead: tuple[str, ...]


def first_unknown(nodes: Iterable[Node], context: RenderContext, known: Collection[str]) -> Unknown | None:
    """The first name of the template that is not among `known`, those inside conditions included."""
    return _Reader(context, _tree(known)).read(nodes, {})


class _Reader:
    def __init__(self, context: RenderContext, known: _Tree) -> None:
        self._context = context
        self._known = known
        self._made: dict[str, _Tree | None] = {}  # by assign and capture, which hold for the rest of the template

    def read(self, nodes: Iterable[Node], scope: Mapping[str, _Tree | None]) -> Unknown | None:
        for node in nodes:
            inner = dict(scope) | {str(name): None for name in node.block_scope()}
            for expression in node.expressions():
                if found := self._in_expression(expression, scope):
                    return found
                if isinstance(expression, LoopExpression) and isinstance(expression.iterable, Path):
                    below, _ = self._follow(expression.iterable, scope)
                    inner[expression.identifier] = below.get(_ITEM) if below else None
            self._made |= {str(name): None for name in node.template_scope()}
            if found := self.read(node.children(self._context, include_partials=False), inner):
                return found
        return None

    def _in_expression(self, expression: Expression, scope: Mapping[str, _Tree | None]) -> Unknown | None:
        waiting = [expression]
        while waiting:
            each = waiting.pop()
            if isinstance(each, Path):
                _, found = self._follow(each, scope)
                if found:
                    return found
            waiting.extend(each.children())
        return None

    def _follow(self, path: Path, scope: Mapping[str, _Tree | None]) -> tuple[_Tree | None, Unknown | None]:
        """What is known below the path (None: anything may be), and whether a part of it is unknown."""
        root = path.path[0]
        if not isinstance(root, str):
            return None, None
        for names in (scope, self._made):
            if root in names:
                below = names[root]
                break
        else:
            if root not in self._known:
                return None, Unknown(root, tuple(self._known))
            below = self._known[root] or None
        shown = root
        for part in path.path[1:]:
            if below is None or part == "size":
                return None, None
            if isinstance(part, str) and part in below:
                below, shown = below[part], f"{shown}.{part}"
            elif not isinstance(part, str) or part in _OF_LISTS:
                below, shown = below.get(_ITEM), f"{shown}[…]"
            else:
                others = tuple(f"{shown}.{name}" for name in below if name != _ITEM)
                return None, Unknown(f"{shown}.{part}", others or (shown,))
        return below, None


def _tree(known: Collection[str]) -> _Tree:
    tree: _Tree = {}
    for name in known:
        below = tree
        for part in str(name).replace(_ITEM, f".{_ITEM}").split("."):
            below = below.setdefault(part, {})
    return tree
