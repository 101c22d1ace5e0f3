"""Conditions as JSON, for an automation's rules and for saved segments.

    {"all": [{"field": "order.total_price", "op": "at_least", "value": 50},
             {"not": {"field": "customer.tags", "op": "contains", "value": "wholesale"}}]}

`all`, `any` and `not` combine; `field`, `op` and `value` ask. Everything that can be wrong is found when the
document is compiled. A value that is null, blank, not there or not of its field's type is missing: then no
condition holds but `is_missing` and those that say "not" (`not_equals`, `not_in`, `not_contains`), which are the
exact opposite of their counterparts.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tidings.errors import InvalidInput
from tidings.features.shops.rules.field_types import READERS, FieldType, shown
from tidings.features.shops.rules.operators import ALIASES, OPERATORS, PRESENT

MAX_DEPTH = 8
MAX_CONDITIONS = 100

_Context = Mapping[str, Any]
_GROUPS = ("all", "any", "not")
_MUST_NOT = ", which must not be"


class Predicate:
    """A compiled document. `now` in the context is the present moment, for conditions on dates relative to it."""

    __slots__ = ("_fields", "_node")

    def __init__(self, node: _Node, fields: frozenset[str]) -> None:
        self._node = node
        self._fields = fields

    def matches(self, context: Mapping[str, Any]) -> bool:
        """Whether the conditions hold for `context`, in which `order.name` is `context["order"]["name"]`."""
        return self._node.matches(context)

    def explain(self, context: Mapping[str, Any]) -> list[str]:
        """One sentence for each condition, in their order: "order.total_price is 19.90, not at least 50".

        One that holds though a `not` asks for the opposite ends with "which must not be".
        """
        return list(self._node.explain(context, True))

    def fields(self) -> frozenset[str]:
        """The fields that the conditions look at."""
        return self._fields


def compile_predicate(document: Any, fields: Mapping[str, FieldType], *, at: str = "") -> Predicate:
    """Reads a document whose conditions may ask for `fields`.

    Raises InvalidInput with the dotted path of the mistake (`all.0.op`), which begins with `at` where it is given.
    """
    compiler = _Compiler(fields)
    node = compiler.node(document, at, 1)
    return Predicate(node, frozenset(compiler.used))


@dataclass(frozen=True, slots=True)
class _Node:
    matches: Callable[[_Context], bool]
    explain: Callable[[_Context, bool], Iterator[str]]


class _Compiler:
    def __init__(self, fields: Mapping[str, FieldType]) -> None:
        self._fields = fields
        self._conditions = 0
        self.used: set[str] = set()

    def node(self, document: Any, path: str, depth: int) -> _Node:
        if not isinstance(document, Mapping):
            raise InvalidInput(path, 'must be an object such as {"field": …, "op": …, "value": …} or {"all": […]}')
        if depth > MAX_DEPTH:
            raise InvalidInput(path, f"is nested more than {MAX_DEPTH} levels deep; put conditions into one list")
        groups = [key for key in _GROUPS if key in document]
        if not groups:
            return self._condition(document, path)
        if len(document) > 1:
            other = next(key for key in document if key != groups[0])
            raise InvalidInput(_below(path, other), f"cannot stand beside '{groups[0]}'; wrap both into one 'all'")
        key = groups[0]
        below = _below(path, key)
        if key == "not":
            return _negated(self.node(document[key], below, depth + 1))
        parts = document[key]
        if not isinstance(parts, list):
            raise InvalidInput(below, "must be a list of conditions in square brackets")
        if not parts:
            raise InvalidInput(below, "is empty; give it at least one condition")
        nodes = [self.node(part, _below(below, index), depth + 1) for index, part in enumerate(parts)]
        return _combined(nodes, every=key == "all")

    def _condition(self, document: Mapping[str, Any], path: str) -> _Node:
        self._check_keys(document, path)
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise InvalidInput(path, f"is one condition too many; at most {MAX_CONDITIONS} can be used")
        name, symbol = document["field"], document["op"]
        if not isinstance(name, str) or name not in self._fields:
            raise InvalidInput(_below(path, "field"), f"there is no field {shown(name)}{_near(name, self._fields)}")
        kind = self._fields[name]
        operator_name = ALIASES.get(symbol, symbol) if isinstance(symbol, str) else None
        operator = OPERATORS.get(operator_name or "")
        at_operator = _below(path, "op")
        if operator is None:
            raise InvalidInput(at_operator, f"there is no operator {shown(symbol)}{_near(symbol, _for(kind))}")
        if kind not in operator.types:
            raise InvalidInput(
                at_operator, f"{name} is a {kind} field, which has no '{symbol}'; use one of {', '.join(_for(kind))}"
            )
        if not operator.takes_value and "value" in document:
            raise InvalidInput(_below(path, "value"), f"'{symbol}' takes no value; leave it out")
        if operator.takes_value and "value" not in document:
            raise InvalidInput(path, f"'{symbol}' needs a value; add one")
        try:
            test, phrase = operator.build(kind, document.get("value"))
        except ValueError as error:
            raise InvalidInput(_below(path, "value"), f"'{symbol}' {error}") from None
        self.used.add(name)
        look_up, read, negates = _at(name), READERS[kind], operator.negates

        def matches(context: _Context) -> bool:
            known = read(look_up(context))
            return negates if known is None else test(known, context) is not negates

        def explain(context: _Context, wanted: bool) -> Iterator[str]:
            value = look_up(context)
            known = read(value)
            seen = value if kind in (FieldType.TEXT, FieldType.LIST) else known
            holds = known is not None and test(known, context)
            if phrase == PRESENT:
                yield _on_presence(name, shown(seen) if holds else None, wanted is not negates)
            elif known is None:
                yield f"{name} is missing, so it is not {phrase}"
            elif phrase == shown(seen):
                yield f"{name} is {phrase}" + (_MUST_NOT if wanted is negates else "")
            else:
                yield f"{name} is {shown(seen)}, {'' if holds else 'not '}{phrase}" + (
                    _MUST_NOT if holds and wanted is negates else ""
                )

        return _Node(matches, explain)

    @staticmethod
    def _check_keys(document: Mapping[str, Any], path: str) -> None:
        for key in document:
            if key not in ("field", "op", "value"):
                raise InvalidInput(
                    _below(path, key), f"is not a key of a condition{_near(key, ('field', 'op', 'value', *_GROUPS))}"
                )
        for key in ("field", "op"):
            if key not in document:
                raise InvalidInput(path, f"has no '{key}'; a condition has field, op and mostly value")


def _on_presence(name: str, value: str | None, wanted: bool) -> str:
    if value is None:
        return f"{name} is missing" + (" and must not be" if wanted else "")
    return f"{name} is {value}" + ("" if wanted else " and must be missing")


def _at(name: str) -> Callable[[_Context], Any]:
    """Looks up a dotted name; most have two parts."""
    root, *parts = name.split(".")

    def look_up_two(context: _Context) -> Any:
        try:
            return context[root][leaf]
        except (KeyError, TypeError, IndexError):
            return None

    def look_up(context: _Context) -> Any:
        try:
            value = context[root]
            for part in parts:
                value = value[part]
        except (KeyError, TypeError, IndexError):
            return None
        return value

    if len(parts) == 1:
        leaf = parts[0]
        return look_up_two
    return look_up


def _negated(node: _Node) -> _Node:
    matches = node.matches
    return _Node(lambda context: not matches(context), lambda context, wanted: node.explain(context, not wanted))


def _combined(nodes: list[_Node], *, every: bool) -> _Node:
    tests = tuple(node.matches for node in nodes)

    def matches(context: _Context) -> bool:
        for test in tests:
            if test(context) is not every:
                return not every
        return every

    def explain(context: _Context, wanted: bool) -> Iterator[str]:
        for node in nodes:
            yield from node.explain(context, wanted)

    return nodes[0] if len(nodes) == 1 else _Node(matches, explain)


def _for(kind: FieldType) -> list[str]:
    return [name for name, operator in OPERATORS.items() if kind in operator.types]


def _near(name: Any, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(str(name)[:100].casefold(), names, n=3) or (names if len(names) <= 25 else [])
    return f"; there is {', '.join(near)}" if near else ""


def _below(path: str, key: object) -> str:
    return f"{path}.{_key(key)}" if path else _key(key)


def _key(key: object) -> str:
    return str(key)[:60]
