"""sources.yaml: which column of which file is what, read strictly, with the place of every word.

Nothing here reads a row. The builder knows customers, orders, items, times and money; what a feed
calls them is written in `sources.yaml` and nowhere in the code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from decisions.errors import PlaybookErrors, Position, Problem
from decisions.findings import suggestion
from snapshots.build.shapes import mismatches
from snapshots.build.yaml12 import Document, load

FILE = "sources.yaml"
OTHERS = "*"  # in a value map: whatever else comes
MAX_TOP = 16  # interests per customer: more would not fit a cookie
BOUGHT = ("purchase",)  # what an event that says the same as a line of purchases is mostly called
MAX_LINE = 100.0  # one line of a hundred views' weight drowns whatever is looked at


class _Mapped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A typo such as `colunms` is refused, not ignored."""


class Bounds(_Mapped, frozen=True):
    """Both ends included; None is no bound."""

    min: float | None = None
    max: float | None = None


class PurchaseColumns(_Mapped, frozen=True):
    """amount: what the line cost in all, in the feed's currency; saved: what discounts took off."""

    customer: str
    order: str
    item: str
    at: str
    amount: str
    quantity: str = ""
    saved: str | list[str] = []


class Keep(_Mapped, frozen=True):
    """What a possible line looks like; what lies outside is counted and left out."""

    quantity: Bounds = Bounds()
    amount: Bounds = Bounds()


class Purchases(_Mapped, frozen=True):
    """files: one name or several, patterns included, below the data folder."""

    files: str | list[str]
    columns: PurchaseColumns
    keep: Keep = Keep()


class CatalogueColumns(_Mapped, frozen=True):
    """stock: how many there are, or whether there are any."""

    item: str
    name: str = ""
    brand: str = ""
    size: str = ""
    stock: str = ""


class CategoryMap(_Mapped, frozen=True):
    """The feed's words → the shop's: looked up by the first column, then by the next inside it."""

    columns: list[str]
    map: dict[str, Any]


class Catalogue(_Mapped, frozen=True):
    """category: a column that holds the shop's own keys, or a map to them."""

    files: str | list[str]
    columns: CatalogueColumns
    category: str | CategoryMap


class Trait(_Mapped, frozen=True):
    """map: the feed's words → the playbook's; without one they stay as they are."""

    column: str
    map: dict[str, str | None] | None = None


class CustomerColumns(_Mapped, frozen=True):
    customer: str


class Customers(_Mapped, frozen=True):
    files: str | list[str]
    columns: CustomerColumns
    traits: dict[str, Trait] = {}


class Interests(_Mapped, frozen=True):
    """line: what a purchased line weighs when it is bought; top: how many a customer keeps. bought:
    the events that purchases tell of, too: they add nothing to a category a second time."""

    line: float = 0.5
    top: int = 8
    bought: list[str] = msgspec.field(default_factory=lambda: [*BOUGHT])


class Sources(_Mapped, frozen=True):
    """scores: name → CEL over the features that segments read, a double."""

    purchases: Purchases
    catalogue: Catalogue
    customers: Customers | None = None
    interests: Interests = Interests()
    scores: dict[str, str] = {}


class Written(msgspec.Struct, frozen=True):
    """sources.yaml and the place of every word of it."""

    sources: Sources
    document: Document

    def problem(self, code: str, message: str, *path: str | int) -> Problem:
        """A problem that shows the word of sources.yaml at `path`, or the nearest around it."""
        typed = self.document.written.get(path, "").split("\n", 1)[0]
        return self.document.problem(code, message, self.document.where(path), max(1, len(typed)))


def read_sources(folder: Path) -> Written:
    """The sources of a playbook. Raises PlaybookErrors with everything that is wrong in the file:
    not there, not YAML, not as it should be."""
    try:
        text = (folder / FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "other bytes"
        what = f"expected a file that says which column is what, got {reason}"
        raise PlaybookErrors(
            [Problem(code="no-sources", message=what, at=Position(FILE))]
        ) from None
    document = load(text, FILE)
    problems = list(document.problems) or [
        document.problem(found.code, found.message, document.where(found.path))
        for found in mismatches(document.value, Sources)
    ]
    if problems:
        raise PlaybookErrors(problems)
    written = Written(msgspec.convert(document.value, Sources), document)
    if problems := list(_meaningless(written)):
        raise PlaybookErrors(problems)
    return written


def check_bought(written: Written, events: Iterable[str]) -> None:
    """Raises PlaybookErrors for a word of `interests.bought` that is none of a playbook's events.
    Nobody wrote the default: a playbook may have no such event."""
    bought, known = written.sources.interests.bought, sorted(events)
    problems = [
        written.problem(
            "unknown-event",
            f'no signal of playbook.yaml is for "{word}"{suggestion(word, known)}',
            *("interests", "bought", place),
        )
        for place, word in enumerate(bought)
        if word not in known and tuple(bought) != BOUGHT
    ]
    if problems:
        raise PlaybookErrors(problems)


def _meaningless(written: Written) -> Iterator[Problem]:
    """What has the right shape and still says nothing."""
    sources = written.sources
    interests, category = sources.interests, sources.catalogue.category
    if not (0 < interests.line <= MAX_LINE and 1 <= interests.top <= MAX_TOP):
        yield written.problem(
            "out-of-range",
            f"expected 0 < line <= {MAX_LINE} and 1 <= top <= {MAX_TOP}, "
            f"got line {interests.line} and top {interests.top}",
            "interests",
        )
    for name in ("quantity", "amount"):
        bounds: Bounds = getattr(sources.purchases.keep, name)
        if bounds.min is not None and bounds.max is not None and bounds.min > bounds.max:
            message = f"expected min <= max, got {bounds.min} and {bounds.max}"
            yield written.problem("out-of-range", message, "purchases", "keep", name)
    if sources.purchases.keep.quantity != Bounds() and not sources.purchases.columns.quantity:
        message = "expected a column for quantity, since keep bounds it"
        yield written.problem("missing-key", message, "purchases", "columns")
    if isinstance(category, CategoryMap):
        place = ("catalogue", "category", "map")
        for path in _misshapen(category.map, len(category.columns), ()):
            message = f"expected a category, null, or a map of the next of {category.columns}"
            yield written.problem("wrong-type", message, *place, *path)


def _misshapen(node: Any, depth: int, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The paths in a category map that end in no category, or go deeper than there are columns."""
    if isinstance(node, dict) and depth:
        for key, value in node.items():
            yield from _misshapen(value, depth - 1, (*path, key))
    elif not isinstance(node, str | None) or node == "":
        yield path
