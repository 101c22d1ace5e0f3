"""`tidings demo shop`: two shops side by side, and a STOP to one of them."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from tidings import log
from tidings.cli import app

pytestmark = pytest.mark.long


def test_the_day_adds_up_and_a_stop_to_one_shop_leaves_the_other_one_writing() -> None:
    try:
        played = CliRunner().invoke(app, ["demo", "shop", "--recipients", "200"])
    finally:
        log.configure(level="DEBUG", json=True)
    assert played.exit_code == 0, played.output
    assert "Every message is accounted for." in played.output
    assert "0  from Blossom after that" in played.output
    assert "1  from Cinder after that" in played.output
    assert "told:  Blossom: you are unsubscribed" in played.output
