"""Texts with variables, in Liquid (https://shopify.github.io/liquid), in a sandbox.

A template sees the variables it is given and nothing else: no files, no other templates, no clock. What it
may use up is limited, and whatever goes wrong inside it is a TemplateError with a sentence for its author.

A missing name is false in a condition (`{% if sponsor_name %}`), may have a default
(`{{ sponsor_name | default: "our sponsor" }}`) and is an error anywhere else. A name without a value (None)
prints as nothing.

`render` and `check` know FILTERS; a `Sandbox` knows filters of its caller beside them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache, wraps
from types import MappingProxyType
from typing import Any, NoReturn, cast

from liquid import BoundTemplate, Environment, Node, RenderContext, Undefined
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.exceptions import FilterArgumentError, LiquidError, LiquidSyntaxError
from liquid.expression import Expression
from liquid.filter import with_context
from liquid.token import TOKEN_CONTENT, TOKEN_ILLEGAL, TOKEN_OUTPUT, Token
from liquid.utils import ReadOnlyChainMap

from tidings.errors import TemplateError
from tidings.messages.text.quick_templates import quick
from tidings.messages.text.template_names import first_unknown

MAX_SOURCE = 10_000
"""Characters of a template. Liquid's reading time can grow with their square."""

MAX_TEXT = 50_000
"""Characters of a text that a filter makes, and bytes of the finished text."""

MAX_ITEMS = 1_000
"""Items of a list that a filter makes, and turns of nested loops taken together."""

MAX_BITS = 256
"""Size of a whole number that a filter makes."""

TAGS = frozenset(
    {"if", "unless", "case", "for", "break", "continue", "assign", "capture", "cycle", "echo", "comment", "#"}
)
FILTERS = frozenset(
    (  # noqa: SIM905
        "abs append at_least at_most capitalize ceil compact concat date default divided_by downcase first floor "
        "join last lstrip map minus modulo plus prepend remove remove_first replace replace_first reverse round "
        "rstrip size slice sort sort_natural split squish strip strip_newlines sum times truncate truncatewords "
        "uniq upcase url_encode where"
    ).split()
)


class _Missing(LiquidError):
    """The value of a name that is not there was needed."""

    def __init__(self, path: str, token: Token | None) -> None:
        super().__init__(f"{path} is missing", token=token)
        self.path = path


