"""Finds the triggers: every module of a package, when the feature is put together."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType

from tidings.errors import ConfigurationError
from tidings.features.proactive import triggers
from tidings.features.proactive.states import ContactState, Suggestion

MAX_TYPE = 64


@dataclass(frozen=True, slots=True)
class Trigger:
    """A function of a contact's state, the type of its messages, and when it writes in a sentence."""

    message_type: str
    description: str
    evaluate: Callable[[ContactState, datetime], Iterable[Suggestion]]


def find_triggers(package: ModuleType = triggers) -> tuple[Trigger, ...]:
    """The triggers of a package, in order of their files' names.

    Raises ConfigurationError for a file that lacks something or has the message type of another one.
    """
    found: dict[str, Trigger] = {}
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        trigger = _trigger(importlib.import_module(info.name))
        if trigger.message_type in found:
            raise ConfigurationError(
                f"{info.name}: another trigger has MESSAGE_TYPE {trigger.message_type!r}; give it its own."
            )
        found[trigger.message_type] = trigger
    return tuple(found.values())


def _trigger(module: ModuleType) -> Trigger:
    kind, evaluate = getattr(module, "MESSAGE_TYPE", None), getattr(module, "evaluate", None)
    if not isinstance(kind, str) or not 0 < len(kind) <= MAX_TYPE:
        raise ConfigurationError(f"{module.__name__} is no trigger: give it a MESSAGE_TYPE of 1 to 64 characters.")
    if not callable(evaluate):
        raise ConfigurationError(f"{module.__name__} is no trigger: give it evaluate(state, now).")
    if not module.__doc__:
        raise ConfigurationError(f"{module.__name__} is no trigger: say in its docstring when it writes.")
    return Trigger(kind, module.__doc__.strip().splitlines()[0], evaluate)
