"""A table that is gone through in one test checks every case and names all that fail."""

from __future__ import annotations

import pytest

from support.cases import every_case


def test_every_case_is_checked_and_each_that_fails_is_named_with_its_reason() -> None:
    checked: list[int] = []

    @every_case(
        ("number", "square"), [(1, 1), (2, 5), pytest.param(3, 9, id="three"), pytest.param(4, 17, id="four")]
    )
    def squares(number: int, square: int) -> None:
        checked.append(number)
        assert number**2 == square

    with pytest.raises(ExceptionGroup) as caught:
        squares()
    assert checked == [1, 2, 3, 4]
    assert caught.value.message == "2 of 4 cases failed: 2, 5 | four"
    assert [(str(error).splitlines()[0], error.__notes__) for error in caught.value.exceptions] == [
        ("assert (2 ** 2) == 5", ["case: 2, 5"]),
        ("assert (4 ** 2) == 17", ["case: four"]),
    ]


def test_a_case_that_raises_nothing_where_it_should_fails_too() -> None:
    @every_case("text", ["1", "one"], ids=["digit", "word"])
    def no_numbers(text: str) -> None:
        with pytest.raises(ValueError, match="invalid literal"):
            int(text)

    with pytest.raises(ExceptionGroup, match="1 of 2 cases failed: digit"):
        no_numbers()


@every_case("first", [1, 2])
@every_case("second", [3, 4])
def test_tables_multiply_and_leave_fixtures_to_pytest(
    first: int, second: int, request: pytest.FixtureRequest
) -> None:
    assert first < second
    assert request.node.name == "test_tables_multiply_and_leave_fixtures_to_pytest"


def test_a_table_names_arguments_that_its_test_has() -> None:
    with pytest.raises(AssertionError, match="takes no text"):
        every_case("text", [1])(lambda number: None)
    with pytest.raises(AssertionError, match="without a case"):
        every_case("text", [])
    with pytest.raises(AssertionError, match="case 1 has 3 values for 2 arguments"):
        every_case("one, two", [(1, 2), (1, 2, 3)])
