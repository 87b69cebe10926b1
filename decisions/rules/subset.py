"""What of CEL a rule may call, what is refused by name, and constants computed at build time.

In: a function's name or its written arguments. Out: what to complain of, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from decisions.errors import EvaluationError
from decisions.rules.functions import FUNCTIONS, METHODS, Overload, pattern, zone
from decisions.rules.names import nearest
from decisions.rules.parser import MESSAGE
from decisions.rules.syntax import Expr, Literal
from decisions.rules.values import kind_of

REFUSED = {
    "uint": "unsigned integers are",
    "bytes": "bytes are",
    "type": "type() is",
    "dyn": "dyn() is",
    MESSAGE: "messages are",
}
# Of the extensions that other engines ship: strings, math, lists, optionals, encoders, bindings.
EXTENSIONS = frozenset(
    {"charAt", "indexOf", "join", "lastIndexOf", "lowerAscii", "upperAscii", "replace", "split"}
    | {"substring", "trim", "format", "quote", "reverse", "sort", "sortBy", "slice", "flatten"}
    | {"distinct", "first", "last", "range", "optMap", "optFlatMap", "orValue", "hasValue"}
    | {"greatest", "least", "abs", "ceil", "floor", "round", "sign", "trunc", "bind"}
    | {"transformList", "transformMap", "transformMapEntry", "encode", "decode"}
)

# CEL's types are values too: `type(x) == int`.
TYPES = frozenset(
    {"bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type", "dyn"}
)

# Functions whose written last argument can be wrong whatever the others are.
_ARGUMENTS: dict[str, Callable[[str], Any]] = {
    "matches": pattern,
    **{name: zone for name in METHODS if name.startswith("get")},
}


def refusal(name: str) -> tuple[str, str]:
    """Message and code for a function that is not there, or not in the form it was called in."""
    if name in REFUSED:
        return f"{REFUSED[name]} not part of a rule's CEL", "unsupported"
    if name in EXTENSIONS:
        return f"{name}() is an extension of CEL that rules do not have", "unsupported"
    if name in FUNCTIONS or name in METHODS:
        form = f"x.{name}(…)" if name in METHODS else f"{name}(x)"
        return f"expected the form {form}", "unknown-function"
    meant = nearest(name, {*FUNCTIONS, *METHODS})
    hint = f", did you mean {meant}()?" if meant else f" {name}()"
    return f"unknown function{hint}", "unknown-function"


def constant_problem(name: str, parts: Sequence[Expr], overloads: Sequence[Overload]) -> str:
    """Why a call with written arguments always fails: a bad duration is an error of the build."""
    values = [part.value for part in parts if isinstance(part, Literal)]
    kinds = tuple(kind_of(value) for value in values)
    try:
        if len(values) == len(parts):
            next(overload for overload in overloads if overload.args == kinds).call(*values)
        elif values and name in _ARGUMENTS and isinstance(parts[-1], Literal):
            _ARGUMENTS[name](str(values[-1]))
    except EvaluationError as error:
        return str(error)
    return ""
