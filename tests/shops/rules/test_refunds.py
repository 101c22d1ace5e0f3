"""What is left of an order after its refunds, whatever they say and however often they are told."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidings.features.shops.rules.refunds import (
    is_paid_back,
    note_refunds,
    read_refund,
    refunded,
    returned_lines,
    without_returned,
)

AMOUNTS = st.decimals(min_value=-5, max_value=500, places=2).map(str) | st.sampled_from(["", "a lot", "NaN", None])
LINES = st.fixed_dictionaries(
    {
        "line_item_id": st.integers(min_value=1, max_value=3),
        "quantity": st.integers(min_value=-1, max_value=4),
        "line_item": st.none() | st.fixed_dictionaries({"quantity": st.integers(min_value=0, max_value=4)}),
    }
)
REFUNDS = st.fixed_dictionaries(
    {
        "id": st.integers(min_value=1, max_value=4),
        "transactions": st.lists(
            st.fixed_dictionaries(
                {
                    "kind": st.just("refund"),
                    "status": st.just("success"),
                    "amount": AMOUNTS,
                    "currency": st.just("USD"),
                }
            ),
            max_size=2,
        ),
        "refund_line_items": st.lists(LINES, max_size=3),
    }
)
ORDER: dict[str, Any] = {
    "name": "#1",
    "line_items": [
        {"id": str(number), "title": f"Item {number}", "quantity": 2, "price": None, "sku": None, "ships": True}
        for number in (1, 2, 3)
    ],
}


@given(st.lists(REFUNDS, max_size=5))
def test_a_refund_told_again_changes_nothing_and_totals_only_go_down(raw: list[dict[str, Any]]) -> None:
    refunds = [read_refund(one) for one in raw]
    once = note_refunds(None, refunds, "USD")
    again = note_refunds(json.loads(json.dumps(once)), refunds, "USD")
    assert again == once
    assert refunded(once) >= 0
    assert returned_lines(again) == returned_lines(once)


@given(st.lists(REFUNDS, max_size=5))
def test_what_is_left_is_what_did_not_come_back(raw: list[dict[str, Any]]) -> None:
    kept = note_refunds(None, [read_refund(one) for one in raw], "USD")
    total, gone = Decimal(100), returned_lines(kept)
    left = without_returned(ORDER, kept, total)
    if is_paid_back(kept, total) or gone >= {"1", "2", "3"}:
        assert left is None
    else:
        assert left is not None
        assert {line["id"] for line in left["line_items"]} == {"1", "2", "3"} - gone
        assert left.get("name") == "#1"


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=2)))
def test_a_refund_whose_parts_are_anything_is_read_as_one_of_nothing(odd: Any) -> None:
    refund = read_refund({"id": odd, "transactions": odd, "refund_line_items": odd})
    assert (refund.amount, refund.lines) == (None, ())
