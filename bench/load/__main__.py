"""A node at 60 % of what it can do and at twice as much; docs/load.md written; exit 1 if a budget
is broken.

`python -m bench.load [SECONDS]`: of each of the two, 60 by default. Only those are kept.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.load import calm, overload, page
from bench.load.scene import scene

SECONDS = 60.0


def main(arguments: Sequence[str]) -> int:
    """Measures, keeps, writes. Returns the exit code."""
    seconds = float(arguments[0]) if arguments else SECONDS
    with tempfile.TemporaryDirectory() as folder, scene(Path(folder)) as where:
        told("60 % of capacity")
        calmly = calm.measured(where, seconds)
        told("twice the capacity")
        overloaded = overload.measured(where, calmly.capacity_per_s, seconds)
        found = page.found_now(calmly, overloaded, where.raised)
    if seconds == SECONDS:
        page.keep(found)
    print(page.page(found))
    return 1 if any(row.is_broken for row in page.rows(found)) else 0


def told(what: str) -> None:
    """So that who waits knows."""
    print(f"{what} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
