"""Members, patches and nodes measured, docs/big.md written; exit 1 if a budget is broken.

`python -m bench.big [MEMBERS | patches]`: with a number, members alone are measured, with the word
patches alone.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.big import members, node, page, parts, patches, swaps
from edge.commands.keys import create

MEMBERS = 10_000_000
PATCHES = "patches"
BYTES_A_MEMBER = 42  # as files
COPIES = 8  # raw; in the store, and the node's; of the patches both states, stored and raw


def main(arguments: Sequence[str]) -> int:
    """Measures, keeps, writes. Returns the exit code."""
    only_patches = list(arguments) == [PATCHES]
    alone = bool(arguments) and not only_patches
    count = int(arguments[0]) if alone else MEMBERS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        needed = count * BYTES_A_MEMBER * (1 if alone else COPIES)
        if (free := shutil.disk_usage(folder).free) < needed:
            print(f"expected {needed / 1e9:.1f} GB free, got {free / 1e9:.1f} - at {folder}")
            return 2
        known = parts.write_members(folder, count)
        found = page.kept().get(count) if only_patches else measured(folder, count, known, alone)
        if found is None:
            print("expected what `make big` found before, to put the patches beside it")
            return 2
        if not alone:
            told("patches")
            found = found.with_patches(patches.found(folder, count))
    page.keep(count, found)
    print(page.PAGE.read_text(encoding="utf-8"))
    return 1 if any(row.is_broken for row in page.rows(found)) else 0


def measured(folder: Path, count: int, known: Sequence[int], alone: bool) -> page.Found:
    """The members, and nodes with them unless they are measured alone."""
    told("look-ups")
    people = members.measured(folder, count, known)
    nodes = None if alone else with_nodes(folder, known)
    return page.found_now(people, nodes)


def with_nodes(folder: Path, known: Sequence[int]) -> page.Node:
    """Swaps in one process, then nodes of a store."""
    parts.write_programs(folder)
    told("swaps")
    swapped = swaps.in_a_process(folder, known)
    create(folder / "keys")
    bundles = parts.packed(folder)
    parts.publish(folder, bundles[parts.MARKS[0]])
    told("versions under load")
    load = node.loaded(folder, bundles, known)
    del bundles
    told("workers")
    return page.Node(swapped, load, node.memory_mib(folder, known))


def told(what: str) -> None:
    """So that who waits knows."""
    print(f"{what} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
