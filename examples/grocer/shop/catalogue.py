"""What the shop sells: the catalogue that the demo wrote as JSON, as typed values."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Product(msgspec.Struct, frozen=True):
    """cents: the usual price of one. households: how many bought it last year."""

    id: str
    title: str
    category: str
    cents: int
    households: int
    brand: str = ""
    size: str = ""


class Shelf(msgspec.Struct, frozen=True):
    """One department, its most bought products first."""

    title: str
    products: tuple[Product, ...]


class Household(msgspec.Struct, frozen=True):
    """A household one may sign in as, and the segments the build put it into."""

    id: str
    segments: tuple[str, ...] = ()


class Catalogue(msgspec.Struct, frozen=True):
    """shelves: by category key, in the order of the navigation."""

    shelves: dict[str, Shelf]
    households: tuple[Household, ...] = ()

    @property
    def popular(self) -> list[Product]:
        """The two most bought products of the first shelves: what is in most baskets."""
        return [
            product for shelf in list(self.shelves.values())[:6] for product in shelf.products[:2]
        ]

    def find(self, product_id: str) -> Product | None:
        """The product of this id, or None."""
        every = (product for shelf in self.shelves.values() for product in shelf.products)
        return next((product for product in every if product.id == product_id), None)


def load(path: Path) -> Catalogue:
    """The catalogue at `path`. Raises msgspec.ValidationError if it is not one."""
    return msgspec.json.decode(path.read_bytes(), type=Catalogue)
