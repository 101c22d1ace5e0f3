"""The quick way through what most templates are made of: text, names, filters, conditions of one name, loops.

Liquid makes a context for every text, and takes ten calls and a chain of namespaces for every name. A template of
nothing but these nodes is a few closures over one dictionary instead. They give the text that Liquid gives, or none:
whatever else a template has, misses or uses up is left to Liquid, which then also says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import getitem, itemgetter
from typing import Any

from liquid import BoundTemplate, Environment, Node
from liquid.ast import BlockNode
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions.arguments import PositionalArgument
from liquid.builtin.expressions.filtered import Filter, FilteredExpression
from liquid.builtin.expressions.logical import BooleanExpression, is_truthy
from liquid.builtin.expressions.path import Path
from liquid.builtin.expressions.primitive import Literal
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.for_tag import ForNode
from liquid.builtin.tags.if_tag import IfNode
from liquid.builtin.tags.unless_tag import UnlessNode
from liquid.expression import Expression
from liquid.stringify import to_liquid_string

_Scope = dict[Any, Any]
_Reader = Callable[[_Scope], Any]
_Piece = str | Callable[[_Scope], str]
_Pieces = Sequence[_Piece]

_TURNS = object()
"""The key in a loop's scope of how many turns it has, times those of the loops around it."""

_OTHERWISE_READ = ("size", "first", "last")
"""Parts of a path that Liquid has a meaning of its own for."""

_LONG = 1_000
"""Characters of a value. A longer one is left to Liquid, which counts while it writes; here a text is measured when
it is whole, and must not have become huge by then."""


class _LeftToLiquid(Exception):
    """The template, or this text of it, is none of the quick ones."""


def quick(template: BoundTemplate) -> Callable[[Mapping[str, Any]], str | None] | None:
    """What renders the template quickly, None when it has nodes that only Liquid knows.

    The text is the one that Liquid would give with the same variables; where there is None instead, ask Liquid.
    """
    limit = template.env.output_stream_limit
    try:
        pieces = _Builder(template.env).pieces(template.nodes)
    except (_LeftToLiquid, RecursionError):
        return None

    def render(variables: Mapping[str, Any]) -> str | None:
        try:
            text = _joined(pieces, variables if type(variables) is dict else dict(variables))
            size = len(text.encode())
        except Exception:
            return None  # Liquid fails with it as well, and knows how to say so
        # Liquid writes a carriage return as a line feed, and none before a line feed where both are in one piece.
        return None if "\r" in text or (limit is not None and size > limit) else text

    return render


