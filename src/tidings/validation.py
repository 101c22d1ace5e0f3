"""What is wrong with data that people give, in sentences; an unknown name is told with the nearest right one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

MOST_OFFERED = 25
"""Most right names that are all listed where none is near."""

_LONGEST_COMPARED, _LONGEST_PATH, _LONGEST_SENTENCE = 100, 200, 300  # names may be megabytes


def nearest(name: str, known: tuple[str, ...], *, alike: float = 0.6) -> str | None:
    """The one of the `known` names that `name` most likely stands for, None when none is near.

    Capitals and signs are not compared, so `afterId` is `after_id`. `alike` is from 0 to 1 (difflib's ratio).
    """
    return _nearest(name[:_LONGEST_COMPARED], known, alike)


@lru_cache(maxsize=1024)
def _nearest(name: str, known: tuple[str, ...], alike: float) -> str | None:
    plain = _by_plain_name(known)
    found = get_close_matches(_plain(name), plain, n=1, cutoff=alike)
    return plain[found[0]] if found else None


def offer(name: str, known: Collection[str], *, taker: str = "it") -> str:
    """The end of a sentence about an unknown name: "; did you mean limit?", or what `taker` takes."""
    near = nearest(name, tuple(known))
    if near:
        return f"; did you mean {near}?"
    names = list(_by_plain_name(known).values())
    return f"; {taker} takes {', '.join(names) or 'none'}" if len(names) <= MOST_OFFERED else ""


def sentence(error: Mapping[str, Any], kind: Any, path: Sequence[str | int]) -> str:
    """One of pydantic's errors, at `path` of data of the type `kind`; it goes on where the field's name ends."""
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            name, known = str(path[-1]), names_below(kind, path[:-1])
            return _short(f"is not a known field{offer(name, known, taker='the object')}", _LONGEST_SENTENCE)
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a JSON object"
    message = re.sub(r"^(Value error, |Assertion failed, |value (?=is ))", "", error["msg"])
    return _short(re.sub(r"^[A-Z]\w*( input)? should ", "must ", message), _LONGEST_SENTENCE)


def dotted(path: Sequence[str | int]) -> str:
    """`("sessions", 3, "end_time")` → `sessions.3.end_time`."""
    return _short(".".join(str(part) for part in path), _LONGEST_PATH)


def names_below(kind: Any, path: Sequence[str | int]) -> list[str]:
    """The names of all fields that an object may have at `path` of data of the type `kind`, aliases as well."""
    return [name for model in _models_at(kind, path) for _, names in _fields_of(model) for name in names]


def _fields_of(model: type[BaseModel]) -> Iterator[tuple[FieldInfo, list[str]]]:
    """The fields, each with the names by which it may be given."""
    by_name = model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name")
    for own, field in model.model_fields.items():
        given = field.validation_alias or field.alias
        aliases = given.choices if isinstance(given, AliasChoices) else [given]
        names = [alias for alias in aliases if isinstance(alias, str)]
        yield field, names if names and not by_name else [*names, own]


def _models_at(kind: Any, path: Sequence[str | int]) -> Iterator[type[BaseModel]]:
    """The models that data at `path` may be of, where the whole is of the type `kind`."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if not path:
            yield kind
        elif path[0] == kind.__name__:  # which of a union's models it would have been
            yield from _models_at(kind, path[1:])
        else:
            for field, names in _fields_of(kind):
                if path[0] in names:
                    yield from _models_at(field.annotation, path[1:])
        return
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        yield from _models_at(parts[0], path)
    elif origin in (Union, UnionType):
        for part in parts:
            yield from _models_at(part, path)
    elif path:  # a list or a dictionary, of which the path has the index or the key
        for part in parts:
            yield from _models_at(part, path[1:])


def _by_plain_name(names: Collection[str]) -> dict[str, str]:
    plain: dict[str, str] = {}
    for name in names:
        plain.setdefault(_plain(name), name)
    return plain


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
