"""Recommendations: an item in, its neighbours out; a member's key in, what they bought last out.
Mapped, never loaded.

Two parts. `recommendations` is of nobody: items by popularity, and which go together. The other,
`recommendations/seeds`, has a row for each member, in the order of the membership's keys. Opening
checks the frames, not the rows: whatever these hold, a look-up answers, it never fails.
docs/bundle-format.md has the layout to the byte.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

import msgspec

from snapshots.census import build_of
from snapshots.columns import frame, numbers, open_frame
from snapshots.errors import Malformed
from snapshots.membership import Membership

if TYPE_CHECKING:
    from typing_extensions import Buffer

RECOMMENDATIONS, SEEDS = "recommendations", "recommendations/seeds"
MAGIC = {RECOMMENDATIONS: b"EW recs\n", SEEDS: b"EW seed\n"}
FORMATS = {RECOMMENDATIONS: frozenset({1}), SEEDS: frozenset({1})}

SLOTS = 8  # the last items that a member bought: as many as are seeds
MAX_ITEMS = 2**24 - 1  # numbers are 3 bytes in seeds, of which one means none
MAX_KEEP = 256  # neighbours an item
NO_ITEM = 2**32 - 1  # in a slot of neighbours, and of seeds before they are packed
NO_CATEGORY = 2**16 - 1
FULL = 2**16 - 1  # the code of a share or a similarity of 1


class ItemsHead(msgspec.Struct, frozen=True):
    """items: names these items, for seeds. keep: neighbours an item. text: bytes of all ids."""

    items: str
    categories: tuple[str, ...]
    keep: int
    text: int


class SeedsHead(msgspec.Struct, frozen=True):
    """build: of the keys whose rows these are. items: that they number. width: bytes a number."""

    build: str
    items: str
    slots: int
    width: int


class Recommendations:
    """The items of a snapshot by number, the most popular is 0; and what members bought of them.
    Over mapped bytes that it keeps alive. Immutable."""

    def __init__(self, items: Buffer, seeds: Buffer | None, members: Membership) -> None:
        """items, seeds: the raw parts. members: whose rows seeds are. Raises Malformed,
        Unreadable."""
        opened = open_frame(
            RECOMMENDATIONS, items, MAGIC[RECOMMENDATIONS], FORMATS[RECOMMENDATIONS]
        )
        head = opened.head_as(ItemsHead)
        if opened.rows > MAX_ITEMS or not 0 <= head.keep <= MAX_KEEP or head.text < 0:
            raise Malformed(f"expected at most {MAX_ITEMS} items - at {RECOMMENDATIONS}")
        rows, cells = opened.rows, opened.rows * head.keep
        opened.expect(cells * 6 + rows * 16 + head.text)
        columns = _cut(opened.body, (cells, rows, rows, rows), (rows, rows, cells))
        self._near, self._by_id, self._by_category, self._ends = columns[:4]
        self._categories, self._shares, self._alike = columns[4:]
        self._text = opened.body[len(opened.body) - head.text :]
        self._names, self._keep = head.categories, head.keep
        self._places = {name: place for place, name in enumerate(head.categories)}
        self._rows = rows
        self._seeds, self._width, self._members = memoryview(b""), 0, members
        if seeds is not None:
            self._open_seeds(seeds, head.items)

    def __len__(self) -> int:
        return self._rows

    def pieces(self) -> list[object]:
        """What it holds most of."""
        return [self._near, self._alike, self._text, self._seeds]

    def id(self, item: int) -> str:
        """The id of an item, as the feeds have it."""
        return self._raw(item).decode("utf-8", "replace")

    def find(self, id_: str) -> int | None:
        """The number of an item, None for one that is not here."""
        raw = id_.encode("utf-8", "replace")
        place = bisect_left(self._by_id, raw, key=self._raw)
        if place == self._rows or self._raw(self._by_id[place]) != raw:
            return None
        item: int = self._by_id[place]
        return item if item < self._rows else None

    def category(self, item: int) -> str:
        """The category of an item, "" if it has none."""
        place = self._category(item)
        return self._names[place] if place < len(self._names) else ""

    def neighbours(self, item: int) -> Iterator[tuple[int, float]]:
        """The items that are most often bought by who buys this one, and how alike: a cosine."""
        for place in range(item * self._keep, (item + 1) * self._keep):
            if (other := self._near[place]) < self._rows:
                yield other, self._alike[place] / FULL

    def popular(self, category: str = "") -> Iterator[tuple[int, float]]:
        """Items, the most popular first, each with how many bought it for one who bought the most
        popular of all. category: only of this one, if any."""
        if not category:
            for item in range(self._rows):
                yield item, self._shares[item] / FULL
            return
        code = self._places.get(category, -1)
        begin = bisect_left(self._by_category, code, key=self._category)
        end = bisect_right(self._by_category, code, lo=begin, key=self._category)
        for item in self._by_category[begin:end]:
            if item < self._rows:
                yield item, self._shares[item] / FULL

    def bought(self, key: int) -> list[int]:
        """The items that the member with this key bought last, the last one first; none of a
        stranger."""
        width, row = self._width, self._members.row(key)
        if row is None or not width:
            return []
        start = row * SLOTS * width
        slots = (self._seeds[at : at + width] for at in range(start, start + SLOTS * width, width))
        found = (int.from_bytes(slot, "little") for slot in slots)
        return [item for item in dict.fromkeys(found) if item < self._rows]

    def _open_seeds(self, raw: Buffer, items: str) -> None:
        opened = open_frame(SEEDS, raw, MAGIC[SEEDS], FORMATS[SEEDS])
        head = opened.head_as(SeedsHead)
        build, rows = self._members.build, self._members.rows
        if (head.build, head.items, opened.rows) != (build, items, rows):
            raise Malformed(f"expected {rows} seeds of keys {build}, items {items} - at {SEEDS}")
        if head.slots != SLOTS or head.width not in (2, 3):
            raise Malformed(f"expected {SLOTS} seeds of 2 or 3 bytes - at {SEEDS}")
        opened.expect(opened.rows * SLOTS * head.width)
        self._seeds, self._width = opened.body, head.width

    def _raw(self, item: int) -> bytes:
        if item >= self._rows:
            return b""
        begin = self._ends[item - 1] if item else 0
        return bytes(self._text[begin : self._ends[item]])

    def _category(self, item: int) -> int:
        code: int = self._categories[item] if item < self._rows else NO_CATEGORY
        return code


def _cut(body: memoryview, fours: Sequence[int], twos: Sequence[int]) -> list[memoryview[int]]:
    """The columns that a body begins with: so many numbers of 4 bytes each, then those of 2."""
    found: list[memoryview[int]] = []
    start = 0
    for count, width in [*((count, 4) for count in fours), *((count, 2) for count in twos)]:
        end = start + count * width
        found.append(numbers(body[start:end], width))
        start = end
    return found


def encode_items(
    ids: Sequence[str],
    categories: Sequence[str],
    of: Sequence[int],
    bought: Sequence[int],
    near: Buffer,
    alike: Buffer,
    keep: int,
) -> bytearray:
    """The part of these items, which stand by popularity; same arguments, same bytes.

    of: each one's place among the categories, NO_CATEGORY for none. bought: how many customers
    bought it, never rising. near: u32, `keep` a row, NO_ITEM for none; alike: u16 beside it.
    Raises ValueError for columns that do not fit each other, and for too many items.
    """
    rows = len(ids)
    cells = rows * keep
    sizes = (len(of), len(bought), memoryview(near).nbytes, memoryview(alike).nbytes)
    if rows > MAX_ITEMS or len(categories) > NO_CATEGORY or keep > MAX_KEEP:
        raise ValueError(f"expected at most {MAX_ITEMS} items, {MAX_KEEP} neighbours of each")
    if sizes != (rows, rows, cells * 4, cells * 2):
        raise ValueError(f"expected columns of {rows} items, got {sizes}")
    raws = [id_.encode() for id_ in ids]
    text = b"".join(raws)
    most = max(bought, default=1)
    columns = (
        bytes(memoryview(near).cast("B")),
        array("I", sorted(range(rows), key=raws.__getitem__)).tobytes(),
        array("I", sorted(range(rows), key=of.__getitem__)).tobytes(),
        array("I", accumulate(map(len, raws))).tobytes(),
        array("H", of).tobytes(),
        array("H", (round(FULL * each / most) for each in bought)).tobytes(),
        bytes(memoryview(alike).cast("B")),
        text,
    )
    body = b"".join(columns)
    name = hashlib.sha256(text + columns[3]).hexdigest()[:16]
    head = ItemsHead(name, tuple(categories), keep, len(text))
    written = frame(MAGIC[RECOMMENDATIONS], 1, head, rows, len(body))
    written.part[written.start :] = body
    return written.part


def encode_seeds(items: Buffer, keys: Buffer, seeds: Buffer) -> bytearray:
    """The part of what members bought. items: the other part. keys: of the members, as
    `encode_membership` takes them. seeds: u32, SLOTS a row, in their order, NO_ITEM for none.

    Raises ValueError for another number of rows, Malformed for a part that is none.
    """
    opened = open_frame(RECOMMENDATIONS, items, MAGIC[RECOMMENDATIONS], FORMATS[RECOMMENDATIONS])
    width = 2 if opened.rows < 2**16 else 3
    codes = memoryview(seeds).cast("B")
    rows = memoryview(keys).nbytes // 8
    if len(codes) != rows * SLOTS * 4:
        raise ValueError(f"expected {rows} rows of {SLOTS} seeds, got {len(codes)} bytes")
    head = SeedsHead(build_of(keys), opened.head_as(ItemsHead).items, SLOTS, width)
    written = frame(MAGIC[SEEDS], 1, head, rows, rows * SLOTS * width)
    for place in range(width):
        written.part[written.start + place :: width] = codes[place::4].tobytes()
    return written.part
