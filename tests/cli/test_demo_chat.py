"""`tidings demo chat` in a pipe: it plays a chat through all queues and accounts for every message."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.long
def test_the_scripted_chat_accounts_for_every_message(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tidings", "demo", "chat", "--seconds", "5"]
    done = subprocess.run(
        command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every burst was answered once" in done.stdout
    assert "not sent, since STOP was said to it" in done.stdout
    assert "stopped what that one starts, and nobody else's" in done.stdout
    assert "Not as it should be" not in done.stdout
