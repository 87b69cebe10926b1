"""What the shop sells, out of the data: a catalogue with titles and prices people could read.

    python stock.py PLAYBOOK DATA CACHE KEYS OUT

Categories come from the playbook's sources.yaml, prices are what a unit usually cost, and the
households to sign in as are picked from the snapshot that the edge at CACHE serves: one for each
segment.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import duckdb
import msgspec
from catalogue import Catalogue, Household, Product, Shelf

from decisions.ledger import visitor_key
from snapshots.build.catalogue import UnknownWord, category_of
from snapshots.build.sources import CategoryMap, read_sources
from snapshots.keys import read_public
from snapshots.local import LocalCopy
from snapshots.snapshot import open_snapshot

SHELVES = {
    "produce": "Produce",
    "bakery": "Bakery",
    "dairy": "Dairy & eggs",
    "meat": "Meat",
    "seafood": "Fish",
    "deli": "Deli",
    "pantry": "Pantry",
    "breakfast": "Breakfast",
    "coffee": "Coffee & tea",
    "drinks": "Drinks",
    "snacks": "Snacks",
    "frozen": "Frozen",
    "pet": "Pets",
    "household": "Household",
    "beauty": "Care",
    "floral": "Flowers",
    "baby": "Baby",
    "pharmacy": "Pharmacy",
    "alcohol": "Wine & beer",
}
PER_SHELF = 20
SIGN_INS = 9  # households to choose from
SHORT = {  # the feed's abbreviations
    "FRZN": "frozen", "REFRGRATD": "chilled", "DRNK": "drink", "DRNKS": "drinks",
    "CHOC": "chocolate", "VEG": "vegetable", "CKYS": "cookies", "CKY": "cookies",
    "CRKR": "crackers", "CNDY": "candy", "W": "with", "PNT": "peanut", "BTR": "butter",
    "SALD": "salad", "DRSNG": "dressing", "SNDWCH": "sandwich", "BRKFST": "breakfast",
    "CATFD": "cat food", "DOGFD": "dog food", "SUP": "super", "PREM": "premium", "WHT": "white",
    "WHL": "whole", "LT": "light", "SFT": "soft", "REG": "regular", "FRZ": "frozen",
    "FRE": "fresh", "MLK": "milk", "SYRP": "syrup", "FRD": "fried", "MISC": "assorted",
    "FEM": "feminine", "SAUS": "sausage", "CKN": "chicken", "CHIX": "chicken",
    "BNLS": "boneless", "BONELESS": "boneless", "SKNLS": "skinless", "GRND": "ground",
    "SS": "single serve", "BTL": "bottle", "CARB": "sparkling", "MLT": "multi", "PK": "pack",
    "DETERG": "detergent", "SHMPO": "shampoo", "SPRD": "spread", "MIXS": "mixes",
    "PWDR": "powder", "CRYSTL": "crystal", "JCE": "juice", "CONC": "concentrate", "FRT": "fruit",
    "SNKS": "snacks", "TSH": "tissue", "SLC": "sliced", "CHSE": "cheese", "ANGUS": "Angus",
    "ITALIAN": "Italian", "FRENCH": "French", "MEXICAN": "Mexican", "SWISS": "Swiss",
    "GREEK": "Greek", "ITAL": "Italian", "AUSTRALIAN": "Australian", "NZ": "New Zealand",
}  # fmt: skip

VOWEL = re.compile("[aeiouy]")
# Titles that say nothing without the feed around them.
DULL = {"Lean", "Primal", "Enhanced", "Traditional", "Minuet", "Semi, solid salad dressing may"}

BOUGHT = """
select cast(p.product_id as varchar) as id, p.product_type as name, p.brand, p.package_size as size,
       p.department, p.product_category,
       count(distinct t.household_id) as households,
       cast(round(median(t.sales_value / t.quantity) * 100) as bigint) as cents
from read_parquet(?) t join read_parquet(?) p using (product_id)
where t.quantity between 1 and 20 and t.sales_value > 0 and p.product_type is not null
group by all having cents between 25 and 5000
order by households desc, id
"""
CUSTOMERS = "select distinct cast(household_id as varchar) from read_parquet(?)"


def title(name: str) -> str:
    """`ICE - CRUSHED/CUBED` as "Ice, crushed & cubed": the feed's shouting as people say it."""
    plain = re.sub(r"\(.*?(\)|$)|\*", " ", name)
    plain = re.sub(r"\s*[-:,;]+\s*|\s*\.\s+", ", ", plain).replace("/", " & ")
    words = re.sub(r"[A-Z]+", lambda word: SHORT.get(word[0], word[0].lower()), plain).split()
    text = re.sub(r"[\s,]+,", ",", " ".join(words)).strip(", &")
    return text[:1].upper() + text[1:]


def readable(text: str) -> bool:
    """Whether a title has only words that could be words: no digits, a vowel in each."""
    words = re.findall(r"[a-z]+", text.lower())
    return not re.search("[0-9.]", text) and all(VOWEL.search(word) for word in words)


def shelves(playbook: Path, data: Path) -> dict[str, Shelf]:
    """The most bought products of each department, one of each title."""
    mapping = read_sources(playbook).sources.catalogue.category
    if not isinstance(mapping, CategoryMap):
        raise SystemExit("expected a category map in sources.yaml, got a column")
    files = [str(data / name) for name in ("transactions.parquet", "products.parquet")]
    found: dict[str, dict[str, Product]] = {key: {} for key in SHELVES}
    for row in duckdb.connect().execute(BOUGHT, files).fetchall():
        id_, name, brand, size, department, family, households, cents = row
        try:
            category = category_of(mapping, (department, family))
        except UnknownWord:
            continue
        shelf = found.get(category or "", {})
        shown = title(name)
        if not readable(shown) or shown in DULL:
            continue
        if shown not in shelf and len(shelf) < PER_SHELF:
            label = "Our own brand" if brand == "Private" else ""
            amount = "" if "(" in (size or "") else (size or "").lower()
            shelf[shown] = Product(id_, shown, category or "", cents, households, label, amount)
    return {
        key: Shelf(SHELVES[key], tuple(shelf.values())) for key, shelf in found.items() if shelf
    }


def households(data: Path, cache: Path, keys: Path) -> tuple[Household, ...]:
    """For each segment of the served snapshot a household, those of few segments first."""
    local = LocalCopy(cache, read_public(keys / "publisher.public.jwks"))
    manifest = local.serving()
    if manifest is None:
        raise SystemExit(f"expected an edge that serves a snapshot, got none - at {cache}")
    snapshot = open_snapshot(manifest, local.path_of)
    if snapshot.membership is None:
        return ()
    files = [str(data / "transactions.parquet")]
    found = duckdb.connect().execute(CUSTOMERS, files).fetchall()
    members = []
    for (id_,) in found:
        member = snapshot.membership.lookup(visitor_key(snapshot.program.key_salt, id_))
        if member is not None and 0 < len(member.segments) <= 3:
            members.append(Household(id_, tuple(sorted(member.segments))))
    picked: dict[str, Household] = {}
    for household in sorted(members, key=lambda one: (len(one.segments), int(one.id))):
        for segment in household.segments:
            picked.setdefault(segment, household)
    return tuple(dict.fromkeys(picked.values()))[:SIGN_INS]


def main(playbook: str, data: str, cache: str, keys: str, out: str) -> None:
    """Write the catalogue as JSON to `out`."""
    stocked = Catalogue(
        shelves(Path(playbook), Path(data)), households(Path(data), Path(cache), Path(keys))
    )
    Path(out).write_bytes(msgspec.json.format(msgspec.json.encode(stocked), indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
