"""Adding a trigger is adding a file; a file that is no trigger is named when the feature is put together."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tidings.errors import ConfigurationError
from tidings.features.proactive.discovery import find_triggers

GOOD = '"""It is raining.\n\nMore about it."""\nMESSAGE_TYPE = "rain"\ndef evaluate(state, now):\n    return []\n'


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An importable package without modules."""
    folder = tmp_path / "some_triggers"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "some_triggers"]:
        del sys.modules[name]


def load(folder: Path) -> ModuleType:
    importlib.invalidate_caches()
    return importlib.import_module(folder.name)


def test_tidings_has_the_triggers_of_the_specification_each_with_a_sentence() -> None:
    found = {trigger.message_type: trigger.description for trigger in find_triggers()}
    assert set(found) == {"check_in", "stalled_goal", "silence_after_event", "anniversary"}
    assert all(sentence.endswith(".") for sentence in found.values())


def test_a_new_file_is_a_new_trigger(package: Path) -> None:
    (package / "rain.py").write_text(GOOD)
    [trigger] = find_triggers(load(package))
    assert (trigger.message_type, trigger.description) == ("rain", "It is raining.")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (GOOD.replace("MESSAGE_TYPE", "KIND"), "MESSAGE_TYPE"),
        (GOOD.replace('"rain"', "7"), "MESSAGE_TYPE"),
        (GOOD.replace('"rain"', "'x' * 65"), "MESSAGE_TYPE"),
        (GOOD.replace("def evaluate", "def look"), "evaluate"),
        (GOOD[GOOD.index("MESSAGE") :], "docstring"),
    ],
)
def test_a_file_that_is_no_trigger_is_named_with_what_it_lacks(package: Path, source: str, sentence: str) -> None:
    (package / "broken.py").write_text(source)
    with pytest.raises(ConfigurationError, match=f"some_triggers.broken.*{sentence}"):
        find_triggers(load(package))


def test_two_triggers_with_one_message_type_are_refused(package: Path) -> None:
    (package / "a.py").write_text(GOOD)
    (package / "b.py").write_text(GOOD)
    with pytest.raises(ConfigurationError, match="'rain'"):
        find_triggers(load(package))
