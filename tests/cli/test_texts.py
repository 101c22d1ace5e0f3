"""`tidings segments`, as people type it."""

from __future__ import annotations

from typer.testing import CliRunner

from tidings.cli import app


def test_a_typographic_apostrophe_is_named_with_what_to_write_instead() -> None:
    shown = CliRunner().invoke(app, ["segments", "We’re open " + "x" * 100])
    assert shown.exit_code == 0
    assert "RIGHT SINGLE QUOTATION MARK" in shown.output
    assert "Plain: We're open" in shown.output


def test_a_plain_text_is_counted_without_a_rewrite() -> None:
    shown = CliRunner().invoke(app, ["segments", "We are open"])
    assert shown.exit_code == 0
    assert "1 SMS" in shown.output
    assert "Plain" not in shown.output
