"""The page's script: small, plain, and what is served is what is read."""

from __future__ import annotations

import gzip

from tests.edge.minify import STATIC, minified


def test_the_served_loader_is_the_readable_one_minified() -> None:
    assert (STATIC / "loader.min.js").read_text(encoding="utf-8") == minified(), "run make loader"


def test_the_loader_weighs_at_most_two_kilobytes_compressed() -> None:
    assert len(gzip.compress((STATIC / "loader.min.js").read_bytes(), 9, mtime=0)) <= 2048


def test_the_loader_needs_no_relaxed_content_security_policy() -> None:
    text = (STATIC / "loader.js").read_text(encoding="utf-8")
    assert not any(word in text for word in ("eval(", "new Function", "document.write", "style="))
