"""Writes edge/static/loader.min.js from loader.js: `make loader`; a test keeps them in step."""

from __future__ import annotations

from pathlib import Path

import minify

STATIC = Path(__file__).parent.parent.parent / "edge" / "static"


def minified() -> str:
    """What loader.min.js must be."""
    source = (STATIC / "loader.js").read_text(encoding="utf-8")
    return str(minify.string("application/javascript", source)) + "\n"


if __name__ == "__main__":
    (STATIC / "loader.min.js").write_text(minified(), encoding="utf-8")
