"""A plain value against the struct it should become: every mismatch at once, each with its path.

msgspec stops at the first mismatch; people want them all. What passes here, `msgspec.convert`
accepts.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from msgspec import inspect

Path = tuple[str | int, ...]


class Mismatch(NamedTuple):
    """code: `unknown-key`, `missing-key` or `wrong-type`; path: of the value, or of the key."""

    code: str
    message: str
    path: Path


def mismatches(value: Any, type_: Any, path: Path = ()) -> Iterator[Mismatch]:
    """Everything that keeps `value` from being a `type_`, in the order it was written."""
    yield from _against(value, inspect.type_info(type_), path)


def _against(value: Any, info: Any, path: Path) -> Iterator[Mismatch]:
    if isinstance(info, inspect.UnionType):
        info = _meant(value, info)
    yield from SHAPES.get(type(info), _scalar)(value, info, path)


def _scalar(value: Any, info: Any, path: Path) -> Iterator[Mismatch]:
    kinds, wanted = SCALARS[type(info)]
    if type(value) not in kinds:
        yield _wrong(value, wanted, path)


def _anything(value: Any, info: inspect.AnyType, path: Path) -> Iterator[Mismatch]:
    return iter(())


def _word(value: Any, info: inspect.LiteralType, path: Path) -> Iterator[Mismatch]:
    if value not in info.values:
        yield _wrong(value, " or ".join(map(str, info.values)), path)


def _map(value: Any, info: inspect.DictType, path: Path) -> Iterator[Mismatch]:
    if not isinstance(value, dict):
        yield _wrong(value, "a map", path)
        return
    for key, item in value.items():
        yield from _against(item, info.value_type, (*path, key))


def _list(value: Any, info: inspect.ListType, path: Path) -> Iterator[Mismatch]:
    if not isinstance(value, list):
        yield _wrong(value, "a list", path)
        return
    for place, item in enumerate(value):
        yield from _against(item, info.item_type, (*path, place))


def _struct(value: Any, info: inspect.StructType, path: Path) -> Iterator[Mismatch]:
    fields = {field.encode_name: field for field in info.fields}
    if not isinstance(value, dict):
        yield _wrong(value, f"a map of {', '.join(fields)}", path)
        return
    for key, item in value.items():
        if key in fields:
            yield from _against(item, fields[key].type, (*path, key))
        else:
            words = {**SYNONYMS, **{name: name for name in fields}}
            known = [word for word, meant in words.items() if meant in fields]
            near = difflib.get_close_matches(key, known, 1)
            hint = f", did you mean {words[near[0]]}" if near else ""
            expected = f"expected one of {', '.join(fields)}"
            yield Mismatch("unknown-key", f"unknown key {key}{hint}; {expected}", (*path, key))
    for key, field in fields.items():
        if field.required and key not in value:
            yield Mismatch("missing-key", f"expected the key {key}, got none", path)


def _meant(value: Any, info: inspect.UnionType) -> Any:
    """The member of a union that has the shape of the value; the first one if none has."""
    for member in info.types:
        shape, _ = SCALARS.get(type(member), ((), ""))
        if isinstance(member, (inspect.StructType, inspect.DictType)):
            shape = (dict,)
        elif isinstance(member, inspect.ListType):
            shape = (list,)
        if type(value) in shape:
            return member
    return next(member for member in info.types if not isinstance(member, inspect.NoneType))


def _wrong(value: Any, wanted: str, path: Path) -> Mismatch:
    return Mismatch("wrong-type", f"expected {wanted}, got {said(value)}", path)


def said(value: Any) -> str:
    """A value in the words of an error message."""
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    return f"the text {value!r}" if isinstance(value, str) else f"the number {value}"


SCALARS: dict[type, tuple[tuple[type, ...], str]] = {
    inspect.StrType: ((str,), "text (in quotes, if it looks like something else)"),
    inspect.IntType: ((int,), "a whole number"),
    inspect.FloatType: ((int, float), "a number"),
    inspect.BoolType: ((bool,), "true or false"),
    inspect.NoneType: ((type(None),), "nothing"),
}

# What people call our keys who come from other tools.
SYNONYMS = {
    "priority": "band",
    "if": "when",
    "condition": "when",
    "fragment": "show",
    "event": "on",
    "start": "from",
    "end": "until",
    "description": "about",
}

SHAPES: dict[type, Callable[[Any, Any, Path], Iterator[Mismatch]]] = {
    inspect.StructType: _struct,
    inspect.DictType: _map,
    inspect.ListType: _list,
    inspect.LiteralType: _word,
    inspect.AnyType: _anything,
}
