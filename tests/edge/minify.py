"""Writes edge/static/NAME.min.js from NAME.js for each script: `make loader`; a test compares."""

from __future__ import annotations

from pathlib import Path

import minify

STATIC = Path(__file__).parent.parent.parent / "edge" / "static"
SCRIPTS = ("loader", "engagement")


def minified(script: str) -> str:
    """What `script`.min.js must be."""
    source = (STATIC / f"{script}.js").read_text(encoding="utf-8")
    return str(minify.string("application/javascript", source)) + "\n"


if __name__ == "__main__":
    for name in SCRIPTS:
        (STATIC / f"{name}.min.js").write_text(minified(name), encoding="utf-8")