class _Builder:
    """Makes pieces of an environment's nodes; raises `_LeftToLiquid` for one that it does not know."""

    def __init__(self, environment: Environment) -> None:
        self._filters = environment.filters
        self._most_turns = environment.loop_iteration_limit
        self._most_text = environment.output_stream_limit

    def pieces(self, nodes: Sequence[Node]) -> _Pieces:
        return [self._piece(node) for node in nodes]

    def _piece(self, node: Node) -> _Piece:
        if type(node) is ContentNode:
            return node.text
        if type(node) is OutputNode:
            return self._output(node)
        if type(node) is IfNode or type(node) is UnlessNode:
            return self._choice(node)
        if type(node) is ForNode:
            return self._loop(node)
        raise _LeftToLiquid

    def _block(self, block: BlockNode | None) -> _Pieces:
        if block is None:
            return ()
        pieces = self.pieces(block.nodes)
        return () if block.blank else pieces  # Liquid writes no block of white space alone

    def _output(self, node: OutputNode) -> _Piece:
        expression = node.expression
        if type(expression) is not FilteredExpression:
            raise _LeftToLiquid
        filters = expression.filters or []
        # To `default`, a name that is not there is the same as one without a value.
        forgiving = type(expression.left) is Path and [one.name for one in filters[:1]] == ["default"]
        read = (_value_or_none if forgiving else _value)(expression.left)
        calls = [self._filter(one) for one in filters]

        def output(scope: _Scope) -> str:
            value = read(scope)
            for call in calls:
                value = call(value, scope)
            text: str = value if type(value) is str else to_liquid_string(value, False)
            if len(text) > _LONG:
                raise _LeftToLiquid
            return text

        return output

    def _filter(self, used: Filter) -> Callable[[Any, _Scope], Any]:
        function = self._filters[used.name]
        if getattr(function, "with_context", False) or getattr(function, "with_environment", False):
            raise _LeftToLiquid
        if any(type(argument) is not PositionalArgument for argument in used.args):
            raise _LeftToLiquid
        given = [argument.value for argument in used.args]
        literals = [one.value for one in given if isinstance(one, Literal)]
        if len(literals) == len(given):
            return lambda value, _: function(value, *literals)
        arguments = [_value(one) for one in given]
        return lambda value, scope: function(value, *[read(scope) for read in arguments])

    def _choice(self, node: IfNode | UnlessNode) -> _Piece:
        is_unless = type(node) is UnlessNode
        ways = [(_condition(node.condition), self._block(node.consequence))]
        ways += [(_condition(one.expression), self._block(one.block)) for one in node.alternatives]
        (first, consequence), *others = ways
        otherwise = self._block(node.default)

        def choice(scope: _Scope) -> str:
            if first(scope) is not is_unless:
                return _joined(consequence, scope)
            for holds, pieces in others:
                if holds(scope):
                    return _joined(pieces, scope)
            return _joined(otherwise, scope)

        return choice

    def _loop(self, node: ForNode) -> _Piece:
        loop = node.expression
        plain = loop.limit is None and loop.offset is None and loop.cols is None and not loop.reversed
        if not plain or node.blank:
            raise _LeftToLiquid
        read, name = _value(loop.iterable), str(loop.identifier)
        pieces, otherwise = self._block(node.block), self._block(node.default)
        most_turns, most_text = self._most_turns, self._most_text

        def repeat(scope: _Scope) -> str:
            items = read(scope)
            if type(items) is not list:
                raise _LeftToLiquid
            if not items:
                return _joined(otherwise, scope)
            turns = scope.get(_TURNS, 1) * len(items)
            if most_turns is not None and turns > most_turns:
                raise _LeftToLiquid
            inner = {**scope, _TURNS: turns}
            texts, size = [], 0
            for item in items:
                inner[name] = item
                texts.append(_joined(pieces, inner))
                size += len(texts[-1])
                if most_text is not None and size > most_text:
                    raise _LeftToLiquid
            return "".join(texts)

        return repeat


def _joined(pieces: _Pieces, scope: _Scope) -> str:
    return "".join([piece if isinstance(piece, str) else piece(scope) for piece in pieces])


def _condition(expression: Expression) -> Callable[[_Scope], bool]:
    """Whether a name has a value that Liquid takes for true; one that is not there has none."""
    if type(expression) is not BooleanExpression:
        raise _LeftToLiquid
    read = _value_or_none(expression.expression)

    def holds(scope: _Scope) -> bool:
        value = read(scope)
        return value is not None and (type(value) is str or is_truthy(value))

    return holds


def _value(expression: Expression) -> _Reader:
    """Reads a name or a literal; fails for a name that is not there."""
    if isinstance(expression, Literal):
        value = expression.value
        return lambda _: value
    names = _names(expression)
    if len(names) == 1:
        return itemgetter(*names)
    if len(names) == 2:
        root, part = names
        return lambda scope: scope[root][part]
    return lambda scope: reduce(getitem, names, scope)


def _value_or_none(expression: Expression) -> _Reader:
    """Reads a name; None when it is not there."""
    root, *parts = _names(expression)

    def read(scope: _Scope) -> Any:
        value: Any = scope.get(root)
        try:
            for part in parts:
                value = value[part]
        except (KeyError, TypeError, IndexError):
            return None
        return value

    return read


def _names(expression: Expression) -> Sequence[str]:
    """The parts of `order.name`."""
    if type(expression) is not Path:
        raise _LeftToLiquid
    names = [part for part in expression.path if isinstance(part, str)]
    if len(names) < len(expression.path) or names[0] == "forloop" or any(one in _OTHERWISE_READ for one in names[1:]):
        raise _LeftToLiquid
    return names