class _Absent(Undefined):
    """A name that is not there: false in a condition, `_Missing` wherever its value is needed."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def poke(self, *_: object) -> NoReturn:
        path = (self.hint or "").removesuffix(" is undefined")
        if path == "index out of range":
            path = f"{self.name}[…]"
        raise _Missing(path if path.startswith((f"{self.name}.", f"{self.name}[")) else self.name, self.token)

    __contains__ = __getitem__ = __len__ = __iter__ = __reversed__ = __str__ = __int__ = poke


class _Context(RenderContext):
    """Without Liquid's `now` and `today`, which read the machine's clock and timezone."""

    def __init__(self, template: BoundTemplate, **options: Any) -> None:
        super().__init__(template, **options)
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)


class _Template(BoundTemplate):
    context_class = _Context
    quick: Callable[[Mapping[str, Any]], str | None] | None = None

    def make_partial_namespace(self, partial: bool, render_args: Mapping[str, object]) -> Mapping[str, object]:
        return render_args  # Liquid would add a variable named `partial`


class _Environment(Environment):
    template_class = _Template
    loop_iteration_limit = MAX_ITEMS
    local_namespace_limit = MAX_TEXT * 4  # a character takes up to four bytes
    output_stream_limit = MAX_TEXT

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        pseudo = {TOKEN_CONTENT, TOKEN_OUTPUT, TOKEN_ILLEGAL}
        self.tags = {name: tag for name, tag in self.tags.items() if name in TAGS | pseudo}
        own: dict[str, Callable[..., Any]] = {"date": _date, "join": _join, "replace": _replace}
        self.filters = {name: _guarded(name, own.get(name, self.filters[name])) for name in FILTERS}


class Sandbox:
    """Renders and checks templates with FILTERS and the caller's own filters.

    An extra filter is called with the template's variables, the value on its left and its arguments; a
    ValueError, ArithmeticError or LookupError that it raises becomes a TemplateError with that sentence. The
    compiled templates are kept, so keep the sandbox as well.
    """

    def __init__(self, extra_filters: Mapping[str, Callable[..., Any]] = MappingProxyType({})) -> None:
        self._environment = _Environment(undefined=_Absent)
        for name, function in extra_filters.items():
            self._environment.filters[name] = _guarded(name, _with_variables(function))
        self._compiled = lru_cache(maxsize=512)(self._compile)

    def render(self, source: str, variables: Mapping[str, Any]) -> str:
        """The finished text, without white space at its end.

        Raises TemplateError for a malformed template, a missing variable (then `variable` is its name) and
        whatever else goes wrong, a used-up limit included.
        """
        template = self._compiled(source)
        if template.quick and (text := template.quick(variables)) is not None:
            return text.rstrip()
        try:
            text = template.render(variables)
        except _Missing as error:
            raise _unknown(error.path, variables) from None
        except Exception as error:
            raise TemplateError(f"the template cannot be rendered{_where(error)}: {_reason(error)}") from error
        return text.rstrip()

    def check(self, source: str, known: Collection[str]) -> None:
        """Raises TemplateError when `source` is malformed or uses a variable that is not in `known`.

        Names inside a condition count too: there a misspelt one would go unnoticed for ever. `known` may say
        what a variable has in it: `order.name`, `order.line_items[].title` (see `template_names`).
        """
        template = self._compiled(source)
        try:
            unknown = first_unknown(template.nodes, _Context(template), known)
        except RecursionError as error:
            raise TemplateError(f"the template has a mistake: {_reason(error)}") from error
        if unknown:
            raise _unknown(unknown.name, unknown.instead)

    def _compile(self, source: str) -> _Template:
        try:
            _measure(source)
            template = cast("_Template", self._environment.from_string(source))
            _inspect(template, source)
            template.quick = quick(template)
        except Exception as error:
            raise TemplateError(f"the template has a mistake{_where(error)}: {_reason(error)}") from error
        return template


def render(source: str, variables: Mapping[str, Any]) -> str:
    """`Sandbox.render` with FILTERS alone."""
    return _PLAIN.render(source, variables)


def check(source: str, known: Collection[str]) -> None:
    """`Sandbox.check` with FILTERS alone."""
    _PLAIN.check(source, known)


def _measure(source: str) -> None:
    """Refuses what the Liquid lexer would chew on for seconds or, where a bracket is never closed, for minutes."""
    if len(source) > MAX_SOURCE:
        raise LiquidSyntaxError(f"it has {len(source):,} characters; at most {MAX_SOURCE:,} can be used", token=None)
    if re.search(r"\s{500}", source):
        raise LiquidSyntaxError("it has 500 blanks in a row", token=None)
    for opening, closing in (("{{", "}}"), ("{%", "%}")):
        if (position := source.rfind(opening)) > source.rfind(closing):
            raise LiquidSyntaxError(f"{opening} has no {closing}", token=Token("", opening, position, source))


def _inspect(template: BoundTemplate, source: str) -> None:
    """Refuses what Liquid would find out too late: a billion turns of (1..1000000000), unknown filters.

    It walks the whole template, so that one nested too deeply is refused here.
    """
    for expression in _expressions(template.nodes, _Context(template)):
        if isinstance(expression, RangeLiteral):
            raise LiquidSyntaxError("ranges like (1..5) cannot be used in messages", token=expression.token)
    for name, spans in template.analyze(include_partials=False).filters.items():
        if name not in template.env.filters:
            raise LiquidSyntaxError(f"there is no filter '{name}'", token=Token("", name, spans[0].index, source))


def _expressions(nodes: Iterable[Node], context: RenderContext) -> Iterator[Expression]:
    for node in nodes:
        waiting = list(node.expressions())
        while waiting:
            expression = waiting.pop()
            yield expression
            waiting.extend(expression.children())
        yield from _expressions(node.children(context, include_partials=False), context)


def _guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, but a missing name is an error in it (except for its own `default`) and its result is limited."""

    forgiving = name == "default"

    @wraps(function)
    def call(value: Any, *arguments: Any, **options: Any) -> Any:
        for operand in (*arguments, *options.values()) if forgiving else (*arguments, *options.values(), value):
            if type(operand) is _Absent:  # what every name that is not there is to this environment
                operand.poke()
        try:
            result = function(_plain(value), *map(_plain, arguments), **options)
        except (ValueError, ArithmeticError, LookupError) as error:
            raise FilterArgumentError(f"{name}: {error}", token=None) from error
        if isinstance(result, str):
            _limit(name, len(result), MAX_TEXT)
        elif isinstance(result, int):
            _limit(name, result.bit_length(), MAX_BITS)
        elif isinstance(result, list):
            _limit(name, len(result), MAX_ITEMS)
        return result

    return call


def _with_variables(function: Callable[..., Any]) -> Callable[..., Any]:
    @with_context
    def call(value: Any, *arguments: Any, context: RenderContext, **options: Any) -> Any:
        return function(context.globals, value, *arguments, **options)

    return call


def _plain(value: Any) -> Any:
    """A Decimal as Liquid's filters read numbers exactly: as text. They take a Decimal for 0."""
    return str(value) if isinstance(value, Decimal) else value


def _limit(name: str, size: int, most: int) -> None:
    if size > most:
        raise FilterArgumentError(f"{name}: the result is too big", token=None)


def _replace(value: object, old: object, new: object = "") -> str:
    text, old, new = str("" if value is None else value), str(old), str(new)
    _limit("replace", len(text) + text.count(old) * len(new), MAX_TEXT)
    return text.replace(old, new)


def _join(items: object, separator: object = " ") -> str:
    texts = [str(item) for item in items] if isinstance(items, list | tuple) else [str(items)]
    _limit("join", sum(map(len, texts)) + len(texts) * len(str(separator)), MAX_TEXT)
    return str(separator).join(texts)


def _date(value: object, pattern: object = "%Y-%m-%d") -> str:
    """A date or time (or its ISO 8601 text) written with strftime, on its own clock, never the machine's."""
    moment = value if isinstance(value, date) else datetime.fromisoformat(str(value))
    return moment.strftime(str(pattern))


def _unknown(name: str, known: Iterable[str]) -> TemplateError:
    names = ", ".join(sorted(map(str, known))) or "no variables"
    sentence = f"the template uses '{name}', which this message does not have; it has: {names}"
    return TemplateError(sentence, variable=name)


def _where(error: Exception) -> str:
    token = error.token if isinstance(error, LiquidError) else None
    return f" on line {token.source.count(chr(10), 0, token.start_index) + 1}" if token else ""


def _reason(error: Exception) -> str:
    cause = error.__cause__ or error
    if isinstance(cause, RecursionError):
        return "it is nested too deeply"
    return str(error.message if isinstance(error, LiquidError) else error) or type(error).__name__


_PLAIN = Sandbox()
