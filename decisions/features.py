"""The builder's schema: what a segment or a score may read of one customer.

Pure words, no data: `compiling` checks segments against it, `snapshots.build` computes what it
names. Everything is as of the build's moment (`now`).

    purchases.first_at, purchases.last_at     timestamp; absent for who never bought
    purchases.orders|lines|spend|saved[w]     over the window w: "7d", "30d", "90d", "365d", "all"
    purchases.weeks[w]                        weeks (7 days, counted back from now) with an order
    purchases.weekday[d]                      orders by day, "mon" ... "sun", over the last 365 days
    orders_W[c], lines_W[c], spend_W[c]       the same per category, W the window: spend_90d["pet"]
    traits.*, scores.*                        as the playbook declares them

Money (`spend`, `saved`) is in the feed's currency, e.g. 12.5. A window, day or category without a
purchase counts as 0, and is no key of its map.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from decisions.consent import AUTHENTICATED, NEEDS, PERSONALIZATION, SENSITIVE, mask
from decisions.playbook import AttributeDecl, Settings
from decisions.schema import MAP_DOUBLE, MAP_INT, TIMESTAMP, TYPES, Attribute, Schema

DAY_S = 86_400
WINDOWS: dict[str, int] = {  # name → seconds back from now; 0: everything
    "7d": 7 * DAY_S,
    "30d": 30 * DAY_S,
    "90d": 90 * DAY_S,
    "365d": 365 * DAY_S,
    "all": 0,
}
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEKDAY_WINDOW = "365d"

TOTALS: dict[str, str] = {  # measure → type of the map `purchases.<measure>`, keyed by window
    "orders": MAP_INT,
    "lines": MAP_INT,
    "spend": MAP_DOUBLE,
    "saved": MAP_DOUBLE,
    "weeks": MAP_INT,
}
PER_CATEGORY: dict[str, str] = {"orders": MAP_INT, "lines": MAP_INT, "spend": MAP_DOUBLE}
OWN_PREFIXES = ("traits.", "scores.")  # which of the playbook's attributes the builder fills


class FeatureSchema(Schema, frozen=True):
    """A Schema of values computed over everything a customer did, whatever was granted.

    At the edge a sensitive key that is not granted is simply not there; here all are. So a read of
    a whole map or tainted value needs what its most sensitive key needs.
    """

    def needs(self, name: str, key: str | None = None) -> int:
        """The bits needed to read attribute `name`, or its map key `key`."""
        bits = super().needs(name, key)
        dimension = self.attributes[name].dimension
        if key is None and self.sensitive.get(dimension):
            bits |= SENSITIVE
        return bits


def category_attribute(measure: str, window: str) -> str:
    """The name of a per-category map: `spend_90d`."""
    return f"{measure}_{window}"


def attribute_of(name: str, decl: AttributeDecl) -> Attribute | None:
    """A declared attribute, or None if its declaration cannot be read (`compiling` says why)."""
    purposes = [decl.purpose] if isinstance(decl.purpose, str) else decl.purpose
    if decl.type not in TYPES or not NEEDS.keys() >= set(purposes):
        return None
    needs = mask(purposes) | (AUTHENTICATED if decl.needs == "authenticated" else 0)
    return Attribute(name, decl.type, needs, dimension=decl.dimension, html=decl.html)


def feature_schema(
    settings: Settings, catalogue: Mapping[str, Iterable[str]] | None = None
) -> FeatureSchema:
    """What segments of this playbook may read.

    catalogue: dimension → its values, as `compile_playbook` takes it; with its `category`, a key
    that is none of them is an unknown name.
    """
    attributes = [
        Attribute("now", TIMESTAMP),
        Attribute("purchases.first_at", TIMESTAMP, PERSONALIZATION),
        Attribute("purchases.last_at", TIMESTAMP, PERSONALIZATION),
        Attribute("purchases.weekday", MAP_INT, PERSONALIZATION, zero=True),
    ]
    members: dict[str, dict[str, int]] = {"purchases.weekday": dict.fromkeys(WEEKDAYS, 0)}
    for measure, type_ in TOTALS.items():
        name = f"purchases.{measure}"
        attributes.append(Attribute(name, type_, PERSONALIZATION, zero=True))
        members[name] = dict.fromkeys(WINDOWS, 0)
    tainted = frozenset(settings.sensitive_values.get("category", ()))
    known = {
        key: SENSITIVE if key in tainted else 0 for key in (catalogue or {}).get("category", ())
    }
    for measure, type_ in PER_CATEGORY.items():
        for window in WINDOWS:
            name = category_attribute(measure, window)
            attributes.append(
                Attribute(name, type_, PERSONALIZATION, zero=True, dimension="category")
            )
            if known:
                members[name] = known
    for name, decl in settings.attributes.items():
        if name.startswith(OWN_PREFIXES) and (own := attribute_of(name, decl)):
            attributes.append(own)
    return FeatureSchema(
        {attribute.name: attribute for attribute in attributes},
        members,
        {name: frozenset(values) for name, values in settings.sensitive_values.items()},
    )
