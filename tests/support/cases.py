"""Tables of cases that one test goes through. For plain functions, a test for each case costs more than the case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from inspect import signature
from reprlib import Repr
from typing import Any

import pytest

Ids = Sequence[str] | Callable[[Any], object] | None
Test = Callable[..., None]

_CASE = "case: "
_short = Repr()
_short.maxstring = _short.maxother = 120


def every_case(names: str | Sequence[str], table: Iterable[Any], *, ids: Ids = None) -> Callable[[Test], Test]:
    """Makes one test of all cases, where `pytest.mark.parametrize`, called alike, makes one of each.

    Every case is checked, also after one that failed; then the failures are raised together, each with its case.
    All cases share the test's fixtures, so this is for those that leave nothing behind.
    """
    arguments = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    rows = [_row(arguments, case, number, ids) for number, case in enumerate(table)]
    assert rows, "a table without a case checks nothing"

    def decorate(test: Test) -> Test:
        @wraps(test)
        def check(**fixtures: Any) -> None:
            errors = [error for name, values in rows if (error := _failure(test, name, {**fixtures, **values}))]
            if errors:
                failed = " | ".join(error.__notes__[-1].removeprefix(_CASE) for error in errors)
                raise ExceptionGroup(f"{len(errors)} of {len(rows)} cases failed: {failed}", errors)

        declared = signature(test)
        missing = set(arguments) - set(declared.parameters)
        assert not missing, f"{test.__name__} takes no {', '.join(sorted(missing))}"
        others = [value for name, value in declared.parameters.items() if name not in arguments]
        check.__signature__ = declared.replace(parameters=others)  # type: ignore[attr-defined]
        return check

    return decorate


def _row(arguments: list[str], case: Any, number: int, ids: Ids) -> tuple[str, dict[str, Any]]:
    name = None
    if isinstance(case, type(pytest.param())):
        assert not case.marks, "a case of a table cannot have marks of its own"
        name, case = case.id, case.values if len(arguments) > 1 else case.values[0]
    values = list(case) if len(arguments) > 1 else [case]
    assert len(values) == len(arguments), f"case {number} has {len(values)} values for {len(arguments)} arguments"
    if name is None and ids is not None:
        name = "-".join(str(ids(value)) for value in values) if callable(ids) else ids[number]
    return str(name or ", ".join(map(_short.repr, values))), dict(zip(arguments, values, strict=True))


def _failure(test: Test, name: str, arguments: dict[str, Any]) -> Exception | None:
    try:
        test(**arguments)
    except pytest.fail.Exception as error:  # such as: did not raise
        failure: Exception = AssertionError(str(error)).with_traceback(error.__traceback__)
    except Exception as error:
        failure = error
    else:
        return None
    failure.add_note(f"{_CASE}{name}")
    return failure
