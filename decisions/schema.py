"""What a rule may read: attributes, their types, the purposes they need, what unknown counts as.

Names of attributes are dotted paths (`geo.country`); sets and maps (`segments`, `interest`) are
one attribute whose members and keys may need more than the whole (a sensitive category, a segment
computed from one).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from decisions.consent import FUNCTIONAL, PERSONALIZATION, SENSITIVE

# The types of attributes. "set" holds strings; maps are keyed by strings. Facts carry timestamps
# and durations in seconds (float); rules see CEL's own types.
BOOL, INT, DOUBLE, STRING = "bool", "int", "double", "string"
TIMESTAMP, DURATION = "timestamp", "duration"
SET, MAP_INT, MAP_DOUBLE = "set", "map<int>", "map<double>"
TYPES = (BOOL, INT, DOUBLE, STRING, TIMESTAMP, DURATION, SET, MAP_INT, MAP_DOUBLE)

INTEREST = "interest."  # before a field of events: interest in its values alone

# What a granted, unknown collection is.
EMPTY: dict[str, Any] = {SET: frozenset(), MAP_INT: {}, MAP_DOUBLE: {}}


class Attribute(msgspec.Struct, frozen=True):
    """A typed fact.

    needs: bits of `consent.NEEDS`. zero: granted but unknown, it counts as 0 (for a map: each
    unknown key); otherwise a scalar is absent. dimension: the `sensitive_values` list whose words
    taint its keys or values. most: the highest that it, or the value of a key, can be (of a set,
    how many members); 0 where nothing is known of that.
    """

    name: str
    type: str
    needs: int = 0
    zero: bool = False
    dimension: str = ""
    html: bool = False
    most: int = 0


def _group(type_: str, needs: int, names: str, *, zero: bool = False) -> list[Attribute]:
    return [Attribute(name, type_, needs, zero) for name in names.split()]


BUILT_IN: tuple[Attribute, ...] = (
    *_group(STRING, 0, "geo.country geo.region geo.continent geo.city"),
    *_group(STRING, 0, "device.kind device.os device.browser"),
    *_group(STRING, 0, "page.path referrer.host locale time.weekday time.date"),
    *_group(STRING, 0, "utm.source utm.medium utm.campaign utm.term utm.content"),
    Attribute("page.category", STRING, 0, dimension="category"),
    *_group(STRING, 0, "local.zone local.weekday local.date"),
    *_group(INT, 0, "time.hour local.hour"),
    *_group(TIMESTAMP, 0, "now"),
    *_group(INT, FUNCTIONAL, "cart.items cart.lines", zero=True),
    *_group(SET, FUNCTIONAL, "cart.products"),
    *_group(DOUBLE, FUNCTIONAL, "cart.value"),
    *_group(TIMESTAMP, FUNCTIONAL, "cart.updated_at"),
    *_group(BOOL, PERSONALIZATION, "visitor.new"),
    *_group(INT, PERSONALIZATION, "visitor.visits", zero=True),
    *_group(TIMESTAMP, PERSONALIZATION, "visitor.first_seen session.started_at"),
    *_group(DOUBLE, PERSONALIZATION, "session.seconds"),
    *_group(STRING, PERSONALIZATION, "session.campaign"),
    Attribute("session.views", MAP_INT, PERSONALIZATION, dimension="category"),
    Attribute("interest", MAP_DOUBLE, PERSONALIZATION, dimension="category"),
    Attribute("counts", MAP_INT, PERSONALIZATION, zero=True),
    *_group(SET, PERSONALIZATION, "segments tags"),
)


class Schema(msgspec.Struct, frozen=True):
    """The attributes of one playbook.

    members: for a set attribute or a declared map, the names it may hold with what each needs *in
    all* (`{"segments": {"loyal": PERSONALIZATION}, "tags": {...}, "counts": {...}}`); a set or map
    that is not listed is open. sensitive: dimension → the values that need `SENSITIVE` on top.
    """

    attributes: dict[str, Attribute]
    members: dict[str, dict[str, int]] = {}
    sensitive: dict[str, frozenset[str]] = {}

    def needs(self, name: str, key: str | None = None) -> int:
        """The bits needed to read attribute `name`, or its member or map key `key`."""
        attribute = self.attributes[name]
        if key is None:
            return attribute.needs
        if (members := self.members.get(name)) is not None:
            return attribute.needs | members.get(key, 0)
        tainted = key in self.sensitive.get(attribute.dimension, ())
        return attribute.needs | SENSITIVE if tainted else attribute.needs

    def roots(self) -> frozenset[str]:
        """The first words of all attribute names: what an unknown name is compared with."""
        return frozenset(name.split(".", 1)[0] for name in self.attributes)


def schema_of(
    declared: Iterable[Attribute] = (),
    members: Mapping[str, Mapping[str, int]] | None = None,
    sensitive: Mapping[str, Iterable[str]] | None = None,
    query_keys: Iterable[str] = (),
) -> Schema:
    """The built-in attributes, then the site's own, which may not redefine a built-in one's
    type."""
    attributes = {attribute.name: attribute for attribute in BUILT_IN}
    attributes |= {
        f"page.query.{key}": Attribute(f"page.query.{key}", STRING) for key in query_keys
    }
    attributes |= {attribute.name: attribute for attribute in declared}
    return Schema(
        attributes,
        {name: dict(needs) for name, needs in (members or {}).items()},
        {name: frozenset(values) for name, values in (sensitive or {}).items()},
    )
